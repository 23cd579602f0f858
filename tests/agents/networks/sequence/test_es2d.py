"""Scans over images: exact inverses, reach of a pixel, cost, and the encoder of image observations."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from envzoo import agents
from envzoo.agents.networks.efficient_vmamba import EfficientVMamba, EVSSBlock
from envzoo.agents.networks.sequence.es2d import (
    ES2D,
    SS2D,
    SelectiveImageScan,
    full_merge,
    full_scan,
    skip_merge,
    skip_order,
    skip_scan,
)
from envzoo.errors import UnknownNameError, UnsupportedSpaceError

SIZES = [(4, 4), (5, 7), (6, 3), (1, 2), (1, 1)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_merging_undoes_the_skipping_scan(height, width):
    x = torch.randn(2, height, width, 3, generator=generator()).requires_grad_()
    tokens = skip_scan(x)
    assert tokens.shape == (2, 4, -(-height // 2) * -(-width // 2), 3)
    merged = skip_merge(tokens, height, width)
    assert torch.equal(merged, x)
    merged.square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())
    order = skip_order(height, width).flatten()
    assert sorted(order.tolist()) == list(range(len(order)))
    torch.testing.assert_close(full_merge(full_scan(x), height, width), 4 * x)


def test_order_of_the_grids_by_hand():
    assert skip_order(4, 4).tolist() == [[0, 2, 8, 10], [4, 12, 6, 14], [1, 3, 9, 11], [5, 13, 7, 15]]
    x = torch.arange(6.0).reshape(1, 2, 3, 1)
    assert full_scan(x)[0, :, :, 0].tolist() == [
        [0, 1, 2, 3, 4, 5],
        [0, 3, 1, 4, 2, 5],
        [5, 4, 3, 2, 1, 0],
        [5, 2, 4, 1, 3, 0],
    ]


@pytest.mark.parametrize("mode", ["skip", "full"])
def test_the_scan_is_its_recurrence(mode):
    scan = SelectiveImageScan(6, 4, 2, mode, generator()).double()
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64, generator=generator(1))
    read, merge = (skip_scan, skip_merge) if mode == "skip" else (full_scan, full_merge)
    tokens, outputs = read(x)[0], []
    for group in range(4):
        h, rows = torch.zeros(6, 4, dtype=torch.float64), []
        for u in tokens[group]:
            dt, b, c = (u @ scan.project[group]).split([2, 4, 4])
            delta = torch.log1p(torch.exp(dt @ scan.dt_weight[group] + scan.dt_bias[group]))
            h = torch.exp(-delta[:, None] * scan.log_a[group].exp()) * h + (delta * u)[:, None] * b
            rows.append(h @ c + scan.d[group] * u)
        outputs.append(torch.stack(rows))
    torch.testing.assert_close(scan(x), merge(torch.stack(outputs)[None], 4, 6))


def test_without_input_weights_only_the_skip_remains():
    scan = SelectiveImageScan(6, 4, 2, "skip", generator())
    with torch.no_grad():
        scan.project[:, :, 2:6] = 0  # B
    x = torch.randn(1, 5, 4, 6, generator=generator(1))
    torch.testing.assert_close(scan(x), x)


def reach(function, height, width, row, column):
    """Which inputs change an output, (height, width)."""
    x = torch.randn(1, height, width, 8, generator=generator(2)).requires_grad_()
    function(x)[0, row, column].square().sum().backward()
    return x.grad[0].abs().sum(dim=-1) > 0


def test_reach_of_the_scan_of_a_block_and_of_two():
    scan = SelectiveImageScan(8, 4, 1, "skip", generator())
    order = skip_order(6, 6)
    for group in range(4):
        for place in (0, 4, 8):
            row, column = divmod(int(order[group, place]), 6)
            found = set(torch.nonzero(reach(scan, 6, 6, row, column).flatten()).flatten().tolist())
            assert found == set(order[group, : place + 1].tolist())
    block, second = EVSSBlock(8, 4, generator=generator()), EVSSBlock(8, 4, generator=generator(1))
    found = reach(block, 6, 6, 3, 3)
    assert found[2:5, 2:5].all()
    both = reach(lambda x: second(block(x)), 6, 6, 5, 5)
    assert both[0, 0]


def test_es2d_scans_a_quarter_of_the_tokens_of_ss2d():
    x = torch.zeros(1, 32, 32, 2)
    assert skip_scan(x)[..., 0].numel() * 4 == full_scan(x)[..., 0].numel()
    assert ES2D(4, 4, generator=generator()).scan.mode == "skip"
    assert SS2D(4, 4, generator=generator()).scan.mode == "full"
    with pytest.raises(UnknownNameError, match="'skip'"):
        ES2D(4, mode="skipp")


def test_the_backbone_takes_any_size_and_every_weight_gets_a_gradient():
    for height, width in ((24, 24), (25, 11), (3, 3)):
        backbone = EfficientVMamba(3, generator=generator())
        y = backbone(torch.rand(2, 3, height, width, generator=generator(1)))
        assert y.shape == (2, 32)
    y.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in backbone.parameters())
    patches = EfficientVMamba._patches(torch.arange(12.0).reshape(1, 1, 3, 4), 2)
    assert patches[0].tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]], [[8, 9, 0, 0], [10, 11, 0, 0]]]


def test_one_image_does_not_depend_on_the_others_of_its_batch():
    backbone = EfficientVMamba(3, generator=generator())
    images = torch.rand(3, 3, 24, 24, generator=generator(1))
    torch.testing.assert_close(backbone(images)[1:2], backbone(images[1:2]), rtol=1e-5, atol=1e-5)


def test_an_agent_learns_with_it_on_images_and_refuses_vectors(tmp_path):
    small = {"num_envs": 2, "num_steps": 8, "num_epochs": 1, "minibatch_size": 8, "hidden": (8,), "device": "cpu"}
    agent = agents.make("PPO", "envzoo/PixelMatch-v0", encoder="efficient_vmamba", **small).learn(16)
    agent.save(tmp_path / "a.zip")
    again = agents.load(tmp_path / "a.zip")
    env = gym.make("envzoo/PixelMatch-v0")
    observation, _ = env.reset(seed=0)
    assert agent.predict(observation)[0] == again.predict(observation)[0]
    z = agent.policy.actor_encoder.features(torch.from_numpy(observation.reshape(1, -1)))
    assert np.isfinite(z.detach().numpy()).all()
    assert isinstance(agent.policy.actor_encoder.backbones, nn.ModuleList)
    with pytest.raises(UnsupportedSpaceError, match="efficient_vmamba encoder needs an image"):
        agents.make("PPO", "envzoo/TMaze-v0", encoder="efficient_vmamba", **small)
