"""Preference losses of envzoo in TRL's DPO trainer: `PreferenceTrainer(..., preference_loss="simpo")`.

TRL makes batches, distributes, logs, writes checkpoints and optimizes, as configured in its `DPOConfig`; the loss is
`envzoo.agents.preference.losses.pair_loss` on the log-probabilities of whole answers, so that no formula stands twice.
A script with this trainer is launched like any other of TRL's: `accelerate launch train.py`.

Our names and TRL's:

| envzoo | TRL |
| --- | --- |
| dpo | DPOTrainer, `loss_type="sigmoid"` |
| ipo with `length_normalized=True` | DPOTrainer, `loss_type="ipo"` |
| slic with `delta = 1 / beta`, times `beta` and without its likelihood term | CPOTrainer, `loss_type="hinge"` |
| orpo | ORPOTrainer (experimental) |
| simpo with `gamma` | CPOTrainer (experimental), `loss_type="simpo"`, `simpo_gamma` |
| cpo with `nll_coefficient` | CPOTrainer (experimental), `loss_type="sigmoid"`, `cpo_alpha` |
| kto | KTOTrainer (experimental) |
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from envzoo.agents.preference.losses import LOSSES, REFERENCE_FREE, LossSettings, Pairs, pair_loss, smooth
from envzoo.agents.preference.trl_degree import PreferenceDegreeMixin
from envzoo.agents.spec import build_config
from envzoo.errors import EnvzooError, MissingExtraError, unknown

try:
    from trl import DPOTrainer
except ImportError as error:
    raise MissingExtraError("training with TRL needs trl; install it with `pip install 'envzoo[text]'`") from error

__all__ = ["DegreeTrainer", "PreferenceDegreeMixin", "PreferenceLossMixin", "PreferenceTrainer"]

# Losses of one gradient; dpo_pg projects gradients, which is the affair of an optimizer.
AVAILABLE = tuple(name for name in LOSSES if name != "dpo_pg")


class PreferenceLossMixin:
    """Mixin for TRL's DPOTrainer that replaces its loss.

    Args:
        *args: As for the trainer.
        preference_loss: Name of the loss: dpo, ipo, slic, orpo, simpo or cpo.
        loss_settings: Settings of the loss, such as `{"beta": 2.0, "gamma": 0.5}` (see `LossSettings`), and
            `label_smoothing`. `beta` and `label_smoothing` of DPOConfig are not read.
        **keywords: Further arguments of the trainer.

    Raises:
        UnknownNameError: There is no such loss or setting.
        EnvzooError: A value is out of range, or the trainer is set up for what the losses do not know (PEFT without a
            reference model).
    """

    def __init__(
        self, *args: Any, preference_loss: str = "dpo", loss_settings: dict[str, Any] | None = None, **keywords: Any
    ):
        if preference_loss not in AVAILABLE:
            raise unknown("preference loss", preference_loss, AVAILABLE)
        given = dict(loss_settings or {})
        smoothing = given.pop("label_smoothing", 0.0)
        if isinstance(smoothing, bool) or not isinstance(smoothing, int | float) or not 0 <= smoothing < 0.5:
            raise EnvzooError(f"label_smoothing is {smoothing!r}; expected a number in [0, 1/2)")
        self.preference_loss, self.target = preference_loss, smooth(1.0, float(smoothing))
        self.loss_settings = build_config(LossSettings, "the loss", given)
        super().__init__(*args, **keywords)
        if preference_loss not in REFERENCE_FREE and self.ref_model is None and not self.precompute_ref_logps:
            raise EnvzooError(
                f"the loss {preference_loss!r} compares with a reference policy, but there is no ref_model"
            )

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        mask = inputs["completion_mask"][:, 1:].float()
        logp, outputs = _answer_log_probs(model, inputs, mask)
        lengths = mask.sum(1).clamp_min(1)
        chosen, rejected = logp.chunk(2)
        reference = self._reference(inputs, mask)
        pairs = Pairs(chosen, rejected, *lengths.chunk(2), *reference, target=self.target)
        loss = pair_loss(self.preference_loss, pairs, self.loss_settings).mean()
        self._record(pairs)
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def _reference(self, inputs: dict[str, Any], mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.preference_loss in REFERENCE_FREE:
            return None, None
        if self.precompute_ref_logps:
            return inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]
        chosen, rejected = _answer_log_probs(self.ref_model, inputs, mask)[0].chunk(2)
        return chosen, rejected

    @torch.no_grad()
    def _record(self, pairs: Pairs) -> None:
        margin = pairs.chosen - pairs.rejected
        if pairs.reference_chosen is not None:
            margin = margin - (pairs.reference_chosen - pairs.reference_rejected)
        values = {
            "logps/chosen": pairs.chosen.mean(),
            "logps/rejected": pairs.rejected.mean(),
            "preference/margin": margin.mean(),
            "preference/accuracy": (margin > 0).float().mean(),
        }
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, value in values.items():
            metrics[name].append(self.accelerator.gather(value).mean().item())


def _answer_log_probs(model: Any, inputs: dict[str, Any], mask: Tensor) -> tuple[Tensor, Any]:
    """Compute the log-probabilities (2 B,) of answers, summed over their tokens, mask (2 B, S - 1)."""
    outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
    log_probs = F.log_softmax(outputs.logits[:, :-1].float(), -1)
    each = log_probs.gather(-1, inputs["input_ids"][:, 1:, None])[..., 0]
    return (each * mask).sum(1), outputs


class PreferenceTrainer(PreferenceLossMixin, DPOTrainer):
    """TRL's DPOTrainer with a loss of envzoo; see `PreferenceLossMixin`.

    Example:
        ```python
        trainer = PreferenceTrainer(
            model, args=DPOConfig(output_dir="out"), train_dataset=pairs, processing_class=tokenizer,
            preference_loss="simpo", loss_settings={"beta": 2.0, "gamma": 0.5},
        )
        trainer.train()
        ```
    """

    _tag_names = ("trl", "dpo", "envzoo")


class DegreeTrainer(PreferenceDegreeMixin, PreferenceTrainer):
    """TRL's DPOTrainer with a loss of envzoo and the auxiliary task on degrees; see `PreferenceDegreeMixin`.

    Example:
        ```python
        trainer = DegreeTrainer(
            model, args=DPOConfig(output_dir="out"), train_dataset=pairs, processing_class=tokenizer,
            preference_loss="dpo", loss_settings={"beta": 0.1}, degrees=3, degree_coefficient=0.1,
        )
        trainer.train()
        trainer.remove_head()
        trainer.save_model()
        ```
    """
