"""The hyperparameters that all methods for language models have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from envzoo.agents.spec import Holds, require
from envzoo.agents.text.losses.advantages import ADVANTAGES, NEED_GROUPS
from envzoo.agents.text.losses.kl import KL_ESTIMATORS
from envzoo.agents.text.losses.tokens import AGGREGATIONS
from envzoo.errors import nearest, unknown


@dataclass(frozen=True)
class TextConfig:
    """Hyperparameters of all methods; the sizes suit the tiny model on a laptop."""

    model: Annotated[str, Holds("model", words=("tiny",), part="model_files")] = "tiny"
    """The policy: "tiny" is a transformer over the task's characters, made in place; else a causal language model of
    Hugging Face, by its folder or its id on the hub (extra `text`)."""
    model_dim: int = 64
    """Width of the tiny model."""
    model_layers: int = 2
    """Layers of the tiny model."""
    model_heads: int = 4
    """Heads of attention of the tiny model."""
    model_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Numbers of a pretrained model; small steps are lost in the short ones."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Numbers that the model computes in; "bfloat16" is several times faster on a large GPU, and its weights, losses
    and optimizer keep theirs."""
    max_answer_tokens: int | None = None
    """Most tokens a pretrained model writes per answer, or per turn of one; None for twice what the task needs."""
    keep_start: bool | None = None
    """Keep a copy of the policy at the start, for the divergence from it; None keeps that of the tiny model, and that
    of a pretrained one where kl_coefficient asks for it."""
    warm_up_updates: int | None = None
    """Supervised updates on demonstrations before the first rollout; None for 400 of the tiny model and none of a
    pretrained one."""
    warm_up_batch: int = 256
    """Demonstrations per supervised update."""
    warm_up_learning_rate: float = 1e-3
    """AdamW's learning rate of the warm-up."""
    warm_up_noise: float | None = None
    """Share of flawed demonstrations; None takes what the task advises."""
    warm_up_cache: bool = True
    """Keep the warmed-up model in $ENVZOO_CACHE (else ~/.cache/envzoo) for all agents of equal settings and seed."""
    num_prompts: int = 32
    """Prompts per rollout (Q)."""
    group_size: int = 16
    """Answers per prompt (G)."""
    temperature: float = 1.0
    """Temperature of sampling; the policy that is trained is that of this temperature."""
    num_minibatches: int = 4
    """Optimizer steps per epoch; they split the answers evenly."""
    num_epochs: int = 1
    """Passes over a rollout."""
    micro_batch: int | None = None
    """Answers per forward pass, where memory is short; the gradient is that of the whole minibatch. None for all."""
    staleness: int = 0
    """Rollouts that lie between the sampling of an answer and learning from it; 0 learns at once."""
    partial_rollout: int | None = None
    """Most tokens an answer grows by per rollout; what is unfinished then is gone on with by the next policy. None lets
    answers end."""
    learning_rate: float | None = None
    """AdamW's learning rate; None for 3e-4 with the tiny model and 1e-6 with a pretrained one."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    max_grad_norm: float = 1.0
    """The gradient's norm is clipped to this."""
    advantage: str = "grpo"
    """How rewards become advantages: grpo, dr_grpo, grpo_batch, rloo, reinforce_plus_plus, ..."""
    aggregation: str = "token_mean"
    """How losses of tokens become one: token_mean, seq_mean_token_mean, seq_mean_token_sum_norm, ..."""
    kl_coefficient: float = 0.0
    """Weight of the divergence from the policy at the start, as a loss."""
    kl_estimator: str = "k3"
    """Estimator of that divergence: k1, k2, k3, k3_plus, absolute."""
    entropy_coefficient: float = 0.0
    """Weight of an entropy bonus."""
    dynamic_sampling: bool = False
    """Replace prompts whose answers are all right or all wrong by new ones (DAPO)."""
    max_generations: int = 10
    """Most batches of prompts that dynamic sampling generates for one rollout."""
    overlong_buffer: int = 0
    """Tokens before the longest length in which answers begin to be punished (DAPO); 0 for no punishment. Accuracy and
    dynamic sampling go by the verifier alone."""

    def __post_init__(self):
        name = type(self).__name__.removesuffix("Config")
        no_place = "/" not in self.model and not os.path.isdir(self.model)  # False for what no path can be
        if self.pretrained and no_place and (not self.model or nearest(self.model, ("tiny",))):
            raise unknown("model", self.model, ("tiny",), where="or a folder, or an id of the Hugging Face hub")
        if self.advantage not in ADVANTAGES:
            raise unknown("advantage", self.advantage, ADVANTAGES)
        if self.aggregation not in AGGREGATIONS:
            raise unknown("aggregation", self.aggregation, AGGREGATIONS)
        if self.kl_estimator not in KL_ESTIMATORS:
            raise unknown("kl_estimator", self.kl_estimator, KL_ESTIMATORS)
        for field in ("model_dim", "model_layers", "model_heads", "warm_up_batch", "num_prompts", "group_size",
                      "num_minibatches", "num_epochs", "max_generations", "max_answer_tokens", "micro_batch",
                      "partial_rollout"):  # fmt: skip
            value = getattr(self, field)
            require(value is None or value >= 1, f"{field} of {name} is at least 1, got {value}")
        for field in ("temperature", "learning_rate", "warm_up_learning_rate", "max_grad_norm"):
            value = getattr(self, field)
            require(value is None or value > 0, f"{field} of {name} is positive, got {value}")
        for field in ("warm_up_updates", "staleness", "weight_decay", "kl_coefficient", "entropy_coefficient",
                      "overlong_buffer"):  # fmt: skip
            value = getattr(self, field)
            require(value is None or value >= 0, f"{field} of {name} is not negative, got {value}")
        require(
            self.pretrained or self.max_answer_tokens is None,
            f"max_answer_tokens of {name} is for pretrained models; the tiny one writes as many as the task has room "
            "for",
        )
        require(
            not self.kl_coefficient or self.keep_start is not False,
            f"kl_coefficient of {name} needs the policy at the start, so keep_start cannot be False",
        )
        noise = self.warm_up_noise
        require(noise is None or 0 <= noise <= 1, f"warm_up_noise of {name} lies in [0, 1], got {noise}")
        require(
            self.model_dim % self.model_heads == 0,
            f"model_heads of {name} divides model_dim, got {self.model_heads} heads for a width of {self.model_dim}",
        )
        require(
            self.group_size > 1 or (self.advantage not in NEED_GROUPS and not self.dynamic_sampling),
            f"{name} compares answers to the same prompt, so group_size is at least 2, got {self.group_size}; "
            "or choose advantage='reinforce_plus_plus'",
        )
        rows = self.num_prompts * self.group_size
        require(
            rows % self.num_minibatches == 0,
            f"num_minibatches of {name} divides num_prompts * group_size = {rows}, got {self.num_minibatches}",
        )

    @property
    def pretrained(self) -> bool:
        """Whether the policy comes with its own tokenizer."""
        return self.model != "tiny"

    @property
    def keeps_start(self) -> bool:
        """Whether there is a copy of the policy at the start."""
        if self.keep_start is None:
            return not self.pretrained or self.kl_coefficient > 0
        return self.keep_start

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.learning_rate or (1e-6 if self.pretrained else 3e-4)

    @property
    def imitations(self) -> int:
        """Updates of the warm-up."""
        if self.warm_up_updates is None:
            return 0 if self.pretrained else 400
        return self.warm_up_updates
