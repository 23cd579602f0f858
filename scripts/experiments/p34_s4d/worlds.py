"""PPO with and without an S4D memory on two worlds in which the present observation is not enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from envzoo.memory.tmaze import RIGHT_ARM, WRONG
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan

if TYPE_CHECKING:
    from envzoo.agents.evaluation import EvaluationResult

CORRIDOR, LAG, DECK = 50, 4, 52
TMAZE_S4D, TMAZE_BLIND = "TMaze: PPO, S4D", "TMaze: PPO, no memory"
SLOW_S4D, SLOW_BLIND = "TMaze, a slower rate: PPO, S4D", "TMaze, a slower rate: PPO, no memory"
REPEAT_S4D, REPEAT_BLIND = "RepeatPrevious: PPO, S4D", "RepeatPrevious: PPO, no memory"
REACHED = "reached"
EPISODES, ENVIRONMENTS = 400, 64
REPEAT_STEPS, TMAZE_STEPS = DECK - 1, CORRIDOR + 2  # of an episode, which is a chunk of training


def tmaze_chance() -> float:
    """Compute the best expected return of a policy in TMaze whose choice does not depend on the cue.

    No reward but that of the arm is positive, only one arm can be chosen, and a choice that is independent of the cue
    is right half of the time, whichever arm it takes.
    """
    return (RIGHT_ARM + WRONG) / 2


def repeat_chance(cards: int = DECK, suits: int = 4) -> float:
    """Compute the best expected return in RepeatPrevious (k > 1) of a policy that sees only the present card.

    Given the present card, any earlier one is of the same suit with probability (m - 1) / (cards - 1), where m is the
    number of cards of a suit, and of each other suit with probability m / (cards - 1). So it is best to name another
    suit than the one in view. A right answer counts as much as a wrong one costs.
    """
    of_suit = cards // suits
    return 2 * max(of_suit, of_suit - 1) / (cards - 1) - 1


def _share(mean: float, chance: float, optimum: float) -> float:
    return (mean - chance) / (optimum - chance)


def reach_in_tmaze(result: EvaluationResult) -> dict[str, float]:
    """Compute how far the mean return lies on the way from chance (0) to the optimum (1)."""
    return {REACHED: _share(float(result.returns.mean()), tmaze_chance(), RIGHT_ARM)}


def reach_in_repeat(result: EvaluationResult) -> dict[str, float]:
    """Compute how far the mean return lies on the way from chance (0) to the optimum (1)."""
    return {REACHED: _share(float(result.returns.mean()), repeat_chance(), 1.0)}


def _arms(
    names: tuple[str, str], group: str, env: str, world: Mapping[str, int], measure: Callable[..., Any], **settings: Any
) -> tuple[Arm, ...]:
    """Define PPO with S4D and with no memory on a world, with the same settings."""
    timesteps, seeds = settings.pop("timesteps"), settings.pop("seeds", 6)
    return tuple(
        Arm(
            name,
            "PPO",
            env,
            timesteps,
            hyperparameters={"encoder": encoder, "num_envs": ENVIRONMENTS, **settings},
            env_kwargs=world,
            evaluations=(EvaluationPlan(EPISODES, measure=measure),),
            group=group,
            points=20,
            quick_timesteps=7_000,
            seeds=seeds,
        )
        for name, encoder in zip(names, ("s4d", "mlp"), strict=True)
    )


def _tmaze_arms(names: tuple[str, str], group: str, updates: int, rate: float, seeds: int) -> tuple[Arm, ...]:
    """Define the arms on TMaze for a learning rate and a number of updates."""
    return _arms(
        names,
        group,
        "envzoo/TMaze-v0",
        {"length": CORRIDOR},
        reach_in_tmaze,
        timesteps=updates * ENVIRONMENTS * TMAZE_STEPS,
        num_steps=TMAZE_STEPS,
        minibatch_size=16 * TMAZE_STEPS,
        num_epochs=6,
        learning_rate=rate,
        gamma=0.99,
        gae_lambda=0.5,
        entropy_coefficient=0.01,
        share_encoder=True,
        hidden=(64,),
        seeds=seeds,
    )


ARMS = (
    *_arms(
        (REPEAT_S4D, REPEAT_BLIND),
        "ppo-repeat",
        "envzoo/RepeatPrevious-v0",
        {"k": LAG},
        reach_in_repeat,
        timesteps=14 * ENVIRONMENTS * REPEAT_STEPS,
        num_steps=REPEAT_STEPS,
        minibatch_size=16 * REPEAT_STEPS,
        num_epochs=4,
        learning_rate=5e-3,
        gamma=0.5,
    ),
    *_tmaze_arms((TMAZE_S4D, TMAZE_BLIND), "ppo-tmaze", updates=24, rate=7e-3, seeds=6),
    *_tmaze_arms((SLOW_S4D, SLOW_BLIND), "ppo-tmaze-slow", updates=40, rate=2e-3, seeds=12),
)
GROUPS = {
    "ppo-repeat": f"PPO on RepeatPrevious, k = {LAG}",
    "ppo-tmaze": f"PPO on TMaze, a corridor of {CORRIDOR} steps",
    "ppo-tmaze-slow": f"PPO on TMaze, a corridor of {CORRIDOR} steps, a rate of .002 and 40 updates",
}
