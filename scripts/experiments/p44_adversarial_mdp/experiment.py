"""Paper 44: two algorithms bring the regret against changing linear losses from K^2/3 to K^1/2."""

from __future__ import annotations

from functools import partial

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Ratio, Score, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p44_adversarial_mdp.figure import draw
from envzoo.scripts.experiments.p44_adversarial_mdp.runs import (
    BANDIT,
    BARRIER,
    COMBO,
    EPISODES,
    LAYERED,
    LOOSE,
    PLAIN,
    REDUCED,
    check_identities,
    measure_regret,
    regret_score,
)

IDENTITIES = "identities"
WITHOUT = "without bonus"


def arm_name(world: str, algorithm: str) -> str:
    """Name an arm."""
    return f"{world}: {algorithm}"


def _arm(world: str, algorithm: str, bonus: bool = True) -> FunctionArm:
    return FunctionArm(
        arm_name(world, algorithm if bonus else f"{algorithm}, {WITHOUT}"),
        run_seeds=measure_regret,
        budget=EPISODES[-1] if world != COMBO else 8_000,
        settings={"world": world, "algorithm": algorithm, "bonus": bonus},
        group=world,
        quick_spend=2_000,
    )


def _slope(world: str, algorithm: str, operator: str, bound: float, null: str, **more) -> object:
    arm = arm_name(world, algorithm)
    sentence = f"{world}: slope of log regret over log K, {algorithm}"
    return seeded(sentence, Score(arm, "slope"), operator, bound, null={arm: arm_name(world, null)}, **more)


def _ahead(world: str, algorithm: str, episodes: int, times: float) -> object:
    plain, other = arm_name(world, PLAIN), arm_name(world, algorithm)
    return seeded(
        f"{world}: regret of plain over {algorithm}, K = {episodes}",
        Ratio(plain, other, regret_score(episodes)),
        ">",
        times,
        null={plain: other},
        estimand="ratio",
    )


def worst(results: Results, score: str) -> float:
    """Return the largest value of an identity over the worlds."""
    return float(results.scores(IDENTITIES, score).max())


def least(results: Results, score: str) -> float:
    """Return the smallest value over the worlds."""
    return float(results.scores(IDENTITIES, score).min())


