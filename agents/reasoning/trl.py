"""The methods in TRL: a GRPOTrainer for many GPUs whose advantages, selection and loss are those of an agent here."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.reasoning.stages import Stages, answers
from envzoo.agents.reasoning.trl_puzzles import Puzzles
from envzoo.agents.text.losses.advantages import group_mean, overlong_penalty
from envzoo.agents.text.losses.lp_reg import min_p_log_prob
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.trainer import TextConfig
from envzoo.errors import EnvzooError, MissingExtraError

try:
    from trl import GRPOConfig, GRPOTrainer
except ImportError as error:
    raise MissingExtraError("training with TRL needs trl; install it with `pip install 'envzoo[text]'`") from error

__all__ = ["MethodTrainer", "Puzzles"]

_PLACES = {  # settings of a method that TRL's GRPOConfig decides, and their names there
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
# Fields of GRPOConfig that describe a loss; the method's settings stand in their place.
_REPLACED = (
    "loss_type", "epsilon", "epsilon_high", "delta", "importance_sampling_level", "top_entropy_quantile",
    "off_policy_mask_threshold", "scale_rewards", "multi_objective_aggregation", "entropy_coef",
    "use_adaptive_entropy", "use_bias_correction_kl",
)  # fmt: skip


class MethodTrainer(GRPOTrainer):
    """TRL's GRPOTrainer with the advantages, the selection and the loss of a method of envzoo.

    Sampling, distribution, logging, checkpoints and the optimizer are TRL's, and so are the settings of these in
    `args`; `settings` holds what is special to the method, under the names and with the defaults of its agent. Means,
    quantiles and rankings are taken over the answers of one forward pass of one process (with gradient accumulation:
    means of means); advantages are exact over all processes, and D3S selects within each. What needs a sampler of its
    own is left out, with a warning: HAPO's temperatures of tokens, and DAPO's dynamic sampling. AEPOArbitrary is
    nothing without it, and is refused. For language models of text alone.

    Args:
        model: As for GRPOTrainer.
        reward_funcs: As for GRPOTrainer; see `Puzzles.reward`.
        args: TRL's GRPOConfig.
        *others: Further positional arguments of GRPOTrainer.
        method: Name of the agent, such as "STEER".
        settings: Its hyperparameters.
        **keywords: Further arguments of GRPOTrainer.

    Raises:
        EnvzooError: A method or setting that does not go with TRL, or a setting in the wrong place.
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
        stages = Stages(method, args.max_completion_length, seed=args.seed, **given)  # refuses before a model is loaded
        super().__init__(model, reward_funcs, args, *others, **keywords)
        device = self.accelerator.device
        self.method = stages
        if device.type != "cpu":
            self.method = Stages(method, args.max_completion_length, seed=args.seed, device=device, **given)
        self.method._method.progress = self._progress
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
            raise EnvzooError("MethodTrainer trains language models of text alone, but the prompts come with images")
        if not self.model.training:
            return output
        mask = _mask(output)
        output["advantages"] = self._advantages(mask)
        if self.method.needs_entropy or self.method.kappa is not None:
            output |= self._recorded(output)
        batch = answers(mask, advantage=output["advantages"], entropy=output.get("old_entropy", torch.zeros_like(mask)))
        output["learned"], metrics = self.method.select(batch)
        for name, value in metrics.items():
            self._note(name, torch.tensor(value))
        return output

    def _advantages(self, mask: Tensor) -> Tensor:
        """(B, T) of this process, from the rewards and lengths of all."""
        everywhere = self.accelerator.gather(self.accelerator.pad_across_processes(mask, dim=1))
        scores = self._scores
        reward = (scores * self.reward_weights.to(scores.device)).nansum(1)
        group = torch.arange(len(reward), device=reward.device) // self.num_generations
        judged = ~scores.isnan().all(1)
        buffer = self.method.config.overlong_buffer
        if buffer:
            reward = reward + overlong_penalty(everywhere.sum(1), self.max_completion_length, buffer)
        if not bool(judged.all()):  # what nobody judged neither learns nor counts in its group's mean
            share = group_mean(judged.to(reward.dtype), group)[0].clamp_min(1e-9)
            mean = group_mean(torch.where(judged, reward, 0.0), group)[0] / share
            reward = torch.where(judged, reward, mean)
        advantage = self.method.advantages(reward, group, everywhere) * judged[:, None]
        first = self.accelerator.process_index * len(mask)
        return advantage[first : first + len(mask), : mask.shape[1]]

    @torch.no_grad()
    def _recorded(self, output: dict[str, Any]) -> dict[str, Tensor]:
        """What the method reads of the policy that wrote the answers, (B, T) each."""
        ids, attention, width = _sequences(output)
        size, kappa = self.args.per_device_train_batch_size, self.method.kappa
        if kappa is None:
            found = self._get_per_token_logps_and_entropies(
                self.model, ids, attention, width, batch_size=size, compute_entropy=True
            )
            return {"old_entropy": found[1]}
        parts = []
        for some_ids, some_attention in zip(ids.split(size), attention.split(size), strict=True):
            with self.accelerator.autocast():
                logits = self.model(input_ids=some_ids, attention_mask=some_attention).logits[:, -width - 1 : -1]
            proxy = min_p_log_prob(logits.float() / self.temperature, kappa)
            parts.append(proxy.gather(-1, some_ids[:, -width:, None]).squeeze(-1))
        return {"proxy_logp": torch.cat(parts)}

    # --------------------------------------------------------------- the loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        ids, attention, width = _sequences(inputs)
        logp, entropy, auxiliary = self._get_per_token_logps_and_entropies(
            model, ids, attention, width, compute_entropy=True, compute_aux_loss=self.aux_loss_enabled
        )
        batch, logp = as_batch(inputs, logp, entropy)
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


