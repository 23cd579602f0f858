"""Preference degrees: an auxiliary task that grades how much of an answer's key content was removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from envzoo.agents.networks.layers import linear
from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.degradation import Extractor, TfIdf, degrade
from envzoo.agents.preference.losses import dpo_loss
from envzoo.agents.preference.offline import OfflinePreference, OfflinePreferenceConfig
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError
from envzoo.sizes import check_bytes


@dataclass(frozen=True)
class PreferenceDegreeConfig(OfflinePreferenceConfig):
    """Hyperparameters of PreferenceDegree."""

    degrees: int = 3
    """Copies of each chosen answer (K): the whole one, and ones without a growing share of its key content."""
    degree_coefficient: float = 0.1
    """Weight of the auxiliary loss (gamma)."""
    degree_form: Literal["classes", "ordinal", "probe", "pairs"] = "classes"
    """classes: tell the K degrees apart; ordinal: order neighbouring degrees; probe: classes on representations without
    gradient, which leaves the policy as it is; pairs: no head, neighbouring copies are pairs of the DPO loss."""
    extractor: Literal["auto", "known", "tfidf"] = "auto"
    """Key content: known to the environment, or the characters of largest tf-idf; auto takes what is known."""
    equal_length: bool = False
    """Replace removed characters by a filler, so that lengths do not tell the degrees."""
    head_learning_rate: float | None = None
    """Adam's learning rate of the head; None for ten times that of the policy."""

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__.removesuffix("Config")
        require(self.degrees >= 2, f"degrees of {name} is at least 2, got {self.degrees}")
        require(
            self.degree_coefficient >= 0,
            f"degree_coefficient of {name} is not negative, got {self.degree_coefficient}",
        )
        rate = self.head_learning_rate
        require(rate is None or rate > 0, f"head_learning_rate of {name} is positive, got {rate}")


