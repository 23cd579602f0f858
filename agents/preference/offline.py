"""Offline learning from pairs of responses: DPO and its relatives, on tables and on a small language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.preference.losses import (
    LOSSES,
    REFERENCE_FREE,
    LossSettings,
    Pairs,
    kto_baseline,
    kto_loss,
    pair_loss,
    remove_conflict,
    smooth,
)
from envzoo.agents.preference.pair_learner import PairConfig, PairLearner
from envzoo.agents.preference.reference_cache import keep_scores
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.errors import unknown

NAMES = (*LOSSES, "kto")
SCORED_AT_ONCE = 1024  # pairs


@dataclass(frozen=True)
class OfflinePreferenceConfig(PairConfig):
    """Hyperparameters of OfflinePreference and its named forms."""

    loss: str = "dpo"
    """Loss: dpo, dpo_pg (DPO whose steps do not lower the likelihood of chosen answers), ipo, slic, orpo, simpo, cpo
    or kto."""
    beta: float = 0.1
    """Inverse temperature of the implicit reward; the weight of the odds ratio for orpo."""
    label_smoothing: float = 0.0
    """Probability that a label is wrong, below 1/2; not for kto."""
    length_normalized: bool = False
    """Divide log-probabilities by the number of tokens, for dpo, ipo, slic and cpo; orpo and simpo always do."""
    delta: float = 1.0
    """Margin of slic."""
    gamma: float = 0.5
    """Target margin of simpo."""
    nll_coefficient: float = 1.0
    """Weight of the negative log-likelihood per token of chosen answers, for slic, orpo and cpo."""
    desirable_weight: float = 1.0
    """Weight of chosen answers, for kto."""
    undesirable_weight: float = 1.0
    """Weight of rejected answers, for kto."""

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__.removesuffix("Config")
        if self.loss not in NAMES:
            raise unknown("loss", self.loss, NAMES)
        require(self.beta > 0, f"beta of {name} is positive, got {self.beta}")
        for field in ("delta", "gamma", "nll_coefficient", "desirable_weight", "undesirable_weight"):
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
        require(
            0 <= self.label_smoothing < 0.5,
            f"label_smoothing of {name} lies in [0, 1/2), got {self.label_smoothing}",
        )

    @property
    def settings(self) -> LossSettings:
        """The settings of the losses."""
        return LossSettings(**{name: getattr(self, name) for name in LossSettings.__dataclass_fields__})


class OfflinePreference(PairLearner):
    """Learn a policy from pairs of a chosen and a rejected response, without a reward model and without sampling.

    With m = log(pi / ref)(chosen) - log(pi / ref)(rejected), |y| the number of tokens, and the negative log-likelihood
    NLL = -log pi(chosen) / |chosen|, minimises the mean over pairs of

        dpo:   -log sigmoid(beta m)
        ipo:   (m - 1 / (2 beta))^2
        slic:  relu(delta - log pi(chosen) + log pi(rejected)) + nll_coefficient NLL
        orpo:  -beta log sigmoid(log odds(chosen) - log odds(rejected)) + nll_coefficient NLL
        simpo: -log sigmoid(beta (log pi(chosen) / |chosen| - log pi(rejected) / |rejected|) - gamma)
        cpo:   -log sigmoid(beta (log pi(chosen) - log pi(rejected))) + nll_coefficient NLL
        kto:   1 - sigmoid(+-beta (log(pi / ref)(y) - z)) of single responses, + for chosen ones, with
               z = max(0, mean log(pi / ref)) over responses to the prompts of other pairs
        dpo_pg: dpo, with the part of each gradient removed that would lower log pi(chosen) (see `remove_conflict`)

    A label p in [0, 1] and label smoothing average a loss over which response is the better one. The reference is a
    copy of the policy before the first step, for a language model after supervised learning on the chosen answers. Its
    log-probabilities of all pairs are computed once. The source is `Preferences` (texts, or whole numbers for a table),
    or an environment that offers pairs, such as `envzoo/DIDTable-v0` and `envzoo/DIDSeq-v0`. A timestep is a pair.

    Sources: Rafailov et al. 2023 (arXiv 2305.18290), Azar et al. 2023 (2310.12036), Zhao et al. 2023 (2305.10425),
    Hong et al. 2024 (2403.07691), Meng et al. 2024 (2405.14734), Xu et al. 2024 (2401.08417), Ethayarajh et al. 2024
    (2402.01306), Won et al. 2025 (2505.23761) for dpo_pg.

    Metrics:
        loss/preference: Mean loss.
        preference/accuracy: Share of pairs whose chosen response has the larger log(pi / ref).
        preference/margin: Mean of m.
        preference/chosen_log_prob, preference/rejected_log_prob: Mean log pi of the responses; both may fall.
    """

    Config = OfflinePreferenceConfig
    config: OfflinePreferenceConfig

    def __init__(self, source: Source, config: OfflinePreferenceConfig, **keywords: Any):
        super().__init__(source, config, **keywords)
        self.reference_log_probs: Tensor | None = None  # (N, 2), and of the mismatched responses (N,)
        self.mismatched_log_probs: Tensor | None = None

    def iterate(self) -> dict[str, float]:
        """Take one gradient step on the next batch of pairs."""
        if not self.progress_of_data.warm:
            self.imitate()
        if self.reference_log_probs is None:
            self._score_reference()
        rows = self.progress_of_data.next(self.config.batch_size, len(self.data), self.streams.numpy("batches"))
        self.num_timesteps += len(rows)
        return self.update(torch.from_numpy(rows).to(self.device))

    @torch.no_grad()
    def _score_reference(self) -> None:
        if self.texts_only and self.config.reference_cache:
            data = {"prompts": self.prompts, "answers": self.answers}
            found = keep_scores(self.reference, data, {"kto": self.config.loss == "kto"}, self._reference_scores)
        else:
            found = self._reference_scores()
        self.reference_log_probs, self.mismatched_log_probs = found["pairs"], found.get("mismatched")

    def _reference_scores(self) -> dict[str, Tensor]:
        """Compute the log-probabilities of all pairs (N, 2) and, for kto, of mismatched responses (N,)."""
        found, mismatched = [], []
        following = torch.roll(self.answers[:, 0], -1, 0)  # the chosen response of the next pair
        for rows in torch.arange(len(self.data), device=self.device).split(SCORED_AT_ONCE):
            found.append(self.reference.log_probs(self.prompts[rows], self.answers[rows]))
            if self.config.loss == "kto":
                mismatched.append(self.reference.log_probs(self.prompts[rows], following[rows][:, None])[:, 0])
        scores = {"pairs": torch.cat(found)}
        return scores | ({"mismatched": torch.cat(mismatched)} if mismatched else {})

    def update(self, rows: Tensor) -> dict[str, float]:
        """Take one Adam step on the pairs `rows` (B,)."""
        c = self.config
        logp = self.policy.log_probs(self.prompts[rows], self.answers[rows])
        pairs = self._pairs(logp, rows)
        loss = (self._kto(logp, rows) if c.loss == "kto" else pair_loss(c.loss, pairs, c.settings)).mean()
        loss = loss + self.extra_loss(rows)
        if c.loss == "dpo_pg":
            self._projected_step(loss, -pairs.chosen.mean())
        else:
            self.optimizer.step(loss)
        ratio = (logp - self.reference_log_probs[rows]).detach()
        margin = ratio[:, 0] - ratio[:, 1]
        return {
            "loss/preference": float(loss.detach()),
            "preference/accuracy": float((margin > 0).float().mean()),
            "preference/margin": float(margin.mean()),
            "preference/chosen_log_prob": float(logp[:, 0].detach().mean()),
            "preference/rejected_log_prob": float(logp[:, 1].detach().mean()),
        }

    def extra_loss(self, rows: Tensor) -> Tensor | float:
        """Compute what is added to the loss of a batch; 0 here."""
        return 0.0

    def _pairs(self, logp: Tensor, rows: Tensor) -> Pairs:
        reference = self.reference_log_probs[rows]
        free = self.config.loss in REFERENCE_FREE
        return Pairs(
            logp[:, 0],
            logp[:, 1],
            self.lengths[rows, 0],
            self.lengths[rows, 1],
            None if free else reference[:, 0],
            None if free else reference[:, 1],
            smooth(self.label[rows], self.config.label_smoothing),
        )

    def _kto(self, logp: Tensor, rows: Tensor) -> Tensor:
        """Compute the KTO loss of the 2 B responses; a label p counts a response as desirable with probability p."""
        c = self.config
        following = (rows + 1) % len(self.data)
        with torch.no_grad():
            other = self.policy.log_probs(self.prompts[rows], self.answers[following, :1])[:, 0]
        baseline = kto_baseline(other - self.mismatched_log_probs[rows])
        ratio = logp - self.reference_log_probs[rows]
        weights = (c.beta, c.desirable_weight, c.undesirable_weight)
        good = kto_loss(ratio, torch.ones_like(ratio, dtype=torch.bool), baseline, *weights)
        bad = kto_loss(ratio, torch.zeros_like(ratio, dtype=torch.bool), baseline, *weights)
        share = torch.stack([self.label[rows], 1 - self.label[rows]], dim=1)
        return (share * good + (1 - share) * bad).mean(1)

    def _projected_step(self, loss: Tensor, other: Tensor) -> None:
        optimizer = self.optimizer
        flat = optimizer.flat.grad
        flat.zero_()
        other.backward(inputs=optimizer.parameters, retain_graph=True)
        conflict = flat.clone()
        flat.zero_()
        loss.backward(inputs=optimizer.parameters)
        flat.copy_(remove_conflict(flat.clone(), conflict))
        optimizer.apply()

    # ------------------------------------------------------------------ use

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` of an equal learner returned."""
        super().load_state_dict(state)
        self.reference_log_probs = self.mismatched_log_probs = None
