"""Reinforcement learning of a language model on verifiable puzzles, in stages that a method picks."""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.agent import Agent
from envzoo.agents.optim import make_optimizer
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.text.acting import answer_texts, choose_tokens, task_of
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.losses.advantages import ADVANTAGES, group_varies, overlong_penalty
from envzoo.agents.text.losses.kl import KL_ESTIMATORS, k3
from envzoo.agents.text.losses.tokens import aggregate, entropy_of_log_probs, masked_mean
from envzoo.agents.text.make_model import pretrained_model, tiny_model
from envzoo.agents.text.memory import Memory
from envzoo.agents.text.models.language import LanguageModel, answer_log_probs
from envzoo.agents.text.models.pretrained import DTYPES
from envzoo.agents.text.partial import PartialRollouts
from envzoo.agents.text.rollouts import Rollout, RolloutQueue, concatenate, measure
from envzoo.agents.text.sampling import Manner, sample_answers
from envzoo.agents.text.scores import EXACT, REDUCED, RolloutCheck
from envzoo.agents.text.warm_up import warm_up
from envzoo.agents.threads import using_threads
from envzoo.errors import CheckpointError, EnvzooError
from envzoo.kernel.arguments import read_array

SILENT_UPDATES = 20  # after so many updates without any difference between rewards, a person should know


