"""Paper 05: messages hidden in a policy's actions leave its return unchanged, and good codes convey most of them."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from envzoo.agents.coding_games.coupling_agent import CouplingAgent
from envzoo.agents.evaluation import EVALUATION_SEED, evaluate
from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.p05_mec_bottleneck.checks import CHECKS, SUPERSEDED
from envzoo.scripts.experiments.p05_mec_bottleneck.figure import draw
from envzoo.scripts.experiments.p05_mec_bottleneck.names import (
    ACCURACY,
    BITS,
    CART,
    CART_CODES,
    CODES,
    GAP,
    LEARNED_SMALL,
    LONG,
    MESSAGES,
    RETURN,
    SMALL,
    TEMPERATURES,
    arm_name,
)

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

GRID, SMALL_GRID, POLE = "envzoo/CodingGrid-v0", "envzoo/CodingGridSmall-v0", "envzoo/CodingCart-v0"
EPISODES, SEEDS, QUICK_SEEDS = 200, 5, 3
SMALL_TEMPERATURE = math.exp(-3)  # temperature on the 4x4 grid, which has deterministic moves
LONG_BLOCKS = [1024] * 4  # 2^40 messages
POLE_MESSAGES = 1024
POLE_STEPS = 60_000  # training steps of the PPO carrier
# PPO as speaker and listener: larger rollouts than the defaults, because rewards are sparse, and an entropy bonus.
LEARNING = {"num_envs": 64, "num_steps": 64, "num_epochs": 4, "minibatch_size": 1024, "entropy_coefficient": 0.01}


def play(agent: Agent, bits: float = 0.0) -> dict[str, float]:
    """Play episodes whose messages and noise are those of the agent's seed, and compute the means.

    The evaluation of an arm plays the same episodes for all seeds, hence the same messages; intervals over seeds would
    then be of these messages only.

    Args:
        agent: The trained agent.
        bits: Bits of a message, to compute how many of them the receiver's belief contains; 0 leaves that out.
    """
    result = evaluate(agent, episodes=EPISODES, seed=EVALUATION_SEED + EPISODES * (1 + agent.seed), deterministic=False)
    scores = {key: float(values.mean()) for key, values in result.infos.items()}
    scores |= {"return": float(result.returns.mean()), "length": float(result.lengths.mean())}
    if isinstance(agent, CouplingAgent):
        scores[GAP] = agent.largest_gap
    return scores | ({BITS: bits - scores["belief_entropy"]} if bits else {})


# The single episode of the plan is not used: `play` replaces its scores.
PLAY = EvaluationPlan(episodes=1, deterministic=False, inspect=play)
PLAY_LONG = EvaluationPlan(
    episodes=1, deterministic=False, inspect=partial(play, bits=sum(math.log2(size) for size in LONG_BLOCKS))
)


def _grid_arm(code: str, log_temperature: int) -> Arm:
    """Create an arm on the 8x8 grid, with the sender's code and the receiver of the game."""
    encoder, rate = CODES[code]
    game: dict[str, Any] = {"temperature": math.exp(log_temperature), "encoder": encoder, "rate": rate}
    return Arm(
        arm_name(code, log_temperature),
        "MEME" if rate == 1 else "MECB",
        GRID,
        0,
        env_kwargs={"num_messages": MESSAGES, **game},
        evaluations=(PLAY,),
        group="grid",
        curves=(),
        seeds=40 if encoder == "quantizer" and log_temperature == TEMPERATURES[-1] else 20,
    )


def _cart_arm(code: str) -> Arm:
    """Create an arm in which PPO, trained without messages, is the carrier (the same in all arms of a seed)."""
    agent, settings = CART_CODES[code]
    return Arm(
        f"{CART}{code}",
        agent,
        POLE,
        POLE_STEPS,
        hyperparameters={"carrier": "PPO", **settings},
        env_kwargs={"num_messages": POLE_MESSAGES, "receiver": "player", "convention": "none"},
        evaluations=(PLAY,),
        group="cart",
        full_only=True,
        seeds=6,
    )


