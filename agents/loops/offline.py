"""The offline loop: load a dataset once, then take gradient steps on minibatches of it."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.action_masks import NAME, check_mask
from envzoo.agents.agent import Agent, MaskedPredict, PredictArguments
from envzoo.agents.loops.acting import choose_actions
from envzoo.agents.loops.replay import Batch
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.source import Source
from envzoo.datasets.table import TransitionTable
from envzoo.errors import DatasetError


class OfflineAgent(MaskedPredict, Agent):
    """Base of agents that learn from a dataset; a timestep is a gradient step.

    The config has `steps_per_iteration`, `batch_size` and `normalize_observations`, and `gamma` where the algorithm
    discounts. A subclass implements `build` (networks and optimizers), `update` and `act`; it may override
    `build_actions` and `prepare`.

    Attributes:
        codec: Packs observations.
        actions: Converts actions.
        data: All transitions as tensors on the agent's device, observations packed and not normalised. Action masks
            that the dataset holds in its infos stand behind the columns of the observations.
        normalizer: Turns packed observations into what the networks see.
    """

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        self.codec = ObservationCodec(source.observation_space)
        self.actions = self.build_actions()
        table = self.prepare(TransitionTable.from_minari(source.given, gamma=getattr(config, "gamma", 0.99)))
        self.data = self._to_device(table)
        self.normalizer = self.register(
            "normalizer",
            ObservationNormalizer(self.codec, self.data.observation, active=config.normalize_observations),
        )
        self.register("data", _Stamp(table, self.notices))
        self.build()

    def build_actions(self) -> ActionCodec:
        """Create the action codec."""
        return ActionCodec(self.source.action_space, self.spec.name, self.spec.actions)

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Transform the data before learning, for instance select episodes or shape rewards."""
        return table

    @abstractmethod
    def build(self) -> None:
        """Create and register the networks and optimizers; called once the data is loaded."""

    @abstractmethod
    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step on a minibatch of normalised observations; returns metrics as 0-d tensors."""

    @abstractmethod
    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Choose actions in the agent's form, (B,) or (B, D), for normalised packed observations (B, P)."""

    def _to_device(self, table: TransitionTable) -> Batch:
        action = self.actions.from_environment(table.actions)
        if self.actions.discrete and (action.min() < 0 or action.max() >= self.actions.n):
            raise DatasetError(
                f"dataset {self.source.name} holds actions outside its action space {self.actions.space}"
            )

        inside = (NAME,) in self.codec.paths  # the observation has its own masks
        masks, next_masks = (None, None) if inside else (table.action_masks, table.next_action_masks)
        if masks is not None and self.actions.discrete:
            masks = check_mask(masks, len(action), self.actions.n)
            illegal = np.flatnonzero(masks.any(axis=1) & ~masks[np.arange(len(action)), action])
            if len(illegal):
                raise DatasetError(
                    f"dataset {self.source.name} breaks its own action masks: transition {illegal[0]} takes action "
                    f"{table.actions[illegal[0]]}, which its {NAME} does not allow"
                )

        def place(array: np.ndarray) -> Tensor:
            return torch.tensor(array, device=self.device)  # a copy: arrays that a file owns may be read-only

        return Batch(
            observation=place(self.actions.append_mask(self.codec.pack(table.observations), masks)),
            action=place(action),
            reward=place(table.rewards),
            terminated=place(table.terminals.astype(np.float32)),
            next_observation=place(self.actions.append_mask(self.codec.pack(table.next_observations), next_masks)),
        )

    def sample(self, generator: torch.Generator) -> Batch:
        """Sample `batch_size` transitions uniformly with replacement, with normalised observations."""
        data = self.data
        index = torch.randint(len(data.reward), (self.config.batch_size,), generator=generator, device=self.device)
        batch = Batch(*(column[index] for column in data))
        return batch._replace(
            observation=self.normalizer(batch.observation), next_observation=self.normalizer(batch.next_observation)
        )

    def iterate(self) -> dict[str, float]:
        """Take `steps_per_iteration` gradient steps, or as many as the budget allows; returns mean metrics."""
        steps = min(self.config.steps_per_iteration, self.target_timesteps - self.num_timesteps)
        generator = self.streams.torch("minibatches")
        metrics: dict[str, float] = {}
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}  # an update may report a metric only every other time
        for step in range(steps):
            batch = self.sample(generator)
            if step == 0:
                self.observe_batch(batch, metrics)
            for name, value in self.update(batch).items():
                sums[name] = sums[name] + value if name in sums else value
                counts[name] = counts.get(name, 0) + 1
        self.num_timesteps += steps
        return metrics | {name: float(value) / counts[name] for name, value in sums.items()}

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        generator = self.streams.torch("predict")

        def act(x: Tensor) -> Tensor:
            return self.act(self.normalizer(x), generator, asked.deterministic)

        return choose_actions(self, observation, act, asked.action_mask), asked.state


class ObservationNormalizer:
    """(s - mean) / (std + 1e-3) on the float columns of packed observations; discrete ones and images stay.

    Args:
        codec: What the columns mean.
        data: (N, P) packed observations to take mean and standard deviation from.
        active: False leaves everything as it is.
    """

    EPSILON = 1e-3

    def __init__(self, codec: ObservationCodec, data: Tensor, active: bool = True):
        self.mean = torch.zeros(codec.packed_dim, device=data.device)
        self.scale = torch.ones(codec.packed_dim, device=data.device)
        named = zip(codec.paths, codec.parts, strict=True)
        # A mask of allowed actions is read as it is.
        parts = [part for path, part in named if part.kind == "vector" and path != (NAME,)] if active else []
        self.active = bool(parts)
        for part in parts:
            # In double precision, because the sum over a large dataset loses digits.
            columns = data[:, part.start : part.stop].double()
            self.mean[part.start : part.stop] = columns.mean(dim=0).float()
            self.scale[part.start : part.stop] = (columns.std(dim=0, correction=0) + self.EPSILON).float()

    def __call__(self, packed: Tensor) -> Tensor:
        """Normalise packed observations (..., P); masks behind them, (..., P + A), stay as they are."""
        if not self.active:
            return packed
        size = len(self.mean)
        rows = (packed[..., :size] - self.mean) / self.scale
        return rows if packed.shape[-1] == size else torch.cat([rows, packed[..., size:].to(rows.dtype)], dim=-1)

    def state_dict(self) -> dict[str, Any]:
        """Return the mean and the scale."""
        return {"mean": self.mean, "scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the mean and the scale, which belong to the networks whatever the present data."""
        self.mean.copy_(state["mean"])
        self.scale.copy_(state["scale"])


class _Stamp:
    """Fingerprint of the data that an agent learns from; reports when a resumed agent gets other data."""

    def __init__(self, table: TransitionTable, notices: list[str]):
        checksum = 0
        for array in (table.actions, table.rewards, table.step):
            checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
        self.stamp = {"transitions": len(table), "checksum": checksum}
        self.notices = notices

    def state_dict(self) -> dict[str, Any]:
        """Return the number of transitions and a checksum."""
        return self.stamp

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compare the saved fingerprint with that of the present data."""
        if state != self.stamp:
            self.notices.append(
                f"the dataset differs from the one learned from before ({self.stamp['transitions']} transitions, then "
                f"{state['transitions']}), so the numbers will differ from an uninterrupted run"
            )
