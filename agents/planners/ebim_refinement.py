"""Stochastic codes of bounded entropy near deterministic ones (arXiv 2410.21666, Theorem 3)."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.planners.information import check_distribution, check_rate
from envzoo.coding_games import coupling_kernels as kernels
from envzoo.coding_games.coupling_kernels import RATE_TOLERANCE, self_information
from envzoo.errors import EnvzooError


def ebim_gap_fill(p: np.ndarray, rate: float, maps: np.ndarray | None = None) -> np.ndarray:
    """Find a stochastic code that uses the whole rate, in the neighbourhood of deterministic codes (Theorem 3).

    If a code's entropy is below the rate, probability mass of the symbol that is the smallest fraction of its code
    moves to a new code. If it is above, mass of the smallest symbol of the rarest code moves to the most frequent code.
    The amount is found by bisection. Moving a whole symbol gives another deterministic code, from which the next symbol
    moves. Of all codes found, the one with the largest mutual information with the source is returned.

    Args:
        p: (..., n) distributions of the source.
        rate: (...) maximum entropy of the code.
        maps: (m, n) deterministic codes to start from; None for those that `ebim` considers just below and above the
            rate.

    Returns:
        (..., n, t) joint distribution of source and code, with as many columns as the largest code of the batch needs.

    Raises:
        EnvzooError: As `ebim`, or maps that do not label the symbols.
    """
    p, rate = check_distribution("p", p), check_rate(rate)
    try:
        rate = np.broadcast_to(rate, p.shape[:-1])
    except ValueError:
        raise EnvzooError(f"rates {rate.shape} do not fit a batch of sources {p.shape[:-1]}") from None
    if maps is not None:
        maps = _check_maps(p, maps)
    n = p.shape[-1]
    joint = np.zeros((*p.shape, n + 1))
    for index in np.ndindex(p.shape[:-1]):
        source = np.ascontiguousarray(p[index])
        codes = _neighbours(source, rate[index]) if maps is None else maps
        labels, moved, target, mass = _fill(source, rate[index], np.where(source > 0, codes, -1))
        own = joint[index]
        own[np.arange(n), labels] = source
        own[moved, labels[moved]] -= mass
        own[moved, target] += mass
        # Codes in use come first, in their order.
        own[:] = own[:, np.argsort(own.sum(axis=0) == 0, kind="stable")]
    return joint[..., joint.reshape(-1, n + 1).sum(axis=0) > 0]


def _check_maps(p: np.ndarray, maps: np.ndarray) -> np.ndarray:
    n = p.shape[-1]
    maps = np.atleast_2d(np.ascontiguousarray(maps, np.int64))
    if maps.shape[1:] != (n,) or not len(maps):
        raise EnvzooError(f"maps have the shape (m, {n}), got {maps.shape}")
    with_mass = (p > 0).reshape(-1, n).any(axis=0)
    if maps[:, with_mass].min() < 0 or maps.max() >= n:
        raise EnvzooError(f"maps hold a label from 0 to {n - 1} for every symbol with mass")
    return maps


@njit(cache=True)
def _neighbours(p: np.ndarray, rate: float) -> np.ndarray:
    """Return the code that EBIM selects, and the codes next to the rate on its path: (m, n) labels."""
    order, kept, _ = kernels.ebim_path(p)
    maps = np.empty((4, len(p)), np.int64)
    kernels.ebim_labels(p, rate, maps[0])
    m = 0
    while m < len(order) - 1 and kept[m] > rate + RATE_TOLERANCE:
        m += 1
    # The last code above the rate, with only the largest merged, and its neighbours with the two smallest merged too.
    count = 1
    for before in range(max(m - 2, 0), m):
        kernels.path_labels(order, before, True, maps[count])
        count += 1
    kernels.path_labels(order, max(m - 1, 0), False, maps[count])
    return maps[: count + 1]


@njit(cache=True)
def _fill(p: np.ndarray, rate: float, maps: np.ndarray):
    """Find the best code near any of the maps: labels, the symbol that is split, its second code and the mass there."""
    best = -1.0
    best_labels, best_moved, best_target, best_mass = maps[0].copy(), 0, 0, 0.0
    for i in range(len(maps)):
        labels = maps[i].copy()
        moved, target, mass, information = _fill_one(p, rate, labels)
        if information > best:
            best, best_labels, best_moved, best_target, best_mass = information, labels, moved, target, mass
    return best_labels, best_moved, best_target, best_mass


@njit(cache=True)
def _fill_one(p: np.ndarray, rate: float, labels: np.ndarray):
    """Move mass, whole symbols in place, until the entropy is the rate: symbol, second code, mass, information.

    If the code without the partly moved symbol has more information, nothing is moved.
    """
    n = len(p)
    column = np.zeros(n + 1)
    for x in range(n):
        if labels[x] >= 0:
            column[labels[x]] += p[x]
    h = kernels.entropy(column)
    upwards = h <= rate + RATE_TOLERANCE
    while True:
        if upwards:
            # The symbol that is the smallest fraction of its code, and an unused code.
            x, least = -1, 1.0 - 1e-12
            for y in range(n):
                if labels[y] >= 0 and p[y] / column[labels[y]] < least:
                    x, least = y, p[y] / column[labels[y]]
            if x < 0:
                return 0, 0, 0.0, h
            target = 0
            while column[target] > 0.0:
                target += 1
        else:
            rarest, target = -1, int(np.argmax(column))
            for t in range(n + 1):
                if column[t] > 0.0 and t != target and (rarest < 0 or column[t] < column[rarest]):
                    rarest = t
            x = -1
            for y in range(n):
                if labels[y] == rarest and (x < 0 or p[y] < p[x]):
                    x = y
        source = labels[x]
        a, b = column[source], column[target]
        base = h - self_information(a) - self_information(b)
        low, high = 0.0, p[x]
        whole = base + self_information(a - high) + self_information(b + high)
        if (upwards and whole <= rate + RATE_TOLERANCE) or (not upwards and whole > rate + RATE_TOLERANCE):
            labels[x] = target
            column[source] = 0.0
            column[target] = 0.0
            for y in range(n):
                if labels[y] == source or labels[y] == target:
                    column[labels[y]] += p[y]
            h = kernels.entropy(column)
            continue
        for _ in range(100):
            middle = 0.5 * (low + high)
            if (base + self_information(a - middle) + self_information(b + middle) <= rate) == upwards:
                low = middle
            else:
                high = middle
        mass = low if upwards else high
        share = mass / p[x]
        found = base + self_information(a - mass) + self_information(b + mass)
        information = found - p[x] * (self_information(share) + self_information(1.0 - share))
        stay = h if upwards else whole
        if stay >= information:
            if not upwards:
                labels[x] = target
            return 0, 0, 0.0, stay
        return x, target, mass, information
