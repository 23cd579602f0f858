"""Tests of exact statements about advantages, selection, bounds and gates of tokens: HAPO, D3S, BAPO and Lp-Reg."""

import itertools
import math

import pytest
import torch
from reasoning_numbers import batch, cov, entropy_change, generator, random

from envzoo.agents.reasoning import bapo, hapo, lp_reg
from envzoo.agents.reasoning import d3s as selection
from envzoo.agents.text.losses.advantages import group_scores
from envzoo.agents.text.losses.kl import k3
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.errors import EnvzooError, UnknownNameError

ETA = 1e-5


# ---------------------------------------------------------------------------- HAPO

LADDER = torch.tensor([[0.01, 0.05, 0.2, 0.5, 1, 2, 3]], dtype=torch.float64)


def test_normalised_entropy_by_hand():
    mask = torch.ones_like(LADDER)
    scale = hapo.entropy_scale(LADDER, mask)
    assert math.exp(scale.centre) == pytest.approx(2)
    h = hapo.normalised_entropy(LADDER, scale)
    assert h[0].tolist() == pytest.approx([-1, -0.696, -0.435, -0.262, -0.131, 0, 1], abs=1e-3)
    torch.testing.assert_close(hapo.normalised_entropy(LADDER, scale, official_sign=True), h.abs())
    equal = torch.full((2, 3), 0.7)
    flat = hapo.normalised_entropy(equal, hapo.entropy_scale(equal, torch.ones(2, 3)))
    assert (flat == 0).all()
    assert hapo.sampling_temperature(torch.tensor([-1.0, 0, 1]), 0.05, 2.0).tolist() == pytest.approx([1.9, 2, 2.1])


def test_token_group_mean_by_hand():
    mask = (torch.arange(8) < torch.tensor([[2], [8]])).double()
    a, fell = hapo.token_group_mean(torch.tensor([1.0, 0]).double(), torch.tensor([0, 0]), mask)
    assert a[:, 0].tolist() == pytest.approx([2, -0.5], rel=1e-4)
    assert not fell.any()
    assert a.sum().item() == pytest.approx(0, abs=1e-5)
    mask = (torch.arange(63) < torch.tensor([[1], [63]])).double()
    reward = torch.tensor([1.0, 0]).double()
    a, fell = hapo.token_group_mean(reward, torch.tensor([0, 0]), mask)  # |A| would be 7.9
    assert fell.all()
    torch.testing.assert_close(a[:, 0], group_scores(reward, torch.tensor([0, 0])))
    a, _ = hapo.token_group_mean(torch.ones(2).double(), torch.tensor([0, 0]), mask)
    assert (a == 0).all()


def test_answers_without_tokens_have_no_part_in_token_advantages():
    # Tokens: 30 right ones and 2 wrong ones, mu = 15/16, sigma = sqrt(15)/16. The empty wrong answer alone would have
    # |A| = sqrt(15) < 5; an empty one with reward -1 would have 31 / sqrt(15) > 5 and make the group fall back.
    mask = (torch.arange(30) < torch.tensor([[30], [2], [0]])).double()
    group, reward = torch.zeros(3, dtype=torch.int64), torch.tensor([1.0, 0, -1]).double()
    a, fell = hapo.token_group_mean(reward, group, mask)
    assert not fell.any()
    assert a[:, 0].tolist() == pytest.approx([15**-0.5, -(15**0.5), 0], rel=1e-4)
    # Where a group does fall back, GRPO's mean and deviation are those of the answers that have tokens.
    mask = (torch.arange(63) < torch.tensor([[1], [63], [0]])).double()
    a, fell = hapo.token_group_mean(reward, group, mask)
    assert fell.tolist() == [True, True, False]
    assert a[:, 0].tolist() == pytest.approx([0.5**0.5, -(0.5**0.5), 0], rel=1e-4)
    # Nor does an empty answer make equal rewards vary: rounding would be divided by 1e-6.
    reward = torch.tensor([0.1, 0.1, 1.0])
    a, fell = hapo.token_group_mean(reward, group, (torch.arange(7) < torch.tensor([[7], [3], [0]])).float())
    assert (a == 0).all()
    assert not fell.any()
    with pytest.raises(EnvzooError, match="got a group of 1"):
        hapo.token_group_mean(torch.ones(1), torch.tensor([0]), torch.ones(1, 2))


