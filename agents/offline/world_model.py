"""A learned model of the world: an ensemble that predicts the change of the observation, and the reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.ensemble import ProbEnsemble
from envzoo.agents.optim import make_optimizer
from envzoo.agents.seeding import Streams
from envzoo.agents.state_holder import StateHolder
from envzoo.sizes import check_bytes

HOLDOUT, LARGEST_HOLDOUT = 0.2, 1000
IMPROVEMENT = 0.01  # share by which the error of a member must fall to count
CHUNK = 4096  # rows that are predicted at a time
FURTHEST = 3.0  # imagined states stay within this multiple of the range of the data


@dataclass(frozen=True)
class ModelShape:
    """Settings of a `WorldModel`; see the fields of the same names in `MOPOConfig`."""

    members: int
    elites: int
    hidden: tuple[int, ...]
    learning_rate: float
    batch_size: int
    patience: int
    epochs: int


class Prediction(NamedTuple):
    """Predictions of N members for B pairs of observation and action, in units of the standardised targets.

    Attributes:
        mean: (N, B, P + 1), change of the observation and reward.
        std: (N, B, P + 1).
        logit: (N, B) log-odds of a termination, or None where the data have none.
    """

    mean: Tensor
    std: Tensor
    logit: Tensor | None


class Imagined(NamedTuple):
    """A step in the model, of B rows.

    Attributes:
        next_observation: (B, P), within the reach of the data.
        reward: (B,).
        terminated: (B,) bool.
        beyond: (B,) bool, where the next observation had to be brought back to the reach of the data.
        prediction: What all members predicted.
        sample: (B, P + 1), the drawn outcome in standardised units.
        member: (B,) int64, the member that it was drawn from.
    """

    next_observation: Tensor
    reward: Tensor
    terminated: Tensor
    beyond: Tensor
    prediction: Prediction
    sample: Tensor
    member: Tensor


def standardise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of the columns in double precision; a constant column has scale 1."""
    rows = rows.double()
    scale = rows.std(dim=0, correction=0)
    return rows.mean(dim=0).float(), torch.where(scale > 1e-8, scale, 1.0).float()