def _arms() -> tuple[Arm, ...]:
    both = {"receiver": "player", "convention": "none"}
    learned = {
        "agent": "IndependentPPO",
        "hyperparameters": LEARNING,
        "env_kwargs": both,
        "evaluations": (PLAY,),
        "curves": ("rollout/return_mean",),
        "full_only": True,
        "seeds": 3,
    }
    return (
        *(_grid_arm(code, temperature) for temperature in TEMPERATURES for code in CODES),
        Arm(
            LONG,
            "FIMEC",
            GRID,
            0,
            env_kwargs={"num_messages": LONG_BLOCKS, "temperature": math.exp(-4)},
            evaluations=(PLAY_LONG,),
            group="long",
            curves=(),
            full_only=True,
        ),
        Arm(
            SMALL,
            "MEME",
            SMALL_GRID,
            0,
            env_kwargs={"temperature": SMALL_TEMPERATURE},
            evaluations=(PLAY,),
            group="small",
            curves=(),
            full_only=True,
        ),
        *(_cart_arm(code) for code in CART_CODES),
        Arm(LEARNED_SMALL, env=SMALL_GRID, timesteps=400_000, group="small", **learned),
    )


EXPERIMENT = Experiment(
    paper=find("05-mec-bottleneck"),
    question="How much of a message can be hidden in the actions of a policy that does its job, through a code of "
    "bounded entropy?",
    claim="Whatever the rate, actions and return are those of play without a message, and entropy-bounded codes tell "
    "more than a quantiser.",
    arms=_arms(),
    checks=CHECKS,
    superseded=SUPERSEDED,
    figure=draw,
    reason="A coupling has the policy as its marginal, so the actions of a random message are those of the policy. "
    "EBIM merges as few messages as the rate allows and separates them later, when the receiver's belief is narrower; "
    "the quantiser never separates the messages of a block.",
    tables=(
        Table(
            "grid",
            "The 8x8 grid: 64 messages, an arm for each log temperature and code",
            {RETURN: "return", ACCURACY: "accuracy", "belief_entropy": "bits not told", "length": "moves", GAP: "gap"},
        ),
        Table(
            "long",
            "2^40 messages in four blocks, log temperature -4",
            {RETURN: "return", ACCURACY: "accuracy", BITS: "bits told", "length": "moves", GAP: "gap"},
        ),
        Table(
            "cart",
            "A pole balanced by a PPO agent that knows nothing of messages: 1024 messages, at most 200 pushes",
            {RETURN: "return", ACCURACY: "accuracy", "length": "pushes and guess", GAP: "gap"},
        ),
        Table(
            "small",
            "The 4x4 grid: 16 messages, 8 moves",
            {RETURN: "return", ACCURACY: "accuracy", "length": "moves"},
        ),
    ),
    seeds=SEEDS,
    first_seed=1000,
    quick_seeds=QUICK_SEEDS,
    notes=(
        "Returns are discounted, with a factor of discount^(t + 1) for entering a state, and exclude the reward for a "
        "right guess. Rates are fractions of the prior's 6 bits. The receiver is that of the game, which recomputes "
        "policy, belief and coupling from states and actions.",
        "Every seed plays messages and noise of its own. In the results of the first release all seeds played the same "
        "200 messages, so that their spread was too small.",
        "Blind play is the same agent at rate 0: all messages have the same code, and the policy acts. The exact "
        "expected returns of the four policies (from the transition matrix) are 0.3335, 0.3324, 0.3201 and 0.0819 for "
        "log temperatures -7 to -4.",
        "The learned pair is trained for 400,000 timesteps with larger rollouts than PPO's defaults and an entropy "
        "bonus, chosen for speed and not tuned further. It is trained from scratch, while couplings are given the "
        "policy.",
        "The pole's carrier is a PPO agent with its default settings, trained in each arm on the game without its "
        "message. Its action probabilities are computed in double precision and rounded to multiples of 2^-32.",
        "The second row of the figure is computed when it is drawn: it compares EBIM with all set partitions of small "
        "sources, and with the random codes between deterministic ones (Theorem 3).",
    ),
)
