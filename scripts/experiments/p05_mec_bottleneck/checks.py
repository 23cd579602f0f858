"""The checks of paper 05, and those that they replaced.

Planned seeds, from six pilot runs (seeds 0 to 5): 20 on the 8x8 grid (joint power of the three primary checks above
.99) and 40 for the quantiser at the highest temperature (.94), 6 for the pole (above .99; equal accuracies need six)
and 3 for the learned pair (above .99).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from envzoo.scripts.experiments.core.checks import Check, Ratio, Score, all_of, equivalence, exact, seeded
from envzoo.scripts.experiments.core.experiment import Superseded
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p05_mec_bottleneck.names import (
    ACCURACY,
    BLIND,
    CART,
    CART_CODES,
    CODES,
    GAP,
    LEARNED_SMALL,
    MESSAGES,
    RATES,
    RETURN,
    SMALL,
    TEMPERATURES,
    arm_name,
)

COMPARED_RATES, COMPARED_TEMPERATURES = (0.75, 0.5), (-6, -5)  # at which EBIM is compared with the quantiser
OPEN_CODES = tuple(code for code, (encoder, rate) in CODES.items() if encoder != "quantizer" and rate > 0)
HOTTEST = TEMPERATURES[-1]


@dataclass(frozen=True)
class Pooled:
    """Measure: mean score of several arms, less that of others, for each seed that all ran with, (n,)."""

    arms: Sequence[str]
    score: str
    others: Sequence[str] = ()

    def __call__(self, results: Results) -> np.ndarray:
        """Compute the values."""
        seeds = results.shared(*self.arms, *self.others)
        means = [
            np.mean([results.by_seed(arm, self.score, seeds) for arm in arms], axis=0)
            for arms in (self.arms, self.others)
            if arms
        ]
        return means[0] - means[1] if self.others else means[0]


def _largest_gap(results: Results) -> float:
    return max(results.scores(arm, GAP).max() for arm in results.arms if results.has(arm, GAP))


def _gap_of_one_message(_: Results) -> float:
    """Compute the gap if one message's distribution over actions were taken for the average over messages."""
    from envzoo.coding_games.coupling_kernels import EBIM, message_policy

    policy = np.array([0.7, 0.1, 0.1, 0.1])
    labels, channel = message_policy(np.full(MESSAGES, 1 / MESSAGES), policy, math.log2(MESSAGES) / 2, EBIM)
    return float(np.abs(channel[labels[0]] - policy).max())


@cache
def exact_return(log_temperature: int) -> float:
    """Compute the expected discounted return of the policy on the 8x8 grid from its transition matrix."""
    from envzoo.coding_games.coding_grid import CodingGrid

    game = CodingGrid(temperature=math.exp(log_temperature))
    return game.mdp.policy_return(game.parameters.policy, game.rules.horizon)


def _at(rate: float) -> list[str]:
    return [arm_name(code, t) for code, (_, own) in CODES.items() if own == rate for t in TEMPERATURES]


def _blind_return(rate: float) -> Check:
    blind = [arm_name(BLIND, t) for t in TEMPERATURES]
    told = _at(rate)
    hot = {arm_name(BLIND, t): arm_name(BLIND, HOTTEST) for t in TEMPERATURES}  # as if coding cost the return
    return equivalence(f"rate {rate:g}", Pooled(told, RETURN, blind), -0.005, 0.005, null=hot)


def _over_quantiser(rate: float, temperature: int) -> Check:
    arm, other = arm_name(f"EBIM {rate:g}", temperature), arm_name(f"quantiser {rate:g}", temperature)
    sentence = f"rate {rate:g}, log temperature {temperature}"
    return seeded(sentence, Ratio(arm, other, ACCURACY), ">=", 1.5, estimand="ratio", null={arm: other})


def blocks(rate: float) -> int:
    """Count the blocks into which the quantiser divides the messages at a rate."""
    most = math.floor(2 ** (rate * math.log2(MESSAGES)) + 1e-9)
    return math.ceil(MESSAGES / math.ceil(MESSAGES / most))


def _blocks_only(rate: float) -> Check:
    arm, share = arm_name(f"quantiser {rate:g}", HOTTEST), blocks(rate) / MESSAGES
    sentence = f"rate {rate:g}: {blocks(rate)} of {MESSAGES}"
    null = {arm: arm_name(f"EBIM {rate:g}", HOTTEST)}
    return equivalence(sentence, Score(arm, ACCURACY), share - 0.03, share + 0.03, null=null)


def _step(before: int, after: int, score: str, codes: Sequence[str], sign: int) -> Check:
    arms = [arm_name(code, after) for code in codes]
    others = [arm_name(code, before) for code in codes]
    null = dict(zip(arms, others, strict=True))
    return seeded(f"{before} to {after}", Pooled(arms, score, others), ">" if sign > 0 else "<", 0.0, null=null)


@dataclass(frozen=True)
class OffExact:
    """Measure: mean return of all codes at a temperature less the exact one, for each seed, (n,)."""

    temperature: int

    def __call__(self, results: Results) -> np.ndarray:
        """Compute the values."""
        arms = [arm_name(code, self.temperature) for code in CODES]
        return Pooled(arms, RETURN)(results) - exact_return(self.temperature)


