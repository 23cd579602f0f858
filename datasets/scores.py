"""Normalised scores: 0 for the random policy, 100 for the reference of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.datasets.hosted import hosted_references
from envzoo.errors import DatasetError

if TYPE_CHECKING:
    from minari import MinariDataset

NAMES = ("ref_min_score", "ref_max_score")


def reference_returns(dataset: MinariDataset) -> tuple[float, float]:
    """Read the returns of the random policy and of the reference from a dataset's metadata.

    Of datasets that Minari hosts without them, those of `envzoo.datasets.hosted` are taken.

    Raises:
        DatasetError: The metadata lack one of them, or they are no numbers in increasing order.
    """
    metadata = dataset.storage.metadata
    found = [metadata.get(name) for name in NAMES]
    if found == [None, None]:
        found = list(hosted_references(dataset.id) or found)
    for name, value in zip(NAMES, found, strict=True):
        if value is None:
            raise DatasetError(f"dataset {dataset.id} has no {name} in its metadata, so returns cannot be normalised")
    low, high = (float(value) if isinstance(value, int | float | np.number) else np.nan for value in found)
    if not np.isfinite([low, high]).all() or low >= high:
        raise DatasetError(
            f"dataset {dataset.id} has the reference scores {found[0]!r} and {found[1]!r}; expected two numbers, the "
            "larger one last"
        )
    return low, high


def normalised_scores(dataset: MinariDataset, returns: np.ndarray) -> np.ndarray:
    """Compute 100 (R - R_random) / (R_reference - R_random) of undiscounted returns; same shape.

    Minari's `get_normalized_score` lacks the factor of 100. A standard deviation of returns is normalised by the
    difference of the references alone, which the standard deviation of these scores is.

    Raises:
        DatasetError: See `reference_returns`.
    """
    low, high = reference_returns(dataset)
    return 100 * (np.asarray(returns, np.float64) - low) / (high - low)
