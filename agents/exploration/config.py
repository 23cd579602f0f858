"""Configuration of the intrinsic reward of an on-policy agent."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.spec import require
from envzoo.errors import unknown

# Name -> "module:Class", imported on use.
INTRINSICS = {
    "agac": "envzoo.agents.exploration.agac:AGACBonus",
    "apt": "envzoo.agents.exploration.apt:APTReward",
    "count": "envzoo.agents.exploration.count:LifetimeCount",
    "diayn": "envzoo.agents.exploration.diayn:DIAYNReward",
    "disagreement": "envzoo.agents.exploration.disagreement:Disagreement",
    "episodic_count": "envzoo.agents.exploration.count:EpisodicCount",
    "icm": "envzoo.agents.exploration.icm:ICMReward",
    "rnd": "envzoo.agents.exploration.rnd:RNDReward",
}


@dataclass(frozen=True)
class IntrinsicConfig:
    """Settings of the intrinsic reward that an on-policy agent adds to the environment's reward."""

    intrinsic: str | None = None
    """Intrinsic reward: agac, apt, count, diayn, disagreement, episodic_count, icm or rnd; None for none."""
    intrinsic_coefficient: float = 1.0
    """Weight of the intrinsic reward."""
    extrinsic_coefficient: float = 1.0
    """Weight of the environment's reward when an intrinsic reward is used."""

    def __post_init__(self):
        if self.intrinsic is not None and self.intrinsic not in INTRINSICS:
            raise unknown("intrinsic reward", self.intrinsic, INTRINSICS)
        for name in ("intrinsic_coefficient", "extrinsic_coefficient"):
            require(getattr(self, name) >= 0, f"{name} is not negative, got {getattr(self, name)}")
