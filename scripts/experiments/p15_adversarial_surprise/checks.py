"""The checks of paper 15, and those that they replaced.

Planned seeds, from five pilot runs (seeds 0 to 4): 6 on both lines (joint power of the two primary checks there above
.99), 10 for AS on the line, because of its goal (.92), 24 for AS with the television (.93 for a verdict, which is
`fails` at the pilot's mean), 6 in the rooms, where the pilot was too short to give a spread for 10 million steps.
"""

from __future__ import annotations

from envzoo.scripts.experiments.core.checks import Check, Difference, Score, all_of, seeded
from envzoo.scripts.experiments.core.experiment import Superseded
from envzoo.scripts.experiments.p15_adversarial_surprise.names import (
    EPISODES,
    NOISE,
    ROOMS,
    SHARE,
    STOPPED,
    WORLD,
    arm_name,
)

LINE, TELEVISION = "alternating", "tv"
GOAL = "goal/return"
NOVELTY = ("count", "RND")


def _in_noise(method: str, group: str, operator: str, bound: float, null: str) -> Check:
    arm = arm_name(method, group)
    null_arms = {arm: arm_name(null, group)}
    return seeded(
        method,
        Score(arm, NOISE),
        operator,
        bound,
        estimand="share",
        trials=EPISODES,
        null=null_arms,
        full_only=method == "RND",
    )


def _more(method: str, other: str, group: str, score: str, margin: float) -> Check:
    arm, baseline = arm_name(method, group), arm_name(other, group)
    return seeded(f"against {other}", Difference(arm, baseline, score), ">", margin, null={arm: baseline})


def _goal(group: str, margin: float, sentence: str) -> Check:
    arm, other = arm_name("AS", group), arm_name("random", group)
    return seeded(sentence, Difference(arm, other, GOAL), ">", margin, null={arm: other}, full_only=True)


CHECKS = (
    all_of(
        "Line: share of episodes that end in active noise",
        _in_noise("AS", LINE, "<", 0.05, "count"),
        *(_in_noise(method, LINE, ">", 0.8, "AS") for method in NOVELTY),
        paper_claim="The paper says that novelty is trapped by noise and the contest is not; the bounds are ours.",
        primary=True,
        full_only=True,
    ),
    all_of(
        "Line: AS stops at least one noisy room of six more (difference)",
        *(_more("AS", other, LINE, STOPPED, 1.0) for other in (*NOVELTY, "SMiRL")),
        paper_claim="The paper reports that AS learns to stop noise in its rooms; the number is ours.",
        primary=True,
        full_only=True,
    ),
    all_of(
        "Rooms: AS visits more rooms than SMiRL, and stops a larger share of the noise than RND (difference)",
        seeded(
            "rooms visited, against SMiRL",
            Difference(arm_name("AS", WORLD), arm_name("SMiRL", WORLD), ROOMS),
            ">",
            0.3,
            null={arm_name("AS", WORLD): arm_name("SMiRL", WORLD)},
        ),
        seeded(
            "share stopped, against RND",
            Difference(arm_name("AS", WORLD), arm_name("RND", WORLD), SHARE),
            ">",
            0.02,
            null={arm_name("AS", WORLD): arm_name("RND", WORLD)},
        ),
        paper_claim="The paper's curves after 49 million steps show AS ahead of both; here 10 million each.",
        primary=True,
        full_only=True,
    ),
    seeded(
        "Line: AS visits more than 10 of 12 rooms",
        Score(arm_name("AS", LINE), ROOMS),
        ">",
        10.0,
        null={arm_name("AS", LINE): arm_name("random", LINE)},
    ),
    seeded(
        "Line: SMiRL visits fewer than 1.5 rooms",
        Score(arm_name("SMiRL", LINE), ROOMS),
        "<",
        1.5,
        null={arm_name("SMiRL", LINE): arm_name("random", LINE)},
    ),
    all_of(
        "Television: AS visits more than 8 rooms, and novelty stays in the second",
        seeded(
            "AS",
            Score(arm_name("AS", TELEVISION), ROOMS),
            ">",
            8.0,
            null={arm_name("AS", TELEVISION): arm_name("random", TELEVISION)},
        ),
        *(
            seeded(
                method,
                Score(arm_name(method, TELEVISION), ROOMS),
                "<",
                3.0,
                null={arm_name(method, TELEVISION): arm_name("random", TELEVISION)},
            )
            for method in NOVELTY
        ),
        full_only=True,
    ),
    all_of(
        "Television: share of episodes in which novelty ends in front of it",
        *(_in_noise(method, TELEVISION, ">", 0.95, "AS") for method in NOVELTY),
        full_only=True,
    ),
    seeded(
        "Television: AS stops it in more than 80% of the episodes",
        Score(arm_name("AS", TELEVISION), STOPPED),
        ">",
        0.8,
        null={arm_name("AS", TELEVISION): arm_name("SMiRL", TELEVISION)},
        full_only=True,
    ),
    _goal(LINE, 0.2, "Line with a goal that was absent in training: AS returns 0.2 more than a random walk"),
    _goal(WORLD, 0.05, "Rooms with a goal that was absent in training: AS returns 0.05 more than a random walk"),
)

PLAYERS = (
    "The paper evaluates the agent. Its players alone are described in the table; now AS as a whole, with a margin."
)
SUPERSEDED = (
    Superseded("Line: AS visits more than 10 of 12 rooms", 12.0, "> 10", "The same, with an interval."),
    Superseded("Line: SMiRL visits fewer than 1.5 rooms", 1.0, "< 1.5", "The same, with an interval."),
    Superseded(
        "Line: AS ends in active noise in under 5% of episodes",
        0.0,
        "< 0.05",
        "The same, with an interval, beside RND.",
    ),
    Superseded("Line: counts end in active noise in over 80%", 1.0, "> 0.8", "The same, with an interval."),
    Superseded(
        "Line: AS stops more than 2 noisy rooms",
        2.22,
        "> 2",
        "A random walk stops 2.3. Now the lead over the agents that seek or flee surprise alone.",
    ),
    Superseded(
        "Line: counts stop under 0.5 noisy rooms", 0.0, "< 0.5", "Now the lead of AS over counts, RND and SMiRL."
    ),
    Superseded("Rooms: AS visits more than SMiRL", 0.718, "> 0", "Now with a margin, after 10 million steps."),
    Superseded(
        "Rooms: AS stops more noise than RND",
        0.00509,
        "> 0",
        "Within its noise, after a fortieth of the present steps. Now with a margin, after 10 million steps.",
    ),
    Superseded("Line with a goal: Explore returns more than random", 0.525, "> 0", PLAYERS),
    Superseded("Line with a goal: Control returns more than random", -0.0273, "> 0", PLAYERS),
    Superseded("Rooms with a goal: Explore returns more than random", 0.00361, "> 0", PLAYERS),
    Superseded("Rooms with a goal: Control returns more than random", 0.0, "> 0", PLAYERS),
)
