"""Registered environments of the surprise family: dark, noisy and controllable rooms."""

from __future__ import annotations

from functools import partial

from envzoo.specs import kernel

_world = partial(kernel, family="surprise", paper="15-adversarial-surprise")
_chain = partial(_world, path="envzoo.surprise.block_chain:BlockChain")
_rooms = partial(_world, path="envzoo.surprise.surprise_rooms:SurpriseRooms")
_SURPRISE_PAPER = {"size": 25, "most_side": 8, "view": 7, "actions": "minigrid", "paper_layout": True}
_SURPRISE_BALLS = {"p_floor": 0.25, "p_ball": 0.25, "density": 0.5}
_DARK_ROOMS = {"p_dark": 1.0, "p_floor": 0.0}
_TELEVISION = {"size": 25, "rooms": 7, "most_side": 4, "view": 7, "actions": "minigrid", "television": True}
_TV_ROOMS = {**_DARK_ROOMS, **_TELEVISION}

ENVIRONMENTS = (
    _chain(
        "envzoo/BlockChain-v0",
        summary="a line of dark and noisy rooms with exactly known entropies; no reward",
        max_episode_steps=64,
    ),
    _chain(
        "envzoo/BlockChain-TV-v0",
        summary="the line of rooms with one noisy room next to the start",
        kwargs={"layout": "tv"},
        max_episode_steps=64,
    ),
    _chain(
        "envzoo/BlockChain-Goal-v0",
        summary="the line of rooms with a rewarded goal at its far end",
        kwargs={"goal": True},
        max_episode_steps=64,
    ),
    _rooms(
        "envzoo/SurpriseRooms-v0",
        summary="a chain of dark rooms and flickering rooms whose noise can be stopped; no reward",
        max_episode_steps=64,
    ),
    _rooms(
        "envzoo/SurpriseRooms-Paper-v0",
        summary="the paper's chain of dark and flickering rooms",
        kwargs=_SURPRISE_PAPER,
        max_episode_steps=128,
    ),
    _rooms(
        "envzoo/SurpriseRooms-Balls-v0",
        summary="the chain of rooms with flickering tiles and wandering balls",
        kwargs=_SURPRISE_BALLS,
        max_episode_steps=64,
    ),
    _rooms(
        "envzoo/NoisyTVRooms-v0",
        summary="dark rooms with a television that changes at the agent's command",
        kwargs=_TV_ROOMS,
        max_episode_steps=140,
    ),
    _rooms(
        "envzoo/DarkRooms-v0",
        summary="the chain of rooms without any noise",
        kwargs=_DARK_ROOMS,
        max_episode_steps=64,
    ),
    _rooms(
        "envzoo/SurpriseRooms-Goal-v0",
        summary="the dark and flickering rooms with a rewarded goal in the last",
        kwargs={"goal": True},
        max_episode_steps=64,
    ),
    _rooms(
        "envzoo/SurpriseRooms-Paper-Goal-v0",
        summary="the paper's rooms with a rewarded goal in the last",
        kwargs={**_SURPRISE_PAPER, "goal": True, "goal_time": 128},
        max_episode_steps=128,
    ),
    _rooms(
        "envzoo/SurpriseRooms-Balls-Goal-v0",
        summary="the rooms of tiles and balls with a rewarded goal in the last",
        kwargs={**_SURPRISE_BALLS, "goal": True},
        max_episode_steps=64,
    ),
    _rooms(
        "envzoo/NoisyTVRooms-Goal-v0",
        summary="the rooms with a television and a rewarded goal in the last",
        kwargs={**_TV_ROOMS, "goal": True, "goal_time": 140},
        max_episode_steps=140,
    ),
    _rooms(
        "envzoo/DarkRooms-Goal-v0",
        summary="the rooms without noise and a rewarded goal in the last",
        kwargs={**_DARK_ROOMS, "goal": True},
        max_episode_steps=64,
    ),
)
