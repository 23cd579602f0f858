"""Kernels for minimum entropy coupling with a bottleneck, shared by the games and by the agents that play them.

Sender and receiver each recompute the coupling of a step from public information, so these kernels are deterministic:
among equal masses, the lower index counts as the larger one. Entropies are in bits.

Functions for one step of one episode:

- `encode` maps the belief over n messages to codes of bounded entropy (greedy deterministic EBIM, a uniform
quantiser, or the messages themselves);
- `greedy_cells` couples two marginals with low joint entropy (at most n + k - 1 cells);
- `message_policy` combines both: the code of every message, and the distribution over actions of every code;
- `update_belief` applies Bayes' rule to an observed action.

Sources: Minimum Entropy Coupling with Bottleneck (arXiv 2410.21666), Algorithms 1 and 5; the greedy coupling is from
Kocaoglu et al., Entropic Causal Inference (arXiv 1611.04035).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

NONE, EBIM, QUANTIZER = 0, 1, 2  # the encoders
ENCODERS = {"none": NONE, "ebim": EBIM, "quantizer": QUANTIZER}
NO_CODE = -1  # label of a message without mass

RATE_TOLERANCE = 1e-12  # bits by which an entropy may exceed the rate because of rounding
# If subtraction leaves less than this fraction of a mass, the rest is rounding error.
ROUNDING = 8 * 2.0**-52


# ---------------------------------------------------------------------------- entropies


@njit(cache=True)
def self_information(mass: float) -> float:
    """Compute -mass log2 mass, 0 for zero mass."""
    return -mass * math.log2(mass) if mass > 0.0 else 0.0


@njit(cache=True)
def entropy(masses: np.ndarray) -> float:
    """Compute the entropy in bits of masses (n,) that sum to one; zeros contribute nothing."""
    total = 0.0
    for mass in masses:
        total += self_information(mass)
    return total


@njit(cache=True)
def merging_loss(p: float, q: float) -> float:
    """Compute the bits of entropy lost by merging two symbols of masses p and q."""
    if p <= 0.0 or q <= 0.0:
        return 0.0
    # log2(1 + q/p) with a tiny p overflows only if q/p does.
    return (p * math.log1p(q / p) + q * math.log1p(p / q)) / math.log(2.0) if q / p < 1e300 and p / q < 1e300 else 0.0


# ---------------------------------------------------------------------------- the greedy coupling


@njit(cache=True)
def _below(mass: float, index: int, other_mass: float, other_index: int) -> bool:
    """Return whether the first entry ranks below the second: by mass, then by index."""
    return mass < other_mass or (mass == other_mass and index > other_index)


@njit(cache=True)
def _sink(masses: np.ndarray, indices: np.ndarray, size: int, at: int) -> None:
    """Restore the heap (largest on top) below position `at`."""
    mass, index = masses[at], indices[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _below(masses[child], indices[child], masses[child + 1], indices[child + 1]):
            child += 1
        if not _below(mass, index, masses[child], indices[child]):
            break
        masses[at], indices[at] = masses[child], indices[child]
        at = child
    masses[at], indices[at] = mass, index


@njit(cache=True)
def _heap(p: np.ndarray):
    """Build a heap of the entries of p (n,) with mass: masses, indices and their number."""
    masses, indices = np.empty(len(p)), np.empty(len(p), np.int64)
    size = 0
    for i in range(len(p)):
        if p[i] > 0.0:
            masses[size], indices[size] = p[i], i
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sink(masses, indices, size, at)
    return masses, indices, size


@njit(cache=True)
def _pop(masses: np.ndarray, indices: np.ndarray, size: int) -> int:
    """Remove the top of a heap; returns the number of entries left."""
    size -= 1
    masses[0], indices[0] = masses[size], indices[size]
    if size > 1:
        _sink(masses, indices, size, 0)
    return size


@njit(cache=True)
def greedy_cells(p: np.ndarray, q: np.ndarray):
    """Compute the greedy minimum entropy coupling: repeatedly pair the largest remaining masses of the two marginals.

    Runs in O((n + k) log(n + k)). Every entry with mass, however small, gets a cell; mass left over by rounding is
    added to the last cell of its row or column.

    Args:
        p: (n,) masses of the rows, nonnegative.
        q: (k,) masses of the columns, nonnegative, with the same sum as p up to rounding.

    Returns:
        rows (c,) int64, columns (c,) int64 and masses (c,) of the cells with mass, in the order of their creation (no
        cell occurs twice); c is at most n + k - 1.
    """
    a, ia, size_a = _heap(p)
    b, ib, size_b = _heap(q)
    largest_row, largest_column = ia[0] if size_a else 0, ib[0] if size_b else 0
    rows = np.empty(size_a + size_b, np.int64)
    columns = np.empty(size_a + size_b, np.int64)
    masses = np.empty(size_a + size_b)
    last_of_row, last_of_column = np.full(len(p), -1), np.full(len(q), -1)
    count = 0
    while size_a > 0 and size_b > 0:
        i, j = ia[0], ib[0]
        difference = a[0] - b[0]
        rows[count], columns[count], masses[count] = i, j, min(a[0], b[0])
        last_of_row[i] = last_of_column[j] = count
        count += 1
        if difference > ROUNDING * p[i]:
            a[0] = difference
            _sink(a, ia, size_a, 0)
            size_b = _pop(b, ib, size_b)
        elif -difference > ROUNDING * q[j]:
            b[0] = -difference
            _sink(b, ib, size_b, 0)
            size_a = _pop(a, ia, size_a)
        else:
            size_a = _pop(a, ia, size_a)
            size_b = _pop(b, ib, size_b)
    for at in range(size_a):
        cell = last_of_row[ia[at]]
        if cell >= 0:
            masses[cell] += a[at]
        else:
            rows[count], columns[count], masses[count] = ia[at], largest_column, a[at]
            count += 1
    for at in range(size_b):
        cell = last_of_column[ib[at]]
        if cell >= 0:
            masses[cell] += b[at]
        else:
            rows[count], columns[count], masses[count] = largest_row, ib[at], b[at]
            count += 1
    return rows[:count], columns[:count], masses[:count]


@njit(cache=True)
def greedy_joint(p: np.ndarray, q: np.ndarray, joint: np.ndarray) -> None:
    """Write the greedy coupling of p (n,) and q (k,) to joint (n, k); see `greedy_cells`."""
    rows, columns, masses = greedy_cells(p, q)
    joint[:] = 0.0
    for cell in range(len(masses)):
        joint[rows[cell], columns[cell]] += masses[cell]


# ---------------------------------------------------------------------------- encoders


@njit(cache=True)
def _relabel(group: np.ndarray, labels: np.ndarray) -> int:
    """Renumber groups (n,), except NO_CODE, in the order of their first symbols; returns the number of groups."""
    numbers = np.full(len(group), NO_CODE)
    count = 0
    for i in range(len(group)):
        if group[i] == NO_CODE:
            labels[i] = NO_CODE
            continue
        if numbers[group[i]] == NO_CODE:
            numbers[group[i]] = count
            count += 1
        labels[i] = numbers[group[i]]
    return count


@njit(cache=True)
def descending(p: np.ndarray) -> np.ndarray:
    """Return the indices of the entries of p (n,) with mass, in descending order; ties by ascending index."""
    order = np.argsort(-p, kind="mergesort")
    count = 0
    while count < len(p) and p[order[count]] > 0.0:
        count += 1
    return order[:count]


@njit(cache=True)
def ebim_path(p: np.ndarray):
    """Compute the candidate codes of Algorithm 1 of arXiv 2410.21666, from separate symbols to one group, O(n log n).

    Args:
        p: (n,) masses that sum to one, s of them nonzero.

    Returns:
        order (s,) int64, the symbols with mass, largest first; kept (s,) and tried (s,), entropies in bits: kept[m]
        with order[: m + 1] in one group and all others separate, tried[m] with the two smallest groups merged as well.
    """
    order = descending(p)
    n = len(order)
    kept, tried = np.zeros(n), np.zeros(n)
    rest = 0.0
    for m in range(n - 1, -1, -1):
        kept[m] = rest
        rest += self_information(p[order[m]])
    loss = merging_loss(p[order[n - 2]], p[order[n - 1]]) if n > 1 else 0.0
    top = 0.0
    for m in range(n):
        top += p[order[m]]
        if m < n - 1:  # a single group has entropy 0, regardless of rounding in top
            kept[m] += self_information(top)
        # With three or more groups, the two smallest are single symbols; two groups merge to one.
        if m < n - 2:
            tried[m] = kept[m] - loss
    return order, kept, tried


@njit(cache=True)
def path_labels(order: np.ndarray, m: int, smallest: bool, labels: np.ndarray) -> int:
    """Write the code that groups order[: m + 1] and, if `smallest`, merges the two smallest groups; see `ebim_path`."""
    group = np.full(len(labels), NO_CODE)
    for rank in range(len(order)):
        group[order[rank]] = max(rank - m, 0)
    if smallest and len(order) > 1:
        group[order[-1]] = group[order[-2]]
    return _relabel(group, labels)


@njit(cache=True)
def ebim_labels(p: np.ndarray, rate: float, labels: np.ndarray) -> int:
    """Apply greedy deterministic entropy-bounded information maximisation (Algorithm 1, arXiv 2410.21666), O(n log n).

    Every symbol starts in its own group. If merging the two smallest groups brings the entropy down to the rate, that
    is the result; otherwise the two largest are merged, until the entropy is at most the rate.

    Args:
        p: (n,) masses that sum to one.
        rate: Largest entropy of the code in bits.
        labels: (n,) integers, overwritten with the code of each symbol; codes are numbered from 0 in the order of their
            first symbols, and symbols without mass get NO_CODE.

    Returns:
        Number of codes.
    """
    order, kept, tried = ebim_path(p)
    most = rate + RATE_TOLERANCE
    # Both entropies decrease with m, so bisection finds the first m at which either is small enough.
    low, high = 0, len(order) - 1
    while low < high:
        middle = (low + high) // 2
        if tried[middle] <= most:
            high = middle
        else:
            low = middle + 1
    return path_labels(order, low, kept[low] > most, labels)


@njit(cache=True)
def quantizer_labels(p: np.ndarray, rate: float, labels: np.ndarray) -> int:
    """Apply the uniform scalar quantiser (Algorithm 5, arXiv 2410.21666): blocks of neighbouring symbols share a code.

    There are at most floor(2^rate) blocks of ceil(n / floor(2^rate)) symbols, independent of the masses. Arguments and
    result as in `ebim_labels`.
    """
    n = len(p)
    # A rate above log2(n) gives every symbol its own code; the small constant compensates rounding in the rate.
    most = n if rate >= math.log2(n) else max(1, math.floor(2.0**rate + 1e-9))
    block = (n + most - 1) // most
    group = np.empty(n, np.int64)
    for i in range(n):
        group[i] = i // block if p[i] > 0.0 else NO_CODE
    return _relabel(group, labels)


@njit(cache=True)
def encode(p: np.ndarray, rate: float, encoder: int, labels: np.ndarray) -> int:
    """Encode the symbols with one of the encoders (NONE gives each its own code, at any rate); see `ebim_labels`."""
    if encoder == EBIM:
        return ebim_labels(p, rate, labels)
    if encoder == QUANTIZER:
        return quantizer_labels(p, rate, labels)
    count = 0
    for i in range(len(p)):
        labels[i] = NO_CODE
        if p[i] > 0.0:
            labels[i] = count
            count += 1
    return count


@njit(cache=True)
def code_masses(p: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Compute the masses of the codes, (count,)."""
    masses = np.zeros(count)
    for i in range(len(p)):
        if labels[i] >= 0:
            masses[labels[i]] += p[i]
    return masses


