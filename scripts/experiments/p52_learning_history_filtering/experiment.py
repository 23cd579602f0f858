"""Paper 52, Learning History Filtering: in-context learners trained on the histories that improve."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Check, Ratio, Score, all_of, equivalence, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p52_learning_history_filtering.others import run_other
from envzoo.scripts.experiments.p52_learning_history_filtering.study import run_agent, run_metrics, run_random

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS, OTHER_STEPS, OTHER_SEEDS = 700, 300, 6
NETWORK = {"context": 40, "batch_size": 32, "width": 32, "layers": 2, "heads": 2, "learning_rate": 3e-3}
DATASETS = {"clean": "envzoo/darkroom/histories-v0", "noisy": "envzoo/darkroom/noisy-histories-v0"}
PLANNING = {"beams": 2, "plan_steps": 2}
RANDOM, METRICS = "random actions", "metrics"


def _arm(agent: str, label: str, data: str, filtered: bool, seeds: int) -> FunctionArm:
    settings = {**NETWORK, "history_filter": "resample" if filtered else "none"}
    return FunctionArm(
        f"{label}, {data}" + (", filtered" if filtered else ""),
        run_agent,
        budget=STEPS,
        settings={"agent": agent, "dataset": DATASETS[data], "settings": settings},
        group="learners",
        quick_spend=20,
        seeds=seeds,
    )


def _other(agent: str, filtered: bool) -> FunctionArm:
    settings = {
        **NETWORK,
        **(PLANNING if agent == "DICP" else {}),
        "history_filter": "resample" if filtered else "none",
    }
    return FunctionArm(
        f"{agent}, noisy" + (", filtered" if filtered else ""),
        run_other,
        budget=OTHER_STEPS,
        settings={"agent": agent, "dataset": DATASETS["noisy"], "settings": settings},
        group="others",
        quick_spend=5,
        full_only=agent == "DICP",
        seeds=OTHER_SEEDS,
    )


def _sign(agent: str) -> Check:
    """Make the check of the sign of the filter's gain."""
    filtered, plain = f"{agent}, noisy, filtered", f"{agent}, noisy"
    return seeded(
        f"30% random histories: {agent} on filtered histories earns more than on all",
        Ratio(filtered, plain, "mean"),
        ">",
        1.0,
        estimand="ratio",
        null={filtered: plain},
        full_only=agent == "DICP",
        paper_claim="The paper's gains of DICP and DPT in its dark rooms go down to 1 to 4%.",
    )


def _worst(results: Results, score: str, fault: float = 0.0) -> float:
    return float(results.scores(METRICS, score).max()) + fault


def _gain(data: str, label: str, bound: float, operator: str, sentence: str, null: str, **more):
    """Make the check on the ratio of mean returns with and without the filter."""
    filtered, plain = f"{label}, {data}, filtered", f"{label}, {data}"
    return seeded(
        sentence, Ratio(filtered, plain, "mean"), operator, bound, estimand="ratio", null={filtered: null}, **more
    )


def draw(results: Results, figure: Figure) -> None:
    """Draw the figure; see the module `figure`."""
    from envzoo.scripts.experiments.p52_learning_history_filtering.figure import draw as draw_all

    draw_all(results, figure)


