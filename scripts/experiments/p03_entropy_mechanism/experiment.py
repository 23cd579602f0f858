"""Paper 03, the entropy mechanism: accuracy is gained at the cost of entropy, at a rate set by the covariance."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from envzoo.papers import find
from envzoo.scripts.experiments.core.checks import Check, point
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.runs import ACCURACY, DISTINCT, ENTROPY, PASS, text_arm
from envzoo.scripts.experiments.text.strengths import SWEPT, strength

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UPDATES = 150
COVARIANCE = "policy/covariance"
PLAIN, CLIP, KL = "GRPO", "Clip-Cov", "KL-Cov"
# KL-Cov without its penalty (beta = 0), which logs the covariance of GRPO without clipping.
WATCHED = "unclipped GRPO"
# Clip-Cov without candidates is bit-identical to GRPO, and logs the covariance.
CLIPPED = "GRPO, covariance logged"
NO_CANDIDATES = {"low": 1e8, "high": 1e9, "low_quantile": None, "eps_low": 0.2, "eps_high": 0.2}
POINTS = 2 * UPDATES  # more than the number of updates, so that each point holds one; empty points are dropped


def law(results: Results, arm: str) -> np.ndarray:
    """R^2 of R = b - a exp(H) on the training curve of each seed, (seeds,)."""
    from envzoo.agents.reasoning.entropy_mechanism import fit_entropy_law

    found = []
    for (_, entropy), (_, accuracy) in zip(results.lines(arm, ENTROPY), results.lines(arm, ACCURACY), strict=True):
        found.append(fit_entropy_law(runs.smooth(entropy), runs.smooth(accuracy))[2])
    return np.array(found)


def worst_identity(results: Results) -> float:
    """Compute the largest relative error of first-order entropy changes, over random 10-action policies in float64.

    Softmax policies take steps of size 1e-6: vanilla policy gradient, natural gradient, and a single sampled token.
    """
    generator = np.random.default_rng(0)
    eta, worst = 1e-6, 0.0
    for _ in range(200):
        z, advantage = generator.normal(size=10), generator.normal(size=10)
        log_p = z - np.logaddexp.reduce(z)
        p = np.exp(log_p)
        centred = advantage - p @ advantage
        k = generator.integers(10)
        one = np.eye(10)[k]
        for step in (p * centred, advantage, advantage[k] * (one - p)):
            predicted = -eta * (p @ (log_p * step) - (p @ log_p) * (p @ step))
            # The difference has a rounding error of about 1e-15, which would dominate predictions near 0.
            if abs(predicted) > 1e-9:
                worst = max(worst, abs(_entropy(z + eta * step) - _entropy(z) - predicted) / abs(predicted))
    return worst


def _entropy(z: np.ndarray) -> float:
    log_p = z - np.logaddexp.reduce(z)
    return float(-np.exp(log_p) @ log_p)


def positive_share(results: Results, arm: str = WATCHED) -> float:
    """Compute the fraction of updates with a positive mean covariance, over all seeds."""
    return float(np.mean(np.concatenate([y for _, y in results.lines(arm, COVARIANCE)]) > 0))


def covariance_follows_entropy(results: Results, arm: str = WATCHED) -> float:
    """Average over seeds Spearman's rho of the negated cumulative covariance and the cumulative entropy change."""
    found = []
    for (_, c), (_, h) in zip(results.lines(arm, COVARIANCE), results.lines(arm, ENTROPY), strict=True):
        found.append(spearmanr(-np.cumsum(c)[:-1], h[1:] - h[0]).statistic)
    return float(np.mean(found))


def draw_law(axes: Axes, results: Results, arms: dict[str, str]) -> None:
    """Plot accuracy over exp(H), which is a straight line if the law holds."""
    for arm, colour in arms.items():
        for number, ((_, h), (_, r)) in enumerate(
            zip(results.lines(arm, ENTROPY), results.lines(arm, ACCURACY), strict=True)
        ):
            x, y = np.exp(runs.smooth(h)), runs.smooth(r)
            axes.plot(x, y, color=colour, linewidth=1.0, alpha=0.7, label=None if number else arm)
    axes.set_xlabel("exp(H)")
    axes.set_title("The law: accuracy over exp(entropy)")


