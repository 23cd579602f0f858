"""Paper 19, Soft Actor-Critic: a learned temperature keeps the policy's entropy, whatever it starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.papers import SAC
from envzoo.scripts.experiments.experiment import Arm, Check, Evaluation, Experiment, Results, Table
from envzoo.scripts.experiments.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    grouped_points,
    learning_curves,
    level,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from envzoo.agents.evaluation import EvaluationResult

GOALS_ENV, PENDULUM = "envzoo/PointMultiGoal-v0", "Pendulum-v1"
DIMENSIONS = 2  # of an action in the goals environment; the target entropy is minus that
STEPS, QUICK_STEPS = 12_000, 8_000
GOAL_RADIUS = 1.0
ENTROPY, TEMPERATURE = "policy/entropy", "policy/temperature"
CURVES = ("rollout/return_mean", ENTROPY, TEMPERATURE)

# Small networks and larger steps than the paper's 3e-4 on its large tasks, the same in every arm.
NETWORK = {"hidden": (64, 64), "learning_rate": 1e-3}
SETTINGS = NETWORK | {"num_envs": 8, "gradient_steps": 4, "temperature_learning_rate": 3e-3}

SCALES = (0.1, 1.0, 10.0)
LEARNED = tuple(f"learned, reward x {scale:g}" for scale in SCALES)
FIXED = tuple(f"fixed 0.5, reward x {scale:g}" for scale in SCALES)
INITIAL = {"learned from 0.01": SKY, LEARNED[1]: BLUE, "learned from 10": PURPLE}
# The temperature of the authors' own multi-goal example (reward scale 3, rewards a tenth of those here).
EXPLORING, COLLAPSED = "fixed 10/3", "fixed 0.0001"


def count_goals(result: EvaluationResult) -> dict[str, float]:
    """Share of the episodes that ended in each goal, the least of them, and how many goals have at least a tenth."""
    reached = result.infos["distance"] < GOAL_RADIUS
    shares = np.bincount(result.infos["goal"].astype(int)[reached], minlength=4) / len(reached)
    each = {f"goal {goal}": float(share) for goal, share in enumerate(shares)}
    return each | {"least goal": float(shares.min()), "goals": float((shares >= 0.1).sum())}


EVALUATIONS = (
    Evaluation(episodes=200),
    Evaluation(episodes=200, deterministic=False, prefix="sampled/", measure=count_goals),
)


def _goals_arm(name: str, group: str, full_only: bool = False, **hyperparameters: Any) -> Arm:
    return Arm(
        name,
        "SAC",
        GOALS_ENV,
        STEPS,
        hyperparameters=SETTINGS | hyperparameters,
        evaluations=EVALUATIONS,
        group=group,
        curves=CURVES,
        quick_timesteps=QUICK_STEPS,
        full_only=full_only,
    )


def _arms() -> tuple[Arm, ...]:
    arms = [
        Arm(
            "Pendulum",
            "SAC",
            PENDULUM,
            20_000,
            hyperparameters=NETWORK,
            evaluations=(Evaluation(episodes=100),),
            group="pendulum",
            curves=CURVES,
            full_only=True,
        )
    ]
    arms += [
        _goals_arm(name, "scale", full_only=scale != 1, reward_scale=scale)
        for name, scale in zip(LEARNED, SCALES, strict=True)
    ]
    arms += [
        _goals_arm(name, "scale", full_only=True, reward_scale=scale, temperature=0.5)
        for name, scale in zip(FIXED, SCALES, strict=True)
    ]
    arms += [
        _goals_arm("learned from 0.01", "initial", initial_temperature=0.01),
        _goals_arm("learned from 10", "initial", initial_temperature=10.0),
        _goals_arm(EXPLORING, "goals", temperature=10 / 3),
        _goals_arm(COLLAPSED, "goals", temperature=1e-4),
    ]
    return tuple(arms)


def _entropy_gap(results: Results) -> float:
    """Distance of the policy's entropy from its target for each action dimension, from the worst initial value."""
    from envzoo.scripts.experiments.statistics import interquartile_mean

    gaps = [interquartile_mean(np.abs(results.scores(arm, ENTROPY) + DIMENSIONS)) for arm in INITIAL]
    return max(gaps) / DIMENSIONS


