"""Learners from pairs of responses: their data, their model, and supervised learning on the chosen answers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.answering import Answering
from envzoo.agents.preference.pair_models import (
    TableModel,
    check_numbers,
    check_texts,
    make_character_model,
)
from envzoo.agents.preference.pair_pretrained import check_same_tokens, make_pretrained
from envzoo.agents.preference.passes import Passes
from envzoo.agents.preference.reference import reference_policy
from envzoo.agents.source import Preferences, Source
from envzoo.agents.spec import Holds, require
from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError
from envzoo.reasoning.task import Task
from envzoo.sizes import check_bytes

PAIR_BYTES, TEXT_BYTES = 256, 1024  # of a pair of numbers, and of one of texts besides its tokens


@dataclass(frozen=True)
class PairConfig:
    """Hyperparameters of learners from pairs."""

    pairs: int = 20_000
    """Pairs drawn from an environment that offers them; preferences that are given are used as they are."""
    batch_size: int = 64
    """Pairs per gradient step."""
    learning_rate: float | None = None
    """Learning rate; None for 0.01 with a table and 3e-4 with a language model."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""
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
    model: Annotated[str, Holds("model", words=("tiny",), part="model_files")] = "tiny"
    """Language model: "tiny" is a small transformer over characters, with random initial weights; any other value is
    the folder or the hub id of a causal language model of Hugging Face (extra `text`). Tables have no such model."""
    reference_model: Annotated[str | None, Holds("model", part="reference_files")] = None
    """Folder or hub id of another model as the reference, with the same tokenizer; None for a copy of the model, after
    the supervised updates."""
    model_dim: int = 64
    """Width of the tiny model."""
    model_layers: int = 2
    """Layers of the tiny model."""
    model_heads: int = 4
    """Attention heads of the tiny model."""

    def __post_init__(self):
        name = type(self).__name__.removesuffix("Config")
        for field in ("max_grad_norm", "sft_learning_rate"):
            require(getattr(self, field) > 0, f"{field} of {name} is positive, got {getattr(self, field)}")
        require(self.sft_updates >= 0, f"sft_updates of {name} is not negative, got {self.sft_updates}")
        for field in ("pairs", "batch_size", "sft_batch", "model_dim", "model_layers", "model_heads"):
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")
        require(
            self.reference_model is None or self.model != "tiny",
            f"reference_model of {name} goes with a model of Hugging Face, but the model is tiny",
        )
        rate = self.learning_rate
        require(rate is None or rate > 0, f"learning_rate of {name} is positive, got {rate}")
        require(
            self.model_dim % self.model_heads == 0,
            f"model_heads of {name} divides model_dim, got {self.model_heads} heads for a width of {self.model_dim}",
        )


class PairLearner(Answering):
    """Base class of agents that learn from pairs of a chosen and a rejected response.

    Attributes:
        data: The pairs.
        prompts: (N, ...) int64, encoded.
        answers: (N, 2) or (N, 2, T), encoded; chosen ones first.
        lengths: (N, 2), numbers of tokens.
        label: (N,), probability that the chosen one is the better one.
    """

    Config = PairConfig
    config: PairConfig

    def __init__(self, source: Source, config: PairConfig, *, files: Mapping[str, Any] | None = None, **keywords: Any):
        super().__init__(source, config, **keywords)
        c = config
        self.task: Task | None = None  # of an environment of texts
        self.data = self._find_pairs()
        self.texts_only = isinstance(self.data.prompts, tuple)
        self._check_spaces()
        reference: Any = None
        if self.texts_only:
            check_texts(self.data)
            model, reference = self._text_models(files or {})
            prompts = model.encode_prompts(self.data.prompts)
            answers = [model.encode_answers(texts) for texts in (self.data.chosen, self.data.rejected)]
            lengths = [(rows != model.pad).sum(1) for rows in answers]
        else:
            prompts, *answers = check_numbers(self.data)
            model = self._table(prompts, answers)
            lengths = [np.ones(len(rows), np.int64) for rows in answers]
        self.policy = self.register("policy", model.to(self.device))
        self.reference_is_given = reference is not None
        reference = deepcopy(model) if reference is None else reference.to(self.device)
        self.reference = self.register("reference", reference.requires_grad_(False))
        self.prompts = torch.from_numpy(prompts).to(self.device)
        self.answers = torch.from_numpy(np.stack(answers, axis=1)).to(self.device)  # (N, 2) or (N, 2, T)
        self.lengths = torch.from_numpy(np.stack(lengths, axis=1)).float().to(self.device)
        label = np.ones(len(self.data)) if self.data.label is None else np.array(self.data.label)
        self.label = torch.from_numpy(label).float().to(self.device)
        rate = c.learning_rate or (3e-4 if self.texts_only else 0.01)
        self.optimizer = self.register(
            "optimizer", make_optimizer(model, c.optimizer, lr=rate, max_grad_norm=c.max_grad_norm)
        )
        self.progress_of_data = self.register("data", Passes())

    @classmethod
    def rebuild(cls, source: Source, config: PairConfig, state: Any, **keywords: Any) -> PairLearner:
        """Build a learner for a saved state; a pretrained model is built from the files in the state."""
        if config.model == "tiny":
            return cls(source, config, **keywords)
        wanted = ["model_files"] + ["reference_files"] * (config.reference_model is not None)
        try:
            files = {name: dict(state["parts"][name]) for name in wanted}
        except (LookupError, TypeError, ValueError):
            raise CheckpointError("the agent's file lacks the configuration of its language model") from None
        return cls(source, config, files=files, **keywords)

    def _text_models(self, files: Mapping[str, Any]) -> tuple[Any, Any]:
        """Make the language model, and the reference if it is another one, else None."""
        c = self.config
        if c.model == "tiny":
            sizes = {"dim": c.model_dim, "layers": c.model_layers, "heads": c.model_heads}
            generator = self.streams.torch("weights", "cpu")
            return make_character_model(self.data, self._alphabet(), sizes, generator), None
        model, own = make_pretrained(c.model, self.data, files.get("model_files"))
        self.register("model_files", own)
        if c.reference_model is None:
            return model, None
        reference, own = make_pretrained(c.reference_model, self.data, files.get("reference_files"))
        check_same_tokens(model, reference)
        self.register("reference_files", own)
        return model, reference

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
            if not self.reference_is_given:
                self.reference.load_state_dict(self.policy.state_dict())
            # The imitation moved the parameters into another flat vector.
            self.optimizer = self.register(
                "optimizer",
                make_optimizer(self.policy, c.optimizer, lr=self.optimizer.lr, max_grad_norm=c.max_grad_norm),
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
        if not self.reference_is_given:
            self.reference.load_state_dict(weights)
        self.progress_of_data.warm = True