def draw(results: Results, figure: Figure) -> None:
    """Draw training curves, entropy against accuracy, and the law."""
    from envzoo.scripts.experiments.text.figures import draw_rows, phase_panel, usual_panels

    more = (draw_law, phase_panel(DISTINCT, "Distinct right answers of 16 against accuracy"))
    heading = "Entropy is spent for accuracy; holding the tokens of large covariance spends less"
    draw_rows(results, figure, heading, {runs.SUM: usual_panels(*more)})


def _kept(arm: str, metric: str, sentence: str, bound: float) -> Check:
    return runs.compare(f"{arm}: {sentence} at equal accuracy", runs.matched_ratio, arm, PLAIN, metric, ">=", bound)


EXPERIMENT = Experiment(
    paper=find("03-entropy-mechanism"),
    question="Why does the entropy of a language model collapse under reinforcement learning, and what holds it?",
    claim="Under GRPO the entropy collapses, and accuracy follows R = b - a exp(H). The fall is as large as the "
    "covariance of log-probability and advantage says. Clip-Cov and KL-Cov, which act on the tokens of the largest "
    "covariance, keep at least twice GRPO's entropy at the same accuracy, with a pass@16 at least as high.",
    arms=(
        text_arm(PLAIN, "GRPO", UPDATES),
        text_arm(WATCHED, "KLCov", UPDATES, {"beta": 0.0}, curves=(COVARIANCE,), points=POINTS),
        text_arm(CLIPPED, "ClipCov", UPDATES, NO_CANDIDATES, curves=(COVARIANCE,), points=POINTS, full_only=True),
        text_arm(CLIP, "ClipCov", UPDATES, strength(CLIP), curves=(COVARIANCE,)),
        text_arm("Clip-Cov, ratios to 2", "ClipCov", UPDATES, curves=(COVARIANCE,), full_only=True),
        text_arm(KL, "KLCov", UPDATES, strength(KL), curves=(COVARIANCE,)),
        text_arm("clip-higher", "ClipHigher", UPDATES, full_only=True),
        text_arm("entropy bonus", "EntropyBonus", UPDATES, full_only=True),
    ),
    checks=(
        point("Identities of the entropy's change: largest relative error", worst_identity, "<", 1e-3),
        point(
            "GRPO: entropy at the end, nats",
            partial(Results.iqm, arm=PLAIN, score=ENTROPY),
            "<",
            0.25,
            full_only=True,
        ),
        point("GRPO: least R^2 of the law over the seeds", lambda r: law(r, PLAIN).min(), ">", 0.9, full_only=True),
        point("Share of updates with a positive covariance", positive_share, ">", 0.8, full_only=True),
        point(
            "Spearman's rho of summed covariance (negated) and change of entropy",
            covariance_follows_entropy,
            ">",
            0.6,
            full_only=True,
        ),
        point(
            "With GRPO's clipping: share of updates with a positive covariance",
            partial(positive_share, arm=CLIPPED),
            ">",
            0.8,
            full_only=True,
        ),
        point(
            "With GRPO's clipping: the same rho",
            partial(covariance_follows_entropy, arm=CLIPPED),
            ">",
            0.6,
            full_only=True,
        ),
        _kept(CLIP, ENTROPY, "entropy over GRPO's", 2.0),
        _kept(CLIP, PASS, "pass@16 over GRPO's", 1.0),
        _kept(KL, ENTROPY, "entropy over GRPO's", 2.0),
        _kept(KL, PASS, "pass@16 over GRPO's", 1.0),
        _kept(KL, DISTINCT, "distinct right answers over GRPO's", 1.0),
    ),
    figure=draw,
    tables=(runs.final_table(runs.SUM, "TextSumTo: four digits with a given sum"),),
    seeds=runs.SEEDS,
    small_scale=True,
    quick_seeds=1,
    notes=(
        *runs.NOTES,
        "The covariance is logged for every update, in GRPO without clipping (KL-Cov with a weight of 0) and in GRPO "
        "with clipping (Clip-Cov whose candidates need a covariance above 1e8, which is bit-identical to GRPO).",
        "The paper's fractions of tokens (2e-4 to 2e-3) would select one token of a minibatch of 512 here. " + SWEPT,
        "Clip-Cov samples its tokens above the 0.9-quantile of the covariance. The released scripts clip ratios to "
        "[0, 2] in Clip-Cov. Without PPO's clipping GRPO learns half as fast here, so Clip-Cov uses GRPO's clipping of "
        "0.2, and the variant of the scripts is a separate arm.",
    ),
)
