"""Base of agents that learn within their context: a transformer over the steps of many episodes of one task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.losses.distributions import categorical_log_prob
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.sequence.closed import CausalTransformer
from envzoo.agents.offline.memory import Memory
from envzoo.agents.offline.sequence_agent import SequenceAgent, SequenceConfig, Windows
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.datasets.histories import read_infos
from envzoo.datasets.history_filter import LearningHistoryFilter
from envzoo.datasets.table import TransitionTable
from envzoo.errors import DatasetError


@dataclass(frozen=True)
class InContextConfig(SequenceConfig):
    """Hyperparameters of a transformer on learning histories."""

    context: int = 60
    """Steps that the transformer looks at, over several episodes."""
    width: int = 32
    """Features of a token."""
    layers: int = 2
    """Number of transformer blocks."""
    heads: int = 4
    """Attention heads of each block; divides the width."""
    learning_rate: float = 1e-3
    """AdamW's largest learning rate."""
    warmup_steps: int = 100
    """Gradient steps over which the learning rate rises from 0; over the budget of `learn` it falls like a cosine."""
    weight_decay: float = 1e-2
    """AdamW's weight decay."""
    max_grad_norm: float = 1.0
    """Largest Euclidean norm of the gradient."""
    history_filter: Literal["none", "resample", "weight"] = "none"
    """Filter of the learning histories: resample draws a set of histories by how much and how steadily they improve,
    weight weights each history by the same probability."""
    stability_weight: float = 1.0
    """Filter: weight of stability against improvement."""
    filter_temperature: float | None = None
    """Filter: temperature of the softmax of utilities; None keeps them as they are."""
    shuffle_sweeps: bool = False
    """Filter: give each sweep over the histories an order of its own."""

    def __post_init__(self):
        super().__post_init__()
        agent = type(self).__name__.removesuffix("Config")
        require(self.stability_weight >= 0, f"stability_weight of {agent} is at least 0, got {self.stability_weight}")
        temperature = self.filter_temperature
        require(temperature is None or temperature > 0, f"filter_temperature of {agent} is positive, got {temperature}")


