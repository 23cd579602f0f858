"""Planner agents of bandits in the environments: what they earn, that they resume, and what they refuse."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.bandits.lsd import index_policy, lsd_lp, mirrored_rounding
from envzoo.agents.evaluation import evaluate
from envzoo.errors import EnvzooError, UnsupportedSpaceError

BAIT = {"payoffs": [[0.3] * 5, [0.0, 0.0, 0.31, 0.31, 1.0]], "satiation": 2, "max_episode_steps": 400}
ENV = "envzoo/LSDBandit-v0"


def reward(name, env_kwargs=BAIT, episodes=48, env=ENV, **hyperparameters):
    agent = agents.make(name, env, seed=1, env_kwargs=env_kwargs, **hyperparameters)
    result = evaluate(agent, episodes=episodes)
    return (result.infos["expected_return"] / result.lengths).mean()


def test_hand_worked_rewards_in_the_environment():
    assert reward("MirroredLP") == pytest.approx(0.41875, abs=0.006)
    assert reward("MirroredLP", fill="resync") == pytest.approx(0.45, abs=0.006)
    assert reward("OracleGreedy", episodes=2) == pytest.approx(0.305, abs=0.005)
    assert reward("LagrangianIndex", episodes=2) == pytest.approx(0.475, abs=0.005)
    assert reward("MirroredLP", episodes=2, best_of="all") == pytest.approx(0.475, abs=0.005)
    assert reward("MirroredLP", episodes=2, best_of="greedy", draws=16, fill="resync") >= 0.445


@pytest.mark.parametrize("kind", ["purely_periodic", "round_robin", "best_arm"])
def test_periodic_agents_earn_what_they_say(kind):
    kwargs = {"arms": 4, "pulls_per_round": 2, "max_episode_steps": 2000}
    agent = agents.make("PeriodicPlanner", ENV, env_kwargs=kwargs, kind=kind)
    assert reward("PeriodicPlanner", kwargs, 4, kind=kind) == pytest.approx(agent.value, abs=0.02)


def test_agents_agree_with_the_functions():
    kwargs = {"arms": 5, "pulls_per_round": 2, "max_episode_steps": 300}
    model = gym.make(ENV, arms=5, pulls_per_round=2).unwrapped.model
    plan = lsd_lp(model.payoffs, model.satiation, 2)
    run = mirrored_rounding(plan, 300, runs=400)
    assert reward("MirroredLP", kwargs, 256) == pytest.approx(run.rewards.mean(), abs=0.02)
    expected = index_policy(plan, 300, prices=1)[0].rewards[0]
    assert reward("LagrangianIndex", kwargs, 1, prices=1) == pytest.approx(expected, abs=1e-9)


def test_both_recharging_planners_keep_the_guarantee():
    kwargs = {"instance": "concave", "arms": 4, "max_delay": 6, "max_episode_steps": 300}
    agent = agents.make("RechargingLP", "envzoo/RechargingBandit-v0", env_kwargs=kwargs)
    for name in ("RechargingLP", "MirroredLP"):
        share = reward(name, kwargs, 256, "envzoo/RechargingBandit-v0") / agent.recharging_plan.value
        assert share > 1 - np.exp(-1)


def test_the_state_of_predict_carries_everything():
    env = gym.make_vec(ENV, num_envs=3, **BAIT)
    agent = agents.make("MirroredLP", ENV, env_kwargs=BAIT)
    observation, _ = env.reset(seed=0)
    _, state = agent.predict(observation)
    kept = {name: array.copy() for name, array in state.items()}
    first = [agent.predict(observation, state)[0] for _ in range(2)]
    assert np.array_equal(*first)
    assert all(np.array_equal(kept[name], state[name]) for name in kept)


def test_set_env_plans_anew():
    agent = agents.make("MirroredLP", ENV, env_kwargs={"arms": 3, "instance_seed": 0})
    before = agent.lsd_plan.value
    agent.set_env(gym.make(ENV, arms=3, instance_seed=1))
    assert agent.lsd_plan.value != before


def test_refusals():
    with pytest.raises(UnsupportedSpaceError, match="plans with the model of a bandit"):
        agents.make("MirroredLP", "CartPole-v1")
    with pytest.raises(UnsupportedSpaceError, match="depend on the number of pulls in a row"):
        agents.make("RechargingLP", ENV)
    with pytest.raises(EnvzooError, match="fill of MirroredLP expects one of 'none', 'resync', got 'some'"):
        agents.make("MirroredLP", ENV, fill="some")
    agent = agents.make("OracleGreedy", ENV, env_kwargs={"arms": 3})
    with pytest.raises(EnvzooError, match="expected 3 arms"):
        agent.predict(np.zeros((2, 4), int))
