"""The baseline of SPO: fit a reward model to all comparisons so far, and maximise it by PPO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble
from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.trajectories import TrajectoryAgent, TrajectoryConfig, flatten_inputs
from envzoo.agents.spec import require
from envzoo.preference.preferences import Trajectories


@dataclass(frozen=True)
class IterativeRewardModelConfig(TrajectoryConfig):
    """Hyperparameters of IterativeRewardModel."""

    ensemble: int = 1
    """Number of reward models; the reward is their mean."""
    model_hidden: tuple[int, ...] = (64, 64)
    """Hidden layer sizes of a reward model."""
    model_learning_rate: float = 1e-3
    """AdamW's learning rate of the reward models."""
    model_weight_decay: float = 1e-2
    """Weight decay of the reward models."""
    model_steps: int = 10
    """Gradient steps on the reward models per update of the policy."""
    model_batch: int = 64
    """Comparisons per gradient step."""
    memory: int = 2048
    """Episodes that are kept; comparisons with older ones are forgotten."""

    def __post_init__(self):
        super().__post_init__()
        name = "IterativeRewardModel"
        for field in ("ensemble", "model_steps", "model_batch"):
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")
        require(self.model_learning_rate > 0, f"model_learning_rate of {name} is positive")
        require(self.model_weight_decay >= 0, f"model_weight_decay of {name} is not negative")
        least = self.queue + self.num_envs
        require(
            self.memory >= least,
            f"memory of {name} holds the queue and a batch, at least {least} episodes, got {self.memory}",
        )