class HistoryTransformer(nn.Module):
    """Policy pi(a_t | s_1, a_1, r_1, ..., s_t), one token for each step: its observation, and what came before it.

    Args:
        observation_dim: Features of an observation.
        actions: A.
        config: Sizes.
        dynamics: Number of outputs of the heads of the dynamics besides the reward; 0 for no such heads.
        generator: Source of the initial weights.
        rewards: Number of outputs of the reward's head.
    """

    def __init__(
        self,
        observation_dim: int,
        actions: int,
        config: SequenceConfig,
        dynamics: int,
        generator: torch.Generator,
        rewards: int = 1,
    ):
        super().__init__()
        width, self.actions, self.rewards = config.width, actions, rewards
        # The last three inputs are the reward before, whether there is a step before, and whether an episode begins.
        self.read = linear(observation_dim + actions + 3, width, generator, gain=None)
        self.body = CausalTransformer(width, config.layers, config.heads, config.context, 1, generator)
        self.head = linear(width, actions, generator, gain=0.01)
        self.dynamics = None
        if dynamics:
            self.widen = linear(width + actions, 2 * width, generator, gain=None)
            self.dynamics = linear(2 * width, rewards + dynamics, generator, gain=0.01)

    def features(self, observation: Tensor, action: Tensor, reward: Tensor, begins: Tensor, mask: Tensor) -> Tensor:
        """Encode windows, (B, L, width); the action and the reward of a step do not change its own features.

        Args:
            observation: (B, L, observation_dim).
            action: (B, L) int64.
            reward: (B, L).
            begins: (B, L) bool, first steps of episodes.
            mask: (B, L) bool, False on padding.
        """
        acted = nn.functional.one_hot(action, self.actions).float()
        known = mask.float()[..., None]
        past = torch.cat([acted, reward[..., None], torch.ones_like(known)], dim=-1) * known
        past = torch.cat([torch.zeros_like(past[:, :1]), past[:, :-1]], dim=1)
        tokens = self.read(torch.cat([observation, past, begins.float()[..., None]], dim=-1))
        return self.body(tokens[:, :, None], mask)[:, :, 0]

    def predict_outcome(self, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the reward (..., rewards) and next observation (..., dynamics), as logits, after an action (...)."""
        acted = nn.functional.one_hot(action, self.actions).float()
        hidden = nn.functional.gelu(self.widen(torch.cat([features, acted], dim=-1)))
        output = self.dynamics(hidden)
        return output[..., : self.rewards], output[..., self.rewards :]


class InContextAgent(SequenceAgent):
    """Base of agents on learning histories, whose context goes on when an episode ends.

    Play with samples (`deterministic=False`): the modes explore too little to improve.
    """

    config: InContextConfig
    across_episodes = True

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Read what the infos say of the histories, and filter them."""
        self.infos = read_infos(self.source.given)
        if len(self.infos.begins) != len(table):
            raise DatasetError(f"dataset {self.source.name} has histories without steps")
        if self.infos.best_action.min() < 0 or self.infos.best_action.max() >= self.actions.n:
            raise DatasetError(f"dataset {self.source.name} names best actions outside of {self.actions.space}")
        c = self.config
        if c.history_filter == "none":
            self.history_weight = np.ones(table.num_episodes)
        else:
            if len(np.unique(self.infos.task)) == table.num_episodes:
                raise DatasetError(
                    f"history_filter={c.history_filter} compares the histories of a task, but dataset "
                    f"{self.source.name} has one of each; expected several, or history_filter=none"
                )
            keep = LearningHistoryFilter(c.stability_weight, c.filter_temperature, c.history_filter, c.shuffle_sweeps)
            infos, generator = self.infos, self.streams.numpy("filter")
            self.history_weight = keep(infos.returns, infos.task, infos.best_return, generator)
        rows = np.cumsum(self.history_weight[table.episode_id])
        self.cumulative = torch.as_tensor(rows)
        self.begins = torch.as_tensor(self.infos.begins)
        self.best_action = torch.as_tensor(self.infos.best_action)
        return super().prepare(table)

    def build(self) -> None:
        """Create the transformer and its optimizer."""
        c, generator = self.config, self.streams.torch("weights", "cpu")
        heads = self.dynamics_size(), generator, self.reward_size()
        network = HistoryTransformer(self.codec.vector_dim, self.actions.n, c, *heads)
        self.policy = self.register("policy", network.to(self.device))
        settings = {"lr": c.learning_rate, "weight_decay": c.weight_decay, "max_grad_norm": c.max_grad_norm}
        self.optimizer = self.register("optimizer", make_optimizer(self.policy, c.optimizer, **settings))
        self.counts = self.register("counts", StateHolder(updates=0))
        for name in ("cumulative", "begins", "best_action"):
            setattr(self, name, getattr(self, name).to(self.device))

    def dynamics_size(self) -> int:
        """Return the number of logits of the next observation; 0 without heads of the dynamics."""
        return 0

    def reward_size(self) -> int:
        """Return the number of outputs of the reward's head."""
        return 1

    # ------------------------------------------------------------------ learning

    def sample(self, generator: torch.Generator) -> Windows:
        """Draw windows that end at random steps of the histories, which count as the filter says."""
        u = torch.rand(self.config.batch_size, generator=generator, device=self.device, dtype=torch.float64)
        last = torch.searchsorted(self.cumulative, u * self.cumulative[-1], right=True)
        return self.windows(last.clamp(max=len(self.cumulative) - 1))

    def features(self, batch: Windows) -> Tensor:
        """Encode windows of the data, (B, L, width)."""
        return self.policy.features(
            self.codec.vector(batch.rows), batch.action, batch.reward, self.begins[batch.index], batch.mask
        )

    def labels(self, batch: Windows) -> Tensor:
        """Return the actions to imitate, (B, L)."""
        return batch.action

    def losses(self, batch: Windows) -> dict[str, Tensor]:
        """Compute the losses, which are added."""
        logits = self.policy.head(self.features(batch))
        each = -categorical_log_prob(self.masks.restrict(logits, batch.rows), self.labels(batch))
        return {"policy": each[batch.mask].mean()}

    def update(self, batch: Windows) -> dict[str, Tensor]:
        """Take one AdamW step on the sum of the losses."""
        c, self.counts.updates = self.config, self.counts.updates + 1
        rise = min(1.0, self.counts.updates / max(1, c.warmup_steps))
        self.optimizer.lr = c.learning_rate * rise * 0.5 * (1 + np.cos(np.pi * self.progress()))
        losses = self.losses(batch)
        self.optimizer.step(sum(losses.values()))
        return {f"loss/{name}": value.detach() for name, value in losses.items()}

    # ------------------------------------------------------------------ acting

    def encode_memory(self, memory: Memory) -> Tensor:
        """Encode the memory, (B, K, width)."""
        return self.policy.features(
            self.codec.vector(memory.rows), memory.action, memory.reward, memory.step == 0, memory.mask
        )

    def choose(self, memory: Memory, generator: torch.Generator, deterministic: bool) -> tuple[Tensor, Memory]:
        """Choose the actions of the last steps: samples, or the mode."""
        logits = self.policy.head(self.encode_memory(memory)[:, -1])
        return self.draw(logits, memory.rows[:, -1], generator, deterministic), memory


def imagine(memory: Memory, rows: Tensor, reward: Tensor) -> Memory:
    """Return the memory after an imagined step to the packed observations (B, P) with rewards (B,)."""
    nowhere = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    return replace(memory, listener=None).with_rewards(reward).next_step(rows, nowhere)
