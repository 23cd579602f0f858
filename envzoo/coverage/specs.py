"""Registered environments of the coverage family: path values are submodular functions of the visited places."""

from __future__ import annotations

from envzoo.specs import EnvironmentSpec, kernel

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

ENVIRONMENTS = (
    kernel(
        "envzoo/GridCoverage-v0",
        _GRID,
        "coverage",
        "cover a 10x10 grid in 20 moves; reward is the number of newly covered cells",
        paper="09-submodular",
    ),
    kernel(
        "envzoo/GridCoverage-Paper-v0",
        _GRID,
        "coverage",
        "the paper's 30x30 coverage task, small disc",
        paper="09-submodular",
        kwargs={**_GRID_PAPER, "disc": "paper"},
    ),
    kernel(
        "envzoo/GridCoverage-PaperLarge-v0",
        _GRID,
        "coverage",
        "the paper's 30x30 coverage task, large disc",
        paper="09-submodular",
        kwargs={**_GRID_PAPER, "disc": "paper_large"},
    ),
    kernel(
        "envzoo/BimodalCoverage-v0", _BIMODAL, "coverage", "cover a grid with two rich corners", paper="09-submodular"
    ),
    kernel(
        "envzoo/BimodalCoverage-Paper-v0",
        _BIMODAL,
        "coverage",
        "the paper's 30x30 bimodal coverage task",
        paper="09-submodular",
        kwargs=_WEIGHTED_PAPER,
    ),
    kernel(
        "envzoo/TwoRoomsCoverage-v0", _ROOMS, "coverage", "cover two rooms that a corridor joins", paper="09-submodular"
    ),
    kernel(
        "envzoo/TwoRoomsCoverage-Paper-v0",
        _ROOMS,
        "coverage",
        "the two rooms with the paper's small disc",
        paper="09-submodular",
        kwargs={"disc": "paper"},
    ),
    kernel(
        "envzoo/InformativePathPlanning-v0",
        _PLANNING,
        "coverage",
        "cover the high-value regions of a field drawn from a Gaussian process",
        paper="09-submodular",
    ),
    kernel(
        "envzoo/InformativePathPlanning-Paper-v0",
        _PLANNING,
        "coverage",
        "the paper's 30x30 Gaussian-process coverage task",
        paper="09-submodular",
        kwargs=_FIELD_PAPER,
    ),
    kernel(
        "envzoo/Biodiversity-v0",
        _BIODIVERSITY,
        "coverage",
        "survey a synthetic density of animals that live in clusters",
        paper="09-submodular",
    ),
    kernel(
        "envzoo/Biodiversity-Paper-v0",
        _BIODIVERSITY,
        "coverage",
        "the paper's 30x30 survey task with a synthetic density",
        paper="09-submodular",
        kwargs=_FIELD_PAPER,
    ),
    kernel(
        "envzoo/ItemCollection-v0",
        _ITEMS,
        "coverage",
        "collect some items of each of six types on a grid",
        paper="09-submodular",
    ),
    kernel(
        "envzoo/ItemCollection-Paper-v0",
        _ITEMS,
        "coverage",
        "item collection with the same placement in all episodes",
        paper="09-submodular",
        kwargs={"placement_seed": 0},
    ),
    kernel(
        "envzoo/BayesianExperimentDesign-v0",
        _DESIGN,
        "coverage",
        "take measurements of a smooth field along a walk; reward is the information gained",
        paper="09-submodular",
    ),
    kernel(
        "envzoo/BayesianExperimentDesign-Paper-v0",
        _DESIGN,
        "coverage",
        "the paper's 30x30 experiment design task",
        paper="09-submodular",
        kwargs={"rows": 30, "columns": 30, "horizon": 39, "start": 34, "spacing": 0.1},
    ),
    kernel(
        "envzoo/PointCoverage-v0",
        _POINT,
        "coverage",
        "a point with inertia covers the plane with a disc",
        paper="09-submodular",
    ),
    kernel(
        "envzoo/RacetrackCoverage-v0",
        _RACETRACK,
        "coverage",
        "a small car is rewarded for covering new parts of a race track",
        paper="09-submodular",
    ),
    EnvironmentSpec(
        "envzoo/AntCoverage-v0",
        "envzoo.coverage.ant_coverage:AntCoverage",
        None,
        "coverage",
        "MuJoCo's Ant covers the plane",
        paper="09-submodular",
        max_episode_steps=400,
        extra="mujoco",
    ),
)
