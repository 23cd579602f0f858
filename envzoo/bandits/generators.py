"""Generators of last-switch-dependent bandits: random families and the two instances of Laforgue et al. (AISTATS 2022).

Every generator returns a `BanditModel`. Random generators take `seed`, a non-negative integer or a
`numpy.random.Generator`, which fully determines the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from envzoo.bandits.model import BanditModel, check_count, check_payoffs
from envzoo.errors import EnvzooError, unknown

LAFORGUE_VARIANTS = ("spike", "step")
# Payoff ranges of the bait family: of the baits before and from their threshold on, and of the constant arm.
BAIT_LOW, BAIT_HIGH, BAIT_CONSTANT = (0.31, 0.33), (0.6, 1.0), 0.3


def random_monotone(
    arms: int = 10,
    satiation: int = 5,
    deprivation: int = 10,
    *,
    seed: int | np.random.Generator,
    pulls_per_round: int = 1,
) -> BanditModel:
    """Draw each arm's payoffs uniformly from [0, 1), sorted in ascending order.

    Args:
        arms: K.
        satiation: M.
        deprivation: N.
        seed: See the module docstring.
        pulls_per_round: k.

    Raises:
        EnvzooError: A size is not a positive whole number, or the seed is invalid.
    """
    _check_sizes(arms=arms, satiation=satiation, deprivation=deprivation)
    table = np.sort(_generator(seed).random((arms, satiation + deprivation)), axis=1)
    return BanditModel(table, satiation, pulls_per_round)


def bait(
    arms: int = 3,
    satiation: int = 2,
    deprivation: int = 6,
    *,
    seed: int | np.random.Generator,
    threshold: int | None = None,
    pulls_per_round: int = 1,
) -> BanditModel:
    """Make arms that tempt a greedy player into pulling too early and, as the last arm, one that always pays 0.3.

    A bait pays slightly more than the constant arm (0.31 to 0.33) after one round of rest, far more (0.6 to 1) after
    `threshold` rounds of rest, and nothing while it is being pulled. Playing the constant arm until the baits have
    rested long enough is much better than the greedy policy.

    Args:
        arms: K, including the constant arm; at least 2.
        satiation: M.
        deprivation: N, at least 2.
        seed: See the module docstring.
        threshold: Rounds of rest from which baits pay the high payoff; None draws each from max(2, N // 2), ..., N.
        pulls_per_round: k.

    Raises:
        EnvzooError: A size is out of range, or the seed is invalid.
    """
    _check_sizes(satiation=satiation)
    check_count("arms", arms, 2)
    check_count("deprivation", deprivation, 2)
    generator, baits = _generator(seed), arms - 1
    low, high = generator.uniform(*BAIT_LOW, baits), generator.uniform(*BAIT_HIGH, baits)
    if threshold is None:
        ripe = generator.integers(max(2, deprivation // 2), deprivation + 1, baits)
    else:
        check_count("threshold", threshold, 1, deprivation, f"a deprivation of {deprivation}")
        ripe = np.full(baits, threshold)
    table = np.full((arms, satiation + deprivation), BAIT_CONSTANT)
    table[:-1, :satiation] = 0.0
    rested = np.arange(1, deprivation + 1)
    table[:-1, satiation:] = np.where(rested >= ripe[:, None], high[:, None], low[:, None])
    return BanditModel(table, satiation, pulls_per_round)


def satiation(
    arms: int = 10,
    satiation: int = 5,
    deprivation: int = 10,
    *,
    seed: int | np.random.Generator,
    pulls_per_round: int = 1,
) -> BanditModel:
    """Make arms whose payoff decays while pulled and recovers at rest: mu(-m) = c rho^m, mu(n) = c (1 - rho^n).

    For each arm c is uniform on [0.3, 1) and rho on [0.1, 0.5); for rho up to 1/2 the payoffs are also monotone from
    state -1 to state 1.

    Arguments and errors are those of `random_monotone`.
    """
    _check_sizes(arms=arms, satiation=satiation, deprivation=deprivation)
    generator = _generator(seed)
    scale, rate = generator.uniform(0.3, 1.0, (arms, 1)), generator.uniform(0.1, 0.5, (arms, 1))
    pulled, rested = np.arange(satiation, 0, -1), np.arange(1, deprivation + 1)
    table = np.concatenate([scale * rate**pulled, scale * (1.0 - rate**rested)], axis=1)
    return BanditModel(table, satiation, pulls_per_round)


def laforgue(
    variant: str = "spike",
    *,
    arms: int | None = None,
    position: int | None = None,
    max_delay: int | None = None,
    pulls_per_round: int = 1,
) -> BanditModel:
    """Make one of the two instances of Laforgue et al. (AISTATS 2022).

    The paper is "A Last Switch Dependent Analysis of Satiation and Seasonality in Bandits". Payoffs depend on the
    delay, the number of rounds since the last pull, so they are converted to states as in `recharging`. A greedy player
    does badly on both instances.

    - "spike" (5 arms, delays 1 to 10, position p = 3): arm 1 pays 0.95 at delay p and 0 at all others; arm 2 pays 0.96
      from delay 3p on, 0.16 at delay 2p and 0.14 otherwise; all other arms pay 0.15. Not monotone, hence made with
      `allow_nonmonotone=True`.
    - "step" (2 arms, delays 1 to 11, position p = 2): arm 0 pays 0.05; arm 1 pays 0.06 at delay 1, 0.95 from delay p
      on, and 0 in between (for p = 2 there is nothing in between, and the table is monotone); further arms pay 0.

    Args:
        variant: "spike" or "step".
        arms: K; None takes the number above, which is also the minimum.
        position: p; None takes the number above.
        max_delay: Largest distinct delay; None takes the number above.
        pulls_per_round: k.

    Raises:
        UnknownNameError: The variant is unknown.
        EnvzooError: A size is out of range.
    """
    if variant not in LAFORGUE_VARIANTS:
        raise unknown("variant of the Laforgue instance", variant, LAFORGUE_VARIANTS)
    default_arms, least, default_position, default_delay = (5, 3, 3, 10) if variant == "spike" else (2, 2, 2, 11)
    arms = default_arms if arms is None else arms
    max_delay = default_delay if max_delay is None else max_delay
    position = default_position if position is None else position
    check_count("arms", arms, least)
    check_count("max_delay", max_delay, 2)
    check_count("position", position, 1, max_delay, f"delays up to {max_delay}")
    delay = np.arange(1, max_delay + 1)
    if variant == "spike":
        table = np.full((arms, max_delay), 0.15)
        table[1] = np.where(delay == position, 0.95, 0.0)
        table[2] = np.select([delay >= 3 * position, delay == 2 * position], [0.96, 0.16], 0.14)
    else:
        table = np.zeros((arms, max_delay))
        table[0] = 0.05
        table[1] = np.select([delay >= position, delay == 1], [0.95, 0.06], 0.0)
    return recharging(table, pulls_per_round=pulls_per_round, allow_nonmonotone=True)


# ---------------------------------------------------------------------------- recharging


def recharging(payoffs: Any, *, pulls_per_round: int = 1, allow_nonmonotone: bool = False) -> BanditModel:
    """Convert a recharging bandit, whose payoffs depend on the delay since the last pull, to an LSD bandit.

    A pull in the round right after another has delay 1 and happens in a state below zero; after n rounds of rest the
    delay is n + 1. Hence mu(-1) = p(1) and mu(n) = p(n + 1), with one state below zero.

    Args:
        payoffs: (arms, D) mean payoffs at the delays 1, ..., D, D at least 2; longer delays count as D.
        pulls_per_round: k.
        allow_nonmonotone: Accept payoffs that decrease with the delay.

    Raises:
        EnvzooError: See `BanditModel`.
    """
    return BanditModel(check_payoffs(payoffs, 1, allow_nonmonotone=True), 1, pulls_per_round, allow_nonmonotone)


def delays(model: BanditModel) -> np.ndarray | None:
    """Return a model's payoffs by delay, (arms, D) at the delays 1, ..., D, or None if it is not a recharging bandit.

    It is one if no arm distinguishes between its states below zero.
    """
    pulled = model.payoffs[:, : model.satiation]
    return model.payoffs[:, model.satiation - 1 :].copy() if (pulled == pulled[:, :1]).all() else None


def random_recharging(
    arms: int = 10, max_delay: int = 10, *, seed: int | np.random.Generator, pulls_per_round: int = 1
) -> BanditModel:
    """Draw a recharging bandit whose payoffs are uniform on [0, 1), in ascending order of the delay.

    Args:
        arms: K.
        max_delay: D, at least 2.
        seed: See the module docstring.
        pulls_per_round: k.

    Raises:
        EnvzooError: A size is out of range, or the seed is invalid.
    """
    _check_sizes(arms=arms)
    check_count("max_delay", max_delay, 2)
    return recharging(np.sort(_generator(seed).random((arms, max_delay)), axis=1), pulls_per_round=pulls_per_round)


def concave_recharging(
    arms: int = 10, max_delay: int = 10, *, seed: int | np.random.Generator, pulls_per_round: int = 1
) -> BanditModel:
    """Draw a recharging bandit with diminishing gains from waiting: p(d) = c (1 - rho^d).

    For each arm c is uniform on [0.3, 1) and rho on [0.3, 0.95). Concave payoffs are the case studied by Kleinberg and
    Immorlica ("Recharging Bandits", FOCS 2018).

    Arguments and errors are those of `random_recharging`.
    """
    _check_sizes(arms=arms)
    check_count("max_delay", max_delay, 2)
    generator = _generator(seed)
    scale, rate = generator.uniform(0.3, 1.0, (arms, 1)), generator.uniform(0.3, 0.95, (arms, 1))
    table = scale * (1.0 - rate ** np.arange(1, max_delay + 1))
    return recharging(table, pulls_per_round=pulls_per_round)


# ---------------------------------------------------------------------------- by name

LSD_GENERATORS: dict[str, Callable[..., BanditModel]] = {
    "random_monotone": random_monotone,
    "bait": bait,
    "satiation": satiation,
    "laforgue": laforgue,
}
RECHARGING_GENERATORS: dict[str, Callable[..., BanditModel]] = {
    "random": random_recharging,
    "concave": concave_recharging,
    "laforgue": laforgue,
}


def _check_sizes(**sizes: Any) -> None:
    for name, value in sizes.items():
        check_count(name, value, 1)


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise EnvzooError(f"seed is {seed!r}; expected a whole number of at least 0 or a numpy.random.Generator")
    return np.random.default_rng(int(seed))
