"""Offline learning from pairs of responses: DPO and its relatives, on tables and on a small language model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.answering import Answering
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
from envzoo.agents.preference.pair_models import (
    TableModel,
    check_numbers,
    check_texts,
    make_character_model,
)
from envzoo.agents.preference.passes import Passes
from envzoo.agents.preference.reference import reference_policy
from envzoo.agents.preference.reference_cache import keep_scores
from envzoo.agents.source import Preferences, Source
from envzoo.agents.spec import require
from envzoo.errors import EnvzooError, UnsupportedSpaceError, unknown
from envzoo.reasoning.task import Task
from envzoo.sizes import check_bytes

NAMES = (*LOSSES, "kto")
SCORED_AT_ONCE = 1024  # pairs
PAIR_BYTES, TEXT_BYTES = 256, 1024  # of a pair of numbers, and of one of texts besides its tokens


@dataclass(frozen=True)
class OfflinePreferenceConfig:
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
    pairs: int = 20_000
    """Pairs drawn from an environment that offers them; preferences that are given are used as they are."""
    batch_size: int = 64
    """Pairs per gradient step."""
    learning_rate: float | None = None
    """Adam's learning rate; None for 0.01 with a table and 3e-4 with a language model."""
    max_grad_norm: float = 1.0
    """Maximum norm of the gradient."""
    sft_updates: int = 400
    """Supervised updates of a language model on the chosen answers, before its copy becomes the reference."""
    sft_batch: int = 256
    """Chosen answers per supervised update."""
    sft_learning_rate: float = 1e-3
    """AdamW's learning rate of the supervised updates."""
    reference_cache: bool = True
    """Keep the log-probabilities of texts under the reference in ENVZOO_CACHE, or else in ~/.cache/envzoo."""
    model_dim: int = 64
    """Width of the language model."""
    model_layers: int = 2
    """Layers of the language model."""
    model_heads: int = 4
    """Attention heads of the language model."""

    def __post_init__(self):
        name = type(self).__name__.removesuffix("Config")
        if self.loss not in NAMES:
            raise unknown("loss", self.loss, NAMES)
        for field in ("beta", "max_grad_norm", "sft_learning_rate"):
            require(getattr(self, field) > 0, f"{field} of {name} is positive, got {getattr(self, field)}")
        for field in ("delta", "gamma", "nll_coefficient", "desirable_weight", "undesirable_weight", "sft_updates"):
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
        for field in ("pairs", "batch_size", "sft_batch", "model_dim", "model_layers", "model_heads"):
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")
        require(
            0 <= self.label_smoothing < 0.5,
            f"label_smoothing of {name} lies in [0, 1/2), got {self.label_smoothing}",
        )
        rate = self.learning_rate
        require(rate is None or rate > 0, f"learning_rate of {name} is positive, got {rate}")
        require(
            self.model_dim % self.model_heads == 0,
            f"model_heads of {name} divides model_dim, got {self.model_heads} heads for a width of {self.model_dim}",
        )

    @property
    def settings(self) -> LossSettings:
        """The settings of the losses."""
        return LossSettings(**{name: getattr(self, name) for name in LossSettings.__dataclass_fields__})


