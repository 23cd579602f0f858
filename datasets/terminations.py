"""Terminations that undiscounted values need."""

from __future__ import annotations

from envzoo.datasets.table import TransitionTable
from envzoo.errors import DatasetError


def check_sums_are_finite(table: TransitionTable, gamma: float, dataset: str, values: str) -> None:
    """Refuse gamma = 1 on a dataset without terminations, where values are infinite sums.

    Args:
        table: Transitions of the dataset.
        gamma: Discount factor.
        dataset: Id of the dataset, for the message.
        values: Whose values they are, for the message, such as "the values of IQL".

    Raises:
        DatasetError: gamma is 1, and no transition ends its episode by termination.
    """
    if gamma == 1 and not table.terminals.any():
        raise DatasetError(
            f"dataset {dataset} has no terminations, without which {values} are infinite sums with gamma=1; expected a "
            "gamma below 1"
        )