class TextAgent(Agent):
    """Base of the methods: sample, reward, compare, select, weigh tokens, step.

    A timestep is a token that the model wrote. A subclass writes `token_loss`, and where its method says so
    `generate`, `advantages` or `select`.

    Attributes:
        task: The puzzles.
        split: Which of them are learned from; that of the environment.
        codec: How they become tokens of the model.
        policy: The language model.
        start: A copy of it as it was before the first rollout, or None (see `keep_start`).
        memory: Plain values that survive a restart.
    """

    Config = TextConfig
    config: TextConfig
    kappa: float | None = None  # threshold of a min-p filter, for methods that need its probabilities

    def __init__(
        self, source: Source, config: TextConfig, *, model_files: Mapping[str, Any] | None = None, **keywords: Any
    ):
        super().__init__(source, config, **keywords)
        c = config
        self.task, self.split = task_of(source, self.spec.name, c.pretrained)
        require(
            c.partial_rollout is None or not self.task.multi_turn,
            f"partial_rollout of {self.spec.name} goes with answers in one turn, but {source.name} has several",
        )
        if c.pretrained:
            network, self.codec, files = pretrained_model(c, self.task, model_files)
            self.register("model_files", files)
        else:
            network, self.codec = tiny_model(c, self.task, self.streams.torch("weights", "cpu"))
        longest = self.codec.answer_length
        require(
            c.overlong_buffer <= longest,
            f"overlong_buffer of {self.spec.name} is at most the {longest} tokens of an answer to {source.name}, got "
            f"{c.overlong_buffer}",
        )
        network = network.to(self.device)
        network.compute_dtype = DTYPES[c.compute_dtype]
        self.start = None
        if c.keeps_start:
            self.start = self.register("start", deepcopy(network).requires_grad_(False))
        self.policy = self.register("policy", network)
        self.optimizer = self.register(
            "optimizer",
            make_optimizer(network, "adamw", lr=c.rate, weight_decay=c.weight_decay, max_grad_norm=c.max_grad_norm),
        )
        self.queue = self.register("queue", RolloutQueue(self.device))
        self.memory = self.register("memory", Memory(**self.first_memory()))
        self.partial = None
        if c.partial_rollout is not None:
            partial = PartialRollouts(self.codec, c.group_size, c.partial_rollout, self.device)
            self.partial = self.register("partial", partial)
        self.seen: Rollout | None = None  # what the policy last wrote by itself
        self._age = 0.0

    @classmethod
    def rebuild(cls, source: Source, config: TextConfig, state: Any, **keywords: Any) -> TextAgent:
        """An agent for a saved state; a pretrained model is made of the files in it, wherever it came from."""
        if not config.pretrained:
            return cls(source, config, **keywords)
        try:
            files = dict(state["parts"]["model_files"])
        except (LookupError, TypeError, ValueError):
            raise CheckpointError("the agent's file lacks the configuration of its language model") from None
        return cls(source, config, model_files=files, **keywords)

    def first_memory(self) -> dict[str, Any]:
        """What the agent remembers between updates, at first."""
        return {"warm": False, "prompts": 0, "generated": 0, "silent": 0}

    # ------------------------------------------------------------- the stages

    def sample(self, num_prompts: int, temperature: float | None = None) -> Rollout:
        """Answers to the next prompts of the training split, rewarded; of partial rollouts those that are finished."""
        heat = self.config.temperature if temperature is None else temperature
        if self.partial is None:
            return self.answer(self._next_prompts(num_prompts), heat)
        rollout, written, self._age = self.partial.collect(
            num_prompts, self._next_prompts, self.policy, self._manner(heat), self.iteration
        )
        return self._tally(rollout, written)

    def answer(self, prompts: np.ndarray, temperature: float) -> Rollout:
        """Answers to given prompts (Q, P), rewarded; the tokens count as timesteps."""
        manner = self._manner(temperature)
        rollout = sample_answers(self.policy, self.codec, prompts, self.config.group_size, manner)
        return self._tally(rollout, int(rollout.mask.sum()))

    def _next_prompts(self, count: int) -> np.ndarray:
        prompts = self.task.sample(count, self.split, self.streams.integer("prompts"), self.memory["prompts"])
        self.memory["prompts"] += count
        return prompts

    def _manner(self, temperature: float) -> Manner:
        generator, base = self.streams.torch("sampling"), self.config.temperature
        return Manner(generator, temperature, base, self.temperature_of(), self.kappa, self._changes())

    def _changes(self) -> int:
        """How often the policy's weights have changed by learning: a number for each policy."""
        return int(self.optimizer.optimizer.state.get(self.optimizer.flat, {}).get("step", 0))

    def _tally(self, rollout: Rollout, written: int) -> Rollout:
        """Count tokens; punish answers that are too long."""
        self.num_timesteps += written
        self.memory["generated"] += written
        buffer = self.config.overlong_buffer
        if buffer:
            length = (rollout.tokens != self.codec.pad).sum(1).to(rollout.reward.dtype)
            penalty = overlong_penalty(length, self.codec.answer_length, buffer)
            rollout = rollout.replace(reward=rollout.reward + penalty)
        return rollout

    def rows_per_update(self) -> int:
        """Tokens of a minibatch, its prompts included."""
        c = self.config
        answers = c.num_prompts * c.group_size // c.num_minibatches
        return min(answers, c.micro_batch or answers) * (self.task.prompt_length + self.codec.answer_length)

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
            varies = group_varies(rollout.verifier_reward, rollout.group)
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
                rollout = rollout.replace(ref_logp=self._measure(self.start, rollout)[0])
        metrics = {f"rollout/{name}": value for name, value in measure(self.seen, self.config.group_size).items()}
        metrics["rollout/useful_groups"] = float(group_varies(rollout.reward, rollout.group).float().mean())
        self._watch(metrics["rollout/useful_groups"])
        if self.partial is not None:
            metrics["rollout/age"] = self._age
            metrics["rollout/waiting"] = float(len(self.partial.prompts) * self.config.group_size)
        chosen, selection = self.select(rollout)
        metrics |= {f"select/{name}": value for name, value in selection.items()}
        metrics |= self._update(chosen)
        metrics["time/tokens_per_second"] = (self.num_timesteps - before) / max(time.perf_counter() - began, 1e-9)
        return metrics

    def _log_probs(self, model: LanguageModel, batch: Rollout) -> tuple[Tensor, Tensor]:
        """(B, T) log-probabilities of the tokens, and (B, T, V) of all tokens."""
        width = int(batch.mask.sum(0).nonzero().max()) + 1 if batch.mask.any() else 1
        asked, which = batch.distinct_prompts()
        prompts = torch.as_tensor(self.codec.encode(asked.cpu().numpy()), device=self.device)
        logp, every = answer_log_probs(model, prompts, batch.tokens[:, :width], self.config.temperature, which)
        missing = batch.tokens.shape[1] - width
        if missing:
            logp = torch.nn.functional.pad(logp, (0, missing))
            every = torch.nn.functional.pad(every, (0, 0, 0, missing))
        return torch.where(batch.mask > 0, logp, 0.0), every

    def _forward(self, model: LanguageModel, batch: Rollout) -> tuple[Tensor, Tensor]:
        """(B, T) log-probabilities of the tokens, and entropies, which have a gradient where a bonus asks for it."""
        logp, every = self._log_probs(model, batch)
        with torch.set_grad_enabled(torch.is_grad_enabled() and bool(self.config.entropy_coefficient)):
            entropy = torch.where(batch.mask > 0, entropy_of_log_probs(every), 0.0)
        return logp, entropy

    def _pieces(self, batch: Rollout) -> list[Rollout]:
        """The answers in as many as fit into one forward pass."""
        size = self.config.micro_batch or len(batch)
        return [batch.rows(rows) for rows in torch.arange(len(batch), device=self.device).split(size)]

    @torch.no_grad()
    def _measure(self, model: LanguageModel, batch: Rollout) -> tuple[Tensor, Tensor]:
        """As `_forward`, without gradient, piece by piece."""
        logps, entropies = zip(*(self._forward(model, piece) for piece in self._pieces(batch)), strict=True)
        return torch.cat(logps), torch.cat(entropies)

    def _update(self, rollout: Rollout) -> dict[str, float]:
        c, totals, steps = self.config, {}, 0
        shuffle = self.streams.numpy("minibatches")
        size = len(rollout) // c.num_minibatches
        trained = 0
        for _ in range(c.num_epochs):
            order = torch.as_tensor(shuffle.permutation(len(rollout)), device=self.device)
            check = None if steps else self._check(rollout, order, size)
            for start in range(0, size * c.num_minibatches, size):
                batch = rollout.rows(order[start : start + size])
                found = self._minibatch(batch, steps == 0, check if start == 0 else None)
                trained += int(batch.mask.sum())
                steps += 1
                for name, value in found.items():
                    totals.setdefault(name, []).append(torch.as_tensor(value, device=self.device).detach())
        metrics = {f"policy/{name}": float(torch.stack(values).float().mean()) for name, values in totals.items()}
        return metrics | {"policy/trained_tokens": float(trained)}

    def _check(self, rollout: Rollout, order: Tensor, size: int) -> RolloutCheck:
        """The check of a rollout before the first update; minibatches of `size` rows are about to follow in `order`."""
        c = self.config
        limit = EXACT if c.model_dtype == c.compute_dtype == "float32" else REDUCED
        # A low temperature divides the logits, and their rounding errors with them.
        limit /= min(1.0, c.temperature)
        return RolloutCheck(
            rollout, order, size, c.micro_batch, lambda rows: self._log_probs(self.policy, rows)[0], self._changes(),
            limit, lambda prompt: self.task.text(prompt.cpu().numpy()),
        )  # fmt: skip

    def _minibatch(self, batch: Rollout, first: bool, check: RolloutCheck | None = None) -> dict[str, Any]:
        c = self.config
        split = c.micro_batch is not None and c.micro_batch < len(batch)
        if split:
            # Losses need statistics of the whole minibatch, so they are differentiated with respect to the
            # log-probabilities and entropies of all its tokens first, and these piece by piece then.
            logp, entropy = self._measure(self.policy, batch)
            logp.requires_grad_()
            entropy.requires_grad_(bool(c.entropy_coefficient))
        else:
            logp, entropy = self._forward(self.policy, batch)
        scored = {} if check is None else check(logp.detach())
        total, metrics = self._objective(logp, entropy, batch)
        if first:
            metrics |= scored | self._divergence(batch)
        # Without anything to learn, Adam's momentum would still move the weights.
        if bool((batch.advantage * batch.mask).any()) or c.kl_coefficient or c.entropy_coefficient:
            gradient = self.optimizer.flat.grad
            gradient.zero_()
            if split:
                self._backward(total, logp, entropy, batch)
            else:
                total.backward(inputs=self.optimizer.parameters)
            metrics["grad_norm"] = torch.linalg.vector_norm(gradient)
            self.optimizer.apply()
        else:
            metrics["grad_norm"] = 0.0
        return metrics | {"loss": total.detach(), "entropy": masked_mean(entropy.detach(), batch.mask)}

    def _objective(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Any]]:
        """The loss of a minibatch, and metrics."""
        c, longest = self.config, self.codec.answer_length
        loss, metrics = self.token_loss(logp, entropy.detach(), batch)
        total = aggregate(loss, batch.mask, c.aggregation, longest)
        if c.kl_coefficient:
            divergence = KL_ESTIMATORS[c.kl_estimator](logp, batch.ref_logp)
            total = total + c.kl_coefficient * aggregate(divergence, batch.mask, c.aggregation, longest)
        if c.entropy_coefficient:
            total = total - c.entropy_coefficient * masked_mean(entropy, batch.mask)
        return total, metrics

    def _backward(self, total: Tensor, logp: Tensor, entropy: Tensor, batch: Rollout) -> None:
        """Gradients of the weights, by way of those of the log-probabilities and entropies of the minibatch."""
        leaves = [leaf for leaf in (logp, entropy) if leaf.requires_grad]
        slopes = torch.autograd.grad(total, leaves)
        size = self.config.micro_batch
        for piece, *parts in zip(self._pieces(batch), *(slope.split(size) for slope in slopes), strict=True):
            outputs = self._forward(self.policy, piece)[: len(parts)]
            torch.autograd.backward(outputs, parts, inputs=self.optimizer.parameters)

    @torch.no_grad()
    def _divergence(self, batch: Rollout) -> dict[str, Tensor]:
        """From the policy at the start, on a few of the answers."""
        if self.start is None:
            return {}
        few = batch.rows(torch.arange(min(64, len(batch)), device=self.device))
        divergence = k3(self._measure(self.policy, few)[0], self._measure(self.start, few)[0])
        return {"kl_to_start": masked_mean(divergence, few.mask)}

    def _warm_up(self) -> None:
        c = self.config
        if c.imitations:
            settings = {
                "updates": c.imitations,
                "batch": c.warm_up_batch,
                "learning_rate": c.warm_up_learning_rate,
                "noise": self.task.warm_up_noise if c.warm_up_noise is None else c.warm_up_noise,
                "seed": self.streams.integer("warm_up"),
            } | ({} if c.micro_batch is None else {"micro_batch": c.micro_batch})
            facts = {"source": self.source.name, "keywords": self.source.env_kwargs}
            if c.compute_dtype != "float32":
                facts["compute_dtype"] = c.compute_dtype
            with using_threads(self.choose_threads()):  # `assess` warms up too, outside `learn`
                self.policy.load_state_dict(warm_up(self.policy, self.codec, settings, facts, c.warm_up_cache))
        if self.start is not None:
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
            answer = self.codec.shown(self.seen.tokens[row].cpu().numpy())
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
        manner = Manner(generator, heat, self.config.temperature)
        rollout = sample_answers(self.policy, self.codec, prompts, samples, manner)
        return measure(rollout, samples)

    # ----------------------------------------------------------------- acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """The next token of each window of ids, or, in an environment of texts, whole answers; see `Agent.predict`."""
        generator = None if deterministic else self.streams.torch("acting")
        if isinstance(observation, str):
            return answer_texts(self, [observation], generator)[0], None
        observation = read_array("the observation", observation)
        if not observation.size:
            raise EnvzooError("the batch of observations is empty; expected at least one observation")
        if observation.dtype.kind in "UO":
            return answer_texts(self, [str(text) for text in observation], generator), None
        single = observation.ndim == 1
        tokens = choose_tokens(self, np.atleast_2d(observation), generator)
        return (tokens[0] if single else tokens), None
