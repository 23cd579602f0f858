"""Reinforcement learning of a language model on verifiable puzzles, in stages that a method picks."""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.agent import Agent
from envzoo.agents.loops.rollouts import Rollout, RolloutQueue, concatenate, measure, sample_answers
from envzoo.agents.loops.text_acting import answer_texts, choose_tokens, task_of
from envzoo.agents.loops.warm_up import warm_up
from envzoo.agents.losses.text.advantages import ADVANTAGES, NEED_GROUPS, group_varies, overlong_penalty
from envzoo.agents.losses.text.kl import KL_ESTIMATORS, k3
from envzoo.agents.losses.text.tokens import AGGREGATIONS, aggregate, entropy_of_logits, masked_mean
from envzoo.agents.networks.language import CharacterTransformer, answer_log_probs
from envzoo.agents.optim import make_optimizer
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.errors import unknown

SILENT_UPDATES = 20  # after so many updates without any difference between rewards, a person should know


@dataclass(frozen=True)
class TextConfig:
    """Hyperparameters of all methods; the sizes suit the tiny model on a laptop."""

    model: str = "tiny"
    """The policy: "tiny" is a transformer over the task's characters, made in place."""
    model_dim: int = 64
    """Width of the tiny model."""
    model_layers: int = 2
    """Layers of the tiny model."""
    model_heads: int = 4
    """Heads of attention of the tiny model."""
    warm_up_updates: int = 400
    """Supervised updates on demonstrations before the first rollout; 0 for none."""
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
    staleness: int = 0
    """Rollouts that lie between the sampling of an answer and learning from it; 0 learns at once."""
    learning_rate: float = 3e-4
    """AdamW's learning rate."""
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
    """Tokens before the longest length in which answers begin to be punished (DAPO); 0 for no punishment."""

    def __post_init__(self):
        name = type(self).__name__.removesuffix("Config")
        if self.model != "tiny":
            raise unknown("model", self.model, ("tiny",))
        if self.advantage not in ADVANTAGES:
            raise unknown("advantage", self.advantage, ADVANTAGES)
        if self.aggregation not in AGGREGATIONS:
            raise unknown("aggregation", self.aggregation, AGGREGATIONS)
        if self.kl_estimator not in KL_ESTIMATORS:
            raise unknown("kl_estimator", self.kl_estimator, KL_ESTIMATORS)
        for field in ("model_dim", "model_layers", "model_heads", "warm_up_batch", "num_prompts", "group_size",
                      "num_minibatches", "num_epochs", "max_generations"):  # fmt: skip
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")
        for field in ("temperature", "learning_rate", "warm_up_learning_rate", "max_grad_norm"):
            require(getattr(self, field) > 0, f"{field} of {name} is positive, got {getattr(self, field)}")
        for field in ("warm_up_updates", "staleness", "weight_decay", "kl_coefficient", "entropy_coefficient",
                      "overlong_buffer"):  # fmt: skip
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
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


