"""TabularEnv: Gymnasium's own worlds, their joint laws, alias tables, partially observable and latent worlds."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.tabular import (
    FiniteMDP,
    FinitePOMDP,
    LatentMDP,
    Outcomes,
    random_lmdp,
    random_mdp,
    random_outcomes,
    random_pomdp,
    read_mdp,
)
from envzoo.tabular.alias import alias_law, alias_table
from envzoo.tabular.tabular_env import TabularEnv, TabularVectorEnv

WORLDS = {
    "FrozenLake": ("FrozenLake-v1", {}),
    "FrozenLake-8x8": ("FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}),
    "Taxi": ("Taxi-v4", {}),
    "rainy-Taxi": ("Taxi-v4", {"is_rainy": True, "fickle_passenger": True}),
    "CliffWalking": ("CliffWalking-v1", {}),
    "slippery-CliffWalking": ("CliffWalking-v1", {"is_slippery": True}),
}
each_world = pytest.mark.parametrize("world", WORLDS)


def law_of_gymnasium(rows):
    found = {}
    for p, following, reward, ends in rows:
        key = (int(following), float(reward), bool(ends))
        found[key] = found.get(key, 0.0) + p
    return {key: p for key, p in found.items() if p > 0}


def sampled_law(parameters, row):
    """The joint law that the step kernel samples from, read out of its tables."""
    table, codes, size = parameters.table[row], parameters.codes[row], parameters.table.shape[1]
    found = {}
    for k in range(size):
        packed = int(codes[k, 1])
        pays = parameters.pays[row]
        several = len(pays) > 1
        for code, share, column in (
            (int(np.int64(codes[k, 1] << 32) >> 32), table[k, 0], k),
            (packed >> 32, 1 - table[k, 0], int(parameters.alias[row, k]) if several else 0),
        ):
            if share > 0:
                key = (-1 - code if code < 0 else code, float(pays[column if several else 0]), code < 0)
                found[key] = found.get(key, 0.0) + share / size
    return found


@each_world
def test_gymnasiums_worlds_keep_their_joint_law_per_state_and_action(world):
    env_id, kwargs = WORLDS[world]
    original = gym.make(env_id, **kwargs).unwrapped
    model = read_mdp(env_id, **kwargs)
    env = TabularEnv(model)
    assert env.model() is model
    np.testing.assert_allclose(model.initial, original.initial_state_distrib, atol=1e-15)
    for state, by_action in original.P.items():
        for action, rows in by_action.items():
            expected = law_of_gymnasium(rows)
            assert model.joint.law(state, action) == pytest.approx(expected, abs=1e-12)
            sampled = sampled_law(env.definition.parameters, state * model.num_actions + action)
            assert sampled == pytest.approx(expected, abs=1e-12)


@each_world
def test_gymnasiums_checker_passes(world):
    env_id, kwargs = WORLDS[world]
    check_env(TabularEnv(read_mdp(env_id, **kwargs)), skip_render_check=True)


def test_the_cliff_pays_two_rewards_for_one_next_state():
    law = read_mdp("CliffWalking-v1", is_slippery=True).joint.law(36, 0)
    assert {key[1] for key in law if key[0] == 36} == {-1.0, -100.0}


def test_steps_follow_the_law():
    """Frequencies of 60,000 steps from one state against the law, within six standard errors."""
    outcomes = Outcomes(
        [[[0, 1, 1, 0]], [[1, 1, 1, 1]]],
        [[[0.1, 0.2, 0.3, 0.4]], [[1.0, 0.0, 0.0, 0.0]]],
        [[[1.0, 1.0, 2.0, 3.0]], [[0.0] * 4]],
        [[[False, False, True, True]], [[True] * 4]],
    )
    model = FiniteMDP.from_outcomes(outcomes)
    env = TabularVectorEnv(model, 60_000)
    env.reset(seed=1, options={"state": 0})
    observation, reward, terminated, _, _ = env.step(np.zeros(60_000, np.int64))
    keys, counts = np.unique(np.stack([observation, reward, terminated], axis=1), axis=0, return_counts=True)
    law = model.joint.law(0, 0)
    assert {(int(s), r, bool(e)) for s, r, e in keys} == set(law)
    for (s, r, e), count in zip(keys, counts, strict=True):
        p = law[int(s), r, bool(e)]
        assert abs(count / 60_000 - p) < 6 * np.sqrt(p * (1 - p) / 60_000)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9).filter(lambda w: sum(w) > 1e-3))
def test_alias_tables_hold_the_law_exactly(weights):
    law = np.array(weights) / sum(weights)
    threshold, alias = alias_table(law[None])
    assert ((threshold >= 0) & (threshold <= 1)).all()
    np.testing.assert_allclose(alias_law(threshold, alias)[0], law, atol=1e-15)
    assert (alias_law(threshold, alias)[0][law == 0] == 0).all()


def test_episodes_of_a_batch_equal_single_ones():
    model = random_pomdp(4, 3, 5, horizon=9, seed=2)
    batch = TabularVectorEnv(model, 3, autoreset_mode="Disabled")
    observation, _ = batch.reset(seed=7)
    singles = [TabularEnv(model) for _ in range(3)]
    assert [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)] == observation.tolist()
    for t in range(9):
        step = batch.step(np.full(3, t % 3))
        alone = [env.step(t % 3) for env in singles]
        for got, expected in zip(step[:4], zip(*alone, strict=True), strict=False):
            assert got.tolist() == list(expected)
    assert step[2].all()


def test_a_horizon_terminates_and_the_context_is_told_then():
    model = random_lmdp(3, 4, 2, 5, seed=1)
    env = TabularVectorEnv(model, 200, autoreset_mode="Disabled")
    _, infos = env.reset(seed=0)
    contexts = env.get_state()["latent"] // 4
    for t in range(5):
        assert (infos["context"] == -1).all()
        _, _, terminated, truncated, infos = env.step(np.zeros(200, np.int64))
        assert terminated.all() == (t == 4)
        assert not truncated.any()
    np.testing.assert_array_equal(infos["context"], contexts)
    assert set(contexts) == {0, 1, 2}


def test_actions_that_are_not_available_have_no_effect():
    p, r = np.array([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]), np.array([[1.0, -np.inf], [2.0, 3.0]])
    env = TabularEnv(FiniteMDP(p, r, horizon=3))
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [True, False]
    assert env.step(1)[:4] == (0, 0.0, False, False)
    observation, reward, _, _, info = env.step(0)
    assert (observation, reward, info["action_mask"].tolist()) == (1, 1.0, [True, True])
    assert env.step(1)[2] is True


def test_coding_games_become_tabular_worlds():
    game = gym.make("envzoo/CodingGridSmall-v0")
    env = TabularEnv(read_mdp(game))
    np.testing.assert_array_equal(env.model().p, game.unwrapped.model().p)
    check_env(env, skip_render_check=True)


def test_joint_mdp_of_a_latent_process():
    model = random_lmdp(2, 3, 2, 4)
    whole = model.joint_mdp()
    np.testing.assert_array_equal(whole.p[3:, :, 3:], model.p[1])
    assert whole.p[:3, :, 3:].sum() == 0
    np.testing.assert_allclose(whole.initial, np.concatenate([0.5 * model.initial[0], 0.5 * model.initial[1]]))


P = np.full((2, 1, 2), 0.5)
REFUSED = {
    "row": (lambda: FiniteMDP.from_tables(P * 1.1, np.zeros((2, 1))), r"row \(0, 0\) of p sums to 1.1; expected"),
    "negative": (lambda: FiniteMDP.from_tables(P - [1.0, -1.0], np.zeros((2, 1))), "p has negative"),
    "nan": (lambda: FiniteMDP.from_tables(P * np.nan, np.zeros((2, 1))), "p has negative, infinite or NaN"),
    "reward": (lambda: FiniteMDP.from_tables(P, np.zeros(2)), r"reward has the shape \(2,\)"),
    "nan-reward": (lambda: FiniteMDP.from_tables(P, np.full((2, 1), np.nan)), "reward holds NaN"),
    "ends": (lambda: FiniteMDP.from_tables(P, np.zeros((2, 1)), [0, 1]), "ends is int64 of shape"),
    "horizon": (lambda: FiniteMDP.from_tables(P, np.zeros((2, 1)), horizon=0), "horizon is 0; expected a number of"),
    "start": (lambda: FiniteMDP.from_tables(P, np.zeros((2, 1)), initial=2), "initial is state 2; expected 0 to 1"),
    "start-nowhere": (
        lambda: FiniteMDP.from_tables(P, np.zeros((2, 1)), initial=[0.0, 0.0]),
        "initial gives no state any probability, so that no episode could start; expected a state or 2 probabilities",
    ),
    "start-outside": (
        lambda: FiniteMDP.from_tables(P, np.zeros((2, 1)), initial=[0.0, 0.0, 1.0]),
        r"initial has the shape \(3,\); expected a state or 2 probabilities that sum to 1, one for each state",
    ),
    "start-half": (lambda: FinitePOMDP(P, np.eye(2), [0, 1], [0.5, 0.25]), "initial sums to 0.75; expected a state or"),
    "start-negative": (lambda: FinitePOMDP(P, np.eye(2), [0, 1], [1.5, -0.5]), "initial has negative or NaN entries"),
    "start-latent": (lambda: LatentMDP(P[None], np.zeros((2, 1)), 3, initial=[0, 0]), "row 0 of initial sums to 0"),
    "terminal-option": (
        lambda: TabularEnv(FinitePOMDP(P, np.eye(2), [0, 1], 1, np.array([True, False]))).reset(options={"state": 0}),
        "reset option state is 0, which is terminal; expected a state in which a step can be taken",
    ),
    "features": (
        lambda: FiniteMDP(P, np.zeros((2, 1)), features=np.zeros((2, 3))),
        r"features have the shape \(2, 3\); expected \(2, 1, d\)",
    ),
    "marginals": (
        lambda: FiniteMDP(P, np.ones((2, 1)), outcomes=Outcomes([[[0]], [[1]]], [[[1.0]], [[1.0]]])),
        "not the marginals of the outcomes",
    ),
    "outcome": (lambda: Outcomes([[[0]], [[2]]], [[[1.0]], [[1.0]]]), "next_state holds states out of range"),
    "outcome-law": (lambda: Outcomes([[[0]]], [[[0.9]]]), r"row \(0, 0\) of probability sums to 0.9"),
    "emission": (lambda: FinitePOMDP(P, [[0.5, 0.4], [1, 0]], [0, 1]), "row 0 of emission sums to 0.9"),
    "terminal-start": (
        lambda: FinitePOMDP(P, np.eye(2), [0, 1], terminal=np.array([True, False])),
        "initial gives probability to a terminal state",
    ),
    "weights": (lambda: LatentMDP(P[None], np.zeros((2, 1)), 3, [0.5]), "weights sums to 0.5"),
    "latent-horizon": (lambda: LatentMDP(P[None], np.zeros((2, 1)), None), "a latent process needs a horizon"),
    "model": (lambda: TabularEnv(3), "model is a int; expected a FiniteMDP, FinitePOMDP or LatentMDP"),
    "option": (lambda: TabularEnv(random_mdp(3, 2)).reset(options={"state": 3}), "expected a state from 0 to 2"),
    "sizes": (lambda: random_mdp(3, 2, successors=4), "successors is 4; expected a whole number from 1 to 3"),
    "seed": (lambda: random_outcomes(3, 2, 2, seed=-1), "seed -1 is not usable"),
    "large": (lambda: random_outcomes(10**9, 10, 10), "a world of 1000000000 states and 10 actions would take"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_worlds_are_refused_in_one_sentence(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()


def test_what_is_no_finite_process_is_refused():
    with pytest.raises(UnsupportedSpaceError, match="is no finite process; expected"):
        read_mdp("CartPole-v1")


def test_linearity_is_required_with_the_largest_residual_named():
    rng = np.random.default_rng(0)
    phi, mu = rng.dirichlet(np.ones(2), (4, 3)), rng.dirichlet(np.ones(4), 2)
    linear = FiniteMDP.from_tables(phi @ mu, phi @ [0.2, 0.9], features=phi)
    assert linear.require_linear() is linear.features
    with pytest.raises(EnvzooError, match="the largest residual is 0"):
        FiniteMDP(linear.p, linear.r + np.eye(4, 3), features=phi).require_linear()
    with pytest.raises(EnvzooError, match="has no features"):
        random_mdp(3, 2).require_linear()
