"""Finite decision processes, their soft backups, and the models that environments give."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.soft_value_iteration import solve
from envzoo.bandits.model import BanditModel
from envzoo.coding_games.carrier import carrier_policy
from envzoo.coding_games.mdp import from_gymnasium
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.tabular import FiniteMDP, HasModel, find_model, soft_backup, soft_iteration, soft_maximum, soft_policy


def random_process(seed, states=4, actions=3, missing=0.2):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(states), (states, actions)) * (1 - missing * rng.random((states, actions, 1)))
    return p, rng.normal(size=(states, actions))


def test_arrays_are_private_and_cannot_be_written():
    p, r = random_process(0)
    model = FiniteMDP(p, r, 0.9, 2)
    p[:] = 0
    assert model.p.sum() > 1
    assert model.initial.tolist() == [0, 0, 1, 0]
    assert (model.num_states, model.num_actions) == (4, 3)
    for array in (model.p, model.r, model.initial):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        model.gamma = 1.0


P, R = random_process(1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((P[:, :, :3], R), r"p and r have the shapes \(4, 3, 3\) and \(4, 3\)"),
        ((P[0], R), "p and r have the shapes"),
        ((np.zeros((0, 2, 0)), np.zeros((0, 2))), "p and r have the shapes"),
        (("abc", R), "p is not usable; expected an array of numbers"),
        ((P * 2, R), "sum over next states is at most 1"),
        ((P - 1, R), "expected probabilities"),
        ((P * np.nan, R), "expected probabilities"),
        ((P, R * np.nan), "r holds NaN"),
        ((P, R + np.inf), "r holds NaN or infinite"),
        ((P, np.where(np.arange(4)[:, None] == 2, -np.inf, R)), "state 2 has no available action"),
        ((P, R, 1.1), r"gamma lies in \[0, 1\], got 1.1"),
        ((P, R, True), r"gamma lies in \[0, 1\], got True"),
        ((P, R, 0.9, 4), "initial is state 4; expected 0 to 3"),
        ((P, R, 0.9, -1), "initial is state -1"),
        ((P, R, 0.9, [0.5, 0.5]), "expected a state or 4 probabilities"),
        (
            (P, R, 0.9, [0.5, 0.5, 0.5, -0.5]),
            "initial has negative or NaN entries; expected a state or 4 probabilities",
        ),
        ((P, R, 0.9, [np.nan, 0, 0, 1]), "initial has negative or NaN entries; expected a state or 4 probabilities"),
    ],
)
def test_bad_processes_are_one_sentence(arguments, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        FiniteMDP(*arguments)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01, 1.0]), st.floats(0, 0.99))
def test_a_backup_is_r_plus_gamma_p_v_under_a_soft_maximum(seed, alpha, gamma):
    p, r = random_process(seed)
    r[0, 1] = -np.inf
    v = np.random.default_rng(seed + 1).normal(size=4)
    model = FiniteMDP(p, r, gamma)
    q = np.empty(r.shape)
    found = soft_backup(model.p, model.r, model.gamma, alpha, v, q)
    expected = r + gamma * np.einsum("sat,t->sa", p, v)
    np.testing.assert_allclose(q, expected, rtol=1e-12)
    if alpha == 0:
        np.testing.assert_array_equal(found, q.max(axis=1))
    else:
        top = expected.max(axis=1)
        np.testing.assert_allclose(found, top + alpha * np.log(np.exp((expected - top[:, None]) / alpha).sum(axis=1)))
    policy = soft_policy(q, alpha)
    assert policy[0, 1] == 0
    np.testing.assert_allclose(policy.sum(axis=1), 1)


def test_the_soft_maximum_of_equal_entries():
    assert soft_maximum(np.array([2.0, 2.0, -np.inf]), 0.5) == pytest.approx(2 + 0.5 * np.log(2))
    assert soft_maximum(np.array([2.0, 2.0, -np.inf]), 0.0) == 2


def test_iteration_stops_at_its_limit():
    model = FiniteMDP(*random_process(2), 0.99)
    assert soft_iteration(model.p, model.r, model.gamma, 0.1, 1e-12, 3)[2] == 4


# ------------------------------------------------------------------ models of environments


def test_the_general_form_of_a_game_has_the_carrier_as_its_soft_policy():
    mdp = from_gymnasium("FrozenLake-v1")
    model = mdp.tabular()
    assert model.gamma == mdp.discount
    np.testing.assert_array_equal(model.initial, mdp.start)
    solution = solve(model, 0.05, tolerance=1e-12)
    np.testing.assert_array_equal(solution.policy, carrier_policy(mdp, 0.05))


@pytest.mark.parametrize("env_id", ["envzoo/CodingGrid-v0", "envzoo/CodingGridSmall-v0"])
def test_coding_games_give_the_walk_without_messages(env_id):
    single, many = gym.make(env_id), gym.make_vec(env_id, num_envs=2)
    model = find_model(single)
    assert isinstance(single.unwrapped, HasModel)
    assert isinstance(model, FiniteMDP)
    np.testing.assert_array_equal(find_model(many).p, model.p)
    mdp = single.unwrapped.definition.mdp
    np.testing.assert_array_equal(model.available[~mdp.terminal], mdp.available[~mdp.terminal])
    assert (model.p[mdp.terminal] == 0).all()
    np.testing.assert_array_equal(solve(model, 0.1, tolerance=1e-12).policy, carrier_policy(mdp, 0.1))


@pytest.mark.parametrize("env_id", ["envzoo/LSDBandit-Laforgue-v0", "envzoo/RechargingBandit-v0"])
def test_bandits_give_their_model_by_both_names(env_id):
    single = gym.make(env_id)
    many = gym.make_vec(env_id, num_envs=2)
    copies = SyncVectorEnv([lambda: gym.make(env_id)] * 2)
    for env in (single, many, copies):
        model = find_model(env)
        assert isinstance(model, BanditModel)
        np.testing.assert_array_equal(model.payoffs, single.unwrapped.model.payoffs)
    assert single.unwrapped.model() is single.unwrapped.model


def test_environments_without_a_model_are_refused():
    for env in (gym.make("CartPole-v1"), gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")):
        with pytest.raises(
            UnsupportedSpaceError, match=r"has no model; expected an environment with a method model\(\)"
        ):
            find_model(env)
