"""Model of last-switch-dependent (LSD) bandits: states of the arms, their transitions, and payoffs.

An arm is in state tau = n > 0 if it has rested for the last n rounds, and in tau = -m < 0 if it was pulled in each of
the last m rounds; 0 is not a state. States are capped at `deprivation` above and at -`satiation` below. A table of mean
payoffs has shape (arms, satiation + deprivation): its columns are the states -satiation, ..., -1, 1, ..., deprivation,
in this order. Code that steps many arms uses the *column* of a state, 0 to satiation + deprivation - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel.arguments import MOST

# Decrease between neighbouring payoffs up to which a table still counts as non-decreasing. Averaged or scaled tables
# have rounding errors of this order.
TOLERANCE = 1e-12


class WithModel:
    """Mixin of the single and vector environments of bandits."""

    @property
    def model(self) -> BanditModel:
        """Instance of the bandit: payoff table, states and pulls per round."""
        return self.definition.model


@dataclass(frozen=True, eq=False)
class BanditModel:
    """A complete LSD bandit, with everything a planner needs.

    Attributes:
        payoffs: (arms, satiation + deprivation) float64, mean payoff of a pull by arm and state, read-only.
        satiation: M, the number of states below zero, at least 1.
        pulls_per_round: k, the largest number of arms that may be pulled in one round.
        allow_nonmonotone: Accept tables that decrease somewhere, for which planners give no guarantee.

    Raises:
        EnvzooError: The table is empty, not two-dimensional, not finite, negative, or (unless allowed) has a decreasing
            row; or the satiation or the number of pulls does not fit it.
    """

    payoffs: np.ndarray
    satiation: int
    pulls_per_round: int = 1
    allow_nonmonotone: bool = False

    def __post_init__(self):
        payoffs = check_payoffs(self.payoffs, self.satiation, allow_nonmonotone=self.allow_nonmonotone).copy()
        payoffs.flags.writeable = False
        object.__setattr__(self, "payoffs", payoffs)
        object.__setattr__(self, "satiation", int(self.satiation))
        check_pulls_per_round(self.pulls_per_round, self.arms)
        object.__setattr__(self, "pulls_per_round", int(self.pulls_per_round))

    def __call__(self) -> BanditModel:
        """Return itself, so that `env.unwrapped.model()` works beside `env.unwrapped.model` (see `HasModel`)."""
        return self

    @property
    def arms(self) -> int:
        """Number of arms, K."""
        return self.payoffs.shape[0]

    @property
    def num_states(self) -> int:
        """Number of states of each arm, satiation + deprivation."""
        return self.payoffs.shape[1]

    @property
    def deprivation(self) -> int:
        """Number of states above zero, N."""
        return self.num_states - self.satiation

    @property
    def states(self) -> np.ndarray:
        """States in the order of the columns, int64 (num_states,)."""
        return states(self.satiation, self.deprivation)

    @property
    def monotone(self) -> bool:
        """Whether every arm's payoffs are non-decreasing over its states."""
        return first_decrease(self.payoffs) is None

    def column(self, state: Any) -> np.ndarray:
        """Return the columns of states; see `column_of_state`."""
        return column_of_state(state, self.satiation, self.deprivation)

    def transitions(self) -> np.ndarray:
        """Return the next columns by action and column, (2, num_states) int64; see `transitions`."""
        return transitions(self.satiation, self.deprivation)


# ---------------------------------------------------------------------------- states


def states(satiation: int, deprivation: int) -> np.ndarray:
    """Return the states in the order of the columns: -satiation, ..., -1, 1, ..., deprivation, int64."""
    return np.concatenate([np.arange(-satiation, 0), np.arange(1, deprivation + 1)])


def column_of_state(state: Any, satiation: int, deprivation: int) -> np.ndarray:
    """Return the columns of states, capped: tau > 0 -> satiation + tau - 1, tau < 0 -> satiation + tau.

    Args:
        state: Nonzero integers of any shape; those beyond a cap count as the cap.
        satiation: M.
        deprivation: N.

    Returns:
        int64, the shape of `state`.

    Raises:
        EnvzooError: A state is 0, which is not a state, or not an integer.
    """
    tau = np.asarray(state)
    if tau.dtype.kind not in "iu" or (tau == 0).any():
        raise EnvzooError(
            f"{state!r} is not a state of an arm; expected integers from {-satiation} to {deprivation} except 0"
        )
    tau = np.clip(tau.astype(np.int64), -satiation, deprivation)
    return np.where(tau > 0, satiation + tau - 1, satiation + tau)


