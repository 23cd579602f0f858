"""Paper 49: which penalties of model-based offline learning are calibrated, and whether a search beats the default."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Check, Score, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p49_offline_mbrl.runs import run_calibration, run_search, run_trust

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 600
TRUST = "no penalty"
STD, NOISE = "rank ensemble_std", "rank max_aleatoric"


def _less(results: Results, first: str, second: str, arm: str = "calibration") -> np.ndarray:
    """Return a score less another one of the same run."""
    return results.scores(arm, first) - results.scores(arm, second)


def _slowing(results: Results) -> np.ndarray:
    """Return the gain from five to ten models less that from two to five."""
    return _less(results, "members 10", "members 5") - _less(results, "members 5", "members 2")


def _higher(sentence: str, first: str, second: str) -> Check:
    """Make the check that one score of the calibration exceeds another; under the null they change places."""
    return seeded(
        sentence, partial(_less, first=first, second=second), ">", 0.0, null=partial(_less, first=second, second=first)
    )


def _largest(results: Results, score: str) -> float:
    return float(results.scores("calibration", score).max())


def _negative(results: Results, score: str, arm: str) -> np.ndarray:
    return -results.scores(arm, score)


def draw(results: Results, figure: Figure) -> None:
    """Draw the figure; see the module `figure`."""
    from envzoo.scripts.experiments.p49_offline_mbrl.figure import draw as draw_all

    draw_all(results, figure)


EXPERIMENT = Experiment(
    paper=find("49-offline-mbrl-design"),
    question="Which penalty of model-based offline learning follows the true error of the model, and is it worth "
    "searching over penalty, ensemble, length of flights and weight?",
    claim="The disagreement of the models ranks their true errors, better than the noise that they predict; larger "
    "ensembles rank better, with smaller and smaller gains; and a design found by search beats the published default "
    "on seeds that the search did not see.",
    arms=(
        FunctionArm("calibration", run_calibration, budget=200, group="calibration", quick_spend=2, seeds=10),
        FunctionArm("search", run_search, budget=STEPS, group="search", quick_spend=20, seeds=3),
        FunctionArm(TRUST, run_trust, budget=STEPS, settings={"weight": 0.0}, group="trust", quick_spend=20, seeds=4),
    ),
    checks=(
        all_of(
            "States all over the arena: the disagreement ranks the errors (Spearman) at 0.5 or more, and better than "
            "the largest predicted noise",
            seeded(
                "The rank correlation of the ensemble's standard deviation with the error is at least 0.5",
                Score("calibration", STD),
                ">=",
                0.5,
                null=Score("calibration", "members 1"),
            ),
            _higher("It is larger than that of the largest aleatoric standard deviation", STD, NOISE),
            primary=True,
            paper_claim="On D4RL, standard deviation and variance of the ensemble correlate best with the true error.",
        ),
        all_of(
            "More models rank the errors better, with smaller gains: 1, 2, 5, 10",
            _higher("Two models rank better than one", "members 2", "members 1"),
            _higher("Five models rank better than two", "members 5", "members 2"),
            _higher("Ten models rank better than five", "members 10", "members 5"),
            seeded(
                "The gain from five to ten is smaller than that from two to five",
                _slowing,
                "<",
                0.0,
                null=partial(_less, first="members 5", second="members 2"),
            ),
            primary=True,
            paper_claim="The best ensembles have more models than the usual 5 to 7, though gains saturate.",
        ),
        seeded(
            "Fresh seeds: the best of 12 designs less the default is at least 10 points of the normalised score",
            Score("search", "gain"),
            ">=",
            10.0,
            null=partial(_negative, score="gain", arm="search"),
            primary=True,
            paper_claim="Configurations found by Bayesian optimisation improve several D4RL tasks by a large margin.",
        ),
        all_of(
            "The penalties of LOMPO and M2AC rank the errors worse than the ensemble's standard deviation",
            _higher("The variance of log-likelihoods ranks worse", STD, "rank log_likelihood_variance"),
            _higher("The leave-one-out divergence ranks worse", STD, "rank leave_one_out_divergence"),
            paper_claim="Variance of log-likelihoods and leave-one-out divergence are the worst calibrated on D4RL.",
        ),
        seeded(
            "Unknown calm states rank above known noisy ones more often by disagreement than by noise (by 0.2 or more)",
            partial(_less, first="unknown first ensemble_std", second="unknown first max_aleatoric"),
            ">=",
            0.2,
            null=partial(_less, first="unknown first max_aleatoric", second="unknown first ensemble_std"),
        ),
        seeded(
            "Without a penalty the model promises at least 10 points more than its policy attains",
            Score(TRUST, "excess"),
            ">=",
            10.0,
            null=partial(_negative, score="excess", arm=TRUST),
        ),
        seeded(
            "The best design's score in the search exceeds its mean score on fresh seeds",
            Score("search", "curse"),
            ">",
            0.0,
            null=partial(_negative, score="curse", arm="search"),
        ),
        exact(
            "Total variance is the mean of variances and the variance of means (largest relative error)",
            partial(_largest, score="identity"),
            "<=",
            1e-6,
            null=partial(_largest, score="identity without noise"),
        ),
        exact(
            "A learned weight brings the mean penalty to its target in 500 steps (largest error in shares)",
            partial(_largest, score="auto"),
            "<=",
            0.1,
            null=partial(_largest, score="auto untouched"),
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "trust",
            "Returns that the model promises and that the policy attains",
            {"promised": "promised score", "true": "normalised score", "excess": "difference"},
        ),
        Table(
            "search",
            "Search",
            {"selected": "best in the search", "best": "best, fresh seeds", "default": "default, fresh seeds"},
        ),
    ),
    reason="WindyPoint is nearly linear: what the models promise outside the data is close to what the policy attains, "
    "so trusting them costs nothing, more than five add nothing, and after 600 updates designs differ little. The "
    "learned weight is judged by its last single batch, whose mean penalty varies from batch to batch.",
    seeds=10,
    quick_seeds=2,
    first_seed=1000,
    notes=(
        "WindyPoint with the data of its left half: 5000 transitions. Models are 2 x 64; the error is the distance of "
        "the models' mean prediction to the mean of the true dynamics, in standard deviations of the changes of the "
        "data, at 4000 states uniform over the whole arena with uniform actions. Smaller ensembles are the first "
        "members of ten.",
        "Agents learn for 600 updates of 128 transitions with networks of 2 x 64 (learning rates 0.001, tau 0.02), "
        "with 1000 flights every 250 updates. The default is MOPO's: largest aleatoric standard deviation, seven "
        "models, five steps, weight 1. A score is the normalised return over 100 episodes at the final step.",
        "The search is optuna's tree-structured Parzen estimator, in place of the paper's Bayesian optimisation, with "
        "12 trials over seven normalised penalties, 2 to 15 models, 1 to 20 steps and weights 0.01 to 100. Its best "
        "design and the default are then trained on the same two fresh seeds; the search is repeated on 3 seeds.",
        "First planned were 4 searches of 20 trials, 1000 updates per agent, and an arm of the default penalty that "
        "entered no check. All were reduced or dropped for lack of computing time, before a result that they affect "
        "was looked at.",
        "Pilots on seeds 0 and 1 had rank correlations of 0.71 to 0.74 for the ensemble's standard deviation; one on "
        "seed 0 without penalty promised less than it attained, so the check on that is expected to fail. Its bound is "
        "the one of the project's plan.",
        "The paper's D4RL tasks were not run.",
    ),
)
