"""Off-policy evaluation against closed forms, brute force and numbers worked out by hand."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envzoo.agents.offline import ope
from envzoo.agents.offline.ope.finite_class import losses
from envzoo.agents.offline.ope.importance import check_support, doubly_robust, importance_sampling
from envzoo.datasets import TransitionTable
from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError
from envzoo.offline.planning import policy_action_values
from envzoo.tabular import FiniteMDP

GAMMA = 0.9


def random_sample(seed, n=40, d=3, reps=()):
    generator = np.random.default_rng(seed)
    phi, next_phi = generator.normal(size=(2, *reps, n, d))
    return phi, generator.normal(size=(*reps, n)), next_phi


def two_states(k):
    definition = gym.make("envzoo/TwoStateRealizable-v0", k=k).unwrapped.definition
    return definition.model(), definition.features, np.full((2, 1), 0.5), np.ones((2, 1))


def closed_form(k):
    """A, S and M of the two states with gamma 0.9."""
    a = 0.5 * (1 - GAMMA * k) + 0.5 * k**2 * (1 - GAMMA)
    m = 0.5 * (1 - GAMMA * k) ** 2 + 0.5 * k**2 * (1 - GAMMA) ** 2
    return a, 0.5 * (1 + k**2), m


# ---------------------------------------------------------------------------- linear classes


@given(st.integers(0, 10**6))
def test_the_minimax_objective_is_the_projected_bellman_error(seed):
    phi, rewards, next_phi = random_sample(seed)
    theta = np.random.default_rng(seed + 1).normal(size=3)
    target = rewards + GAMMA * next_phi @ theta
    own = ((phi @ theta - target) ** 2).mean()
    best = ((phi @ np.linalg.lstsq(phi, target, rcond=None)[0] - target) ** 2).mean()
    m = ope.moments(phi, rewards, next_phi, GAMMA)
    assert ope.bracket(theta, m) == pytest.approx(own - best, rel=1e-6, abs=1e-10)
    solution = ope.lstd(phi, rewards, next_phi, GAMMA)
    assert ope.bracket(solution, m) <= 1e-12 * (1 + np.abs(solution).max()) ** 2


def test_lstd_by_hand():
    """Two rows, one feature: A = ((1 - .9 * 2) * 1 + (2 - .9 * 2) * 2) / 2 = -.2, b = (1 * 3 + 2 * 5) / 2 = 6.5."""
    theta = ope.lstd([[1.0], [2.0]], [3.0, 5.0], [[2.0], [2.0]], GAMMA)
    assert theta == pytest.approx([6.5 / -0.2])


def test_batches_equal_single_samples():
    phi, rewards, next_phi = random_sample(0, reps=(4,))
    together = ope.lstd(phi, rewards, next_phi, GAMMA)
    for i in range(4):
        assert together[i] == pytest.approx(ope.lstd(phi[i], rewards[i], next_phi[i], GAMMA), rel=1e-10)
    naive = ope.minimise_residual(phi, rewards, next_phi, GAMMA)
    for i in range(4):
        change = phi[i] - GAMMA * next_phi[i]
        assert naive[i] == pytest.approx(np.linalg.lstsq(change, rewards[i], rcond=None)[0], rel=1e-8)


@given(st.integers(0, 10**6))
def test_where_it_converges_fqe_is_lstd(seed):
    phi, rewards, next_phi = random_sample(seed)
    found = ope.fqe(phi, rewards, next_phi, 0.3)
    if found.converged:
        assert found.theta == pytest.approx(ope.lstd(phi, rewards, next_phi, 0.3), rel=1e-6, abs=1e-6)
        m = ope.moments(phi, rewards, next_phi, 0.3)
        assert ope.bracket(found.theta, m) <= 1e-12 * (1 + np.abs(found.theta).max()) ** 2


def expected_sample(k):
    """Both states once, without noise: the population of the two states."""
    model, features, _, _ = two_states(k)
    return features[:, 0], model.r[:, 0], features[[1, 1], 0], GAMMA


@pytest.mark.parametrize(("k", "converges"), [(1.2, True), (1.29, True), (1.31, False), (2.0, False), (7.6, False)])
def test_fqe_diverges_exactly_between_the_roots(k, converges):
    """The multiplier is .9 (k + k^2) / (1 + k^2): above 1 between 1.2984 and 7.7016."""
    found = ope.fqe(*expected_sample(k), iterations=20_000, initial=[2.0])
    assert bool(found.converged) == converges
    if converges:
        assert found.theta == pytest.approx([1.0], abs=1e-6)
    else:
        assert abs(found.theta[0]) > 1e3
    one = ope.fqe(*expected_sample(k), iterations=1, initial=[2.0]).theta[0] - 1
    assert one == pytest.approx(0.9 * (k + k**2) / (1 + k**2), rel=1e-6)  # error after one backup of the error 1


def test_temporal_differences_at_k_1_2_and_2():
    assert ope.td0(*expected_sample(1.2), step_size=0.5, steps=2000) == pytest.approx([1.0], abs=1e-6)
    assert abs(ope.td0(*expected_sample(2.0), step_size=0.5, steps=2000, initial=[1.1])[0]) > 1e3
    assert ope.lstd(*expected_sample(2.0)) == pytest.approx([1.0])


def test_sampled_temporal_differences_follow_their_recursion():
    phi, rewards, next_phi = random_sample(3, n=6, d=2)
    found = ope.td0(phi, rewards, next_phi, GAMMA, step_size=0.1, steps=9, generator=np.random.default_rng(4))
    theta = np.zeros(2)
    for i in np.random.default_rng(4).integers(6, size=9):
        theta = theta + 0.1 * (rewards[i] + GAMMA * next_phi[i] @ theta - phi[i] @ theta) * phi[i]
    assert found == pytest.approx(theta, rel=1e-12)


def test_bairds_star_diverges():
    """The target policy is always solid; all states are equally frequent, and expected updates leave every bound."""
    definition = gym.make("envzoo/BairdStar-v0").unwrapped.definition
    phi = definition.features[:, 1]
    next_phi = np.broadcast_to(phi[6], phi.shape)
    start = [1.0] * 6 + [10.0, 1.0]
    theta = ope.td0(phi, np.zeros(7), next_phi, 0.99, step_size=0.1, steps=5000, initial=start)
    assert np.abs(theta).max() > 1e6
    # On-policy data, which is the centre alone, is stable.
    theta = ope.td0(phi[6:], np.zeros(1), next_phi[6:], 0.99, step_size=0.1, steps=20_000, initial=start)
    assert abs(phi[6] @ theta) < 1e-3


def test_ill_conditioned_and_singular_data():
    with pytest.raises(EnvzooError, match="singular"):
        ope.lstd([[1.0, 1.0], [2.0, 2.0]], [1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]], GAMMA)
    phi = np.array([[1.0, 0.0], [1.0, 1e-5]])
    with pytest.warns(RuntimeWarning, match="nearly singular"):
        ope.lstd(phi, [1.0, 1.0], np.zeros((2, 2)), GAMMA)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rewards": [1.0]}, "expected .*and"),
        ({"rewards": [1.0, np.nan]}, "rewards holds NaN"),
        ({"gamma": 1.5}, "gamma is 1.5"),
    ],
)
def test_linear_functions_refuse(changes, words):
    given = {"phi": [[1.0], [2.0]], "rewards": [1.0, 1.0], "next_phi": [[1.0], [0.0]], "gamma": 0.5} | changes
    with pytest.raises(EnvzooError, match=words):
        ope.moments(**given)


# ---------------------------------------------------------------------------- incompleteness


@pytest.mark.parametrize("k", [0.0, 0.5, 1.0, 1.111, 1.2, 1.25, 2.0, 4.0])
def test_beta_of_the_two_states_is_its_closed_form(k):
    a, s, m = closed_form(k)
    expected = np.sqrt(max(0.0, 1 - a**2 / (s * m)))
    assert ope.bellman_incompleteness(*two_states(k)) == pytest.approx(expected, abs=1e-7)


def test_numbers_of_the_sheet():
    found = [ope.bellman_incompleteness(*two_states(k)) for k in (0.5, 1.111, 1.2, 1.25, 2.0, 4.0)]
    assert found == pytest.approx([0.364, 0.669, 0.959, 0.994, 0.976, 0.996], abs=1e-3)


@given(st.integers(0, 200))
def test_properties_of_beta(seed):
    definition = gym.make("envzoo/RandomFeatureMDP-v0", states=6, dimensions=3, instance_seed=seed).unwrapped.definition
    model, generator = definition.model(), np.random.default_rng(seed)
    mu = generator.dirichlet(np.ones(12)).reshape(6, 2)
    beta = ope.bellman_incompleteness(model, definition.features, mu, definition.policy)
    assert 0 <= beta <= 1
    mixed = definition.features @ generator.normal(size=(3, 3))
    assert ope.bellman_incompleteness(model, mixed, mu, definition.policy) == pytest.approx(beta, abs=1e-4)
    # beta is attained: no function of the class violates it, and none is bounded by much less.
    theta = generator.normal(size=(300, 3))
    ratios = [projection_ratio(model, definition.features, mu, definition.policy, t) for t in theta]
    assert max(ratios) <= beta + 1e-6
    complete = np.eye(12).reshape(6, 2, 12)
    assert ope.bellman_incompleteness(model, complete, mu, definition.policy) <= 1e-6


def projection_ratio(model, phi, mu, policy, theta):
    """min_g ||g - Tf|| / ||f - Tf|| of one function, by least squares."""
    q = (phi @ theta).reshape(model.r.shape)
    backup = (model.r + model.gamma * model.p @ (policy * q).sum(axis=1)).reshape(-1)
    root = np.sqrt(mu.reshape(-1))
    flat = phi.reshape(-1, phi.shape[-1])
    nearest = flat @ np.linalg.lstsq(root[:, None] * flat, root * backup, rcond=None)[0]
    return np.linalg.norm(root * (nearest - backup)) / np.linalg.norm(root * (flat @ theta - backup))


def test_a_class_without_the_values_is_refused():
    model, features, mu, policy = two_states(1.2)
    with pytest.raises(EnvzooError, match="does not contain the action values"):
        ope.bellman_incompleteness(model, features + np.array([0.0, 1.0]).reshape(2, 1, 1), mu, policy)
    with pytest.raises(EnvzooError, match="mu has the shape"):
        ope.bellman_incompleteness(model, features, mu * 2, policy)


def test_bellman_error_by_hand():
    """theta = 2 at k = 1.2: f - Tf = (I - gamma P) phi = (1 - 1.08, 1.2 * .1)."""
    model, features, mu, policy = two_states(1.2)
    expected = np.sqrt((0.08**2 + 0.12**2) / 2)
    assert ope.bellman_error(model, features, mu, policy, [2.0]) == pytest.approx(expected)
    assert ope.bellman_error(model, features, mu, policy, [[1.0], [3.0]]) == pytest.approx([0, 2 * expected], abs=1e-12)


def test_occupancy_and_concentrability():
    """One state that is left with probability 1/2 to an absorbing one; gamma 1/2: occupancies 2/3 and 1/3."""
    p = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
    model = FiniteMDP(p, np.zeros((2, 1)), 0.5, 0)
    occupancy = ope.discounted_occupancy(model, np.ones((2, 1)))
    assert occupancy[:, 0] == pytest.approx([2 / 3, 1 / 3])
    assert ope.concentrability(model, np.ones((2, 1)), np.array([[0.5], [0.5]])) == pytest.approx(4 / 3)
    assert ope.concentrability(model, np.ones((2, 1)), np.array([[1.0], [0.0]])) == np.inf


# ---------------------------------------------------------------------------- finite classes


def test_finite_class_by_hand():
    values = np.array([[1.0, 2.0], [0.0, 0.0]])
    table = losses(values, values[:, ::-1], [1.0, 0.0], 0.5)
    # f = first: targets 1 + .5 * 2 = 2 and .5; g = first: (1 + 2.25) / 2, g = second: (4 + .25) / 2.
    assert table[:, 0] == pytest.approx([1.625, 2.125])
    assert table[:, 1] == pytest.approx([(0 + 4) / 2, (1 + 0) / 2])
    chosen = ope.minimax_ope(values, values[:, ::-1], [1.0, 0.0], 0.5)
    assert chosen.index == 0
    assert chosen.objective == pytest.approx([0.0, 0.0])
    assert ope.naive_ope(values, values[:, ::-1], [1.0, 0.0], 0.5).index == 1


def test_the_minimax_estimator_finds_the_values_where_the_naive_one_does_not():
    """State 1 goes to 2 or stays, at random; candidates are multiples of the true values, and many rows of data."""
    definition = gym.make("envzoo/TwoStateRealizable-v0", k=3.0, stay=0.5).unwrapped.definition
    values = definition.values
    generator = np.random.default_rng(0)
    n = 40_000
    state = generator.integers(2, size=n)
    following = np.where((state == 0) & (generator.random(n) < 0.5), 0, 1)
    rewards = definition.model().r[state, 0]
    scales = np.array([1.0, 0.6, 0.8, 1.2])
    functions = scales[:, None] * values
    arguments = (functions[:, state], functions[:, following], rewards, GAMMA)
    assert ope.minimax_ope(*arguments).index == 0
    assert ope.naive_ope(*arguments).index != 0


# ---------------------------------------------------------------------------- importance sampling


def every_episode(target, behaviour, reward):
    """All episodes of two steps with two actions, with their probabilities under the behaviour policy."""
    for actions in itertools.product(range(2), repeat=2):
        yield actions, np.prod(behaviour[list(actions)]), reward[list(actions)]


@pytest.mark.parametrize("how", [{}, {"per_decision": True}])
def test_importance_sampling_is_unbiased(how):
    target, behaviour, reward = np.array([0.9, 0.1]), np.array([0.3, 0.7]), np.array([1.0, 5.0])
    expected = (1 + 0.5) * (target @ reward)
    mean = sum(
        p * importance_sampling([0], r, target[list(a)], behaviour[list(a)], 0.5, **how)
        for a, p, r in every_episode(target, behaviour, reward)
    )
    assert mean == pytest.approx(expected)


def test_doubly_robust_is_unbiased_for_any_q_and_exact_for_the_true_one():
    target, behaviour, reward = np.array([0.9, 0.1]), np.array([0.3, 0.7]), np.array([1.0, 5.0])
    expected = (1 + 0.5) * (target @ reward)
    wrong = np.array([[2.0, -1.0], [0.5, 3.0]])  # by step and action
    true = np.stack([reward + 0.5 * target @ reward, reward])
    for q, tolerance in ((wrong, None), (true, 1e-12)):
        v = q @ target
        found = []
        for a, p, r in every_episode(target, behaviour, reward):
            logged = q[[0, 1], list(a)]
            estimate = doubly_robust([0], r, target[list(a)], behaviour[list(a)], 0.5, q=logged, v=v)
            found.append((p, estimate))
        assert sum(p * x for p, x in found) == pytest.approx(expected)
        if tolerance:
            assert [x for _, x in found] == pytest.approx([expected] * 4)


def test_weighted_estimates_by_hand():
    """Two episodes of two and one steps with ratios (2, 1/2) and 1/2, rewards (1, 3) and 4, gamma 1."""
    arguments = ([0, 2], [1.0, 3.0, 4.0], [0.8, 0.2, 0.2], [0.4, 0.4, 0.4], 1.0)
    assert importance_sampling(*arguments) == pytest.approx((1 * 4 + 0.5 * 4) / 2)
    assert importance_sampling(*arguments, weighted=True) == pytest.approx((1 * 4 + 0.5 * 4) / 1.5)
    assert importance_sampling(*arguments, per_decision=True) == pytest.approx((2 * 1 + 1 * 3 + 0.5 * 4) / 2)
    expected = (2 * 1 + 0.5 * 4) / 2.5 + 1 * 3 / (1 + 0.5)
    assert importance_sampling(*arguments, per_decision=True, weighted=True) == pytest.approx(expected)
    same = ([0, 2], [1.0, 3.0, 4.0], [0.4] * 3, [0.4] * 3, 1.0)
    for how in itertools.product([False, True], repeat=2):
        found = importance_sampling(*same, per_decision=how[0], weighted=how[1])
        assert found == pytest.approx(4.0)  # on-policy: the mean return


def test_importance_sampling_refuses():
    with pytest.raises(EnvzooError, match="row 1 is 0; expected a positive"):
        importance_sampling([0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0], 1.0)
    with pytest.raises(EnvzooError, match="increasing from 0"):
        importance_sampling([1], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], 1.0)
    with pytest.raises(EnvzooError, match="all importance weights are 0"):
        importance_sampling([0], [1.0], [0.0], [1.0], 1.0, weighted=True)
    with pytest.raises(EnvzooError, match="action 1 in state 0, which the behaviour policy never takes"):
        check_support(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))


# ---------------------------------------------------------------------------- the class


def chain_data(episodes, behaviour, seed=0):
    """Episodes of a world with three states, two actions and an end."""
    p = np.zeros((3, 2, 3))
    p[0, 0, 1] = p[1, 0, 2] = 0.9
    p[0, 1, 0], p[1, 1, 0] = 0.8, 0.8
    p[2, 1, 1] = 0.5
    model = FiniteMDP(p, np.array([[0.0, 0.2], [0.5, 0.1], [1.0, 0.0]]), GAMMA, 0)
    generator, rows = np.random.default_rng(seed), []
    for _ in range(episodes):
        s, observations, actions, rewards = 0, [0], [], []
        while len(actions) < 30:
            a = int(generator.random() < behaviour[s, 1])
            u, cumulative = generator.random(), np.cumsum(p[s, a])
            actions.append(a)
            rewards.append(model.r[s, a])
            end = u >= cumulative[-1]
            s = s if end else int(np.searchsorted(cumulative, u, side="right"))
            observations.append(s)
            if end:
                break
        flags = np.zeros(len(actions), bool)
        flags[-1] = end
        rows.append((np.array(observations), np.array(actions), np.array(rewards), flags, np.zeros(len(flags), bool)))
    return model, TransitionTable.from_episodes(rows, GAMMA)


def test_every_estimator_finds_the_value():
    behaviour = np.array([[0.6, 0.4], [0.6, 0.4], [0.5, 0.5]])
    target = np.array([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    model, table = chain_data(3000, behaviour)
    q = policy_action_values(model, target)
    truth = float(model.initial @ (q * target).sum(axis=1))
    evaluator = ope.OffPolicyEvaluator(table, target, behaviour)
    for method in ope.ESTIMATORS:
        assert evaluator.estimate(method) == pytest.approx(truth, rel=0.1), method
    estimated = ope.OffPolicyEvaluator(table, target)
    assert estimated.behaviour == pytest.approx(behaviour, abs=0.05)
    assert evaluator.action_values("fqe") == pytest.approx(evaluator.action_values("lstd"), rel=1e-6)
    assert evaluator.action_values() == pytest.approx(q, abs=0.1)


def test_the_class_refuses():
    _, table = chain_data(5, np.full((3, 2), 0.5))
    target = np.full((3, 2), 0.5)
    with pytest.raises(UnknownNameError, match="did you mean 'lstd'"):
        ope.OffPolicyEvaluator(table, target).estimate("lsdt")
    with pytest.raises(EnvzooError, match="which the behaviour policy never takes"):
        ope.OffPolicyEvaluator(table, target, np.array([[1.0, 0.0]] * 3)).estimate("is")
    with pytest.raises(EnvzooError, match="beyond the"):
        ope.OffPolicyEvaluator(table, np.ones((3, 1)))
    with pytest.raises(EnvzooError, match="features have the shape"):
        ope.OffPolicyEvaluator(table, target, features=np.ones((3, 2)))
    images = TransitionTable.from_episodes([(np.zeros((2, 3)), np.zeros((1, 1)), np.ones(1), [True], [False])])
    with pytest.raises(UnsupportedSpaceError, match="Discrete"):
        ope.OffPolicyEvaluator(images, target)