class OfflinePreference(Answering):
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

    def __init__(self, source: Source, config: OfflinePreferenceConfig, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        c = config
        self.task: Task | None = None  # of an environment of texts
        self.data = self._find_pairs()
        self.texts_only = isinstance(self.data.prompts, tuple)
        self._check_spaces()
        generator = self.streams.torch("weights", "cpu")
        if self.texts_only:
            check_texts(self.data)
            sizes = {"dim": c.model_dim, "layers": c.model_layers, "heads": c.model_heads}
            model: Any = make_character_model(self.data, self._alphabet(), sizes, generator)
            prompts = model.encode_prompts(self.data.prompts)
            answers = [model.encode_answers(texts) for texts in (self.data.chosen, self.data.rejected)]
            lengths = [(rows != 0).sum(1) for rows in answers]
        else:
            prompts, *answers = check_numbers(self.data)
            model = self._table(prompts, answers)
            lengths = [np.ones(len(rows), np.int64) for rows in answers]
        self.policy = self.register("policy", model.to(self.device))
        self.reference = self.register("reference", deepcopy(model).requires_grad_(False))
        self.prompts = torch.from_numpy(prompts).to(self.device)
        self.answers = torch.from_numpy(np.stack(answers, axis=1)).to(self.device)  # (N, 2) or (N, 2, T)
        self.lengths = torch.from_numpy(np.stack(lengths, axis=1)).float().to(self.device)
        label = np.ones(len(self.data)) if self.data.label is None else np.array(self.data.label)
        self.label = torch.from_numpy(label).float().to(self.device)
        rate = c.learning_rate or (3e-4 if self.texts_only else 0.01)
        self.optimizer = self.register(
            "optimizer", make_optimizer(model, "adam", lr=rate, max_grad_norm=c.max_grad_norm)
        )
        self.progress_of_data = self.register("data", Passes())
        self.reference_log_probs: Tensor | None = None  # (N, 2), and of the mismatched responses (N,)
        self.mismatched_log_probs: Tensor | None = None

    # ------------------------------------------------------------------ data

    def _find_pairs(self) -> Preferences:
        if self.source.kind == "preferences":
            if self.source.recorded is not None:
                self.task = getattr(self._world(), "task", None)
            return self.source.given
        world = self._world()
        draw, self.task = getattr(world, "preference_pairs", None), getattr(world, "task", None)
        if draw is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} learns from pairs, but {self.source.name} offers none; expected Preferences, or an "
                "environment with preference_pairs such as envzoo/DIDTable-v0"
            )
        count, task = self.config.pairs, self.task
        each = PAIR_BYTES if task is None else TEXT_BYTES + 32 * (task.prompt_length + 2 * task.answer_length)
        check_bytes(count * each, f"{count} pairs of {self.source.name}")
        return Preferences(**draw(count, self.streams.integer("pairs")))

    def _world(self) -> Any:
        """Return the definition of the environment: the source, or the one that a dataset was recorded in."""
        given = self.source.given
        env = self.source.single_env() if given is None or self.source.kind == "preferences" else given
        if env is not given:
            env.close()
        return getattr(env.unwrapped, "definition", env.unwrapped)

    def _check_spaces(self) -> None:
        if self.source.kind != "environment":
            return
        seen, acts = self.source.observation_space, self.source.action_space
        fits = isinstance(seen, spaces.Discrete) and isinstance(acts, spaces.Discrete)
        if self.texts_only:
            fits = isinstance(self.task, Task) and not self.task.multi_turn
        if not fits:
            raise UnsupportedSpaceError(
                f"{self.spec.name} takes pairs of texts from tasks in one turn, and others from environments with "
                f"Discrete observations and actions; {self.source.name} has {seen} and {acts}"
            )

    def _alphabet(self) -> str:
        return self.task.alphabet if self.task is not None else ""

    def _table(self, prompts: np.ndarray, answers: list[np.ndarray]) -> TableModel:
        rows, columns = int(prompts.max()) + 1, int(max(part.max() for part in answers)) + 1
        log_reference = None
        if self.source.kind == "environment":
            columns = int(self.source.action_space.n)
            rows = int(self.source.observation_space.n)
            found = reference_policy(self.source, columns)
            log_reference = None if found is None else np.log(found)
        check_bytes(16 * rows * columns, f"a table of {rows} prompts and {columns} responses")
        return TableModel(rows, columns, log_reference)

    # ------------------------------------------------------------------ learning

    def rows_per_update(self) -> int:
        """Return the tokens of a batch."""
        width = self.policy.prompt_length + 2 * self.policy.answer_length if self.texts_only else 1
        return self.config.batch_size * width

    def iterate(self) -> dict[str, float]:
        """Take one gradient step on the next batch of pairs."""
        if not self.progress_of_data.warm:
            self.imitate()
        if self.reference_log_probs is None:
            self._score_reference()
        rows = self.progress_of_data.next(self.config.batch_size, len(self.data), self.streams.numpy("batches"))
        self.num_timesteps += len(rows)
        return self.update(torch.from_numpy(rows).to(self.device))

    def imitate(self) -> None:
        """Imitate the chosen answers, and make the result the reference; learning begins with this."""
        c = self.config
        if self.texts_only and c.sft_updates:
            optimizer = make_optimizer(self.policy, "adamw", lr=c.sft_learning_rate, max_grad_norm=1.0)
            draw = self.streams.numpy("imitation")
            for _ in range(c.sft_updates):
                rows = torch.from_numpy(draw.integers(len(self.data), size=c.sft_batch)).to(self.device)
                logp = self.policy.log_probs(self.prompts[rows], self.answers[rows, :1])
                optimizer.step(-logp.sum() / self.lengths[rows, 0].sum())
            self.reference.load_state_dict(self.policy.state_dict())
            # The imitation moved the parameters into another flat vector.
            self.optimizer = self.register(
                "optimizer",
                make_optimizer(self.policy, "adam", lr=self.optimizer.lr, max_grad_norm=c.max_grad_norm),
            )
        self.progress_of_data.warm = True

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Take over weights of the model as policy and reference, instead of imitating chosen answers.

        Args:
            weights: What `policy.state_dict()` of an equal learner returned.

        Raises:
            EnvzooError: Learning has begun, or the weights do not fit.
        """
        if self.progress_of_data.warm:
            raise EnvzooError(f"{self.spec.name} has begun to learn, so it cannot start from other weights")
        try:
            self.policy.load_state_dict(weights)
        except RuntimeError as error:
            raise EnvzooError(f"the weights do not fit the model of {self.spec.name}") from error
        self.reference.load_state_dict(weights)
        self.progress_of_data.warm = True

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
