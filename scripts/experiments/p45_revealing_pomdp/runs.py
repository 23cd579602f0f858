"""The arms of paper 45: regret over episodes, samples to identify, exact tables, and agents on a tiny lock."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

EPISODES = (1e5, 1e6, 1e7, 1e8, 1e9)
GAPS = np.geomspace(1e-3, 1.0, 31)
SYMBOLS, TILTS = (8, 32, 128, 512), (0.6, 0.4, 0.2, 0.1)
REPEATS = 50


def score_at(what: str, episodes: float) -> str:
    """Name a score after a number of episodes."""
    return f"{what}, T = {episodes:.0e}"


def measure_regret(seed: int, budget: int, quick: bool, mode: str, length: int) -> dict[str, Any]:
    """Compute the worst regret over all gaps of the best of three: test and commit, UCB, and never exploring.

    2 leaves, 3 actions, 8 symbols, signal 0.8. The regret of the first is a mean over 50 repetitions by counts.
    """
    from envzoo.agents.planners.tabular.regret import log_log_slopes
    from envzoo.agents.tabular.revealing import eliminate_policies, explore_then_commit
    from envzoo.tabular.revealing_lock import Lock

    generator, scores, worst = np.random.default_rng([seed, 45]), {}, []
    signs = np.repeat([1.0, -1.0], 4)
    for episodes in EPISODES:
        rows = []
        for gap in GAPS[::6] if quick else GAPS:
            lock = Lock(0, 0, np.zeros(length, np.int64), signs, 2, 3, float(gap), 0.8, mode)
            test = float(explore_then_commit(lock, episodes, generator, REPEATS).mean())
            ucb = float(eliminate_policies(lock, episodes, generator, 1).mean())
            rows.append((test, ucb, episodes * gap / 2))
        table = np.array(rows)
        at = int(table.min(axis=1).argmax())
        for name, value in zip(("test", "UCB", "never"), table[at], strict=True):
            scores[score_at(name, episodes)] = float(value)
        scores[score_at("worst", episodes)] = float(table[at].min())
        worst.append(table[at].min())
    scores["slope"] = float(log_log_slopes(np.array(EPISODES), np.array(worst)))
    return {"scores": scores}


def count_samples(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Find the samples per arm that identify the right one of 8 in 90% of runs, over symbols and over tilts."""
    from envzoo.agents.planners.tabular.regret import log_log_slopes
    from envzoo.agents.tabular.revealing import samples_to_identify

    generator, scores = np.random.default_rng([seed, 46]), {}
    runs = 50 if quick else 300
    symbols = [samples_to_identify(n, 0.3, 8, generator, runs=runs) for n in SYMBOLS]
    tilts = [samples_to_identify(64, tilt, 8, generator, runs=runs) for tilt in TILTS]
    scores |= {f"N = {n}": found for n, found in zip(SYMBOLS, symbols, strict=True)}
    scores |= {f"tilt {tilt:g}": found for tilt, found in zip(TILTS, tilts, strict=True)}
    scores["slope in N"] = float(log_log_slopes(np.array(SYMBOLS, float), np.array(symbols)))
    scores["slope in tilt"] = float(log_log_slopes(np.array(TILTS), np.array(tilts)))
    return {"scores": scores}


def check_tables(seed: int, budget: int, quick: bool, length: int) -> dict[str, Any]:
    """Compare revealing constants, ranks and values of plans of a random lock with what they should be."""
    from envzoo.agents.tabular.revealing import reached_states, revealing_constant
    from envzoo.tabular.revealing_lock import draw_lock

    signal = float(np.random.default_rng([seed, 47]).uniform(0.2, 1.0))
    scores = {"sequences": 4.0 ** (length + 3)}
    for mode in ("free", "paid"):
        lock = draw_lock(2, 3, length, 4, 0.3, signal, mode, seed)
        model = lock.pomdp()
        alpha = revealing_constant(model, 1 if mode == "free" else 2)
        scores[f"alpha off signal, {mode}"] = abs(alpha - signal)
        rank = np.linalg.matrix_rank(model.emission[reached_states(model)])
        scores[f"missing rank, {mode}"] = float(reached_states(model).sum() - rank)
        scores[f"value off, {mode}"] = _worst_value(lock, model)
    return {"scores": scores}


def _worst_value(lock: Any, model: Any) -> float:
    """Return the largest distance of the value of a sequence of actions from 0, 1/2 or, if it is right, 1/2 + gap/2."""
    worst = 0.0
    for plan in itertools.product(range(lock.actions + 1), repeat=lock.length + 3):
        law, total = model.initial, 0.0
        for action in plan:
            law = law @ model.p[:, action]
            total += float(law @ model.emission @ model.reward)
            law = np.where(model.terminal, 0.0, law)
        lost = plan[-1] == lock.actions or (lock.mode == "paid" and lock.actions in plan[2:])
        # All further actions of the root lead to the last leaf.
        leaf = min(plan[0], lock.leaves - 1)
        right = (leaf, *plan[1:-1]) == (lock.leaf, lock.arm, *lock.code)
        expected = 0.0 if lost else 0.5 + lock.gap / 2 * right
        worst = max(worst, abs(total - expected))
    return worst


def learn_tiny(seed: int, budget: int, quick: bool, agent: str, mode: str) -> dict[str, Any]:
    """Let an agent of the zoo play a tiny lock (1 leaf, 3 actions, 1 digit, 4 symbols) and look at its best plan."""
    from envzoo import agents
    from envzoo.tabular.revealing_lock import RevealingLockVectorEnv

    env = RevealingLockVectorEnv(
        1, mode=mode, leaves=1, length=1, symbols=4, gap=0.5, signal=1.0, world_seed=seed, autoreset_mode="SameStep"
    )
    found = agents.make(agent, env, seed=seed, device="cpu", num_episodes=budget // 4).learn(budget)
    right = np.array_equal(found.best_plan(0)[:-1], found.lock.best_plan[:-1])
    return {"scores": {"right plan": float(right)}}
