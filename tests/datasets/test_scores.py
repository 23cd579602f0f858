"""Normalised scores, and what is said where they cannot be computed."""

from types import SimpleNamespace

import numpy as np
import pytest

from envzoo.datasets import normalised_scores, reference_returns
from envzoo.errors import DatasetError


def dataset(**metadata):
    return SimpleNamespace(id="test/x-v0", storage=SimpleNamespace(metadata=metadata))


def test_by_hand():
    found = normalised_scores(dataset(ref_min_score=-1.0, ref_max_score=3), np.array([-1.0, 1.0, 3.0, 5.0]))
    assert found.tolist() == [0.0, 50.0, 100.0, 150.0]
    assert found.std() == pytest.approx(100 / 4 * np.std([-1.0, 1.0, 3.0, 5.0]))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"ref_max_score": 1.0}, "has no ref_min_score in its metadata"),
        ({"ref_min_score": 1.0}, "has no ref_max_score"),
        ({"ref_min_score": 1.0, "ref_max_score": 1.0}, "expected two numbers, the larger one last"),
        ({"ref_min_score": "low", "ref_max_score": 1.0}, "expected two numbers"),
        ({"ref_min_score": float("nan"), "ref_max_score": 1.0}, "expected two numbers"),
    ],
)
def test_refusals(metadata, words):
    with pytest.raises(DatasetError, match=words):
        reference_returns(dataset(**metadata))
