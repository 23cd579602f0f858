"""The comparison of memories: what is cloned, and that only a memory can earn more than the best blind policy."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo.scripts.experiments.memory_encoders import arms
from envzoo.scripts.experiments.memory_encoders.arms import CUES, Walker, walk
from envzoo.scripts.experiments.memory_encoders.experiment import BLIND, ENCODERS, EXPERIMENT, LENGTHS, WINDOW, on


def test_a_policy_without_memory_earns_at_most_what_a_blind_one_does():
    for seed in range(3):
        assert walk(seed, 30, True, "mlp", 4)["scores"]["return"] <= BLIND + 1e-9


def test_a_memory_learns_a_short_corridor():
    found = walk(0, 200, True, "s4d", 3)
    assert found == {"scores": {"return": 4.0}}
    assert walk(0, 200, True, "s4d", 3) == found


@pytest.mark.parametrize("encoder", [name for name in ENCODERS.values() if name != "mlp"])
def test_walking_step_by_step_follows_the_logits_of_the_whole_walk(encoder, monkeypatch):
    env = gym.make_vec("envzoo/TMaze-v0", num_envs=2, length=5)
    walker = Walker(encoder, env, torch.Generator().manual_seed(1))
    torch.nn.init.normal_(walker.head.weight, generator=torch.Generator().manual_seed(2))
    seen, taken, step = [], [], env.step
    packed, pack = walker.pack, lambda observation: seen.append(packed(observation)) or seen[-1]
    monkeypatch.setattr(walker, "pack", pack)
    monkeypatch.setattr(env, "step", lambda actions: taken.append(actions) or step(actions))
    assert -1.0 < walker.play(env) <= 4.0
    with torch.no_grad():
        chosen = walker(torch.stack(seen)).argmax(-1).numpy()
    np.testing.assert_array_equal(chosen, np.stack(taken))


def test_every_encoder_walks_every_corridor_and_windows_are_shorter_than_two_of_them():
    assert {arm.name for arm in EXPERIMENT.arms} == {on(name, length) for name in ENCODERS for length in LENGTHS}
    assert sum(length >= WINDOW for length in LENGTHS) == 2
    assert list(CUES) == [1, 2]
    assert arms.FORWARD == 0
