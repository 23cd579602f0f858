"""A GRPOTrainer of TRL, for many GPUs, with the advantages, the selection and the loss of a method of envzoo."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.reasoning.trl_puzzles import Puzzles
from envzoo.agents.text.losses.advantages import group_mean, overlong_penalty
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method, make_method, method_class
from envzoo.agents.text.rollouts import TextRollout, answers
from envzoo.agents.text.trainer import TextConfig
from envzoo.errors import EnvzooError, missing_extra

try:
    from trl import GRPOConfig, GRPOTrainer
except ImportError as error:
    raise missing_extra("training with TRL", "trl", "text") from error

__all__ = ["MethodTrainer", "Puzzles"]

_PLACES = {  # hyperparameters of a method that belong to TRL's GRPOConfig, and their names there
    "num_prompts": "generation_batch_size",
    "group_size": "num_generations",
    "num_minibatches": "steps_per_generation",
    "num_epochs": "num_iterations",
    "micro_batch": "gradient_accumulation_steps",
    "temperature": "temperature",
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "kl_coefficient": "beta",
    "max_answer_tokens": "max_completion_length",
}
_TAKEN = ("advantage", "aggregation", "kl_estimator", "entropy_coefficient", "overlong_buffer")
# Fields of GRPOConfig that describe a loss; the hyperparameters of the method replace them.
_REPLACED = (
    "loss_type", "epsilon", "epsilon_high", "delta", "importance_sampling_level", "top_entropy_quantile",
    "off_policy_mask_threshold", "scale_rewards", "multi_objective_aggregation", "entropy_coef",
    "use_adaptive_entropy", "use_bias_correction_kl",
)  # fmt: skip


class MethodTrainer(GRPOTrainer):
    """TRL's GRPOTrainer with the advantages, the selection and the loss of a method of envzoo.

    TRL samples, distributes, logs, writes checkpoints and optimizes, as configured in `args`. `settings` holds the
    hyperparameters of the method, with the names and defaults of its agent. Means, quantiles and rankings are over the
    answers of one forward pass of one process (with gradient accumulation: means of means). Advantages are exact over
    all processes; `Method.select` selects within each process. What needs control over the sampler is left out, with a
    warning: temperatures per token (HAPO) and dynamic sampling (DAPO). Methods that inject answers (AEPOArbitrary)
    raise an error. Only language models without images are supported.

    Args:
        model: As for GRPOTrainer.
        reward_funcs: As for GRPOTrainer; see `Puzzles.reward`.
        args: TRL's GRPOConfig.
        *others: Further positional arguments of GRPOTrainer.
        method: Name of the agent, such as "STEER".
        settings: Hyperparameters of the method.
        **keywords: Further arguments of GRPOTrainer.

    Raises:
        EnvzooError: The method or a hyperparameter is not available with TRL, or belongs into `args`.
    """

    _tag_names = ("trl", "grpo", "envzoo")

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: GRPOConfig | None = None,
        *others: Any,
        method: str = "GRPO",
        settings: dict[str, Any] | None = None,
        **keywords: Any,
    ):
        args = GRPOConfig(f"runs/trl-{method}") if args is None else args
        given = method_settings(method, dict(settings or {}), args)
        known = {"seed": args.seed, "progress": self._progress, **given}
        self.method: Method = make_method(method, args.max_completion_length, **known)  # before a model is loaded
        warn_of_sampling(method, self.method)
        super().__init__(model, reward_funcs, args, *others, **keywords)
        self._entropy_bonus_enabled = True  # without it TRL 1.14 gives entropies no gradient
        device = self.accelerator.device
        if device.type != "cpu":
            self.method = make_method(method, args.max_completion_length, device=device, **known)
        self._scores: Tensor | None = None

    def _progress(self) -> float:
        return min(1.0, self.state.global_step / max(1, self.state.max_steps))

    # ------------------------------------------------------- after generation

    def _calculate_rewards(self, *arguments: Any, **keywords: Any) -> Tensor:
        self._scores = super()._calculate_rewards(*arguments, **keywords)
        return self._scores

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        if "num_images" in output or "pixel_values" in output:
            raise EnvzooError("MethodTrainer trains language models without images, but the prompts contain images")
        if self.method.reads_entropy or self.method.records:
            output |= self._recorded(output)
        if not self.model.training:
            return output
        mask = _mask(output)
        output["advantages"], metrics = self._advantages(mask)
        batch = answers(mask, advantage=output["advantages"], entropy=output.get("old_entropy", torch.zeros_like(mask)))
        output["learned"], selection = self.method.select_mask(batch)
        for name, value in (metrics | selection).items():
            self._note(name, torch.tensor(value))
        return output

    def _advantages(self, mask: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Compute the advantages (B, T) of this process from the rewards and lengths of all, and metrics."""
        everywhere = self.accelerator.gather(self.accelerator.pad_across_processes(mask, dim=1))
        scores = self._scores
        reward = (scores * self.reward_weights.to(scores.device)).nansum(1)
        group = torch.arange(len(reward), device=reward.device) // self.num_generations
        judged = ~scores.isnan().all(1)
        buffer = self.method.config.overlong_buffer
        if buffer:
            reward = reward + overlong_penalty(everywhere.sum(1), self.max_completion_length, buffer)
        if not bool(judged.all()):  # answers without a reward have advantage 0 and do not count in the group's mean
            share = group_mean(judged.to(reward.dtype), group)[0].clamp_min(1e-9)
            mean = group_mean(torch.where(judged, reward, 0.0), group)[0] / share
            reward = torch.where(judged, reward, mean)
        advantage, metrics = self.method.advantages(answers(everywhere, reward=reward, group=group))
        advantage = advantage * judged[:, None]
        first = self.accelerator.process_index * len(mask)
        return advantage[first : first + len(mask), : mask.shape[1]], metrics

    @torch.no_grad()
    def _recorded(self, output: dict[str, Any]) -> dict[str, Tensor]:
        """Compute what the method reads of the sampling policy, (B, T) each."""
        ids, attention, width = _sequences(output)
        size, found = self.args.per_device_train_batch_size, {}
        if self.method.reads_entropy:
            found["old_entropy"] = self._get_per_token_logps_and_entropies(
                self.model, ids, attention, width, batch_size=size, compute_entropy=True
            )[1]
        if not self.method.records:
            return found
        parts: dict[str, list[Tensor]] = {name: [] for name in self.method.records}
        for some_ids, some_attention in zip(ids.split(size), attention.split(size), strict=True):
            with self.accelerator.autocast():
                logits = self.model(input_ids=some_ids, attention_mask=some_attention).logits[:, -width - 1 : -1]
            log_probs = torch.log_softmax(logits.float() / self.temperature, -1)
            recorded = self.method.record(log_probs.flatten(0, 1), some_ids[:, -width:].flatten())
            for name, part in parts.items():
                part.append(recorded[name].view(len(some_ids), width))
        return found | {name: torch.cat(part) for name, part in parts.items()}

    # --------------------------------------------------------------- the loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        ids, attention, width = _sequences(inputs)
        logp, entropy, auxiliary = self._get_per_token_logps_and_entropies(
            model, ids, attention, width, compute_entropy=True, compute_aux_loss=self.aux_loss_enabled
        )
        batch, logp = as_batch(inputs, logp, entropy, self.method.records)
        corrects = self.use_vllm and self.vllm_importance_sampling_correction
        weight = inputs["importance_sampling_ratio"] if corrects else None
        loss, metrics = self.method.objective(logp, torch.where(batch.mask > 0, entropy, 0.0), batch, weight)
        self._note("entropy", masked_mean(entropy.detach(), batch.mask))
        for name, value in metrics.items():
            self._note(name, torch.as_tensor(value))
        if self.aux_loss_enabled:
            loss = loss + self.router_aux_loss_coef * auxiliary
        return loss / (self.current_gradient_accumulation_steps if self.model.training else 1.0)

    def _note(self, name: str, value: Tensor) -> None:
        value = value.detach().float().to(self.accelerator.device)
        mode = "train" if self.model.training else "eval"
        self._metrics[mode][name].append(self.accelerator.gather(value).nanmean().item())


