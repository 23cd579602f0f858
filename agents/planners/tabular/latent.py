"""Planning over histories of latent processes, with optimistic values (paper 50, arXiv 2210.11604)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import LatentMDP

Bonus = Literal["none", "variance", "hoeffding", "box"]
DECIMALS = 9  # of normalised weights, up to which histories are merged


def variance_bonus(law: np.ndarray, following: np.ndarray, n: float, scale: float) -> float:
    """Compute max{ sqrt(2 k V scale / n), 2 k scale / n }, with V the variance of next values and k the support.

    p v + bonus is non-decreasing in the values v in [0, 1], because the second constant is at least the square of the
    first; with a smaller second one, optimism of the next values could lower this one.
    """
    support = int((law > 0).sum())
    variance = max(0.0, float(law @ following**2 - (law @ following) ** 2))
    return max(math.sqrt(2 * support * variance * scale / n), 2 * support * scale / n)


def box_value(law: np.ndarray, following: np.ndarray, n: float, scale: float) -> float:
    """Maximise q v over laws q with |q - p| <= 2 sqrt(p scale / n) + scale / n in every component.

    Lower limits first, then the rest of the mass to the largest values.
    """
    width = 2 * np.sqrt(law * scale / n) + scale / n
    low, high = np.maximum(0.0, law - width), np.minimum(1.0, law + width)
    left, total = 1.0 - low.sum(), float(low @ following)
    for k in np.argsort(-following, kind="stable"):
        more = min(left, high[k] - low[k])
        total += more * following[k]
        left -= more
        if left <= 0:
            break
    return total


class LatentPlan:
    """A policy over histories that maximises (optimistic) values, computed where it is asked for.

    Histories are merged where time, state and the normalised weights of the contexts agree. At each, the action is
    taken that maximises sum_m w_m alpha_m; for exact values this is optimal, for optimistic ones a heuristic (the bonus
    of each context depends on what all share). A state and action that a context has never seen has the value 1.

    Args:
        model: Estimated process; the total reward of an episode is at most 1.
        counts: (M, S, A) numbers of visits; None for a known model.
        bonus: "none", "variance" (value-optimistic), "hoeffding" (range in place of variance), or "box"
            (model-optimistic: the best law within a box around the estimated one).
        scale: Factor of the bonus, in place of the theory's logarithm.

    Attributes:
        value: The (optimistic) value.
        clipped: Whether the value of a context was cut at 1 at the start, where optimism cannot fail.
    """

    def __init__(self, model: LatentMDP, counts: np.ndarray | None = None, bonus: Bonus = "none", scale: float = 1.0):
        if bonus not in ("none", "variance", "hoeffding", "box"):
            raise EnvzooError(f"bonus is {bonus!r}; expected 'none', 'variance', 'hoeffding' or 'box'")
        self.model, self.bonus, self.scale = model, bonus, scale
        self.counts = np.full(model.r.shape, np.inf) if counts is None else np.asarray(counts, np.float64)
        if self.counts.shape != model.r.shape:
            raise EnvzooError(f"counts have the shape {self.counts.shape}; expected {model.r.shape}")
        self._nodes: dict[tuple, tuple[int, np.ndarray]] = {}
        first = model.weights[:, None] * model.initial
        values = [(first[:, s], self.node(0, s, first[:, s])[1]) for s in range(model.num_states) if first[:, s].any()]
        self.value = float(sum(w @ alpha for w, alpha in values))
        self.clipped = any((alpha[w > 0] >= 1.0).any() for w, alpha in values)

    def node(self, t: int, s: int, weights: np.ndarray) -> tuple[int, np.ndarray]:
        """Return action and values alpha (M,) of the contexts at a history with unnormalised weights (M,)."""
        if t == self.model.horizon:
            return 0, np.zeros(len(weights))
        total = weights.sum()
        key = (t, s, tuple(np.round(weights / total, DECIMALS))) if total > 0 else (t, s)
        if key not in self._nodes:
            self._nodes[key] = self._solve(t, s, weights)
        return self._nodes[key]

    def action(self, t: int, s: int, weights: np.ndarray) -> int:
        """Return the action at a history with unnormalised weights (M,) of the contexts."""
        return self.node(t, s, weights)[0]

    def follow(self, weights: np.ndarray, s: int, action: int, following: int) -> np.ndarray:
        """Return the weights (M,) after a step; those before where the step was impossible for every context."""
        moved = weights * self.model.p[:, s, action, following] * (self.counts[:, s, action] > 0)
        return moved if moved.any() else weights

    def _solve(self, t: int, s: int, weights: np.ndarray) -> tuple[int, np.ndarray]:
        best, found = -np.inf, (0, np.zeros(len(weights)))
        for a in range(self.model.num_actions):
            alpha = self._values(t, s, a, weights)
            value = float(weights @ alpha)
            if value > best + 1e-12:  # the first of actions that tie up to rounding
                best, found = value, (a, alpha)
        return found

    def _values(self, t: int, s: int, a: int, weights: np.ndarray) -> np.ndarray:
        model, known = self.model, self.counts[:, s, a] > 0
        alive = known & (weights > 0)
        # The box may move mass to states that were never reached, of whose value nothing but the bound 1 is known.
        following = np.full((len(weights), model.num_states), 1.0 if self.bonus == "box" else 0.0)
        for to in np.flatnonzero(model.p[alive, s, a].any(axis=0)):
            moved = np.where(alive, weights * model.p[:, s, a, to], 0.0)
            following[:, to] = self.node(t + 1, int(to), moved)[1]
        alpha = np.ones(len(weights))
        for m in np.flatnonzero(alive):
            n, law = self.counts[m, s, a], model.p[m, s, a]
            value = model.r[m, s, a] + self._expect(law, following[m], n)
            alpha[m] = min(1.0, value) if self.bonus != "none" else value
        return alpha

    def _expect(self, law: np.ndarray, following: np.ndarray, n: float) -> float:
        if self.bonus == "none" or not np.isfinite(n):
            return float(law @ following)
        if self.bonus == "box":
            return box_value(law, following, n, self.scale)
        if self.bonus == "variance":
            return float(law @ following) + variance_bonus(law, following, n, self.scale)
        return float(law @ following) + math.sqrt(2 * self.scale / n)


def evaluate_plan(plan: LatentPlan, truth: LatentMDP) -> float:
    """Compute the exact value of a plan in the true process, by the tree of all histories that can occur.

    The plan follows its own weights; the true ones are carried along.
    """
    seen: dict[tuple, float] = {}

    def value(t: int, s: int, weights: np.ndarray, own: np.ndarray) -> float:
        if t == truth.horizon:
            return 0.0
        total, mine = weights.sum(), own.sum()
        key = (t, s, tuple(np.round(weights / total, 12)), tuple(np.round(own / (mine or 1.0), 12)))
        if key not in seen:
            a, w = plan.action(t, s, own), weights / total
            found = float(w @ truth.r[:, s, a])
            for to in range(truth.num_states):
                moved = w * truth.p[:, s, a, to]
                if moved.any():
                    found += value(t + 1, to, moved, plan.follow(own, s, a, to))
            seen[key] = found
        return total * seen[key]

    first, own = truth.weights[:, None] * truth.initial, plan.model.weights[:, None] * plan.model.initial
    return sum(value(0, s, first[:, s], own[:, s]) for s in range(truth.num_states) if first[:, s].any())


def return_variances(plan: LatentPlan, truth: LatentMDP) -> tuple[float, float]:
    """Compute the variance of the return of a plan, and the part of it that transitions cause (the rest: contexts).

    The law of total variance: Var(return) = Var over contexts and first states of alpha_m(s) + E sum_t V(P_m, alpha_m).
    """

    def walk(m: int, t: int, s: int, own: np.ndarray) -> tuple[float, float]:
        if t == truth.horizon:
            return 0.0, 0.0
        a = plan.action(t, s, own)
        law = truth.p[m, s, a]
        reached = np.flatnonzero(law)
        below = [walk(m, t + 1, int(to), plan.follow(own, s, a, int(to))) for to in reached]
        values, later = np.array([b[0] for b in below]), np.array([b[1] for b in below])
        mean = float(law[reached] @ values)
        spread = float(law[reached] @ values**2) - mean**2
        return truth.r[m, s, a] + mean, spread + float(law[reached] @ later)

    own = plan.model.weights[:, None] * plan.model.initial
    mean = square = inside = 0.0
    for m, s in zip(*np.nonzero(truth.weights[:, None] * truth.initial), strict=True):
        chance = truth.weights[m] * truth.initial[m, s]
        value, spread = walk(int(m), 0, int(s), own[:, s])
        mean, square, inside = mean + chance * value, square + chance * value**2, inside + chance * spread
    return square - mean**2 + inside, inside