class PreferenceDegree(OfflinePreference):
    """A preference loss with an auxiliary task: how much of the key content of an answer was removed?

    Each chosen answer y has copies y^(0) = y, ..., y^(K-1), from which the share j / (K - 1) of its key content is
    removed. With h_j the hidden state of the policy at the end of y^(j), minimises

        L_preference + gamma (1 / K) sum_j CE(softmax(W h_j), j)            (classes)
        L_preference + gamma sum_j -log sigmoid(u h_j - u h_(j + 1))        (ordinal)

    where gradients of the second term go through the policy. Answers without key content, and copies that equal the one
    before, do not count. The head is not used afterwards. `degree_form="probe"` is the control in which it learns from
    representations without gradient, and `"pairs"` the strong baseline in which neighbouring copies are further pairs
    of the DPO loss.

    Source: Li et al. 2024 (arXiv 2409.17791), of which the abstract is followed; shares, representation and form of the
    loss are reconstructed.

    Metrics:
        degree/loss: Auxiliary loss.
        degree/accuracy: Share of the copies whose degree the head finds (classes, probe), or of neighbours that it (or
            the implicit reward, pairs) orders rightly.
        And those of OfflinePreference.
    """

    Config = PreferenceDegreeConfig
    config: PreferenceDegreeConfig

    def __init__(self, source: Source, config: PreferenceDegreeConfig, **keywords: Any):
        super().__init__(source, config, **keywords)
        c = config
        if not self.texts_only:
            raise UnsupportedSpaceError(f"{self.spec.name} removes key content from texts, but the answers are numbers")
        self.copies, self.valid = self._degraded(self._extractor())
        outputs = 1 if c.degree_form == "ordinal" else c.degrees
        self.head = linear(self.policy.dim, outputs, self.streams.torch("head", "cpu"), gain=0.01).to(self.device)
        self.register("head", self.head)
        rate = c.head_learning_rate or 10 * self.optimizer.lr
        self.head_optimizer = self.register("head_optimizer", make_optimizer(self.head, "adam", lr=rate))
        self._found: tuple[Tensor, Tensor] | None = None  # representations and validity of the last batch
        self._metrics: dict[str, float] = {}

    def _extractor(self) -> Extractor:
        known = getattr(self.task, "key_spans", None)
        if self.config.extractor != "tfidf" and known is not None:
            return known
        if self.config.extractor == "known":
            raise UnsupportedSpaceError(
                f"the key content of {self.source.name} is not known; expected an environment such as "
                "envzoo/TextTinySummary-v0, or extractor='tfidf'"
            )
        return TfIdf(self.data.chosen)

    def _degraded(self, extractor: Extractor) -> tuple[Tensor, Tensor]:
        """Return the copies (N, K, T) of all chosen answers, and which of them count, bool (N, K)."""
        c, rng = self.config, self.streams.numpy("degradation")
        rows = len(self.data) * c.degrees
        check_bytes(rows * (16 * self.policy.answer_length + 128), f"{c.degrees} copies of {len(self.data)} answers")
        filler = self._filler() if c.equal_length else ""
        encoded, valid = [], []
        for text in self.data.chosen:
            spans = extractor(text)
            copies = degrade(text, spans, c.degrees, rng.permutation(len(spans)).tolist(), filler)
            counts = [copy is not None and bool(spans) for copy in copies]
            encoded.append(self.policy.encode_answers([copy or "" for copy in copies]))
            valid.append(counts)
        return torch.from_numpy(np.stack(encoded)).to(self.device), torch.tensor(valid, device=self.device)

    def _filler(self) -> str:
        """Return the character that is most frequent in prompts and rarest in chosen answers."""
        prompts, answers = "".join(self.data.prompts), "".join(self.data.chosen)
        return max(self.policy.alphabet, key=lambda sign: (prompts.count(sign) - answers.count(sign), sign))

    def extra_loss(self, rows: Tensor) -> Tensor | float:
        """Compute gamma times the auxiliary loss of a batch, and keep the representations for the head."""
        c = self.config
        valid = self.valid[rows]
        if c.degree_form == "pairs":
            return self._copies_as_pairs(rows, valid)
        frozen = c.degree_form == "probe" or not c.degree_coefficient
        with torch.set_grad_enabled(not frozen):
            hidden = self.policy.final_states(self.prompts[rows], self.copies[rows])
        self._found = hidden.detach(), valid
        if frozen:
            return 0.0
        return c.degree_coefficient * self._grade(hidden, valid)[0]

    def _grade(self, hidden: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Compute loss and accuracy of the head on representations (B, K, D)."""
        scores = self.head(hidden)
        if self.config.degree_form == "ordinal":
            return ordinal_loss(scores[..., 0], valid)
        return degree_loss(scores, valid)

    def _copies_as_pairs(self, rows: Tensor, valid: Tensor) -> Tensor:
        asked, told = self.prompts[rows], self.copies[rows]
        with torch.no_grad():
            reference = self.reference.log_probs(asked, told)
        ratio = self.policy.log_probs(asked, told) - reference
        margin, both = ratio[:, :-1] - ratio[:, 1:], (valid[:, :-1] & valid[:, 1:]).float()
        count = both.sum().clamp_min(1)
        loss = (dpo_loss(margin, self.config.beta) * both).sum() / count
        accuracy = ((margin.detach() > 0).float() * both).sum() / count
        self._metrics = {"degree/loss": float(loss.detach()), "degree/accuracy": float(accuracy)}
        return self.config.degree_coefficient * loss

    def update(self, rows: Tensor) -> dict[str, float]:
        """Take a step of the policy, then one of the head on the same representations."""
        metrics = super().update(rows)
        if self.config.degree_form != "pairs":
            hidden, valid = self._found
            loss, accuracy = self._grade(hidden, valid)
            self.head_optimizer.step(loss)
            self._metrics = {"degree/loss": float(loss.detach()), "degree/accuracy": float(accuracy)}
        return metrics | self._metrics


def degree_loss(scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean cross-entropy of the degrees of copies, and the accuracy.

    Args:
        scores: (B, K, K), a row of logits per copy.
        valid: (B, K) bool, which copies count.
    """
    count = valid.sum().clamp_min(1)
    target = torch.arange(scores.shape[1], device=scores.device).expand(valid.shape)
    each = F.cross_entropy(scores.flatten(0, 1), target.flatten(), reduction="none").view(valid.shape)
    right = (scores.argmax(-1) == target) & valid
    return torch.where(valid, each, 0.0).sum() / count, right.sum() / count


def ordinal_loss(scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean of -log sigmoid(u_j - u_(j + 1)) over neighbouring copies, and the share in right order.

    Args:
        scores: (B, K), a score u per copy.
        valid: (B, K) bool, which copies count.
    """
    both = valid[:, :-1] & valid[:, 1:]
    margin, count = scores[:, :-1] - scores[:, 1:], both.sum().clamp_min(1)
    return torch.where(both, -F.logsigmoid(margin), 0.0).sum() / count, ((margin > 0) & both).sum() / count


@dataclass(frozen=True)
class DPODegreeConfig(PreferenceDegreeConfig):
    """Hyperparameters of DPODegree."""

    loss: str = "dpo"
    """Always dpo."""

    def __post_init__(self):
        super().__post_init__()
        require(self.loss == "dpo", f"loss of DPODegree is 'dpo', got {self.loss!r}; use PreferenceDegree for another")


class DPODegree(PreferenceDegree):
    """DPO with an auxiliary task on degrees of preference: `PreferenceDegree` with `loss="dpo"`.

    Source: Li et al. 2024 (arXiv 2409.17791).

    Metrics:
        Those of PreferenceDegree.
    """

    Config = DPODegreeConfig
    config: DPODegreeConfig
