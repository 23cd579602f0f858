"""The classics on worlds where their results are known exactly."""

from itertools import pairwise

import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.planners.tabular.evaluation import evaluate_policy
from envzoo.agents.planners.tabular.finite_horizon import backward_induction
from envzoo.agents.planners.tabular.optimum import value_iteration
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.tabular import FiniteMDP, TabularEnv, TabularVectorEnv, random_mdp


def deterministic_world(seed=0, states=5, actions=3, gamma=0.5):
    rng = np.random.default_rng(seed)
    p = np.eye(states)[rng.integers(states, size=(states, actions))]
    r = rng.integers(0, 8, (states, actions)) / 8.0
    ends = np.zeros((states, actions, states), bool)
    ends[0, 0] = True
    return FiniteMDP.from_tables(p, r, ends, gamma=gamma, initial=np.full(states, 1 / states))


def test_q_learning_finds_the_exact_optimum_of_a_deterministic_world():
    model = deterministic_world()
    agent = agents.make(
        "QLearning", TabularVectorEnv(model, 3), gamma=0.5, learning_rate=1.0, epsilon=1.0, seed=1, device="cpu"
    )
    agent.learn(12_000)
    truth = value_iteration(model)
    for run in range(3):
        np.testing.assert_allclose(agent.policy.q[run], truth.q, atol=1e-12)
    action, _ = agent.predict(np.arange(5))
    assert truth.ties[np.arange(5), action].all()


def test_expected_sarsa_evaluates_the_uniform_policy_exactly():
    model = deterministic_world(3)
    settings = {"gamma": 0.5, "learning_rate": 1.0, "epsilon": 1.0, "expected": True}
    agent = agents.make("SARSA", TabularVectorEnv(model, 2), seed=2, device="cpu", **settings).learn(12_000)
    _, q = evaluate_policy(model, np.full((5, 3), 1 / 3))
    np.testing.assert_allclose(agent.policy.q[0], q, atol=1e-12)


def test_sarsa_backs_up_the_action_that_it_takes_next():
    """One state, two actions that pay 1 and 0: with epsilon 0 both estimates follow from the taken actions alone."""
    model = FiniteMDP.from_tables(np.ones((1, 2, 1)), [[1.0, 0.0]], gamma=0.5)
    agent = agents.make(
        "SARSA", TabularEnv(model), gamma=0.5, learning_rate=0.5, epsilon=0.0, initial_value=4.0, device="cpu"
    )
    q, taken = [4.0, 4.0], []
    agent.learn(1)
    for _ in range(6):
        taken.append(int(agent.policy.following[0]))
        agent.learn(1)
    # Replay by hand: the first action was not planned before; the visits tell which it was.
    visits = np.bincount(taken, minlength=2)
    opening = int(np.argmax(agent.policy.visits[0, 0] - visits))
    order = [opening, *taken, int(agent.policy.following[0])]
    for now, after in pairwise(order):
        q[now] += 0.5 * ([1.0, 0.0][now] + 0.5 * q[after] - q[now])
    np.testing.assert_allclose(agent.policy.q[0, 0], q, atol=1e-12)


def filled(name, model, visits, **settings):
    """An episodic planner that has seen every row of a world in the exact proportions of its law."""
    agent = agents.make(name, TabularVectorEnv(model, 1), seed=0, device="cpu", **settings)
    agent.policy.counts[0] = np.rint(visits * model.p)
    agent.policy.ended[0] = np.rint(visits * (1 - model.p.sum(axis=-1)))
    agent.policy.rewards[0] = visits * model.r
    return agent


@pytest.mark.parametrize("bonus", ["hoeffding", "bernstein"])
def test_ucbvi_plans_the_empirical_world_without_bonus_and_is_optimistic_with_it(bonus):
    p = np.random.default_rng(0).multinomial(64, np.ones(4) / 4, (4, 3)) / 64
    r = np.random.default_rng(1).integers(0, 9, (4, 3)) / 8
    model = FiniteMDP.from_tables(p, r, horizon=6)
    layers = backward_induction(model.p, model.r, 6)
    plain = filled("UCBVI", model, 640, scale=0.0, bonus=bonus)
    plain.plan(np.array([0]))
    np.testing.assert_array_equal(plain.policy.actions[0], layers.first)
    assert plain.policy.value[0] == pytest.approx(layers.v[0].mean())
    bold = filled("UCBVI", model, 64_000, bonus=bonus)
    bold.plan(np.array([0]))
    assert layers.v[0].mean() < bold.policy.value[0] < 6
    fresh = agents.make("UCBVI", TabularVectorEnv(model, 1), seed=0, device="cpu", bonus=bonus)
    fresh.plan(np.array([0]))
    assert fresh.policy.value[0] == 6


