"""Penalties: closed forms of two members, the law of total variance, bounds, and the learned weight."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from envzoo.agents.offline import penalties as p
from envzoo.agents.offline.penalties import PENALTIES, AutoPenalty, find_penalty, register_penalty
from envzoo.errors import EnvzooError, UnknownNameError

SEEDS = st.integers(0, 10**6)


def predictions(seed, members=4, rows=5, columns=3):
    """Means, standard deviations, a sample and its member, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(members, rows, columns, generator=generator, dtype=torch.float64)
    std = torch.rand(members, rows, columns, generator=generator, dtype=torch.float64) + 0.1
    member = torch.randint(members, (rows,), generator=generator)
    return mean, std, mean[member, torch.arange(rows)] + 0.3, member


@pytest.mark.parametrize(("m", "s"), [(0.5, 1.0), (2.0, 0.3), (1e-3, 1.0)])
def test_two_members_in_one_dimension(m, s):
    """Means +-m and equal standard deviations s, with the first mean as the sample."""
    mean = torch.tensor([[[m]], [[-m]]], dtype=torch.float64)
    arguments = (mean, torch.full_like(mean, s), mean[0], torch.tensor([0]))
    expected = {
        "max_aleatoric": s,
        "max_pairwise_difference": 2 * m,
        "log_likelihood_variance": m**4 / s**4,
        "leave_one_out_divergence": 2 * m**2 / s**2,
        "ensemble_std": m,
        "ensemble_variance": s**2 + m**2,
        "mixture_std": (s**2 + m**2) ** 0.5,
    }
    assert expected.keys() <= PENALTIES.keys()
    for name, value in expected.items():
        assert PENALTIES[name](*arguments).tolist() == pytest.approx([value], rel=1e-9)


@given(SEEDS)
def test_the_law_of_total_variance(seed):
    mean, std, sample, member = predictions(seed)
    second = (std**2 + mean**2).mean(dim=0) - mean.mean(dim=0) ** 2
    found = p.ensemble_variance(mean, std, sample, member)
    assert torch.allclose(found, second.sum(dim=-1), rtol=1e-9)
    aleatoric = (std**2).mean(dim=0).sum(dim=-1)
    assert torch.allclose(found, aleatoric + p.ensemble_std(mean, std, sample, member) ** 2, rtol=1e-9)
    assert torch.allclose(p.mixture_std(mean, std, sample, member) ** 2, found, rtol=1e-9)


@given(SEEDS)
def test_bounds_of_the_pairwise_difference(seed):
    mean, std, sample, member = predictions(seed)
    furthest = (mean - mean.mean(dim=0)).norm(dim=-1).amax(dim=0)
    found = p.max_pairwise_difference(mean, std, sample, member)
    assert (found >= furthest - 1e-12).all()
    assert (found <= 2 * furthest + 1e-12).all()
    brute = torch.stack([(a - b).norm(dim=-1) for a in mean for b in mean]).amax(dim=0)
    assert torch.allclose(found, brute, rtol=1e-12)


@given(SEEDS)
def test_the_order_of_members_does_not_matter(seed):
    mean, std, sample, member = predictions(seed)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    moved = order.argsort()[member]
    for name, penalty in PENALTIES.items():
        again = penalty(mean[order], std[order], sample, moved)
        assert torch.allclose(penalty(mean, std, sample, member), again, rtol=1e-9), name


@given(SEEDS)
def test_leave_one_out_against_torch(seed):
    mean, std, sample, member = predictions(seed)
    found = p.leave_one_out_divergence(mean, std, sample, member)
    for row, one in enumerate(member.tolist()):
        others = [j for j in range(4) if j != one]
        centre = mean[others, row].mean(dim=0)
        spread = ((std[others, row] ** 2 + mean[others, row] ** 2).mean(dim=0) - centre**2).sqrt()
        law, rest = (
            torch.distributions.Normal(mean[one, row], std[one, row]),
            torch.distributions.Normal(centre, spread),
        )
        expected = torch.distributions.kl_divergence(law, rest).sum()
        assert float(found[row]) == pytest.approx(float(expected), rel=1e-9)


@given(SEEDS)
def test_log_likelihood_variance_against_torch(seed):
    mean, std, sample, member = predictions(seed)
    logs = torch.distributions.Normal(mean, std).log_prob(sample).sum(dim=-1)
    expected = logs.numpy().var(axis=0)
    assert p.log_likelihood_variance(mean, std, sample, member).numpy() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("members", [1, 3])
def test_equal_members_do_not_disagree(members):
    mean, std, sample, _ = predictions(0, members=1)
    mean, std = mean.expand(members, -1, -1), std.expand(members, -1, -1)
    member = torch.zeros(5, dtype=torch.int64)
    for name in ("max_pairwise_difference", "log_likelihood_variance", "leave_one_out_divergence", "ensemble_std"):
        assert PENALTIES[name](mean, std, sample, member).abs().max() < 1e-12, name
    assert torch.allclose(p.mixture_std(mean, std, sample, member), p.max_aleatoric(mean, std, sample, member))


def test_every_penalty_is_one_number_per_row():
    arguments = predictions(1)
    for name, penalty in PENALTIES.items():
        found = penalty(*arguments)
        assert found.shape == (5,), name
        assert (found >= 0).all(), name


@pytest.mark.parametrize("u", [0.2, 1.0, 3.0])
def test_the_learned_weight_reaches_its_target(u):
    auto = AutoPenalty(target=1.5)
    noise = np.random.default_rng(0).uniform(0.8, 1.2, 500)
    for factor in noise:
        auto.update(torch.tensor(u * factor))
    assert abs(float(auto.value) * u - 1.5) < 0.15


def test_one_step_of_the_learned_weight_by_hand():
    """The gradient of log lambda is lambda (lambda u - target); Adam's first step is its rate."""
    auto = AutoPenalty(target=1.5, initial=2.0)
    assert float(auto.update(torch.tensor(3.0))) == pytest.approx(2.0 * (6.0 - 1.5))
    assert float(auto.log_value.detach()) == pytest.approx(np.log(2.0) - 0.01, abs=1e-6)


def test_refusals():
    with pytest.raises(UnknownNameError, match="did you mean 'ensemble_std'"):
        find_penalty("ensemble_sdt")
    with pytest.raises(EnvzooError, match="a name of its own"):
        register_penalty("ensemble_std", p.ensemble_std)
    with pytest.raises(EnvzooError, match="a penalty is a function"):
        register_penalty("another", 3)
