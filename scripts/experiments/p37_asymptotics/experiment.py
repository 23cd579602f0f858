"""Paper 37: best-of-N with N = exp(m Delta) does nearly what the best policy under a KL budget does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Score, all_of, equivalence, exact
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p37_asymptotics.figure import draw
from envzoo.scripts.experiments.p37_asymptotics.runs import (
    CANDIDATES,
    exact_laws,
    identities,
    measured_best_of_n,
    policy_gradient,
)

LAWS, IDENTITIES, LEARNED, MEASURED = "exact laws", "identities", "policy gradient", "best-of-N of a tiny model"
# To five decimals: reward / m, KL / m, bound / m and KL from the tilt / m, computed apart from this package.
REFERENCE = {
    5: (1.04013, 0.03803, 0.03863, 0.02767),
    20: (1.09620, 0.05436, 0.05444, 0.01977),
    40: (1.15775, 0.07558, 0.07564, 0.01438),
    80: (1.19403, 0.08747, 0.08750, 0.01058),
    160: (1.21633, 0.09373, 0.09375, 0.00721),
    320: (1.22958, 0.09686, 0.09688, 0.00461),
    640: (1.23734, 0.09843, 0.09844, 0.00283),
}
COLUMNS = ("reward", "divergence", "bound", "distance")
UPDATES = 500


def _value(results: Results, score: str, arm: str = LAWS) -> float:
    return float(results.scores(arm, score)[0])


def _line(results: Results, column: str) -> np.ndarray:
    return np.array([_value(results, f"{column}_{m}") for m in CANDIDATES])


def _table_error(results: Results, reward: str = "reward") -> float:
    """Compute the largest deviation from the reference table."""
    columns = (reward, *COLUMNS[1:])
    return max(
        abs(_value(results, f"{column}_{m}") - expected)
        for m, row in REFERENCE.items()
        for column, expected in zip(columns, row, strict=True)
    )


def _naive_table_error(results: Results) -> float:
    return _table_error(results, "naive_reward")


def _least_step(results: Results) -> float:
    """Compute the smallest step towards the tilt from one m to the next: reward and KL rise, the distance falls."""
    steps = [
        np.diff(_line(results, "reward")),
        np.diff(_line(results, "divergence")),
        -np.diff(_line(results, "distance")),
    ]
    return float(np.min(steps))


def _least_step_of_naive(results: Results) -> float:
    return float(np.diff(_line(results, "naive_reward")).min())


def _most_above(results: Results) -> float:
    """Compute by how much best-of-N lies above the curve of the tilts at its own KL divergence, at most."""
    return float(-_line(results, "below").min())


def _most_above_at_half(results: Results) -> float:
    return float(-_line(results, "below_half").min())


def _largest_identity_error(results: Results) -> float:
    names = ("three_point", "legendre", "product", "cumulant")
    return max(float(results.scores(IDENTITIES, name).max()) for name in names)


def _error_without_reward(results: Results) -> float:
    return float(results.scores(IDENTITIES, "three_point_without_reward").max())


def _last_excess(results: Results) -> float:
    return abs(_value(results, "excess_640"))


def _last_excess_of_base(results: Results) -> float:
    return abs(_value(results, "excess_of_base_640"))


def _start(score: str) -> Callable[[Results], np.ndarray]:
    return Score(LEARNED, f"start_{score}")


EXPERIMENT = Experiment(
    paper=find("37-asymptotics-alignment"),
    question="Is best-of-N nearly optimal, and what is optimal under a budget of KL divergence?",
    claim="The best policy under a budget of KL divergence is an exponential tilt; best-of-N with N = exp(m Delta) "
    "approaches its reward and its KL divergence per token as the length grows, and never exceeds the curve of tilts.",
    arms=(
        FunctionArm(LAWS, exact_laws, group="laws", seeds=1),
        FunctionArm(IDENTITIES, identities, budget=1000, quick_spend=100, group="identities", seeds=1),
        FunctionArm(
            LEARNED,
            policy_gradient,
            budget=UPDATES * 20 * 64,
            quick_spend=UPDATES * 20 * 16,
            settings={"updates": UPDATES},
            group="learned",
        ),
        FunctionArm(MEASURED, measured_best_of_n, budget=4000, quick_spend=500, group="measured"),
    ),
    checks=(
        all_of(
            "Best-of-N rises towards the tilt with m, as in the table, and is never above the curve of tilts",
            exact(
                "Largest deviation from the table of five decimals",
                _table_error,
                "<=",
                6e-6,
                null=_naive_table_error,
            ),
            exact(
                "Smallest step of reward, KL and distance towards the tilt",
                _least_step,
                ">",
                0.0,
                null=_least_step_of_naive,
            ),
            exact(
                "Reward of best-of-N above the tilt of equal KL divergence (the most)",
                _most_above,
                "<=",
                1e-12,
                null=_most_above_at_half,
            ),
            primary=True,
        ),
        exact(
            "Largest error of the identities on random distributions",
            _largest_identity_error,
            "<=",
            1e-12,
            null=_error_without_reward,
            primary=True,
        ),
        all_of(
            "The policy gradient reaches the tilt within 500 updates",
            equivalence(
                "Reward per token",
                Score(LEARNED, "reward"),
                1.2475 - 0.02,
                1.2475 + 0.02,
                null=_start("reward"),
            ),
            equivalence(
                "KL divergence per token",
                Score(LEARNED, "divergence"),
                0.09,
                0.11,
                null=_start("divergence"),
            ),
            primary=True,
        ),
        exact(
            "The exponent of the tail at m = 640 is off the rate function by at most",
            _last_excess,
            "<=",
            0.015,
            null=_last_excess_of_base,
        ),
        equivalence(
            "Mean reward of best-of-4 of a tiny language model less that of its exact law",
            Score(MEASURED, "reward_gap"),
            -0.02,
            0.02,
            null=Score(MEASURED, "gap_from_base"),
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "learned",
            "KLPolicyGradient on MemorylessAlign after 500 updates, per token",
            {"reward": "reward", "divergence": "KL divergence", "start_reward": "reward of the base policy"},
        ),
        Table(
            "measured",
            "Best-of-4 of a tiny language model on TextTilt",
            {
                "law_reward": "reward by the law",
                "reward_gap": "measured less law",
                "base_reward": "reward of the model",
            },
        ),
    ),
    seeds=10,
    quick_seeds=2,
    first_seed=1000,
    notes=(
        "The base policy draws tokens with probabilities 0.5, 0.3 and 0.2 and rewards 0, 1 and 2.5; the budget is 0.1 "
        "nats per token. N is rounded to a whole number for m up to 160 and a real number above.",
        "The paper has theorems and no such table. Its numbers were computed beforehand by another program, from the "
        "same closed forms.",
        "The learned policy and the language model are evaluated exactly: reward and KL divergence of a table of "
        "probabilities, and the law of all answers that the model can give.",
    ),
    reason="All three are exact consequences of the tilt: the policy gradient loses its noise as it approaches the "
    "optimum, where reward less penalty is the same for all sequences.",
)