# ---------------------------------------------------------------------------- one step of a coding game


@njit(cache=True)
def message_policy(belief: np.ndarray, policy: np.ndarray, rate: float, encoder: int):
    """Compute how each message acts: MEC-B of the belief and the policy (arXiv 2410.21666).

    Averaged over the belief, the distributions over actions equal the policy.

    Args:
        belief: (n,) masses of the messages, not all zero, not necessarily normalised.
        policy: (k,) masses of the actions, likewise.
        rate: Largest entropy of the code in bits.
        encoder: NONE, EBIM or QUANTIZER.

    Returns:
        labels (n,) int64, the code of each message (NO_CODE if it has no mass), and channel (codes, k), the
        distribution over actions of each code.
    """
    p, q = belief / belief.sum(), policy / policy.sum()
    labels = np.empty(len(p), np.int64)
    count = encode(p, rate, encoder, labels)
    channel = np.zeros((count, len(q)))
    rows, columns, masses = greedy_cells(code_masses(p, labels, count), q)
    for cell in range(len(masses)):
        channel[rows[cell], columns[cell]] += masses[cell]
    for code in range(count):
        # Divide by the largest mass first, because the sum of tiny masses may be too small to divide by.
        largest, total = 0.0, 0.0
        for action in range(len(q)):
            largest = max(largest, channel[code, action])
        for action in range(len(q)):
            channel[code, action] /= largest
            total += channel[code, action]
        for action in range(len(q)):
            channel[code, action] /= total
    return labels, channel


