"""The arms of paper 44: regret of each algorithm over the number of episodes, and identities of the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PLAIN, REDUCED, BARRIER, LOOSE = "plain", "magnitude-reduced", "log-barrier", "plain, rates of the reduced"
BANDIT, LAYERED, COMBO = "bandit", "linear MDP", "rare combination"
EPISODES = (500, 2_000, 8_000, 32_000)
SCALES = {
    BANDIT: {PLAIN: 1.0, REDUCED: 1.0, BARRIER: 30.0, LOOSE: 1.0},
    LAYERED: {PLAIN: 0.5, REDUCED: 0.5, BARRIER: 2.0, LOOSE: 0.5},
    COMBO: {PLAIN: 0.5, REDUCED: 0.5, BARRIER: 2.0, LOOSE: 0.5},
}
REDUCED_GAMMA = {BANDIT: 4.0, LAYERED: 1.0, COMBO: 1.0}  # factor of eta^2 H^2
BONUS = {BANDIT: 0.1, LAYERED: 0.02, COMBO: 0.1}  # factor of sqrt(gamma)


def regret_score(episodes: int) -> str:
    """Name the regret after a number of episodes."""
    return f"regret, K = {episodes}"


def find_rates(world: str, algorithm: str, episodes: int, layers: int) -> tuple[float, float]:
    """Return step size and regularisation."""
    scale = SCALES[world][algorithm]
    if algorithm == PLAIN:
        eta = scale * episodes ** (-2 / 3)
        return eta, 2 * eta * layers
    eta = scale * episodes**-0.5
    if algorithm == BARRIER:
        return eta, 1 / episodes
    return eta, REDUCED_GAMMA[world] * eta**2 * layers**2


def measure_regret(
    seeds: Sequence[int], budget: int, quick: bool, world: str, algorithm: str, bonus: bool = True
) -> list[dict[str, Any]]:
    """Play every number of episodes up to the budget anew, with the step sizes for it, once for each seed."""
    from envzoo.agents.planners.tabular.finite_horizon import backward_induction
    from envzoo.agents.planners.tabular.regret import log_log_slopes
    from envzoo.agents.tabular.linear_kernels import expected_loss, play_run
    from envzoo.kernel.stream import keys
    from envzoo.tabular.adversarial_worlds import linear_bandit, linear_mdp, rare_combination, schedule_tables

    made = {BANDIT: linear_bandit, LAYERED: linear_mdp, COMBO: rare_combination}[world]()
    layers, _, actions = made.p.shape[:3]
    found: list[dict[str, float]] = [{} for _ in seeds]
    lengths = [k for k in EPISODES if k <= budget]
    for length in lengths:
        schedule = schedule_tables("iid" if world == LAYERED else "fixed", length, len(made.loss), 0)
        model = made.mean_model(np.bincount(schedule, minlength=len(made.loss)) / length)
        best = -length * float(model.initial @ backward_induction(model.p, model.r, layers).v[0])
        eta, gamma = find_rates(world, algorithm, length, layers)
        beta = BONUS[world] * np.sqrt(gamma) if bonus else 0.0
        streams = np.zeros((len(seeds), 2), np.uint64)
        streams[:, 0] = keys(np.array(seeds, np.uint64))
        spent, least = np.empty((len(seeds), 1)), np.empty(len(seeds))
        marks, rest = np.array([length]), (eta, gamma, beta, algorithm == BARRIER, algorithm == REDUCED)
        for i in range(len(seeds)):
            play_run(made.p, made.phi, made.initial, made.loss, schedule, marks, *rest, streams, i, spent, least)
            found[i][regret_score(length)] = float(spent[i, 0] - best)
            found[i][f"least estimate, K = {length}"] = float(least[i])
    uniform = np.full(made.p.shape[:3], 1 / actions)
    mean = np.einsum("t,thsa->hsa", np.bincount(schedule, minlength=len(made.loss)) / length, made.loss)
    lost = expected_loss(made.p, made.initial, uniform, mean) - best / length
    for scores in found:
        regrets = np.array([scores[regret_score(k)] for k in lengths])
        scores["slope"] = float(log_log_slopes(np.array(lengths), regrets)) if len(lengths) > 1 else 0.5
        scores["share of uniform"] = regrets[-1] / (lost * lengths[-1])
    return [{"scores": scores} for scores in found]


def check_identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Compute the identities that the two algorithms rest on: exact, up to rounding."""
    from envzoo.agents.tabular.linear_kernels import estimate_layer, exact_inverses, visit_law
    from envzoo.tabular.adversarial_worlds import linear_mdp

    world, rng = linear_mdp(3, 6, 4, 4, world_seed=seed), np.random.default_rng([seed, 44])
    layers, states, actions, size = world.phi.shape
    pi = rng.dirichlet(np.ones(actions), (layers, states))
    law, inverses = np.empty((layers, states)), np.empty((layers, size, size))
    visit_law(world.p, world.initial, pi, law)
    exact_inverses(world.phi, law, pi, 0.01, np.empty((size, size)), inverses)
    h, left = 1, 2.0
    joint = law[h][:, None] * pi[h]
    mean, least, plain, reduced = 0.0, {False: np.inf, True: np.inf}, *(np.empty((states, actions)) for _ in range(2))
    for s in range(states):
        for a in range(actions):
            for to_go in (0.0, left):
                options = (world.phi[h], inverses[h], law[h], pi[h], s, a, to_go, left)
                estimate_layer(*options, False, plain)
                estimate_layer(*options, True, reduced)
                least = {False: min(least[False], plain.min()), True: min(least[True], reduced.min())}
                if to_go:
                    mean = mean + joint[s, a] * (reduced - plain)
    scores = {
        "difference of means": float(np.abs(mean).max()),
        "one estimate off": float(np.abs(reduced - plain).max()),
        "reduction": float(least[False] / least[True]),
    }
    return {"scores": scores | stability(rng)}


def stability(rng: np.random.Generator, runs: int = 300) -> dict[str, float]:
    """Play FTRL against wild losses of any sign, and divide its regret by the bound of the log-barrier.

    The bound is (Psi(y) - Psi(p_1)) / eta + eta sum p c^2, for y = (1 - 1 / T) e_i + uniform / T and any i.
    """
    from envzoo.agents.planners.tabular.ftrl import exponential_weights, log_barrier

    worst = {"log-barrier": -np.inf, "Hedge": -np.inf}
    kkt = 0.0
    for _ in range(runs):
        actions, length = int(rng.integers(2, 6)), int(rng.integers(5, 201))
        eta, sign = 10 ** rng.uniform(-3, 1), rng.integers(3)
        losses = rng.standard_cauchy((length, actions))
        losses = -np.abs(losses) if sign == 0 else losses
        total = np.concatenate([np.zeros((1, actions)), np.cumsum(losses, axis=0)])
        for name, solve in (("log-barrier", log_barrier), ("Hedge", exponential_weights)):
            p = solve(total[:-1], eta)
            if name == "log-barrier":
                gaps = 1 / p - eta * (total[:-1] - total[:-1].min(axis=1, keepdims=True))
                kkt = max(kkt, float((np.ptp(gaps, axis=1) / (1 / p).max(axis=1)).max()))
            for i in range(actions):
                y = (1 - 1 / length) * np.eye(actions)[i] + 1 / (length * actions)
                regret = float(((p - y) * losses).sum())
                barrier = float(-np.log(y).sum() - actions * np.log(actions))
                bound = barrier / eta + eta * float((p * losses**2).sum())
                worst[name] = max(worst[name], regret / bound)
    return {f"{name} over bound": value for name, value in worst.items()} | {"KKT residual": kkt}
