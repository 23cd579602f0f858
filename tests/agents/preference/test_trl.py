"""The preference losses in TRL's DPO trainer, against TRL's own losses on the same batches."""

import logging
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")

from safetensors.torch import load_file
from trl import DPOConfig, DPOTrainer

from datasets import Dataset
from envzoo.agents.preference import named
from envzoo.agents.preference.degree import degree_loss, ordinal_loss
from envzoo.agents.preference.trl import AVAILABLE, DegreeTrainer, PreferenceTrainer
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.bench.text_trl import character_tokenizer, tiny_llama
from envzoo.scripts.make_dataset import make_dataset

PRINTABLE = "".join(map(chr, range(32, 127)))
PAIRS = [
    {"prompt": "2+2=", "chosen": "4", "rejected": "22"},
    {"prompt": "say abc:", "chosen": "abc", "rejected": "a"},
    {"prompt": "x", "chosen": "yes", "rejected": "no"},
    {"prompt": "1,2,", "chosen": "3,4", "rejected": "7"},
]


def make(folder, cls=PreferenceTrainer, settings=None, **keywords):
    logging.getLogger("trl").setLevel(logging.ERROR)
    tokenizer = character_tokenizer(PRINTABLE)
    plain = {
        "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "logging_strategy": "no",
        "disable_tqdm": True, "per_device_train_batch_size": 4, "max_steps": 2, "learning_rate": 1e-2,
        "dataloader_pin_memory": False, "beta": 0.3, "gradient_checkpointing": False,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(
            tiny_llama(len(tokenizer), 64, 16, 1, 2), ref_model=tiny_llama(len(tokenizer), 64, 16, 1, 2),
            args=DPOConfig(str(folder), **plain | (settings or {})),
            train_dataset=Dataset.from_list(PAIRS), processing_class=tokenizer, **keywords,
        )  # fmt: skip


def batch_of(trainer):
    return next(iter(trainer.get_train_dataloader()))


def moved(trainer):
    """Move the policy away from its reference, the same in every trainer."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return trainer


@pytest.mark.parametrize(
    ("name", "loss_type", "own"),
    [("dpo", "sigmoid", {"beta": 0.3}), ("ipo", "ipo", {"beta": 0.3, "length_normalized": True})],
)
def test_losses_and_gradients_are_those_of_trl(tmp_path, name, loss_type, own):
    theirs = moved(make(tmp_path / "a", DPOTrainer, {"loss_type": [loss_type]}))
    ours = moved(make(tmp_path / "b", preference_loss=name, loss_settings=own))
    inputs = batch_of(theirs)
    losses = [trainer._compute_loss(trainer.model, inputs, False) for trainer in (theirs, ours)]
    assert float(losses[0].detach()) == pytest.approx(float(losses[1].detach()), rel=1e-5)
    for loss in losses:
        loss.backward()
    for one, other in zip(theirs.model.parameters(), ours.model.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_loss_trains(tmp_path, name):
    trainer = make(tmp_path, preference_loss=name)
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    trainer.train()
    assert trainer.state.global_step == 2
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def facts(text):
    return [(k, k + 1) for k, sign in enumerate(text) if sign.isalnum()]


@pytest.mark.parametrize("form", ["classes", "ordinal"])
def test_degrees_add_the_loss_of_the_agent(tmp_path, form):
    plain = make(tmp_path / "a", preference_loss="dpo")
    trainer = make(tmp_path / "b", DegreeTrainer, degree_form=form, degree_coefficient=0.7, extractor=facts)
    inputs = batch_of(trainer)
    base = float(plain._compute_loss(plain.model, inputs, False).detach())
    whole = trainer._compute_loss(trainer.model, inputs, False)
    # By hand: each copy alone, without padding.
    rows, valid = trainer._copies(inputs)
    head, scores = trainer.model.degree_head, []
    for row in rows:
        states = trainer.model(input_ids=torch.tensor([row]), output_hidden_states=True).hidden_states[-1]
        scores.append(head(states[0, -1]))
    scores, valid = torch.stack(scores).view(4, 3, -1), torch.tensor(valid)
    grade = ordinal_loss(scores[..., 0], valid) if form == "ordinal" else degree_loss(scores, valid)
    assert float(whole.detach()) == pytest.approx(base + 0.7 * float(grade[0].detach()), rel=1e-4)
    whole.backward()
    assert head.weight.grad.abs().sum() > 0


def test_copies_lose_key_content_and_keep_prompt_and_end(tmp_path):
    trainer = make(tmp_path, DegreeTrainer, extractor=facts)
    inputs = batch_of(trainer)
    rows, valid = trainer._copies(inputs)
    tokenizer, end = trainer.processing_class, trainer.processing_class.eos_token_id
    first = [tokenizer.decode(row, skip_special_tokens=True) for row in rows[::3]]
    last = [tokenizer.decode(row, skip_special_tokens=True) for row in rows[2::3]]
    told = {pair["prompt"] + pair["chosen"]: pair["prompt"] for pair in PAIRS}
    assert set(first) == set(told)
    for whole, copy, counts in zip(first, last, valid, strict=True):
        answer = whole.removeprefix(told[whole])
        kept = "".join(sign for sign in answer if not sign.isalnum())
        alone = sum(map(str.isalnum, answer)) == 1  # then the second copy has lost all of it already
        assert counts == [True, True, not alone]
        assert copy == told[whole] + ("" if alone else kept)
    assert all(row[-1] == end for row in rows)
    filled = make(tmp_path / "c", DegreeTrainer, extractor=facts, filler="_")._copies(inputs)[0]
    assert {len(filled[k]) for k in range(3)} == {len(rows[0])}


def test_the_head_learns_faster_is_resumed_and_can_be_removed(tmp_path):
    saved = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 5, "max_steps": 3}
    whole = make(tmp_path / "a", DegreeTrainer, saved)
    assert isinstance(whole.extractor(PAIRS[1]["chosen"]), list)  # tf-idf of the chosen answers
    before = whole.model.degree_head.weight.detach().clone()
    whole.train()
    rates = sorted({group["initial_lr"] for group in whole.optimizer.param_groups})
    assert rates == pytest.approx([1e-2, 1e-1])
    assert not torch.equal(before, whole.model.degree_head.weight)
    resumed = make(tmp_path / "b", DegreeTrainer, saved)
    resumed.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-2"))
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    whole.remove_head()
    assert not any("degree" in name for name in whole.model.state_dict())


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"degrees": 1}, "degrees is at least 2, got 1"),
        ({"degree_form": "class"}, "did you mean 'classes'"),
        ({"degree_coefficient": -1.0}, "degree_coefficient is not negative, got -1.0"),
    ],
)
def test_refusals_of_degrees(tmp_path, keywords, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        make(tmp_path, DegreeTrainer, **keywords)


@pytest.mark.parametrize(
    ("keywords", "error", "sentence"),
    [
        ({"preference_loss": "simp"}, UnknownNameError, "did you mean 'simpo'"),
        ({"loss_settings": {"bta": 1.0}}, UnknownNameError, "did you mean 'beta'"),
        (
            {"loss_settings": {"label_smoothing": 0.7}},
            EnvzooError,
            r"label_smoothing is 0.7; expected a number in \[0, 1/2",
        ),
    ],
)
def test_refusals(tmp_path, keywords, error, sentence):
    with pytest.raises(error, match=sentence):
        make(tmp_path, **keywords)


@pytest.mark.any_arithmetic
def test_the_script_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    make_dataset("envzoo/text-tiny-summary/pairs-v0", quiet=True, episodes=16)
    tokenizer = character_tokenizer(PRINTABLE)
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_llama(len(tokenizer), 64, 16, 1, 2).save_pretrained(tmp_path / "model")
    page = (Path(__file__).parents[3] / "docs" / "preferences.md").read_text(encoding="utf-8")
    script = re.search(r"^```python\n(import argparse.*?)^```", page, re.M | re.S)[1]
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    command = [sys.executable, "train.py", "--cpu", "--model", "model", "--steps", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    weights = load_file(tmp_path / "runs" / "dpo" / "model.safetensors")
    assert weights
    assert not any("degree" in name for name in weights)


def test_the_page_names_every_loss_and_agent():
    page = (Path(__file__).parents[3] / "docs" / "preferences.md").read_text(encoding="utf-8")
    assert all(f"`{name}" in page for name in AVAILABLE)
    assert all(f"[{form.__name__}]" in page for form in named.FORMS)