def method_settings(method: str, settings: dict[str, Any], args: GRPOConfig) -> dict[str, Any]:
    """The hyperparameters of an agent from those that were given for TRL, and TRL's own.

    Raises:
        EnvzooError: A setting in the wrong place, or one that TRL cannot follow.
    """
    shared = {field.name for field in dataclasses.fields(TextConfig)}
    for name in settings:
        if name in _PLACES:
            raise EnvzooError(f"{name} of {method} is {_PLACES[name]} of TRL's GRPOConfig; set it there")
        if name in shared - set(_TAKEN):
            raise EnvzooError(f"{name} of {method} means nothing to TRL's trainer; leave it out")
    defaults = {field.name: field.default for field in dataclasses.fields(GRPOConfig)}
    for name in _REPLACED:
        if name in defaults and getattr(args, name) != defaults[name]:
            raise EnvzooError(f"{name} of TRL's GRPOConfig does not act here; {method} has settings of its own for it")
    if method == "AEPOArbitrary":
        raise EnvzooError(
            "AEPOArbitrary replaces answers by those of another temperature, which TRL's trainer does not sample; "
            "train it with envzoo.agents"
        )
    missing = ""
    if method == "DAPO":
        missing = "dynamic sampling, so that prompts whose answers are all right or all wrong stay in the batch"
    if method == "HAPO" and settings.get("adaptive_temperature", True):
        settings["adaptive_temperature"] = False
        missing = "its temperatures of tokens (component A)"
    if missing:
        warnings.warn(f"TRL samples without a word of the method, so {method} goes without {missing}", stacklevel=3)
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


def as_batch(inputs: dict[str, Any], logp: Tensor, entropy: Tensor) -> tuple[Rollout, Tensor]:
    """A minibatch of TRL as a rollout, and the log-probabilities (B, T) of the policy that learns, 0 off the mask.

    Where TRL keeps no log-probabilities of the sampling policy, it is the one that learns.
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
    for name, key in (("proxy_logp", "proxy_logp"), ("ref_logp", "ref_per_token_logps")):
        if key in inputs:
            known[name] = torch.where(mask > 0, inputs[key], 0.0)
    if "proxy_logp" not in known:
        known["proxy_logp"] = known["old_logp"]
    return answers(mask, **known), logp


def _mask(inputs: dict[str, Any]) -> Tensor:
    mask = inputs["completion_mask"]
    return (mask * inputs["tool_mask"] if "tool_mask" in inputs else mask).float()


def _sequences(inputs: dict[str, Any]) -> tuple[Tensor, Tensor, int]:
    """Ids and attention mask (B, P + T), and T."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    return ids, attention, inputs["completion_ids"].shape[1]
