"""The off-policy loop: act, remember, and learn from a uniform sample of the memory after every step."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from envzoo.action_masks import replace_illegal
from envzoo.agents.agent import Agent, MaskedPredict, PredictArguments
from envzoo.agents.loops.acting import choose_actions
from envzoo.agents.loops.experience import Experience, Step
from envzoo.agents.loops.policy_with_wrappers import predict_with_policy
from envzoo.agents.loops.remembering import RememberingPolicy, RunningMemory
from envzoo.agents.loops.replay import Batch, ReplayBuffer
from envzoo.agents.loops.sequence_replay import SequenceReplay
from envzoo.agents.networks.action import ActionCodec, MaskReader
from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.seen import Seen
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.kernel.arguments import MOST
from envzoo.sizes import check_bytes


@dataclass(frozen=True)
class OffPolicyConfig:
    """Hyperparameters of the off-policy loop."""

    num_envs: int = 1
    """Environments stepped side by side."""
    buffer_size: int = 1_000_000
    """Transitions the replay buffer keeps; its memory grows with the content."""
    batch_size: int = 256
    """Transitions per update."""
    learning_starts: int = 1000
    """Environment steps with uniformly random actions before the first update."""
    train_frequency: int = 1
    """Steps of the environments between two rounds of updates."""
    gradient_steps: int | None = None
    """Updates per round; None for one per environment step taken since the last round."""
    steps_per_iteration: int = 250
    """Environment steps between two rows of metrics (and callbacks, checkpoints, evaluations)."""
    sequence_length: int = 32
    """With an encoder that has a memory: steps of a sequence to learn from; an update takes batch_size /
    sequence_length sequences."""
    burn_in: int = 16
    """With an encoder that has a memory: steps before a sequence that bring the stored memory up to date."""

    def __post_init__(self):
        counts = ("num_envs", "buffer_size", "batch_size", "train_frequency", "steps_per_iteration", "sequence_length")
        for name in counts:
            require(getattr(self, name) >= 1, f"{name} is at least 1, got {getattr(self, name)}")
        for name in ("learning_starts", "burn_in"):
            require(getattr(self, name) >= 0, f"{name} is at least 0, got {getattr(self, name)}")
        steps = self.gradient_steps
        require(steps is None or steps >= 1, f"gradient_steps is at least 1, or None, got {steps}")


class Pace(StateHolder):
    """Progress of the loop between two rounds of updates, as a part of the saved state."""

    def __init__(self) -> None:
        # Steps of all environments since the start, transitions since the last round, and updates since the start.
        super().__init__(vector_steps=0, owed=0, updates=0)

    def check(self, name: str, present: Any, given: Any) -> None:
        """Raise ValueError unless a value is a count."""
        super().check(name, present, given)
        if not 0 <= given <= MOST:
            raise ValueError(f"{name} is {given!r}")


class OffPolicyAgent(MaskedPredict, Agent):
    """Base of agents that learn from a replay buffer; the config is an `OffPolicyConfig`.

    A subclass implements `build` (networks, targets and optimizers, all registered), `act`, `random_action` and
    `update`. Every vector step adds its transitions to the buffer, and every `train_frequency`-th one is followed by a
    round of updates. Time limits are bootstrapped through, since only `terminated` is stored.

    Where `encoders` names encoders with a memory, they are run side by side while acting, their memories are stored
    with the steps, and `update` is given transitions from sequences: `Recalled` in place of packed observations.
    Networks that compute features by `features_of` take both.
    """

    config: OffPolicyConfig

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        self.codec = ObservationCodec(source.observation_space)
        self.actions = self.build_actions()
        row = 2 * self.codec.packed_dim * self.codec.dtype.itemsize
        check_bytes(config.batch_size * row, f"a batch of {config.batch_size} transitions", later=True)
        self.build()
        self.remembering = self.encoders()
        action_dim = None if self.actions.discrete else self.actions.dim
        buffer = (config.buffer_size, self.codec.packed_dim, self.codec.dtype, action_dim, self.device)
        if not self.remembering:
            self.buffer = self.register("buffer", ReplayBuffer(*buffer))
        check_bytes(2**10 * config.num_envs, f"what is remembered of {config.num_envs} environments")
        env = source.training_env(config.num_envs)
        self.experience = Experience(
            env, self.codec, self.actions, self.streams.integer("environment"), notices=self.notices
        )
        self.register("experience", self.experience)
        self.masks = MaskReader(self.codec, self.actions.n if self.actions.discrete else 0)
        if self.remembering:
            self._build_memory(action_dim)
        elif self.experience.mask_dim:
            self.buffer = self.register("buffer", ReplayBuffer(*buffer, mask_dim=self.experience.mask_dim))
        self.pace = self.register("pace", Pace())
        self.build_storage()

    def _build_memory(self, action_dim: int | None) -> None:
        """Make the memories of the running episodes, and the buffer of sequences."""
        c, count = self.config, self.experience.num_envs
        self.memory = self.register("memory", RunningMemory(self.remembering, count))
        replay = SequenceReplay(
            c.buffer_size,
            count,
            self.experience.observation.shape[1],
            self.codec.dtype,
            action_dim,
            self.memory.tensor.shape[1],
            length=c.sequence_length,
            burn_in=c.burn_in,
            device=self.device,
        )
        self.buffer = self.register("buffer", replay)

    def encoders(self) -> list[Encoder]:
        """Return the encoders with a memory, that of the policy first; none by default.

        Their memories stand side by side, in this order, in the state of `Recalled` observations.
        """
        return []

    def build_storage(self) -> None:
        """Make what `store` needs, once the environment has been reset; nothing by default."""

    def build_actions(self) -> ActionCodec:
        """Create the action codec; subclasses override it to check or convert the action space."""
        return ActionCodec(self.source.action_space, self.spec.name, self.spec.actions)

    @abstractmethod
    def build(self) -> None:
        """Create the networks, target networks and optimizers; called once the codecs exist."""

    @abstractmethod
    def act(self, x: Tensor | Seen, generator: torch.Generator, deterministic: bool = False) -> Tensor:
        """Choose actions in the agent's form, (B, D) or (B,), for packed observations x (B, P)."""

    @abstractmethod
    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Sample uniform actions in the agent's form, (count, D) or (count,)."""

    @abstractmethod
    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step of all parts; returns metrics as 0-d tensors without gradient.

        The loop averages them over an iteration and reads them once at its end, so that an update never waits for the
        device.
        """

    def iterate(self) -> dict[str, float]:
        """Take `steps_per_iteration` environment steps with their updates; the last iteration ends on the budget."""
        c, pace = self.config, self.pace
        left = max(1, min(c.steps_per_iteration, self.target_timesteps - self.num_timesteps))
        acting, sampling = self.streams.torch("actions"), self.streams.torch("minibatches")
        sums: dict[str, list[Tensor]] = defaultdict(list)
        metrics: dict[str, float] = {}
        for _ in range(math.ceil(left / self.experience.num_envs)):
            warm = self.num_timesteps >= c.learning_starts
            added = self._step(acting if warm else None)
            self.num_timesteps += added
            pace.vector_steps += 1
            pace.owed = pace.owed + added if warm else 0
            if not warm or pace.vector_steps % c.train_frequency:
                continue
            for _ in range(pace.owed if c.gradient_steps is None else c.gradient_steps):
                batch = self.buffer.sample(c.batch_size, sampling)
                if batch is None:  # no sequence is complete yet
                    break
                if not sums:
                    self.observe_batch(batch, metrics)
                for name, value in self.update(batch).items():
                    sums[name].append(value)
                pace.updates += 1
            pace.owed = 0
        if sums:
            means = torch.stack([torch.stack(values).mean() for values in sums.values()]).tolist()
            metrics |= dict(zip(sums, means, strict=True))
        metrics["replay/size"] = float(len(self.buffer))
        metrics["replay/updates"] = float(pace.updates)
        return {**self.experience.pop_metrics(), **metrics}

    def _step(self, generator: torch.Generator | None) -> int:
        """Step all environments, with random actions if there is no generator; returns the number of transitions."""
        experience = self.experience
        observation, start = experience.observation, experience.start
        x: Tensor | Seen = torch.from_numpy(observation).to(self.device)
        if self.remembering:
            x = self.memory.read(x, torch.from_numpy(start).to(self.device))
        if generator is None:
            random = self.streams.numpy("warm-up")
            action = self.random_action(experience.num_envs, random)
            mask = self.masks(torch.from_numpy(observation))
            if mask is not None:
                action = replace_illegal(action, mask.numpy(), random)
        else:
            with torch.no_grad():
                action = self.act(x, generator).cpu().numpy()
        return self.store(observation, action, start, experience.step(action))

    def store(self, observation: np.ndarray, action: np.ndarray, start: np.ndarray, step: Step) -> int:
        """Add the transitions of one step to the buffer.

        Args:
            observation: (B, P) packed, at which the actions were taken.
            action: (B, D) or (B,).
            start: (B,) bool, which of the observations opened an episode.
            step: What followed.

        Returns:
            The number of environment steps.
        """
        if self.remembering:
            within = self.experience.mode == AutoresetMode.SAME_STEP
            return self.memory.store(self.buffer, observation, action, start, step, within)
        return self.buffer.add(observation, action, step.reward, step.terminated, step.next_observation, step.valid)

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        if self.remembering:
            return predict_with_policy(self, RememberingPolicy(self.remembering[0], self.act), observation, asked)
        generator = self.streams.torch("predict")

        def act(x: Tensor) -> Tensor:
            return self.act(x, generator, asked.deterministic)

        return choose_actions(self, observation, act, asked.action_mask), asked.state
