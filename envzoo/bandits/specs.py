"""Registered environments of the bandits family: arms whose payoffs depend on their history of pulls."""

from __future__ import annotations

from envzoo.specs import kernel

_LSD = "envzoo.bandits.lsd_bandit:LSDBandit"
_RECHARGING = "envzoo.bandits.recharging_bandit:RechargingBandit"

ENVIRONMENTS = (
    kernel(
        "envzoo/LSDBandit-v0",
        _LSD,
        "bandits",
        "ten arms whose payoffs decay while they are pulled and recover while they rest",
        paper="30-lsd-bandits",
        max_episode_steps=1000,
    ),
    kernel(
        "envzoo/LSDBandit-Bait-v0",
        _LSD,
        "bandits",
        "arms that tempt a greedy player into pulling them too early",
        paper="30-lsd-bandits",
        kwargs={"instance": "bait"},
        max_episode_steps=1000,
    ),
    kernel(
        "envzoo/LSDBandit-Satiation-v0",
        _LSD,
        "bandits",
        "arms whose payoffs decay and recover geometrically",
        paper="30-lsd-bandits",
        kwargs={"instance": "satiation"},
        max_episode_steps=1000,
    ),
    kernel(
        "envzoo/LSDBandit-Laforgue-v0",
        _LSD,
        "bandits",
        "the five arms of Laforgue et al., one of which pays at a single delay only",
        paper="30-lsd-bandits",
        kwargs={"instance": "laforgue", "start": -1},
        max_episode_steps=3600,
    ),
    kernel(
        "envzoo/LSDBandit-LaforgueStep-v0",
        _LSD,
        "bandits",
        "the two arms of Laforgue et al., one of which a greedy player pulls too early",
        paper="30-lsd-bandits",
        kwargs={"instance": "laforgue", "variant": "step", "start": -1},
        max_episode_steps=3300,
    ),
    kernel(
        "envzoo/RechargingBandit-v0",
        _RECHARGING,
        "bandits",
        "ten arms whose payoff grows with the time since the last pull",
        paper="30-lsd-bandits",
        max_episode_steps=1000,
    ),
)
