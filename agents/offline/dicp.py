"""DICP (Son et al., 2025): an in-context learner that also predicts what follows, and plans with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.losses.distributions import categorical_log_prob
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.offline.in_context import InContextAgent, InContextConfig, imagine
from envzoo.agents.offline.memory import Memory
from envzoo.agents.offline.sequence_agent import Windows
from envzoo.agents.spec import require
from envzoo.datasets.table import TransitionTable
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class DICPConfig(InContextConfig):
    """Hyperparameters of distillation with in-context planning."""

    backbone: Literal["distillation", "dpt"] = "distillation"
    """Actions to imitate: those of the learner, or optimal ones."""
    dynamics_weight: float = 1.0
    """Weight of the losses of reward and next observation (xi)."""
    beams: int = 10
    """Plans that are kept at each imagined step."""
    plan_steps: int = 4
    """Imagined steps."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("beams", "plan_steps"):
            require(getattr(self, name) >= 1, f"{name} of DICP is at least 1, got {getattr(self, name)}")
        require(self.dynamics_weight >= 0, f"dynamics_weight of DICP is at least 0, got {self.dynamics_weight}")


MOST_REWARDS = 16  # different rewards of a dataset that are classified


class DICP(InContextAgent):
    """Distillation for in-context planning: the transformer predicts rewards and next observations as well.

    Minimises

        L = -E[log pi(a_t | context)] - dynamics_weight * E[log p(r_t | context, a_t) + log p(s_{t+1} | context, a_t)]

    where next observations behind the end of an episode are left out. Once its context is full, it searches over
    `plan_steps` imagined steps: it tries all actions after each of the plans that it keeps, at most `beams`, and takes
    the first action of the plan with the largest sum of most likely rewards, and the policy's choice among equals, so
    that it explores where no reward is in sight. Datasets with more than 16 different rewards have a regression of them
    (squared error) in place of p(r_t); plans are then hardly ever equal. Source: Son et al. (2025, arXiv 2502.19009).

    Acting needs the rewards of the steps before: call `set_env(env)` before the first step, as evaluations do, or
    `state = agent.observe_rewards(state, rewards, done)` after each step. Play with samples (`deterministic=False`),
    because modes explore too little to improve.

    Metrics:
        loss/policy: the first term.
        loss/reward: dynamics_weight times that of rewards.
        loss/observation: dynamics_weight times that of next observations.
    """

    Config = DICPConfig
    config: DICPConfig

    def build_actions(self) -> ActionCodec:
        """Create the action codec."""
        if self.codec.num_states is None:
            raise UnsupportedSpaceError(
                f"DICP predicts discrete observations, but the observation space is {self.source.observation_space}"
            )
        return super().build_actions()

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Find the different rewards."""
        values = np.unique(table.rewards)
        self.classified = len(values) <= MOST_REWARDS
        self.reward_values = torch.as_tensor(values, device=self.device)
        return super().prepare(table)

    def reward_size(self) -> int:
        """Return the number of different rewards; 1 for a regression."""
        return len(self.reward_values) if self.classified else 1

    def expected_reward(self, output: Tensor) -> Tensor:
        """Return the most likely reward (...), or that of the regression, for the output of the head (..., rewards)."""
        return self.reward_values[output.argmax(dim=-1)] if self.classified else output[..., 0]

    def reward_loss(self, output: Tensor, reward: Tensor) -> Tensor:
        """Compute -log p(r), or the squared error of a regression, (...), for the output of the head (..., rewards)."""
        if not self.classified:
            return (output[..., 0] - reward).square()
        number = torch.searchsorted(self.reward_values, reward.contiguous())
        return -categorical_log_prob(output, number.clamp(max=len(self.reward_values) - 1))

    def dynamics_size(self) -> int:
        """Return the number of logits of the next observation."""
        return self.codec.vector_dim

    def labels(self, batch: Windows) -> Tensor:
        """Return the actions to imitate, (B, L)."""
        return batch.action if self.config.backbone == "distillation" else self.best_action[batch.index]

    def losses(self, batch: Windows) -> dict[str, Tensor]:
        """Compute the three losses."""
        xi, features = self.config.dynamics_weight, self.features(batch)
        policy = -categorical_log_prob(self.masks.restrict(self.policy.head(features), batch.rows), self.labels(batch))
        reward, logits = self.policy.predict_outcome(features, batch.action)
        # The next place of the window, unless an episode begins there.
        inside = batch.mask[:, :-1] & batch.mask[:, 1:] & ~self.begins[batch.index[:, 1:]]
        each = -self._log_prob(logits[:, :-1], batch.rows[:, 1:])
        observation = torch.where(inside, each, 0.0).sum() / inside.sum().clamp(min=1)
        return {
            "policy": policy[batch.mask].mean(),
            "reward": xi * self.reward_loss(reward, batch.reward)[batch.mask].mean(),
            "observation": xi * observation,
        }

    def _sizes(self) -> list[int]:
        return [size for part in self.codec.parts for size in part.sizes]

    def _columns(self, rows: Tensor) -> list[Tensor]:
        """Return the discrete columns of packed observations as numbers from 0."""
        offsets = [offset for part in self.codec.parts for offset in part.offsets]
        return [rows[..., i].long() - offset for i, offset in enumerate(offsets)]

    def _log_prob(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the log-probability of packed observations, (...)."""
        pieces = zip(logits.split(self._sizes(), dim=-1), self._columns(rows), strict=True)
        return sum(categorical_log_prob(piece, value) for piece, value in pieces)

    def _most_likely(self, logits: Tensor, like: Tensor) -> Tensor:
        """Return the most likely packed observations, with the action masks of `like` behind them if it has some."""
        offsets = [offset for part in self.codec.parts for offset in part.offsets]
        pieces = zip(logits.split(self._sizes(), dim=-1), offsets, strict=True)
        rows = torch.stack([piece.argmax(dim=-1) + offset for piece, offset in pieces], dim=-1).to(like.dtype)
        return torch.cat([rows, like[..., self.codec.packed_dim :]], dim=-1)

    # ------------------------------------------------------------------ planning

    def choose(self, memory: Memory, generator: torch.Generator, deterministic: bool) -> tuple[Tensor, Memory]:
        """Choose by the policy until the context is full, and then by a search."""
        features = self.encode_memory(memory)[:, -1]
        logits = self.masks.restrict(self.policy.head(features), memory.rows[:, -1])
        action = self.draw(logits, memory.rows[:, -1], generator, deterministic)
        full = memory.mask[:, 0]
        if not full.any():
            return action, memory
        planned = self.search(memory, features, logits, action)
        return torch.where(full, planned, action), memory

    def search(self, memory: Memory, features: Tensor, logits: Tensor, action: Tensor) -> Tensor:
        """Return the first actions of the plans with the largest predicted sum of rewards, (B,).

        Args:
            memory: B memories.
            features: (B, width) of their last steps.
            logits: (B, A), -inf for actions that are not allowed.
            action: (B,) what is taken among equals.
        """
        batch, count = logits.shape
        liked = logits.scatter(1, action[:, None], torch.inf)
        total = features.new_zeros(batch, 1)
        beams, opening = memory, None
        for step in range(self.config.plan_steps):
            kept = total.shape[1]
            # Actions in the order in which the policy likes them, because sorting keeps the order of equals.
            tried = liked.sort(dim=1, descending=True, stable=True).indices.reshape(batch, kept, count)
            reward, following = self.policy.predict_outcome(
                features.reshape(batch, kept, 1, -1).expand(-1, -1, count, -1), tried
            )
            reward = self.expected_reward(reward)
            total = (total[..., None] + reward).reshape(batch, -1)
            if step == 0:
                opening = tried[:, 0]
                total = total.masked_fill(logits.gather(1, opening) == -torch.inf, -torch.inf)
            else:
                opening = opening.repeat_interleave(count, dim=1)
            total, order = total.sort(dim=1, descending=True, stable=True)
            total, order = total[:, : self.config.beams], order[:, : self.config.beams]
            opening = opening.gather(1, order)
            if step == self.config.plan_steps - 1:
                break
            flat = (order + torch.arange(batch, device=order.device)[:, None] * kept * count).reshape(-1)
            beams = _pick(beams, flat // count).with_actions(tried.reshape(-1)[flat])
            seen = self._most_likely(following.reshape(-1, following.shape[-1])[flat], beams.rows[:, -1])
            beams = imagine(beams, seen, reward.reshape(-1)[flat])
            features = self.encode_memory(beams)[:, -1]
            liked = self.policy.head(features)
        return opening[:, 0]


def _pick(memory: Memory, index: Tensor) -> Memory:
    """Return the memories of these numbers."""
    names = ("rows", "action", "reward", "step", "earned", "mask")
    return replace(memory, **{name: getattr(memory, name)[index] for name in names})
