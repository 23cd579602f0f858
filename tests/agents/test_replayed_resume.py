"""Agents saved in the middle of episodes of other people's environments learn on as if nothing had happened."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeObservation

import envzoo.agents
from envzoo.agents import checkpoint
from envzoo.agents.callback import Callback
from envzoo.errors import CheckpointError
from envzoo.scripts.bench.kills import differing

pytestmark = pytest.mark.any_arithmetic

PPO = {"num_steps": 32, "num_epochs": 2}
SAC = {"hidden": (16, 16), "batch_size": 16, "learning_starts": 60, "steps_per_iteration": 45}


def door_keys(mode):
    from envzoo.scripts.bench.kills import door_key

    return SyncVectorEnv([door_key] * 4, autoreset_mode=mode)


# Name: agent, source, hyperparameters, timesteps, packages. The budgets end inside episodes, after some have ended.
CASES = {
    "CartPole": ("PPO", lambda: "CartPole-v1", PPO, 1024, ()),
    "CartPole, one": ("PPO", lambda: "CartPole-v1", PPO | {"num_envs": 1}, 256, ()),
    "CartPole, recurrent": ("SubPO", lambda: "CartPole-v1", {"policy": "gru", "hidden": (8,), "num_envs": 3}, 200, ()),
    "CartPole, counting": ("CountBased", lambda: "CartPole-v1", PPO, 1024, ()),
    "CartPole, object": ("PPO", lambda: gym.make("CartPole-v1"), PPO, 256, ()),
    "CartPole, vector": (
        "PPO",
        lambda: gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync"),
        PPO,
        500,
        (),
    ),
    "Acrobot": ("PPO", lambda: "Acrobot-v1", PPO, 4608, ()),
    "FrozenLake": ("PPO", lambda: "FrozenLake-v1", PPO, 1024, ()),
    "DoorKey, same step": ("PPO", lambda: door_keys(AutoresetMode.SAME_STEP), PPO, 1280, ("minigrid",)),
    "DoorKey, next step": ("PPO", lambda: door_keys(AutoresetMode.NEXT_STEP), PPO, 1280, ("minigrid",)),
    "Pendulum": ("SAC", lambda: "Pendulum-v1", SAC, 270, ()),
    "HalfCheetah": ("SAC", lambda: gym.make("HalfCheetah-v5", max_episode_steps=70), SAC, 180, ("mujoco",)),
    "Hopper": ("SAC", lambda: "Hopper-v5", SAC | {"num_envs": 2}, 180, ("mujoco",)),
}


class Rows(Callback):
    def __init__(self):
        self.rows = []

    def on_iteration(self, agent, metrics):
        self.rows.append({name: value for name, value in metrics.items() if not name.startswith("time/")})


def learn(agent, steps):
    callback = Rows()
    agent.learn(steps, callback)
    return callback.rows


@pytest.mark.parametrize("case", CASES)
def test_saved_within_episodes_and_resumed_bit_for_bit(case, tmp_path, foreign):
    name, source, settings, steps, packages = CASES[case]
    foreign(*packages)
    one = envzoo.agents.make(name, source(), seed=3, device="cpu", **settings)
    first = learn(one, steps)
    assert any("rollout/return_mean" in row for row in first), "no episode ended before the agent was saved"
    one.save(tmp_path / "agent.zip")
    two = envzoo.agents.load(tmp_path / "agent.zip", source(), device="cpu")
    if one.experience.capture.kind == "replay":
        (notice,) = two.notices
        assert "were replayed, verified over" in notice
        assert name == "SubPO" or "over 0 steps" not in notice
    else:
        assert (one.experience.capture.kind, two.notices) == ("adapter", [])
    assert differing(one.state_dict(), two.state_dict())[0] == 0
    rows, others = learn(one, steps), learn(two, steps)
    assert any("rollout/return_mean" in row for row in rows), "no episode ended after the agent was saved"
    assert rows == others
    assert differing(one.state_dict(), two.state_dict())[0] == 0


def test_learners_of_bandits_replay_environments_that_run_one_by_one(tmp_path):
    def source():
        return SyncVectorEnv([lambda: gym.make("envzoo/LSDBandit-v0", max_episode_steps=40)] * 3)

    one = envzoo.agents.make("LSDUCB", source(), seed=3, device="cpu", rounds_per_iteration=70)
    one.learn(200)
    one.save(tmp_path / "agent.zip")
    two = envzoo.agents.load(tmp_path / "agent.zip", source(), device="cpu")
    assert two.notices == ["the running episodes of the training environment were replayed, verified over 78 steps"]
    assert learn(one, 200) == learn(two, 200)
    assert differing(one.state_dict(), two.state_dict())[0] == 0


def test_differing_bits_are_counted():
    tree = {"a": [np.zeros(3, np.float32), 1.0], "b": (np.ones(2, np.int64), "x")}
    assert differing(tree, tree)[0] == 0
    other = {"a": [np.array([0, 0, -0.0], np.float32), 1.0], "b": (np.ones(2, np.int64), "x")}
    assert differing(tree, other)[0] == 1
    assert differing(tree, {"a": tree["a"]})[0] > 0
    assert differing(tree, {**tree, "c": 1})[0] > 0


@pytest.mark.parametrize("case", ["other processes", "a wrapper", "other randomness"])
def test_where_episodes_cannot_be_replayed_new_ones_begin_and_a_notice_says_why(case, tmp_path):
    class Noisy(gym.ObservationWrapper):
        """Adds noise that no seed decides."""

        def observation(self, observation):
            return observation + np.float32(noise.normal(scale=1e-3))

    noise = np.random.default_rng()
    sources = {
        "other processes": lambda: AsyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2),
        "a wrapper": lambda: NormalizeObservation(gym.make("CartPole-v1")),
        "other randomness": lambda: Noisy(gym.make("CartPole-v1")),
    }
    reasons = {
        "other processes": "AsyncVectorEnv runs its environments in other processes",
        "a wrapper": "the wrapper NormalizeObservation may keep state",
        "other randomness": "gave other observations, rewards or ends",
    }
    one = envzoo.agents.make("PPO", sources[case](), seed=3, device="cpu", **PPO)
    one.learn(128)
    one.save(tmp_path / "agent.zip")
    two = envzoo.agents.load(tmp_path / "agent.zip", sources[case](), device="cpu")
    (notice,) = two.notices
    assert reasons[case] in notice
    assert "training continues from the start of new episodes" in notice
    assert two.experience.start.all()
    two.learn(128)
    for agent in (one, two):
        agent.experience.env.close()


def test_environments_with_a_vector_face_of_their_own_use_it_only_if_it_can_be_captured(monkeypatch):
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    from envzoo.agents.source import make_vector_env

    class Uncaptured(CartPoleVectorEnv):
        pass

    spec = gym.envs.registration.EnvSpec(
        "envzoo-tests/TwoFaces-v0", gym.spec("CartPole-v1").entry_point, vector_entry_point=Uncaptured
    )
    monkeypatch.setitem(gym.registry, spec.id, spec)
    assert type(make_vector_env("CartPole-v1", 3).unwrapped) is CartPoleVectorEnv
    assert type(make_vector_env(spec.id, 3).unwrapped) is SyncVectorEnv


@pytest.mark.parametrize("change", ["digest", "missing", "kind", "generator", "count"])
def test_damaged_records_in_checkpoints_give_one_sentence(change, tmp_path):
    one = envzoo.agents.make("PPO", "FrozenLake-v1", seed=3, device="cpu", **PPO)
    one.learn(256)
    one.save(tmp_path / "agent.zip")
    header, state = checkpoint.read(tmp_path / "agent.zip")
    env = state["parts"]["experience"]["env"]
    record = env["base"][2]
    if change == "digest":
        record["digest"] = [1, 2]
    elif change == "missing":
        del record["actions"]
    elif change == "kind":
        del env["kind"]
    elif change == "generator":
        record["generators"]["np_random"]["state"] = "PCG64"
    else:
        env["base"] = env["base"][1:]
    checkpoint.save(tmp_path / "agent.zip", header, state)
    with pytest.raises(CheckpointError, match="does not fit PPO on FrozenLake-v1"):
        envzoo.agents.load(tmp_path / "agent.zip", device="cpu")
