"""PrefBandit: arms that are only compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.arguments import check_choice, check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.preference.games import cyclic_game, random_game, read_game
from envzoo.preference.preferences import MatrixPreference
from envzoo.sizes import check_bytes

MOST_ARMS = 10_000


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    win: np.ndarray  # float64 (K, K): probability that the row beats the column
    sampled: bool


class State(NamedTuple):
    """State of one episode."""

    over: Any


class Infos(NamedTuple):
    """Entries of `info`."""

    opponent: Any
    win_probability: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.over[i] = False
            infos.opponent[i] = -1
            infos.win_probability[i] = 0.5


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            opponent = integer(streams, i, parameters.win.shape[0])
            win = parameters.win[actions[i], opponent]
            rewards[i] = np.float64(uniform(streams, i) < win) if parameters.sampled else win
            infos.opponent[i] = opponent
            infos.win_probability[i] = win
            state.over[i] = True
            terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: there is nothing to see."""
    for i in range(state.over.size):
        observation[i] = 0


class PrefBandit(Definition):
    """Arms that are compared in pairs, possibly in a cycle, so that no arm is the best.

    ## Description
    A game P (K, K), antisymmetric with entries in [-1, 1]: arm i is preferred to arm j with probability
    (1 + P[i, j]) / 2. Preferences may be cyclic (rock, paper, scissors), and then every reward model is wrong, while
    the minimax winner exists: a mixture that no arm beats with probability above 1/2. With the default game it is
    (1/6, 1/3, 1/2). `envzoo.agents.preference.minimax` computes it. Learners of preferences read the attribute
    `env.unwrapped.preference`; the reward below serves other learners. The setting of Swamy et al. 2024 (arXiv
    2401.04056).

    ## Action space
    `Discrete(K)`: the arm.

    ## Observation space
    `Discrete(1)`: nothing is observed.

    ## Reward
    A label: 1 if the arm is preferred to an arm drawn uniformly, else 0 (`labels="sampled"`), or the probability of
    that (`labels="exact"`).

    ## Info
    After every reset and step: `opponent`, the arm of the comparison (-1 after a reset), and `win_probability`, that of
    beating it.

    ## Start of an episode
    Nothing happens.

    ## End of an episode
    Terminates after one action.

    ## Arguments
    - `game` ("cyclic"): a matrix (K, K), or "cyclic", three arms with P[0, 1] = 0.6, P[1, 2] = 0.2, P[2, 0] = 0.4, or
    "random", with `arms` arms and preferences uniform on [-1, 1].
    - `arms` (10), `game_seed` (0): size and seed of the random game.
    - `labels` ("sampled"): or "exact".

    ## Registered ids
    - `envzoo/PrefBandit-v0`: the defaults above.
    """

    def __init__(
        self,
        game: str | Sequence[Sequence[float]] = "cyclic",
        arms: int = 10,
        game_seed: int = 0,
        labels: str = "sampled",
    ) -> None:
        if isinstance(game, str):
            check_choice("game", game, ("cyclic", "random"))
            if game == "random":
                arms = check_whole("arms", arms, 2, MOST_ARMS)
                check_bytes(64 * arms**2, f"a game of {arms} arms")
            matrix = cyclic_game() if game == "cyclic" else random_game(arms, game_seed)
        else:
            matrix = read_game(game)
        if len(matrix) > MOST_ARMS:
            raise EnvzooError(f"the game has {len(matrix)} arms; expected at most {MOST_ARMS}")
        sampled = check_choice("labels", labels, ("sampled", "exact")) == "sampled"
        self.game = matrix
        self.preference = MatrixPreference(matrix)
        self.parameters = Parameters((1 + matrix) / 2, sampled)
        self.state = State(over=np.bool_)
        self.infos = Infos(opponent=np.int64, win_probability=np.float64)
        self.observation_space = spaces.Discrete(1)
        self.action_space = spaces.Discrete(len(matrix))
        self.kernels = Kernels(reset, step, observe)


class _HasPreference:
    """Attributes of the single and vector environment."""

    definition: PrefBandit

    @property
    def preference(self) -> MatrixPreference:
        """Preference function between episodes."""
        return self.definition.preference

    @property
    def game(self) -> np.ndarray:
        """The game, (K, K)."""
        return self.definition.game


class PrefBanditEnv(_HasPreference, KernelEnv):
    """Single environment of `PrefBandit`."""

    definition_class = PrefBandit


class PrefBanditVectorEnv(_HasPreference, KernelVectorEnv):
    """Vector environment of `PrefBandit`."""

    definition_class = PrefBandit
