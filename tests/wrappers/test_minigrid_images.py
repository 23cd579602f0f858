"""MiniGrid's worlds as images: the same worlds, and agents that take them."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo import agents
from envzoo.errors import UnknownNameError, UnsupportedSpaceError

pytest.importorskip("minigrid")
WORLD = "envzoo.wrappers.minigrid_images:MiniGridImage-DoorKey-5x5-v0"


def test_the_world_is_that_of_minigrid():
    ours, theirs = gym.make(WORLD), gym.make("minigrid:MiniGrid-DoorKey-5x5-v0")
    assert isinstance(ours.observation_space, gym.spaces.Box)
    image, _ = ours.reset(seed=3)
    observation, _ = theirs.reset(seed=3)
    np.testing.assert_array_equal(image, observation["image"])
    for action in np.random.default_rng(0).integers(7, size=60):
        image, *rest = ours.step(action)
        observation, *expected = theirs.step(action)
        np.testing.assert_array_equal(image, observation["image"])
        assert rest[:3] == expected[:3]
        if any(rest[1:3]):
            break


def test_every_world_has_an_image():
    import envzoo.wrappers.minigrid_images  # noqa: F401

    worlds = {name.removeprefix("MiniGrid-") for name in gym.registry if name.startswith("MiniGrid-")}
    assert len(worlds) > 50
    assert {f"MiniGridImage-{world}" for world in worlds} <= set(gym.registry)


def test_an_agent_learns_on_images_and_names_them_where_it_cannot_read():
    agent = agents.make("PPO", WORLD, seed=0, num_envs=2, num_steps=16)
    agent.learn(total_timesteps=64)
    with pytest.raises(UnsupportedSpaceError, match=r"envzoo\.wrappers\.minigrid_images:MiniGridImage-"):
        agents.make("PPO", "minigrid:MiniGrid-DoorKey-5x5-v0", seed=0)


@pytest.mark.parametrize("world", ["Emptyy-5x5-v0", "x:Empty-5x5-v0"])
def test_the_name_of_a_world_imports_nothing(world, tmp_path, monkeypatch):
    (tmp_path / "MiniGrid-x.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    import envzoo.wrappers.minigrid_images  # noqa: F401

    with pytest.raises(UnknownNameError, match="unknown world of MiniGrid"):
        gym.make(WORLD.partition(":")[2], world=world)
