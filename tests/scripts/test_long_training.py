"""Datasets of agents that learn for hours: resumed runs, episodes of the learning, and the quick form."""

import gymnasium as gym
import minari
import numpy as np
import pytest

from envzoo import agents
from envzoo.datasets import recipes as known
from envzoo.datasets import register
from envzoo.datasets.hosted import hosted_references
from envzoo.datasets.recipes import HostedReference, LongTraining, Recipe
from envzoo.errors import DatasetError, EnvzooError
from envzoo.scripts import long_training
from envzoo.scripts.cli import main
from envzoo.scripts.long_training import gather, replayed_episodes
from envzoo.scripts.make_dataset import make_dataset

SMALL = {"hidden": (4,), "batch_size": 4, "learning_starts": 20, "steps_per_iteration": 25}


def recipe(quality):
    policy = LongTraining("SAC", 500, 0.1, replay=quality == "replay", quick_timesteps=450, hyperparameters=SMALL)
    return Recipe(f"test/pendulum/{quality}-v0", "Pendulum-v1", policy, HostedReference("mujoco/hopper/"), "A test.")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    for quality in ("final", "replay"):
        if f"test/pendulum/{quality}-v0" not in known():
            register(recipe(quality))


def equal(one, other):
    names = ("observations", "actions", "rewards", "terminations", "truncations")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_episodes_of_the_learning(tmp_path):
    """A time limit of 200 steps, and what SAC played: the actions lead from one observation to the next."""
    agent = long_training.learn(recipe("replay"), folder=tmp_path / "run")
    episodes = replayed_episodes(agent)
    assert [len(episode.rewards) for episode in episodes] == [200, 200]  # the third one of 500 steps was not finished
    rows = agent.buffer.state_dict()["rows"]
    for number, episode in enumerate(episodes):
        part = slice(200 * number, 200 * (number + 1))
        assert np.array_equal(episode.observations[:-1], rows["observation"][part].numpy())
        assert np.array_equal(episode.observations[1:], rows["next_observation"][part].numpy())
        assert not episode.terminations.any()
        assert episode.truncations.tolist() == [False] * 199 + [True]
        env = gym.make("Pendulum-v1")
        env.reset(seed=0)
        cosine, sine, speed = episode.observations[0]
        env.unwrapped.state = np.array([np.arctan2(sine, cosine), speed])
        seen = [env.step(action) for action in episode.actions[:5]]
        assert np.allclose([step[0] for step in seen], episode.observations[1:6], atol=1e-4)
        assert np.allclose([step[1] for step in seen], episode.rewards[:5], atol=1e-3)
        env.close()


def test_a_run_that_was_interrupted_continues(tmp_path, monkeypatch):
    whole = gather(recipe("replay"), 5, folder=tmp_path / "whole")
    from envzoo.agents.callbacks import Checkpoints

    before = Checkpoints.on_iteration

    def die(self, agent, metrics):
        before(self, agent, metrics)
        if agent.num_timesteps >= 300:
            raise KeyboardInterrupt
        return True

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_iteration", die)
        with pytest.raises(KeyboardInterrupt):
            gather(recipe("replay"), 5, folder=tmp_path / "cut")
    again = gather(recipe("replay"), 5, folder=tmp_path / "cut")
    assert len(again) == len(whole) == 2
    assert all(equal(one, other) for one, other in zip(whole, again, strict=True))


def test_both_qualities_share_a_run_and_the_quick_form_has_its_own(tmp_path):
    replay, final = recipe("replay"), recipe("final")
    assert long_training.run_folder(replay, False) == long_training.run_folder(final, False)
    assert long_training.run_folder(replay, False) != long_training.run_folder(replay, True)


def test_the_quick_form_from_the_command_line(tmp_path, capsys):
    assert main(["make-dataset", "test/pendulum/replay-v0", "--quick"]) == 0
    assert "repeat the command to continue" in capsys.readouterr().err
    dataset = minari.load_dataset("test/pendulum/replay-quick-v0")
    assert dataset.total_episodes == 2
    assert (dataset.storage.metadata["ref_min_score"], dataset.storage.metadata["ref_max_score"]) == (
        hosted_references("mujoco/hopper/medium-v0")
    )
    make_dataset("test/pendulum/final-v0", quick=True, quiet=True, episodes=2)
    assert minari.load_dataset("test/pendulum/final-quick-v0").total_episodes == 2
    runs = list((tmp_path / "runs/datasets").iterdir())
    assert [path.name for path in runs] == ["SAC-Pendulum-v1-seed0-quick"]


def test_refusals(tmp_path):
    with pytest.raises(EnvzooError, match="--quick is for recipes that learn for hours"):
        make_dataset("envzoo/line-world/easy-v0", quick=True)
    small = agents.make("SAC", "Pendulum-v1", device="cpu", buffer_size=50, **SMALL).learn(75)
    with pytest.raises(DatasetError, match="holds 50 of 75 steps in 1 environments; expected all steps of one"):
        replayed_episodes(small)


def test_the_recipes_of_mujoco():
    found = {name: row for name, row in known().items() if isinstance(row.policy, LongTraining) and "test/" not in name}
    assert set(found) == {
        f"envzoo/{world}/{quality}-v0"
        for world in ("halfcheetah", "hopper", "walker2d")
        for quality in ("medium", "medium-replay")
    }
    for row in found.values():
        assert "hours" in row.description
        low, high = hosted_references(row.reference.hosted_id)
        assert low < high


def test_a_short_run_of_hopper(tmp_path):
    pytest.importorskip("mujoco")
    row = known()["envzoo/hopper/medium-replay-v0"]
    short = LongTraining("SAC", 80, 0.1, replay=True, hyperparameters=SMALL)
    episodes = gather(Recipe(row.id, row.env_id, short, row.reference, "A test."), 5, folder=tmp_path / "run")
    assert episodes
    assert all(episode.observations.shape == (len(episode.rewards) + 1, 11) for episode in episodes)
    assert all(episode.terminations[-1] for episode in episodes)
