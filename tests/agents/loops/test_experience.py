"""Observations of the loops: true next observations, valid steps, statistics, whichever way episodes reset."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envzoo  # noqa: F401  (registers the environments)
from envzoo.agents.loops.experience import Experience, step_info
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.errors import EnvzooError

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]


class Counter(gym.Env):
    """Observation = 100 * episode + step; reward = action; ends at `length`, truncated in odd episodes."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,))
    action_space = spaces.Discrete(10)

    def __init__(self, length):
        self.length, self.episode = length, -1

    def _observation(self):
        return np.array([100 * self.episode + self.time], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.time = 0
        return self._observation(), {"bonus": 77.0, "code": self.time}

    def step(self, action):
        self.time += 1
        over = self.time == self.length
        info = {"bonus": float(self.time), "code": self.time, "name": "text", "pair": np.array([self.time, -self.time])}
        return self._observation(), float(action), over and self.episode % 2 == 0, over and self.episode % 2 == 1, info


def experience_of(env, **settings):
    codec, actions = ObservationCodec(env.single_observation_space), ActionCodec(env.single_action_space, "test")
    return Experience(env, codec, actions, 0, **settings)


def counters(mode, lengths=(3, 2)):
    return SyncVectorEnv([lambda length=length: Counter(length) for length in lengths], autoreset_mode=mode)


def record(experience, steps, action=None):
    """Per environment the valid transitions (observation, action, reward, next, terminated, done, start)."""
    rows = [[] for _ in range(experience.num_envs)]
    for t in range(steps):
        observation, start = experience.observation.copy(), experience.start.copy()
        actions = np.full(experience.num_envs, t % 5) if action is None else action(t)
        step = experience.step(actions)
        for b in np.flatnonzero(step.valid):
            row = (
                observation[b],
                actions[b],
                step.reward[b],
                step.next_observation[b],
                step.terminated[b],
                step.done[b],
            )
            rows[b].append((*(np.asarray(x).copy() for x in row), start[b]))
    return rows


@pytest.mark.parametrize("mode", MODES)
def test_every_valid_step_is_a_true_transition(mode):
    experience = experience_of(counters(mode))
    rows = record(experience, 12)
    for b, length in enumerate((3, 2)):
        assert len(rows[b]) == (12 if mode == AutoresetMode.SAME_STEP else {3: 9, 2: 8}[length])
        for number, (observation, action, reward, following, terminated, done, start) in enumerate(rows[b]):
            episode, time = divmod(number, length)
            assert observation == 100 * episode + time
            assert following == 100 * episode + time + 1
            assert reward == action
            assert done == (time + 1 == length)
            assert terminated == (done and episode % 2 == 0)
            assert start == (time == 0)


@pytest.mark.parametrize("mode", MODES)
def test_statistics_of_episodes(mode):
    experience = experience_of(counters(mode, (3, 3)))
    assert experience.pop_metrics() == {}
    record(experience, 3, lambda t: np.array([1, t]))
    metrics = experience.pop_metrics()
    assert metrics["rollout/return_mean"] == (3 + (0 + 1 + 2)) / 2
    assert metrics["rollout/length_mean"] == 3
    assert metrics["rollout/episodes"] == 2
    assert metrics["rollout/final_bonus_mean"] == 3
    assert metrics["rollout/final_code_mean"] == 3
    assert not [name for name in metrics if "name" in name or "pair" in name]
    assert experience.pop_metrics() == {}
    # The next episode is counted from its own start.
    record(experience, 3 if mode == AutoresetMode.SAME_STEP else 4, lambda t: np.array([2, 5]))
    assert experience.pop_metrics()["rollout/return_mean"] == (6 + 15) / 2


@pytest.mark.parametrize("mode", MODES)
def test_rewards_from_an_info_key_are_those_of_the_step(mode):
    experience = experience_of(counters(mode), reward_key="bonus")
    rows = record(experience, 12)
    for b, length in enumerate((3, 2)):
        assert [float(row[2]) for row in rows[b]] == [1 + number % length for number in range(len(rows[b]))]
    metrics = experience.pop_metrics()  # what resets say (77) is no reward
    lengths = [length for b, length in enumerate((3, 2)) for row in rows[b] if row[5]]
    assert metrics["rollout/return_mean"] == np.mean([sum(range(1, length + 1)) for length in lengths])


def test_a_missing_info_key_gives_one_sentence():
    experience = experience_of(counters(MODES[0]), reward_key="modular_reward")
    with pytest.raises(EnvzooError, match=r"info\['modular_reward'\], but the environment gives only \[.*'bonus'"):
        experience.step(np.zeros(2, int))


def test_step_info_takes_the_final_one_where_an_episode_ended():
    done = np.array([False, True])
    final = {
        "x": np.array([0.0, 5.0]),
        "_x": done,
        "p": np.array([[0, 0], [5, 6]]),
        "_p": done,
        "only": np.array([0, 9]),
    }
    infos = {"x": np.array([1.0, 77.0]), "p": np.array([[1, 2], [7, 7]]), "final_info": final, "y": np.array([3, 4])}
    assert step_info(infos, "x", done).tolist() == [1, 5]
    assert step_info(infos, "p", done).tolist() == [[1, 2], [5, 6]]
    assert step_info(infos, "y", done).tolist() == [3, 4]
    assert step_info(infos, "only", done).tolist() == [0, 9]
    assert step_info(infos, "none", done) is None
    assert step_info({"x": np.array([1.0])}, "x", np.array([True])).tolist() == [1]


@pytest.mark.parametrize("mode", MODES)
def test_kernel_environments_give_the_transitions_of_single_ones(mode):
    name, kwargs, num_envs = "envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, 4
    experience = experience_of(gym.make_vec(name, num_envs=num_envs, autoreset_mode=mode, **kwargs))
    experience.reset(11)
    codec, rng = experience.codec, np.random.default_rng(0)
    singles = [gym.make(name, **kwargs) for _ in range(num_envs)]
    expected = [codec.pack_one(env.reset(seed=11 + i)[0]) for i, env in enumerate(singles)]
    ended = 0
    for _ in range(17):
        actions = rng.integers(0, experience.actions.n, num_envs)
        assert np.array_equal(experience.observation, np.stack(expected))
        step = experience.step(actions)
        for i, env in enumerate(singles):
            if not step.valid[i]:
                expected[i] = codec.pack_one(env.reset()[0])
                continue
            observation, reward, terminated, truncated, _ = env.step(actions[i])
            expected[i] = codec.pack_one(observation)
            assert np.array_equal(step.next_observation[i], expected[i])
            assert step.reward[i] == np.float32(reward)
            assert (step.terminated[i], step.done[i]) == (terminated, terminated or truncated)
            ended += step.done[i]
            if step.done[i] and mode == AutoresetMode.SAME_STEP:
                expected[i] = codec.pack_one(env.reset()[0])
    assert ended >= 8


def test_a_wrapper_reaches_the_final_observation_too():
    class Negative(gym.vector.VectorWrapper):
        def reset(self, **kwargs):
            observation, infos = super().reset(**kwargs)
            return -observation, infos

        def step(self, actions):
            observation, *rest, infos = super().step(actions)
            if "final_obs" in infos:
                final = [None if one is None else -one for one in infos["final_obs"]]
                infos = {**infos, "final_obs": np.array([*final, None], object)[:-1]}
            return -observation, *rest, infos

    inner = gym.make_vec("envzoo/PointMultiGoal-v0", num_envs=3, max_episode_steps=2, autoreset_mode=MODES[0])
    plain = experience_of(inner)
    actions = np.full((3, inner.single_action_space.shape[0]), 0.5, np.float32)
    plain.reset(3)
    first = [plain.step(actions) for _ in range(2)]
    assert first[1].done.all()
    wrapped = experience_of(Negative(inner))
    wrapped.reset(3)
    second = [wrapped.step(actions) for _ in range(2)]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.next_observation, -b.next_observation)


