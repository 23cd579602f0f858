"""The one table of envzoo's environments: registration with Gymnasium, documentation and `envzoo list envs` read it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

import gymnasium as gym

from envzoo.errors import unknown

NO_KWARGS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class EnvironmentSpec:
    """One registered environment.

    Attributes:
        id: Gymnasium id, `envzoo/Name-vN`.
        entry_point: "module:Class" of the single face; a string, so that registering imports nothing.
        vector_entry_point: "module:Class" of the vector face, or None.
        family: The folder under `envzoo/` ("coverage").
        summary: One line for lists.
        paper: Number of the paper it comes from ("09"), or None.
        kwargs: Arguments that this id fixes.
        max_episode_steps: Time limit in steps, or None.
        extra: The extra that it needs (`pip install 'envzoo[extra]'`), or None.
    """

    id: str
    entry_point: str
    vector_entry_point: str | None
    family: str
    summary: str
    paper: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=lambda: NO_KWARGS)
    max_episode_steps: int | None = None
    extra: str | None = None

    def manual(self) -> str:
        """The environment's manual, Markdown: the docstring of its definition, or else of its class.

        Imports the environment's module.
        """
        module, name = self.entry_point.split(":")
        face = getattr(import_module(module), name)
        return inspect.cleandoc(getattr(face, "definition_class", face).__doc__ or "")


def _kernel(environment_id: str, path: str, family: str, summary: str, **rest: Any) -> EnvironmentSpec:
    """The row of an environment on the kernel base, whose faces are named `path`Env and `path`VectorEnv."""
    return EnvironmentSpec(environment_id, f"{path}Env", f"{path}VectorEnv", family, summary, **rest)


def _puzzle(name: str, module: str, summary: str) -> tuple[EnvironmentSpec, EnvironmentSpec]:
    """The rows of a text puzzle: its text face, and its token face on the kernel base."""
    path = f"envzoo.reasoning.{module}:{name}"
    return (
        EnvironmentSpec(f"envzoo/{name}-v0", f"{path}Env", None, "reasoning", summary),
        _kernel(f"envzoo/{name}-Tokens-v0", f"{path}Tokens", "reasoning", f"{summary}; token by token"),
    )


_GRID = "envzoo.coverage.grid_coverage:GridCoverage"
_GRID_PAPER = {"rows": 30, "columns": 30, "horizon": 79, "start": 34}
_BIMODAL = "envzoo.coverage.bimodal_coverage:BimodalCoverage"
_ROOMS = "envzoo.coverage.two_rooms_coverage:TwoRoomsCoverage"
_PLANNING = "envzoo.coverage.informative_path_planning:InformativePathPlanning"
_BIODIVERSITY = "envzoo.coverage.biodiversity:Biodiversity"
_ITEMS = "envzoo.coverage.item_collection:ItemCollection"
_DESIGN = "envzoo.coverage.bayesian_experiment_design:BayesianExperimentDesign"
_POINT = "envzoo.coverage.point_coverage:PointCoverage"
_RACETRACK = "envzoo.coverage.racetrack_coverage:RacetrackCoverage"
_WEIGHTED_PAPER = {**_GRID_PAPER, "horizon": 39, "disc": "paper"}
_FIELD_PAPER = {**_WEIGHTED_PAPER, "spacing": 0.1, "field_seed": 0}
_GOALS = "envzoo.control.point_multi_goal:PointMultiGoal"
_CODING = "envzoo.coding_games.coding_grid:CodingGrid"
_BANDIT = "envzoo.control.entropy_bandit:EntropyBandit"
_LSD = "envzoo.bandits.lsd_bandit:LSDBandit"
_RECHARGING = "envzoo.bandits.recharging_bandit:RechargingBandit"
_CHAIN = "envzoo.surprise.block_chain:BlockChain"
_SURPRISE_ROOMS = "envzoo.surprise.surprise_rooms:SurpriseRooms"
_SURPRISE_PAPER = {"size": 25, "most_side": 8, "view": 7, "actions": "minigrid", "paper_layout": True}
_SURPRISE_BALLS = {"p_floor": 0.25, "p_ball": 0.25, "density": 0.5}
_DARK_ROOMS = {"p_dark": 1.0, "p_floor": 0.0}
_TELEVISION = {"size": 25, "rooms": 7, "most_side": 4, "view": 7, "actions": "minigrid", "television": True}
_TV_ROOMS = {**_DARK_ROOMS, **_TELEVISION}

# fmt: off
_SPECS: tuple[EnvironmentSpec, ...] = (
    _kernel("envzoo/GridCoverage-v0", _GRID, "coverage",
            "cover a 10x10 grid in 20 moves; reward is the number of newly covered cells", paper="09"),
    _kernel("envzoo/GridCoverage-Paper-v0", _GRID, "coverage",
            "the paper's 30x30 coverage task, small disc", paper="09", kwargs={**_GRID_PAPER, "disc": "paper"}),
    _kernel("envzoo/GridCoverage-PaperLarge-v0", _GRID, "coverage",
            "the paper's 30x30 coverage task, large disc", paper="09", kwargs={**_GRID_PAPER, "disc": "paper_large"}),
    _kernel("envzoo/BimodalCoverage-v0", _BIMODAL, "coverage",
            "cover a grid with two rich corners", paper="09"),
    _kernel("envzoo/BimodalCoverage-Paper-v0", _BIMODAL, "coverage",
            "the paper's 30x30 bimodal coverage task", paper="09", kwargs=_WEIGHTED_PAPER),
    _kernel("envzoo/TwoRoomsCoverage-v0", _ROOMS, "coverage",
            "cover two rooms that a corridor joins", paper="09"),
    _kernel("envzoo/TwoRoomsCoverage-Paper-v0", _ROOMS, "coverage",
            "the two rooms with the paper's small disc", paper="09", kwargs={"disc": "paper"}),
    _kernel("envzoo/InformativePathPlanning-v0", _PLANNING, "coverage",
            "cover the rich parts of a field drawn from a Gaussian process", paper="09"),
    _kernel("envzoo/InformativePathPlanning-Paper-v0", _PLANNING, "coverage",
            "the paper's 30x30 Gaussian-process coverage task", paper="09", kwargs=_FIELD_PAPER),
    _kernel("envzoo/Biodiversity-v0", _BIODIVERSITY, "coverage",
            "survey a synthetic density of animals that live in patches", paper="09"),
    _kernel("envzoo/Biodiversity-Paper-v0", _BIODIVERSITY, "coverage",
            "the paper's 30x30 survey task with a synthetic density", paper="09", kwargs=_FIELD_PAPER),
    _kernel("envzoo/ItemCollection-v0", _ITEMS, "coverage",
            "collect some items of each of six types on a grid", paper="09"),
    _kernel("envzoo/ItemCollection-Paper-v0", _ITEMS, "coverage",
            "item collection with one placement for all episodes", paper="09", kwargs={"placement_seed": 0}),
    _kernel("envzoo/BayesianExperimentDesign-v0", _DESIGN, "coverage",
            "measure a smooth field along a walk; reward is the information gained", paper="09"),
    _kernel("envzoo/BayesianExperimentDesign-Paper-v0", _DESIGN, "coverage",
            "the paper's 30x30 experiment design task", paper="09",
            kwargs={"rows": 30, "columns": 30, "horizon": 39, "start": 34, "spacing": 0.1}),
    _kernel("envzoo/PointCoverage-v0", _POINT, "coverage",
            "a point with inertia covers the plane with a disc", paper="09"),
    _kernel("envzoo/RacetrackCoverage-v0", _RACETRACK, "coverage",
            "a small car is rewarded for track that it has not passed before", paper="09"),
    EnvironmentSpec("envzoo/AntCoverage-v0", "envzoo.coverage.ant_coverage:AntCoverage", None, "coverage",
                    "MuJoCo's ant covers the plane", paper="09", max_episode_steps=400, extra="mujoco"),
    _kernel("envzoo/CodingGrid-v0", _CODING, "coding_games",
            "hide a message in a walk on a slippery 8x8 grid", paper="05"),
    _kernel("envzoo/CodingGridSmall-v0", f"{_CODING}Small", "coding_games",
            "hide a message in a walk from corner to corner of a 4x4 grid", paper="05"),
    _kernel("envzoo/CodingCart-v0", "envzoo.coding_games.coding_cart:CodingCart", "coding_games",
            "hide a message in the pushes that balance a pole", paper="05"),
    _kernel("envzoo/PointMultiGoal-v0", _GOALS, "control",
            "a point in the plane with four equally good goals", paper="19", max_episode_steps=30),
    _kernel("envzoo/PointMultiGoal-Paper-v0", _GOALS, "control",
            "the four goals with the original's tenfold actuation cost", paper="19",
            kwargs={"actuation_cost": 30.0}, max_episode_steps=30),
    _kernel("envzoo/EntropyBandit-v0", _BANDIT, "control",
            "one-step bandit whose maximum-entropy policy is known exactly", paper="19"),
    _kernel("envzoo/EntropyBanditContinuous-v0", f"{_BANDIT}Continuous", "control",
            "one-step reward -a^2 whose maximum-entropy policy is known exactly", paper="19"),
    _kernel("envzoo/BlockChain-v0", _CHAIN, "surprise",
            "a line of dark and noisy rooms with exactly known entropies; no reward", paper="15",
            max_episode_steps=64),
    _kernel("envzoo/BlockChain-TV-v0", _CHAIN, "surprise",
            "the line of rooms with one noisy room next to the start", paper="15",
            kwargs={"layout": "tv"}, max_episode_steps=64),
    _kernel("envzoo/BlockChain-Goal-v0", _CHAIN, "surprise",
            "the line of rooms with a rewarded goal at its far end", paper="15",
            kwargs={"goal": True}, max_episode_steps=64),
    _kernel("envzoo/SurpriseRooms-v0", _SURPRISE_ROOMS, "surprise",
            "a chain of dark rooms and flickering ones that can be stopped; no reward", paper="15",
            max_episode_steps=64),
    _kernel("envzoo/SurpriseRooms-Paper-v0", _SURPRISE_ROOMS, "surprise",
            "the paper's chain of dark and flickering rooms", paper="15",
            kwargs=_SURPRISE_PAPER, max_episode_steps=128),
    _kernel("envzoo/SurpriseRooms-Balls-v0", _SURPRISE_ROOMS, "surprise",
            "the chain of rooms with flickering tiles and wandering balls", paper="15",
            kwargs=_SURPRISE_BALLS, max_episode_steps=64),
    _kernel("envzoo/NoisyTVRooms-v0", _SURPRISE_ROOMS, "surprise",
            "dark rooms with a television that changes at the agent's command", paper="15",
            kwargs=_TV_ROOMS, max_episode_steps=140),
    _kernel("envzoo/DarkRooms-v0", _SURPRISE_ROOMS, "surprise",
            "the chain of rooms without any noise", paper="15",
            kwargs=_DARK_ROOMS, max_episode_steps=64),
    _kernel("envzoo/SurpriseRooms-Goal-v0", _SURPRISE_ROOMS, "surprise",
            "the dark and flickering rooms with a rewarded goal in the last", paper="15",
            kwargs={"goal": True}, max_episode_steps=64),
    _kernel("envzoo/SurpriseRooms-Paper-Goal-v0", _SURPRISE_ROOMS, "surprise",
            "the paper's rooms with a rewarded goal in the last", paper="15",
            kwargs={**_SURPRISE_PAPER, "goal": True, "goal_time": 128}, max_episode_steps=128),
    _kernel("envzoo/SurpriseRooms-Balls-Goal-v0", _SURPRISE_ROOMS, "surprise",
            "the rooms of tiles and balls with a rewarded goal in the last", paper="15",
            kwargs={**_SURPRISE_BALLS, "goal": True}, max_episode_steps=64),
    _kernel("envzoo/NoisyTVRooms-Goal-v0", _SURPRISE_ROOMS, "surprise",
            "the rooms with a television and a rewarded goal in the last", paper="15",
            kwargs={**_TV_ROOMS, "goal": True, "goal_time": 140}, max_episode_steps=140),
    _kernel("envzoo/DarkRooms-Goal-v0", _SURPRISE_ROOMS, "surprise",
            "the rooms without noise and a rewarded goal in the last", paper="15",
            kwargs={**_DARK_ROOMS, "goal": True}, max_episode_steps=64),
    _kernel("envzoo/LSDBandit-v0", _LSD, "bandits",
            "ten arms whose payoffs fall while they are pulled and recover while they rest", paper="30",
            max_episode_steps=1000),
    _kernel("envzoo/LSDBandit-Bait-v0", _LSD, "bandits",
            "arms that lure the greedy into pulling them before they are ripe", paper="30",
            kwargs={"instance": "bait"}, max_episode_steps=1000),
    _kernel("envzoo/LSDBandit-Satiation-v0", _LSD, "bandits",
            "arms whose payoffs decay and recover geometrically", paper="30",
            kwargs={"instance": "satiation"}, max_episode_steps=1000),
    _kernel("envzoo/LSDBandit-Laforgue-v0", _LSD, "bandits",
            "the five arms of Laforgue et al., one of which pays at one delay only", paper="30",
            kwargs={"instance": "laforgue", "start": -1}, max_episode_steps=3600),
    _kernel("envzoo/LSDBandit-LaforgueStep-v0", _LSD, "bandits",
            "the two arms of Laforgue et al. on which greed pulls too early", paper="30",
            kwargs={"instance": "laforgue", "variant": "step", "start": -1}, max_episode_steps=3300),
    _kernel("envzoo/RechargingBandit-v0", _RECHARGING, "bandits",
            "ten arms that pay the more, the longer ago they were pulled", paper="30", max_episode_steps=1000),
    *_puzzle("TextSumTo", "sum_to", "find digits with a given sum"),
    *_puzzle("TextCountdown", "countdown", "reach a target with given numbers, each used once"),
    *_puzzle("TextSort", "sort", "write digits in ascending order"),
    *_puzzle("TextParity", "parity", "work out the parity of a string of bits"),
    *_puzzle("TextChainArith", "chain_arith", "work out a chain of sums and products step by step"),
    *_puzzle("TextMaze", "maze", "find a way through a small maze"),
    *_puzzle("TextSpark", "spark", "two routes to an answer, of which the rare one is better in the long run"),
    *_puzzle("TextToolPuzzle", "tool_puzzle", "find a hidden code by asking a tool, turn by turn"),
    EnvironmentSpec("envzoo/ReasoningGym-v0", "envzoo.reasoning.reasoning_gym:ReasoningGym", None, "reasoning",
                    "any dataset of the package reasoning-gym, one answer per episode", extra="text"),
)
# fmt: on


def specs() -> tuple[EnvironmentSpec, ...]:
    """All environments of envzoo, in the order of the table."""
    return _SPECS


def spec(environment_id: str) -> EnvironmentSpec:
    """The row of one id.

    Raises:
        UnknownNameError: When envzoo has no such id.
    """
    by_id = {row.id: row for row in _SPECS}
    if environment_id not in by_id:
        raise unknown("environment", environment_id, by_id, where="list them with `envzoo list envs`")
    return by_id[environment_id]


def register_all() -> None:
    """Register every environment with Gymnasium; those that are registered already are left as they are."""
    for row in _SPECS:
        if row.id not in gym.registry:
            gym.register(
                id=row.id,
                entry_point=row.entry_point,
                vector_entry_point=row.vector_entry_point,
                kwargs=dict(row.kwargs),
                max_episode_steps=row.max_episode_steps,
            )
