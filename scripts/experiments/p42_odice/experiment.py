"""Paper 42, O-DICE: what the orthogonal gradient does to the values, and whether it stitches paths better."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.neighbours import DatasetNeighbours
from envzoo.agents.offline.odice import ODICE
from envzoo.offline.point_maze_stitch import EDGE, inside_wall
from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Check, Difference, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.offline_runs import provide, train

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAZE = "envzoo/point-maze-stitch/mixed-v0"
NETWORK = {"hidden": [64, 64], "learning_rate": 1e-3, "batch_size": 128, "tau": 0.05, "reward_scale": 3.0}
STEPS = 1000
AWAY = 0.5  # distance from every logged position beyond which a place counts as off the data
LUCK = {"WindyPoint": ("envzoo/windy-point/half-v0", 1.0), "SlipLake": ("envzoo/slip-lake/eps40-v0", 30.0)}
MODES = {"orthogonal": "orthogonal (O-DICE)", "semi": "semi-gradient", "true": "true gradient"}
ORTHOGONAL, SEMI, TRUE = MODES.values()


def free_places(seed: int, count: int) -> np.ndarray:
    """Draw places uniformly outside the walls, (count, 2)."""
    places = np.random.default_rng(seed).uniform(0, EDGE, (4 * count, 2))
    return np.array([place for place in places if not inside_wall(*place)][:count], np.float32)


def run_maze(seed: int, budget: int, quick: bool, mode: str) -> dict[str, Any]:
    """Train O-DICE in one mode; score its success, and the values on and off the data."""
    made, scores = train(seed, budget, "ODICE", MAZE, NETWORK | {"mode": mode})
    logged = made.data.observation
    places = free_places(seed, 2000)
    distance, _ = DatasetNeighbours(logged.numpy()).query(places)
    outside = torch.as_tensor(places[distance[:, 0] > AWAY])
    with torch.no_grad():
        on, off = (made.value(made.normalizer(x)).amin(dim=0).mean() for x in (logged, outside))
    return {"scores": scores | {"V on data": float(on), "V off data": float(off), "V gap": float(off - on)}}


def run_luck(seed: int, budget: int, quick: bool, mode: str, world: str) -> dict[str, Any]:
    """Train O-DICE in one mode in a world whose next states are random, and score it."""
    dataset, scale = LUCK[world]
    _, scores = train(seed, budget, "ODICE", dataset, NETWORK | {"mode": mode, "reward_scale": scale})
    return {"scores": {"score": scores["score"]}}


def run_identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Score the largest errors of the gradient identities over `budget` updates, and of the closed form in lambda."""
    provide(MAZE)
    settings = {"hidden": (32,), "batch_size": 64, "learning_rate": 1e-3}
    angle = projection = raw = 0.0
    agent = agents.make(ODICE.spec.name, MAZE, seed=seed, device="cpu", reward_scale=0.5, **settings)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(budget):
        batch = agent.sample(generator)
        g, _ = agent.value_gradient(batch)
        forward, backward = g["forward"], g["backward"]
        scale = float(forward.norm() * backward.norm())
        angle = max(angle, abs(float(forward @ g["orthogonal"])) / scale)
        raw = max(raw, abs(float(forward @ backward)) / scale)
        square = float(forward @ forward)
        projection = max(projection, abs(float(forward @ (g["total"] - g["base"])) - square) / square)
        agent.update(batch)
    closed = 0.0
    for lam in (0.4, 0.5, 0.6):
        faster = settings | {"learning_rate": 1e-2}
        made = agents.make(ODICE.spec.name, MAZE, seed=seed, device="cpu", lam=lam, twin=False, **faster)
        row = Batch(*(column[:1].expand(4, *column.shape[1:]) for column in made.sample(generator)))
        row = row._replace(reward=torch.full((4,), 0.5), terminated=torch.ones(4))
        for _ in range(600):
            made.update(row)
        expected = 0.5 - 2 * ((1 - lam) / lam - 1)
        closed = max(closed, abs(float(made.value(row.observation).detach().mean()) - expected))
    scores = {"angle": angle, "raw angle": raw, "projection": projection, "closed form": closed}
    return {"scores": scores | {"closed form without lambda": closed + 2 / 3}}


def _with_luck(mode: str, world: str) -> str:
    return f"{MODES[mode]}, {world}"


def _ahead(world: str) -> Check:
    """Make the check that the orthogonal gradient is ahead of the true one where next states are random."""
    first, second = _with_luck("orthogonal", world), _with_luck("true", world)
    return seeded(
        f"{world}: the score of the orthogonal gradient less that of the true one is above 20",
        Difference(first, second, "score"),
        ">",
        20.0,
        null={first: second},
    )


def _largest(results: Results, score: str) -> float:
    return float(results.scores("identities", score).max())


def _unlucky(results: Results) -> np.ndarray:
    """Return the differences that an agent without any success would have."""
    return -np.maximum(results.scores(SEMI, "success"), 0.5)


def draw(results: Results, figure: Figure) -> None:
    """Draw success on the left, and the values on and off the data on the right."""
    from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE, final_bars, title

    figure.set_size_inches(11, 3.6)
    title(figure, results, "the orthogonal gradient stitches better than the true one, and is lower off the data")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1))
    colours = {ORTHOGONAL: BLUE, SEMI: ORANGE, TRUE: GREY}
    final_bars(left, results, colours, "success", number="{:.2f}")
    left.set(title="Share of episodes that reach the goal", xlim=(0, 1))
    short = {ORTHOGONAL: "orthogonal", SEMI: "semi", TRUE: "true"}
    final_bars(middle, results, colours, "V on data", labels=short, number="{:.0f}")
    middle.set(title="Mean value on the data")
    final_bars(right, results, {ORTHOGONAL: BLUE, SEMI: ORANGE}, "V off data", labels=short, number="{:.0f}")
    right.set(title="Mean value off the data")


