"""Plans over histories against the tree of all histories, and many beliefs at once against one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.tabular.belief import first_belief, update_belief, update_beliefs
from envzoo.agents.planners.tabular.brute_force import best_pomdp_value
from envzoo.agents.planners.tabular.histories import HistoryPlan
from envzoo.errors import EnvzooError
from envzoo.tabular import FinitePOMDP, random_pomdp

seeds = st.integers(0, 10**6)


@settings(deadline=None, max_examples=15)
@given(seeds, st.booleans())
def test_the_plan_over_merged_histories_is_optimal(seed, ends):
    world = random_pomdp(3, 2, 2, horizon=3, seed=seed)
    terminal = np.array([False, False, ends])
    initial = np.array([0.5, 0.5, 0.0])
    model = FinitePOMDP(world.p, world.emission, world.reward, initial, terminal, horizon=3, gamma=0.9)
    plan = HistoryPlan(model)
    assert plan.value == pytest.approx(best_pomdp_value(model), abs=1e-12)
    assert plan.value == pytest.approx(value_of(plan), abs=1e-12)


def value_of(plan):
    """The value of following the plan, by the tree of all histories."""
    model = plan.model

    def go(weights, left):
        if left == 0 or not weights.any():
            return 0.0
        action = plan.action(weights / weights.sum(), left)
        seen = (weights @ model.p[:, action])[:, None] * model.emission
        rest = np.where(model.terminal[:, None], 0.0, seen)
        return seen.sum(axis=0) @ model.reward + model.gamma * sum(go(w, left - 1) for w in rest.T)

    return sum(go(w, model.horizon) for w in (model.initial * model.emission.T))


def test_histories_with_one_belief_are_one_node():
    """Where nothing is seen, the belief depends on the number of actions of each kind only, if they commute."""
    angle = np.array([[0.9, 0.1], [0.1, 0.9]])
    p = np.stack([angle, np.linalg.matrix_power(angle, 2)], axis=1)
    model = FinitePOMDP(p, np.ones((2, 1)), np.ones(1), horizon=12)
    plan = HistoryPlan(model)
    assert plan.value == pytest.approx(12.0)
    # After t steps the state has moved t to 2t times: t + 1 beliefs, against 2^t histories.
    assert plan.nodes == sum(t + 1 for t in range(12))


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_many_beliefs_are_updated_as_one_by_one(seed):
    rng, model = np.random.default_rng(seed), random_pomdp(4, 3, 3, seed=seed)
    beliefs = rng.dirichlet(np.ones(4), 7)
    actions, observations = rng.integers(3, size=7), rng.integers(3, size=7)
    found, chances = update_beliefs(model, beliefs, actions, observations)
    for k in range(7):
        belief, chance = update_belief(model, beliefs[k], actions[k], observations[k])
        np.testing.assert_allclose(found[k], belief, atol=1e-12)
        assert chances[k] == pytest.approx(chance)
    same, _ = update_beliefs(model, first_belief(model, 1)[0], 0, observations)
    np.testing.assert_allclose(
        same[0], update_belief(model, first_belief(model, 1)[0], 0, observations[0])[0], atol=1e-12
    )


def test_an_impossible_observation_has_no_belief():
    model = FinitePOMDP(np.full((2, 1, 2), 0.5), np.eye(3)[:2], np.zeros(3))
    beliefs, chances = update_beliefs(model, [[0.5, 0.5]], [0], [2])
    assert (chances[0], beliefs.tolist()) == (0.0, [[0.0, 0.0]])


MODEL = random_pomdp(3, 2, 2, horizon=3)
REFUSED = {
    "horizon": (lambda: HistoryPlan(random_pomdp(3, 2, 2, horizon=None)), "the tree of histories needs a horizon"),
    "long": (
        lambda: HistoryPlan(random_pomdp(2, 1, 1, horizon=300)),
        "horizon is 300; the tree of histories goes at most 250 steps deep",
    ),
    "nodes": (lambda: HistoryPlan(MODEL, most=3), "over 3 different beliefs; expected a smaller horizon"),
    "belief": (lambda: HistoryPlan(MODEL).action(np.zeros(3), 1), "the belief is not usable; expected 3 probabilities"),
    "left": (lambda: HistoryPlan(MODEL).action(np.ones(3) / 3, 4), "there are 4 steps to go; expected 1 to 3"),
    "actions": (lambda: update_beliefs(MODEL, np.ones(3) / 3, [2], [0]), "actions are out of range; expected 0 to 1"),
    "shape": (lambda: update_beliefs(MODEL, np.ones(2) / 2, [0], [0]), r"beliefs have the shape \(2,\); expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()
