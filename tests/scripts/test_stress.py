"""The stress run: one seed gives the same bits wherever arrays lie, and a bit that differs would be seen."""

import numpy as np
import pytest
import torch

from envzoo.errors import EnvzooError
from envzoo.scripts import stress


@pytest.mark.parametrize("name", ["GRPO", "D3S"])
def test_repetitions_among_random_allocations_give_the_same_bits(name):
    assert stress.count_differing(stress.RUNS[name], 5) == 0


def test_a_digest_sees_every_bit_and_every_name():
    trees = [
        {"a": [np.float32(1), np.zeros(3, np.float32)], "b": torch.zeros(2)},
        {"a": [np.float32(1), np.zeros(3, np.float64)], "b": torch.zeros(2)},
        {"a": [np.float32(1), np.zeros(3, np.float32)], "b": torch.tensor([0.0, -0.0])},
        {"a": [np.nextafter(np.float32(1), np.float32(2)), np.zeros(3, np.float32)], "b": torch.zeros(2)},
        {"a": [np.float32(1), np.zeros((1, 3), np.float32)], "b": torch.zeros(2)},
        {"c": [np.float32(1), np.zeros(3, np.float32)], "b": torch.zeros(2)},
    ]
    assert len({stress.digest(tree) for tree in trees}) == len(trees)
    assert stress.digest(trees[0]) == stress.digest(trees[0])


def test_differing_repetitions_are_counted(monkeypatch, capsys):
    found = iter(["same", "same", "other", "same", "other"])
    monkeypatch.setattr(stress, "repeat", lambda run, clutter: next(found))
    assert stress.main(["--repetitions", "4", "--only", "PPO"]) == 1
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("PPO"))
    assert row.split()[:3] == ["PPO", "4", "2"]


def test_stirring_leaves_holes_between_blocks():
    clutter = stress.Clutter(0)
    clutter.stir()
    assert sum(block is not None for block in clutter.held) == clutter.blocks // 4
    before = list(clutter.held)  # the blocks themselves: the address of a freed one is soon another's
    clutter.stir()
    kept = sum(new is not None and new is old for old, new in zip(before, clutter.held, strict=True))
    assert 0 < kept < clutter.blocks // 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--repetitions", "0"], "repetitions must be at least 1"), (["--only", "GRPA"], "did you mean")],
)
def test_wrong_options_give_one_clear_sentence(arguments, message):
    with pytest.raises(EnvzooError, match=message):
        stress.main(arguments)
