"""LuckyBandit: rewards by luck, for agents that condition on the return (28)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.offline.finite_world import FiniteWorld, ModelOfWorld


class LuckyBandit(FiniteWorld):
    """A bandit whose rewards are a matter of luck.

    ## Description
    One state, one step. In `envzoo/lucky-bandit/p10-v0` the behaviour policy pulls the good arm, which pays 1 with
    probability 0.9, one time in ten only; then half of the rewarded pulls are of each arm, and an agent that imitates
    what was rewarded pulls both equally often. In the jackpot form, imitating the largest reward means to pull the arm
    that pays 100 one time in a hundred. Designed after the first experiment of Dichotomy of Control (Yang et al., arXiv
    2210.13435).

    ## Action space
    `Discrete(len(probabilities))`: the arm to pull.

    ## Observation space
    `Discrete(1)`: always 0.

    ## Reward
    Arm i pays `rewards[i]` with probability `probabilities[i]`, and otherwise 0.

    ## End of an episode
    Terminates after the first step. `env.unwrapped.model()` is the exact model.

    ## Arguments
    - `probabilities` ((0.1, 0.9)): probability that an arm pays.
    - `rewards` ((1.0, 1.0)): what it then pays.

    ## Registered ids
    - `envzoo/LuckyBandit-v0`
    - `envzoo/LuckyBandit-Jackpot-v0`: arm 0 pays 100 with probability 0.01, arm 1 pays 5 always.
    """

    def __init__(self, probabilities: Sequence[float] = (0.1, 0.9), rewards: Sequence[float] = (1.0, 1.0)) -> None:
        try:
            p, r = np.array(probabilities, np.float64), np.array(rewards, np.float64)
        except (TypeError, ValueError):
            p, r = np.empty(0), np.empty(0)
        if (
            p.ndim != 1
            or not p.size
            or p.shape != r.shape
            or not ((p >= 0) & (p <= 1)).all()
            or not np.isfinite(r).all()
        ):
            raise EnvzooError(
                f"probabilities and rewards are {shorten(repr(probabilities))} and {shorten(repr(rewards))}; expected "
                "as many probabilities as finite rewards, one for each arm"
            )
        outcomes = np.stack([p, 1 - p], axis=-1)[None]
        payoffs = np.stack([r, np.zeros_like(r)], axis=-1)[None]
        zeros = np.zeros(outcomes.shape, np.int64)
        self.set_up(outcomes, zeros, payoffs, np.ones(outcomes.shape, bool), gamma=1.0, first=np.ones(1))


class LuckyBanditEnv(ModelOfWorld, KernelEnv):
    """Single environment of `LuckyBandit`."""

    definition_class = LuckyBandit


class LuckyBanditVectorEnv(ModelOfWorld, KernelVectorEnv):
    """Vector environment of `LuckyBandit`."""

    definition_class = LuckyBandit
