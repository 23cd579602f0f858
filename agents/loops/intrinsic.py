"""Intrinsic rewards as the on-policy loop sees them: their interface, and the part of a config that chooses one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from envzoo.agents.loops.rollout import Rollout
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.seeding import Streams
from envzoo.agents.spec import require
from envzoo.errors import unknown

# Name -> "module:Class", imported on use.
INTRINSICS = {
    "agac": "envzoo.agents.exploration.agac:AGACBonus",
    "apt": "envzoo.agents.exploration.apt:APTReward",
    "count": "envzoo.agents.exploration.count:LifetimeCount",
    "diayn": "envzoo.agents.exploration.diayn:DIAYNReward",
    "disagreement": "envzoo.agents.exploration.disagreement:DisagreementReward",
    "episodic_count": "envzoo.agents.exploration.count:EpisodicCount",
    "icm": "envzoo.agents.exploration.icm:ICMReward",
    "rnd": "envzoo.agents.exploration.rnd:RNDReward",
}


COUNTS = ("feature_dim", "intrinsic_minibatch_size", "members", "neighbours", "particles", "skills")


@dataclass(frozen=True)
class IntrinsicConfig:
    """Hyperparameters that select the intrinsic reward of an on-policy agent."""

    intrinsic: str | None = None
    """Intrinsic reward: agac, apt, count, diayn, disagreement, episodic_count, icm or rnd; None for none."""
    intrinsic_coefficient: float = 1.0
    """Weight of the intrinsic reward."""
    extrinsic_coefficient: float = 1.0
    """Weight of the environment's reward beside an intrinsic one."""

    def __post_init__(self):
        if self.intrinsic is not None and self.intrinsic not in INTRINSICS:
            raise unknown("intrinsic reward", self.intrinsic, INTRINSICS)
        for name in ("intrinsic_coefficient", "extrinsic_coefficient"):
            require(getattr(self, name) >= 0, f"{name} is not negative, got {getattr(self, name)}")


@dataclass(frozen=True)
class NoSettings:
    """Settings of intrinsic rewards without hyperparameters."""


class Served(Protocol):
    """Attributes of an agent that its intrinsic reward uses."""

    codec: ObservationCodec
    actions: ActionCodec
    device: torch.device
    streams: Streams


class Intrinsic:
    """An intrinsic reward with its own update and state.

    Args:
        agent: The on-policy agent it serves: its `codec`, `actions`, `streams` and `device` are used.
        settings: An instance of `Settings`.
    """

    name: ClassVar[str]
    Settings: ClassVar[type] = NoSettings
    is_bonus: ClassVar[bool] = False  # added to advantages and the critic's targets by agents that can, not to rewards

    def __init__(self, agent: Served, settings: Any):
        self.codec, self.actions, self.device = agent.codec, agent.actions, agent.device
        self.streams, self.settings = agent.streams, settings
        self._packed_dim = agent.codec.packed_dim
        self.build()

    def bare(self, rows: Tensor) -> Tensor:
        """Remove the action masks that may follow the columns of packed observations."""
        return rows[..., : self._packed_dim]

    @classmethod
    def wrappers(cls, settings: Any, seed: int) -> list[tuple[type, dict[str, Any]]]:
        """Return the wrappers that the environment needs; see `OnPolicyAgent.wrappers`."""
        return []

    def build(self) -> None:
        """Create the networks and the memory."""

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the reward of each of N transitions.

        Args:
            observation: (N, P) packed.
            action: (N,) int64 or (N, D).
            next_observation: (N, P) packed, the one the action led to.

        Returns:
            (N,) float32.
        """
        raise NotImplementedError

    def reward(self, rollout: Rollout) -> Tensor:
        """Compute the reward of every step of a rollout, (T, B); 0 in steps that are not valid."""
        valid = torch.from_numpy(rollout.valid).to(self.device)
        found = torch.zeros(valid.shape, device=self.device)
        with torch.no_grad():
            found[valid] = self.intrinsic(
                self.bare(rollout.observation[valid]),
                rollout.action[valid],
                self.bare(rollout.next_observation[valid]),
            ).to(found.dtype)
        return found

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Learn from a rollout, after its rewards were computed; returns metrics."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""


def intrinsic_class(name: str) -> type[Intrinsic]:
    """Return the class of an intrinsic reward by its name."""
    module, _, attribute = INTRINSICS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def settings_of(cls: type[Intrinsic], config: Any) -> Any:
    """Return the settings of an intrinsic reward: the config's fields of the same names, defaults for the others.

    Raises:
        EnvzooError: A setting that the reward cannot use.
    """
    settings = cls.Settings(**{f.name: getattr(config, f.name, f.default) for f in fields(cls.Settings)})
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in COUNTS:
            require(value >= 1, f"{field.name} of the intrinsic reward is at least 1, got {value}")
    rate = getattr(settings, "intrinsic_learning_rate", 1.0)
    require(rate > 0, f"intrinsic_learning_rate is positive, got {rate}")
    return settings
