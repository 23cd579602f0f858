"""Registered environments of the bandits family: arms whose payoffs depend on when they were last pulled."""

from __future__ import annotations

from envzoo.specs import kernel

_LSD = "envzoo.bandits.lsd_bandit:LSDBandit"
_RECHARGING = "envzoo.bandits.recharging_bandit:RechargingBandit"

ENVIRONMENTS = (
    kernel(
        "envzoo/LSDBandit-v0",
        _LSD,
        "bandits",
        "ten arms whose payoffs fall while they are pulled and recover while they rest",
        paper="30-lsd-bandits",
        max_episode_steps=1000,
    ),
    kernel(
        "envzoo/LSDBandit-Bait-v0",
        _LSD,
        "bandits",
        "arms that lure the greedy into pulling them before they are ripe",
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
        "the five arms of Laforgue et al., one of which pays at one delay only",
        paper="30-lsd-bandits",
        kwargs={"instance": "laforgue", "start": -1},
        max_episode_steps=3600,
    ),
    kernel(
        "envzoo/LSDBandit-LaforgueStep-v0",
        _LSD,
        "bandits",
        "the two arms of Laforgue et al. on which greed pulls too early",
        paper="30-lsd-bandits",
        kwargs={"instance": "laforgue", "variant": "step", "start": -1},
        max_episode_steps=3300,
    ),
    kernel(
        "envzoo/RechargingBandit-v0",
        _RECHARGING,
        "bandits",
        "ten arms that pay the more, the longer ago they were pulled",
        paper="30-lsd-bandits",
        max_episode_steps=1000,
    ),
)