EXPERIMENT = Experiment(
    paper=find("52-learning-history-filtering"),
    question="Do in-context learners learn better from the learning histories that improve most?",
    claim="Where three histories of ten are random, algorithm distillation on filtered histories earns at least 10% "
    "more on goals that no history has; on clean histories it loses at most 5%.",
    arms=(
        _arm("AlgorithmDistillation", "AD", "noisy", False, 4),
        _arm("AlgorithmDistillation", "AD", "noisy", True, 4),
        _arm("AlgorithmDistillation", "AD", "clean", False, 3),
        _arm("AlgorithmDistillation", "AD", "clean", True, 3),
        *(_other(agent, filtered) for agent in ("DPT", "DICP") for filtered in (False, True)),
        FunctionArm(RANDOM, run_random, group="learners", seeds=5),
        FunctionArm(METRICS, run_metrics, budget=1000, group=METRICS, quick_spend=100, seeds=3),
    ),
    checks=(
        _gain(
            "noisy",
            "AD",
            1.1,
            ">=",
            "30% random histories: AD on filtered histories earns at least 1.1 times as much as on all",
            "AD, noisy",
            primary=True,
            paper_claim="The paper has gains of 90.7%, 5.5%, 13.8% and 1.2% in its four dark rooms.",
        ),
        _gain(
            "clean",
            "AD",
            0.95,
            ">=",
            "Clean histories: AD on filtered histories earns at least .95 times as much as on all",
            RANDOM,
            primary=True,
            paper_claim="The paper has gains of 25.1%, 5.0%, 3.2% and 1.8%.",
        ),
        all_of(
            "In new tasks AD improves within its context, random actions do not",
            seeded(
                "AD on clean histories: the last five episodes return at least 1.5 times what the first five do",
                Score("AD, clean", "last over first"),
                ">=",
                1.5,
                estimand="ratio",
                null={"AD, clean": RANDOM},
            ),
            equivalence(
                "Random actions: the last five episodes return .8 to 1.25 times what the first five do",
                Score(RANDOM, "last over first"),
                0.8,
                1.25,
                estimand="ratio",
                null={RANDOM: "AD, clean"},
            ),
            primary=True,
        ),
        _sign("DPT"),
        _sign("DICP"),
        seeded(
            "DICP on all histories: the last five episodes return at least 1.5 times what the first five do",
            Score("DICP, noisy", "last over first"),
            ">=",
            1.5,
            estimand="ratio",
            null={"DICP, noisy": RANDOM},
            full_only=True,
        ),
        exact(
            "Improvement, stability, utility and probabilities of examples worked out by hand (largest error)",
            partial(_worst, score="metrics"),
            "<=",
            1e-12,
            null=partial(_worst, score="metrics", fault=0.25),
        ),
        exact(
            "Of utilities 1, 2 and 3 the first history is never kept and the last one always (sets that break this)",
            partial(_worst, score="broken"),
            "<=",
            0.5,
            null=partial(_worst, score="broken", fault=1.0),
        ),
        exact(
            "Of many histories each is kept in proportion to its probability (largest error of the shares)",
            partial(_worst, score="frequencies"),
            "<=",
            0.01,
            null=partial(_worst, score="frequencies", fault=0.05),
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "learners",
            "Returns on five held-out goals, 15 episodes with an empty context at first",
            {
                "mean": "mean of all episodes",
                "first": "first five",
                "last": "last five",
                "last over first": "last / first",
            },
        ),
        Table(
            "others",
            f"DPT and DICP after {OTHER_STEPS} steps, on noisy histories",
            {
                "mean": "mean of all episodes",
                "first": "first five",
                "last": "last five",
                "last over first": "last / first",
            },
        ),
    ),
    reason="Where three histories of ten are random, the filter raises what AD earns by half. On clean histories it "
    "loses about as much as the bound allows (a ratio of 0.95), so that more seeds would hardly decide it. DPT, whose "
    "labels are optimal actions, gains nothing by the filter (1.00); the sign for DICP (1.06) is open.",
    seeds=5,
    quick_seeds=1,
    first_seed=1000,
    notes=(
        "A room of 5 x 5 cells with episodes of 20 steps, 20 goals with 20 histories of 40 episodes each, and 5 goals "
        "held out; the paper has 9 x 9 cells with 73 and 8 goals and 100 histories. The learners of the histories are "
        "tabular Q-learners with exploration that falls, independent of each other; the paper's are PPO.",
        "Transformers have 2 blocks of width 32 and a context of 40 steps (two episodes), and take 700 steps of 32 "
        "windows; the paper's have 4 blocks, 80 steps, and 50,000 steps of 512. They are played with samples.",
        "DPT and DICP take 300 steps and are played with 4 copies of each goal; DICP keeps 2 plans of 2 steps, for "
        "want of computing time. Their checks were added, with bounds and numbers of seeds, after the others had run "
        "and before their own runs; pilots on seeds 0 and 1 gave DPT 12.8 and 12.9, DICP 4.2 and 4.3 (all, filtered). "
        "An earlier DICP had a regression of rewards instead of classes: no two plans were equal, it did not explore, "
        "and earned less than random actions. Six seeds instead of the twelve first planned, for want of time, before "
        "any of them had run. The other rooms, half histories and the light model of the paper were "
        "not run.",
        "One pilot on seed 0 with 800 steps gave AD 1.9 and 3.9 on noisy histories, without and with the filter; one "
        "of DPT on clean histories rose from 3.4 to 17.2 over 15 episodes. The bounds are those of the project's "
        "issue; the numbers of seeds were set by the time available.",
    ),
    small_scale=True,
)
