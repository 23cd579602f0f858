"""TwoStateRealizable: two states and one feature, whose distance from Bellman completeness is a closed form (24)."""

from __future__ import annotations

import numpy as np

from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number
from envzoo.offline.finite_world import FiniteWorld, ModelOfWorld, single_outcomes


class TwoStateRealizable(FiniteWorld):
    """Two states, one action and one feature that represents the value function exactly, but not its Bellman backups.

    ## Description
    State 0 leads to state 1, which leads to itself. The only feature is 1 in state 0 and `k` in state 1, and rewards
    are chosen such that the values are exactly (1, k): a linear function of the feature with weight 1. So the class of
    linear functions contains the value function ("realizability"), while its Bellman backups leave the class by an
    amount that depends on `k`. Designed for the claim of Zanette ("When is Realizability Sufficient for Off-Policy
    Reinforcement Learning?", arXiv 2211.05311) that the error of off-policy evaluation grows like 1 / sqrt(1 - beta^2),
    where beta measures this incompleteness.

    ## Action space
    `Discrete(1)`.

    ## Observation space
    `Discrete(2)`: the state.

    ## Dynamics
    State 0 -> 1, state 1 -> 1. With `stay` above 0, state 0 stays with that probability.

    ## Reward
    The mean reward of state 0 is 1 - `gamma` (`stay` + (1 - `stay`) k), that of state 1 is k (1 - `gamma`); normal
    noise of standard deviation `noise` is added.

    ## Info
    After every reset and step: `phi`, float64 (1, 1), the feature of the state.

    ## Start of an episode
    Either state with probability 1/2, or `reset(options={"start": state})`.

    ## End of an episode
    Never terminates; the registered id truncates after 50 steps. `env.unwrapped.model()` is the exact model with the
    discount `gamma`.

    ## Arguments
    - `k` (1.2): feature of state 1. The class is complete (beta = 0) for k = 0 and k = 1. With `gamma` 0.9 and both
    states equally frequent, temporal differences diverge for k between 1.2984 and 7.7016.
    - `gamma` (0.9): discount factor, below 1.
    - `noise` (0.5): standard deviation of the noise of the rewards.
    - `stay` (0.0): probability of staying in state 0.

    ## Registered ids
    - `envzoo/TwoStateRealizable-v0`
    """

    def __init__(self, k: float = 1.2, gamma: float = 0.9, noise: float = 0.5, stay: float = 0.0) -> None:
        k = check_number("k", k, -1e6, 1e6)
        gamma = check_number("gamma", gamma, 0, 1 - 1e-9)
        stay = check_number("stay", stay, 0, 1)
        noise = check_number("noise", noise, 0)
        p = np.array([[[stay, 1 - stay]], [[0.0, 1.0]]])
        self.values = np.array([1.0, k])
        self.features = self.values.reshape(2, 1, 1)
        r = (self.values - gamma * p[:, 0] @ self.values)[:, None]
        first = np.array([0.5, 0.5])
        self.set_up(*single_outcomes(p, r), gamma=gamma, first=first, noise=noise, features=self.features)


class TwoStateRealizableEnv(ModelOfWorld, KernelEnv):
    """Single environment of `TwoStateRealizable`."""

    definition_class = TwoStateRealizable


class TwoStateRealizableVectorEnv(ModelOfWorld, KernelVectorEnv):
    """Vector environment of `TwoStateRealizable`."""

    definition_class = TwoStateRealizable
