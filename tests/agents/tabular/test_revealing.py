"""Paper 45: exact tables of revealing locks, tests of uniformity, play by counts, and three agents."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.planners.tabular.belief import log_likelihood
from envzoo.agents.planners.tabular.brute_force import best_pomdp_value
from envzoo.agents.tabular.omle import add_likelihoods
from envzoo.agents.tabular.revealing import (
    collision_statistic,
    eliminate_policies,
    explore_then_commit,
    probes_needed,
    reached_states,
    revealing_constant,
    sample_symbols,
    samples_to_identify,
)
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.tabular import FinitePOMDP
from envzoo.tabular.revealing_lock import Lock, RevealingLockVectorEnv, all_locks, draw_lock


def value_of(model, plan):
    law, total = model.initial, 0.0
    for action in plan:
        law = law @ model.p[:, action]
        total += law @ model.emission @ model.reward
        law = np.where(model.terminal, 0.0, law)
    return total


@pytest.mark.parametrize("mode", ["free", "paid"])
def test_only_the_right_plan_is_better_than_a_coin(mode):
    lock = draw_lock(2, 3, 1, 4, 0.3, 0.5, mode, world_seed=5)
    model = lock.pomdp()
    better = []
    for plan in itertools.product(range(3), repeat=4):
        value = value_of(model, plan)
        assert value == pytest.approx(0.65 if value > 0.6 else 0.5, abs=1e-12)
        better += [(min(plan[0], 1), *plan[1:3])] * int(value > 0.6)  # the last leaf has several doors
    assert set(better) == {tuple(lock.best_plan[:3])}
    at = 3 if mode == "paid" else 2
    assert value_of(model, [*lock.best_plan[:at], 3]) == 0
    wide = FinitePOMDP(model.p, model.emission, model.reward, 0, model.terminal, horizon=4)
    assert best_pomdp_value(wide) >= 0.65 - 1e-12


@pytest.mark.parametrize("signal", [0.3, 0.8, 1.0])
def test_the_signal_is_the_revealing_constant(signal):
    free, paid = (draw_lock(2, 3, 1, 4, 0.3, signal, mode, 1).pomdp() for mode in ("free", "paid"))
    assert revealing_constant(free) == pytest.approx(signal, abs=1e-9)
    assert revealing_constant(paid) == 0
    assert revealing_constant(paid, 2) == pytest.approx(signal, abs=1e-9)
    states = reached_states(paid)
    assert states.all()
    assert np.linalg.matrix_rank(paid.emission) == states.sum() - 2


def test_probes_of_the_environment_show_what_is_counted():
    """10,000 probes of the right and of a wrong arm, against the laws that the counts are drawn of."""
    lock = draw_lock(2, 3, 2, 4, 1.0, 1.0, "paid", world_seed=3)
    env = RevealingLockVectorEnv(
        10_000, leaves=2, actions=3, length=2, symbols=4, gap=1.0, signal=1.0, world_seed=3, autoreset_mode="Disabled"
    )
    for arm, right in ((lock.arm, True), ((lock.arm + 1) % 3, False)):
        env.reset(seed=arm)
        for action in (lock.leaf, arm, 3):
            observation, reward, terminated, _, _ = env.step(np.full(10_000, action))
        assert terminated.all()
        assert not reward.any()
        symbols = np.array([lock.symbol_after(o) for o in observation])
        counts = np.bincount(symbols, minlength=4)
        law = (1 + right * lock.signs) / 4
        assert (np.abs(counts / 10_000 - law) < 6 * np.sqrt(0.25 / 10_000)).all()
        drawn = sample_symbols(lock, 10_000, right, np.random.default_rng(0))[0]
        assert (np.abs(drawn / 10_000 - law) < 6 * np.sqrt(0.25 / 10_000)).all()


def test_the_collision_statistic_has_the_mean_of_its_formula():
    """E Z over all outcomes of n = 3 draws from N = 2 symbols: by enumeration, and in closed form."""
    for tilt in (0.0, 0.5):
        law = np.array([1 + tilt, 1 - tilt]) / 2
        mean = 0.0
        for draws in itertools.product(range(2), repeat=3):
            counts = np.bincount(draws, minlength=2)
            mean += np.prod(law[list(draws)]) * collision_statistic(counts)
        variance = 3 * (law * (1 - law)).sum()
        expected = (variance + ((3 * law - 1.5) ** 2).sum() - 3) / 1.5
        assert mean == pytest.approx(expected)
    assert probes_needed(4, 0.5, np.e**4) == 8 * 4 * 4


def test_counts_of_regret():
    lock = Lock(0, 0, np.zeros(1, np.int64), np.array([1.0, -1.0]), 1, 2, 1.0, 1.0, "paid")
    generator = np.random.default_rng(0)
    n = probes_needed(2, 1.0, 1e6)
    regret = explore_then_commit(lock, 1e6, generator, 200)
    assert regret.min() == 4 * n * 1.0
    assert set(np.round(regret - 4 * n)) <= {0.0, round((1e6 - 4 * n) * 0.5)}
    ucb = eliminate_policies(lock, 1e6, generator, 20)
    assert (ucb > 0).all()
    assert (ucb < 0.01 * 1e6).all()
    assert eliminate_policies(lock, 4.0, generator, 1)[0] == pytest.approx(4 * 0.5 * 3 / 4)


def test_more_symbols_and_weaker_tilts_need_more_samples():
    generator = np.random.default_rng(1)
    few, many = (samples_to_identify(n, 0.4, 4, generator, runs=200) for n in (8, 128))
    assert 2 < many / few < 8
    weak = samples_to_identify(8, 0.1, 4, generator, runs=200)
    assert 10 < weak / few < 25


def test_likelihoods_of_all_models_come_from_the_filter():
    lock = draw_lock(1, 2, 1, 2, 0.4, 0.7, "free", 2)
    models = [other.pomdp() for other in all_locks(lock)]
    assert len(models) == 2 * 2 * 2
    shown, plan = np.array([0, 1, 2, 5, 6]), np.array([0, 1, 0, 1])
    total = np.zeros(len(models))
    p, emission = np.stack([m.p for m in models]), np.stack([m.emission for m in models])
    add_likelihoods(p, emission, models[0].initial, models[0].terminal, shown, plan, total)
    np.testing.assert_allclose(total, [log_likelihood(m, shown, plan) for m in models])
    assert np.isfinite(total).all()


@pytest.mark.parametrize("mode", ["free", "paid"])
@pytest.mark.parametrize("name", ["OMLE", "CollisionETC", "PolicyUCB"])
def test_agents_open_a_lock_with_a_strong_signal(name, mode):
    kwargs = {"mode": mode, "leaves": 2, "actions": 2, "length": 1, "symbols": 4, "gap": 1.0, "signal": 1.0}
    agent = agents.make(name, "envzoo/RevealingLock-v0", seed=0, device="cpu", env_kwargs=kwargs, num_episodes=1_500)
    agent.learn(5_000)
    assert agent.best_plan(0)[:3].tolist() == agent.lock.best_plan[:3].tolist()
    env = gym.make("envzoo/RevealingLock-v0", **kwargs)
    wins = 0
    for seed in range(40):
        observation, _ = env.reset(seed=seed)
        state, done = None, False
        while not done:
            action, state = agent.predict(observation, state)
            observation, reward, done, _, _ = env.step(action)
        wins += reward
    assert wins == 40


REFUSED = {
    "leaves": (lambda: draw_lock(4, 3), "leaves is 4; expected a whole number from 1 to 3"),
    "symbols": (lambda: draw_lock(symbols=7), "symbols is 7; expected an even number"),
    "mode": (lambda: draw_lock(mode="cheap"), "unknown mode 'cheap'"),
    "signs": (lambda: Lock(0, 0, [0], [1, 1]), "signs are not usable"),
    "code": (lambda: Lock(0, 0, [5], [1, -1]), "code is not usable"),
    "gap": (lambda: draw_lock(gap=0.0), "gap is 0.0; expected a number above 0"),
    "class": (
        lambda: agents.make("OMLE", "envzoo/RevealingLock-v0", env_kwargs={"length": 6}),
        "keeps a likelihood for each of",
    ),
    "world": (lambda: agents.make("CollisionETC", "envzoo/RandomMDP-v0"), "plays envzoo/RevealingLock-v0, and"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, sentence = REFUSED[case]
    with pytest.raises((EnvzooError, UnsupportedSpaceError), match=sentence):
        make()