def _factor_error(results: Results) -> float:
    """By what factor the worse of the two steps in temperature misses the factor of the rewards."""
    values = [results.iqm(arm, TEMPERATURE) for arm in LEARNED]
    ratios = [
        after / before * a / b for before, after, a, b in zip(values, values[1:], SCALES, SCALES[1:], strict=False)
    ]
    return max(max(ratio, 1 / ratio) for ratio in ratios)


def _relative_loss(results: Results, arms: tuple[str, ...]) -> float:
    """Share of the best return (they are costs) by which the worst scale is worse."""
    returns = [results.iqm(arm, "return") for arm in arms]
    return (max(returns) - min(returns)) / abs(max(returns))


def _learned_loss(results: Results) -> float:
    return _relative_loss(results, LEARNED)


def _fixed_loss(results: Results) -> float:
    return _relative_loss(results, FIXED)


def _least_goal(results: Results) -> float:
    return results.iqm(EXPLORING, "sampled/least goal")


def _goals_of_collapsed(results: Results) -> float:
    return results.iqm(COLLAPSED, "sampled/goals")


def _pendulum(results: Results) -> float:
    return results.iqm("Pendulum", "return")


def draw(results: Results, figure: Figure) -> None:
    """Temperature and entropy from three initial values, the effect of reward scale, goals reached, Pendulum."""
    figure.set_size_inches(11.5, 6.6)
    title(figure, results, "A learned temperature keeps the policy's entropy at its target")
    ((temperature, entropy, pendulum), (scale_return, scale_temperature, goals)) = figure.subplots(2, 3)
    labels = {arm: f"from {value}" for arm, value in zip(INITIAL, ("0.01", "1", "10"), strict=True)}

    learning_curves(temperature, results, INITIAL, TEMPERATURE, labels=labels)
    temperature.set(title="Temperature while learning", yscale="log", ylabel="temperature")
    temperature.legend(loc="upper right")
    learning_curves(entropy, results, INITIAL, ENTROPY, labels=labels)
    level(entropy, -DIMENSIONS, "target")
    entropy.set(title="Entropy of the policy", ylabel="nats")

    if "Pendulum" in results.arms:
        learning_curves(pendulum, results, {"Pendulum": BLUE}, "rollout/return_mean")
        level(pendulum, -200, "-200", below=True)
        final = results.iqm("Pendulum", "return")
        pendulum.set(title=f"Pendulum: {final:.0f} at the end", ylabel="return while exploring")
    else:
        pendulum.set_axis_off()
        pendulum.text(0.5, 0.5, "Pendulum is part\nof the full run", ha="center", va="center", color="#6b7480")

    ticks = [f"x {scale:g}" for scale in SCALES]
    series = {"learned": (BLUE, LEARNED), "fixed at 0.5": (ORANGE, FIXED)}
    grouped_points(scale_return, results, series, "return", ticks)
    scale_return.set(title="Rewards rescaled: return", ylabel="return, mode of the policy", xlabel="reward scale")
    scale_return.legend(loc="lower right")
    grouped_points(scale_temperature, results, series, TEMPERATURE, ticks)
    middle = results.iqm(LEARNED[1], TEMPERATURE)
    scale_temperature.plot(
        range(3), [middle * s for s in SCALES], color="#6b7480", linestyle=(0, (4, 3)), linewidth=1.1
    )
    scale_temperature.annotate("proportional", (2, middle * 10), xytext=(-4, 6), textcoords="offset points", ha="right")
    scale_temperature.set(
        title="Rewards rescaled: temperature", yscale="log", ylabel="final temperature", xlabel="reward scale"
    )
    _goal_bars(goals, results)


