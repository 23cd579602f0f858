"""Paper 30, Last Switch Dependent Bandits: the relaxation, its rounding, and when it beats the greedy policy."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p30_lsd_bandits import learning as learning
from envzoo.scripts.experiments.p30_lsd_bandits.checks import CHECKS, SUPERSEDED
from envzoo.scripts.experiments.p30_lsd_bandits.names import (
    EPISODES,
    FAMILIES,
    FULL_ONLY,
    INSTANCES,
    INTERLEAVED,
    METHODS,
    RECHARGE,
    ROUNDS,
    arm_name,
    seeds_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from envzoo.agents.evaluation import EvaluationResult


def relaxation(family: str, instance: int) -> float:
    """Compute the value of the relaxation of an instance, as reward per round."""
    import gymnasium as gym

    from envzoo.agents.bandits.lsd import lsd_lp

    env_id, kwargs = FAMILIES[family]
    env = gym.make(env_id, disable_env_checker=True, instance_seed=instance, **kwargs)
    model = env.unwrapped.model
    env.close()
    return lsd_lp(model.payoffs, model.satiation, model.pulls_per_round).value


def measure(result: EvaluationResult, family: str, instance: int) -> dict[str, float]:
    """Compute the expected reward as a fraction of the relaxation, and its standard error over episodes."""
    shares = result.infos["expected_return"] / (result.lengths * relaxation(family, instance))
    return {"ratio": shares.mean(), "ratio_se": shares.std(ddof=1) / math.sqrt(len(shares))}


def _arms() -> tuple[Arm, ...]:
    arms = []
    for family, (env_id, kwargs) in FAMILIES.items():
        methods = METHODS | ({INTERLEAVED: ("RechargingLP", {})} if family == RECHARGE else {})
        for method, (agent, hyperparameters) in methods.items():
            evaluations = tuple(
                EvaluationPlan(
                    EPISODES,
                    env=env_id,
                    env_kwargs={**kwargs, "instance_seed": instance, "max_episode_steps": ROUNDS},
                    prefix=f"{instance}/",
                    measure=partial(measure, family=family, instance=instance),
                )
                for instance in range(INSTANCES)
            )
            arms.append(
                Arm(
                    arm_name(method, family),
                    agent,
                    env_id,
                    0,
                    hyperparameters,
                    kwargs,
                    evaluations,
                    group=family,
                    full_only=family in FULL_ONLY,
                    seeds=seeds_of(method, family),
                )
            )
    return tuple(arms)


def draw(results: Results, figure: Figure) -> None:
    """Draw the figure; see the module `figure`."""
    from envzoo.scripts.experiments.p30_lsd_bandits.figure import draw as draw_all

    draw_all(results, figure)


EXPERIMENT = Experiment(
    paper=find("30-lsd-bandits"),
    question="How much of the best reward does a plan with a guarantee earn when payoffs depend on the last switch?",
    claim="Mirrored rounding earns at least 1 - 1/e of the relaxation, and where arms lure the greedy into pulling "
    "them too early it is far ahead of greed. With learned payoffs the regret grows slower than the horizon.",
    arms=(*_arms(), *learning.ARMS),
    checks=CHECKS,
    superseded=SUPERSEDED,
    first_seed=1000,
    figure=draw,
    reason="Real states are never below the virtual ones whose frequencies the relaxation sets, so that with monotone "
    "payoffs only collisions cost anything: at most a share 1/e. Greed pulls a bait before it has recovered; where "
    "nothing lures it, collisions cost more than its short sight.",
    tables=(
        *(
            Table(
                family,
                f"{family[0].upper()}{family[1:]}: share of the relaxation, by instance",
                {f"{instance}/ratio": str(instance) for instance in range(INSTANCES)},
            )
            for family in FAMILIES
        ),
        *learning.TABLES,
    ),
    seeds=5,
    quick_seeds=1,
    notes=(
        f"Every cell is the mean of {EPISODES} episodes of {ROUNDS} rounds from rested arms, each with phases of its "
        "own, of the expected reward (without the noise of the payoffs) over the value of the relaxation, which no "
        "policy can exceed in the long run.",
        "The full text of the paper was not available: the relaxation, the rounding and the guarantee are derived from "
        "its abstract, and tested (real states never below virtual ones, exact optima of small instances).",
        "Resync fill gives rounds in which no arm is active to the arm that pays most and moves its virtual state with "
        "it. The Lagrangian index is not from the paper: it pulls the arm worth most at the price of a pull that the "
        "relaxation sets, with the price scaled to the best of 13 values by simulation in the model. Neither has a "
        "proved guarantee; the better of either and mirrored rounding has.",
        "With 4 + 1 arms and more, the mirrored LP alone is below the greedy policy also on bait instances: collisions "
        "leave about a quarter of the rounds unused, and there are more baits from which the greedy policy profits.",
        "Families and sizes were fixed before the runs, after pilots of the planners on the same families.",
        *learning.NOTES,
        "CombUCB1 earns more than the informed planner without fill on this instance (its regret is below 0 and not "
        "drawn): blocks leave no round unused, while collisions do.",
    ),
)
