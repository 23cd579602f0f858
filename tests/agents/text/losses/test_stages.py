"""Stages that all methods share: hand-worked numbers, identities, gradients, brute force."""

import itertools
import math

import numpy as np
import pytest
import torch

from envzoo.agents.text.losses import advantages as adv
from envzoo.agents.text.losses import kl, policy, tokens
from envzoo.errors import EnvzooError, UnknownNameError

MASK = torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]])
GROUP = torch.tensor([0, 0, 1, 1])


def random(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale


# ---------------------------------------------------------------------------- statistics of tokens


def test_masked_statistics_ignore_what_stands_on_padding():
    values = torch.where(MASK > 0, torch.arange(16.0).view(4, 4), torch.nan)
    kept = values[MASK > 0]
    assert tokens.masked_mean(values, MASK) == kept.mean()
    white = tokens.masked_whiten(torch.nan_to_num(values), MASK)
    torch.testing.assert_close(white[MASK > 0], (kept - kept.mean()) / kept.std())
    assert (white[MASK == 0] == 0).all()
    assert tokens.masked_quantile(values, MASK, 0.5) == kept.sort().values[round(0.5 * 9)]


def test_an_empty_mask_gives_zero_with_a_gradient():
    loss = torch.ones(2, 3, requires_grad=True)
    for how in tokens.AGGREGATIONS:
        total = tokens.aggregate(loss, torch.zeros(2, 3), how)
        total.backward()
        assert total == 0
        assert (loss.grad == 0).all()
    with pytest.raises(EnvzooError, match="at least 2 tokens, got 1"):
        tokens.masked_whiten(loss, torch.tensor([[1.0, 0, 0], [0, 0, 0]]))


def test_entropy_of_logits():
    logits = random(5, 7)
    expected = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(tokens.entropy_of_logits(logits), expected)
    logits[:, 2] = -torch.inf
    rest = torch.distributions.Categorical(logits=logits[:, [0, 1, 3, 4, 5, 6]]).entropy()
    torch.testing.assert_close(tokens.entropy_of_logits(logits), rest)
    assert tokens.entropy_of_logits(torch.zeros(4, dtype=torch.float64)).item() == pytest.approx(math.log(4))


def test_logits_of_minus_infinity_have_no_part_in_the_entropy_and_its_gradient():
    # p = (1/4, 3/4, 0): H = ln 4 - 3/4 ln 3, dH/dz = -p (ln p + H) = (3/16 ln 3, -3/16 ln 3, 0)
    logits = torch.tensor([0.0, math.log(3), -torch.inf], dtype=torch.float64, requires_grad=True)
    entropy = tokens.entropy_of_logits(logits)
    entropy.backward()
    assert entropy.item() == pytest.approx(math.log(4) - 0.75 * math.log(3))
    slope = 3 / 16 * math.log(3)
    assert logits.grad.tolist() == pytest.approx([slope, -slope, 0.0])
    alone = torch.tensor([2.0, -torch.inf], requires_grad=True)
    tokens.entropy_of_logits(alone).backward()
    assert alone.grad.tolist() == [0.0, 0.0]
    assert tokens.entropy_of_logits(torch.tensor([0.0, torch.nan])).isnan()  # what is no number is not hidden


def test_entropy_rises_with_temperature_as_its_derivative_says():
    for seed in range(5):
        z = random(10, seed=seed)
        heat = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
        tokens.entropy_of_logits(z / heat).backward()
        p = torch.softmax(z / 1.3, 0)
        variance = (p * z**2).sum() - (p * z).sum() ** 2
        assert heat.grad.item() == pytest.approx(variance.item() / 1.3**3)
        assert heat.grad > 0


def test_aggregations_by_hand():
    loss = torch.tensor([[1.0, 3, 9, 9], [2, 2, 2, 2], [0, 6, 3, 9], [5, 9, 9, 9]])
    expected = {
        "token_mean": (4 + 8 + 9 + 5) / 10,
        "seq_mean_token_sum": (4 + 8 + 9 + 5) / 4,
        "seq_mean_token_mean": (2 + 2 + 3 + 5) / 4,
        "seq_mean_token_sum_norm": 26 / (4 * 8),
        "token_sum_norm": 26 / 8,
    }
    assert set(expected) == set(tokens.AGGREGATIONS)
    for how, value in expected.items():
        assert tokens.aggregate(loss, MASK, how, 8).item() == pytest.approx(value)
    equal = torch.ones(4, 4)
    assert tokens.aggregate(loss, equal, "token_mean") == tokens.aggregate(loss, equal, "seq_mean_token_mean")
    empty_row = MASK.clone()
    empty_row[3] = 0
    assert tokens.aggregate(loss, empty_row, "seq_mean_token_sum").item() == pytest.approx(21 / 3)
    with pytest.raises(UnknownNameError, match=r"unknown aggregation 'token_meen'.*did you mean 'token_mean'"):
        tokens.aggregate(loss, MASK, "token_meen")


def test_top_and_fork_masks():
    values = torch.tensor([[3.0, 1, 9, 9], [2, 8, 1, 1], [5, 5, 0, 9], [7, 9, 9, 9]])
    assert tokens.top_mask(values, MASK, 2).nonzero().tolist() == [[1, 1], [3, 0]]
    assert tokens.top_mask(values, MASK, 1, largest=False).nonzero().tolist() == [[2, 2]]
    assert tokens.top_mask(values, MASK, 99).sum() == 10
    assert tokens.top_mask(values, MASK, 0).sum() == 0
    # Ten tokens: the 0.8-quantile is the eighth smallest (index 7), 5; the two ties and the two above reach it.
    assert tokens.fork_token_mask(values, MASK, 0.2).nonzero().tolist() == [[1, 1], [2, 0], [2, 1], [3, 0]]


# ---------------------------------------------------------------------------- advantages


def test_grpo_by_hand():
    reward = torch.tensor([1.0, 0, 1, 1])
    a = adv.grpo(reward, GROUP, MASK)
    std = math.sqrt(0.5)
    assert a[0, 0].item() == pytest.approx(0.5 / (std + 1e-6))
    assert a[1].tolist() == pytest.approx([-0.5 / (std + 1e-6)] * 4)
    assert (a[2:] == 0).all()  # exactly
    assert (a[MASK == 0] == 0).all()
    batch = adv.grpo_batch(reward, GROUP, MASK)
    assert batch[0, 0].item() == pytest.approx(0.5 / (reward.std().item() + 1e-6))


@pytest.mark.parametrize("groups", [3, 5])
def test_identities_of_group_advantages(groups):
    size = 4
    reward = random(groups * size).float()
    group = torch.arange(groups).repeat_interleave(size)
    one = torch.ones(groups * size, 1)
    for name in ("grpo", "dr_grpo", "rloo"):
        sums = adv.ADVANTAGES[name](reward, group, one).view(groups, size).sum(1)
        torch.testing.assert_close(sums, torch.zeros(groups), atol=1e-5, rtol=0)
    plain = adv.dr_grpo(reward, group, one)
    torch.testing.assert_close(adv.rloo(reward, group, one), plain * size / (size - 1))
    for i in range(len(reward)):  # leave-one-out, by brute force
        others = [j for j in range(len(reward)) if group[j] == group[i] and j != i]
        assert adv.rloo(reward, group, one)[i].item() == pytest.approx(
            (reward[i] - reward[others].mean()).item(), abs=1e-5
        )
    shuffle = torch.randperm(len(reward), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(adv.grpo(reward, group, one)[shuffle], adv.grpo(reward[shuffle], group[shuffle], one))


def test_binary_grpo_advantages_have_their_closed_form_and_bound():
    size = 16
    for right in range(1, size):
        reward = torch.tensor([1.0] * right + [0.0] * (size - right))
        a = adv.group_scores(reward, torch.zeros(size, dtype=torch.int64))
        q, shrink = right / size, math.sqrt((size - 1) / size)
        assert a[0].item() == pytest.approx(math.sqrt((1 - q) / q) * shrink, rel=1e-4)
        assert a[-1].item() == pytest.approx(-math.sqrt(q / (1 - q)) * shrink, rel=1e-4)
        assert a.abs().max() <= math.sqrt(size - 1)


def test_equal_rewards_give_exactly_nothing():
    reward = torch.full((3,), 0.1)
    group = torch.zeros(3, dtype=torch.int64)
    for name in sorted(adv.NEED_GROUPS | {"opo"}):
        assert (adv.ADVANTAGES[name](torch.cat([reward, torch.tensor([0.0, 1])]), torch.tensor([0, 0, 0, 1, 1]),
                                     torch.ones(5, 2))[:3] == 0).all() or "plus" in name  # fmt: skip
    assert not adv.group_varies(reward, group).any()


@pytest.mark.parametrize("name", sorted(adv.NEED_GROUPS))
def test_a_group_of_one_is_refused(name):
    with pytest.raises(EnvzooError, match="got a group of 1, expected"):
        adv.ADVANTAGES[name](torch.tensor([1.0, 0, 1]), torch.tensor([0, 0, 1]), torch.ones(3, 2))


def test_reinforce_plus_plus():
    reward = torch.tensor([1.0, 0, 0, 1])
    a = adv.reinforce_plus_plus(reward, GROUP, MASK)
    spread = reward[:, None].expand(4, 4)[MASK > 0]
    torch.testing.assert_close(a[MASK > 0], (spread - spread.mean()) / spread.std())
    discounted = adv.reinforce_plus_plus(reward, GROUP, MASK, gamma=0.5)
    to_go = torch.tensor([0.5, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    torch.testing.assert_close(discounted[MASK > 0], (to_go - to_go.mean()) / to_go.std())
    b = adv.reinforce_plus_plus_baseline(reward, GROUP, MASK)
    centred = torch.tensor([0.5] * 2 + [-0.5] * 4 + [-0.5] * 3 + [0.5])
    torch.testing.assert_close(b[MASK > 0], (centred - centred.mean()) / centred.std())


def test_opo_weighs_the_baseline_by_length_and_pass_at_k_pays_the_best():
    reward = torch.tensor([1.0, 0, 0, 1])
    a = adv.opo(reward, GROUP, MASK)[:, 0]
    torch.testing.assert_close(a, torch.tensor([1 - 2 / 6, -2 / 6, -1 / 4, 1 - 1 / 4]))
    best = adv.best_of_group(torch.tensor([0.2, 0.9, 0.5, 0.5]), GROUP, MASK)[:, 0]
    torch.testing.assert_close(best, torch.tensor([0, 0.7, 0, 0]))


def test_overlong_answers():
    length = torch.tensor([10.0, 12, 14, 16, 20])
    expected = torch.tensor([0.0, 0, -0.5, -1, -1])
    torch.testing.assert_close(adv.overlong_penalty(length, 16, 4), expected)


# ---------------------------------------------------------------------------- divergences


def test_kl_estimators():
    logits, ref = random(6).requires_grad_(), random(6, seed=1)
    p, q = torch.log_softmax(logits, 0), torch.log_softmax(ref, 0)
    exact = (p.exp() * (p - q)).sum()
    for name in ("k1", "k3", "k3_plus"):  # unbiased under the policy
        assert (p.exp() * kl.KL_ESTIMATORS[name](p, q)).sum().item() == pytest.approx(exact.item())
    assert (kl.k3(p, q) >= 0).all()
    assert (kl.k3(p, p.detach()) == 0).all()
    exact.backward()
    weight = p.detach().exp()
    for name in ("k2", "k3_plus"):  # the expectation of their gradients is the gradient of the divergence
        (gradient,) = torch.autograd.grad(
            (weight * kl.KL_ESTIMATORS[name](torch.log_softmax(logits, 0), q)).sum(), logits
        )
        torch.testing.assert_close(gradient, logits.grad)
    (gradient,) = torch.autograd.grad((weight * kl.k1(torch.log_softmax(logits, 0), q)).sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)
    assert kl.absolute(torch.tensor(1.0), torch.tensor(3.0)) == 2


# ---------------------------------------------------------------------------- policy losses


def gradient(loss, logp):
    (found,) = torch.autograd.grad(loss.sum(), logp)
    return found


def test_on_policy_all_losses_have_the_gradient_of_reinforce():
    logp = random(4, 4).requires_grad_()
    old, a, mask = logp.detach().clone(), random(4, 4, seed=1), MASK.double()
    expected = -a
    torch.testing.assert_close(gradient(policy.reinforce(logp, a), logp), expected)
    torch.testing.assert_close(gradient(policy.ppo_clip_per_token(logp, old, a)[0], logp), expected)
    torch.testing.assert_close(gradient(policy.ppo_clip_per_token(logp, old, a, dual=3.0)[0], logp), expected)
    torch.testing.assert_close(gradient(policy.cispo(logp, old, a)[0], logp), expected)
    torch.testing.assert_close(gradient(policy.gspo(logp, old, a, mask)[0], logp), expected)


def test_ppo_loses_its_gradient_exactly_where_clipping_says_so():
    ratios = torch.tensor([0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 4.0], dtype=torch.float64)
    for sign, low, high in itertools.product((1.0, -1.0), (0.2, 0.5), (0.2, 1.0)):
        logp = ratios.log()[None].requires_grad_()
        a = torch.full_like(logp, 2 * sign).detach()
        loss, clipped = policy.ppo_clip_per_token(logp, torch.zeros_like(logp).detach(), a, low, high)
        zero = (ratios > 1 + high) if sign > 0 else (ratios < 1 - low)
        assert clipped[0].tolist() == zero.tolist()
        torch.testing.assert_close(gradient(loss, logp)[0], torch.where(zero, 0.0, -2 * sign * ratios))
        expected = torch.maximum(-a * ratios, -a * ratios.clamp(1 - low, 1 + high))
        torch.testing.assert_close(loss, expected)


def test_dual_clip_and_bounds_per_token():
    logp = torch.tensor([[2.0, 0.5], [2.0, 0.0]], dtype=torch.float64)
    a = torch.tensor([[-1.0, -1], [1, 1]], dtype=torch.float64)
    zero = torch.zeros_like(logp)
    loss, clipped = policy.ppo_clip_per_token(logp, zero, a, dual=3.0)
    assert loss[0].tolist() == pytest.approx([3.0, math.exp(0.5)])
    assert clipped.tolist() == [[True, False], [True, False]]
    wide = torch.tensor([[0.2, 0.2], [9.0, 0.2]], dtype=torch.float64)
    loss, clipped = policy.ppo_clip_per_token(logp, zero, a, 0.2, wide)
    assert not clipped[1, 0]
    assert loss[1, 0].item() == pytest.approx(-math.exp(2))
    huge, _ = policy.ppo_clip_per_token(torch.full((1, 1), 500.0), torch.zeros(1, 1), -torch.ones(1, 1))
    assert torch.isfinite(huge).all()


def test_gspo_is_the_gradient_of_the_sequence_ratio():
    logp = random(4, 4, scale=0.05).requires_grad_()
    old, mask = random(4, 4, seed=1, scale=0.05), MASK.double()
    a = torch.tensor([1.0, -1, 2, -2], dtype=torch.float64)[:, None].expand(4, 4)
    ratio = torch.exp(((logp - old) * mask).sum(1) / mask.sum(1))
    free, clipped = policy.gspo(logp, old, a, mask, 0.9, 9.0)
    assert not clipped.any()
    torch.testing.assert_close(
        gradient(tokens.aggregate(free, mask, "seq_mean_token_mean"), logp), gradient((-a[:, 0] * ratio).mean(), logp)
    )
    loss, clipped = policy.gspo(logp, old, a, mask, 0.001, 0.001)
    out = torch.where(a[:, 0] > 0, ratio > 1.001, ratio < 0.999)
    assert clipped.all(1).tolist() == clipped.any(1).tolist() == out.tolist()
    assert (gradient(loss, logp)[out] == 0).all()


def test_cispo_bounds_the_weight_and_keeps_the_gradient():
    logp = torch.tensor([[math.log(0.1), math.log(3.0), math.log(20.0)]], dtype=torch.float64).requires_grad_()
    a = torch.tensor([[2.0, -1.0, 1.0]], dtype=torch.float64)
    loss, bounded = policy.cispo(logp, torch.zeros_like(logp).detach(), a)
    assert bounded.tolist() == [[False, False, True]]
    assert gradient(loss, logp)[0].tolist() == pytest.approx([-0.2, 3.0, -5.0])
    _, bounded = policy.cispo(logp, torch.zeros_like(logp).detach(), a, eps_low=0.2)
    assert bounded.tolist() == [[True, False, True]]


def test_reinforce_ascends_the_expected_reward():
    logits = random(5).requires_grad_()
    reward = torch.tensor(np.arange(5.0))
    p = torch.softmax(logits, 0)
    expected = gradient(-(p * reward).sum(), logits)
    loss = (p.detach() * policy.reinforce(torch.log_softmax(logits, 0), reward)).sum()
    torch.testing.assert_close(gradient(loss, logits), expected)
