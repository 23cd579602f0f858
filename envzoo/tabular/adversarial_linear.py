"""Layered worlds with linear features whose losses change between episodes (paper 44)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import read_array
from envzoo.kernel.stream import uniform
from envzoo.tabular.adversarial_worlds import (
    AdversarialWorld,
    linear_bandit,
    linear_mdp,
    rare_combination,
    schedule_tables,
)
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.sampling import draw_index

LAST = 2**53 - 1  # episode


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    p: np.ndarray  # float64 (H, n, A, n)
    loss: np.ndarray  # float64 (T, H, n, A)
    initial: np.ndarray  # float64 (n,)
    schedule: np.ndarray  # int64 (K,)


class State(NamedTuple):
    """State of one episode."""

    cell: Any  # layer * n + state
    episode: Any  # number of the episode, from 0


class Infos(NamedTuple):
    """Infos of every reset and step."""

    episode: Any
    losses: Any


class Options(NamedTuple):
    """Reset options of every episode."""

    episode: np.ndarray  # int64 (num_envs,), -1 for the next one


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`. An episode whose stream was never used is the first one."""
    for i in range(where.size):
        if where[i]:
            if options.episode[i] >= 0:
                state.episode[i] = options.episode[i]
            else:
                state.episode[i] = 0 if streams[i, 1] == 0 else min(state.episode[i] + 1, 2**53 - 1)
            state.cell[i] = draw_index(parameters.initial, streams, i)
            infos.episode[i] = state.episode[i]
            infos.losses[i] = 0.0


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    layers, states = parameters.p.shape[:2]
    for i in range(where.size):
        if where[i]:
            h, s = state.cell[i] // states, state.cell[i] % states
            u = uniform(streams, i)
            for t in range(parameters.loss.shape[0]):
                infos.losses[i, t] = 1.0 if u < parameters.loss[t, h, s, actions[i]] else 0.0
            table = parameters.schedule[state.episode[i] % parameters.schedule.size]
            rewards[i] = -infos.losses[i, table]
            infos.episode[i] = state.episode[i]
            if h == layers - 1:
                terminated[i] = True
            else:
                state.cell[i] = (h + 1) * states + draw_index(parameters.p[h, s, actions[i]], streams, i)


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the cell."""
    for i in range(state.cell.size):
        observation[i] = state.cell[i]


class AdversarialLinear(Definition):
    """Base of the layered worlds whose losses change between episodes."""

    def __init__(self, world: AdversarialWorld, schedule: str, num_episodes: int, schedule_seed: int) -> None:
        layers, states, actions, _ = world.p.shape
        tables = schedule_tables(schedule, num_episodes, len(world.loss), schedule_seed)
        self.world, self.schedule = world, tables
        self.parameters = Parameters(world.p, world.loss, world.initial, tables)
        self.observation_space = spaces.Discrete(layers * states)
        self.action_space = spaces.Discrete(actions)
        self.kernels = Kernels(reset, step, observe)
        self.state = State(np.int64, np.int64)
        self.infos = Infos(np.int64, (np.float64, (len(world.loss),)))
        self.limits = {"cell": (0, layers * states - 1), "episode": (0, LAST)}
        self.option_names = ("episode",)

    def mean_model(self) -> FiniteMDP:
        """Return the process with the losses averaged over all episodes of the schedule, and its features."""
        shares = np.bincount(self.schedule, minlength=len(self.world.loss)) / len(self.schedule)
        return self.world.mean_model(shares)

    def options(self, given: Any, num_envs: int) -> Options:
        """Read the reset option `episode`: the number of the episode."""
        if "episode" not in given:
            return Options(np.full(num_envs, -1, np.int64))
        episode = read_array("reset option episode", given["episode"])
        if (
            episode.dtype.kind not in "iu"
            or episode.shape not in ((), (num_envs,))
            or not ((episode >= 0) & (episode <= LAST)).all()
        ):
            raise EnvzooError("reset option episode is not usable; expected numbers of episodes, from 0")
        return Options(np.broadcast_to(episode, num_envs).astype(np.int64))

    def describe(self, state: State) -> str:
        """Name layer, state and episode."""
        layer, inside = divmod(int(state.cell), self.world.p.shape[1])
        return f"layer {layer}, state {inside}, episode {int(state.episode)}"

    def draw(self, state: State) -> np.ndarray:
        """Draw a column of states for each layer, the present one marked."""
        layers, states = self.world.p.shape[:2]
        canvas = art.Canvas(max(40 * layers, 200), 26 * states + 26, art.PAPER)
        for cell in range(layers * states):
            x, y = cell // states * 40 + 20, cell % states * 26 + 13
            canvas.disc(x, y, 9, art.RED if cell == state.cell else art.GRID)
        canvas.text(6, 26 * states + 12, self.describe(state), art.INK, 11, anchor="lm")
        return canvas.image()


class AdversarialLinearBandit(AdversarialLinear):
    """A bandit with linear losses that an adversary may change between episodes.

    ## Description
    `arms` equidistant angles a have features (1, cos a, sin a) / sqrt 2 and mean losses 0.5 + 0.3 cos(a - 1), in the
    second table 0.5 - 0.3 cos(a - 1). The smallest instance of the worlds of arXiv 2301.12942. The model that
    `env.unwrapped.model()` returns has the mean losses and the features.

    ## Action space
    `Discrete(arms)`.

    ## Observation space
    `Discrete(1)`.

    ## Reward
    Minus the loss, which is 0 or 1.

    ## Info
    `episode`: its number, from 0, from which follows the table of losses; `losses`: what each table would have charged.

    ## Start of an episode
    In the only state, with the next number, or that of the reset option `episode`.

    ## End of an episode
    Terminates after one step.

    ## Arguments
    - `arms` (8): number of angles.
    - `schedule` ("fixed"): how the table of each episode was fixed beforehand: "iid" takes table 0 with probability
    0.65, "switch" goes through the tables, "sinusoid" swings between them three times, "fixed" always takes table 0.
    - `num_episodes` (10000): length of the schedule, after which it begins anew.
    - `schedule_seed` (0): seed of the schedule.

    ## Registered ids
    - `envzoo/AdversarialLinearBandit-v0`: the defaults above.
    """

    def __init__(
        self, arms: int = 8, schedule: str = "fixed", num_episodes: int = 10_000, schedule_seed: int = 0
    ) -> None:
        super().__init__(linear_bandit(arms), schedule, num_episodes, schedule_seed)


class AdversarialLinearMDP(AdversarialLinear):
    """A layered world with linear action values whose losses an adversary changes between episodes.

    ## Description
    In each of `horizon` layers there are `states` states and random features phi in a simplex; next states have the
    laws phi mu, losses the means phi theta, so that the action values of every policy are linear in phi (arXiv
    2301.12942). Each episode has one of two tables theta. `env.unwrapped.model()` returns the model with the mean
    losses and the features.

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete(horizon * states)`: layer * states + state.

    ## Reward
    Minus the loss of the step, which is 0 or 1.

    ## Info
    `episode`: its number, from 0, from which follows the table of losses; `losses`: what each table would have charged.

    ## Start of an episode
    In state 0 of the first layer, with the next number, or that of the reset option `episode`.

    ## End of an episode
    Terminates after the last layer.

    ## Arguments
    - `horizon` (3): number of layers.
    - `states` (5): states of a layer.
    - `actions` (4): number of actions.
    - `dimension` (4): dimension of the features.
    - `world_seed` (3): seed of the world.
    - `schedule` ("iid"): how the table of each episode was fixed beforehand: "iid" takes table 0 with probability 0.65,
    "switch" goes through the tables, "sinusoid" swings between them three times, "fixed" always takes table 0.
    - `num_episodes` (10000): length of the schedule, after which it begins anew.
    - `schedule_seed` (0): seed of the schedule.

    ## Registered ids
    - `envzoo/AdversarialLinearMDP-v0`: the defaults above.
    """

    def __init__(
        self,
        horizon: int = 3,
        states: int = 5,
        actions: int = 4,
        dimension: int = 4,
        world_seed: int = 3,
        schedule: str = "iid",
        num_episodes: int = 10_000,
        schedule_seed: int = 0,
    ) -> None:
        world = linear_mdp(horizon, states, actions, dimension, world_seed)
        super().__init__(world, schedule, num_episodes, schedule_seed)


class AdvRareCombo(AdversarialLinear):
    """A lock in which only one sequence of actions is without loss, and a detour is almost as good.

    ## Description
    In layer h action h mod A stays on the path; any other leaves it for good, and action 1 mod A of the first layer
    takes a detour. The last layer costs 0.5 off the path, 0.4 on the detour, and nothing for the right last action on
    the path. Exploration needs a bonus here. Features are one-hot. In the second table the detour costs 0.5.

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete(horizon * 3)`: layer * 3 + 0 on the path, 1 off it, 2 on the detour.

    ## Reward
    Minus the loss of the step, which is 0 or 1; its mean is as above.

    ## Info
    `episode`: its number, from 0, from which follows the table of losses; `losses`: what each table would have charged.

    ## Start of an episode
    On the path, with the next number, or that of the reset option `episode`.

    ## End of an episode
    Terminates after the last layer.

    ## Arguments
    - `horizon` (4): number of layers.
    - `actions` (3): number of actions.
    - `schedule` ("fixed"): how the table of each episode was fixed beforehand: "iid" takes table 0 with probability
    0.65, "switch" goes through the tables, "sinusoid" swings between them three times, "fixed" always takes table 0.
    - `num_episodes` (10000): length of the schedule, after which it begins anew.
    - `schedule_seed` (0): seed of the schedule.

    ## Registered ids
    - `envzoo/AdvRareCombo-v0`: the defaults above.
    """

    def __init__(
        self,
        horizon: int = 4,
        actions: int = 3,
        schedule: str = "fixed",
        num_episodes: int = 10_000,
        schedule_seed: int = 0,
    ) -> None:
        super().__init__(rare_combination(horizon, actions), schedule, num_episodes, schedule_seed)


class AdversarialEnv(KernelEnv):
    """A single environment that knows its mean model."""

    def model(self) -> FiniteMDP:
        """Return the process with the losses averaged over the schedule, as negative rewards, with its features."""
        return self.definition.mean_model()


class AdversarialVectorEnv(KernelVectorEnv):
    """A vector environment that knows its mean model."""

    def model(self) -> FiniteMDP:
        """Return the process with the losses averaged over the schedule, as negative rewards, with its features."""
        return self.definition.mean_model()


class AdversarialLinearBanditEnv(AdversarialEnv):
    """Single environment of `AdversarialLinearBandit`."""

    definition_class = AdversarialLinearBandit


class AdversarialLinearBanditVectorEnv(AdversarialVectorEnv):
    """Vector environment of `AdversarialLinearBandit`."""

    definition_class = AdversarialLinearBandit


class AdversarialLinearMDPEnv(AdversarialEnv):
    """Single environment of `AdversarialLinearMDP`."""

    definition_class = AdversarialLinearMDP


class AdversarialLinearMDPVectorEnv(AdversarialVectorEnv):
    """Vector environment of `AdversarialLinearMDP`."""

    definition_class = AdversarialLinearMDP


class AdvRareComboEnv(AdversarialEnv):
    """Single environment of `AdvRareCombo`."""

    definition_class = AdvRareCombo


class AdvRareComboVectorEnv(AdversarialVectorEnv):
    """Vector environment of `AdvRareCombo`."""

    definition_class = AdvRareCombo
