# %% [markdown]
# # Your environment, batched
#
# An environment of envzoo is written once, as three functions on arrays that Numba compiles. You get a
# `gymnasium.Env` and a vector environment that steps thousands of episodes at once. This tutorial writes one, checks
# it, trains PPO on it, and compares PPO with the best policy, which is computed exactly.
#
# **The task.** A coin shows heads with probability $p$ or $1 - p$, each with probability one half. You may flip it up
# to twelve times, at a cost of 0.02 per flip, and then say which of the two it is: +1 if you are right, -1 if not.
# After $h$ heads and $t$ tails the posterior log-odds of "mostly heads" are
#
# $$\log \frac{P(\text{heads} \mid h, t)}{P(\text{tails} \mid h, t)} = (h - t) \log \frac{p}{1 - p},$$
#
# so only $h - t$ and the number of flips left matter: a sequential test in the sense of Wald (1945).

# %%
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numba import njit

import envzoo.agents
from envzoo import registration
from envzoo.agents.evaluation import evaluate
from envzoo.conformance import check
from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.stream import uniform
from envzoo.specs import EnvironmentSpec

FLIP, SAY_HEADS, SAY_TAILS = 0, 1, 2

# %% [markdown]
# ## Parameters and state
#
# Parameters are shared by all episodes. The state has one array per field, with the episode as the first dimension;
# the layout below gives the types.


# %%
class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    p: float  # probability of the coin's side
    flips: int  # most flips of an episode
    cost: float  # of a flip


class State(NamedTuple):
    """State of one episode."""

    heads_biased: Any  # whether the coin shows heads with probability p
    counts: Any  # int64 (2,): heads and tails seen so far


# %% [markdown]
# ## Three kernels
#
# Each loops over the episodes and changes only those that `where` marks. Random numbers come from the stream of the
# episode, so that an episode does not depend on the others in its batch.


# %%
@njit
def reset(parameters, state, streams, where, options, infos):
    """Choose the coin, and forget the counts."""
    for i in range(where.size):
        if where[i]:
            state.heads_biased[i] = uniform(streams, i) < 0.5
            state.counts[i] = 0


@njit
def step(
    parameters, state, streams, where, actions, rewards, terminated, infos
):
    """Flip the coin, or compare the answer with the truth."""
    for i in range(where.size):
        if where[i]:
            seen = state.counts[i, 0] + state.counts[i, 1]
            if actions[i] == FLIP and seen < parameters.flips:
                p = parameters.p
                if not state.heads_biased[i]:
                    p = 1.0 - p
                side = 0 if uniform(streams, i) < p else 1
                state.counts[i, side] += 1
                rewards[i] = -parameters.cost
            else:  # an answer; a flip too many is a wrong one
                right = (actions[i] == SAY_HEADS) == state.heads_biased[i]
                rewards[i] = 1.0 if right and actions[i] != FLIP else -1.0
                terminated[i] = True


@njit
def observe(parameters, state, observation):
    """Write the counts of all episodes."""
    observation[:] = state.counts


# %% [markdown]
# ## The definition
#
# Its docstring is the manual. It checks the arguments, and `limits` says which states a saved file may hold.


# %%
class CoinTest(Definition):
    """Find out which of two coins is flipped, with few flips."""

    def __init__(
        self, p: float = 0.65, flips: int = 12, cost: float = 0.02
    ) -> None:
        if not 0.5 < p < 1.0 or flips < 1 or cost < 0:
            raise EnvzooError(
                f"p is {p}, flips {flips} and cost {cost}; expected p between"
                " 0.5 and 1, at least one flip, and a cost that is not negative"
            )
        self.parameters = Parameters(float(p), int(flips), float(cost))
        self.state = State(heads_biased=np.bool_, counts=(np.int64, (2,)))
        self.limits = {"counts": (0, flips)}
        self.observation_space = spaces.MultiDiscrete([flips + 1, flips + 1])
        self.action_space = spaces.Discrete(3)
        self.kernels = Kernels(reset, step, observe)


class CoinTestEnv(KernelEnv):
    """Single environment of `CoinTest`."""

    definition_class = CoinTest


class CoinTestVectorEnv(KernelVectorEnv):
    """Vector environment of `CoinTest`."""

    definition_class = CoinTest


registration.register(
    EnvironmentSpec(
        "tutorial/CoinTest-v0",
        f"{__name__}:CoinTestEnv",
        f"{__name__}:CoinTestVectorEnv",
    )
)

# %% [markdown]
# ## Batched, and equal to single episodes
#
# Episode $i$ of a batch seeded with $s$ equals the single environment seeded with $s + i$, bit for bit.

# %%
envs = gym.make_vec("tutorial/CoinTest-v0", num_envs=1000)
envs.reset(seed=5)
batched, rewards, *_ = envs.step(np.zeros(1000, np.int64))

env = gym.make("tutorial/CoinTest-v0")
env.reset(seed=5 + 77)
alone, *_ = env.step(0)
assert np.array_equal(batched[77], alone)
print("counts of the first episodes:", batched[:4].tolist())

# %% [markdown]
# `envzoo check tutorial/CoinTest-v0 --vector` makes this test and many others; from Python:

# %%
report = check("tutorial/CoinTest-v0", vector_form=True)
assert report.passed, report
speed = report.speed["vector of 64"]
passed = len(report.findings)
print(f"{passed} checks passed; {speed:.0f} steps/s of 64 episodes")

# %% [markdown]
# ## The best policy
#
# With $\pi(h, t)$ the posterior probability of a heads coin, dynamic programming from the last flip backwards gives
#
# $$V(h, t) = \max\bigl(2 \max(\pi, 1 - \pi) - 1,\; -c + q\,V(h + 1, t) + (1 - q)\,V(h, t + 1)\bigr)$$
#
# with $q = \pi p + (1 - \pi)(1 - p)$, the probability that the next flip shows heads.


# %%
def best_value(p: float = 0.65, flips: int = 12, cost: float = 0.02) -> float:
    """Compute the largest expected return."""
    value = np.zeros((flips + 2, flips + 2))
    for seen in range(flips, -1, -1):
        for h in range(seen + 1):
            t = seen - h
            heads = 1 / (1 + ((1 - p) / p) ** (h - t))
            value[h, t] = 2 * max(heads, 1 - heads) - 1
            if seen < flips:
                q = heads * p + (1 - heads) * (1 - p)
                flip = q * value[h + 1, t] + (1 - q) * value[h, t + 1] - cost
                value[h, t] = max(value[h, t], flip)
    return float(value[0, 0])


# One free flip: believe it.
assert np.isclose(best_value(flips=1, cost=0.0), 2 * 0.65 - 1)
print(f"best expected return: {best_value():.3f}")

# %% [markdown]
# ## Train PPO
#
# The id is a source like any other. On the command line, `envzoo train PPO tutorial/CoinTest-v0 --import FILE`
# imports the file first.

# %%
agent = envzoo.agents.make(
    "PPO",
    "tutorial/CoinTest-v0",
    seed=0,
    device="cpu",
    num_envs=64,
    num_steps=32,
)
before = evaluate(agent, episodes=2000).metrics("")["return_mean"]
agent.learn(100_000)
after = evaluate(agent, episodes=2000).metrics("")["return_mean"]
print(f"expected return: {before:.3f} before, {after:.3f} after")
print(f"possible: {best_value():.3f}")
