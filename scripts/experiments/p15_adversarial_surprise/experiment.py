"""Paper 15: two players that share a body explore where maximising or minimising surprise alone fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan
from envzoo.scripts.experiments.core.checks import Check, point
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p15_adversarial_surprise.names import (
    CHAIN_STEPS,
    CHAINS,
    COMPARED,
    COMPARED_STEPS,
    CURVES,
    GOALS,
    IN_ROOMS,
    METHODS,
    NOISE,
    ON_CHAINS,
    OTHER_STEPS,
    PLACES,
    QUICK,
    QUICK_CHAIN,
    QUICK_WORLD,
    ROOMS,
    SHARE,
    STOPPED,
    WORLD,
    arm_name,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def explore(agent: Any) -> Any:
    """Return the player Explore alone."""
    return agent.as_player("explore")


def control(agent: Any) -> Any:
    """Return the player Control alone."""
    return agent.as_player("control")


def _arm(method: str, group: str) -> Arm:
    agent, hyperparameters = METHODS[method]
    learns = agent != "Random"
    evaluations = [EvaluationPlan(episodes=300, deterministic=False)]
    settings = dict(hyperparameters)
    if learns:
        settings["normalize_advantage"] = True
    if learns and group == WORLD:
        settings |= IN_ROOMS
    if group in GOALS and (group != WORLD or method in ("random", *COMPARED)):
        goal = GOALS[group]
        evaluations.append(EvaluationPlan(300, False, goal, prefix="goal/"))
        if method == "AS":
            evaluations.append(EvaluationPlan(300, False, goal, prefix="goal explore/", prepare=explore))
            evaluations.append(EvaluationPlan(300, False, goal, prefix="goal control/", prepare=control))
    steps, quick = CHAIN_STEPS, QUICK_CHAIN
    if group == WORLD:
        steps, quick = COMPARED_STEPS if method in COMPARED else OTHER_STEPS, QUICK_WORLD
    return Arm(
        arm_name(method, group),
        agent,
        CHAINS.get(group, "envzoo/SurpriseRooms-v0"),
        steps if learns else 0,
        settings,
        evaluations=tuple(evaluations),
        group=group,
        curves=CURVES,
        quick_timesteps=quick if learns else 0,
        full_only=method not in QUICK[group],
    )


def _score(method: str, group: str, score: str):
    def compute(results: Results) -> float:
        return results.iqm(arm_name(method, group), score)

    return compute


def _difference(better: str, worse: str, score: str):
    def compute(results: Results) -> float:
        return results.iqm(arm_name(better, WORLD), score) - results.iqm(arm_name(worse, WORLD), score)

    return compute


def _over_random(player: str, group: str):
    def compute(results: Results) -> float:
        mine = results.iqm(arm_name("AS", group), f"goal {player}/return")
        return mine - results.iqm(arm_name("random", group), "goal/return")

    return compute


def _goal_check(group: str, player: str) -> Check:
    claim = f"{PLACES[group]} with a goal: {player.capitalize()} returns more than random"
    return point(claim, _over_random(player, group), ">", 0, full_only=True)


def draw(results: Results, figure: Figure) -> None:
    """Draw training curves of all agents, and an episode."""
    from envzoo.scripts.experiments.p15_adversarial_surprise.figure import draw as draw_all

    draw_all(results, figure)


GOAL_COLUMNS = {
    "goal/return": "return, goal",
    "goal explore/return": "Explore alone",
    "goal control/return": "Control alone",
}
COLUMNS = {ROOMS: "rooms visited", STOPPED: "noisy rooms stopped", SHARE: "share stopped", NOISE: "ends in noise"}
LINE = "alternating"

EXPERIMENT = Experiment(
    paper=find("15-adversarial-surprise"),
    question="Does a contest between seeking and fleeing surprise explore a world that traps either alone?",
    claim="In a line of dark and noisy rooms AS visits nearly all and never stays in noise, SMiRL hides in the first, "
    "and counts end in noise. In rooms of doors and tiles AS visits more rooms than SMiRL and stops more noise than "
    "RND, and its players reach a goal they were never shown more often than chance.",
    arms=(
        *(_arm(method, group) for group in CHAINS for method in ON_CHAINS),
        *(_arm(method, WORLD) for method in METHODS),
    ),
    checks=(
        point("Line: AS visits more than 10 of 12 rooms", _score("AS", LINE, ROOMS), ">", 10),
        point("Line: SMiRL visits fewer than 1.5 rooms", _score("SMiRL", LINE, ROOMS), "<", 1.5),
        point("Line: AS ends in active noise in under 5% of episodes", _score("AS", LINE, NOISE), "<", 0.05),
        point("Line: counts end in active noise in over 80%", _score("count", LINE, NOISE), ">", 0.8),
        point("Line: AS stops more than 2 noisy rooms", _score("AS", LINE, STOPPED), ">", 2, full_only=True),
        point("Line: counts stop under 0.5 noisy rooms", _score("count", LINE, STOPPED), "<", 0.5),
        point("Rooms: AS visits more than SMiRL", _difference("AS", "SMiRL", ROOMS), ">", 0, full_only=True),
        point("Rooms: AS stops more noise than RND", _difference("AS", "RND", SHARE), ">", 0, full_only=True),
        *(_goal_check(group, player) for group in GOALS for player in ("explore", "control")),
    ),
    figure=draw,
    quick_seeds=1,
    tables=(
        Table(
            "alternating",
            "BlockChain, every other of 12 rooms noisy, and a sparse goal without further learning",
            COLUMNS | GOAL_COLUMNS,
        ),
        Table("tv", "BlockChain, one noisy room beside the start", COLUMNS),
        Table(
            WORLD,
            "SurpriseRooms, and the sparse goal without further learning",
            {ROOMS: "rooms visited", SHARE: "share of noise stopped", NOISE: "ends in noise"} | GOAL_COLUMNS,
        ),
    ),
    notes=(
        "BlockChain is a small environment with the logic of the paper's rooms. The policies are small networks, and "
        "all agents use PPO with rollouts of 64 episodes of 64 steps and the paper's learning rate and entropy bonus.",
        "Advantages are normalised for all agents, unlike in the paper's code, and agents are trained on the line of "
        "rooms for 393,216 steps: both were chosen for AS after five pilots with one seed each, outside this "
        "experiment. Two without the normalisation visited 9.2 and 9.4 rooms and stopped 2.4; three with it, or with a "
        "smaller entropy bonus or another lambda, 10.6 to 11.6 rooms and 1.75 to 2.7 stopped. They differed in more "
        "than one setting. The bounds were fixed before.",
        "In SurpriseRooms the agents that a check compares (AS, SMiRL, RND) are trained for 262,144 steps, all others "
        "for 65,536 with the same PPO: their results show an early stage of training and are not a comparison. The "
        "paper uses 49 million steps.",
        "In an earlier form of this experiment all of them had 98,304 steps, in which no agent left the first room "
        "more often than chance. The reason was the budget, not the environment: PPO with a reward for each new room "
        "sees 2.8 rooms after 53,000 steps and 3.9 after 250,000 (one seed), and AS with the old settings, left to "
        "learn on, went from 1.05 rooms after 400,000 to 2.0 after 2 million. At first Explore learns to lead into "
        "noise, so that less of it is stopped than by chance, then Control learns to stop it: 4% of it after 600,000 "
        "steps there, 12% after 2 million. The rate 5e-4, the entropy bonus 0.03 and the minibatch of 256 were chosen "
        "for AS in pilots of 0.5 to 2 million steps on seeds 100 to 102, which no result here uses, and the budget for "
        "time. With these settings AS visited 1.7 rooms and stopped 7% of the noise after 262,144 steps, and 2.1 and "
        "9% after 524,288 (seed 102); the bonus 0.01 gave 2.0 and 6% then, lambda 0.98 1.8 and 7%, and minibatches of "
        "1,024 at a rate of 1e-3 were slower. RND with such minibatches was at 2.3 rooms and 3% (seed 102).",
        "Result: AS and RND learn to pass doors, SMiRL does not. The lead of AS over RND in stopped noise is far "
        "smaller than the intervals, AS visits fewer rooms than RND, and both stop less noise than a random walk: in "
        "the pilots, the later phase in which Control stops the noise came after this budget. The comparison with RND "
        "holds, but is no evidence.",
        "In the tests with a goal, turns and densities continue as in the game, but one player acts all the time. "
        "Control alone never reaches a goal in either environment, because its reward is for keeping still. Explore "
        "alone does on the line; in the rooms it rarely does, with a return below 0.01, like RND.",
    ),
)
