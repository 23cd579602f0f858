"""EntropyBandit: one-step problems whose maximum-entropy solution is known in closed form (paper 19)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art

WIDTH, HEIGHT = 240, 160


class ArmParameters(NamedTuple):
    """Parameters shared by all episodes."""

    rewards: np.ndarray  # float64 (arms,)


class ArmState(NamedTuple):
    """State of one episode: the arm pulled, -1 before the step."""

    arm: Any


class ContinuousState(NamedTuple):
    """State of one episode: the action taken, NaN before the step."""

    action: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel of the discrete bandit; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.arm[i] = -1


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of the discrete bandit; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.arm[i] = actions[i]
            rewards[i] = parameters.rewards[actions[i]]
            terminated[i] = True


@njit(cache=True)
def reset_continuous(parameters, state, streams, where, options, infos):
    """Reset kernel of the continuous bandit; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.action[i] = np.nan


@njit(cache=True)
def step_continuous(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel of the continuous bandit; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            action = np.float64(actions[i, 0])
            state.action[i] = action
            rewards[i] = -action * action
            terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel of both bandits: the only state, 0."""
    observation[:] = 0


class EntropyBandit(Definition):
    """A bandit with fixed rewards, whose optimal maximum-entropy policy is known exactly at every temperature.

    ## Description
    One state, one step. An agent that maximises reward plus alpha times the entropy of its policy should converge to
    pi = softmax(rewards / alpha), with value alpha * logsumexp(rewards / alpha); an agent that tunes alpha to a target
    entropy should converge to the alpha whose softmax has that entropy. Designed to test Soft Actor-Critic with a
    learned temperature (Haarnoja et al., "Soft Actor-Critic Algorithms and Applications", arXiv 1812.05905).

    ## Action space
    `Discrete(len(rewards))`: the arm to pull.

    ## Observation space
    `Discrete(1)`: always 0.

    ## Reward
    The arm's entry in `rewards`, without noise.

    ## End of an episode
    Terminates after the first step.

    ## Arguments
    - `rewards` ((1, 0.5, 0, -1)): reward of each arm.

    ## Registered ids
    - `envzoo/EntropyBandit-v0`
    """

    def __init__(self, rewards: Sequence[float] = (1.0, 0.5, 0.0, -1.0)) -> None:
        try:
            values = np.array(rewards, np.float64)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise EnvzooError(f"rewards are {rewards!r}; expected a sequence of at least one finite number")
        self.parameters = ArmParameters(values)
        self.state = ArmState(arm=np.int64)
        self.limits = {"arm": (-1, values.size - 1)}
        self.observation_space = spaces.Discrete(1)
        self.action_space = spaces.Discrete(values.size)
        self.kernels = Kernels(reset, step, observe)

    def draw(self, state: ArmState) -> np.ndarray:
        """Draw the rewards as bars, with the pulled arm in colour."""
        canvas = art.Canvas(WIDTH, HEIGHT)
        rewards = self.parameters.rewards
        low, high = min(rewards.min(), 0.0), max(rewards.max(), 0.0)
        scale = (HEIGHT - 56) / (high - low or 1.0)
        zero, slot = 20 + high * scale, (WIDTH - 24) / rewards.size
        for arm, reward in enumerate(rewards):
            x, top, bottom = 12 + arm * slot, zero - max(reward, 0) * scale, zero - min(reward, 0) * scale
            colour = art.ORANGE if arm == state.arm else art.PALE_BLUE
            canvas.rectangle(x + slot * 0.15, top, x + slot * 0.85, bottom, colour)
            if slot >= 24:
                label = top - 8 if reward >= 0 else bottom + 8
                canvas.text(x + slot / 2, label, f"{reward:g}", art.INK, 11)
        canvas.rectangle(12, zero, WIDTH - 12, zero + 1, art.INK)
        if state.arm >= 0:  # also marks arms whose bar has no height
            canvas.disc(12 + (int(state.arm) + 0.5) * slot, zero, 4, art.INK)
        return canvas.image()

    def describe(self, state: ArmState) -> str:
        """List the rewards on one line, with the pulled arm in brackets."""
        return " ".join(
            f"[{reward:g}]" if arm == state.arm else f"{reward:g}" for arm, reward in enumerate(self.parameters.rewards)
        )


class EntropyBanditContinuous(Definition):
    """A one-step problem with reward -a^2, whose optimal Gaussian policy is known at every temperature.

    ## Description
    The policy that maximises reward plus alpha times its entropy is normal with mean 0 and variance alpha / 2 (before
    any squashing to the action bounds). A target entropy of -1 corresponds to a standard deviation of 0.08902 and
    alpha = 0.015848. The continuous counterpart of `envzoo/EntropyBandit-v0` (see there for the source).

    ## Action space
    `Box(-1, 1, (1,), float32)`.

    ## Observation space
    `Discrete(1)`: always 0.

    ## Reward
    -a^2.

    ## End of an episode
    Terminates after the first step.

    ## Arguments
    None.

    ## Registered ids
    - `envzoo/EntropyBanditContinuous-v0`
    """

    def __init__(self) -> None:
        self.parameters = ()
        self.state = ContinuousState(action=np.float64)
        self.observation_space = spaces.Discrete(1)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.kernels = Kernels(reset_continuous, step_continuous, observe)

    def draw(self, state: ContinuousState) -> np.ndarray:
        """Draw the reward parabola and the action taken."""
        canvas = art.Canvas(WIDTH, HEIGHT)
        centre, wide, top, tall = WIDTH / 2, WIDTH / 2 - 20, 24, HEIGHT - 48
        canvas.rectangle(12, top, WIDTH - 12, top + 1, art.GRID)
        canvas.rectangle(centre - 0.5, 12, centre + 0.5, HEIGHT - 12, art.GRID)
        curve = [(centre + a * wide, top + a * a * tall) for a in np.linspace(-1, 1, 81).tolist()]
        canvas.line(curve, art.BLUE, 2)
        if not np.isnan(state.action):
            action = float(state.action)
            canvas.disc(centre + action * wide, top + action * action * tall, 6, art.ORANGE)
        return canvas.image()

    def describe(self, state: ContinuousState) -> str:
        """State the action taken and its reward."""
        action = float(state.action)
        return "no action yet" if np.isnan(action) else f"action {action:+.3f}, reward {-action * action:+.3f}"


class EntropyBanditEnv(KernelEnv):
    """Single environment of `EntropyBandit`."""

    definition_class = EntropyBandit


class EntropyBanditVectorEnv(KernelVectorEnv):
    """Vector environment of `EntropyBandit`."""

    definition_class = EntropyBandit


class EntropyBanditContinuousEnv(KernelEnv):
    """Single environment of `EntropyBanditContinuous`."""

    definition_class = EntropyBanditContinuous


class EntropyBanditContinuousVectorEnv(KernelVectorEnv):
    """Vector environment of `EntropyBanditContinuous`."""

    definition_class = EntropyBanditContinuous
