"""MemorylessAlign: independent tokens with an additive reward, where the best policies are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.arguments import check_whole, read_array


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    log_p: np.ndarray  # float64 (A,)
    rewards: np.ndarray  # float64 (A,)
    length: int


class State(NamedTuple):
    """State of one episode."""

    position: Any  # number of tokens so far
    total: Any  # their reward


class Infos(NamedTuple):
    """Entries of `info`."""

    log_p: Any
    total: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.position[i] = 0
            state.total[i] = 0.0
            infos.log_p[i] = 0.0
            infos.total[i] = 0.0


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            rewards[i] = parameters.rewards[actions[i]]
            state.position[i] += 1
            state.total[i] += rewards[i]
            terminated[i] = state.position[i] == parameters.length
            infos.log_p[i] = parameters.log_p[actions[i]]
            infos.total[i] = state.total[i]


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the number of tokens so far."""
    for i in range(state.position.size):
        observation[i] = state.position[i]


class MemorylessAlign(Definition):
    """Write independent tokens: reward against KL divergence from a base policy, with a known best trade-off.

    ## Description
    An episode is a sequence of `length` tokens. The base policy p draws them independently, and the reward of a
    sequence is the sum of the rewards of its tokens. Of all policies whose KL divergence from p is at most
    `length` * delta, the best one draws each token from the tilt p(a) exp(lambda r(a)) / Z; see
    `envzoo.agents.preference.tilting.tilt`. Best-of-N has an exact law, too. With the default arguments and
    delta = 0.1 nats per token, lambda is 0.43228, and the reward per token rises from 0.8 to 1.24751. The setting of
    Yang et al. 2024, "Asymptotics of Language Model Alignment" (arXiv 2404.01730).

    ## Action space
    `Discrete(A)`: the next token.

    ## Observation space
    `Discrete(length + 1)`: the number of tokens so far.

    ## Reward
    The reward r(a) of the token.

    ## Info
    After every reset and step: `log_p`, log p(a) of the last token (0 after a reset); `total`, the reward so far. The
    attribute `env.unwrapped.reference_policy` is p, (A,).

    ## Start of an episode
    No tokens. The episode has no random element.

    ## End of an episode
    Terminates after `length` tokens.

    ## Arguments
    - `probabilities` ((0.5, 0.3, 0.2)): the base policy p, all positive.
    - `rewards` ((0.0, 1.0, 2.5)): the reward of each token.
    - `length` (20): the number of tokens.

    ## Registered ids
    - `envzoo/MemorylessAlign-v0`: the defaults above.
    """

    def __init__(
        self,
        probabilities: Sequence[float] = (0.5, 0.3, 0.2),
        rewards: Sequence[float] = (0.0, 1.0, 2.5),
        length: int = 20,
    ) -> None:
        p, r = (_numbers(name, value) for name, value in (("probabilities", probabilities), ("rewards", rewards)))
        if p.shape != r.shape or p.size < 2:
            raise EnvzooError(f"probabilities has {p.size} entries and rewards {r.size}; expected two or more of each")
        if (p <= 0).any() or abs(p.sum() - 1) > 1e-9:
            raise EnvzooError(f"probabilities is {p.tolist()}; expected positive numbers with the sum 1")
        length = check_whole("length", length, 1, 2**31)
        self.reference_policy = p / p.sum()
        self.reference_policy.setflags(write=False)
        self.parameters = Parameters(np.log(self.reference_policy), r, length)
        self.state = State(position=np.int64, total=np.float64)
        self.infos = Infos(log_p=np.float64, total=np.float64)
        self.limits = {"position": (0, length)}
        self.running_limits = {"position": (0, length - 1)}
        self.observation_space = spaces.Discrete(length + 1)
        self.action_space = spaces.Discrete(p.size)
        self.kernels = Kernels(reset, step, observe)

    def describe(self, state: State) -> str:
        """Tell the number of tokens and their reward."""
        return f"{int(state.position)} of {self.parameters.length} tokens, reward {float(state.total):g}"


def _numbers(name: str, value: Any) -> np.ndarray:
    array = read_array(name, value)
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise EnvzooError(f"{name} is {array.dtype} of shape {array.shape}; expected finite numbers (A,)")
    return array.astype(np.float64)


class MemorylessAlignEnv(KernelEnv):
    """Single environment of `MemorylessAlign`."""

    definition_class = MemorylessAlign

    @property
    def reference_policy(self) -> np.ndarray:
        """The base policy p, (A,)."""
        return self.definition.reference_policy


class MemorylessAlignVectorEnv(KernelVectorEnv):
    """Vector environment of `MemorylessAlign`."""

    definition_class = MemorylessAlign

    @property
    def reference_policy(self) -> np.ndarray:
        """The base policy p, (A,)."""
        return self.definition.reference_policy