EXPERIMENT = Experiment(
    paper=find("44-refined-adversarial-mdp"),
    question="How fast does the regret of policy optimisation grow when losses change between episodes?",
    claim="Log-barrier regularisation, and estimates reduced in magnitude, both have regret of the order of sqrt K, "
    "where exponential weights with plain estimates have K^2/3.",
    arms=(
        *(_arm(BANDIT, algorithm) for algorithm in (PLAIN, REDUCED, BARRIER, LOOSE)),
        *(_arm(LAYERED, algorithm) for algorithm in (PLAIN, REDUCED, BARRIER, LOOSE)),
        *(_arm(COMBO, algorithm, bonus) for algorithm in (PLAIN, REDUCED, BARRIER) for bonus in (True, False)),
        FunctionArm(IDENTITIES, check_identities, group="identities"),
    ),
    checks=(
        all_of(
            "On the bandit the slopes are those of the theory",
            _slope(BANDIT, REDUCED, "<=", 0.6, PLAIN),
            _slope(BANDIT, BARRIER, "<=", 0.6, PLAIN),
            _slope(BANDIT, PLAIN, ">=", 0.65, REDUCED),
            primary=True,
            full_only=True,
        ),
        all_of(
            "On the bandit both algorithms are ahead of the plain one from K = 2000 on",
            *(_ahead(BANDIT, algorithm, k, 1.0) for algorithm in (REDUCED, BARRIER) for k in EPISODES[1:]),
            primary=True,
            full_only=True,
        ),
        all_of(
            "On the linear MDP both algorithms are 1.5 times ahead at K = 8000, and the reduced one has slope 0.7",
            _ahead(LAYERED, REDUCED, 8_000, 1.5),
            _ahead(LAYERED, BARRIER, 8_000, 1.5),
            _slope(LAYERED, REDUCED, "<=", 0.7, PLAIN),
            primary=True,
            full_only=True,
        ),
        exact(
            "Both estimates have one mean (largest difference, exact expectation)",
            partial(worst, score="difference of means"),
            "<=",
            1e-12,
            null=partial(worst, score="one estimate off"),
        ),
        exact(
            "Most negative estimate, plain over reduced (least of all worlds)",
            partial(least, score="reduction"),
            ">",
            1.0,
            null=lambda results: 1.0,
        ),
        exact(
            "Regret of the log-barrier over its bound, wild losses of any sign (largest)",
            partial(worst, score="log-barrier over bound"),
            "<=",
            1.0,
            null=partial(worst, score="Hedge over bound"),
        ),
        exact(
            "Residual of the optimality conditions of the solver",
            partial(worst, score="KKT residual"),
            "<=",
            1e-9,
            null=lambda results: 1e-9 + float(np.max(results.scores(IDENTITIES, "KKT residual"))) + 1e-6,
        ),
        seeded(
            "Rare combination: regret of the plain algorithm with bonus over that without, K = 8000",
            Ratio(arm_name(COMBO, PLAIN), arm_name(COMBO, f"{PLAIN}, {WITHOUT}"), regret_score(8_000)),
            "<",
            1.0,
            null={arm_name(COMBO, PLAIN): arm_name(COMBO, f"{PLAIN}, {WITHOUT}")},
            estimand="ratio",
            full_only=True,
        ),
    ),
    figure=draw,
    tables=tuple(
        Table(
            world,
            f"Regret, {world}",
            {**{regret_score(k): f"K = {k}" for k in EPISODES if world != COMBO or k <= 8_000}, "slope": "slope"},
        )
        for world in (BANDIT, LAYERED, COMBO)
    ),
    seeds=20,
    quick_seeds=2,
    first_seed=1000,
    reason="The reduced estimates and the log-barrier allow step sizes of the order of K^-1/2, at which the slopes on "
    "the bandit are near 1/2; the plain algorithm has to take K^-2/3.",
    notes=(
        "Regret is the sum of exact expected losses of the policies played, less that of the best fixed policy in "
        "hindsight. Each number of episodes is a run of its own, because the step sizes depend on it; the rates are "
        "eta = c K^-2/3, gamma = 2 eta H (plain), eta = c K^-1/2 with gamma = 4 eta^2 on the bandit and eta^2 H^2 "
        "elsewhere (reduced), and eta = c K^-1/2, gamma = 1 / K (log-barrier). The constants c are those of the fact "
        "sheet: 1, 1, 30 on the bandit, 0.5, 0.5, 2 elsewhere.",
        "Bounds are those of the fact sheet, fixed before any run with these seeds. The order of the two algorithms "
        "between themselves depends on the constants and is not judged. Slopes still hold a transient.",
        "Two fact sheets were written apart and differ in two places. One puts the reduced estimates before the "
        "log-barrier, the other says that their order depends on the constants. The other is right: with the constants "
        "used here the log-barrier is ahead on the bandit and the reduced estimates on the linear MDP. One bounds the "
        "losses to come by H, the other by the number of layers left. Both give the same mean, and the second, which "
        "is used here, has the smaller negative part; both facts are derived and tested by enumeration.",
        "The covariance is exact (the model is the simulator); the zoo's agents can also sample it.",
        "The full text of the paper was not available: the algorithms follow its abstract, a sketch from memory, and "
        "derivations that are tested: equal means of both estimates, the bound of the log-barrier for losses of any "
        "sign, and optimality conditions.",
        "On the rare combination, with one-hot features, the bonus was meant to matter. A pilot on other seeds showed "
        "that it helps the plain algorithm and not the others at these constants; the last check judges the former.",
    ),
)
