"""Paper 44: linear worlds, estimators by enumeration, bonuses, resampling, and the agents."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.planners.tabular.evaluation import evaluate_layers, occupancy
from envzoo.agents.planners.tabular.finite_horizon import backward_induction
from envzoo.agents.tabular import linear_kernels as kernels
from envzoo.agents.tabular.covariance import empirical_inverse, exact_inverse, resampled_inverse, resampling_length
from envzoo.agents.tabular.linear_policy import read_layers
from envzoo.errors import EnvzooError
from envzoo.kernel.stream import keys
from envzoo.tabular import FiniteMDP, TabularEnv, random_mdp
from envzoo.tabular.adversarial_linear import AdversarialLinearMDPVectorEnv
from envzoo.tabular.adversarial_worlds import linear_bandit, linear_mdp, rare_combination, schedule_tables
from envzoo.wrappers import LossSchedule, VectorLossSchedule

seeds = st.integers(0, 10**6)


def setting(seed, gamma=0.01, layers=3, states=3, actions=3, size=3):
    """A small world, a random policy, its visits, and the inverse covariances."""
    world, rng = linear_mdp(layers, states, actions, size, world_seed=seed), np.random.default_rng([seed, 1])
    pi = rng.dirichlet(np.ones(actions), (layers, states))
    law, inverses = np.empty((layers, states)), np.empty((layers, size, size))
    kernels.visit_law(world.p, world.initial, pi, law)
    kernels.exact_inverses(world.phi, law, pi, gamma, np.empty((size, size)), inverses)
    return world, pi, law, inverses


@settings(deadline=None, max_examples=10)
@given(seeds)
def test_action_values_of_every_policy_are_linear(seed):
    world, pi, law, inverses = setting(seed)
    model = world.mean_model(np.array([0.3, 0.7]))
    read_layers(model, "test")
    layers, states, actions = pi.shape
    stacked = pi.reshape(-1, actions)
    v = evaluate_layers(model, np.broadcast_to(stacked, (layers, *stacked.shape)))
    for h in range(layers):
        q = model.r + model.p @ v[h + 1]
        rows, phi = q[h * states : (h + 1) * states].ravel(), world.phi[h].reshape(-1, world.phi.shape[3])
        assert np.abs(phi @ np.linalg.lstsq(phi, rows, rcond=None)[0] - rows).max() < 1e-10
    visits = occupancy(model, np.broadcast_to(stacked, (layers, *stacked.shape)))
    for h in range(layers):
        np.testing.assert_allclose(law[h][:, None] * pi[h], visits[h][h * states : (h + 1) * states], atol=1e-12)
        joint = visits[h][h * states : (h + 1) * states]
        covariance = np.einsum("sa,sai,saj->ij", joint, world.phi[h], world.phi[h])
        np.testing.assert_allclose(inverses[h], exact_inverse(covariance, 0.01), rtol=1e-9)
    mean = np.einsum("t,thsa->hsa", [0.3, 0.7], world.loss)
    assert kernels.expected_loss(world.p, world.initial, pi, mean) == pytest.approx(-v[0] @ model.initial)


@settings(deadline=None, max_examples=8)
@given(seeds)
def test_both_estimates_have_one_mean_which_all_trajectories_give(seed):
    """E over all trajectories of phi^T theta is phi^T (gamma I + Sigma)^-1 Sigma theta, for either estimate."""
    world, pi, law, inverses = setting(seed, layers=2, states=2, actions=2, size=2)
    loss, layers = world.loss[0], 2
    mean = {reduced: np.zeros(pi.shape) for reduced in (False, True)}
    least = {False: 0.0, True: 0.0}
    out = np.empty(pi.shape[1:])
    for s0, a0, s1, a1 in itertools.product(range(2), repeat=4):
        chance = world.initial[s0] * pi[0, s0, a0] * world.p[0, s0, a0, s1] * pi[1, s1, a1]
        for seen in itertools.product((0.0, 1.0), repeat=2):
            bits = [loss[0, s0, a0], loss[1, s1, a1]]
            weight = chance * np.prod([b if x else 1 - b for b, x in zip(bits, seen, strict=True)])
            for reduced in (False, True):
                for h, (s, a) in enumerate(((s0, a0), (s1, a1))):
                    kernels.estimate_layer(
                        world.phi[h], inverses[h], law[h], pi[h], s, a, sum(seen[h:]), float(layers - h), reduced, out
                    )
                    mean[reduced][h] += weight * out
                    if weight > 0:
                        least[reduced] = min(least[reduced], out.min() / (layers - h))
    np.testing.assert_allclose(mean[False], mean[True], atol=1e-10)
    following = (pi[1] * loss[1]).sum(axis=1)
    true = [loss[0] + world.p[0] @ following, loss[1]]
    for h in range(2):
        joint = law[h][:, None] * pi[h]
        theta = np.linalg.lstsq(world.phi[h].reshape(4, 2), true[h].ravel(), rcond=None)[0]
        covariance = np.einsum("sa,sai,saj->ij", joint, world.phi[h], world.phi[h])
        expected = world.phi[h] @ inverses[h] @ covariance @ theta
        np.testing.assert_allclose(mean[False][h], expected, atol=1e-10)
    assert least[True] >= -1 / np.sqrt(0.01)


@settings(deadline=None, max_examples=8)
@given(seeds)
def test_the_number_of_layers_left_is_the_tighter_range_of_losses(seed):
    """The reduced estimate has one mean for any range; its least value is the range times a number."""
    world, pi, law, inverses = setting(seed)
    h, loss, out = 1, 0.7, np.empty(pi.shape[1:])
    mean, least = {}, {}
    for left in (2.0, 3.0):  # layers left after the first, and all of them
        mean[left], least[left] = np.zeros(out.shape), 0.0
        for s, a in itertools.product(range(3), repeat=2):
            for to_go, reduced_mean in ((0.0, False), (loss, True)):
                kernels.estimate_layer(world.phi[h], inverses[h], law[h], pi[h], s, a, to_go, left, True, out)
                least[left] = min(least[left], out.min())
                if reduced_mean:
                    mean[left] += law[h, s] * pi[h, s, a] * out
    np.testing.assert_allclose(mean[2.0], mean[3.0], atol=1e-10)
    assert least[2.0] < 0
    assert least[3.0] == pytest.approx(1.5 * least[2.0])


def test_with_one_hot_features_both_estimates_coincide():
    world = rare_combination()
    pi = np.full(world.p.shape[:3], 1 / 3)
    law = np.empty(pi.shape[:2])
    kernels.visit_law(world.p, world.initial, pi, law)
    inverses = np.empty((4, 9, 9))
    kernels.exact_inverses(world.phi, law, pi, 0.1, np.empty((9, 9)), inverses)
    plain, reduced = np.empty((3, 3)), np.empty((3, 3))
    kernels.estimate_layer(world.phi[1], inverses[1], law[1], pi[1], 0, 1, 0.7, 3.0, False, plain)
    kernels.estimate_layer(world.phi[1], inverses[1], law[1], pi[1], 0, 1, 0.7, 3.0, True, reduced)
    np.testing.assert_array_equal(plain, reduced)


@settings(deadline=None, max_examples=10)
@given(seeds)
def test_the_dilated_bonus_is_a_recursion_and_at_most_e_times_the_bonuses(seed):
    world, pi, law, inverses = setting(seed)
    bonus, dilated = np.empty(pi.shape), np.empty(pi.shape)
    kernels.dilated_bonus(world.p, world.phi, inverses, pi, 0.3, bonus, dilated)
    squares = np.einsum("hsai,hij,hsaj->hsa", world.phi, inverses, world.phi)
    np.testing.assert_allclose(bonus, 0.3 * (squares + (pi * squares).sum(axis=-1, keepdims=True)), rtol=1e-9)
    after = np.einsum("sat,t->sa", world.p[1], (pi[2] * dilated[2]).sum(axis=1))
    np.testing.assert_allclose(dilated[1], bonus[1] + 4 / 3 * after)
    assert (dilated >= bonus).all()
    first = (world.initial[:, None] * pi[0] * dilated[0]).sum()
    assert first <= np.e * (law[:, :, None] * pi * bonus).sum()


def test_resampling_has_the_mean_of_a_truncated_series():
    """Averaged over the two features of a law, which makes the expectation of the product exact for N = 3."""
    phi, gamma, step, length = np.array([[0.8, 0.1], [0.2, 0.9]]), 0.05, 0.5, 3
    runs = np.array(list(itertools.product(range(2), repeat=length)))
    found = resampled_inverse(phi[runs], gamma, step)
    covariance = phi.T @ phi / 2
    g = gamma * np.eye(2) + covariance
    truncated = np.eye(2) - np.linalg.matrix_power(np.eye(2) - step * g, length + 1)
    np.testing.assert_allclose(found, truncated @ np.linalg.inv(g), atol=1e-12)
    np.testing.assert_allclose(empirical_inverse(phi, gamma), np.linalg.inv(g))
    assert resampling_length(0.1, 0.1) == int(np.ceil(20 * np.log(100)))
    with pytest.raises(EnvzooError, match="gamma is a positive number"):
        exact_inverse(covariance, 0.0)


@pytest.mark.parametrize("barrier", [True, False])
def test_the_agent_learns_what_the_compiled_run_learns(barrier):
    """One episode of the agent, replayed by the kernels with the same steps."""
    name = "LogBarrierPO" if barrier else "MagnitudeReducedPO"
    agent = agents.make(name, AdversarialLinearMDPVectorEnv(1), seed=3, device="cpu", num_episodes=50).learn(3)
    world = agent.experience.env.unwrapped.definition.world
    t = agent.policy
    total, pi = np.zeros(t.pi[0].shape), np.full(t.pi[0].shape, 0.25)
    law, inverses = np.empty(pi.shape[:2]), np.empty((3, 4, 4))
    kernels.visit_law(world.p, world.initial, pi, law)
    kernels.exact_inverses(world.phi, law, pi, agent.gamma, np.empty((4, 4)), inverses)
    scratch = [np.empty(pi.shape) for _ in range(3)]
    kernels.learn_episode(
        world.p,
        world.phi,
        law,
        pi,
        inverses,
        t.visited[0],
        t.taken[0],
        t.seen[0],
        not barrier,
        agent.beta,
        total,
        *scratch,
    )
    np.testing.assert_allclose(t.total[0], total, rtol=1e-12)
    kernels.make_policy(total, agent.eta, barrier, pi)
    np.testing.assert_allclose(t.pi[0], pi, rtol=1e-12)


@pytest.mark.parametrize("covariance", ["empirical", "resampled"])
def test_sampled_covariances_are_near_the_exact_one(covariance):
    settings_ = {"num_episodes": 50, "regularization": 0.2, "samples": 4_000, "covariance": covariance}
    agent = agents.make("LogBarrierPO", "envzoo/AdversarialLinearMDP-v0", seed=0, device="cpu", **settings_)
    law = np.empty(agent.phi.shape[:2])
    pi = agent.policy.pi[0]
    kernels.visit_law(agent.p, agent.initial, pi, law)
    sampled = np.mean([agent.inverses(law, pi) for _ in range(40 if covariance == "resampled" else 1)], axis=0)
    exact = np.empty(sampled.shape)
    kernels.exact_inverses(agent.phi, law, pi, 0.2, np.empty((4, 4)), exact)
    assert np.abs(sampled - exact).max() < 0.35 * np.abs(exact).max()


def test_the_rare_combination_is_the_only_one_without_loss():
    world = rare_combination()
    model = world.mean_model(np.array([1.0, 0.0]))
    values = {}
    for choice in itertools.product(range(3), repeat=4):
        pi = np.broadcast_to(np.eye(3)[list(choice)][:, None], (4, 3, 3))
        values[choice] = kernels.expected_loss(world.p, world.initial, pi, world.loss[0])
    assert {c for c, v in values.items() if v == 0} == {(0, 1, 2, 0)}
    assert sorted(set(values.values())) == [0.0, 0.4, 0.5]
    assert all(v == 0.4 for c, v in values.items() if c[0] == 1)
    assert backward_induction(model.p, model.r, 4).v[0, 0] == 0


def test_the_bandit_and_the_schedules():
    world = linear_bandit(8)
    assert world.loss[0, 0, 0].argmin() == 5
    np.testing.assert_allclose(np.linalg.norm(world.phi[0, 0], axis=-1), 1)
    assert schedule_tables("switch", 8, 2).tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert schedule_tables("fixed", 3, 2).tolist() == [0, 0, 0]
    assert abs(schedule_tables("iid", 20_000, 2).mean() - 0.35) < 0.02
    assert set(schedule_tables("sinusoid", 100, 3)) == {0, 1, 2}
    with pytest.raises(EnvzooError, match="unknown schedule 'random'"):
        schedule_tables("random", 3, 2)


def test_episodes_are_counted_and_charged_by_the_schedule():
    env = AdversarialLinearMDPVectorEnv(2, schedule="switch", num_episodes=4, autoreset_mode="SameStep")
    _, infos = env.reset(seed=0)
    assert infos["episode"].tolist() == [0, 0]
    for k in range(6):
        for h in range(3):
            _, reward, terminated, _, infos = env.step(np.zeros(2, int))
            losses = infos["final_info"]["losses"] if h == 2 else infos["losses"]
            table = [0, 1, 0, 1][k % 4]
            np.testing.assert_array_equal(reward, -losses[:, table])
        assert terminated.all()
    _, infos = env.reset(seed=5, options={"episode": np.array([3, 7])})
    assert infos["episode"].tolist() == [3, 7]
    _, infos = env.reset(seed=5)
    assert infos["episode"].tolist() == [0, 0]
    with pytest.raises(EnvzooError, match="reset option episode is not usable"):
        env.reset(options={"episode": -1})


def test_the_wrapper_lets_an_adversary_choose():
    weights = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    many = VectorLossSchedule(AdversarialLinearMDPVectorEnv(3, autoreset_mode="SameStep"), weights)
    many.reset(seed=1)
    for k in range(5):
        for h in range(3):
            _, reward, _, _, infos = many.step(np.ones(3, int))
            losses = (infos["final_info"] if h == 2 else infos)["losses"]
            np.testing.assert_allclose(reward, -losses @ weights[k % 3])
    single = LossSchedule(gym.make("envzoo/AdversarialLinearBandit-v0"), weights)
    for k in range(4):
        _, info = single.reset(seed=k)
        assert info["scheduled_episode"] == k
        _, reward, *_, info = single.step(0)
        assert reward == pytest.approx(-float(info["losses"] @ weights[k % 3]))


def test_a_run_is_the_same_alone_and_among_others():
    world, schedule, marks = linear_mdp(), schedule_tables("iid", 40, 2), np.array([20, 40])
    results = []
    for rows in ([7], [3, 7]):
        streams = np.zeros((len(rows), 2), np.uint64)
        streams[:, 0] = keys(np.array(rows, np.uint64))
        spent, least = np.empty((len(rows), 2)), np.empty(len(rows))
        for i in range(len(rows)):
            kernels.play_run(
                *(world.p, world.phi, world.initial, world.loss, schedule, marks, 0.1, 0.1, 0.01, False, True),
                *(streams, i, spent, least),
            )
        results.append(spent[-1])
    np.testing.assert_array_equal(*results)
    assert 0 < results[0][0] < results[0][1] < 120


REFUSED = {
    "model": (lambda: agents.make("LogBarrierPO", "envzoo/RandomMDP-v0"), "needs a layered world with features"),
    "layers": (
        lambda: read_layers(
            FiniteMDP(random_mdp(4, 2).p, np.zeros((4, 2)), horizon=2, features=np.ones((4, 2, 1))), "X"
        ),
        "lead from each layer to the next",
    ),
    "linear": (
        lambda: read_layers(FiniteMDP(np.zeros((2, 2, 2)), np.eye(2), horizon=1, features=np.ones((2, 2, 1))), "X"),
        "the largest residual is 0.5",
    ),
    "loss": (
        lambda: agents.make("Exp3PO", TabularEnv(random_mdp(3, 2, horizon=2)), device="cpu").learn(10),
        "Exp3PO expects losses from 0 to 1, as minus the reward",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()


def test_exp3_in_every_state_finds_the_best_angle():
    agent = agents.make("Exp3PO", "envzoo/AdversarialLinearBandit-v0", seed=0, device="cpu", num_episodes=4_000)
    agent.learn(4_000)
    assert agent.predict(0)[0] in (5, 6)
