"""Paper 50: planning over histories against brute force, bonuses, variances, worlds, and learning with hindsight."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.tabular.brute_force import best_lmdp_value, enumerate_history_policies
from envzoo.agents.planners.tabular.latent import (
    LatentPlan,
    box_value,
    evaluate_plan,
    return_variances,
    variance_bonus,
)
from envzoo.agents.tabular.latent_learning import LatentCounts, learn_latent, play_keys
from envzoo.errors import EnvzooError
from envzoo.kernel.stream import keys
from envzoo.tabular import LatentMDP, random_lmdp
from envzoo.tabular.latent_worlds import encoding_lock, permutation_lock, signal_world

seeds = st.integers(0, 10**6)


@settings(deadline=None, max_examples=8)
@given(seeds)
def test_the_planner_is_optimal_and_its_value_is_exact(seed):
    model = random_lmdp(2, 3, 2, 3, seed=seed)
    plan = LatentPlan(model)
    assert plan.value == pytest.approx(best_lmdp_value(model), abs=1e-10)
    assert evaluate_plan(plan, model) == pytest.approx(plan.value, abs=1e-10)
    tiny = random_lmdp(2, 2, 2, 2, seed=seed)
    assert LatentPlan(tiny).value == pytest.approx(enumerate_history_policies(tiny), abs=1e-10)


def returns(plan, model):
    """Every return of a plan with its probability, by enumeration."""
    found = []
    for m, s in itertools.product(range(model.num_contexts), range(model.num_states)):
        own = plan.model.weights * plan.model.initial[:, s]
        stack = [(model.weights[m] * model.initial[m, s], 0, s, own, 0.0)]
        while stack:
            chance, t, now, w, total = stack.pop()
            if chance == 0:
                continue
            if t == model.horizon:
                found.append((chance, total))
                continue
            a = plan.action(t, now, w)
            for to in range(model.num_states):
                step = (chance * model.p[m, now, a, to], t + 1, to, plan.follow(w, now, a, to))
                stack.append((*step, total + model.r[m, now, a]))
    return np.array(found).T


@settings(deadline=None, max_examples=5)
@given(seeds)
def test_variances_add_up_to_that_of_the_return(seed):
    model = random_lmdp(2, 2, 2, 3, seed=seed)
    plan = LatentPlan(model)
    chance, total = returns(plan, model)
    mean = chance @ total
    assert mean == pytest.approx(plan.value)
    whole, inside = return_variances(plan, model)
    assert whole == pytest.approx(chance @ (total - mean) ** 2, abs=1e-12)
    assert 0 <= inside <= whole + 1e-12


def test_values_of_the_worlds():
    assert LatentPlan(permutation_lock(base=0.4, gap=0.2)).value == pytest.approx(0.6)
    assert LatentPlan(encoding_lock(2, 3, 0.5, 0.3, pad=5)).value == pytest.approx(0.8)
    assert LatentPlan(signal_world(0.9)).value == pytest.approx(0.9)
    certain = permutation_lock(base=0.0, gap=1.0)
    assert return_variances(LatentPlan(certain), certain) == (0.0, 0.0)
    # A policy that is right in one of two contexts: all of the variance is the contexts', none that of transitions.
    wrong = LatentPlan(LatentMDP(certain.p, certain.r, certain.horizon, [1.0, 0.0], certain.initial))
    assert return_variances(wrong, certain) == (0.25, 0.0)
    blind = LatentCounts(signal_world(0.9), memory=False)
    blind.p[0], blind.known[:] = signal_world(0.9).p.mean(axis=0), 10**9
    assert evaluate_plan(blind.plan("none", 1.0), signal_world(0.9)) == pytest.approx(0.5)


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_the_bonus_is_monotone_with_the_large_lower_term_only(seed):
    rng = np.random.default_rng(seed)
    law, n = rng.dirichlet(np.ones(2)), float(rng.integers(1, 1001))
    low = rng.random(2)
    high = low + rng.random(2) * (1 - low)
    assert law @ low + variance_bonus(law, low, n, 1.0) <= law @ high + variance_bonus(law, high, n, 1.0) + 1e-12


def test_a_smaller_lower_term_would_not_be_monotone():
    """With v = (1, x) and p = (.9, .1) the slope in x is .1 - 2 sqrt(.09 / n), below 0 for n < 36."""
    law, n = np.array([0.9, 0.1]), 20.0

    def small(v):
        return law @ v + max(np.sqrt(4 * (law @ v**2 - (law @ v) ** 2) / n), 2.0 / n)

    low, high = np.array([1.0, 0.0]), np.array([1.0, 0.2])
    assert small(low) > small(high)
    assert law @ low + variance_bonus(law, low, n, 1.0) < law @ high + variance_bonus(law, high, n, 1.0)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_the_box_is_filled_as_a_linear_program_does(seed):
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    law, v, n = rng.dirichlet(np.ones(4)), rng.random(4), float(rng.integers(1, 200))
    width = 2 * np.sqrt(law / n) + 1 / n
    bounds = list(zip(np.maximum(0, law - width), np.minimum(1, law + width), strict=True))
    best = -linprog(-v, A_eq=np.ones((1, 4)), b_eq=[1.0], bounds=bounds, method="highs").fun
    assert box_value(law, v, n, 1.0) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("bonus", ["variance", "hoeffding", "box"])
def test_optimism_falls_to_the_truth_with_infinite_counts(bonus):
    model = encoding_lock(1, 2)
    many = np.full(model.r.shape, 1e14)
    assert LatentPlan(model, many, bonus).value == pytest.approx(0.8, abs=1e-5)
    few = LatentPlan(model, np.full(model.r.shape, 50.0), bonus)
    assert few.value >= 0.8
    assert LatentPlan(model, np.zeros(model.r.shape), bonus).value == 1.0


def test_learning_with_hindsight():
    certain = permutation_lock(base=0.0, gap=1.0, world_seed=1)
    found = learn_latent(certain, 200, "variance", 0)
    assert found["regret"][-1] == found["regret"][150]
    assert found["regret"][-1] <= 2 * 6 * 8  # every arm of both contexts, until its bonus is small
    assert 0 < found["plans"] <= 2 * certain.num_states * 3 * (np.log2(5 * 200) + 1)
    again = learn_latent(certain, 200, "variance", 0)
    np.testing.assert_array_equal(found["regret"], again["regret"])
    memory, blind = (learn_latent(signal_world(), 300, "variance", 0, memory=m)["regret"] for m in (True, False))
    assert blind[-1] == pytest.approx(0.4 * 300)
    assert memory[-1] < 60


def test_keys_are_played_as_one_bandit_per_context():
    streams, regret = np.zeros((1, 2), np.uint64), np.empty((1, 2))
    streams[:, 0] = keys(np.array([3], np.uint64))
    play_keys(np.array([2, 4]), 0.0, 1.0, False, 1.0, np.array([500, 5_000]), streams, 0, regret)
    # Without luck all arms before the key are tried until two frozen estimates have put them below 1.
    assert regret[0, 0] == regret[0, 1] <= 2 * 5 * 4


@pytest.mark.parametrize("name", ["LMDPPermutationLock", "EncodeLMDP", "LMDPSignal", "RandomLMDP"])
def test_the_context_is_hidden_until_the_end(name):
    env = gym.make(f"envzoo/{name}-v0").unwrapped
    model = env.model()
    assert isinstance(model, LatentMDP)
    seen = set()
    for seed in range(30):
        _, info = env.reset(seed=seed)
        context = int(env.get_state()["latent"][0]) // model.num_states
        for t in range(model.horizon):
            assert info == {"context": -1}
            _, _, terminated, _, info = env.step(0)
            assert terminated == (t == model.horizon - 1)
        assert info == {"context": context}
        seen.add(context)
    assert len(seen) == model.num_contexts


REFUSED = {
    "bonus": (lambda: LatentPlan(signal_world(), bonus="max"), "bonus is 'max'; expected"),
    "counts": (lambda: LatentPlan(signal_world(), np.ones(3)), r"counts have the shape \(3,\)"),
    "orders": (lambda: permutation_lock(contexts=3, encoding=2), "expected at most 2, the orders of 2 states"),
    "chance": (lambda: encoding_lock(base=0.9, gap=0.2), r"base \+ gap is 1.1; expected a probability"),
    "accuracy": (lambda: signal_world(0.4), "accuracy is 0.4; expected a number of at least 0.5 and at most 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()
