"""Matrix games of preferences: the minimax winner by linear programming, exploitability, and self-play by Hedge.

A game is an antisymmetric matrix P (K, K) with entries in [-1, 1]: arm i is preferred to arm j with probability
(1 + P[i, j]) / 2. The minimax winner (von Neumann winner) is the mixed strategy against which no arm is preferred with
probability above 1/2. Source: Swamy et al. 2024 (arXiv 2401.04056).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import linprog

from envzoo.agents.preference.tilting import read_distribution
from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.preference.games import read_game


def minimax_winner(game: Any) -> np.ndarray:
    """Compute a minimax winner (K,) of a game (K, K) by linear programming (HiGHS).

    Maximises v subject to x' P[:, j] >= v for all j. The value of a symmetric game is 0. If there are several winners,
    a vertex of their set is returned.

    Raises:
        EnvzooError: The matrix is no game, or the solver fails.
    """
    game = read_game(game)
    k = len(game)
    cost = np.append(np.zeros(k), -1.0)
    found = linprog(
        cost,
        A_ub=np.hstack([-game.T, np.ones((k, 1))]),
        b_ub=np.zeros(k),
        A_eq=np.append(np.ones(k), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * k + [(None, None)],
        method="highs",
    )
    if not found.success:
        raise EnvzooError(f"the linear program of the minimax winner was not solved ({found.message})")
    winner = np.maximum(found.x[:k], 0.0)
    return winner / winner.sum()


def exploitability(game: Any, policy: Any) -> float:
    """Compute max_i sum_j P[i, j] policy[j]: how much the best arm is preferred to a policy (K,); 0 for a winner.

    In units of P. Half of it is the probability above 1/2 with which that arm wins.
    """
    game, policy = read_game(game), read_distribution("the policy", policy)
    if policy.shape != (len(game),):
        raise EnvzooError(f"the policy has {policy.size} arms, but the game {len(game)}; expected equal numbers")
    return float((game @ policy).max())


def hedge_rate(arms: int, iterations: int) -> float:
    """Compute the step size sqrt(8 ln K / T) of Hedge for losses in [0, 1]."""
    return math.sqrt(8 * math.log(arms) / iterations)


def hedge_bound(arms: int, iterations: int) -> float:
    """Compute sqrt(ln K / (2 T)), a bound on the exploitability of Hedge's mixture in units of win probability."""
    return math.sqrt(math.log(arms) / (2 * iterations))


def hedge_self_play(game: Any, iterations: int, rate: float | None = None) -> np.ndarray:
    """Play Hedge against itself: pi_(t+1)(k) ~ pi_t(k) exp(rate * P(k is preferred to an arm of pi_t)).

    Args:
        game: (K, K).
        iterations: Number of policies (T).
        rate: Step size; None for sqrt(8 ln K / T).

    Returns:
        The policies pi_1 (uniform), ..., pi_T, (T, K). Their mean is the mixture that self-play returns.
    """
    game, iterations = read_game(game), check_whole("iterations", iterations, 1)
    rate = hedge_rate(len(game), iterations) if rate is None else check_number("rate", rate, 0.0)
    policies = np.empty((iterations, len(game)))
    log_weight = np.zeros(len(game))
    for t in range(iterations):
        weight = np.exp(log_weight - log_weight.max())
        policies[t] = weight / weight.sum()
        log_weight += rate * (1 + game @ policies[t]) / 2
    return policies
