"""Agents of the zoo that are not tabular learn in tabular worlds, where their policies are evaluated exactly."""

import numpy as np

from envzoo import agents
from envzoo.agents.planners.tabular.evaluation import policy_value
from envzoo.agents.planners.tabular.finite_horizon import backward_induction
from envzoo.tabular import FiniteMDP, TabularVectorEnv


def corridor(length=5, horizon=20):
    """Resting pays 0.1; walking pays nothing, until it has led to the last room, where it pays 1."""
    p, r = np.zeros((length, 2, length)), np.zeros((length, 2))
    for s in range(length):
        p[s, 0, s] = 1.0
        p[s, 1, min(s + 1, length - 1)] += 0.9
        p[s, 1, s] += 0.1
    r[:, 0], r[-1, 1] = 0.1, 1.0
    return FiniteMDP.from_tables(p, r, horizon=horizon)


def test_ppo_beats_the_myopic_policy_where_that_is_poor():
    model = corridor()
    best = backward_induction(model.p, model.r, model.horizon).v[0, 0]
    myopic = policy_value(model, model.r.argmax(axis=1))
    assert myopic < 0.8 * best
    env = TabularVectorEnv(model, 16, autoreset_mode="SameStep")
    agent = agents.make("PPO", env, seed=0, device="cpu", num_steps=40, num_epochs=4, hidden=(32,), learning_rate=3e-3)
    agent.learn(24_000)
    learned = policy_value(model, agent.predict(np.arange(5))[0])
    assert (learned - myopic) / (best - myopic) >= 0.9