@pytest.mark.parametrize("seed", range(5))
def test_token_advantages_of_every_group_sum_to_zero(seed):
    lengths = torch.randint(1, 12, (24,), generator=generator(seed))
    mask = (torch.arange(12) < lengths[:, None]).double()
    reward = torch.randint(0, 2, (24,), generator=generator(seed + 9)).double()
    group = torch.arange(4).repeat_interleave(6)
    a, fell = hapo.token_group_mean(reward, group, mask)
    for number in range(4):
        if not fell[group == number].any():
            assert a[group == number].sum().item() == pytest.approx(0, abs=1e-5)


def test_bounds_and_redistribution():
    h = torch.tensor([[-1.0, -0.5, 0.0, 0.5, 1.0]], dtype=torch.float64)
    low, high = hapo.clip_bounds(h)
    assert (1 - low)[0].tolist() == pytest.approx([0.6, 0.7, 0.8, 0.8, 0.8])
    assert (1 + high)[0].tolist() == pytest.approx([1.2, 1.2, 1.2, 1.3, 1.4])
    a = torch.ones_like(h)
    still = hapo.redistribute(a, torch.ones_like(h), h, low, high)
    assert still[0].tolist() == [0, 0.5, 1, 1, 1]
    moving = hapo.redistribute(a, torch.full_like(h, 1.5), h, low, high)
    assert moving[0].tolist() == [1, 1, 1, 1.5, 2]


# ---------------------------------------------------------------------------- D3S


def test_selection_by_hand():
    a = torch.tensor([1.5, 0.5, 0, 0, -0.5, -1.5])
    assert selection.select_max_variance(a, 2).tolist() == [0, 5]
    assert selection.select_max_variance(a, 4).tolist() == [0, 1, 4, 5]
    seen = {tuple(selection.select_max_variance(a, 3, generator(seed)).tolist()) for seed in range(20)}
    assert seen == {(0, 1, 5), (0, 4, 5)}
    assert selection.select_max_variance(a, 6).tolist() == list(range(6))
    for count in (0, 7):
        with pytest.raises(EnvzooError, match=f"a selection of {count} answers from 6"):
            selection.select_max_variance(a, count)


@pytest.mark.parametrize("seed", range(20))
def test_selection_equals_brute_force(seed):
    n = 4 + seed % 6
    a = random(n, seed=seed).round(decimals=seed % 3)  # with ties
    for count in range(1, n + 1):
        chosen = selection.select_max_variance(a, count, generator(seed))
        assert len(set(chosen.tolist())) == count
        best = max(a[list(rows)].var(unbiased=False) for rows in itertools.combinations(range(n), count))
        assert a[chosen].var(unbiased=False).item() == pytest.approx(best.item(), abs=1e-12)


def test_standardised_values_keep_a_variance_of_one():
    for seed in range(30):
        a = random(12, seed=seed)
        a = (a - a.mean()) / a.std(unbiased=False)
        for count in range(2, 13, 2):
            assert a[selection.select_max_variance(a, count)].var(unbiased=False) >= 1 - 1e-9


def test_token_masks_and_schedule():
    _, _, a, mask = batch()
    h = random(6, 5, seed=7).abs()
    for fraction in (0.001, 0.2, 0.5, 1.0):
        for source in (None, generator()):
            kept = selection.top_token_mask(a, h, mask, fraction, source)
            assert kept.sum() == max(1, int(fraction * 20))
            assert (kept <= mask).all()
            key = (a * h).abs()
            assert key[kept > 0].min() >= key[(mask > 0) & (kept == 0)].max() if fraction < 1 else True
    ties = {tuple(selection.top_token_mask(a, 0 * h, mask, 0.1, generator(s)).flatten().tolist()) for s in range(9)}
    assert len(ties) > 3
    assert [selection.linear_schedule(p, 0.2, 1.0) for p in (-1, 0, 1, 2)] == [0.2, 0.2, 1.0, 1.0]
    assert selection.linear_schedule(0.25, 0.2, 1.0) == pytest.approx(0.4)


# ---------------------------------------------------------------------------- BAPO


def share(ratio, a, weight, low, high):
    effective = torch.where(a > 0, ratio.clamp(max=high), ratio.clamp(min=low))
    part = weight * a.abs() * effective
    return (part[a > 0].sum() / part.sum()).item()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("target", [0.0, 0.45, 0.5, 0.55, 1.1])
