"""Sweeps of value iteration at the speed of memory: backups of all actions, and of one policy, dense and sparse.

Such a sweep does little with each number that it reads, so that its time is the time in which the tables come from
memory. The kernels read them in order and ask for what they will need a little later (`prefetch`); without that, one
core gets half of what its memory could give. Sums have a fixed order, which depends on no processor.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from envzoo.kernel.memory import emit_prefetch, prefetch

LARGE = 250_000  # pairs of state and action from which a sweep is shared by all cores
BLOCK = 4_096  # states that a core takes at a time
AHEAD = 512  # pairs, by which sparse sweeps ask for memory before they need it
FAR = 1_000_000  # outcomes from which they do: smaller tables stay in the cache, where asking takes time
DENSE_BLOCK = 32  # states that a core takes at a time
LANES, SUMS = 4, 4  # numbers of a vector, and vectors that are summed side by side
DENSE_AHEAD = 1_024  # numbers, by which a dense sweep asks for memory before it needs it


# ---------------------------------------------------------------------------- sparse


@njit(inline="always")
def _back_up(following, weight, r, v, n, width):
    """Compute the action value of pair n, which has `width` next states: written out where there are at most 4.

    A loop of unknown length would take several times as long as the four products.
    """
    total, k = r[n], n * width
    if width == 4:
        total += weight[k] * v[following[k]]
        total += weight[k + 1] * v[following[k + 1]]
        total += weight[k + 2] * v[following[k + 2]]
        total += weight[k + 3] * v[following[k + 3]]
    elif width == 3:
        total += weight[k] * v[following[k]]
        total += weight[k + 1] * v[following[k + 1]]
        total += weight[k + 2] * v[following[k + 2]]
    elif width == 2:
        total += weight[k] * v[following[k]]
        total += weight[k + 1] * v[following[k + 1]]
    elif width == 1:
        total += weight[k] * v[following[k]]
    else:
        for j in range(k, k + width):
            total += weight[j] * v[following[j]]
    return total


@njit(inline="always")
def _sweep_states(following, weight, r, v, out, choice, width, ahead):
    # From 0 on, so that the compiler knows that no index is negative and would count from the end.
    states = out.size
    actions = r.size // states
    for s in range(states):
        best, chosen = -np.inf, 0
        for a in range(actions):
            n = s * actions + a
            if ahead > 0:
                prefetch(weight, width * (n + ahead))
                prefetch(following, width * (n + ahead))
                prefetch(r, n + ahead)
            value = _back_up(following, weight, r, v, n, width)
            chosen = a if value > best else chosen
            best = max(best, value)
        out[s] = best
        if choice is not None:
            choice[s] = chosen


@njit(cache=True)
def _sweep_alone(following, weight, r, v, out, choice, width, far):
    # The number of next states is given as a constant, so that each branch is compiled for its own.
    if width == 4 and far:
        _sweep_states(following, weight, r, v, out, choice, 4, AHEAD)
    elif width == 4:
        _sweep_states(following, weight, r, v, out, choice, 4, 0)
    elif width == 3:
        _sweep_states(following, weight, r, v, out, choice, 3, AHEAD)
    elif width == 2:
        _sweep_states(following, weight, r, v, out, choice, 2, AHEAD)
    elif width == 1:
        _sweep_states(following, weight, r, v, out, choice, 1, AHEAD)
    else:
        _sweep_states(following, weight, r, v, out, choice, width, AHEAD)


@njit(cache=True, parallel=True)
def _sweep_shared(following, weight, r, v, out, choice, width, far):
    states = out.size
    actions = r.size // states
    for block in prange((states + BLOCK - 1) // BLOCK):
        low, high = block * BLOCK, min((block + 1) * BLOCK, states)
        first, last = low * actions, high * actions
        rows = following[first * width : last * width], weight[first * width : last * width], r[first:last]
        if choice is None:
            _sweep_alone(rows[0], rows[1], rows[2], v, out[low:high], None, width, far)
        else:
            _sweep_alone(rows[0], rows[1], rows[2], v, out[low:high], choice[low:high], width, far)


def sparse_sweep(
    following: np.ndarray,
    weight: np.ndarray,
    r: np.ndarray,
    v: np.ndarray,
    out: np.ndarray,
    choice: np.ndarray | None = None,
    *,
    shared: bool | None = None,
) -> None:
    """Write the largest action value r + sum of weight v[following] of each state into out (S,).

    Args:
        following: (S, A, K) next states; unsigned ones save a comparison each.
        weight: (S, A, K) discounted probabilities.
        r: (S, A) expected rewards.
        v: (S,) values.
        out: (S,), written.
        choice: (S,) int32, written: the first action that attains the largest value; None to save its time.
        shared: Whether all cores share the sweep; None for worlds of at least `LARGE` pairs. The numbers are the same.
    """
    flat = following.reshape(-1), weight.reshape(-1), r.reshape(-1)
    sweep = _sweep_shared if (r.size >= LARGE if shared is None else shared) else _sweep_alone
    sweep(*flat, v, out, choice, following.shape[2], weight.size >= FAR)


@njit(cache=True)
def _values_range(following, weight, r, v, q, width):
    if width == 4:
        for n in range(q.size):
            q[n] = _back_up(following, weight, r, v, n, 4)
    else:
        for n in range(q.size):
            q[n] = _back_up(following, weight, r, v, n, width)


def sparse_action_values(following: np.ndarray, weight: np.ndarray, r: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Compute the action values (S, A) whose maxima `sparse_sweep` writes, to the last bit; arguments as there."""
    q = np.empty(r.shape)
    _values_range(following.reshape(-1), weight.reshape(-1), r.reshape(-1), v, q.reshape(-1), following.shape[2])
    return q


