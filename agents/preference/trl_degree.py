"""The auxiliary task on degrees of preference (`PreferenceDegree`) in TRL's DPO trainer.

A mixin adds the loss of a head to whatever loss the trainer has, so that it goes with TRL's own losses and with those
of `PreferenceLossMixin`. Copies are made from the texts of chosen answers, and the loss is that of the agent.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.preference.degradation import Extractor, TfIdf, degrade
from envzoo.agents.preference.degree import degree_loss, ordinal_loss
from envzoo.errors import EnvzooError, unknown

FORMS = ("classes", "ordinal")
HEAD = "degree_head"  # its name within the model


class PreferenceDegreeMixin:
    """Mixin for TRL's DPOTrainer that adds the auxiliary loss of `PreferenceDegree`.

    The head is part of the model while it trains, so that it is distributed, optimized (at `head_rate_factor` times the
    learning rate) and saved in checkpoints with it. `remove_head()` takes it away before the model is used.

    Args:
        *args: As for the trainer.
        degrees: Copies of each chosen answer (K), at least 2.
        degree_coefficient: Weight of the auxiliary loss (gamma).
        degree_form: "classes" or "ordinal"; see `PreferenceDegreeConfig`.
        extractor: Function from an answer to the places (first, last + 1) of its key content; None for the characters
            of largest tf-idf among the chosen answers of the data.
        filler: Character that takes the place of each removed one, for copies of equal length; "" deletes.
        head_rate_factor: Learning rate of the head, in units of the model's.
        **keywords: Further arguments of the trainer.

    Raises:
        EnvzooError: A value is out of range, or tf-idf cannot be computed because the data are a stream.
    """

    def __init__(
        self,
        *args: Any,
        degrees: int = 3,
        degree_coefficient: float = 0.1,
        degree_form: str = "classes",
        extractor: Extractor | None = None,
        filler: str = "",
        head_rate_factor: float = 10.0,
        **keywords: Any,
    ):
        if isinstance(degrees, bool) or not isinstance(degrees, int) or degrees < 2:
            raise EnvzooError(f"degrees is at least 2, got {degrees!r}")
        if degree_form not in FORMS:
            raise unknown("form of the degree loss", degree_form, FORMS)
        for name, value in (("degree_coefficient", degree_coefficient), ("head_rate_factor", head_rate_factor)):
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise EnvzooError(f"{name} is not negative, got {value!r}")
        self.degrees, self.degree_coefficient, self.degree_form = degrees, float(degree_coefficient), degree_form
        self.filler, self.head_rate_factor, self.extractor = filler, float(head_rate_factor), extractor
        super().__init__(*args, **keywords)
        if self.extractor is None:
            self.extractor = TfIdf(self._chosen_texts())
        outputs = 1 if degree_form == "ordinal" else degrees
        width = self.model.config.get_text_config().hidden_size
        head = torch.nn.Linear(width, outputs, bias=True, device="meta").to_empty(device="cpu")
        generator = torch.Generator().manual_seed(self.args.seed)
        with torch.no_grad():
            head.weight.normal_(0.0, 0.01, generator=generator)
            head.bias.zero_()
        place = next(self.model.parameters())
        setattr(self.model, HEAD, head.to(place.device, torch.float32))

    def _chosen_texts(self) -> list[str]:
        try:
            rows = self.train_dataset["chosen_ids"]
        except (KeyError, TypeError) as error:
            raise EnvzooError(
                "tf-idf reads all chosen answers of the data, which are not there at once; give an extractor"
            ) from error
        return [self._text(row) for row in rows]

    def _text(self, ids: Any) -> str:
        return self.processing_class.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def remove_head(self) -> None:
        """Take the head away from the model."""
        if hasattr(self.model, HEAD):
            delattr(self.model, HEAD)

    def create_optimizer(self, *args: Any, **keywords: Any) -> Any:
        """Create TRL's optimizer, with the parameters of the head in a group of their own."""
        optimizer = super().create_optimizer(*args, **keywords)
        head = list(getattr(self.accelerator.unwrap_model(self.model), HEAD).parameters())
        own = {id(parameter) for parameter in head}
        for group in optimizer.param_groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in own]
        group = {name: value for name, value in optimizer.param_groups[0].items() if name != "params"}
        rate = self.args.learning_rate * self.head_rate_factor
        optimizer.add_param_group({**group, "params": head, "lr": rate, "initial_lr": rate, "weight_decay": 0.0})
        return optimizer

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        found = super()._compute_loss(model, inputs, return_outputs)
        loss, outputs = found if return_outputs else (found, None)
        loss = loss + self._degree_loss(model, inputs)
        return (loss, outputs) if return_outputs else loss

    def _degree_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        rows, valid = self._copies(inputs)
        device = inputs["input_ids"].device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        width = int(lengths.max())
        pad = self.processing_class.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
        seen = (torch.arange(width, device=device) < lengths[:, None]).long()
        hidden = _last_hidden(model, ids, seen)[torch.arange(len(rows), device=device), lengths - 1].float()
        head = getattr(self.accelerator.unwrap_model(model), HEAD)
        scores = head(hidden).view(-1, self.degrees, head.out_features)
        valid = torch.tensor(valid, device=device)
        grade = ordinal_loss if self.degree_form == "ordinal" else degree_loss
        loss, accuracy = grade(scores[..., 0] if self.degree_form == "ordinal" else scores, valid)
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, value in (("degree/loss", loss), ("degree/accuracy", accuracy)):
            metrics[name].append(self.accelerator.gather(value.detach().float()).mean().item())
        return self.degree_coefficient * loss

    def _copies(self, inputs: dict[str, Any]) -> tuple[list[list[int]], list[list[bool]]]:
        """Make the K copies of each chosen answer of a batch: ids with their prompts, and which of them count."""
        count = len(inputs["input_ids"]) // 2
        rows: list[list[int]] = []
        valid = []
        for k in range(count):
            seen = inputs["attention_mask"][k].bool()
            ids, told = inputs["input_ids"][k][seen].tolist(), inputs["completion_mask"][k][seen].bool().tolist()
            prompt = [token for token, is_told in zip(ids, told, strict=True) if not is_told]
            answer = [token for token, is_told in zip(ids, told, strict=True) if is_told]
            text = self._text(answer)
            ends = answer[-1:] if answer and answer[-1] in self.processing_class.all_special_ids else []
            spans = self.extractor(text)
            # The order depends on the answer alone, so that it is the same in every pass and process.
            rng = np.random.default_rng([self.args.seed, zlib.crc32(text.encode())])
            copies = degrade(text, spans, self.degrees, rng.permutation(len(spans)).tolist(), self.filler)
            valid.append([copy is not None and bool(spans) for copy in copies])
            for copy in copies:
                told_ids = self.processing_class(copy or "", add_special_tokens=False)["input_ids"]
                rows.append((prompt + list(told_ids) + ends) or ids[:1])
        return rows, valid


def _last_hidden(model: Any, ids: Tensor, seen: Tensor) -> Tensor:
    """Compute the hidden states (B, S, D) of the last layer."""
    outputs = model(input_ids=ids, attention_mask=seen, use_cache=False, output_hidden_states=True)
    return outputs.hidden_states[-1]