class IterativeRewardModel(TrajectoryAgent):
    """Classical learning from preferences: a Bradley-Terry reward model, fitted again and again, and PPO on it.

    The model r(s, a) (a network, or the mean of an ensemble) minimises the cross-entropy

        -E[p log sigmoid(R(xi) - R(q)) + (1 - p) log sigmoid(R(q) - R(xi))],    R(xi) = sum_h r(s_h, a_h),

    over the comparisons of episodes xi with those of the queue, the same as in `SPO`, where p is the label. Its rewards
    are divided by the standard deviation of R over the batch, so that the step size does not depend on their scale. It
    sees states and actions alone, and gives every episode a number, so it can neither express preferences about the
    course of an episode nor cyclic ones.

    Source: the reward-model baseline of Swamy et al. 2024 (arXiv 2401.04056); Christiano et al. 2017 (arXiv
    1706.03741).

    Metrics:
        model/loss: Mean cross-entropy of the last gradient steps.
        model/accuracy: Share of the comparisons of these steps, without ties, that the model orders rightly.
        And those of PPO.
    """

    Config = IterativeRewardModelConfig
    config: IterativeRewardModelConfig

    def build(self) -> None:
        """Create the optimizer, the reward models and their data."""
        super().build()
        c = self.config
        inputs = self.codec.vector_dim + (self.actions.n if self.actions.discrete else self.actions.dim)
        generator = self.streams.torch("model_weights", "cpu")
        model = ScalarEnsemble(c.ensemble, inputs, c.model_hidden, "tanh", generator)
        self.model = self.register("model", model.to(self.device))
        self.model_optimizer = self.register(
            "model_optimizer",
            make_optimizer(self.model, "adamw", lr=c.model_learning_rate, weight_decay=c.model_weight_decay),
        )
        self.data = self.register("data", Comparisons(c.memory))

    def judge(self, trajectories: Trajectories, features: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Add the comparisons of the batch, fit the models, and compute their rewards."""
        c = self.config
        inputs = flatten_inputs(self._as_seen(trajectories), self._vectors(trajectories))
        held = len(self.data)
        if not held:  # the batch that began the queue
            self.data.add(inputs)
        label = self.compare(features)
        others = self.data.last(len(self.queue))
        mine = self.data.add(inputs)
        self.data.compare(np.repeat(mine, len(others)), np.tile(others, len(mine)), label.reshape(-1))
        metrics = self._fit(c.model_steps)
        with torch.no_grad():
            flat = torch.cat(inputs).to(self.device)
            each = self.model(flat).mean(0).cpu().numpy()
        ends = np.cumsum(trajectories.length)
        totals = np.add.reduceat(each, np.append(0, ends[:-1]))
        each = each / max(float(totals.std()), 1e-6)
        reward = np.zeros(trajectories.action.shape[:2])
        for i, (end, n) in enumerate(zip(ends, trajectories.length, strict=True)):
            reward[:n, i] = each[end - n : end]
        return reward, metrics

    def _vectors(self, trajectories: Trajectories) -> np.ndarray:
        packed = torch.from_numpy(np.ascontiguousarray(trajectories.observation[:-1]))
        return self.codec.vector(packed).numpy()

    def _as_seen(self, trajectories: Trajectories) -> Trajectories:
        if not self.actions.discrete:  # the model sees what the environment does
            low, high = self.actions.low, self.actions.high
            return trajectories._replace(action=np.clip(trajectories.action, low, high))
        return trajectories._replace(action=np.eye(self.actions.n, dtype=np.float32)[trajectories.action])

    def _fit(self, steps: int) -> dict[str, float]:
        rng, losses, right = self.streams.numpy("comparisons"), [], []
        for _ in range(steps):
            first, second, label = self.data.sample(rng, self.config.model_batch)
            rows, where = np.unique(np.concatenate([first, second]), return_inverse=True)
            inputs = [self.data.inputs[row - self.data.oldest] for row in rows]
            total = self._totals(inputs)[:, torch.from_numpy(where).to(self.device)]
            margin = total[:, : len(first)] - total[:, len(first) :]
            target = torch.from_numpy(label).float().to(self.device)
            loss = F.binary_cross_entropy_with_logits(margin, target.expand_as(margin))
            self.model_optimizer.step(loss * len(margin))  # each model has its own gradient
            decided = target != 0.5
            losses.append(float(loss.detach()))
            right.append(
                float(((margin.mean(0) > 0) == (target > 0.5))[decided].float().mean()) if decided.any() else 1.0
            )
        return {"model/loss": float(np.mean(losses)), "model/accuracy": float(np.mean(right))}

    def _totals(self, inputs: list[Tensor]) -> Tensor:
        """Compute R of each episode by each model, (ensemble, n)."""
        counts = torch.tensor([len(rows) for rows in inputs])
        each = self.model(torch.cat(inputs).to(self.device))
        owner = torch.repeat_interleave(torch.arange(len(inputs)), counts).to(self.device)
        return torch.zeros(len(each), len(inputs), device=self.device).index_add(1, owner, each)


class Comparisons:
    """The last episodes as inputs of a reward model, and comparisons between them.

    Args:
        size: Maximum number of episodes.

    Attributes:
        inputs: (length, D) tensors, one per episode, oldest first.
        oldest: Number of the first of them; numbers count all episodes ever added.
    """

    def __init__(self, size: int):
        self.size, self.oldest = size, 0
        self.inputs: list[Tensor] = []
        self.first, self.second, self.label = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)

    def __len__(self) -> int:
        return len(self.inputs)

    def add(self, inputs: list[Tensor]) -> np.ndarray:
        """Add episodes; returns their numbers."""
        first = self.oldest + len(self.inputs)
        self.inputs = self.inputs + inputs
        surplus = max(len(self.inputs) - self.size, 0)
        self.inputs, self.oldest = self.inputs[surplus:], self.oldest + surplus
        return np.arange(first, first + len(inputs))

    def last(self, count: int) -> np.ndarray:
        """Return the numbers of the last episodes."""
        end = self.oldest + len(self.inputs)
        return np.arange(end - count, end)

    def compare(self, first: np.ndarray, second: np.ndarray, label: np.ndarray) -> None:
        """Add comparisons of episodes by their numbers, and forget those of episodes that are gone."""
        both = np.concatenate([self.first, first]), np.concatenate([self.second, second])
        kept = np.minimum(*both) >= self.oldest
        self.first, self.second = both[0][kept], both[1][kept]
        self.label = np.concatenate([self.label, label])[kept]

    def sample(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw comparisons, with replacement."""
        rows = rng.integers(len(self.label), size=count)
        return self.first[rows], self.second[rows], self.label[rows]

    def state_dict(self) -> dict[str, Any]:
        """Return episodes and comparisons."""
        return {
            "oldest": self.oldest,
            "inputs": self.inputs,
            "first": self.first,
            "second": self.second,
            "label": self.label,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over episodes and comparisons."""
        first, second, label = (np.array(state[name]) for name in ("first", "second", "label"))
        oldest, inputs = int(state["oldest"]), [torch.as_tensor(rows) for rows in state["inputs"]]
        ends = oldest + len(inputs)
        if first.shape != second.shape or first.shape != label.shape or len(inputs) > self.size:
            raise ValueError("the comparisons do not fit together")
        if first.size and not (oldest <= min(first.min(), second.min()) and max(first.max(), second.max()) < ends):
            raise ValueError("a comparison is of an episode that is not there")
        self.oldest, self.inputs, self.first, self.second, self.label = oldest, inputs, first, second, label