@njit(cache=True)
def action_distribution(
    labels: np.ndarray, channel: np.ndarray, policy: np.ndarray, message: int, out: np.ndarray
) -> None:
    """Write the distribution over actions (k,) of a message: that of its code, or the policy if it has no code."""
    if labels[message] >= 0:
        out[:] = channel[labels[message]]
    else:
        out[:] = policy / policy.sum()


@njit(cache=True)
def update_belief(belief: np.ndarray, labels: np.ndarray, channel: np.ndarray, action: int) -> bool:
    """Condition the belief (n,) on an action, in place.

    An action that has probability zero under every message carries no information: the belief is unchanged, and the
    result is False.
    """
    largest = 0.0
    for x in range(len(belief)):
        if labels[x] >= 0:
            largest = max(largest, belief[x] * channel[labels[x], action])
    if largest <= 0.0:
        return False
    total = 0.0
    for x in range(len(belief)):
        belief[x] = belief[x] * channel[labels[x], action] / largest if labels[x] >= 0 else 0.0
        total += belief[x]
    for x in range(len(belief)):
        belief[x] /= total
    return True


@njit(cache=True)
def choose(distribution: np.ndarray, uniform: float) -> int:
    """Select the action of a distribution (k,) by a uniform number in [0, 1); never one of probability zero."""
    total, last = 0.0, -1
    for action in range(len(distribution)):
        if distribution[action] > 0.0:
            total += distribution[action]
            last = action
            if uniform < total:
                return action
    return last


@njit(cache=True)
def guess(belief: np.ndarray) -> int:
    """Return the most likely message, the first of several equally likely ones."""
    return int(np.argmax(belief))