def test_what_an_environment_reuses_is_copied():
    class Reusing(Counter):
        buffer = np.zeros(1, np.float32)

        def _observation(self):
            self.buffer[:] = super()._observation()
            return self.buffer

    envs = SyncVectorEnv([lambda: Reusing(5)], copy=False, autoreset_mode=MODES[0])
    experience = experience_of(envs)
    first = experience.observation
    step = experience.step(np.zeros(1, int))
    assert (first, step.next_observation) == (0, 1)


def test_a_captured_experience_goes_on_bit_for_bit():
    def fresh():
        kwargs = {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}
        return experience_of(gym.make_vec("envzoo/GridCoverage-v0", num_envs=3, autoreset_mode=MODES[0], **kwargs))

    one, two = fresh(), fresh()
    record(one, 7)
    state = one.state_dict()
    two.load_state_dict(state)
    assert two.notices == []
    for a, b in zip(record(one, 9), record(two, 9), strict=True):
        assert all(np.array_equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))
    assert one.pop_metrics() == two.pop_metrics()
    # Taking over a state shares no memory with the one it came from.
    assert not np.shares_memory(one._returns, two._returns)


REASONS = {
    "replayed otherwise": "gave other observations, rewards or ends when its running episodes were replayed",
    "another number": "runs another number of episodes than before",
    "not in the checkpoint": "its state is not in the checkpoint",
}


@pytest.mark.parametrize("case", REASONS)
def test_what_cannot_be_captured_starts_anew_and_says_so(case):
    if case == "replayed otherwise":  # a Counter counts its episodes, which a replay does not
        one, two = experience_of(counters(MODES[0])), experience_of(counters(MODES[0]))
        two.step(np.zeros(2, int))
    else:
        counts = (2, 3) if case == "another number" else (2, 2)
        one, two = (
            experience_of(gym.make_vec("envzoo/GridCoverage-v0", num_envs=n, autoreset_mode=MODES[0])) for n in counts
        )
    for _ in range(4):
        one.step(np.zeros(one.num_envs, int))
    state = one.state_dict()
    if case == "not in the checkpoint":
        state["env"] = None
    two.load_state_dict(state)
    assert two.start.all()
    (notice,) = two.notices
    assert REASONS[case] in notice
    assert "from the start of new episodes" in notice
    assert two.resets == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_replayed_experience_goes_on_bit_for_bit(mode):
    def fresh():
        return experience_of(SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2, autoreset_mode=mode))

    one, two = fresh(), fresh()
    record(one, 57, lambda t: np.array([t % 2, t % 3 == 0], int))
    two.load_state_dict(one.state_dict())
    (notice,) = two.notices
    assert notice == "the running episodes of the training environment were replayed, verified over " + (
        f"{int(one._lengths.sum())} steps"
    )
    ways = [record(e, 40, lambda t: np.array([t % 2, t % 3 == 1], int)) for e in (one, two)]
    for a, b in zip(*ways, strict=True):
        assert all(np.array_equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))
    assert one.pop_metrics() == two.pop_metrics()


def test_disabled_autoreset_is_refused():
    with pytest.raises(EnvzooError, match="autoreset disabled; agents need the mode SAME_STEP or NEXT_STEP"):
        experience_of(counters(AutoresetMode.DISABLED))
