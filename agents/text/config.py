"""Hyperparameters that all methods for language models share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from envzoo.agents.optim.eight_bit import EIGHT_BIT
from envzoo.agents.spec import Holds, require
from envzoo.agents.text.losses.advantages import ADVANTAGES, NEED_GROUPS
from envzoo.agents.text.losses.kl import KL_ESTIMATORS
from envzoo.agents.text.losses.tokens import AGGREGATIONS
from envzoo.errors import nearest, unknown

OPTIMIZERS = ("adamw", "adam", *EIGHT_BIT)  # those that count their steps, by which a policy is identified


@dataclass(frozen=True)
class TextConfig:
    """Hyperparameters that all methods for language models share.

    The default sizes are meant for the tiny model on a laptop.
    """

    RENAMED: ClassVar[dict[str, str]] = {"keep_start": "keep_reference"}

    model: Annotated[str, Holds("model", words=("tiny",), part="model_files")] = "tiny"
    """Language model: "tiny" is a small transformer over the characters of the task, with random initial weights; any
    other value is the folder or the hub id of a causal language model of Hugging Face (extra `text`)."""
    model_dim: int = 64
    """Width of the tiny model."""
    model_layers: int = 2
    """Number of layers of the tiny model."""
    model_heads: int = 4
    """Attention heads of the tiny model."""
    model_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Dtype of the weights of a pretrained model; the 16-bit dtypes lose small updates to rounding."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute dtype; "bfloat16" is several times faster on a large GPU. Weights, losses and optimizer keep their
    dtype."""
    max_answer_tokens: int | None = None
    """Maximum number of tokens per answer of a pretrained model, or per turn; None for twice what the task needs."""
    keep_reference: bool | None = None
    """Keep a copy of the initial policy as reference policy, for the KL divergence from it. None keeps it for the tiny
    model, and for a pretrained model if kl_coefficient is not 0."""
    warm_up_updates: int | None = None
    """Supervised updates on demonstrations before the first rollout; None for 400 with the tiny model and 0 with a
    pretrained model."""
    warm_up_batch: int = 256
    """Demonstrations per supervised update."""
    warm_up_learning_rate: float = 1e-3
    """Learning rate of AdamW in the warm-up."""
    warm_up_noise: float | None = None
    """Fraction of wrong demonstrations; None for the default of the task."""
    warm_up_cache: bool = True
    """Cache the warmed-up model in $ENVZOO_CACHE (default ~/.cache/envzoo) for all agents with equal settings and
    seed."""
    num_prompts: int = 32
    """Prompts per rollout (Q)."""
    group_size: int = 16
    """Answers per prompt (G)."""
    temperature: float = 1.0
    """Sampling temperature; the policy at this temperature is the one that is trained."""
    num_minibatches: int = 4
    """Minibatches, and so optimizer steps, per epoch; must divide num_prompts * group_size."""
    num_epochs: int = 1
    """Passes over a rollout."""
    micro_batch: int | None = None
    """Maximum number of answers per forward pass, to save memory; the gradient is that of the whole minibatch. None for
    no limit."""
    staleness: int = 0
    """Number of rollouts between the sampling of an answer and training on it; 0 trains on it at once."""
    partial_rollout: int | None = None
    """Maximum number of tokens that are added to an answer per rollout. Unfinished answers are continued by the next
    policy. None samples complete answers."""
    learning_rate: float | None = None
    """Learning rate; None for 3e-4 with the tiny model and 1e-6 with a pretrained model."""
    weight_decay: float = 0.0
    """Weight decay."""
    optimizer: str = "adamw"
    """Optimizer: adamw or adam; with 8-bit statistics adamw8bit, adam8bit, momentum8bit or lion8bit, which take a
    quarter of the memory. The warm-up uses AdamW."""
    max_grad_norm: float = 1.0
    """Maximum norm of the gradient."""
    advantage: str = "grpo"
    """Advantage estimator: grpo, dr_grpo, grpo_batch, rloo, reinforce_plus_plus, reinforce_plus_plus_baseline, opo or
    best_of_group."""
    aggregation: str = "token_mean"
    """Aggregation of the loss per token: token_mean, seq_mean_token_sum, seq_mean_token_mean, seq_mean_token_sum_norm
    or token_sum_norm."""
    kl_coefficient: float = 0.0
    """Coefficient of the KL divergence from the reference policy in the loss."""
    kl_estimator: str = "k3"
    """Estimator of the KL divergence: k1, k2, k3, k3_plus or absolute."""
    entropy_coefficient: float = 0.0
    """Coefficient of the entropy bonus."""
    dynamic_sampling: bool = False
    """Replace prompts whose answers are all right or all wrong by new prompts (DAPO)."""
    max_generations: int = 10
    """Maximum number of batches of prompts that dynamic sampling generates for one rollout."""
    overlong_buffer: int = 0
    """Length in tokens of the interval before the maximum length in which a penalty on long answers rises (DAPO); 0 for
    no penalty. Accuracy and dynamic sampling use the reward of the verifier alone."""

    def __post_init__(self):
        name = type(self).__name__.removesuffix("Config")
        no_place = "/" not in self.model and not os.path.isdir(self.model)  # False for what no path can be
        if self.pretrained and no_place and (not self.model or nearest(self.model, ("tiny",))):
            raise unknown("model", self.model, ("tiny",), where="or a folder, or an id of the Hugging Face hub")
        if self.optimizer not in OPTIMIZERS:
            raise unknown("optimizer", self.optimizer, OPTIMIZERS)
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
            f"max_answer_tokens of {name} is for pretrained models; the tiny model uses the maximum length of the task",
        )
        require(
            not self.kl_coefficient or self.keep_reference is not False,
            f"kl_coefficient of {name} needs the reference policy, so keep_reference cannot be False",
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
        """Whether the model is a pretrained one with its own tokenizer."""
        return self.model != "tiny"

    @property
    def keeps_reference(self) -> bool:
        """Whether there is a reference policy."""
        if self.keep_reference is None:
            return not self.pretrained or self.kl_coefficient > 0
        return self.keep_reference

    @property
    def rate(self) -> float:
        """Learning rate."""
        return self.learning_rate or (1e-6 if self.pretrained else 3e-4)

    @property
    def imitations(self) -> int:
        """Number of supervised updates of the warm-up."""
        if self.warm_up_updates is None:
            return 0 if self.pretrained else 400
        return self.warm_up_updates