class WorldModel:
    """An ensemble of Gaussian models of a world, and its training.

    Inputs (observation and action) and targets (change of the observation, and reward) are standardised over the data.
    Every member learns from its own bootstrap sample. After each pass over the data the error on held-out rows is
    measured; a member keeps the weights of its best pass, and training ends when no member has improved by 1% for
    `patience` passes. The members with the smallest errors, the elites, make the imagined steps; all members enter the
    penalties.

    Args:
        data: The transitions, observations not normalised.
        shape: Sizes and settings.
        streams: Random streams of the agent.
    """

    def __init__(self, data: Batch, shape: ModelShape, streams: Streams):
        self.shape, self.streams = shape, streams
        self.device = data.reward.device
        count, width = len(data.reward), data.observation.shape[1]
        check_bytes(16 * shape.members * count, f"the samples of {shape.members} models")
        self.x = torch.cat([data.observation, data.action], dim=1)
        self.y = torch.cat([data.next_observation - data.observation, data.reward[:, None]], dim=1)
        self.terminated = data.terminated if bool(data.terminated.any()) else None
        seen = torch.cat([data.observation, data.next_observation])
        low, high = seen.amin(dim=0), seen.amax(dim=0)
        self.scales = {
            **dict(zip(("x_mean", "x_scale"), standardise(self.x), strict=True)),
            **dict(zip(("y_mean", "y_scale"), standardise(self.y), strict=True)),
            "low": (low + high) / 2 - FURTHEST * (high - low) / 2,
            "high": (low + high) / 2 + FURTHEST * (high - low) / 2,
        }
        self.net = ProbEnsemble(
            shape.members,
            self.x.shape[1],
            width + 1,
            shape.hidden,
            streams.torch("model-weights", "cpu"),
            terminations=self.terminated is not None,
        ).to(self.device)
        self.optimizer = make_optimizer(self.net, lr=shape.learning_rate)
        generator = np.random.Generator(np.random.PCG64(streams.sequence("model-data")))
        held = min(int(HOLDOUT * count), LARGEST_HOLDOUT)
        order = generator.permutation(count)
        # Very few rows cannot be split; then the error is that of training.
        learned, self.held = order[held:], self._index(order[:held] if held else order)
        self.rows = self._index(learned[generator.integers(len(learned), size=(shape.members, len(learned)))])
        self.best = self.net.member_state(torch.ones(shape.members, dtype=torch.bool, device=self.device))
        self.facts = StateHolder(
            errors=np.full(shape.members, np.inf), stale=0, epochs=0, fitted=False, elites=np.arange(shape.elites)
        )

    def _index(self, rows: np.ndarray) -> Tensor:
        return torch.as_tensor(rows, device=self.device)

    @property
    def fitted(self) -> bool:
        """Whether training has ended."""
        return self.facts.fitted

    # ------------------------------------------------------------------ training

    def inputs(self, x: Tensor) -> Tensor:
        """Standardise pairs of observation and action."""
        return (x - self.scales["x_mean"]) / self.scales["x_scale"]

    def targets(self, y: Tensor) -> Tensor:
        """Standardise changes of the observation, with the reward."""
        return (y - self.scales["y_mean"]) / self.scales["y_scale"]

    def train_epoch(self) -> dict[str, float]:
        """Take one pass over the data; returns metrics, and marks the model as fitted after the last one."""
        generator, size = self.streams.torch("model"), self.shape.batch_size
        order = torch.rand(self.rows.shape, generator=generator, device=self.device).argsort(dim=1)
        rows, x, y = self.rows.gather(1, order), self.inputs(self.x), self.targets(self.y)
        losses = []
        for start in range(0, rows.shape[1], size):
            index = rows[:, start : start + size]
            ends = None if self.terminated is None else self.terminated[index]
            loss = self.net.loss(x[index], y[index], ends)
            self.optimizer.step(loss)
            losses.append(loss.detach())
        self._keep_best(x, y)
        return {
            "model/loss": float(torch.stack(losses).mean()),
            "model/error": float(self.facts.errors.mean()),
            "model/epochs": float(self.facts.epochs),
        }

    @torch.no_grad()
    def _keep_best(self, x: Tensor, y: Tensor) -> None:
        facts = self.facts
        mean = self.net(x[self.held])[0]
        error = (mean - y[self.held]).square().mean(dim=(1, 2)).double().cpu().numpy()
        better = np.isinf(facts.errors) | (facts.errors - error > IMPROVEMENT * facts.errors)
        facts.errors[better] = error[better]
        chosen = self._index(better)
        for kept, value in zip(self.best, self.net.member_state(chosen), strict=True):
            kept[chosen] = value
        facts.stale = 0 if better.any() else facts.stale + 1
        facts.epochs += 1
        if facts.stale >= self.shape.patience or facts.epochs >= self.shape.epochs:
            self.net.set_members(torch.ones_like(chosen), self.best)
            facts.elites[...] = np.argsort(facts.errors, kind="stable")[: len(facts.elites)]
            facts.fitted = True

    # ------------------------------------------------------------------ prediction

    @torch.no_grad()
    def predict(self, observation: Tensor, action: Tensor) -> Prediction:
        """Predict standardised outcomes for observations (B, P) and actions (B, D)."""
        mean, log_variance, logit = self.net(self.inputs(torch.cat([observation, action], dim=1)))
        return Prediction(mean, (log_variance / 2).exp(), logit)

    def expected(self, prediction: Prediction, observation: Tensor) -> Tensor:
        """Compute the next observation (B, P) that the members expect on average."""
        y = prediction.mean.mean(dim=0) * self.scales["y_scale"] + self.scales["y_mean"]
        return observation + y[:, :-1]

    def step(self, observation: Tensor, action: Tensor, generator: torch.Generator) -> Imagined:
        """Draw the outcome of each row from an elite chosen at random."""
        found = self.predict(observation, action)
        count = len(observation)
        elites = self._index(self.facts.elites)
        member = elites[torch.randint(len(elites), (count,), generator=generator, device=self.device)]
        row = torch.arange(count, device=self.device)
        noise = torch.empty_like(found.mean[0]).normal_(generator=generator)
        sample = found.mean[member, row] + found.std[member, row] * noise
        y = sample * self.scales["y_scale"] + self.scales["y_mean"]
        moved = observation + y[:, :-1]
        inside = torch.minimum(torch.maximum(moved, self.scales["low"]), self.scales["high"])
        ends = torch.zeros_like(member, dtype=torch.bool) if found.logit is None else found.logit[member, row] > 0
        return Imagined(inside, y[:, -1], ends, (moved != inside).any(dim=1), found, sample, member)

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, the best weights, the optimizer's state and the scales."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": [part.clone() for part in self.best],
            "scales": dict(self.scales),
            "facts": self.facts.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned; the scales belong to the weights whatever the present data."""
        elites = np.asarray(state["facts"]["elites"])
        if elites.size and not 0 <= elites.min() <= elites.max() < self.shape.members:
            raise ValueError(f"elites are {elites}")
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        for kept, value in zip(self.best, state["best"], strict=True):
            kept.copy_(value)
        for name, present in self.scales.items():
            present.copy_(state["scales"][name])
        self.facts.load_state_dict(state["facts"])