class Memory:
    """Plain values that are saved with the agent."""

    def __init__(self, **values: Any):
        self.values = values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.values[name] = value

    def state_dict(self) -> dict[str, Any]:
        """A copy."""
        return deepcopy(self.values)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the values of the names that this memory has; raises KeyError when one is missing."""
        self.values = {name: state[name] for name in self.values}


class TextAgent(Agent):
    """Base of the methods: sample, reward, compare, select, weigh tokens, step.

    A timestep is a token that the model wrote. A subclass writes `token_loss`, and where its method says so
    `generate`, `advantages` or `select`.

    Attributes:
        task: The puzzles.
        split: Which of them are learned from; that of the environment.
        policy: The language model.
        start: A copy of it as it was before the first rollout.
        memory: Plain values that survive a restart.
    """

    Config = TextConfig
    config: TextConfig
    kappa: float | None = None  # threshold of a min-p filter, for methods that need its probabilities

    def __init__(self, source: Source, config: TextConfig, **keywords: Any):
        super().__init__(source, config, **keywords)
        c = config
        self.task, self.split = task_of(source, self.spec.name)
        require(
            c.overlong_buffer <= self.task.answer_length,
            f"overlong_buffer of {self.spec.name} is at most the {self.task.answer_length} tokens of an answer to "
            f"{source.name}, got {c.overlong_buffer}",
        )
        network = CharacterTransformer(
            self.task.vocab_size,
            self.task.prompt_length + self.task.answer_length,
            c.model_dim,
            c.model_layers,
            c.model_heads,
            generator=self.streams.torch("weights", "cpu"),
        ).to(self.device)
        self.start = self.register("start", deepcopy(network).requires_grad_(False))
        self.policy = self.register("policy", network)
        self.optimizer = self.register(
            "optimizer",
            make_optimizer(
                network, "adamw", lr=c.learning_rate, weight_decay=c.weight_decay, max_grad_norm=c.max_grad_norm
            ),
        )
        self.queue = self.register("queue", RolloutQueue(self.device))
        self.memory = self.register("memory", Memory(**self.first_memory()))
        self.seen: Rollout | None = None  # what the policy last wrote by itself

    def first_memory(self) -> dict[str, Any]:
        """What the agent remembers between updates, at first."""
        return {"warm": False, "prompts": 0, "generated": 0, "silent": 0}

    # ------------------------------------------------------------- the stages

    def sample(self, num_prompts: int, temperature: float | None = None) -> Rollout:
        """Answers to the next prompts of the training split, rewarded."""
        c = self.config
        prompts = self.task.sample(num_prompts, self.split, self.streams.integer("prompts"), self.memory["prompts"])
        self.memory["prompts"] += num_prompts
        return self.answer(prompts, c.temperature if temperature is None else temperature)

    def answer(self, prompts: np.ndarray, temperature: float) -> Rollout:
        """Answers to given prompts (Q, P), rewarded; the tokens count as timesteps."""
        c = self.config
        rollout = sample_answers(
            self.policy,
            self.task,
            prompts,
            c.group_size,
            self.streams.torch("sampling"),
            temperature,
            c.temperature,
            self.temperature_of(),
            self.kappa,
        )
        written = int(rollout.mask.sum())
        self.num_timesteps += written
        self.memory["generated"] += written
        if c.overlong_buffer:
            length = (rollout.tokens != 0).sum(1).to(rollout.reward.dtype)
            penalty = overlong_penalty(length, self.task.answer_length, c.overlong_buffer)
            rollout = rollout.replace(reward=rollout.reward + penalty)
        return rollout

    def temperature_of(self) -> Any:
        """Temperatures of tokens from their entropies, or None for one temperature."""
        return None

    def generate(self) -> Rollout:
        """A rollout of Q prompts with its advantages."""
        c = self.config
        rollout = self.sample(c.num_prompts)
        self.seen = rollout
        if c.dynamic_sampling:
            rollout = self._varied(rollout)
        return rollout.replace(advantage=self.advantages(rollout))

    def _varied(self, rollout: Rollout) -> Rollout:
        """Prompts whose rewards differ; filled up with others when there are too few after the last generation."""
        wanted = self.config.num_prompts * self.config.group_size
        useful, rest = [], []
        for generation in range(self.config.max_generations):
            if generation:
                rollout = self.sample(self.config.num_prompts)
            varies = group_varies(rollout.reward, rollout.group)
            useful.append(rollout.rows(varies.nonzero().squeeze(1)))
            rest.append(rollout.rows((~varies).nonzero().squeeze(1)))
            if sum(map(len, useful)) >= wanted:
                break
        found = concatenate([part for part in useful + rest if len(part)])
        return found.rows(torch.arange(wanted, device=self.device))

    def advantages(self, rollout: Rollout) -> Tensor:
        """(B, T) from the rewards."""
        return ADVANTAGES[self.config.advantage](rollout.reward, rollout.group, rollout.mask)

    def select(self, rollout: Rollout) -> tuple[Rollout, dict[str, float]]:
        """The part of a rollout that is learned from, and metrics."""
        return rollout, {}

    @abstractmethod
    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss per token (B, T) of a minibatch, and metrics.

        Args:
            logp: (B, T) under the policy.
            entropy: (B, T) of the policy, without gradient.
            batch: The minibatch.
        """

    # --------------------------------------------------------------- learning

    def iterate(self) -> dict[str, float]:
        """One rollout and its updates."""
        if not self.memory["warm"]:
            self._warm_up()
        began, before = time.perf_counter(), self.num_timesteps
        while len(self.queue.items) <= self.config.staleness:
            self.queue.items.append(self.generate())
        rollout = self.queue.items.pop(0)
        if self.config.kl_coefficient:
            with torch.no_grad():
                rollout = rollout.replace(ref_logp=self._log_probs(self.start, rollout)[0])
        metrics = {f"rollout/{name}": value for name, value in measure(self.seen, self.config.group_size).items()}
        metrics["rollout/useful_groups"] = float(group_varies(rollout.reward, rollout.group).float().mean())
        self._watch(metrics["rollout/useful_groups"])
        chosen, selection = self.select(rollout)
        metrics |= {f"select/{name}": value for name, value in selection.items()}
        metrics |= self._update(chosen)
        metrics["time/tokens_per_second"] = (self.num_timesteps - before) / max(time.perf_counter() - began, 1e-9)
        return metrics

    def _log_probs(self, model: CharacterTransformer, batch: Rollout) -> tuple[Tensor, Tensor]:
        """(B, T) log-probabilities of the tokens, and (B, T, V) of all tokens."""
        width = int(batch.mask.sum(0).nonzero().max()) + 1 if batch.mask.any() else 1
        logp, every = answer_log_probs(model, batch.prompts, batch.tokens[:, :width], self.config.temperature)
        missing = batch.tokens.shape[1] - width
        if missing:
            logp = torch.nn.functional.pad(logp, (0, missing))
            every = torch.nn.functional.pad(every, (0, 0, 0, missing))
        return torch.where(batch.mask > 0, logp, 0.0), every

    def _update(self, rollout: Rollout) -> dict[str, float]:
        c, totals, steps = self.config, {}, 0
        shuffle = self.streams.numpy("minibatches")
        size = len(rollout) // c.num_minibatches
        trained = 0
        for _ in range(c.num_epochs):
            order = torch.as_tensor(shuffle.permutation(len(rollout)), device=self.device)
            for start in range(0, size * c.num_minibatches, size):
                batch = rollout.rows(order[start : start + size])
                found = self._minibatch(batch, steps == 0)
                trained += int(batch.mask.sum())
                steps += 1
                for name, value in found.items():
                    totals.setdefault(name, []).append(torch.as_tensor(value, device=self.device).detach())
        metrics = {f"policy/{name}": float(torch.stack(values).float().mean()) for name, values in totals.items()}
        return metrics | {"policy/trained_tokens": float(trained)}

    def _minibatch(self, batch: Rollout, first: bool) -> dict[str, Any]:
        c = self.config
        logp, every = self._log_probs(self.policy, batch)
        with torch.set_grad_enabled(bool(c.entropy_coefficient)):
            entropy = torch.where(batch.mask > 0, entropy_of_logits(every), 0.0)
        loss, metrics = self.token_loss(logp, entropy.detach(), batch)
        total = aggregate(loss, batch.mask, c.aggregation, self.task.answer_length)
        if c.kl_coefficient:
            divergence = KL_ESTIMATORS[c.kl_estimator](logp, batch.ref_logp)
            total = total + c.kl_coefficient * aggregate(divergence, batch.mask, c.aggregation, self.task.answer_length)
        if c.entropy_coefficient:
            total = total - c.entropy_coefficient * masked_mean(entropy, batch.mask)
        if first:
            metrics["logp_error"] = ((logp.detach() - batch.old_logp) * batch.mask).abs().max()
            with torch.no_grad():
                few = batch.rows(torch.arange(min(64, len(batch)), device=self.device))
                divergence = k3(self._log_probs(self.policy, few)[0], self._log_probs(self.start, few)[0])
                metrics["kl_to_start"] = masked_mean(divergence, few.mask)
        # Without anything to learn, Adam's momentum would still move the weights.
        if bool((batch.advantage * batch.mask).any()) or c.kl_coefficient or c.entropy_coefficient:
            gradient = self.optimizer.flat.grad
            gradient.zero_()
            total.backward(inputs=self.optimizer.parameters)
            metrics["grad_norm"] = torch.linalg.vector_norm(gradient)
            self.optimizer.apply()
        else:
            metrics["grad_norm"] = 0.0
        return metrics | {"loss": total.detach(), "entropy": masked_mean(entropy.detach(), batch.mask)}

    def _warm_up(self) -> None:
        c = self.config
        if c.warm_up_updates:
            settings = {
                "updates": c.warm_up_updates,
                "batch": c.warm_up_batch,
                "learning_rate": c.warm_up_learning_rate,
                "noise": self.task.warm_up_noise if c.warm_up_noise is None else c.warm_up_noise,
                "seed": self.streams.integer("warm_up"),
            }
            facts = {"source": self.source.name, "keywords": self.source.env_kwargs}
            self.policy.load_state_dict(warm_up(self.policy, self.task, settings, facts, c.warm_up_cache))
        self.start.load_state_dict(self.policy.state_dict())
        self.memory["warm"] = True

    def _watch(self, useful: float) -> None:
        self.memory["silent"] = 0 if useful > 0 else self.memory["silent"] + 1
        if self.memory["silent"] == SILENT_UPDATES:
            sentence = (
                f"all answers to each prompt had the same reward for {SILENT_UPDATES} updates, so {self.spec.name} "
                f"learns nothing on {self.source.name}; make the task easier or harder, raise group_size or "
                "temperature, or change the warm-up"
            )
            self.notices.append(sentence)
            warnings.warn(sentence, stacklevel=2)

    def texts(self) -> dict[str, str]:
        """Eight answers of the last rollout, to different prompts where there are as many, with their rewards."""
        if self.seen is None:
            return {}
        rows = range(0, len(self.seen), max(1, len(self.seen) // 8))
        lines = []
        for row in list(rows)[:8]:
            prompt = self.task.text(self.seen.prompts[row].cpu().numpy())
            answer = self.task.signs(self.seen.tokens[row].tolist()).rstrip("_")
            lines.append(f"    {float(self.seen.reward[row]):+.2f}  {prompt}{answer}")
        return {"rollout/transcripts": "\n".join(lines)}

    def assess(
        self, num_prompts: int = 64, samples: int = 16, split: str = "evaluation", temperature: float | None = None
    ) -> dict[str, float]:
        """The measures of `rollouts.measure` on the first prompts of a split, with `samples` answers each.

        Its random numbers are its own: learning goes on as if it had not been called, and equal weights give equal
        results.
        """
        if not self.memory["warm"]:
            self._warm_up()
        generator = torch.Generator(self.device)
        generator.manual_seed(self.streams.integer("assess"))
        prompts = self.task.sample(num_prompts, split, self.streams.integer("assess"))
        heat = self.config.temperature if temperature is None else temperature
        rollout = sample_answers(self.policy, self.task, prompts, samples, generator, heat, self.config.temperature)
        return measure(rollout, samples)

    # ----------------------------------------------------------------- acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """The next token of each window of ids, or, in an environment of texts, whole answers; see `Agent.predict`."""
        generator = None if deterministic else self.streams.torch("acting")
        if isinstance(observation, str):
            return answer_texts(self, [observation], generator)[0], None
        observation = np.asarray(observation)
        if observation.dtype.kind in "UO":
            return answer_texts(self, [str(text) for text in observation], generator), None
        single = observation.ndim == 1
        tokens = choose_tokens(self, np.atleast_2d(observation), generator)
        return (tokens[0] if single else tokens), None