def _goal_bars(axes: Axes, results: Results) -> None:
    """For each seed of three arms, the shares of the four goals as a stacked bar."""
    arms = {EXPLORING: "fixed\n10/3", LEARNED[1]: "learned\n(entropy -2)", COLLAPSED: "fixed\n0.0001"}
    colours, width = (BLUE, ORANGE, GREEN, PURPLE), 0.8 / len(results.data["seeds"])
    for group, arm in enumerate(arms):
        bottom = np.zeros(len(results.data["seeds"]))
        at = group + (np.arange(len(bottom)) - (len(bottom) - 1) / 2) * width
        axes.bar(at, 1.0, width * 0.86, color=PALE)
        for goal, colour in enumerate(colours):
            shares = results.scores(arm, f"sampled/goal {goal}")
            axes.bar(at, shares, width * 0.86, bottom=bottom, color=colour)
            bottom += shares
    axes.set_xticks(range(len(arms)), list(arms.values()))
    axes.grid(visible=False)
    axes.set(title="Where 200 rollouts end, by seed", ylabel="share of each of four goals", ylim=(0, 1))


EXPERIMENT = Experiment(
    paper=SAC,
    question="Does learning the temperature take over the tuning of entropy against reward?",
    claim="From any initial value the temperature brings the policy to its target entropy, and it follows the scale of "
    "the rewards, to which a fixed temperature is sensitive; entropy keeps several solutions alive.",
    arms=_arms(),
    checks=(
        Check(
            "From initial temperatures 0.01, 1 and 10 the entropy ends at its target (nats per dimension, the worst)",
            _entropy_gap,
            "<",
            0.15,
        ),
        Check(
            "Learned temperatures follow the reward scale (factor off, the worst)",
            _factor_error,
            "<=",
            1.5,
            full_only=True,
        ),
        Check(
            "Learned: the return is lost by at most a tenth over reward scales 0.1 to 10",
            _learned_loss,
            "<=",
            0.1,
            full_only=True,
        ),
        Check(
            "Fixed: the return is lost by at least a quarter over reward scales 0.1 to 10",
            _fixed_loss,
            ">=",
            0.25,
            full_only=True,
        ),
        Check("With a temperature of 10/3 each of four goals gets a share of the rollouts", _least_goal, ">=", 0.1),
        Check("With a temperature of 0.0001 rollouts end in few goals", _goals_of_collapsed, "<=", 2.0),
        Check("Pendulum after 20,000 steps: return", _pendulum, ">=", -200.0, full_only=True),
    ),
    figure=draw,
    tables=(
        Table(
            "scale",
            "Rewards rescaled (PointMultiGoal)",
            {"return": "return", ENTROPY: "entropy", TEMPERATURE: "temperature"},
            {name: scale * 0.5 for name, scale in zip(FIXED, SCALES, strict=True)},
            "temperature set",
        ),
        Table(
            "initial",
            "Other initial temperatures (PointMultiGoal; from 1 in the table above)",
            {"return": "return", ENTROPY: "entropy", TEMPERATURE: "temperature"},
        ),
        Table(
            "goals",
            "Goals reached by the sampled policy (PointMultiGoal)",
            {
                "sampled/least goal": "share of the least goal",
                "sampled/goals": "goals with a tenth",
                ENTROPY: "entropy",
            },
        ),
        Table("pendulum", "Pendulum-v1", {"return": "return", ENTROPY: "entropy", TEMPERATURE: "temperature"}),
    ),
    quick_seeds=1,
    notes=(
        "The target entropy is minus the number of action dimensions: -2 in PointMultiGoal, -1 in Pendulum. Entropies "
        "and temperatures are means over the last tenth of learning.",
        "Networks are 64-64 with a learning rate of 0.001 (0.003 for the temperature in PointMultiGoal), the same in "
        "every arm of an environment.",
        "The fixed temperature of 0.5 suits the rewards as they are, being about what is learned there; 10/3 is the "
        "temperature of the authors' published multi-goal example in units of the rewards here.",
    ),
)
