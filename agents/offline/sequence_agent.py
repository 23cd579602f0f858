"""Base of the offline agents that model sequences: windows of the data, and a memory while acting."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.agent import PredictArguments
from envzoo.agents.loops.acting import choose_actions
from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.losses.distributions import sample_categorical
from envzoo.agents.networks.action import ActionCodec, MaskReader
from envzoo.agents.networks.rescaled_actions import UnitActionCodec
from envzoo.agents.offline.heard_rewards import RewardListener, listen
from envzoo.agents.offline.memory import Memory
from envzoo.agents.spec import require
from envzoo.datasets.table import TransitionTable
from envzoo.datasets.windows import window_rows
from envzoo.errors import EnvzooError, UnsupportedSpaceError, shorten


@dataclass(frozen=True)
class SequenceConfig:
    """Hyperparameters of a transformer on windows of trajectories."""

    context: int = 20
    """Steps of a window that the transformer looks at."""
    width: int = 128
    """Features of a token."""
    layers: int = 3
    """Number of transformer blocks."""
    heads: int = 1
    """Attention heads of each block; divides the width."""
    batch_size: int = 64
    """Windows per gradient step."""
    steps_per_iteration: int = 200
    """Gradient steps per iteration (one row of metrics)."""
    learning_rate: float = 1e-4
    """Learning rate."""
    warmup_steps: int = 1000
    """Gradient steps over which the learning rate rises from 0."""
    weight_decay: float = 1e-4
    """Weight decay."""
    max_grad_norm: float = 0.25
    """Largest Euclidean norm of the gradient."""
    normalize_observations: bool = True
    """Normalise each column of Box observations to mean 0 and standard deviation 1 over the dataset."""
    optimizer: str = "adamw"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        agent = type(self).__name__.removesuffix("Config")
        for name in ("context", "width", "layers", "heads", "batch_size", "steps_per_iteration"):
            require(getattr(self, name) >= 1, f"{name} of {agent} is at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "max_grad_norm"):
            require(getattr(self, name) > 0, f"{name} of {agent} is positive, got {getattr(self, name)}")
        for name in ("warmup_steps", "weight_decay"):
            require(getattr(self, name) >= 0, f"{name} of {agent} is at least 0, got {getattr(self, name)}")
        require(
            self.width % self.heads == 0,
            f"heads of {agent} divides width, got heads {self.heads} and width {self.width}",
        )


class Windows(NamedTuple):
    """B windows of L steps, padded on the left.

    Attributes:
        rows: (B, L, P) packed and normalised observations.
        action: (B, L) int64, or (B, L, D).
        reward: (B, L).
        to_go: (B, L) sum of the rewards from each step to the end of the episode.
        step: (B, L) int64 time step within the episode.
        mask: (B, L) bool, False on padding.
        index: (B, L) int64 rows of the data; padding repeats the last row.
    """

    rows: Tensor
    action: Tensor
    reward: Tensor
    to_go: Tensor
    step: Tensor
    mask: Tensor
    index: Tensor


class SequenceAgent(OfflineAgent):
    """Base of agents that look at the last `context` steps; a subclass implements `build`, `loss` and `choose`.

    While acting, the rewards come from the environment that `set_env` was given, or from `observe_rewards`; a loop with
    either of them plays as an evaluation does.
    """

    config: SequenceConfig
    listener: RewardListener | None = None
    across_episodes = False  # whether the memory lasts when an episode ends

    def build_actions(self) -> ActionCodec:
        """Create the action codec; a Box is scaled to [-1, 1]^D and must be bounded."""
        if self.codec.images:
            raise UnsupportedSpaceError(f"{self.spec.name} takes observations without images")
        actions = super().build_actions()
        if not actions.discrete:
            actions = UnitActionCodec(self.source.action_space, self.spec.name)
        self.masks = MaskReader(self.codec, actions.n if actions.discrete else 0)
        return actions

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Keep the time steps and the undiscounted returns to go."""
        table = replace(table, gamma=1.0).map_rewards(lambda rewards: rewards)
        self.step_of, self.to_go = torch.as_tensor(table.step), torch.as_tensor(table.mc_return)
        return table

    def rows_per_update(self) -> int:
        """Return the number of tokens of a batch, for the choice of threads."""
        return self.config.batch_size * self.config.context

    # ------------------------------------------------------------------ learning

    def sample(self, generator: torch.Generator) -> Windows:
        """Draw windows that end at transitions drawn uniformly with replacement."""
        c = self.config
        last = torch.randint(len(self.data.reward), (c.batch_size,), generator=generator, device=self.device)
        return self.windows(last)

    def windows(self, last: Tensor) -> Windows:
        """Return the windows of `context` steps that end at the rows `last`, (B,)."""
        if self.step_of.device != last.device:
            self.step_of, self.to_go = self.step_of.to(last.device), self.to_go.to(last.device)
        back = torch.arange(self.config.context - 1, -1, -1, device=last.device)
        index, mask = window_rows(self.step_of, last, back)
        return Windows(
            rows=self.normalizer(self.data.observation[index]),
            action=self.data.action[index],
            reward=self.data.reward[index],
            to_go=self.to_go[index],
            step=self.step_of[index],
            mask=mask,
            index=index,
        )

    def observe_batch(self, batch: Windows, metrics: dict[str, float]) -> None:
        """Show the transitions at the ends of the windows to the diagnostics."""
        super().observe_batch(type(self.data)(*(column[batch.index[:, -1]] for column in self.data)), metrics)

    @abstractmethod
    def choose(self, memory: Memory, generator: torch.Generator, deterministic: bool) -> tuple[Tensor, Memory]:
        """Choose the actions of the last step of the memory, (B,) or (B, D); returns them and the memory."""

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Choose actions at the beginning of episodes."""
        memory = Memory.empty(x, self.config.context, None if self.actions.discrete else self.actions.dim, None)
        start = torch.ones(len(x), dtype=torch.bool, device=x.device)
        return self.choose(memory.next_step(x, start), generator, deterministic)[0]

    def draw(self, output: Tensor, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Turn logits (B, A) at packed observations x into allowed actions; means (B, D) are actions already."""
        if not self.actions.discrete:
            return output.clamp(-1, 1)
        logits = self.masks.restrict(output, x)
        return logits.argmax(dim=-1) if deterministic else sample_categorical(logits, generator)

    # ------------------------------------------------------------------ acting

    def set_env(self, env: Any) -> None:
        """Listen to the rewards of the environment in which the agent will act."""
        self.listener = listen(env)

    def observe_rewards(self, state: Memory, rewards: Any, done: Any = None) -> Memory:
        """Tell the rewards of the last actions, for loops that do not call `set_env`.

        Args:
            state: What `predict` returned.
            rewards: (B,) rewards, or one number if there is one episode.
            done: (B,) bool, or one of them, which episodes ended (terminated or truncated). The next observation then
                opens an episode, unless `predict` is told by `episode_start` that it does not, as vector environments
                with the autoreset mode NEXT_STEP show the final observation first. None leaves all to `episode_start`.

        Returns:
            The state for the next `predict`.

        Raises:
            EnvzooError: `state` is none that `predict` returned, or `done` is not one truth value for each episode.
        """
        memory = self._check(state)
        told = np.array(rewards, np.float32).reshape(-1)
        if done is None:
            return replace(memory, told=told, ended=None)
        ended = np.array(done).reshape(-1)
        if ended.dtype != bool or len(ended) != len(memory.mask):
            raise EnvzooError(
                f"done is {shorten(repr(done))}; expected True or False for each of {len(memory.mask)} episodes"
            )
        return replace(memory, told=told, ended=ended)

    def _check(self, state: Any) -> Memory:
        if not isinstance(state, Memory):
            raise EnvzooError(
                f"the state of {self.spec.name} is what its predict returned, or None, got a {type(state).__name__}"
            )
        return state

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        generator = self.streams.torch("predict")
        after: list[Memory] = []

        def act(x: Tensor) -> Tensor:
            memory = self._go_on(self.normalizer(x), asked.state, asked.episode_start)
            action, memory = self.choose(memory, generator, asked.deterministic)
            after.append(memory.with_actions(action))
            return action

        action = choose_actions(self, observation, act, asked.action_mask)
        return action, after[0]

    def _go_on(self, x: Tensor, state: Any, episode_start: np.ndarray | None) -> Memory:
        """Return the memory with the rewards of the last step and the present observations."""
        dim, context = None if self.actions.discrete else self.actions.dim, self.config.context
        if state is None:
            start = torch.ones(len(x), dtype=torch.bool, device=x.device)
            return Memory.empty(x, context, dim, self.listener).next_step(x, start)
        memory = self._check(state)
        if len(memory.mask) != len(x):
            raise EnvzooError(
                f"the state of {self.spec.name} is of {len(memory.mask)} episodes, but there are {len(x)} observations"
            )
        if episode_start is not None:
            starts = np.asarray(episode_start, bool).reshape(-1)
        else:
            starts = np.zeros(len(x), bool) if memory.ended is None else memory.ended
        start = torch.as_tensor(starts, device=x.device)
        if not (starts.all() and not self.across_episodes):
            memory = memory.with_rewards(memory.latest_rewards(self.spec.name))
        if not self.across_episodes:
            memory = memory.cleared(start)
        elif memory.listener is not None and memory.listener.resets_later:
            memory = memory.without_last(start)
        elif memory.over is not None:
            memory = memory.without_last(start & memory.over)
        return memory.next_step(x, start)
