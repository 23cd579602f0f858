"""Tests of exact statements about changes of entropy: the entropy mechanism, STEER and AEPO."""

import itertools
import math

import numpy as np
import pytest
import torch
from reasoning_numbers import batch, cov, entropy_change, generator, random

from envzoo.agents.reasoning import aepo_arbitrary as aepo
from envzoo.agents.reasoning import entropy_mechanism as covariance
from envzoo.agents.reasoning import steer
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import entropy_of_logits
from envzoo.errors import EnvzooError, UnknownNameError

ETA = 1e-5


# ---------------------------------------------------------------------------- entropy mechanism


@pytest.mark.parametrize("seed", range(4))
def test_first_order_changes_of_entropy(seed):
    z, a = random(10, seed=seed), random(10, seed=seed + 50)
    log_p = torch.log_softmax(z, 0)
    p, h = log_p.exp(), entropy_of_logits(z)
    dz = random(10, seed=seed + 99)
    assert entropy_change(z, ETA * dz) == pytest.approx(-ETA * cov(p, log_p, dz).item(), rel=1e-3)
    centred = a - (p * a).sum()
    assert entropy_change(z, ETA * p * centred) == pytest.approx(-ETA * cov(p, log_p, p * centred).item(), rel=1e-3)
    assert entropy_change(z, ETA * a) == pytest.approx(-ETA * cov(p, log_p, a).item(), rel=1e-3)
    k, w = seed, 1.7
    one = torch.zeros(10, dtype=torch.float64)
    one[k] = 1
    expected = -ETA * w * a[k] * (p[k] * (log_p[k] + h) - (p**2 * (log_p + h)).sum())
    assert entropy_change(z, ETA * w * a[k] * (one - p)) == pytest.approx(expected.item(), rel=1e-3)


def test_token_covariance():
    logp, _, a, mask = batch()
    c = covariance.token_covariance(logp, a, mask)
    x, y = logp[mask > 0], a[mask > 0]
    torch.testing.assert_close(c[mask > 0], (x - x.mean()) * (y - y.mean()))
    assert c[mask > 0].mean().item() == pytest.approx(np.cov(x, y, bias=True)[0, 1])
    assert (c[mask == 0] == 0).all()