def state_of_column(column: Any, satiation: int) -> np.ndarray:
    """Return the states of columns, the inverse of `column_of_state`, int64 in the shape of `column`."""
    column = np.asarray(column, np.int64)
    return np.where(column >= satiation, column - satiation + 1, column - satiation)


def transitions(satiation: int, deprivation: int) -> np.ndarray:
    """Return the next column by action and column, int64 (2, satiation + deprivation); action 1 is a pull, 0 a rest.

    Pulled: tau > 0 -> -1 and tau < 0 -> tau - 1. Rested: tau > 0 -> tau + 1 and tau < 0 -> 1. Both are capped.
    """
    column = np.arange(satiation + deprivation)
    pulled = np.maximum(np.minimum(column, satiation) - 1, 0)
    rested = np.minimum(np.maximum(column, satiation - 1) + 1, satiation + deprivation - 1)
    return np.stack([rested, pulled])


# ---------------------------------------------------------------------------- checks


def first_decrease(payoffs: np.ndarray) -> tuple[int, int] | None:
    """Return arm and column of the first payoff that is larger than the next one in its row, or None.

    Args:
        payoffs: (arms, columns).
    """
    found = np.argwhere(np.diff(payoffs, axis=1) < -TOLERANCE)
    return None if found.size == 0 else (int(found[0, 0]), int(found[0, 1]))


def check_payoffs(payoffs: Any, satiation: Any, *, allow_nonmonotone: bool = False) -> np.ndarray:
    """Return a table of mean payoffs as a C-contiguous float64 array, or raise an error that says what is wrong.

    Args:
        payoffs: (arms, satiation + deprivation).
        satiation: M, at least 1 and less than the number of columns, so that there are states on both sides of 0.
        allow_nonmonotone: Whether rows may decrease.

    Raises:
        EnvzooError: See `BanditModel`.
    """
    try:
        table = np.ascontiguousarray(payoffs, np.float64)
    except (TypeError, ValueError):
        raise EnvzooError(
            "payoffs are not a numeric table; expected an array of shape (arms, satiation + deprivation)"
        ) from None
    if table.ndim != 2 or not table.size or np.ndim(payoffs) != 2:
        raise EnvzooError(
            f"payoffs have the shape {np.shape(payoffs)}; expected (arms, satiation + deprivation), at least one arm "
            "and two states"
        )
    if table.shape[1] < 2:
        raise EnvzooError(f"payoffs have {table.shape[1]} state; expected at least two, one on each side of 0")
    check_count("satiation", satiation, 1, table.shape[1] - 1, f"a table of {table.shape[1]} states")
    for wrong, what, expected in (
        (~np.isfinite(table), "not finite", "finite numbers"),
        (table < 0, "negative", "at least 0"),
    ):
        if wrong.any():
            arm, column = np.argwhere(wrong)[0]
            raise EnvzooError(
                f"the payoff of arm {arm} in state {state_of_column(column, int(satiation))} is {table[arm, column]}, "
                f"which is {what}; expected {expected}"
            )
    decrease = None if allow_nonmonotone else first_decrease(table)
    if decrease is not None:
        arm, column = decrease
        before, after = state_of_column([column, column + 1], int(satiation))
        raise EnvzooError(
            f"the payoffs of arm {arm} decrease from {table[arm, column]:.6g} in state {before} to "
            f"{table[arm, column + 1]:.6g} in state {after}; expected non-decreasing rows, or allow_nonmonotone=True, "
            "which withdraws the guarantee"
        )
    return table


def check_pulls_per_round(pulls_per_round: Any, arms: int) -> None:
    """Raise EnvzooError unless `pulls_per_round` is a whole number from 1 to `arms`."""
    check_count("pulls_per_round", pulls_per_round, 1, arms, f"{arms} arm{'s' if arms > 1 else ''}")


def check_count(name: str, value: Any, least: int, most: int | None = None, of: str = "") -> None:
    """Raise EnvzooError, naming the nearest valid choice, unless `value` is a whole number from `least` to `most`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if whole and most is None and value > MOST:
        most = MOST
    if whole and value >= least and (most is None or value <= most):
        return
    reach = f"of at least {least}" if most is None else f"from {least} to {most}"
    nearest = "" if not whole else f", the nearest is {least if value < least else most}"
    raise EnvzooError(
        f"{name} is {shorten(repr(value))}; expected a whole number {reach}{' for ' + of if of else ''}{nearest}"
    )