@njit(cache=True)
def choose_rows(choice, following, weight, r, to, chosen, pays):
    """Write next states and weights (S, K) and rewards (S,) of the actions `choice` (S,) into the last three.

    Side by side, so that the backups that follow read nothing else.
    """
    states, _, width = following.shape
    for s in range(states):
        a = choice[s]
        pays[s] = r[s, a]
        for k in range(width):
            to[s, k], chosen[s, k] = following[s, a, k], weight[s, a, k]


@njit(cache=True)
def _evaluate(to, weight, r, v, out, width, times):
    for _ in range(times):
        if width == 4:
            for s in range(out.size):
                prefetch(weight, 4 * (s + AHEAD))
                prefetch(to, 4 * (s + AHEAD))
                out[s] = _back_up(to, weight, r, v, s, 4)
        else:
            for s in range(out.size):
                out[s] = _back_up(to, weight, r, v, s, width)
        v, out = out, v
    return v, out


def sparse_evaluation(
    to: np.ndarray, weight: np.ndarray, r: np.ndarray, v: np.ndarray, out: np.ndarray, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Apply `times` backups of a policy to v (S,), whose next states and weights are (S, K) and rewards (S,).

    v and out are used in turns; returns the array that holds the last values, and the other one.
    """
    return _evaluate(to.reshape(-1), weight.reshape(-1), r, v, out, to.shape[1], times)


# ---------------------------------------------------------------------------- dense


@intrinsic
def _dot(typing, table, start, v, size):
    """Compute the sum of table[start + t] v[t] over t below `size`, for flat arrays of float64.

    SUMS vectors of LANES numbers are summed side by side, because one sum would have to wait for each addition, and
    then added pairwise. Products and sums are rounded one by one, so that the last bit depends on no processor.
    """
    flat = types.Array(types.float64, 1, "C")
    if any(array not in (flat, flat.copy(readonly=True)) for array in (table, v)):
        raise TypingError(f"a sum of products is of flat contiguous arrays of float64, got {table} and {v}")
    number = ir.DoubleType()
    vector, step = ir.VectorType(number, LANES), LANES * SUMS

    def load(builder, pointer):
        return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=8)

    def add(builder, place, one, other):
        builder.store(builder.fadd(builder.load(place), builder.fmul(one, other)), place)

    def fold(builder, parts):
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[i], parts[i + half]) for i in range(half)]
        return parts[0]

    def build(context, builder, signature, arguments):
        row, other = (context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 2))
        row, count, index = builder.gep(row, [arguments[1]]), arguments[3], arguments[3].type
        zero = ir.Constant(vector, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(SUMS)]
        rest = cgutils.alloca_once_value(builder, ir.Constant(number, 0.0))
        blocks = builder.udiv(count, ir.Constant(index, step))
        with cgutils.for_range(builder, blocks) as loop:
            base = builder.mul(loop.index, ir.Constant(index, step))
            for k in range(0, step, 8):  # a cache line holds 8 numbers
                emit_prefetch(builder, builder.gep(row, [builder.add(base, ir.Constant(index, DENSE_AHEAD + k))]))
            for k, place in enumerate(sums):
                at = builder.add(base, ir.Constant(index, k * LANES))
                add(builder, place, *(load(builder, builder.gep(array, [at])) for array in (row, other)))
        whole = builder.mul(blocks, ir.Constant(index, step))
        with cgutils.for_range(builder, builder.sub(count, whole)) as loop:
            at = builder.add(whole, loop.index)
            add(builder, rest, *(builder.load(builder.gep(array, [at])) for array in (row, other)))
        total = fold(builder, [builder.load(place) for place in sums])
        lanes = [builder.extract_element(total, ir.Constant(ir.IntType(32), k)) for k in range(LANES)]
        return builder.fadd(fold(builder, lanes), builder.load(rest))

    return types.float64(table, types.intp, v, types.intp), build


@njit(cache=True)
def _dense_range(p, r, gamma, v, q, out, low, high):
    states, actions = r.shape
    for s in range(low, high):
        best = -np.inf
        for a in range(actions):
            total = r[s, a] + gamma * _dot(p, (s * actions + a) * states, v, states)
            q[s, a] = total
            best = max(best, total)
        out[s] = best


@njit(cache=True, parallel=True)
def _dense_shared(p, r, gamma, v, q, out):
    states = out.size
    for block in prange((states + DENSE_BLOCK - 1) // DENSE_BLOCK):
        low = block * DENSE_BLOCK
        _dense_range(p, r, gamma, v, q, out, low, min(low + DENSE_BLOCK, states))


def dense_sweep(
    p: np.ndarray,
    r: np.ndarray,
    gamma: float,
    v: np.ndarray,
    q: np.ndarray,
    out: np.ndarray,
    *,
    shared: bool | None = None,
) -> None:
    """Write the action values r + gamma P v into q (S, A), and their maxima into out (S,).

    Args:
        p: (S, A, S) probabilities, contiguous.
        r: (S, A) expected rewards.
        gamma: Discount.
        v: (S,) values.
        q: (S, A), written.
        out: (S,), written.
        shared: Whether all cores share the sweep; None for tables of at least `LARGE` numbers. The numbers are the
            same.
    """
    flat, v = np.ascontiguousarray(p, np.float64).reshape(-1), np.ascontiguousarray(v, np.float64)
    if p.size >= LARGE if shared is None else shared:
        _dense_shared(flat, r, gamma, v, q, out)
    else:
        _dense_range(flat, r, gamma, v, q, out, 0, out.size)


@njit(cache=True)
def dense_evaluation(p, r, gamma, choice, v, out):
    """Write the values r + gamma P v of the actions `choice` (S,) into out (S,); p is flat, of (S, A, S)."""
    states, actions = r.shape
    for s in range(states):
        a = choice[s]
        out[s] = r[s, a] + gamma * _dot(p, (s * actions + a) * states, v, states)
