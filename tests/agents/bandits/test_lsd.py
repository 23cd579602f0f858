"""Planners of last-switch-dependent bandits against numbers worked by hand, brute force, and their own guarantees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.bandits.lsd import (
    best_cycles,
    index_policy,
    interleaved_rounding,
    lsd_lp,
    mirrored_rounding,
    oracle_greedy,
    purely_periodic,
    recharging_lp,
    relative_value_iteration,
    round_robin,
    rounding_guarantee,
    schedule_value,
)
from envzoo.bandits.generators import concave_recharging, delays, random_monotone
from envzoo.bandits.model import transitions
from envzoo.errors import EnvzooError

BAIT = [[0.3] * 5, [0.0, 0.0, 0.31, 0.31, 1.0]]  # satiation 2
PAIR = [[0.5] * 3, [0.0, 0.2, 1.0]]  # satiation 1


@st.composite
def instances(draw, monotone=True):
    arms, satiation, deprivation = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    table = np.random.default_rng(draw(st.integers(0, 10**6))).random((arms, satiation + deprivation))
    if draw(st.booleans()):
        table = np.round(table * 4) / 4  # ties
    return np.sort(table, axis=1) if monotone else table, satiation, draw(st.integers(1, arms))


@pytest.mark.parametrize("method", ["cycles", "highs"])
def test_hand_worked_values(method):
    # The second arm every fourth round, the first in the three between: (1 + 3 * 0.3) / 4.
    assert lsd_lp(BAIT, 2, method=method).value == pytest.approx(0.475, abs=1e-12)
    assert lsd_lp(PAIR, 1, method=method).value == pytest.approx(2 / 3, abs=1e-12)


def test_hand_worked_optima():
    assert relative_value_iteration(BAIT, 2).value == pytest.approx(0.475, abs=1e-12)
    assert relative_value_iteration(PAIR, 1).value == pytest.approx(2 / 3, abs=1e-12)
    assert oracle_greedy(BAIT, 2, 40_000).rewards[0] == pytest.approx(0.305, abs=1e-4)
    assert index_policy(lsd_lp(BAIT, 2), 4000)[0].rewards[0] == pytest.approx(0.475, abs=1e-3)


@pytest.mark.parametrize("select", ["virtual", "real"])
@pytest.mark.parametrize(
    ("table", "satiation", "fill", "value"),
    [
        # 1/4 of the rounds pay 1; the constant arm is active in 3/4 of the others.
        (BAIT, 2, "none", 0.25 + 0.75 * 0.75 * 0.3),
        (PAIR, 1, "none", 1 / 3 + 2 / 3 * 2 / 3 * 0.5),
        (BAIT, 2, "resync", 0.45),
    ],
)
def test_hand_worked_rounding(table, satiation, fill, value, select):
    run = mirrored_rounding(lsd_lp(table, satiation), 3000, runs=100, seed=1, select=select, fill=fill)
    assert run.rewards.mean() == pytest.approx(value, abs=0.003)
    assert run.invariant


@settings(max_examples=60, deadline=None)
@given(instances(monotone=False))
def test_both_methods_agree_and_give_a_stationary_flow(instance):
    table, satiation, k = instance
    plans = [lsd_lp(table, satiation, k, True, method=method) for method in ("cycles", "highs")]
    assert plans[0].value == pytest.approx(plans[1].value, abs=1e-8)
    for plan in plans:
        z = plan.frequencies
        assert z.min() >= 0
        assert np.allclose(z.sum(axis=(1, 2)), 1)
        assert z[:, :, 1].sum() <= k + 1e-9
        leaving = z.sum(axis=2)
        for action, after in enumerate(transitions(satiation, table.shape[1] - satiation)):
            for state, target in enumerate(after):
                leaving[:, target] -= z[:, state, action]
        assert np.abs(leaving).max() < 1e-9


@settings(max_examples=40, deadline=None)
@given(instances())
def test_relaxation_bounds_the_optimum_and_the_optimum_every_player(instance):
    table, satiation, k = instance
    plan, best = lsd_lp(table, satiation, k), relative_value_iteration(table, satiation, k, tolerance=1e-8)
    assert best.value <= best.upper <= best.value + 1e-7
    assert best.value <= plan.value + 1e-7
    assert schedule_value(table, satiation, best.cycle) == pytest.approx(best.value, abs=1e-9)
    assert purely_periodic(table, satiation, k).value <= best.value + 1e-7
    assert schedule_value(table, satiation, round_robin(len(table), k)) <= best.value + 1e-7
    slack = table.size * k / 500  # rested arms pay more at first
    assert oracle_greedy(table, satiation, 500, pulls_per_round=k).rewards[0] <= best.value + slack
    assert mirrored_rounding(plan, 200, runs=8, fill="resync").invariant


@settings(max_examples=40, deadline=None)
@given(instances())
def test_one_arm_alone_plays_its_best_cycle(instance):
    table, satiation, _ = instance
    row, deprivation = table[:1], table.shape[1] - satiation
    rates = [row[0, 0], 0.0]  # pulled for ever, rested for ever
    for n in range(1, deprivation + 1):
        for m in range(1, satiation + 1):
            rates.append((row[0, satiation + n - 1] + sum(row[0, satiation - j] for j in range(1, m))) / (n + m))
    value = lsd_lp(row, satiation).value
    assert value == pytest.approx(max(rates), abs=1e-12)
    assert best_cycles(row, satiation)[0].rate == pytest.approx(value, abs=1e-12)
    assert relative_value_iteration(row, satiation, tolerance=1e-8).value == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_guarantee_within_three_standard_errors_and_the_invariant(k):
    for seed in range(30):
        arms = 3 + seed % 6
        model = random_monotone(arms, 1 + seed % 4, 2 + seed % 5, seed=seed, pulls_per_round=k)
        plan = lsd_lp(model.payoffs, model.satiation, k)
        run = mirrored_rounding(plan, 600, runs=100, seed=seed)
        error = run.rewards.std(ddof=1) / 10
        assert run.rewards.mean() >= rounding_guarantee(k) * plan.value - 3 * error
        for select in ("virtual", "real"):
            for fill in ("none", "resync"):
                assert mirrored_rounding(plan, 200, runs=10, seed=seed, select=select, fill=fill).invariant


def test_guarantees_in_closed_form():
    assert rounding_guarantee(1) == pytest.approx(1 - np.exp(-1))
    assert rounding_guarantee(2) == pytest.approx(1 - 2 * np.exp(-2))
    assert rounding_guarantee(3) == pytest.approx(1 - 4.5 * np.exp(-3))


def test_recharging_is_the_special_case():
    for seed in range(5):
        model = concave_recharging(4, 6, seed=seed)
        plan, general = recharging_lp(delays(model)), lsd_lp(model.payoffs, model.satiation)
        assert plan.value == pytest.approx(general.value, abs=1e-12)
        assert (plan.frequencies @ np.arange(1, 7) <= 1 + 1e-9).all()
        run = interleaved_rounding(plan, 600, runs=200, seed=seed)
        assert run.rewards.mean() >= plan.guarantee * plan.value - 3 * run.rewards.std(ddof=1) / 200**0.5


def test_purely_periodic_pulls_never_collide():
    for k in (1, 2, 3):
        model = concave_recharging(5 * k, 6, seed=k, pulls_per_round=k)
        plan = purely_periodic(model.payoffs, model.satiation, k)
        length = int(np.lcm.reduce(np.maximum(plan.periods, 1)))
        schedule = plan.pulls(np.arange(length))
        assert schedule.sum(axis=1).max() <= k
        assert schedule_value(model.payoffs, model.satiation, schedule) == pytest.approx(plan.value, abs=1e-12)


def test_the_guarantee_is_withdrawn_for_payoffs_that_are_not_monotone():
    falling = [[0.1, 0.9, 0.5], [0.1, 0.2, 0.3]]
    with pytest.raises(EnvzooError, match=r"the payoffs of arm 0 decrease from 0\.9 in state -1 to 0\.5 in state 1"):
        lsd_lp(falling, 2)
    plan = lsd_lp(falling, 2, allow_nonmonotone=True)
    assert plan.guarantee is None
    assert not plan.monotone
    assert lsd_lp(BAIT, 2).guarantee == pytest.approx(1 - np.exp(-1))


def test_bad_input():
    for payoffs, satiation, k, words in (
        ([[0.1, np.nan]], 1, 1, "which is not finite"),
        ([[-0.1, 0.2]], 1, 1, "which is negative"),
        ([], 1, 1, "payoffs have the shape"),
        ([[0.1, 0.2]], 2, 1, "satiation is 2; expected a whole number from 1 to 1"),
        ([[0.1, 0.2]], 1, 2, "pulls_per_round is 2; expected a whole number from 1 to 1"),
    ):
        for planner in (lsd_lp, relative_value_iteration):
            with pytest.raises(EnvzooError, match=words):
                planner(payoffs, satiation, k)
    with pytest.raises(EnvzooError, match="needs 160 GB of memory"):
        relative_value_iteration(np.full((10, 10), 0.5), 5)
    plan = lsd_lp(BAIT, 2)
    with pytest.raises(EnvzooError, match="did you mean 'real'"):
        mirrored_rounding(plan, 10, select="rael")
    with pytest.raises(EnvzooError, match="did you mean 'resync'"):
        mirrored_rounding(plan, 10, fill="resink")
    with pytest.raises(EnvzooError, match="rounds is 0"):
        mirrored_rounding(plan, 0)
    with pytest.raises(EnvzooError, match="did you mean 'highs'"):
        lsd_lp(BAIT, 2, method="high")