def test_kl_cov_changes_the_largest_covariances_only():
    logp, old, a, mask = batch()
    plain = -a * torch.exp(logp - old)
    c = covariance.token_covariance(logp, a, mask)
    loss, metrics = covariance.kl_cov(logp, old, a, mask, fraction=0.0, beta=2.0)
    changed = (loss != plain).nonzero().tolist()
    best = torch.where(mask > 0, c, -torch.inf).argmax()
    assert changed == [[int(best) // 5, int(best) % 5]]
    torch.testing.assert_close((loss - plain).sum(), 2 * (logp - old).abs().flatten()[best])
    loss, metrics = covariance.kl_cov(logp, old, a, mask, fraction=0.25)
    assert ((loss != plain).sum(), round(metrics["chosen_fraction"].item() * 20)) == (5, 5)
    assert metrics["covariance"].item() == pytest.approx(c[mask > 0].mean().item())
    loss, metrics = covariance.kl_cov(logp, old, 0 * a, mask)
    assert (loss == 0).all()
    assert metrics["chosen_fraction"] == 0
    with pytest.raises(UnknownNameError, match="unknown penalty 'k4'"):
        covariance.kl_cov(logp, old, a, mask, penalty="k4")


@pytest.mark.parametrize("seed", range(5))
def test_clip_cov_takes_tokens_among_its_candidates_only(seed):
    logp, old, a, mask = batch(seed)
    logp.requires_grad_()
    plain, clipped = ppo_clip_per_token(logp, old, a, 0.2, 0.2)
    c = covariance.token_covariance(logp, a, mask)
    for fraction, low in ((0.1, 0.0), (1.0, 0.0), (0.2, 0.3), (0.5, 99.0)):
        loss, metrics = covariance.clip_cov(
            logp, old, a, mask, generator(seed), fraction, low, 100.0, eps_low=0.2, eps_high=0.2
        )
        candidates = (c > low) & (c < 100) & ~clipped & (mask > 0)
        removed = loss != plain
        assert removed.sum() == min(max(1, int(fraction * 20)), int(candidates.sum()))
        assert not (removed & ~candidates).any()
        assert (loss[removed] == 0).all()
        (gradient,) = torch.autograd.grad(loss.sum(), logp)
        assert (gradient[removed] == 0).all()
    _, metrics = covariance.clip_cov(logp, old, 0 * a, mask, generator())
    assert metrics["chosen_fraction"] == 0
    quantile, _ = covariance.clip_cov(logp, old, a, mask, generator(), 1.0, low_quantile=0.5, eps_low=9, eps_high=9)
    above = (c > c[mask > 0].sort().values[round(0.5 * 19)]) & (c < 5.0) & (mask > 0)
    assert (quantile == 0)[mask > 0].sum() >= above.sum() > 0


def test_entropy_law():
    h = np.linspace(0.1, 1.2, 7)
    a, b, r2 = covariance.fit_entropy_law(h, 0.9 - 0.25 * np.exp(h))
    assert (a, b, r2) == pytest.approx((0.25, 0.9, 1.0))
    points, rewards = np.array([1.05, 0.92, 0.53, 0.33, 0.18]), np.array([0.10, 0.23, 0.39, 0.50, 0.60])
    a, b, r2 = covariance.fit_entropy_law(points, rewards)
    residual = rewards - (b - a * np.exp(points))  # least squares: orthogonal to 1 and to exp(H)
    assert (residual.sum(), residual @ np.exp(points)) == pytest.approx((0, 0), abs=1e-12)
    assert r2 == pytest.approx(np.corrcoef(rewards, np.exp(points))[0, 1] ** 2)


# ---------------------------------------------------------------------------- STEER


@pytest.mark.parametrize("seed", range(4))
def test_the_entropy_follows_the_estimate_when_one_logit_moves(seed):
    z = random(10, seed=seed)
    log_p = torch.log_softmax(z, 0)
    h = entropy_of_logits(z)
    for k, a in itertools.product(range(10), (1.0, -1.0)):
        old = log_p[k] - 0.1  # so r = exp(0.1)
        omega = steer.entropy_change_estimate(
            log_p[k].view(1, 1), old.view(1, 1), torch.full((1, 1), a, dtype=torch.float64), h.view(1, 1)
        ).item()
        dz = torch.zeros(10, dtype=torch.float64)
        dz[k] = ETA * math.exp(0.1) * a * (1 - log_p[k].exp())
        assert entropy_change(z, dz) == pytest.approx(-ETA * omega, rel=1e-3)
        # Four quadrants: a rewarded token more probable than exp(-H) lowers the entropy.
        assert (omega > 0) == ((a > 0) == (log_p[k] > -h))


def test_official_estimate_lacks_a_factor_p():
    logp, old, a, mask = batch()
    h = random(6, 5, seed=9).abs()
    derived = steer.entropy_change_estimate(logp, old, a, h)
    official = steer.entropy_change_estimate(logp, old, a, h, form="official")
    inside = old < 0
    torch.testing.assert_close(official[inside] * logp.exp()[inside] * 1.0, (derived / 1.0)[inside])
    clipped = torch.zeros_like(mask, dtype=torch.bool)
    clipped[0] = True
    assert (steer.entropy_change_estimate(logp, old, a, h, clipped)[0] == 0).all()
    with pytest.raises(UnknownNameError, match="unknown form"):
        steer.entropy_change_estimate(logp, old, a, h, form="code")


def test_steer_weights():
    omega = random(6, 5)
    mask = batch()[3]
    omega[mask == 0] = 1e6  # padding never sets the maximum
    weight = steer.steer_weight(omega, mask, 0.3)
    valid = mask > 0
    size, kept = omega[valid].abs(), weight[valid]
    assert kept.min().item() == pytest.approx(0.3)
    assert kept.argmin() == size.argmax()
    assert ((kept >= 0.3) & (kept <= 1)).all()
    assert (kept[size.argsort()].diff() <= 0).all()
    torch.testing.assert_close(kept, 0.3 ** (size / size.max()))
    assert (weight[~valid] == 0).all()
    assert (steer.steer_weight(0 * omega, mask, 0.3)[valid] == 1).all()
    assert (steer.steer_weight(omega, mask, 1.0)[valid] == 1).all()
    floored = steer.steer_weight(omega, mask, 0.3, floor=10 * size.max().item())
    assert floored[valid].min().item() == pytest.approx(0.3**0.1)
    linear = steer.steer_weight(omega, mask, 0.8, form="linear")[valid]
    assert (linear.min().item(), linear.max().item()) == pytest.approx((0.8, 1.2))
    assert steer.steer_weight(0 * omega, mask, 0.8, form="linear")[valid].unique().tolist() == [1.0]
    high = steer.steer_weight(omega, mask, 0.8, floor=10 * size.max().item(), form="linear")[valid]
    assert torch.equal(high, linear)  # only the exponential form has a floor
    with pytest.raises(EnvzooError, match=r"lies in \(0, 1\], got 0"):
        steer.steer_weight(omega, mask, 0.0)


# ---------------------------------------------------------------------------- AEPO


def test_rewarded_hot_samples_raise_the_entropy_and_cool_ones_lower_it():
    for seed in range(200):
        z = random(10, seed=seed)
        log_p, h = torch.log_softmax(z, 0), entropy_of_logits(z)
        for heat, sign in ((1.2, 1), (0.8, -1), (1.0, 0)):
            pull = torch.softmax(z / heat, 0) - log_p.exp()
            change = -(log_p.exp() * (log_p + h) * pull).sum().item()
            assert np.sign(round(change, 14)) == sign


def test_temperatures_and_counts():
    assert aepo.guiding_temperature(0.5, 0.5) == 1.2
    assert aepo.guiding_temperature(0.51, 0.5) == 0.8
    assert aepo.injection_count(100, 60, 0.4, 0.5) == 60
    assert aepo.injection_count(7, 60, 0.4, 0.5) == 7
    assert aepo.injection_count(7, 60, 0.6, 0.5) == 3
    assert aepo.injection_count(0, 60, 0.4, 0.5) == 0
    assert aepo.reinforced_rows(torch.tensor([0.0, 0.05, 0.06, -1, 2])).tolist() == [2, 4]
    mask = torch.tensor([[1.0, 1, 0]])
    assert aepo.injected_advantage(mask).tolist() == [[1, 1, 0]]