def method_settings(name: str, settings: dict[str, Any], args: GRPOConfig) -> dict[str, Any]:
    """Combine the hyperparameters of a method with those that TRL's config determines.

    Raises:
        UnknownNameError: There is no such method.
        EnvzooError: The method or a hyperparameter is not available with TRL, or belongs into `args`.
    """
    method, _ = method_class(name)
    shared = {field.name for field in dataclasses.fields(TextConfig)}
    for key in settings:
        if key in _PLACES:
            raise EnvzooError(f"{key} of {name} is {_PLACES[key]} of TRL's GRPOConfig; set it there")
        if key in shared - set(_TAKEN):
            raise EnvzooError(f"{key} of {name} means nothing to TRL's trainer; leave it out")
    defaults = {field.name: field.default for field in dataclasses.fields(GRPOConfig)}
    for key in _REPLACED:
        if key in defaults and getattr(args, key) != defaults[key]:
            raise EnvzooError(f"{key} of TRL's GRPOConfig does not act here; {name} has settings of its own for it")
    if method.injects:
        raise EnvzooError(
            f"{name} replaces answers by samples of its own, which TRL's trainer does not take; train it with "
            "envzoo.agents"
        )
    groups = max(1, args.generation_batch_size // args.num_generations)
    from_trl = {
        "num_prompts": groups,
        "group_size": args.num_generations,
        "num_minibatches": 1,
        "num_epochs": args.num_iterations,
        "temperature": args.temperature,
        "kl_coefficient": args.beta,
        "dynamic_sampling": False,
    }
    return settings | from_trl


def warn_of_sampling(name: str, method: Method) -> None:
    """Warn of what a method changes in sampling, which TRL's trainer leaves out."""
    missing = []
    if type(method.config).dynamic_sampling:  # the default: `method_settings` has turned it off
        missing.append("dynamic sampling, so prompts whose answers are all right or all wrong stay in the batch")
    if method.varies_temperature:
        missing.append("temperatures per token")
    if missing:
        what = " and without ".join(missing)
        warnings.warn(f"the method does not control TRL's sampler, so {name} runs without {what}", stacklevel=3)


def as_batch(
    inputs: dict[str, Any], logp: Tensor, entropy: Tensor, records: Sequence[str] = ()
) -> tuple[TextRollout, Tensor]:
    """Convert a minibatch of TRL to a rollout, and mask the log-probabilities (B, T) of the current policy.

    If TRL does not keep log-probabilities of the sampling policy, it is the current policy.

    Args:
        inputs: The minibatch.
        logp: (B, T), under the current policy.
        entropy: (B, T), of the current policy.
        records: Names of the extras in `inputs`.
    """
    mask = inputs.get("learned", _mask(inputs))
    logp = torch.where(mask > 0, logp, 0.0)
    advantage = inputs["advantages"]
    old = inputs.get("old_per_token_logps")
    known = {
        "prompts": inputs["prompt_ids"],
        "tokens": inputs["completion_ids"],
        "old_logp": logp.detach() if old is None else torch.where(mask > 0, old, 0.0),
        "entropy": torch.where(mask > 0, inputs.get("old_entropy", entropy.detach()), 0.0),
        "advantage": advantage if advantage.dim() == 2 else advantage[:, None] * mask,
    }
    if "ref_per_token_logps" in inputs:
        known["ref_logp"] = torch.where(mask > 0, inputs["ref_per_token_logps"], 0.0)
    extras = {name: torch.where(mask > 0, inputs[name], 0.0) for name in records}
    return answers(mask, extras=extras, **known), logp


def _mask(inputs: dict[str, Any]) -> Tensor:
    mask = inputs["completion_mask"]
    return (mask * inputs["tool_mask"] if "tool_mask" in inputs else mask).float()


def _sequences(inputs: dict[str, Any]) -> tuple[Tensor, Tensor, int]:
    """Return ids and attention mask (B, P + T), and T."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    return ids, attention, inputs["completion_ids"].shape[1]
