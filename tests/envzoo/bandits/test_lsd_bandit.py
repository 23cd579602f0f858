"""LSDBandit and RechargingBandit: transitions by hand and against plain Python, single and vector, bad input."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401  (registers the environments)
from envzoo.bandits import generators
from envzoo.bandits.model import BanditModel, column_of_state, state_of_column, transitions
from envzoo.errors import EnvzooError, InvalidActionError

TABLE = [[0.0, 0.1, 0.4, 0.5, 0.9], [0.2, 0.3, 0.3, 0.6, 0.7]]  # satiation 2: states -2, -1, 1, 2, 3


def make(**kwargs):
    return gym.make("envzoo/LSDBandit-v0", payoffs=TABLE, satiation=2, rewards="deterministic", **kwargs)


def test_transitions_by_hand():
    env = make()
    observation, info = env.reset(seed=0)
    assert observation.tolist() == [4, 4]
    assert info == {"expected_reward": 0.0, "expected_return": 0.0}
    # action, columns afterwards, reward: arm 0 from state 3, then -1, then -2, then capped; rest; arm 1; rest.
    for action, columns, reward in [
        (0, [1, 4], 0.9),
        (0, [0, 4], 0.1),
        (0, [0, 4], 0.0),
        (2, [2, 4], 0.0),
        (1, [3, 1], 0.7),
        (0, [1, 2], 0.5),
        (1, [2, 1], 0.3),
    ]:
        observation, got, terminated, truncated, info = env.step(action)
        assert observation.tolist() == columns
        assert got == info["expected_reward"] == pytest.approx(reward)
        assert not terminated
        assert not truncated
    assert info["expected_return"] == pytest.approx(2.5)


def next_state(tau, pulled, satiation, deprivation):
    after = (-1 if tau > 0 else tau - 1) if pulled else (tau + 1 if tau > 0 else 1)
    return min(max(after, -satiation), deprivation)


@given(
    arms=st.integers(1, 5),
    satiation=st.integers(1, 4),
    deprivation=st.integers(1, 5),
    k=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_against_plain_python(arms, satiation, deprivation, k, seed):
    k = min(k, arms)
    kwargs = {"arms": arms, "satiation": satiation, "deprivation": deprivation, "instance_seed": seed}
    env = gym.make_vec(
        "envzoo/LSDBandit-v0", num_envs=2, pulls_per_round=k, rewards="deterministic", max_episode_steps=50, **kwargs
    )
    env.reset(seed=seed)
    model = env.unwrapped.model
    assert (model.arms, model.satiation, model.deprivation, model.pulls_per_round) == (arms, satiation, deprivation, k)
    taus = np.full((2, arms), deprivation)
    env.single_action_space.seed(seed)
    for _ in range(20):
        actions = [env.single_action_space.sample() for _ in range(2)]
        observation, reward, _, _, infos = env.step(np.array(actions))
        for i, action in enumerate(actions):
            pulled = [arm == action for arm in range(arms)] if k == 1 else [bool(bit) for bit in action]
            assert sum(pulled) <= k
            paid = [model.payoffs[arm, model.column(taus[i, arm])] * pulled[arm] for arm in range(arms)]
            assert reward[i] == infos["expected_reward"][i] == pytest.approx(sum(paid))
            if k > 1:
                assert infos["arm_rewards"][i] == pytest.approx(paid)
            taus[i] = [next_state(t, p, satiation, deprivation) for t, p in zip(taus[i], pulled, strict=True)]
            assert state_of_column(observation[i], satiation).tolist() == taus[i].tolist()


def test_bernoulli_rewards_have_the_means_of_the_table():
    env = gym.make_vec("envzoo/LSDBandit-v0", num_envs=20_000, payoffs=TABLE, satiation=2, max_episode_steps=9)
    env.reset(seed=0)
    rewards = env.step(np.zeros(20_000, int))[1]
    assert set(np.unique(rewards)) == {0.0, 1.0}
    assert abs(rewards.mean() - 0.9) < 5 * np.sqrt(0.09 / 20_000)


def test_several_pulls_are_limited():
    env = gym.make("envzoo/LSDBandit-v0", arms=4, pulls_per_round=2)
    assert isinstance(env.action_space, spaces.MultiBinary)
    env.reset(seed=0)
    before = env.unwrapped.get_state()
    with pytest.raises(InvalidActionError, match="the action of episode 0 has 3 ones; expected at most 2"):
        env.unwrapped.step(np.array([1, 1, 1, 0], np.int8))
    with pytest.raises(InvalidActionError, match="action 256 of episode 0"):
        env.unwrapped.step(np.array([256, 1, 0, 0]))
    after = env.unwrapped.get_state()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    env.unwrapped.step(np.array([True, True, False, False]))
    samples = {tuple(env.action_space.sample()) for _ in range(500)}
    assert len(samples) == 11  # 1 + 4 + 6
    assert all(np.array(sample) in env.action_space for sample in samples)
    assert np.array([1, 1, 1, 0], np.int8) not in env.action_space


@pytest.mark.parametrize("kwargs", [{}, {"pulls_per_round": 2}, {"pulls_per_round": 10}])
def test_checkers(kwargs):
    from stable_baselines3.common.env_checker import check_env as check_with_sb3

    check_env(gym.make("envzoo/LSDBandit-v0", **kwargs).unwrapped, skip_render_check=True)
    check_with_sb3(gym.make("envzoo/RechargingBandit-v0", render_mode="rgb_array", **kwargs), warn=False)


def test_time_limit_truncates():
    env = make(max_episode_steps=2)
    env.reset(seed=0)
    assert env.step(0)[2:4] == (False, False)
    assert env.step(0)[2:4] == (False, True)


def test_start_option():
    env = make(start=-2)
    assert env.reset(seed=0)[0].tolist() == [0, 0]
    assert env.reset(options={"start": [1, 3]})[0].tolist() == [2, 4]
    for wrong in (0, 4, [1], "rested", 1.5):
        with pytest.raises(EnvzooError, match=r"start"):
            env.unwrapped.reset(options={"start": wrong})


def test_recharging_is_a_table_by_delay():
    env = gym.make("envzoo/RechargingBandit-v0", payoffs=[[0.1, 0.2, 0.7]], rewards="deterministic")
    env.reset(seed=0)
    # delays 3 (fresh), 1, 1, then two rounds of rest: delay 3 again
    rewards = [env.step(action)[1] for action in (0, 0, 0, 1, 0, 1, 1, 1, 0)]
    assert rewards == [0.7, 0.1, 0.1, 0.0, 0.2, 0.0, 0.0, 0.0, 0.7]
    model = env.unwrapped.model
    assert generators.delays(model).tolist() == [[0.1, 0.2, 0.7]]
    assert generators.delays(BanditModel(TABLE, 2)) is None


SENTENCES = {
    "decreasing": (
        {"payoffs": [[0.2, 0.1, 0.3]], "satiation": 1},
        "arm 0 decrease from 0.2 in state -1 to 0.1 in state 1",
    ),
    "nan": ({"payoffs": [[0.2, np.nan]], "satiation": 1}, "arm 0 in state 1 is nan, which is not finite"),
    "negative": ({"payoffs": [[-0.2, 0.1]], "satiation": 1}, "arm 0 in state -1 is -0.2, which is negative"),
    "empty": ({"payoffs": [], "satiation": 1}, "shape"),
    "words": ({"payoffs": "abc", "satiation": 1}, "not a numeric table"),
    "k": ({"arms": 3, "pulls_per_round": 4}, "pulls_per_round is 4; expected a whole number from 1 to 3 for 3 arms"),
    "satiation": ({"payoffs": [[0.1, 0.2]], "satiation": 2}, "satiation is 2"),
    "no-satiation": ({"payoffs": [[0.1, 0.2]]}, "without satiation"),
    "probability": ({"payoffs": [[0.1, 1.2]], "satiation": 1}, "not a probability"),
    "both": ({"payoffs": [[0.1, 0.2]], "satiation": 1, "arms": 3}, "arms goes with a named instance"),
    "instance": ({"instance": "bat"}, "did you mean 'bait'"),
    "argument": ({"instance": "bait", "variant": "step"}, "argument of the instance 'bait'"),
    "rewards": ({"rewards": "bernouli"}, "did you mean 'bernoulli'"),
    "seed": ({"instance_seed": -1}, "seed is -1"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_wrong_input_gives_one_sentence(case):
    kwargs, words = SENTENCES[case]
    with pytest.raises(EnvzooError) as error:
        gym.make("envzoo/LSDBandit-v0", **kwargs)
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_states_and_columns():
    assert column_of_state([-2, -1, 1, 2, 3, 9, -9], 2, 3).tolist() == [0, 1, 2, 3, 4, 4, 0]
    assert state_of_column(np.arange(5), 2).tolist() == [-2, -1, 1, 2, 3]
    assert transitions(2, 3).tolist() == [[2, 2, 3, 4, 4], [0, 0, 1, 1, 1]]
    with pytest.raises(EnvzooError, match="not a state of an arm"):
        column_of_state(0, 2, 3)


@pytest.mark.parametrize("name", ["random_monotone", "bait", "satiation"])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_generators_are_monotone_and_seeded(name, seed):
    model, again = (generators.LSD_GENERATORS[name](seed=seed) for _ in range(2))
    assert model.monotone
    assert 0 <= model.payoffs.min() <= model.payoffs.max() <= 1
    assert np.array_equal(model.payoffs, again.payoffs)
    assert not np.array_equal(model.payoffs, generators.LSD_GENERATORS[name](seed=seed + 1).payoffs)


def test_laforgue_tables():
    spike, step = generators.laforgue(), generators.laforgue("step")
    delay = generators.delays(spike)
    assert delay.shape == (5, 10)
    assert (delay[[0, 3, 4]] == 0.15).all()
    assert delay[1].tolist() == [0, 0, 0.95, 0, 0, 0, 0, 0, 0, 0]
    assert delay[2].tolist() == [0.14] * 5 + [0.16, 0.14, 0.14, 0.96, 0.96]
    assert not spike.monotone
    assert generators.delays(step).tolist() == [[0.05] * 11, [0.06] + [0.95] * 10]
    assert step.monotone