EXPERIMENT = Experiment(
    paper=find("42-odice"),
    question="Does an orthogonal next-state gradient make distribution correction work where the true gradient fails?",
    claim="The true gradient pushes the values of next states down and fails to join logged paths; with its orthogonal "
    "part only, the agent reaches the goal, and its values off the data are lower than those of the semi-gradient.",
    arms=(
        *(
            FunctionArm(name, run_maze, budget=STEPS, settings={"mode": mode}, group="maze", quick_spend=60)
            for mode, name in MODES.items()
        ),
        *(
            FunctionArm(
                _with_luck(mode, world),
                run_luck,
                budget=STEPS,
                settings={"mode": mode, "world": world},
                group=world,
                quick_spend=20,
            )
            for world in LUCK
            for mode in MODES
        ),
        FunctionArm("identities", run_identities, budget=20, group="identities", quick_spend=3, seeds=3),
    ),
    checks=(
        seeded(
            "Maze: the success of the orthogonal gradient less that of the true one is above 0.2",
            Difference(ORTHOGONAL, TRUE, "success"),
            ">",
            0.2,
            null={ORTHOGONAL: TRUE},
            primary=True,
            paper_claim="On D4RL, O-DICE scores above the semi-gradient, which scores above the true gradient.",
        ),
        seeded(
            "Off the data, the mean value of the orthogonal gradient less that of the semi-gradient is below 0",
            Difference(ORTHOGONAL, SEMI, "V off data"),
            "<",
            0.0,
            null={ORTHOGONAL: SEMI},
            primary=True,
            paper_claim="The orthogonal gradient makes values off the data conservative.",
        ),
        exact(
            "The projected gradient is orthogonal to the forward one (largest cosine)",
            partial(_largest, score="angle"),
            "<=",
            1e-5,
            null=partial(_largest, score="raw angle"),
            primary=True,
        ),
        all_of(
            "Worlds with random next states: the orthogonal gradient is ahead of the true one",
            *(_ahead(world) for world in LUCK),
        ),
        seeded(
            "Maze: the success of the orthogonal gradient less that of the semi-gradient is at least -0.05",
            Difference(ORTHOGONAL, SEMI, "success"),
            ">=",
            -0.05,
            null=_unlucky,
        ),
        seeded(
            "On the data, the mean value of the true gradient less that of the semi-gradient is below 0",
            Difference(TRUE, SEMI, "V on data"),
            "<",
            0.0,
            null={TRUE: SEMI},
        ),
        exact(
            "The step's part along the forward gradient is that of the semi-gradient (largest relative error)",
            partial(_largest, score="projection"),
            "<=",
            1e-3,
            null=partial(_largest, score="closed form without lambda"),
        ),
        exact(
            "One absorbing transition: V = r - 2 ((1 - lambda) / lambda - 1) for lambda .4, .5 and .6 (largest error)",
            partial(_largest, score="closed form"),
            "<=",
            1e-2,
            null=partial(_largest, score="closed form without lambda"),
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "maze",
            "PointMazeStitch",
            {
                "success": "success",
                "score": "normalised score",
                "V on data": "mean V on the data",
                "V off data": "mean V off the data",
            },
        ),
        *(
            Table(world, f"{world} (`{dataset}`)", {"score": "normalised score"})
            for world, (dataset, _) in LUCK.items()
        ),
    ),
    reason="The policy clones actions with the weight max(y, 0), so only the differences of residuals matter: the true "
    "gradient pushes values far down, but in a world without chance it leaves the order of the logged actions right. "
    "Where next states are random, it also makes the values of a state's possible successors alike, and falls far "
    "behind: see the check on two such worlds, which was added later. In the maze the backward part raises values off "
    "the data a little, and a comparison with the paper's code found no error in it.",
    seeds=6,
    quick_seeds=2,
    first_seed=1000,
    notes=(
        "The dataset holds noisy paths of which none leads from the start to the goal. Networks are 2 x 64; 1000 "
        "updates of 128 transitions with a learning rate of 0.001 and tau 0.05; rewards are -3 a step and 0 at "
        "the goal; lambda 0.6, eta 1, two value functions, Pearson chi-square.",
        "Success is the share of 100 episodes that reach the goal within 60 steps, with the policy of the final "
        "step. Values off the data are means over uniform places outside the walls, more than 0.5 from every "
        "logged position.",
        "A pilot on seed 0 had a success of 1 in all three modes, so the first check was expected to fail; its "
        "bound is the one of the project's issue and was not changed.",
        "The check on worlds with random next states was added after the maze had shown no difference: pilots on seeds "
        "0 and 1 with 600 updates gave the orthogonal gradient 77 and the true one 11 to 17 on WindyPoint, and 76 to "
        "87 against 27 on SlipLake (rewards times 30; with the rewards as they are, no mode learned there). Bound and "
        "number of seeds were fixed before the judged runs.",
        "The agent was compared with the paper's code on random batches. The gradients of V agree to 5e-7 of their "
        "norm in all modes. The policy's weights did not: they are now averaged over both values of V, and those of "
        "the true gradient have V on both sides of the residual, as there. All runs were repeated with the same seeds.",
        "The paper's D4RL tasks were not run.",
    ),
)