def test_the_search_is_the_papers_loop(seed, target):
    logp, old, a, mask = batch(seed)
    valid = mask > 0
    ratio, weight = (logp - old).exp()[valid], old.exp()[valid]
    low, high, steps = 0.6, 1.2, 0
    while share(ratio, a[valid], weight, low, high) < target - 1e-9 and (high < 3.0 - 1e-9 or low < 0.9 - 1e-9):
        if high < 3.0 - 1e-9:
            high = min(high + 0.05, 3.0)
        else:
            low = min(low + 0.02, 0.9)
        steps += 1
    found = bapo.adaptive_bounds(logp, old, a, mask, target)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.steps == steps <= 51
    assert found.share == pytest.approx(share(ratio, a[valid], weight, low, high))


def test_edges_of_the_search():
    logp, old, a, mask = batch()
    assert bapo.adaptive_bounds(logp, old, a.abs(), mask, 0.9)[:2] == (0.6, 1.2)
    nothing = bapo.adaptive_bounds(logp, old, -a.abs(), mask, 0.4)
    assert (nothing.low, nothing.high, nothing.share, nothing.steps) == pytest.approx((0.9, 3.0, 0.0, 51))
    assert bapo.adaptive_bounds(logp, old, 0 * a, mask, 0.4).steps == 0
    code = bapo.adaptive_bounds(logp, old, -a.abs(), mask, 0.5, (0.8, 0.95), (1.2, 2.0), 0.05, 0.1, "code")
    assert (code.low, code.high, code.steps) == pytest.approx((0.95, 2.0, 3 + 8))
    assert bapo.adaptive_bounds(logp, old, a.abs(), mask, 5.0, variant="code").steps == 0
    # On-policy and of equal weight, a balanced batch has a share of one half: a ratio of 1 in the code's terms.
    even = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    zero = torch.zeros_like(even)
    assert bapo.adaptive_bounds(zero, zero, even, torch.ones(1, 2), 1.0, variant="code").steps == 0
    for wrong in ({"variant": "papre"}, {"mode": "gradient"}):
        with pytest.raises(UnknownNameError):
            bapo.adaptive_bounds(logp, old, a, mask, **wrong)
    with pytest.raises(EnvzooError, match="ranges below and above 1"):
        bapo.adaptive_bounds(logp, old, a, mask, low=(0.2, 1.2))
    with pytest.raises(EnvzooError, match="steps of the bounds are positive"):
        bapo.adaptive_bounds(logp, old, a, mask, step_low=0.0)


def test_raising_the_lower_bound_helps_only_where_gradients_are_counted():
    logp = random(1, 4000, seed=3, scale=0.3)
    a = torch.where(torch.rand(1, 4000, generator=generator()) < 0.3, 1.0, -1.0).double()
    old, mask = torch.zeros_like(logp), torch.ones_like(logp)

    def at(low, high, mode):
        return bapo.adaptive_bounds(logp, old, a, mask, 9.0, (low, low), (high, high), mode=mode).share

    assert at(0.6, 1.2, "value") < at(0.6, 3.0, "value") > at(0.9, 3.0, "value")
    assert at(0.6, 1.2, "grad") < at(0.6, 3.0, "grad") < at(0.9, 3.0, "grad")


def test_gradients_under_the_bounds():
    def slope(ratio, a, low, high):
        logp = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
        loss, _ = ppo_clip_per_token(
            logp, torch.zeros(1, 1).double(), torch.full((1, 1), a).double(), 1 - low, high - 1
        )
        return torch.autograd.grad(loss.sum(), logp)[0].item()

    assert slope(1.5, 1.0, 0.8, 1.2) == 0
    assert slope(1.5, 1.0, 0.8, 2.0) == pytest.approx(-1.5)
    assert slope(0.85, -1.0, 0.6, 1.2) == pytest.approx(0.85)
    assert slope(0.85, -1.0, 0.9, 1.2) == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_entropy_clip_rule(seed):
    z = random(8, seed=seed).requires_grad_()
    old = torch.log_softmax(z.detach() + random(8, seed=seed + 20, scale=0.8), 0)
    a = random(8, seed=seed + 40)
    log_p = torch.log_softmax(z, 0)
    loss, clipped = ppo_clip_per_token(log_p[None], old[None], a[None], 0.2, 0.2)
    assert clipped.any()
    objective = -(old.exp() * loss[0]).sum()  # the expectation over the policy that sampled
    (gradient,) = torch.autograd.grad(objective, z)
    p, kept = log_p.detach().exp(), a * ~clipped[0]
    torch.testing.assert_close(gradient, p * (kept - (p * kept).sum()), atol=1e-12, rtol=0)
    expected = -ETA * cov(p, log_p.detach(), gradient).item()
    assert entropy_change(z.detach(), ETA * gradient) == pytest.approx(expected, rel=1e-3)


