"""BernoulliBandit: independent arms with coins of unknown bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envzoo.errors import EnvzooError, shorten
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.outcomes import Outcomes
from envzoo.tabular.tabular_env import ModelEnv, ModelVectorEnv, Tabular


class BernoulliBandit(Tabular):
    """Independent arms with coins of unknown bias.

    ## Description
    The multi-armed bandit: arm a pays 1 with probability means[a], otherwise 0, in each of `horizon` rounds.
    `env.unwrapped.model()` returns the world as a `FiniteMDP` with one state.

    ## Action space
    `Discrete(len(means))`, the arm.

    ## Observation space
    `Discrete(1)`: there is nothing to see.

    ## Reward
    1 or 0.

    ## Start of an episode
    In the only state.

    ## End of an episode
    Terminates after `horizon` rounds.

    ## Arguments
    - `means` ((0.5, 0.6, 0.4, 0.45)): probabilities to pay, in [0, 1].
    - `horizon` (100): number of rounds; None for no end.

    ## Registered ids
    - `envzoo/BernoulliBandit-v0`: the defaults above.
    """

    def __init__(self, means: Sequence[float] = (0.5, 0.6, 0.4, 0.45), horizon: int | None = 100) -> None:
        try:
            law = np.array(means, np.float64)
        except (TypeError, ValueError):
            law = np.empty(0)
        if law.ndim != 1 or not law.size or not ((law >= 0) & (law <= 1)).all():
            raise EnvzooError(f"means is {shorten(repr(means))}; expected a sequence of probabilities")
        probability = np.stack([law, 1 - law], axis=-1)[None]
        outcomes = Outcomes(np.zeros(probability.shape, np.int64), probability, [[[1.0, 0.0]]])
        super().__init__(FiniteMDP.from_outcomes(outcomes, horizon=horizon))


class BernoulliBanditEnv(ModelEnv):
    """Single environment of `BernoulliBandit`."""

    definition_class = BernoulliBandit


class BernoulliBanditVectorEnv(ModelVectorEnv):
    """Vector environment of `BernoulliBandit`."""

    definition_class = BernoulliBandit
