"""The policies of paper 07: which of their statistics are kept in 8 bits."""

import pytest

from envzoo.agents import make
from envzoo.scripts.experiments.p07_8bit_optimizers import worlds


@pytest.mark.parametrize(("optimizer", "bits"), [("adam", 32), ("adam8bit", 8)])
def test_bytes_of_the_statistics(optimizer, bits):
    agent = make("PPO", "CartPole-v1", seed=3, device="cpu", hidden=(256, 256), optimizer=optimizer, num_envs=2,
                 num_steps=4, num_epochs=1)  # fmt: skip
    agent.learn(8)
    found = worlds.weigh_statistics(agent)
    # Two networks of 4 inputs, 256 and 256 units, and 2 outputs or 1; only 256 x 256 weights are large enough.
    large, total = 2 * 256 * 256, sum(p.numel() for p in agent.policy.parameters())
    share = large / total if bits == 8 else 0.0
    assert found[worlds.SHARE] == pytest.approx(share, abs=1e-12)
    bytes_of_large = 2 * (1 + 4 / 256)  # two statistics, and a 32-bit maximum for each block of 256
    expected = (bytes_of_large * large + 8 * (total - large)) / (8 * total) if bits == 8 else 1.0
    assert found[worlds.STATE_BYTES] == pytest.approx(expected, abs=1e-12)


def test_the_arms_differ_by_their_optimizer_alone():
    for world in (worlds.CARTPOLE, worlds.COVERAGE):
        full, small = (arm for arm in worlds.ARMS if arm.name.startswith(world))
        assert {**full.hyperparameters, "optimizer": "adam8bit"} == dict(small.hyperparameters)
        assert (full.env, full.timesteps, full.seeds) == (small.env, small.timesteps, small.seeds)
