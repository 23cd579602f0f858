"""The references that `envzoo bench memory` compares with compute what our layers compute."""

import pytest
import torch

from envzoo.agents.networks.sequence import segmented_scan
from envzoo.agents.networks.sequence.mamba import SelectiveScan
from envzoo.scripts.bench import memory


def test_the_loops_compute_the_same_as_the_scans():
    generator = torch.Generator().manual_seed(3)
    a = torch.rand(9, 2, 4, generator=generator)
    b = torch.randn(9, 2, 4, generator=generator)
    torch.testing.assert_close(memory._loop(a, b), segmented_scan(a, b))
    core = SelectiveScan(8, 4, 2, generator=generator)
    u = torch.randn(9, 2, 8, generator=generator)
    torch.testing.assert_close(memory._plain_selective_scan(core, u), core(u, torch.zeros(2, 8, 4), None)[0])


@pytest.mark.parametrize("name", memory.WORLDS)
def test_a_world_without_popgym_has_a_row_that_says_so(name, monkeypatch):
    monkeypatch.setattr(memory, "EPISODES", 4)
    monkeypatch.setattr(memory, "WORLD_STEPS", 2)
    ours, theirs = memory._world(name, "envzoo.no_such_module", None, 1)
    assert ours.value > 0
    assert theirs.note == "popgym is not installed"
    assert theirs.passed is None
