"""Paper 36: worlds and policy classes against exact values, and estimators by enumeration."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.tabular.evaluation import evaluate_policy
from envzoo.agents.planners.tabular.policy_class import (
    class_values,
    exact_cpi,
    exact_psdp,
    find_violation,
    second_moments,
    spanning_capacity,
    start_values,
)
from envzoo.agents.tabular.class_values import (
    Episodes,
    core_values,
    uniform_values,
)
from envzoo.agents.tabular.popler import SpecialEpisodes, solve_processes
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP
from envzoo.tabular.agnostic_worlds import agnostic_tree, block_combo_lock, psdp_trap, singleton_rich
from envzoo.tabular.policy_class import PolicyProblem, TablePolicies, combine_states, require_consistent, tons

SEEDS = st.integers(0, 10_000)


def layered(layers, states, policies, core=None, petals=None):
    """A problem with one first state and `states` states in each later layer."""
    layer = np.repeat(np.arange(layers), [1] + [states] * (layers - 1))
    cover = (layer == np.arange(layers)[:, None]).astype(float)
    return PolicyProblem(policies(len(layer)), layer, cover / cover.sum(axis=1, keepdims=True), core, petals)


def layer_core(layer):
    """The policy 0, and for each layer the one that takes action 1 on the whole layer."""
    return TablePolicies(np.concatenate([np.zeros((1, len(layer)), int), layer == np.arange(layer.max() + 1)[:, None]]))


def trajectories(model, horizon):
    """Yield all trajectories of uniform actions: probability given the actions, states, actions and return."""
    stack = [(p, (s,), (), 0.0) for s, p in enumerate(model.initial) if p > 0]
    while stack:
        p, states, actions, total = stack.pop()
        if len(actions) == horizon:
            yield p, states[:horizon], actions, total
            continue
        for a in range(model.num_actions):
            reward = total + model.r[states[-1], a]
            row = model.p[states[-1], a]
            if len(actions) + 1 == horizon:
                stack.append((p, (*states, -1), (*actions, a), reward))
            else:
                stack += [(p * row[t], (*states, t), (*actions, a), reward) for t in np.flatnonzero(row)]


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_both_samplers_are_unbiased_for_every_policy(seed):
    model, problem = singleton_rich(3, 3, 1.0, world_seed=seed)
    rows = list(trajectories(model, 3))
    states, actions = (np.array([row[k] for row in rows]) for k in (1, 2))
    chance, returns = np.array([row[0] for row in rows]), np.array([row[3] for row in rows])
    agrees = problem.policies.consistent(states, actions)
    truth = start_values(model, problem)
    np.testing.assert_allclose((agrees * chance * returns).sum(axis=1), truth, atol=1e-12)

    def mean(values, probability):
        # The estimator is linear in the trajectories: each alone, with the probability that the sampler draws it.
        one = [Episodes(states[[i]], actions[[i]], np.eye(3)[[0]] * returns[i], *np.array([[0], [3]])) for i in at]
        return sum(p * values(episode) for p, episode in zip(probability[at], one, strict=True))

    at = np.arange(len(rows))
    np.testing.assert_allclose(mean(lambda e: uniform_values(problem.policies, e, 2), chance / 8), truth, atol=1e-12)
    share = problem.core.consistent(states, actions).mean(axis=0)
    at = np.flatnonzero(share)
    np.testing.assert_allclose(
        mean(lambda e: core_values(problem.policies, problem.core, e), chance * share), truth, atol=1e-12
    )


def test_second_moments_have_the_ratio_of_actions_to_core_policies():
    model, problem = singleton_rich(world_seed=3)
    for row in (0, 1, 120, 501 - 1):
        uniform, core = second_moments(model, problem, problem.table()[row])
        assert uniform / core == pytest.approx(2**10 / 11, rel=1e-12)
    tiny, problem = singleton_rich(3, 2, 1.0, world_seed=1)
    policy = problem.table()[2]
    rows = [row for row in trajectories(tiny, 3) if all(policy[list(row[1])] == row[2])]
    square = sum(p * total**2 for p, _, _, total in rows)
    assert second_moments(tiny, problem, policy)[0] == pytest.approx(8 * square, rel=1e-12)


def test_values_of_a_class_are_those_of_policy_evaluation():
    model, problem = singleton_rich(4, 3, 1.0, planted=0.4, world_seed=2)
    values = class_values(model, problem)
    for row in (0, 1, 7, 12):
        np.testing.assert_allclose(values[row], evaluate_policy(model, problem.table()[row])[0], atol=1e-12)


def test_the_planted_reward_is_in_the_state_that_action_0_visits_most():
    plain, planted = singleton_rich(5, 6, world_seed=4), singleton_rich(5, 6, planted=0.4, world_seed=4)
    s, a = np.argwhere(planted.model.r != plain.model.r)[0]
    law = plain.model.initial
    for _ in range(2):
        law = law @ plain.model.p[:, 0]
    assert (planted.model.r - plain.model.r)[s, a] == pytest.approx(0.4)
    assert (np.count_nonzero(planted.model.r != plain.model.r), a, s) == (1, 1, law.argmax())


def test_coins_have_the_means_of_the_table():
    mean, coins = singleton_rich(4, 3, world_seed=5), singleton_rich(4, 3, bernoulli=True, world_seed=5)
    np.testing.assert_allclose(mean.model.r, coins.model.r, atol=1e-12)
    assert set(np.unique(coins.model.joint.reward)) == {0.0, 1.0}


# ---------------------------------------------------------------------------- capacity and sunflowers


def test_spanning_capacities():
    assert spanning_capacity(layered(4, 4, tons)).tolist() == [2, 3, 4, 5]
    assert spanning_capacity(layered(4, 3, tons)).tolist() == [2, 3, 4, 4]
    assert spanning_capacity(layered(3, 3, lambda n: tons(n, 2))).tolist() == [2, 4, 6]
    assert spanning_capacity(layered(3, 4, lambda n: TablePolicies(np.ones((1, n), int)))).tolist() == [1, 1, 1]


def test_all_policies_span_all_sequences_up_to_the_states():
    def everything(n):
        return TablePolicies(np.array(list(itertools.product(range(2), repeat=n))))

    assert spanning_capacity(layered(2, 2, everything)).tolist() == [2, 4]
    assert spanning_capacity(layered(3, 2, everything)).tolist() == [2, 4, 4]


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_a_larger_class_spans_no_less_and_never_more_than_its_bounds(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(2, size=(5, 5))
    small = spanning_capacity(layered(3, 2, lambda n: TablePolicies(table[:3])))
    large = spanning_capacity(layered(3, 2, lambda n: TablePolicies(table)))
    assert (small <= large).all()
    assert (large <= np.minimum(len(table), [2, 4, 4])).all()


def violates(problem):
    """Try all segments: the definition of a sunflower, word for word."""
    table, core, layer = problem.table(), problem.core.act(np.arange(len(problem.layer))), problem.layer
    for n, first, last in itertools.product(range(len(table)), range(layer.max() + 1), range(layer.max() + 1)):
        for path in itertools.product(*(np.flatnonzero(layer == h) for h in range(first, last + 1))):
            path = list(path)
            enters = set(path[1:]) & set(problem.petals[n].tolist())
            if path and not enters and not (core[:, path] == table[n, path]).all(axis=1).any():
                return True
    return False


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_violations_of_a_sunflower_are_those_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    core = TablePolicies(rng.integers(2, size=(3, 5)))
    petals = rng.integers(-1, 5, size=(3, 2))
    problem = layered(3, 2, lambda n: TablePolicies(rng.integers(2, size=(3, n))), core, petals)
    assert (find_violation(problem) is not None) == violates(problem)


def two_tons():
    """Policies that deviate in two states at most; their petals are these states."""
    plain = layered(4, 3, lambda n: tons(n, 2))
    rows = [np.flatnonzero(row) for row in plain.table()]
    petals = np.array([np.append(row, [-1] * (2 - len(row))) for row in rows]).astype(int)
    return replace(plain, core=layer_core(plain.layer), petals=petals)


def test_sunflowers_of_the_worlds():
    singles = singleton_rich(4, 3).problem
    assert find_violation(singles) is None
    assert find_violation(replace(singles, petals=np.full((13, 1), -1))) is None  # H + 1 core policies need no petals
    assert find_violation(replace(singles, core=TablePolicies(singles.core.table[:-1]))) is not None
    assert find_violation(two_tons()) is None
    assert find_violation(replace(two_tons(), petals=np.full((56, 1), -1))) is not None


# ---------------------------------------------------------------------------- POPLER


def visited(to, policy, horizon):
    """The states of a policy in a deterministic world."""
    states = [0]
    for _ in range(horizon - 1):
        states.append(int(to[states[-1], policy[states[-1]]]))
    return set(states)


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_reward_processes_are_exact_in_a_deterministic_world(seed):
    """One episode of each core policy from each special state is then the whole law."""
    rng, problem = np.random.default_rng(seed), two_tons()
    states, horizon = len(problem.layer), problem.horizon
    to = np.array([rng.choice(np.flatnonzero(problem.layer == h + 1), 2) if h < 3 else [0, 0] for h in problem.layer])
    pays, core = rng.random((states, 2)), problem.core.table
    ends = np.zeros((states, 2, states), bool)
    ends[problem.layer == 3] = True
    model = FiniteMDP.from_tables(np.eye(states)[to], pays, ends)

    def play(start):
        first = problem.layer[start]
        rows = [np.zeros((len(core), horizon)) for _ in range(3)]
        for k, policy in enumerate(core):
            s = start
            for t in range(first, horizon):
                a = policy[s]
                rows[0][k, t], rows[1][k, t], rows[2][k, t], s = s, a, pays[s, a], to[s, a]
        begins = np.full(len(core), first)
        return Episodes(
            rows[0].astype(np.int32), rows[1].astype(np.int16), rows[2], begins, np.full(len(core), horizon)
        )

    data = SpecialEpisodes(states, 2, horizon)
    data.add(states, play(0), 100)
    truth = start_values(model, problem)
    # Without special states only policies are explained that come to no second petal of theirs.
    values, reach = solve_processes(problem, data)
    visits = [visited(to, row, horizon) for row in problem.table()]
    explained = np.array(
        [len(seen & set(petals.tolist())) <= 1 for seen, petals in zip(visits, problem.petals, strict=True)]
    )
    expected = [[float(petal in seen) for petal in petals] for seen, petals in zip(visits, problem.petals, strict=True)]
    assert explained.sum() > 0
    np.testing.assert_allclose(values[explained], truth[explained], atol=1e-12)
    np.testing.assert_allclose(reach[explained], np.array(expected)[explained], atol=1e-12)
    for petal in range(states):
        data.add(petal, play(petal), 100)
    values, reach = solve_processes(problem, data)
    np.testing.assert_allclose(values, truth, atol=1e-12)
    np.testing.assert_allclose(reach, expected, atol=1e-12)


def test_episodes_of_another_core_are_refused():
    problem = singleton_rich(3, 2).problem
    episodes = Episodes(np.array([[0, 2, 4]]), np.array([[1, 1, 0]]), np.zeros((1, 3)), *np.array([[0], [3]]))
    with pytest.raises(EnvzooError, match=r"no member that is consistent with trajectory 0 \(1 of 1\)"):
        core_values(problem.policies, problem.core, episodes)


# ---------------------------------------------------------------------------- trap, trees, lock


def test_dynamic_programming_falls_into_the_trap_and_conservative_steps_depend_on_the_law():
    for gadgets in (1, 3):
        trap = psdp_trap(gadgets)
        np.testing.assert_allclose(start_values(*trap), [1.0, 0.6], atol=1e-12)
        kept, value = exact_psdp(*trap)
        assert value == pytest.approx(0.6, abs=1e-12)
        assert (kept[1::2] == 1).all()
    trap = psdp_trap()
    complete = replace(trap.problem, policies=combine_states(trap.problem.policies), core=None, petals=None)
    assert len(complete.policies) == 8
    assert exact_psdp(trap.model, complete)[1] == pytest.approx(1.0, abs=1e-12)
    assert exact_cpi(*trap)[1] > 0.99
    # The advantage of the better policy is 0.2 - 0.25 mu(y) at first, so that it is kept out from mu(y) = 0.8 on.
    for weight, better in ((0.21, True), (0.19, False)):
        policy, _ = exact_cpi(*psdp_trap(weight=weight), eps=1e-6, rounds=1)
        assert (policy[:, 0] > 0.5).all() == better
    assert exact_cpi(*psdp_trap(weight=0.25))[1] > 0.99
    assert exact_cpi(*psdp_trap(weight=0.1))[1] == pytest.approx(0.5964, abs=1e-4)


def test_one_policy_comes_to_the_better_leaf():
    model, problem = agnostic_tree(5, 8, 0.2, world_seed=6)
    values = start_values(model, problem)
    assert set(np.round(values, 12)) == {0.5, 0.7}
    assert (model.joint.probability[:, :, 0] == 0.7).sum() == 1
    assert problem.horizon == 5


@pytest.mark.parametrize("exogenous", [1, 3])
def test_the_lock_is_a_block_mdp_whose_class_sees_the_latent_state_only(exogenous):
    model, problem = block_combo_lock(3, 2, exogenous, 8, world_seed=1)
    each = 2 * exogenous
    np.testing.assert_allclose(model.p[model.r.shape[0] - 3 * each :].sum(), 0.0)
    table = problem.table().reshape(8, 3, 3, each)
    assert (table == table[..., :1]).all()
    values = start_values(model, problem)
    assert values.max() == pytest.approx(1.0, abs=1e-12)
    # Moves of the latent state do not depend on what else is observed, and those of the walk on nothing else.
    latent = model.p[: 6 * each].reshape(2, 3, each, 2, 3, 3, each).sum(axis=(4, 6))
    np.testing.assert_allclose(latent, np.broadcast_to(latent[:, :, :1], latent.shape), atol=1e-12)
    walk = model.p[: 6 * each].reshape(2, 3, exogenous, 2, 2, 9, exogenous, 2).sum(axis=(5, 7))
    np.testing.assert_allclose(walk, np.broadcast_to(walk[:1, :1, :, :1, :1], walk.shape), atol=1e-12)


REFUSED = {
    "table": (lambda: TablePolicies([[0.5]]), r"the table of policies has the shape \(1, 1\); expected whole numbers"),
    "negative": (lambda: TablePolicies([[-1]]), "has actions out of range; expected 0 to"),
    "large": (lambda: tons(10_000, 2), "a class of 50005001 policies is too large; expected at most 1000000"),
    "combined": (lambda: combine_states(tons(21)), "a class of 2097152 policies is too large"),
    "member": (
        lambda: require_consistent(tons(3), np.array([[0, 1]]), np.array([[1, 1]])),
        "the policy class has no member that is consistent with trajectory 0",
    ),
    "trajectory": (
        lambda: tons(3).consistent(np.array([[3]]), np.array([[0]])),
        "states out of range; expected 0 to 2",
    ),
    "cover": (lambda: PolicyProblem(tons(2), [0, 1], [[0.5, 0.5], [0, 1]]), "cover of layer 0 holds state 1"),
    "law": (lambda: PolicyProblem(tons(2), [0, 1], [[0.5, 0], [0, 1]]), "row 0 of cover sums to 0.5"),
    "layer": (lambda: PolicyProblem(tons(2), [0, 2], np.eye(2)), "layer holds numbers out of range; expected 0 to 1"),
    "sunflower": (
        lambda: PolicyProblem(tons(2), [0, 1], np.eye(2), core=tons(2)),
        "has a core and petals; expected both",
    ),
    "petals": (
        lambda: PolicyProblem(tons(2), [0, 1], np.eye(2), tons(2), np.full((3, 1), 2)),
        "petals hold states out of range; expected -1 to 1",
    ),
    "capacity": (lambda: spanning_capacity(layered(3, 400, tons)), "has too many worlds to try"),
    "moments": (lambda: second_moments(*agnostic_tree(2, 2), np.zeros(3, int)), "has no core; expected core policies"),
    "coins": (
        lambda: second_moments(*singleton_rich(2, 2, bernoulli=True), np.zeros(4, int)),
        "rewards are random given state and action",
    ),
    "gap": (lambda: agnostic_tree(gap=0.6), "gap"),
    "weight": (lambda: psdp_trap(weight=1.5), "weight"),
    "memory": (lambda: block_combo_lock(block=10_000), "would take"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence) as refusal:
        make()
    assert len(str(refusal.value).splitlines()) == 1
