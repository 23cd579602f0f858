"""MultiRewardBandit: one step, several rewards, and a domain that decides their weights (paper 31)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    domains: int
    rewards: np.ndarray  # float64 (K, arms)


class State(NamedTuple):
    """State of one episode."""

    domain: Any


class Infos(NamedTuple):
    """Infos of every reset and step."""

    rewards: Any
    domain: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.domain[i] = integer(streams, i, parameters.domains)
            infos.rewards[i] = 0.0
            infos.domain[i] = state.domain[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            total = 0.0
            for k in range(parameters.rewards.shape[0]):
                infos.rewards[i, k] = parameters.rewards[k, actions[i]]
                total += parameters.rewards[k, actions[i]]
            infos.domain[i] = state.domain[i]
            rewards[i] = total / parameters.rewards.shape[0]
            terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the domain."""
    for i in range(state.domain.size):
        observation[i] = state.domain[i]


class MultiRewardBandit(Definition):
    """One choice of an arm, several rewards, and a domain that decides their weights.

    ## Description
    Each arm pays K rewards at once, which `MultiReward` mixes with weights that depend on the domain. With the default
    rewards (1, 0, 0.6) and (0, 1, 0.6) and weights (w, 1 - w), the best arm is 1 for w < 0.4, the compromise 2 for
    0.4 < w < 0.6, and 0 for w > 0.6: it jumps at two weights although the mixture is continuous (arXiv 2507.20150).

    ## Action space
    `Discrete(arms)`.

    ## Observation space
    `Discrete(domains)`.

    ## Reward
    The mean of the K rewards of the arm.

    ## Info
    `rewards`: the K rewards of the arm, 0 after a reset; `domain`.

    ## Start of an episode
    A domain drawn uniformly.

    ## End of an episode
    Terminates after one step.

    ## Arguments
    - `rewards` (((1, 0, 0.6), (0, 1, 0.6))): a sequence of rewards for each of the K parts.
    - `domains` (1): number of domains.

    ## Registered ids
    - `envzoo/MultiRewardBandit-v0`: the defaults above.
    """

    def __init__(
        self, rewards: Sequence[Sequence[float]] = ((1.0, 0.0, 0.6), (0.0, 1.0, 0.6)), domains: int = 1
    ) -> None:
        try:
            table = np.array(rewards, np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
            raise EnvzooError(f"rewards is {shorten(repr(rewards))}; expected K sequences of one finite number per arm")
        domains = check_whole("domains", domains, 1, 10**6)
        self.parameters = Parameters(domains, table)
        self.observation_space = spaces.Discrete(domains)
        self.action_space = spaces.Discrete(table.shape[1])
        self.kernels = Kernels(reset, step, observe)
        self.state = State(np.int64)
        self.infos = Infos((np.float64, (len(table),)), np.int64)
        self.limits = {"domain": (0, domains - 1)}

    def describe(self, state: State) -> str:
        """Name the domain."""
        return f"domain {int(state.domain)}"

    def draw(self, state: State) -> np.ndarray:
        """Draw a bar for every arm and part of the reward."""
        table = self.parameters.rewards
        parts, arms = table.shape
        canvas = art.Canvas(max(120, 14 * parts * arms + 10 * arms), 120, art.PAPER)
        top = max(1e-9, float(np.abs(table).max()))
        for arm in range(arms):
            for k in range(parts):
                x, height = 8 + arm * (14 * parts + 10) + 14 * k, 90 * abs(table[k, arm]) / top
                canvas.rectangle(x, 105 - height, x + 12, 106, (art.BLUE, art.ORANGE, art.GREEN)[k % 3])
        return canvas.image()


class MultiRewardBanditEnv(KernelEnv):
    """Single environment of `MultiRewardBandit`."""

    definition_class = MultiRewardBandit


class MultiRewardBanditVectorEnv(KernelVectorEnv):
    """Vector environment of `MultiRewardBandit`."""

    definition_class = MultiRewardBandit