def _exact(temperature: int) -> Check:
    other = TEMPERATURES[-2] if temperature == HOTTEST else HOTTEST
    null = {arm_name(code, temperature): arm_name(code, other) for code in CODES}
    return equivalence(f"log temperature {temperature}", OffExact(temperature), -0.01, 0.01, null=null)


def _twice_learned(results: Results) -> np.ndarray:
    ours, learned = results.paired(SMALL, LEARNED_SMALL, ACCURACY)
    return ours - 2 * learned


CHECKS = (
    exact(
        "Largest difference between policy and average over messages, any step and arm",
        _largest_gap,
        "<=",
        1e-9,
        null=_gap_of_one_message,
        paper_claim="A coupling has the policy as its marginal by construction, so the paper's difference is 0; the "
        "bound allows for rounding.",
        primary=True,
    ),
    all_of(
        "The return at every rate is that of play without a message (difference, all codes and temperatures)",
        *(_blind_return(rate) for rate in RATES),
        paper_claim="The returns are equal. The margin of 0.005 is 1.5% of the return of the coldest policy.",
        primary=True,
    ),
    all_of(
        "EBIM guesses at least 1.5 times as many messages right as the quantiser",
        *(_over_quantiser(rate, t) for rate in COMPARED_RATES for t in COMPARED_TEMPERATURES),
        paper_claim="The paper's curves of EBIM are above the quantiser's everywhere, without numbers; the factor is "
        "ours, and holds where the rate binds and the policy leaves room for a message.",
        primary=True,
    ),
    all_of(
        f"At log temperature {HOTTEST} the quantiser tells its blocks apart, and no more (accuracy)",
        *(_blocks_only(rate) for rate in RATES[1:]),
    ),
    all_of(
        "A higher temperature raises the accuracy (rate 1 and EBIM)",
        *(_step(a, b, ACCURACY, OPEN_CODES, 1) for a, b in pairwise(TEMPERATURES)),
    ),
    all_of(
        "A higher temperature lowers the return (all codes)",
        *(_step(a, b, RETURN, tuple(CODES), -1) for a, b in ((-6, -5), (-5, -4))),
    ),
    all_of(
        "The return of all codes is the exact one of the policy, from the transition matrix (difference)",
        *(_exact(temperature) for temperature in TEMPERATURES),
    ),
    seeded(
        "4x4 grid: accuracy of MEME less twice that of a learned speaker and listener",
        _twice_learned,
        ">",
        0.0,
        null={SMALL: LEARNED_SMALL},
        full_only=True,
    ),
    equivalence(
        "Pole balanced by PPO: the return with messages is that without (difference, all codes)",
        Pooled([f"{CART}{code}" for code in CART_CODES if code != BLIND], RETURN, [f"{CART}{BLIND}"]),
        -2.0,
        2.0,
        null=lambda results: -results.scores(f"{CART}{BLIND}", RETURN),  # as if it could not balance with messages
        full_only=True,
    ),
    seeded(
        "Pole balanced by PPO: accuracy of EBIM at rate 0.5, 1024 messages",
        Score(f"{CART}EBIM 0.5", ACCURACY),
        ">=",
        0.9,
        null={f"{CART}EBIM 0.5": f"{CART}quantiser 0.5"},
        full_only=True,
    ),
)

SAME_MESSAGES = "All seeds played the same 200 messages, so that neither their spread nor the value was of messages. "
SUPERSEDED = (
    Superseded(
        "Return off blind play, all temperatures (standard errors, the worst rate)",
        0.537,
        "<= 2",
        "No difference was shown by too few episodes as easily as by equal returns. Now an equivalence.",
    ),
    Superseded(
        "Accuracy of EBIM over that of the quantiser (rates 0.75 and 0.5, log temperatures -6 and -5, the least)",
        2.61,
        ">= 2",
        f"{SAME_MESSAGES}With new messages the ratio in the worst of the four settings (rate 0.75, log temperature -6) "
        "was 1.77 in six pilot runs: a factor of 2 is not true there. The paper names none; now 1.5 in each setting.",
    ),
    Superseded(
        "Accuracy of the quantiser beyond its blocks (standard deviations, the worst)",
        -0.428,
        "<= 3",
        f"{SAME_MESSAGES}Now an equivalence, which a quantiser that tells too little fails as well.",
    ),
    Superseded(
        "Gain in accuracy from one temperature to the next (the least)",
        0.14,
        "> 0",
        f"{SAME_MESSAGES}Now each step with its interval.",
    ),
    Superseded(
        "Return lost from log temperature -7 to -4",
        0.249,
        "> 0",
        "Now each step but the first, whose exact size of 0.001 is far below the noise.",
    ),
    Superseded(
        "... rise from one temperature to the next (standard errors, the largest)",
        -0.481,
        "<= 2",
        "As the first. Now the return is compared with the exact one at each temperature.",
    ),
    Superseded(
        "4x4 grid: accuracy of MEME over that of a learned speaker and listener",
        13.3,
        ">= 2",
        "An aggregate without an interval; the same bound on pairs of runs, as a difference that is always defined.",
    ),
    Superseded(
        "Pole balanced by PPO: return off blind play (standard errors)",
        0.74,
        "<= 2",
        "As the first. Now an equivalence.",
    ),
    Superseded(
        "... accuracy of EBIM at rate 0.5, 1024 messages",
        1,
        ">= 0.9",
        f"{SAME_MESSAGES}The same bound.",
    ),
)
