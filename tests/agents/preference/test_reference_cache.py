"""Log-probabilities of the reference on disk."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.preference import offline
from envzoo.agents.preference.reference_cache import scores_folder
from envzoo.agents.source import Preferences

DATA = Preferences(("x", "y", "xy"), ("ab", "ba", "b"), ("a", "b", "bb"))
SMALL = {
    "batch_size": 2, "sft_updates": 1, "sft_batch": 4, "model_dim": 8, "model_layers": 1, "model_heads": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ENVZOO_CACHE", str(tmp_path))


def make(data=DATA, name="DPO", **changes):
    return agents.make(name, data, seed=1, device="cpu", **SMALL, **changes)


def weights(agent):
    return torch.cat([p.detach().flatten() for p in agent.policy.parameters()])


def counted(monkeypatch):
    calls = []
    compute = offline.OfflinePreference._reference_scores
    monkeypatch.setattr(offline.OfflinePreference, "_reference_scores", lambda self: calls.append(1) or compute(self))
    return calls


def test_what_is_read_is_what_was_computed(monkeypatch):
    calls = counted(monkeypatch)
    first, second = make().learn(6), make().learn(6)
    assert calls == [1]
    never = make(reference_cache=False).learn(6)
    assert calls == [1, 1]
    assert torch.equal(weights(first), weights(second))
    assert torch.equal(weights(first), weights(never))
    assert len(list(scores_folder().iterdir())) == 1


@pytest.mark.parametrize("change", ["weights", "data", "kto"])
def test_whatever_they_depend_on_is_in_the_name(change, monkeypatch):
    make().learn(2)
    calls = counted(monkeypatch)
    if change == "weights":
        make(sft_learning_rate=0.5).learn(2)
    elif change == "data":
        make(Preferences(DATA.prompts, DATA.chosen, ("a", "b", "ba"))).learn(2)
    else:
        make(name="KTO").learn(2)
    assert calls == [1]


@pytest.mark.parametrize("damage", ["cut", "rows", "nan"])
def test_damaged_files_are_replaced(damage):
    whole = make().learn(6)
    (path,) = scores_folder().iterdir()
    before = path.read_bytes()
    if damage == "cut":
        path.write_bytes(before[:-3])
    else:
        from safetensors.torch import save

        path.write_bytes(save({"pairs": torch.zeros(2, 2) if damage == "rows" else torch.full((3, 2), np.nan)}))
    with pytest.warns(UserWarning, match="cannot be read .*; they are computed again"):
        again = make().learn(6)
    assert torch.equal(weights(whole), weights(again))
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "reference").write_text("")
    with pytest.warns(UserWarning, match="are used but not kept"):
        make().learn(2)
