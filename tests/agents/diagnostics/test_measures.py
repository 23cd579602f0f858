"""Measures of representations against the values that can be known exactly, and the probe that logs them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from envzoo import agents
from envzoo.agents.callbacks import RepresentationProbe
from envzoo.agents.diagnostics import dormant_share, dse, dsmi, effective_rank, median_distance
from envzoo.agents.diagnostics.spectral_entropy import (
    as_classes,
    diffusion_matrix,
    spectral_entropy,
    squared_distances,
)
from envzoo.errors import EnvzooError, UnknownNameError

both = pytest.mark.parametrize("normalisation", ["code", "paper"])


def clusters(k, each=6, dimensions=4):
    return np.repeat(np.arange(k)[:, None] * 1e4 * np.ones(dimensions), each, axis=0)


# ---------------------------------------------------------------------------- entropy


@both
@pytest.mark.parametrize("t", [0.5, 1, 3])
def test_exact_limits(normalisation, t):
    more = {"t": t, "normalisation": normalisation}
    assert dse(np.ones((50, 3)), **more) == pytest.approx(0, abs=1e-4 if t < 1 else 1e-9)
    assert dse(np.arange(50)[:, None] * 1e4, **more) == pytest.approx(np.log2(50), abs=1e-9)
    for k in (2, 4, 8):
        assert dse(clusters(k), **more) == pytest.approx(np.log2(k), abs=1e-4 if t < 1 else 1e-9)


def test_a_uniform_spectrum_has_the_entropy_of_its_size():
    assert float(spectral_entropy(torch.tensor([1.0, 1.0, -1.0, 1.0, 0.0], dtype=torch.float64))) == 2


@both
@given(seed=st.integers(0, 10**6), sigma=st.floats(0.1, 20))
@settings(max_examples=25, deadline=None)
def test_invariances_bounds_and_the_top_eigenvalue(normalisation, seed, sigma):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(30, 5)) * 3
    value = dse(z, sigma, normalisation=normalisation)
    assert -1e-9 <= value <= np.log2(30) + 1e-9
    rotation = np.linalg.qr(generator.normal(size=(5, 5)))[0]
    for other in (z @ rotation, z + 7, z[generator.permutation(30)]):
        assert dse(other, sigma, normalisation=normalisation) == pytest.approx(value, abs=1e-8)
    assert dse(z * 100, sigma * 100, normalisation=normalisation) == pytest.approx(value, abs=1e-8)
    assert dse(z, sigma, 2, normalisation=normalisation) <= value + 1e-9
    values = torch.linalg.eigvalsh(diffusion_matrix(squared_distances(torch.from_numpy(z)), sigma, normalisation))
    assert float(values[-1]) == pytest.approx(1, abs=1e-12)
    assert float(values[0]) >= -1e-12


def test_the_matrix_of_the_paper_has_the_eigenvalues_of_its_random_walk():
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3)))
    squared = squared_distances(z)
    k = diffusion_matrix(squared, 1.5)
    walk = k / k.sum(dim=1, keepdim=True)
    expected = np.sort(np.linalg.eigvals(walk.numpy()).real)
    np.testing.assert_allclose(torch.linalg.eigvalsh(diffusion_matrix(squared, 1.5, "paper")), expected, atol=1e-12)
    g = torch.exp(-squared / (2 * 1.5**2))
    plain = np.sort(np.linalg.eigvals((g / g.sum(dim=1, keepdim=True)).numpy()).real)
    np.testing.assert_allclose(torch.linalg.eigvalsh(k), plain, atol=1e-12)
    np.testing.assert_allclose(squared, ((z[:, None] - z[None]) ** 2).sum(-1), atol=1e-12)


# ---------------------------------------------------------------------------- information


@both
def test_information_of_clusters_is_their_entropy_less_what_subsets_miss(normalisation):
    z, labels = clusters(4, each=20), np.repeat(np.arange(4), 20)
    found = dsmi(z, labels, normalisation=normalisation)
    assert dse(z[labels == 0], normalisation=normalisation) == pytest.approx(0, abs=1e-9)
    assert 1.7 < found <= 2 + 1e-12  # random subsets of 20 contain the clusters in unequal numbers
    assert dsmi(z, np.zeros(80, int), normalisation=normalisation) == pytest.approx(0, abs=1e-12)


def test_constant_labels_tell_nothing_and_random_ones_hardly_anything():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(600, 6)) * 10
    assert abs(dsmi(z, np.full(600, 3))) < 1e-12
    assert abs(dsmi(z, np.full(600, 0.5))) < 1e-12
    assert abs(dsmi(z, generator.integers(0, 4, 600))) < 0.1
    assert dsmi(z, np.arange(600)) == 0  # classes of one sample


def test_labels_become_classes():
    assert as_classes([0.0, 0.05, 0.1, 0.95, 1.0], 5).tolist() == [0, 0, 1, 9, 9]
    assert as_classes(np.array([[3], [5]]), 2).tolist() == [3, 5]
    assert as_classes([True, False], 2).tolist() == [1, 0]
    with pytest.raises(EnvzooError, match=r"labels have the shape \(3,\); expected one for each of the 2 samples"):
        as_classes([1, 2, 3], 2)
    for wrong in (["a", "b"], [np.nan, 1.0]):
        with pytest.raises(EnvzooError, match="expected integers, or finite numbers"):
            as_classes(wrong, 2)


# ---------------------------------------------------------------------------- units


def test_effective_rank():
    assert effective_rank(np.eye(7)) == pytest.approx(7)
    assert effective_rank(np.ones((5, 4))) == pytest.approx(1)
    assert effective_rank(np.zeros((5, 4))) == 0
    values = np.array([3.0, 1.0])
    p = values / 4
    assert effective_rank(np.diag(values)) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_dormant_share():
    z = np.array([[1.0, 0.0, -1.0, 0.01], [1.0, 0.0, -3.0, 0.01]])
    assert dormant_share(z) == 0.5
    assert dormant_share(z, 0) == 0.25
    assert dormant_share(np.ones((3, 4))) == 0
    assert dormant_share(np.zeros((3, 4))) == 1


def test_median_distance():
    assert median_distance([[0.0], [1.0], [5.0]]) == 4
    assert median_distance([[2.0]]) == 0


def test_bad_input_gets_one_sentence():
    with pytest.raises(EnvzooError, match="NaN or infinite"):
        dse(np.array([[np.nan]]))
    with pytest.raises(EnvzooError, match=r"shape \(3,\); expected \(samples, features\)"):
        dse(np.ones(3))
    with pytest.raises(EnvzooError, match="sigma is 0; expected a positive number"):
        dse(np.ones((3, 2)), 0)
    with pytest.raises(UnknownNameError, match="'paper'"):
        dse(np.ones((3, 2)), normalisation="papers")
    with pytest.raises(EnvzooError, match="features have the shape"):
        effective_rank(np.ones(3))


# ---------------------------------------------------------------------------- the probe

SMALL = {"num_envs": 2, "num_steps": 8, "num_epochs": 2, "minibatch_size": 8, "hidden": (6,)}
OBSERVATIONS = np.array([0, 1, 2, 3] * 5)


def make(name="PPO", **changes):
    return agents.make(name, "envzoo/TMaze-v0", device="cpu", **(SMALL | changes))


def learn(probe, agent=None, steps=96):
    agent, rows = make() if agent is None else agent, []
    agent.learn(steps, callback=[probe, lambda agent, metrics: rows.append(dict(metrics))])
    return agent, rows


def test_the_probe_logs_when_due_and_changes_nothing():
    probe = RepresentationProbe(OBSERVATIONS, OBSERVATIONS % 2, every=48)
    agent, rows = learn(probe)
    due = [number for number, row in enumerate(rows) if "representation/dse" in row]
    assert due == [0, 2, 5]  # before the first update, at 48 and at 96 timesteps
    names = {name.partition("/")[2] for name in rows[0] if name.startswith("representation/")}
    assert names == {
        *("dse", "dsmi", "dse_median", "dsmi_median", "median_distance", "effective_rank", "dormant_share"),
    }
    z = probe.represent(agent)
    x = torch.from_numpy(agent.codec.pack(OBSERVATIONS))
    torch.testing.assert_close(z, agent.policy.actor_encoder.features(x).detach())
    assert rows[-1]["representation/dse"] == dse(z)
    plain = make().learn(96)
    for mine, theirs in zip(plain.policy.parameters(), agent.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_first_measurement_is_that_of_the_initial_weights():
    probe = RepresentationProbe(OBSERVATIONS, every=10**6)
    fresh = make()
    x = torch.from_numpy(fresh.codec.pack(OBSERVATIONS))
    before = effective_rank(fresh.policy.actor_encoder.features(x))
    _, rows = learn(probe, steps=64)
    assert rows[0]["representation/effective_rank"] == pytest.approx(before)
    assert "representation/dsmi" not in rows[0]


@pytest.mark.parametrize("encoder", ["gru", "s4d", "mamba", "hopfield"])
def test_recurrent_encoders_are_probed_with_an_empty_memory(encoder):
    probe = RepresentationProbe(OBSERVATIONS)
    agent, _ = learn(probe, make(encoder=encoder), 16)
    assert probe.represent(agent).shape == (20, 6)
    assert ("ssm/eig_pos_fraction" in probe.measure(agent)) == (encoder == "mamba")


def test_a_layer_by_name():
    probe = RepresentationProbe(OBSERVATIONS, layer="policy.critic_head")
    with pytest.raises(EnvzooError, match="takes no part in the encoding"):
        learn(probe)
    probe = RepresentationProbe(OBSERVATIONS, layer="policy.actor_encoder.net.layers.0")
    agent, _ = learn(probe, make(hidden=(6, 5)), 16)
    layer = agent.policy.actor_encoder.net.layers[0]
    assert isinstance(layer, nn.Linear)
    torch.testing.assert_close(probe.represent(agent), layer(torch.eye(4))[OBSERVATIONS].detach())
    with pytest.raises(UnknownNameError, match="unknown layer 'policy"):
        learn(RepresentationProbe(OBSERVATIONS, layer="policy.actor_encoder.nets"))


@pytest.mark.parametrize("name", ["SACDiscrete", "SubPO"])
def test_other_agents_can_be_probed(name):
    changes = {"policy": "mlp"} if name == "SubPO" else {"learning_starts": 4, "batch_size": 4}
    agent = agents.make(
        name, "envzoo/TMaze-v0", env_kwargs={"length": 2}, device="cpu", num_envs=2, hidden=(6,), **changes
    )
    _, rows = learn(RepresentationProbe(OBSERVATIONS, every=16), agent, 32)
    assert rows[-1]["representation/dse"] >= 0


def test_what_the_probe_refuses():
    for arguments, sentence in (
        ({"observations": 2}, "given one observation; expected a batch"),
        ({"observations": np.zeros(1, int)}, "given 1 observations; expected 2 to 1024"),
        ({"observations": OBSERVATIONS, "labels": [1, 2]}, r"labels have the shape \(2,\); expected one for each of"),
        ({"observations": OBSERVATIONS, "every": 0}, "every is 0"),
    ):
        with pytest.raises(EnvzooError, match=sentence):
            learn(RepresentationProbe(**arguments))
    with pytest.raises(EnvzooError, match="Random has no encoder"):
        learn(RepresentationProbe(OBSERVATIONS), agents.make("Random", "envzoo/TMaze-v0"))
    with pytest.raises(EnvzooError, match="SubPO has no encoder"):
        learn(RepresentationProbe(OBSERVATIONS), agents.make("SubPO", "envzoo/TMaze-v0", num_envs=2))