def test_posterior_samples_concentrate_on_the_world():
    model = random_mdp(4, 3, seed=5, gamma=1.0, horizon=5)
    gap = np.sort(backward_induction(model.p, model.r, 5).q, axis=-1)
    assert (gap[..., -1] - gap[..., -2]).min() > 1e-3
    agent = filled("PSRL", model, 10**12)
    agent.plan(np.array([0]))
    np.testing.assert_array_equal(agent.policy.actions[0], backward_induction(model.p, model.r, 5).first)


def test_planners_learn_from_what_they_see():
    model = deterministic_world(2).p
    world = FiniteMDP.from_tables(np.eye(5)[model.argmax(axis=-1)], np.random.default_rng(0).random((5, 3)), horizon=4)
    agent = agents.make("PSRL", TabularVectorEnv(world, 4), seed=0, device="cpu").learn(4_000)
    counts = agent.policy.counts.sum(axis=-1) + agent.policy.ended
    # Steps that only reset an environment are no experience.
    assert 3_000 <= counts.sum() <= 4_000
    seen = agent.policy.counts > 0
    assert (seen <= (world.p[None] > 0)).all()
    paid = agent.policy.rewards / np.maximum(counts, 1)
    np.testing.assert_allclose(paid[counts > 0], np.broadcast_to(world.r, counts.shape)[counts > 0], rtol=1e-6)


def test_ucb1_takes_every_arm_once_and_then_the_largest_index():
    agent = agents.make("UCB1", "envzoo/BernoulliBandit-v0", seed=0, device="cpu", num_envs=1)
    agent.policy.counts[0] = [10, 10, 0, 5]
    assert agent.act(np.zeros(1, int)).tolist() == [2]
    agent.policy.counts[0], agent.policy.sums[0] = [100, 100, 4, 100], [60, 50, 1, 50]
    bonus = np.sqrt(2 * np.log(304) / np.array([100, 100, 4, 100]))
    np.testing.assert_allclose(agent.index(None)[0], np.array([0.6, 0.5, 0.25, 0.5]) + bonus)
    assert agent.act(np.zeros(1, int)).tolist() == [2]
    assert agent.predict(0)[0] == 0


@pytest.mark.parametrize("name", ["UCB1", "ThompsonSampling"])
def test_bandits_find_the_best_arm(name):
    agent = agents.make(
        name, "envzoo/BernoulliBandit-v0", seed=0, device="cpu", num_envs=8, env_kwargs={"means": (0.1, 0.9, 0.2)}
    )
    agent.learn(8 * 1_000)
    assert (agent.policy.counts.argmax(axis=1) == 1).all()
    assert agent.predict(np.zeros(8, int))[0].tolist() == [1] * 8


def test_thompson_sampling_counts_coins():
    model = FiniteMDP.from_tables(np.ones((1, 1, 1)), [[0.25]])
    agent = agents.make("ThompsonSampling", TabularVectorEnv(model, 50), seed=0, device="cpu").learn(50 * 100)
    assert set(np.unique(agent.policy.sums % 1)) == {0.0}
    assert abs(agent.policy.sums.sum() / 5_000 - 0.25) < 0.05


REFUSED = {
    "observations": (lambda: agents.make("QLearning", "CartPole-v1"), "takes Discrete observations, but"),
    "actions": (lambda: agents.make("QLearning", "Pendulum-v1"), "takes Discrete observations, but"),
    "masks": (
        lambda: agents.make("QLearning", TabularEnv(FiniteMDP([[[1.0], [1.0]]], [[1.0, -np.inf]]))),
        "takes worlds in which every action is always available",
    ),
    "horizon": (lambda: agents.make("UCBVI", TabularEnv(random_mdp(3, 2))), "give the hyperparameter horizon"),
    "rewards": (
        lambda: agents.make("UCB1", TabularEnv(FiniteMDP([[[1.0]]], [[2.0]])), device="cpu").learn(3),
        "an action paid 2; UCB1 expects rewards from 0 to 1",
    ),
    "rate": (lambda: agents.make("SARSA", "FrozenLake-v1", learning_rate=0.0), r"learning_rate lies in \(0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, sentence = REFUSED[case]
    with pytest.raises((EnvzooError, UnsupportedSpaceError), match=sentence):
        make()
