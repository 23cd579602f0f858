"""Reinforcement learning of language models on verifiable puzzles."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.agent import Agent
from envzoo.agents.optim import make_optimizer
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.text.acting import answer_texts, choose_tokens, task_of
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.counters import Counters
from envzoo.agents.text.losses.advantages import group_varies, overlong_penalty
from envzoo.agents.text.make_model import pretrained_model, tiny_model
from envzoo.agents.text.method import Method
from envzoo.agents.text.models.language import LanguageModel
from envzoo.agents.text.models.pretrained import DTYPES
from envzoo.agents.text.partial import PartialRollouts
from envzoo.agents.text.rollouts import RolloutQueue, TextRollout, concatenate, measure
from envzoo.agents.text.sampling import SamplingParams, sample_answers
from envzoo.agents.text.updates import PolicyUpdates
from envzoo.agents.text.warm_up import warm_up
from envzoo.agents.threads import using_threads
from envzoo.errors import CheckpointError, EnvzooError
from envzoo.kernel.arguments import read_array

SILENT_UPDATES = 20  # after this many updates without any difference between rewards, a warning is due


class TextAgent(PolicyUpdates, Agent):
    """Base class of agents that train a language model: sample, verify, compare, select, update.

    A timestep is a token that the model wrote. A subclass sets `Method` and `Config`; everything that one algorithm
    does differently from another is in its method.

    Attributes:
        method: The algorithm.
        task: The puzzles.
        split: The split of the puzzles to train on; that of the environment.
        codec: The mapping between the tokens of the model and those of the task.
        policy: The language model.
        reference_policy: A copy of the policy before the first rollout, or None (see `keep_reference`).
        counters: Counters that are saved with the agent.

    Metrics:
        rollout/accuracy: Fraction of answers that the verifier accepts.
        rollout/pass_at_K: Probability that at least one of K answers to a prompt is right.
        rollout/distinct_correct: Number of distinct right answers per prompt.
        rollout/entropy: Mean entropy of the sampling policy, in nats per token.
        rollout/length: Mean number of tokens per answer.
        rollout/useful_groups: Fraction of answers whose group has different rewards.
        rollout/age, rollout/waiting: With partial rollouts, how many rollouts ago the answers were started (mean), and
            the number of unfinished answers.
        policy/loss, policy/entropy, policy/grad_norm: Means over minibatches of the loss, of the entropy of the current
            policy, and of the norm of the gradient before clipping.
        policy/kl_to_start: Estimate (k3) of the KL divergence from the reference policy.
        policy/logp_error: Maximum difference between recorded and recomputed log-probabilities of the current policy.
        policy/stale_logp_difference: Maximum difference from recorded log-probabilities of earlier policies.
        policy/trained_tokens: Number of tokens in all minibatches.
        time/tokens_per_second: Sampled tokens per second.
    """

    Method: ClassVar[type[Method]]
    Config = TextConfig
    config: TextConfig

    def __init_subclass__(cls, **keywords: Any):
        super().__init_subclass__(**keywords)
        misplaced = {"token_loss", "advantages", "select"} & set(vars(cls))
        if misplaced:
            names = ", ".join(sorted(misplaced))
            raise EnvzooError(f"{cls.__name__} defines {names}, which nothing calls; define it in the agent's `Method`")

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
        self.reference_policy = None
        if c.keeps_reference:
            self.reference_policy = self.register("start", deepcopy(network).requires_grad_(False))
        self.policy = self.register("policy", network)
        self.optimizer = self.register(
            "optimizer",
            make_optimizer(network, c.optimizer, lr=c.rate, weight_decay=c.weight_decay, max_grad_norm=c.max_grad_norm),
        )
        self.method = self.Method(c, streams=self.streams, device=self.device, longest=longest, progress=self.progress)
        self.queue = self.register("queue", RolloutQueue(self.device, self.method.records))
        counters = Counters(self.method.state, warm=False, prompts=0, generated=0, silent=0)
        self.counters = self.register("memory", counters)
        self.partial = None
        if c.partial_rollout is not None:
            records = self.method.records
            partial = PartialRollouts(self.codec, c.group_size, c.partial_rollout, self.device, records)
            self.partial = self.register("partial", partial)
        self.sampled: TextRollout | None = None  # the last rollout as the policy wrote it
        self._age = 0.0
        self._injected = 0
        self._generation: dict[str, float] = {}  # metrics of the last generated rollout

    @property
    def start(self) -> LanguageModel | None:
        """Former name of `reference_policy`."""
        warnings.warn("start is now reference_policy", DeprecationWarning, stacklevel=2)
        return self.reference_policy

    @property
    def memory(self) -> Counters:
        """Former name of `counters`."""
        warnings.warn("memory is now counters", DeprecationWarning, stacklevel=2)
        return self.counters

    @classmethod
    def rebuild(cls, source: Source, config: TextConfig, state: Any, **keywords: Any) -> TextAgent:
        """Build an agent for a saved state; a pretrained model is built from the files in the state."""
        if not config.pretrained:
            return cls(source, config, **keywords)
        try:
            files = dict(state["parts"]["model_files"])
        except (LookupError, TypeError, ValueError):
            raise CheckpointError("the agent's file lacks the configuration of its language model") from None
        return cls(source, config, model_files=files, **keywords)

    # --------------------------------------------------------------- sampling

    def sample(self, num_prompts: int, temperature: float | None = None) -> TextRollout:
        """Sample and verify answers to the next prompts; with partial rollouts, return the finished ones."""
        temperature = self.config.temperature if temperature is None else temperature
        if self.partial is None:
            return self.answer(self._next_prompts(num_prompts), temperature)
        rollout, written, self._age = self.partial.collect(
            num_prompts, self._next_prompts, self.policy, self._sampling_params(temperature), self.iteration
        )
        return self._tally(rollout, written)

    def answer(self, prompts: np.ndarray, temperature: float) -> TextRollout:
        """Sample and verify answers to given prompts (Q, P); the tokens count as timesteps."""
        params = self._sampling_params(temperature)
        rollout = sample_answers(self.policy, self.codec, prompts, self.config.group_size, params)
        return self._tally(rollout, int(rollout.mask.sum()))

    def _next_prompts(self, count: int) -> np.ndarray:
        prompts = self.task.sample(count, self.split, self.streams.integer("prompts"), self.counters["prompts"])
        self.counters["prompts"] += count
        return prompts

    def _sampling_params(self, temperature: float) -> SamplingParams:
        method = self.method
        return SamplingParams(
            self.streams.torch("sampling"), temperature, self.config.temperature, method.temperature(),
            method.record if method.records else None, method.records, self._changes(),
        )  # fmt: skip

    def _tally(self, rollout: TextRollout, written: int) -> TextRollout:
        """Count tokens, and add the penalty on overlong answers."""
        self.num_timesteps += written
        self.counters["generated"] += written
        buffer = self.config.overlong_buffer
        if buffer:
            length = (rollout.tokens != self.codec.pad).sum(1).to(rollout.reward.dtype)
            penalty = overlong_penalty(length, self.codec.answer_length, buffer)
            rollout = rollout.replace(reward=rollout.reward + penalty)
        return rollout

    def rows_per_update(self) -> int:
        """Return the tokens of a minibatch, including its prompts."""
        c = self.config
        answers = c.num_prompts * c.group_size // c.num_minibatches
        return min(answers, c.micro_batch or answers) * (self.task.prompt_length + self.codec.answer_length)

    def generate(self) -> TextRollout:
        """Sample a rollout of Q prompts, with its advantages."""
        rollout = self.sample(self.config.num_prompts)
        self.sampled = rollout
        if self.config.dynamic_sampling:
            rollout = self._varied(rollout)
        advantage, metrics = self.method.advantages(rollout)
        rollout = rollout.replace(advantage=advantage)
        if self.method.injects:
            rollout, self._injected = self.method.inject(rollout, self.sampled, self._answer_again)
            metrics = metrics | {"injected": float(self._injected)}
        self._generation = metrics
        return rollout

    def _answer_again(self, prompts: Tensor, temperature: float) -> TextRollout:
        return self.answer(prompts.cpu().numpy(), temperature)

    def _varied(self, rollout: TextRollout) -> TextRollout:
        """Select prompts whose rewards differ; others fill the rollout if too few are found."""
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

    # --------------------------------------------------------------- learning

    def iterate(self) -> dict[str, float]:
        """Sample one rollout and learn from it."""
        if not self.counters["warm"]:
            self._warm_up()
        began, before = time.perf_counter(), self.num_timesteps
        while len(self.queue.items) <= self.config.staleness:
            self.queue.items.append(self.generate())
        rollout = self.queue.items.pop(0)
        if self.config.kl_coefficient:
            with torch.no_grad():
                rollout = rollout.replace(ref_logp=self._measure(self.reference_policy, rollout)[0])
        metrics = {f"rollout/{name}": value for name, value in measure(self.sampled, self.config.group_size).items()}
        metrics["rollout/useful_groups"] = float(group_varies(rollout.reward, rollout.group).float().mean())
        # Injected answers are learned from, whatever the rewards of the others.
        self._watch(metrics["rollout/useful_groups"] + self._injected)
        if self.partial is not None:
            metrics["rollout/age"] = self._age
            metrics["rollout/waiting"] = float(len(self.partial.prompts) * self.config.group_size)
        chosen, selection = self.method.select(rollout)
        metrics |= {f"select/{name}": value for name, value in (selection | self._generation).items()}
        metrics |= self._update(chosen)
        metrics["time/tokens_per_second"] = (self.num_timesteps - before) / max(time.perf_counter() - began, 1e-9)
        return metrics

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
        if self.reference_policy is not None:
            self.reference_policy.load_state_dict(self.policy.state_dict())
        self.counters["warm"] = True

    def _watch(self, useful: float) -> None:
        self.counters["silent"] = 0 if useful > 0 else self.counters["silent"] + 1
        if self.counters["silent"] == SILENT_UPDATES:
            sentence = (
                f"all answers to each prompt had the same reward for {SILENT_UPDATES} updates, so {self.spec.name} "
                f"learns nothing on {self.source.name}; make the task easier or harder, raise group_size or "
                "temperature, or change the warm-up"
            )
            self.notices.append(sentence)
            warnings.warn(sentence, stacklevel=2)

    def texts(self) -> dict[str, str]:
        """Return eight answers of the last rollout with their rewards, to different prompts if there are enough."""
        if self.sampled is None:
            return {}
        rows = range(0, len(self.sampled), max(1, len(self.sampled) // 8))
        lines = []
        for row in list(rows)[:8]:
            prompt = self.task.text(self.sampled.prompts[row].cpu().numpy())
            answer = self.codec.shown(self.sampled.tokens[row].cpu().numpy())
            lines.append(f"    {float(self.sampled.reward[row]):+.2f}  {prompt}{answer}")
        return {"rollout/transcripts": "\n".join(lines)}

    def assess(
        self, num_prompts: int = 64, samples: int = 16, split: str = "evaluation", temperature: float | None = None
    ) -> dict[str, float]:
        """Evaluate the policy on the first prompts of a split, with `samples` answers each.

        The random numbers are separate from those of training, so training is not affected, and equal weights give
        equal results.

        Returns:
            The metrics of `rollouts.measure`.
        """
        if not self.counters["warm"]:
            self._warm_up()
        generator = torch.Generator(self.device)
        generator.manual_seed(self.streams.integer("assess"))
        prompts = self.task.sample(num_prompts, split, self.streams.integer("assess"))
        temperature = self.config.temperature if temperature is None else temperature
        params = SamplingParams(generator, temperature, self.config.temperature)
        rollout = sample_answers(self.policy, self.codec, prompts, samples, params)
        return measure(rollout, samples)

    # ----------------------------------------------------------------- acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return the next token of each window of ids or, for text observations, an answer; see `Agent.predict`."""
        generator = None if deterministic else self.streams.torch("acting")
        if isinstance(observation, str):
            return self._answers([observation], generator)[0], None
        observation = read_array("the observation", observation)
        if not observation.size:
            raise EnvzooError("the batch of observations is empty; expected at least one observation")
        if observation.dtype.kind in "UO":
            return self._answers([str(text) for text in observation], generator), None
        if self.config.pretrained:
            raise EnvzooError(
                f"{self.spec.name} with a pretrained model acts in texts, not in windows of ids; evaluate it in "
                f"{self.task.env_id()}"
            )
        windows = np.atleast_2d(observation)
        tokens = choose_tokens(self.policy, self.task, windows, self.config.temperature, generator)
        return (tokens[0] if observation.ndim == 1 else tokens), None

    def _answers(self, observations: list[str], generator: torch.Generator | None) -> list[str]:
        return answer_texts(self.policy, self.codec, observations, self.config.temperature, generator)