# ---------------------------------------------------------------------------- Lp-Reg


def test_proxy_and_gate_by_hand():
    p = torch.tensor([0.7, 0.27, 0.02, 0.01], dtype=torch.float64)
    proxy = lp_reg.min_p_log_prob(p.log(), 0.02)
    torch.testing.assert_close(proxy.exp(), torch.tensor([0.7, 0.27, 0.02, 0]).double() / 0.99)
    assert proxy[3] == lp_reg.FILTERED
    torch.testing.assert_close(lp_reg.min_p_log_prob(p.log(), 0.0), p.log())
    logp, proxies = p.log()[[2, 3]][None], proxy[[2, 3]][None]
    punished, mask = -torch.ones(1, 2).double(), torch.ones(1, 2)
    for gate in ("code", "paper"):
        on = lp_reg.low_probability_gate(logp, proxies, punished, mask, 1.0, gate)
        assert on.tolist() == [[True, False]]
        assert not lp_reg.low_probability_gate(logp, proxies, -punished, mask, 1.0, gate).any()
        assert not lp_reg.low_probability_gate(logp, proxies, punished, mask, 0.0, gate).any()
    above = lp_reg.low_probability_gate(logp + 0.5, proxies, punished, mask, 1.0, "code")
    assert not above.any()  # it has recovered
    with pytest.raises(UnknownNameError, match="unknown gate"):
        lp_reg.low_probability_gate(logp, proxies, punished, mask, 1.0, "both")


def test_gates_count_among_punished_or_all_tokens():
    logp, _, a, mask = batch()
    proxy = logp + 0.1
    among = (a < 0) & (mask > 0)
    on = lp_reg.low_probability_gate(logp, proxy, a, mask, 0.3)
    assert on.sum() == math.ceil(0.3 * int(among.sum()))
    assert logp[on].max() <= logp[among & ~on].min()
    on = lp_reg.low_probability_gate(logp, proxy, a, mask, 0.3, "paper")
    rare = logp <= logp[mask > 0].sort().values[5]
    assert torch.equal(on, rare & among)


def test_the_pull_on_a_gated_token():
    p, q, a = 0.05, 0.2, -1.5
    logp = torch.tensor([[math.log(p)]], dtype=torch.float64, requires_grad=True)
    old, proxy = logp.detach().clone(), torch.tensor([[math.log(q)]], dtype=torch.float64)
    arguments = (torch.full((1, 1), a).double(), torch.ones(1, 1).double())
    loss, metrics = lp_reg.lp_reg(logp, old, proxy, *arguments, rho=1.0, beta=2.0)
    assert metrics["gated_fraction"] == 1
    assert loss.item() == pytest.approx(-a + 2 * k3(logp, proxy).item())
    (slope,) = torch.autograd.grad(loss.sum(), logp)
    assert slope.item() == pytest.approx(-a + 2 * (1 - q / p))

    def value(x):
        return lp_reg.lp_reg(torch.full((1, 1), x, dtype=torch.float64), old, proxy, *arguments, rho=1.0, beta=2.0)[
            0
        ].item()

    x, step = math.log(p), 1e-6
    assert (value(x + step) - value(x - step)) / (2 * step) == pytest.approx(slope.item(), abs=1e-6)


def test_far_below_the_proxy_the_pull_is_bounded_but_stays():
    proxy, a, mask = torch.tensor([[-1.0]]).double(), -torch.ones(1, 1).double(), torch.ones(1, 1).double()
    for bound_gradient, expected in ((False, -9.0), (True, 0.0)):
        logp = torch.tensor([[-9.0]], dtype=torch.float64, requires_grad=True)
        loss, _ = lp_reg.lp_reg(logp, logp.detach(), proxy, a, mask, rho=1.0, bound_gradient=bound_gradient)
        (slope,) = torch.autograd.grad(loss.sum(), logp)
        assert slope.item() - 1.0 == pytest.approx(expected)  # 1 is the slope of -A r


def test_without_rare_tokens_it_is_the_loose_surrogate():
    logp, old, a, mask = batch()
    loss, _ = lp_reg.lp_reg(logp, old, logp + 1, a, mask, rho=0.0)
    assert torch.equal(loss, ppo_clip_per_token(logp, old, a, 1.0, 9.0)[0])
