"""Preference losses against closed forms, numerical gradients, and TRL's own losses where it is installed."""

import math
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.preference import losses
from envzoo.agents.preference.losses import LossSettings, Pairs, pair_loss
from envzoo.errors import EnvzooError, UnknownNameError

seeds = st.integers(0, 2**32 - 1)


def random_pairs(seed, count=6, **changes):
    generator = torch.Generator().manual_seed(seed)

    def log_probs():
        return -5 * torch.rand(count, generator=generator, dtype=torch.float64) - 0.1

    lengths = [torch.randint(1, 9, (count,), generator=generator).double() for _ in range(2)]
    values = dict(
        zip(
            ("chosen", "rejected", "reference_chosen", "reference_rejected"),
            (log_probs() for _ in range(4)),
            strict=True,
        )
    )
    return Pairs(**{**values, "chosen_length": lengths[0], "rejected_length": lengths[1], **changes})


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_closed_forms_of_one_pair():
    c, r, rc, rr = -3.0, -4.0, -2.5, -4.5
    pair = Pairs(*(torch.tensor([v]) for v in (c, r, 2.0, 4.0, rc, rr)))
    m = (c - rc) - (r - rr)
    s = LossSettings(beta=0.5, delta=2.0, gamma=0.3, nll_coefficient=0.25)
    odds = [math.log(math.exp(v) / (1 - math.exp(v))) for v in (c / 2, r / 4)]
    expected = {
        "dpo": -math.log(sigmoid(0.5 * m)),
        "dpo_pg": -math.log(sigmoid(0.5 * m)),
        "ipo": (m - 1) ** 2,
        "slic": max(0, 2 - c + r) - 0.25 * c / 2,
        "orpo": -0.5 * math.log(sigmoid(odds[0] - odds[1])) - 0.25 * c / 2,
        "simpo": -math.log(sigmoid(0.5 * (c / 2 - r / 4) - 0.3)),
        "cpo": -math.log(sigmoid(0.5 * (c - r))) - 0.25 * c / 2,
    }
    assert set(expected) == set(losses.LOSSES)
    for name, value in expected.items():
        assert float(pair_loss(name, pair, s)) == pytest.approx(value, abs=1e-6), name


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0, 1), st.sampled_from(sorted(losses.LOSSES)), st.booleans())
def test_labels_average_over_which_response_is_better(seed, target, name, per_token):
    pairs = random_pairs(seed)
    s = LossSettings(beta=0.4, nll_coefficient=0.0, length_normalized=per_token)
    swapped = Pairs(
        pairs.rejected, pairs.chosen, pairs.rejected_length, pairs.chosen_length, pairs.reference_rejected,
        pairs.reference_chosen,
    )  # fmt: skip
    mixed = pair_loss(name, random_pairs(seed, target=target), s)
    if name == "simpo":  # its margin is on the side of the chosen response
        logit = 0.4 * (pairs.chosen / pairs.chosen_length - pairs.rejected / pairs.rejected_length) - 0.5
        expected = target * -torch.nn.functional.logsigmoid(logit)
        expected = expected + (1 - target) * -torch.nn.functional.logsigmoid(-logit)
    else:
        expected = target * pair_loss(name, pairs, s) + (1 - target) * pair_loss(name, swapped, s)
    assert torch.allclose(mixed, expected)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0, 0.49))
def test_the_policy_gradient_form_has_the_gradient_of_dpo(seed, smoothing):
    pairs = random_pairs(seed)
    target = losses.smooth(1.0, smoothing)
    gradients = []
    for form in ("loss", "surrogate"):
        chosen, rejected = pairs.chosen.clone().requires_grad_(), pairs.rejected.clone().requires_grad_()
        margin = losses.log_ratio_margin(chosen, rejected, pairs.reference_chosen, pairs.reference_rejected)
        if form == "loss":
            value = losses.dpo_loss(margin, 0.3, target)
        else:
            value = losses.dpo_policy_gradient_loss(chosen, rejected, margin, 0.3, target)
        gradients.append(torch.autograd.grad(value.sum(), (chosen, rejected)))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-3, 3))
def test_dpo_does_not_see_shifts_of_policy_or_reference(seed, shift):
    pairs = random_pairs(seed)
    moved = random_pairs(seed, chosen=pairs.chosen + shift, rejected=pairs.rejected + shift)
    for name in ("dpo", "ipo"):
        assert torch.allclose(pair_loss(name, pairs, LossSettings()), pair_loss(name, moved, LossSettings()))


def test_log_odds_on_both_sides():
    logp = torch.tensor([-1e-9, -1e-3, -math.log(2), -3.0, -700.0], dtype=torch.float64)
    expected = [math.log(-1 / math.expm1(-v)) - v for v in (1e-9, 1e-3, math.log(2), 3.0, 700.0)]
    assert losses.log_odds(logp).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    logp.requires_grad_()
    losses.log_odds(logp).sum().backward()
    assert torch.isfinite(logp.grad).all()


