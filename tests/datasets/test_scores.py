"""Normalised scores, and what is said where they cannot be computed."""

from types import SimpleNamespace

import numpy as np
import pytest

from envzoo.datasets import normalised_scores, reference_returns
from envzoo.datasets.hosted import REFERENCES
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


@pytest.mark.parametrize(
    ("dataset_id", "low", "high"),
    [
        ("mujoco/hopper/medium-v0", -20.272305, 3234.3),
        ("mujoco/halfcheetah/expert-v0", -280.178953, 12135.0),
        ("D4RL/door/human-v2", -56.512833, 2880.5693087298737),
    ],
)
def test_hosted_datasets_have_the_references_of_d4rl(dataset_id, low, high):
    hosted = SimpleNamespace(id=dataset_id, storage=SimpleNamespace(metadata={}))
    assert reference_returns(hosted) == (low, high)
    own = SimpleNamespace(id=dataset_id, storage=SimpleNamespace(metadata={"ref_min_score": 1.0, "ref_max_score": 2.0}))
    assert reference_returns(own) == (1.0, 2.0)  # a dataset's own come first
    half = SimpleNamespace(id=dataset_id, storage=SimpleNamespace(metadata={"ref_min_score": 1.0}))
    with pytest.raises(DatasetError, match="has no ref_max_score"):
        reference_returns(half)


def test_other_datasets_have_none():
    for dataset_id in (
        "mujoco/humanoid/expert-v0",
        "D4RL/pointmaze/umaze-v2",
        "mujoco/hopper-v0",
        "x/mujoco/hopper/a-v0",
    ):
        hosted = SimpleNamespace(id=dataset_id, storage=SimpleNamespace(metadata={}))
        with pytest.raises(DatasetError, match="has no ref_min_score"):
            reference_returns(hosted)


def test_every_pair_of_the_table_is_in_order():
    assert all(low < high and prefix.endswith("/") for prefix, (low, high) in REFERENCES.items())
