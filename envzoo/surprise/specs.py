"""Registered environments of the surprise family: dark, noisy and controllable rooms."""

from __future__ import annotations

from envzoo.specs import kernel

_CHAIN = "envzoo.surprise.block_chain:BlockChain"
_SURPRISE_ROOMS = "envzoo.surprise.surprise_rooms:SurpriseRooms"
_SURPRISE_PAPER = {"size": 25, "most_side": 8, "view": 7, "actions": "minigrid", "paper_layout": True}
_SURPRISE_BALLS = {"p_floor": 0.25, "p_ball": 0.25, "density": 0.5}
_DARK_ROOMS = {"p_dark": 1.0, "p_floor": 0.0}
_TELEVISION = {"size": 25, "rooms": 7, "most_side": 4, "view": 7, "actions": "minigrid", "television": True}
_TV_ROOMS = {**_DARK_ROOMS, **_TELEVISION}

ENVIRONMENTS = (
    kernel(
        "envzoo/BlockChain-v0",
        _CHAIN,
        "surprise",
        "a line of dark and noisy rooms with exactly known entropies; no reward",
        paper="15-adversarial-surprise",
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/BlockChain-TV-v0",
        _CHAIN,
        "surprise",
        "the line of rooms with one noisy room next to the start",
        paper="15-adversarial-surprise",
        kwargs={"layout": "tv"},
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/BlockChain-Goal-v0",
        _CHAIN,
        "surprise",
        "the line of rooms with a rewarded goal at its far end",
        paper="15-adversarial-surprise",
        kwargs={"goal": True},
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/SurpriseRooms-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "a chain of dark rooms and flickering rooms whose noise can be stopped; no reward",
        paper="15-adversarial-surprise",
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/SurpriseRooms-Paper-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the paper's chain of dark and flickering rooms",
        paper="15-adversarial-surprise",
        kwargs=_SURPRISE_PAPER,
        max_episode_steps=128,
    ),
    kernel(
        "envzoo/SurpriseRooms-Balls-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the chain of rooms with flickering tiles and wandering balls",
        paper="15-adversarial-surprise",
        kwargs=_SURPRISE_BALLS,
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/NoisyTVRooms-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "dark rooms with a television that changes at the agent's command",
        paper="15-adversarial-surprise",
        kwargs=_TV_ROOMS,
        max_episode_steps=140,
    ),
    kernel(
        "envzoo/DarkRooms-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the chain of rooms without any noise",
        paper="15-adversarial-surprise",
        kwargs=_DARK_ROOMS,
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/SurpriseRooms-Goal-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the dark and flickering rooms with a rewarded goal in the last",
        paper="15-adversarial-surprise",
        kwargs={"goal": True},
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/SurpriseRooms-Paper-Goal-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the paper's rooms with a rewarded goal in the last",
        paper="15-adversarial-surprise",
        kwargs={**_SURPRISE_PAPER, "goal": True, "goal_time": 128},
        max_episode_steps=128,
    ),
    kernel(
        "envzoo/SurpriseRooms-Balls-Goal-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the rooms of tiles and balls with a rewarded goal in the last",
        paper="15-adversarial-surprise",
        kwargs={**_SURPRISE_BALLS, "goal": True},
        max_episode_steps=64,
    ),
    kernel(
        "envzoo/NoisyTVRooms-Goal-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the rooms with a television and a rewarded goal in the last",
        paper="15-adversarial-surprise",
        kwargs={**_TV_ROOMS, "goal": True, "goal_time": 140},
        max_episode_steps=140,
    ),
    kernel(
        "envzoo/DarkRooms-Goal-v0",
        _SURPRISE_ROOMS,
        "surprise",
        "the rooms without noise and a rewarded goal in the last",
        paper="15-adversarial-surprise",
        kwargs={**_DARK_ROOMS, "goal": True},
        max_episode_steps=64,
    ),
)
