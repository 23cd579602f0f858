"""The preference losses in TRL's DPO trainer, against TRL's own losses on the same batches."""

import logging
import warnings

import pytest
import torch

pytest.importorskip("trl")

from trl import DPOConfig, DPOTrainer

from datasets import Dataset
from envzoo.agents.preference.trl import AVAILABLE, PreferenceTrainer
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.bench.text_trl import character_tokenizer, tiny_llama

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
