# %% [markdown]
# # Your algorithm as an agent with a claim
#
# A paper is an agent and a program that tests what the paper says about it. This tutorial adds Double Q-learning (van
# Hasselt, 2010) in thirty lines and tests its claim with intervals over seeds.
#
# **The claim.** Q-learning's target uses a maximum over noisy estimates, and a maximum over noise is too large:
#
# $$E\bigl[\max_a \hat Q(s, a)\bigr] \ge \max_a E\bigl[\hat Q(s, a)\bigr].$$
#
# Two tables remove this bias: one chooses the action, and the other, which has seen different samples, says what it
# is worth.

# %%
from typing import Any

import numpy as np

import envzoo.agents
from envzoo.agents.loops.experience import Step
from envzoo.agents.tabular.q_learning import QLearning, QLearningConfig
from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, seeded
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.experiments.core.experiment import Experiment, Table

# %% [markdown]
# ## The agent
#
# `TabularAgent` collects experience, keeps tables for many runs side by side, and saves and resumes. `tables` says
# what is learned, and `learn_step` is the algorithm. Random numbers come from a named stream of the agent, so that a
# resumed run continues with the same ones.


# %%
class DoubleQLearning(QLearning):
    """Q-learning with two tables, of which one chooses and the other evaluates.

    A fair coin decides for each step which table learns:

        best = argmax_b A(s', b)
        A(s, a) <- A(s, a) + rate * (r + gamma B(s', best) - A(s, a))       (1)

    The agent acts on the mean of both. Source: van Hasselt, "Double
    Q-learning", NeurIPS 2010, algorithm 1.
    """

    Config = QLearningConfig

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the two tables (R, 2, S, A), and their mean as `q` (R, S, A)."""
        shape = (runs, self.states, self.actions)
        value = self.config.initial_value
        return {
            "q": np.full(shape, value),
            "pair": np.full((runs, 2, *shape[1:]), value),
        }

    def learn_step(
        self,
        states: np.ndarray,
        chosen: np.ndarray,
        step: Step,
        following: np.ndarray,
    ) -> None:
        """Apply equation (1)."""
        runs, c = np.arange(self.num_runs), self.config
        learns = self.streams.numpy("tables").integers(2, size=self.num_runs)
        pair = self.policy.pair
        best = pair[runs, learns, following].argmax(axis=1)
        after = np.where(
            step.terminated, 0.0, pair[runs, 1 - learns, following, best]
        )
        at = runs, learns, states, chosen
        error = np.where(
            step.valid, step.reward + c.gamma * after - pair[at], 0.0
        )
        pair[at] += c.learning_rate * error
        mean = pair[runs, :, states, chosen].mean(axis=1)
        self.policy.q[runs, states, chosen] = mean
        self.td_error = float(np.abs(error).mean())


envzoo.agents.register(
    "DoubleQLearning", DoubleQLearning, summary="Q-learning with two tables."
)

# %% [markdown]
# From now on it is an agent like all others: `make`, `learn`, `predict`, `save`, `load`, the command line (with
# `--import`), evaluation, checkpoints.
#
# ## The experiment
#
# The world is a bandit with ten equal arms that pay 1 with probability one half, so every action is worth the same and
# all that Q-learning sees between them is noise. With a constant rate the noise never vanishes. An arm of an experiment
# is a function of a seed that returns scores.

# %%
GAMMA, HORIZON = 0.9, 100
WORLD = {"means": (0.5,) * 10, "horizon": HORIZON}
# An average step is the last one of its episode with probability 1 / HORIZON.
TRUE_VALUE = 0.5 / (1 - GAMMA * (1 - 1 / HORIZON))


def learn(seed: int, budget: int, quick: bool, agent: str) -> dict[str, Any]:
    """Learn, and return how much too high the value of the best arm is."""
    learner = envzoo.agents.make(
        agent,
        "envzoo/BernoulliBandit-v0",
        seed=seed,
        env_kwargs=WORLD,
        gamma=GAMMA,
        learning_rate=0.2,
        epsilon=1.0,
    )
    learner.learn(budget)
    return {"scores": {"excess": float(learner.policy.q.max() - TRUE_VALUE)}}


# %% [markdown]
# A check has a bound that is fixed before anything runs, and a null: what it would be computed from if the claim were
# false. Here the null compares Q-learning with itself.

# %%
EXPERIMENT = Experiment(
    paper=Paper("Double Q-learning", "van Hasselt", 2010, slug="double-q"),
    question="Does Double Q-learning overestimate less than Q-learning?",
    claim="On equal noisy arms, Q-learning's estimate is at least 0.5 higher.",
    arms=(
        FunctionArm(
            "Q-learning",
            learn,
            budget=3000,
            settings={"agent": "QLearning"},
            group="bandit",
        ),
        FunctionArm(
            "double",
            learn,
            budget=3000,
            settings={"agent": "DoubleQLearning"},
            group="bandit",
        ),
    ),
    checks=(
        seeded(
            "Q-learning's estimate is at least 0.5 higher",
            Difference("Q-learning", "double", "excess"),
            ">=",
            0.5,
            null={"Q-learning": "double"},
            primary=True,
        ),
    ),
    figure=lambda results, figure: None,
    tables=(Table("bandit", "Best value, excess", {"excess": "excess"}),),
    seeds=10,
)

# Inline: without further processes.
results = run_experiment(EXPERIMENT, launcher="inline")
[check] = results.data["checks"]
low, high = check["interval"]
print(f"{check['sentence']}: {check['value']:.2f} [{low:.2f}, {high:.2f}]")
print(f"verdict: {check['verdict']}")
assert check["verdict"] == "holds"

# %% [markdown]
# In this repository the experiment is a folder under `scripts/experiments/`, and `envzoo reproduce NUMBER` writes its
# results, tables, figure and verdict. In your own package, an entry point names it. `CONTRIBUTING.md` shows both.
