"""Paper 28, Dichotomy of Control: a latent that must not tell about luck, against imitation given the return."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, equivalence, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p28_dichotomy_of_control.study import (
    run_bandit,
    run_identities,
    run_lake,
    run_tree,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 2000
NAMES = {
    "imitation": "imitation given the return",
    "doc": "DoC",
    "released": "DoC, released sign",
    "unconstrained": "latent without constraint",
}
SCORES = {
    "return": "return",
    "claimed": "claimed return",
    "gap": "gap",
    "share of optimal": "share of the optimum",
}


def _arms(
    group: str, run: Any, methods: tuple[str, ...], seeds: int, settings: Mapping[str, Any]
) -> tuple[FunctionArm, ...]:
    return tuple(
        FunctionArm(
            f"{group}: {NAMES[method]}",
            run,
            budget=0 if method == "imitation" else STEPS,
            settings={"method": method, **settings},
            group=group,
            quick_spend=0 if method == "imitation" else 100,
            seeds=seeds,
        )
        for method in methods
    )


def _bandit(p: float) -> dict[str, Any]:
    return {"probabilities": [p, 1 - p], "rewards": [1.0, 1.0], "good": p, "pulls": 1000}


BANDIT, THIRD, JACKPOT, TREE = "bandit, p = .1", "bandit, p = .3", "jackpot", "tree"
SLIPS, STILL = "lake, slip .6", "lake, slip 0"
ARMS = (
    *_arms(BANDIT, run_bandit, ("imitation", "doc", "released", "unconstrained"), 12, _bandit(0.1)),
    *_arms(THIRD, run_bandit, ("imitation", "doc"), 12, _bandit(0.3)),
    *_arms(
        JACKPOT,
        run_bandit,
        ("imitation", "doc", "unconstrained"),
        6,
        {"probabilities": [0.01, 1.0], "rewards": [100.0, 5.0], "good": 0.5, "pulls": 2000},
    ),
    *_arms(TREE, run_tree, ("imitation", "doc", "unconstrained"), 6, {"episodes": 2000}),
    *_arms(SLIPS, run_lake, ("imitation", "doc"), 6, {"slip": 0.6, "episodes": 10_000}),
    *_arms(STILL, run_lake, ("imitation", "doc"), 6, {"slip": 0.0, "episodes": 10_000}),
    FunctionArm("identities", run_identities, budget=200, group="identities", quick_spend=20, seeds=5),
)


def _of(group: str, method: str) -> str:
    return f"{group}: {NAMES[method]}"


def _worst(results: Results, score: str, fault: float = 0.0) -> float:
    return float(results.scores("identities", score).max()) + fault


def _advantage(group: str):
    """Make the check that DoC is ahead of imitation by a tenth of the optimum."""
    first, second = _of(group, "doc"), _of(group, "imitation")
    return seeded(
        f"{group}: DoC earns at least 10% of the optimum more than imitation given the return",
        Difference(first, second, "share of optimal"),
        ">=",
        0.1,
        null={first: second},
    )


def _distance_from_doc(results: Results) -> np.ndarray:
    """Return differences at slip 0 as large as those at slip .6."""
    return Difference(_of(SLIPS, "doc"), _of(SLIPS, "imitation"), "share of optimal")(results)


def draw(results: Results, figure: Figure) -> None:
    """Draw the figure; see the module `figure`."""
    from envzoo.scripts.experiments.p28_dichotomy_of_control.figure import draw as draw_all

    draw_all(results, figure)


EXPERIMENT = Experiment(
    paper=find("28-dichotomy-of-control"),
    question="Can imitation of the past be asked for a high return where returns depend on luck?",
    claim="Asked for the largest return, imitation given the return earns one half on the bandit whatever p is; with a "
    "latent that must not tell about luck, it earns 1 - p, and what it claims is what it earns.",
    arms=ARMS,
    checks=(
        all_of(
            "Bandit, p = .1: imitation earns one half, DoC close to .9",
            equivalence(
                "p = .1: imitation given the reward earns .5 ± .05",
                Score(_of(BANDIT, "imitation"), "return"),
                0.45,
                0.55,
                null={_of(BANDIT, "imitation"): _of(BANDIT, "doc")},
            ),
            seeded(
                "p = .1: DoC earns at least .85",
                Score(_of(BANDIT, "doc"), "return"),
                ">=",
                0.85,
                null={_of(BANDIT, "doc"): _of(BANDIT, "imitation")},
            ),
            primary=True,
            paper_claim="The paper shows both as curves over p.",
        ),
        all_of(
            "Bandit, p = .1: what DoC claims is what it earns, what imitation claims is not",
            seeded(
                "p = .1: claimed and earned return of DoC differ by at most .05",
                Score(_of(BANDIT, "doc"), "gap"),
                "<=",
                0.05,
                null={_of(BANDIT, "doc"): _of(BANDIT, "imitation")},
            ),
            seeded(
                "p = .1: those of imitation differ by at least .3",
                Score(_of(BANDIT, "imitation"), "gap"),
                ">=",
                0.3,
                null={_of(BANDIT, "imitation"): _of(BANDIT, "doc")},
            ),
            primary=True,
        ),
        all_of(
            "Decisions beside luck: DoC is ahead on the tree and on the slippery lake",
            _advantage(TREE),
            _advantage(SLIPS),
            primary=True,
            paper_claim="The paper has FrozenLake with networks and another behaviour policy.",
        ),
        equivalence(
            "Lake without slipping: DoC and imitation given the return differ by at most 5% of the optimum",
            Difference(_of(STILL, "doc"), _of(STILL, "imitation"), "share of optimal"),
            -0.05,
            0.05,
            null=_distance_from_doc,
        ),
        seeded(
            "p = .3: DoC earns at least .65",
            Score(_of(THIRD, "doc"), "return"),
            ">=",
            0.65,
            null={_of(THIRD, "doc"): _of(THIRD, "imitation")},
        ),
        seeded(
            "p = .1: DoC earns at least .2 more than with the released sign of the critic",
            Difference(_of(BANDIT, "doc"), _of(BANDIT, "released"), "return"),
            ">=",
            0.2,
            null={_of(BANDIT, "doc"): _of(BANDIT, "released")},
        ),
        seeded(
            "p = .1: given the arm, the latents of DoC tell about the reward by a total variation of at most .1",
            Score(_of(BANDIT, "doc"), "luck"),
            "<=",
            0.1,
            null={_of(BANDIT, "doc"): _of(BANDIT, "released")},
        ),
        all_of(
            "Jackpot: DoC takes the sure arm, imitation and the latent without constraint the jackpot's",
            seeded(
                "DoC takes the sure arm with a probability of at least .9",
                Score(_of(JACKPOT, "doc"), "last arm"),
                ">=",
                0.9,
                null={_of(JACKPOT, "doc"): _of(JACKPOT, "imitation")},
            ),
            seeded(
                "Imitation does so with a probability of at most .1",
                Score(_of(JACKPOT, "imitation"), "last arm"),
                "<=",
                0.1,
                null={_of(JACKPOT, "imitation"): _of(JACKPOT, "doc")},
            ),
            seeded(
                "The latent without constraint does so less often than DoC, by at least .1",
                Difference(_of(JACKPOT, "doc"), _of(JACKPOT, "unconstrained"), "last arm"),
                ">=",
                0.1,
                null={_of(JACKPOT, "doc"): _of(JACKPOT, "unconstrained")},
            ),
        ),
        exact(
            "Closed form: among rewarded pulls each arm has one half, for any p (largest error of the return)",
            partial(_worst, score="imitation"),
            "<=",
            1e-12,
            null=partial(_worst, score="imitation", fault=1e-3),
        ),
        exact(
            "The critic reaches the sum of I(o; z) and KL(P(o), rho) where it is log P(o given z) - log rho(o) "
            "(largest error)",
            partial(_worst, score="bound"),
            "<=",
            1e-12,
            null=partial(_worst, score="bound", fault=1e-3),
        ),
        exact(
            "No other critic exceeds it (largest excess)",
            partial(_worst, score="excess"),
            "<=",
            1e-12,
            null=partial(_worst, score="excess", fault=1e-3),
        ),
    ),
    figure=draw,
    tables=tuple(
        Table(group, heading, SCORES | extra)
        for group, heading, extra in (
            (BANDIT, "Bandit, p = .1, 1000 pulls", {"luck": "told of luck"}),
            (THIRD, "Bandit, p = .3, 1000 pulls", {"luck": "told of luck"}),
            (JACKPOT, "Jackpot, 2000 pulls", {"last arm": "P(sure arm)"}),
            (TREE, "Tree, 2000 walks", {}),
            (SLIPS, "Lake, slip .6, 10,000 walks", {}),
            (STILL, "Lake, slip 0, 10,000 walks", {}),
        )
    ),
    reason="The critic keeps luck out of the latents, so that a latent stands for actions and its value is what they "
    "earn on average; the return itself stands for luck. Without slipping there is no luck to be kept out: there the "
    "return tells of the whole way to the goal, a latent of one step only of that step, whose values differ by less "
    "than their noise, and one wrong latent is an endless loop.",
    seeds=12,
    quick_seeds=2,
    first_seed=1000,
    notes=(
        "All methods are tables. Imitation given the return is the exact table that it converges to on the data, "
        "P(a | s, largest return). DoC takes 2000 Adam steps on the whole dataset with expectations over z written "
        "out; every seed has data of its own. Returns and optima are exact, from the model of the world.",
        "Imitation claims the return that it is asked for, DoC the largest value of a latent at the first state.",
        "The latent without constraint leaves the critic out and lets the value loss shape the latent.",
        "Tree: one latent for a whole walk, the critic sees the walk so far. Lake: one latent for each step, as in the "
        "released code for tables, but with the return to go as the target of the values.",
        "Lake: the behaviour is the best policy for a discount of .99, and takes a random action with probability .4. "
        "The horizon is 50. A pilot on seeds 0 and 1 showed that with 1000 walks the values of latents are too "
        "uncertain to choose by, and that without slipping one wrong latent, of a step that leads back to its own "
        "cell, makes an endless loop; the bound of that check was left as the project's issue states it.",
        "The bounds are those of the project's issue, except for p = .3 (the optimum less .05), the sign (pilot: .9 "
        "against a mean of .3 over four seeds) and imitation on the jackpot (.1).",
    ),
)
