"""SubmodularReward against the coverage environment itself, hand-worked paths, autoreset modes, capture and restore."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.coverage.set_functions import Coverage, CustomSetFunction, LogDeterminant, WeightedCoverage
from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError
from envzoo.wrappers import GridDiscretiser, SubmodularReward, TimeInObservation, VectorSubmodularReward, capturable

GRID = "envzoo/GridCoverage-v0"
KWARGS = {"rows": 4, "columns": 5, "horizon": 6, "start": "random"}
DISCS = Coverage.on_grid(4, 5)
RANK_ONE = LogDeterminant.information_gain(np.exp(-0.1 * (np.arange(20.0)[:, None] - np.arange(20)) ** 2), 0.1)
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


class Walk(gym.Env):
    """A walk on a line of 5 cells that ends at cell 4 or after 7 steps; says where it is in several ways."""

    def __init__(self, info_at_reset=True):
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-1, 1, (1,), np.float32), "cell": spaces.Discrete(5, start=10)}
        )
        self.action_space = spaces.Discrete(2)
        self.info_at_reset = info_at_reset

    def _see(self):
        place = np.array([self.cell / 2 - 1], np.float32)
        return {"place": place, "cell": np.int64(10 + self.cell)}, {"where": self.cell}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell, self.time = int(self.np_random.integers(3)), 0
        observation, info = self._see()
        return observation, info if self.info_at_reset else {}

    def step(self, action):
        self.cell, self.time = max(0, self.cell + 2 * int(action) - 1), self.time + 1
        observation, info = self._see()
        return observation, 7.0, self.cell == 4, self.time >= 7, info


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        if isinstance(left[name], dict):
            assert_same(left[name], right[name])
        elif left[name].dtype == object:
            for a, b in zip(left[name], right[name], strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_array_equal(left[name], right[name])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gives_the_coverage_environment_its_own_rewards(mode):
    plain = gym.make_vec(GRID, num_envs=16, autoreset_mode=mode, **KWARGS)
    inner = gym.make_vec(GRID, num_envs=16, autoreset_mode=mode, **KWARGS)
    env = VectorSubmodularReward(inner, DISCS, key=0)
    expected, got = plain.reset(seed=3), env.reset(seed=3)
    np.testing.assert_array_equal(got[0], expected[0])
    assert_same(got[1], expected[1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        actions = rng.integers(0, 5, 16)
        expected, got = plain.step(actions), env.step(actions)
        for left, right in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(left, right)
        assert_same(got[4], expected[4])
        done = got[2] | got[3]
        if mode is AutoresetMode.DISABLED and done.any():
            expected, got = (e.reset(options={"reset_mask": done.copy()}) for e in (plain, env))
            assert_same({k: v[done] for k, v in got[1].items()}, {k: v[done] for k, v in expected[1].items()})


def test_single_face_gives_the_coverage_environment_its_own_rewards():
    plain, env = gym.make(GRID, **KWARGS), SubmodularReward(gym.make(GRID, **KWARGS), DISCS, 0, check=True)
    for seed in range(3):
        assert plain.reset(seed=seed)[1] == env.reset(seed=seed)[1]
        for action in np.random.default_rng(seed).integers(0, 5, 6):
            expected, got = plain.step(action), env.step(action)
            assert got[1:] == expected[1:]
            assert isinstance(got[1], float)


@pytest.mark.parametrize(
    "source",
    [
        {"key": "cell"},
        {"key": "info/where"},
        {"key": lambda observation: int(observation["cell"]) - 10},
        {"key": "place", "discretiser": GridDiscretiser([-1.25], [1.25], [5])},
    ],
    ids=["entry", "info", "callable", "discretiser"],
)
@pytest.mark.parametrize("mode", MODES)
def test_any_source_of_elements_on_any_environment(source, mode):
    function = Coverage([[0, 1], [1], [2, 3], [3], [4, 5, 6]])
    singles = [SubmodularReward(Walk(), function, **source) for _ in range(4)]
    env = VectorSubmodularReward(SyncVectorEnv([Walk] * 4, autoreset_mode=mode), function, **source)
    _, infos = env.reset(seed=0)
    totals, visited, ended = np.zeros(4), [], np.zeros(4, bool)
    for i, single in enumerate(singles):
        observation, info = single.reset(seed=i)
        visited.append([int(observation["cell"]) - 10])
        assert infos["coverage"][i] == info["coverage"] == function.value(visited[i])
        assert info["modular_reward"] == 0.0
    rng, episodes = np.random.default_rng(1), 0
    for _ in range(40):
        actions = rng.integers(0, 2, 4)
        observation, rewards, terminated, truncated, infos = env.step(actions)
        done = terminated | truncated
        for i, single in enumerate(singles):
            if ended[i]:  # NEXT_STEP: this step has only reset it
                first, info = single.reset()
                visited[i], totals[i] = [int(first["cell"]) - 10], 0.0
                assert rewards[i] == 0.0
                assert infos["coverage"][i] == info["coverage"]
                continue
            last, reward, *ends, info = single.step(actions[i])
            visited[i].append(int(last["cell"]) - 10)
            totals[i] += reward
            assert (reward, *ends) == (rewards[i], terminated[i], truncated[i])
            assert info["coverage"] == function.value(visited[i])
            assert totals[i] == function.value(visited[i]) - function.value(visited[i][:1])
            assert info["modular_reward"] == function.value(visited[i][-1:])
            final = infos["final_info"] if done[i] and mode is AutoresetMode.SAME_STEP else infos
            assert (final["coverage"][i], final["modular_reward"][i]) == (info["coverage"], info["modular_reward"])
            if done[i]:
                episodes += 1
                if mode is AutoresetMode.SAME_STEP:
                    assert infos["final_obs"][i]["cell"] == last["cell"]
                    first, info = single.reset()
                    visited[i], totals[i] = [int(first["cell"]) - 10], 0.0
                    assert infos["coverage"][i] == info["coverage"]
        ended = done if mode is AutoresetMode.NEXT_STEP else ended
    assert episodes >= 8


@pytest.mark.parametrize("function", [DISCS, RANK_ONE], ids=["coverage", "information gain"])
@pytest.mark.parametrize("mode", MODES)
def test_a_restored_state_goes_on_bit_for_bit(function, mode):
    def make():
        inner = gym.make_vec(GRID, num_envs=5, autoreset_mode=mode, **KWARGS)
        return VectorSubmodularReward(inner, function, key=0, capacity=7)

    def play(env, actions):
        return [env.step(a) for a in actions]

    env, other = make(), make()
    env.reset(seed=1)
    actions = np.random.default_rng(2).integers(0, 5, (30, 5))
    play(env, actions[:11])
    state = env.get_state()
    expected = play(env, actions[11:])
    other.reset(seed=99)
    other.set_state(state)
    for left, right in zip(play(other, actions[11:]), expected, strict=True):
        for a, b in zip(left[:4], right[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert_same(left[4], right[4])
    # One episode, forked into all; then moved to the single environment.
    other.set_state(env.get_state([3]))
    for name, array in other.get_state().items():
        assert (array == array[0]).all(), name
    single = SubmodularReward(gym.make(GRID, **KWARGS), function, 0, capacity=7)
    single.reset(seed=0)
    env.reset(seed=5)
    single.set_state(env.get_state([2]))
    step = env.step(np.full(5, 1))
    assert single.step(1)[1] == step[1][2]
    assert single.get_state().keys() == env.get_state([0]).keys()


def test_wrappers_stack_and_are_rebuilt_from_their_spec():
    env = SubmodularReward(SubmodularReward(gym.make(GRID), Coverage.on_grid(10, 10), 0), Coverage.on_grid(10, 10), 0)
    env.reset(seed=0)
    assert capturable(env) is env
    assert {"SubmodularReward/covered", "SubmodularReward2/covered", "position"} <= env.get_state().keys()
    limited = gym.wrappers.TimeLimit(env, 5)
    assert capturable(limited) is env
    again = gym.make(env.spec)
    assert isinstance(again, SubmodularReward)
    again.reset(seed=0)
    assert [again.step(1)[1:3] for _ in range(3)] == [env.step(1)[1:3] for _ in range(3)]
    assert capturable(gym.make("CartPole-v1")) is None
    horizon = TimeInObservation(SubmodularReward(gym.make("CliffWalking-v1"), Coverage.on_grid(4, 12)), 10)
    assert horizon.reset(seed=0)[0].tolist() == [36, 0]
    assert horizon.step(0)[1] == 2.0


def test_refusals():
    def wrap(env_id=GRID, function=None, key=0, **kwargs):
        function = Coverage.on_grid(10, 10) if function is None else function
        return SubmodularReward(gym.make(env_id) if isinstance(env_id, str) else env_id, function, key, **kwargs)

    with pytest.raises(UnknownNameError, match="unknown key of the observation 'cel'; expected one of cell, place"):
        wrap(Walk(), key="cel")
    with pytest.raises(EnvzooError, match="the observation has no key 'position', as it is MultiDiscrete"):
        wrap(key="position")
    with pytest.raises(EnvzooError, match="key None names no entry of the observation; expected one of cell, place"):
        wrap(Walk(), key=None)
    with pytest.raises(EnvzooError, match=r"no components \(2,\)"):
        wrap(key=2)
    with pytest.raises(EnvzooError, match="has 2100 positions, but there are 100 elements"):
        wrap(key=None)
    with pytest.raises(UnsupportedSpaceError, match="or a discretiser such as GridDiscretiser"):
        wrap("CartPole-v1", key=0)
    with pytest.raises(UnknownNameError, match="unknown key of info 'were'; expected one of where"):
        wrap(Walk(), Coverage([[0]]), key="info/were").reset(seed=0)
    with pytest.raises(UnknownNameError, match="unknown key of info 'where'"):
        wrap(Walk(info_at_reset=False), key="info/where").reset(seed=0)
    with pytest.raises(EnvzooError, match=r"episode 0 visits element 9 by what key returned; expected 0 to 2"):
        wrap(Walk(), Coverage([[0], [1], [2]]), key=lambda observation: 9).reset(seed=0)
    with pytest.raises(EnvzooError, match="gives float64 of shape"):
        wrap(Walk(), key=lambda observation: 0.5).reset(seed=0)
    with pytest.raises(EnvzooError, match="not monotone"):
        wrap(function=CustomSetFunction(lambda s: -float(len(s)), 100), check=True)
    with pytest.raises(EnvzooError, match="set_function is a function; expected one of"):
        wrap(function=lambda elements: 0.0)
    with pytest.raises(UnknownNameError, match=r"argument of SubmodularReward 'chek'.*did you mean 'check'"):
        wrap(chek=True)
    with pytest.raises(EnvzooError, match="cannot capture its state"):
        wrap("CliffWalking-v1", Coverage.on_grid(4, 12), None).get_state()
    env = wrap()
    env.reset(seed=0)
    state = env.get_state()
    del state["SubmodularReward/covered"]
    with pytest.raises(EnvzooError, match="no field 'SubmodularReward/covered'"):
        env.set_state(state)
    with pytest.raises(EnvzooError, match="expected bool of shape"):
        env.set_state(state | {"SubmodularReward/covered": np.zeros((1, 3), bool)})


def test_agents_learn_behind_the_wrappers():
    function = WeightedCoverage.on_grid(4, 4, np.eye(4), radius=0)
    inner = gym.make_vec(GRID, num_envs=32, autoreset_mode="SameStep", rows=4, columns=4, horizon=6)
    env = VectorSubmodularReward(inner, function, 0)
    agent = agents.make("SubPO", env, seed=0)
    before = evaluate(agent, env, episodes=64, deterministic=False).returns
    agent.learn(32 * 6 * 60)
    after = evaluate(agent, env, episodes=64, deterministic=False).returns
    assert after.max() <= 3  # the diagonal less the start
    assert after.mean() >= before.mean() + 0.5
    modular = agents.make("ModPO", env, seed=0)
    assert set(np.unique(modular.collect().reward)) <= {0.0, 1.0}