def test_kto_closed_form_and_baseline():
    ratio = torch.tensor([0.7, -0.4])
    found = losses.kto_loss(ratio, torch.tensor([True, False]), 0.2, 0.5, 1.5, 0.8)
    assert found.tolist() == pytest.approx([1.5 * (1 - sigmoid(0.25)), 0.8 * (1 - sigmoid(0.3))], abs=1e-6)
    assert float(losses.kto_baseline(torch.tensor([-1.0, 0.5]))) == 0
    assert float(losses.kto_baseline(torch.tensor([1.0, 0.5], requires_grad=True))) == pytest.approx(0.75)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_conflicts_are_removed_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    g, h = (torch.from_numpy(rng.normal(size=5)) for _ in range(2))
    found = losses.remove_conflict(g, h)
    assert float(found @ h) >= -1e-9
    if float(g @ h) >= 0:
        assert torch.equal(found, g)
    else:
        assert float(found @ h) == pytest.approx(0, abs=1e-9)
        assert torch.linalg.matrix_rank(torch.stack([g - found, h])) == 1


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: pair_loss("dop", random_pairs(0), LossSettings()), UnknownNameError, "did you mean 'dpo'"),
        (
            lambda: pair_loss("ipo", random_pairs(0, reference_chosen=None), LossSettings()),
            EnvzooError,
            "the loss 'ipo' compares with a reference policy, but there is none",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_reference_free_losses_take_no_reference():
    pairs = random_pairs(0, reference_chosen=None, reference_rejected=None)
    for name in losses.REFERENCE_FREE:
        assert torch.isfinite(pair_loss(name, pairs, LossSettings())).all()


# ---------------------------------------------------------------------------- TRL


def trl_dpo(pairs, loss_type, beta, smoothing=0.0):
    """The loss of TRL's DPO trainer on given log-probabilities, each of which stands for one token of a sequence."""
    dpo = pytest.importorskip("trl").DPOTrainer
    count = len(pairs.chosen)
    log_probs = torch.cat([pairs.chosen, pairs.rejected])[:, None]
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=False), beta=beta, label_smoothing=smoothing, loss_types=[loss_type],
        loss_weights=[1.0], f_divergence_type="reverse_kl", ld_alpha=None, precompute_ref_logps=True,
        aux_loss_enabled=False, use_weighting=False, args=SimpleNamespace(discopop_tau=0.05),
        accelerator=SimpleNamespace(
            device="cpu", gather_for_metrics=lambda x: x, gather=lambda x: x, num_processes=1
        ),
        _metrics={"eval": defaultdict(list)}, _total_train_tokens=0,
    )  # fmt: skip
    inputs = {
        "input_ids": torch.zeros(2 * count, 2, dtype=torch.int64),
        "attention_mask": torch.ones(2 * count, 2),
        "completion_mask": torch.tensor([[0, 1]] * (2 * count)),
        "ref_chosen_logps": pairs.reference_chosen,
        "ref_rejected_logps": pairs.reference_rejected,
    }

    def model(**_):
        return SimpleNamespace(log_probs=log_probs, entropy=log_probs, mean_logits=log_probs, is_top1=log_probs > 0)

    return dpo._compute_loss(trainer, model, inputs, False)


@pytest.mark.parametrize(("name", "loss_type"), [("dpo", "sigmoid"), ("ipo", "ipo")])
def test_pair_losses_are_those_of_trl(name, loss_type):
    pairs = random_pairs(5, chosen_length=torch.ones(6), rejected_length=torch.ones(6))
    theirs = trl_dpo(pairs, loss_type, 0.3)
    assert float(pair_loss(name, pairs, LossSettings(beta=0.3)).mean()) == pytest.approx(float(theirs), abs=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cpo_and_simpo_are_those_of_trl(smoothing):
    cpo = pytest.importorskip("trl.experimental.cpo").CPOTrainer
    target = losses.smooth(1.0, smoothing)
    pairs = random_pairs(7, target=target)
    trainer = SimpleNamespace(
        alpha=0.0, beta=0.4, label_smoothing=smoothing, loss_type="sigmoid", simpo_gamma=0.6,
        accelerator=SimpleNamespace(device="cpu"),
    )  # fmt: skip
    theirs = cpo.cpo_loss(trainer, pairs.chosen, pairs.rejected)[0]
    assert torch.allclose(pair_loss("cpo", pairs, LossSettings(beta=0.4, nll_coefficient=0.0)), theirs)
    trainer.loss_type = "hinge"
    scaled = LossSettings(delta=1 / 0.4, nll_coefficient=0.0)
    if smoothing == 0:
        theirs = cpo.cpo_loss(trainer, pairs.chosen, pairs.rejected)[0]
        assert torch.allclose(0.4 * pair_loss("slic", pairs, scaled), theirs)
    trainer.loss_type = "simpo"
    means = pairs.chosen / pairs.chosen_length, pairs.rejected / pairs.rejected_length
    theirs = cpo.cpo_loss(trainer, *means)[0]
    assert torch.allclose(pair_loss("simpo", pairs, LossSettings(beta=0.4, gamma=0.6)), theirs)


def test_the_odds_ratio_is_that_of_trl():
    orpo = pytest.importorskip("trl.experimental.orpo").ORPOTrainer
    pairs = random_pairs(9)
    trainer = SimpleNamespace(beta=0.4, accelerator=SimpleNamespace(device="cpu"))
    means = pairs.chosen / pairs.chosen_length, pairs.rejected / pairs.rejected_length
    theirs = -orpo.odds_ratio_loss(trainer, *means)[0]  # TRL's trainer subtracts it
    ours = pair_loss("orpo", pairs, LossSettings(beta=0.4, nll_coefficient=0.0))
    assert torch.allclose(ours.float(), theirs, atol=1e-6)
