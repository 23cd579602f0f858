"""The conservative loss of a critic with ReLU as one kernel, see `envzoo.agents.offline.conservative`.

Passes over memory, and for layers of 64 units calls to BLAS, cost as much as the products. The kernel multiplies with
`envzoo.agents.networks.products`, in the same order on every processor, and takes few observations at a time, so that
the activations of all layers stay in the cache.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.networks.products import address, multiply

ZERO = np.float32(0.0)


class Layers(NamedTuple):
    """The parameters of a critic, or their gradient, in one array.

    Attributes:
        numbers: Weights (inputs, outputs) of all layers, and then their biases, flat.
        widths: Of the inputs of each layer, and of the output.
        weights: Where the weights of each layer begin.
        biases: Where its bias begins.
    """

    numbers: np.ndarray
    widths: np.ndarray
    weights: np.ndarray
    biases: np.ndarray


def make_layers(numbers: np.ndarray, widths: list[int]) -> Layers:
    """Find the layers of a network in the array of its parameters."""
    sizes = [before * after for before, after in itertools.pairwise(widths)]
    starts = np.cumsum([0, *sizes, *widths[1:]])
    return Layers(numbers, np.array(widths), starts[: len(sizes)], starts[len(sizes) : -1])


@njit(inline="always")
def _weight(net, i):
    """Return the weight of layer i, (inputs, outputs)."""
    rows, columns, start = net.widths[i], net.widths[i + 1], net.weights[i]
    return net.numbers[start : start + rows * columns].reshape(rows, columns)


@njit(inline="always")
def _bias(net, i):
    """Return the bias of layer i, (outputs,)."""
    return net.numbers[net.biases[i] : net.biases[i] + net.widths[i + 1]]


@njit
def _transpose(matrix, out):
    """Write the transpose of a matrix to a flat array."""
    rows, columns = matrix.shape
    for r in range(rows):
        for k in range(columns):
            out[k * rows + r] = matrix[r, k]


@njit(inline="always")
def _set_affine(a, weight, bias, c):
    """Set c (m, n) = a W + bias, with a (m, depth or more), W (depth, n) and bias (n,)."""
    depth, n = weight.shape
    multiply(
        address(a, 0), a.shape[1], 1, address(weight, 0), n, address(c, 0), c.shape[1], len(a), n, depth, True,
        address(bias, 0), 0,
    )  # fmt: skip


@njit(inline="always")
def _set_product(a, weight, c):
    """Set c (m, n) = a W, with a (m, depth or more) and W (depth, n)."""
    depth, n = weight.shape
    multiply(
        address(a, 0), a.shape[1], 1, address(weight, 0), n, address(c, 0), c.shape[1], len(a), n, depth, False,
        address(c, 0), c.shape[1],
    )  # fmt: skip


@njit(inline="always")
def _add_product(a, weight, c):
    """Add a W to c (m, n), with a (m, depth) and W (depth, n)."""
    depth, n = weight.shape
    multiply(
        address(a, 0), a.shape[1], 1, address(weight, 0), n, address(c, 0), n, len(a), n, depth, True, address(c, 0), n
    )


@njit(inline="always")
def _add_outer(a, b, c):
    """Add a^T b to c (m, n), with a (rows, m or more) and b (rows, n or more)."""
    m, n = c.shape
    multiply(
        address(a, 0), 1, a.shape[1], address(b, 0), b.shape[1], address(c, 0), n, m, n, len(b), True, address(c, 0), n
    )


@njit
def _rectify(x, biases):
    """Set x (rows, n or more) = max(x + b, 0), with a row of biases (m, n) for every rows / m rows."""
    m, width = biases.shape
    each = len(x) // m
    for i in range(m):
        for r in range(i * each, (i + 1) * each):
            for k in range(width):
                shifted = x[r, k] + biases[i, k]
                x[r, k] = ZERO if shifted <= ZERO else shifted  # NaN stays NaN


@njit
def _rectify_slope(by, x, by_bias):
    """Multiply the derivatives by outputs x of ReLU by its slope, and add the sum of the rows to by_bias (n,)."""
    for r in range(len(x)):
        for k in range(len(by_bias)):
            by[r, k] = ZERO if x[r, k] <= ZERO else by[r, k]
            by_bias[k] += by[r, k]


@njit
def _read(x, head, bias, q):
    """Set q (rows,) = x w + b, with x (rows, n) and w (n,), in eight sums, which are one vector."""
    width = len(head)
    whole = width // 8 * 8
    for r in range(len(q)):
        row = x[r]
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = ZERO
        for k in range(0, whole, 8):
            s0 += row[k] * head[k]
            s1 += row[k + 1] * head[k + 1]
            s2 += row[k + 2] * head[k + 2]
            s3 += row[k + 3] * head[k + 3]
            s4 += row[k + 4] * head[k + 4]
            s5 += row[k + 5] * head[k + 5]
            s6 += row[k + 6] * head[k + 6]
            s7 += row[k + 7] * head[k + 7]
        for k in range(whole, width):
            s0 += row[k] * head[k]
        q[r] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + bias


@njit
def _differentiate_values(q, corrections, target, alpha, values):
    """Replace the values q (n, J + 1) by the derivatives of n L by them, and return the sum of the integrals."""
    integral, last = 0.0, q.shape[1] - 1
    for i in range(len(q)):
        row = q[i]
        largest = np.float32(-np.inf)
        for k in range(last):
            row[k] -= corrections[i, k]
            largest = max(largest, row[k])
        total = ZERO
        for k in range(last):
            row[k] = math.exp(row[k] - largest)
            total += row[k]
        integral += math.log(total) + largest
        for k in range(last):
            row[k] *= alpha / total
        values[i] = row[last]
        row[last] = np.float32(2.0) * (row[last] - target[i]) - alpha
    return integral


@njit(inline="always")
def _rows(buffer, count, stride):
    """Return the first rows of a buffer, (count, stride)."""
    return buffer[: count * stride].reshape(count, stride)


@njit
def _read_backward(slopes, x, head, by, by_head, by_bias):
    """Set the derivatives `by` (rows, n) by x of `_read`, given those by q (rows,), and add those by w and b."""
    for r in range(len(slopes)):
        slope = slopes[r]
        for k in range(len(head)):
            by[r, k] = slope * head[k]
            by_head[k] += slope * x[r, k]
        by_bias[0] += slope


@njit
def _sum_pairs(by, by_base):
    """Set by_base (n, width) to the sums of as many rows of `by` for each observation."""
    n, width = by_base.shape
    pairs = len(by) // n
    for r in range(n):
        for k in range(width):
            by_base[r, k] = ZERO
        for p in range(r * pairs, (r + 1) * pairs):
            for k in range(width):
                by_base[r, k] += by[p, k]


@njit
def _evaluate(net, base, actions, buffers, stride, q):
    """Compute the values q (n, J + 1) of n observations, and the outputs of all hidden layers."""
    n, pairs, dim = actions.shape
    layers = len(net.widths) - 2
    x = _rows(buffers[0], n * pairs, stride)
    _set_product(actions.reshape(n * pairs, dim), _weight(net, 0)[net.widths[0] - dim :], x)
    _rectify(x, base)
    for i in range(1, layers):
        out = _rows(buffers[i], n * pairs, stride)
        _set_product(x, _weight(net, i), out)
        _rectify(out, _bias(net, i).reshape(1, net.widths[i + 1]))
        x = out
    head = _weight(net, layers)
    _read(x, head.reshape(len(head)), _bias(net, layers)[0], q.reshape(n * pairs))


@njit
def _differentiate(net, turned, grad, actions, buffers, stride, by_values, by_base):
    """Add the gradient, given the derivatives by the values (n, J + 1); that by the base goes to by_base (n, width)."""
    n, pairs, dim = actions.shape
    layers, slopes = len(net.widths) - 2, by_values.reshape(n * pairs)
    head, by_head = _weight(net, layers), _weight(grad, layers)
    head, by_head = head.reshape(len(head)), by_head.reshape(len(head))
    out, by = _rows(buffers[layers - 1], n * pairs, stride), _rows(buffers[layers], n * pairs, stride)
    _read_backward(slopes, out, head, by, by_head, _bias(grad, layers))
    for i in range(layers - 1, 0, -1):
        x = _rows(buffers[i - 1], n * pairs, stride)
        _rectify_slope(by, out, _bias(grad, i))
        _add_outer(x, by, _weight(grad, i))
        before, after = net.widths[i], net.widths[i + 1]
        # The output of the layer is not needed any more.
        _set_product(by, turned[i, : after * before].reshape(after, before), out)
        by, out = out, x
    _rectify_slope(by, out, _bias(grad, 0))
    _add_outer(actions.reshape(n * pairs, dim), by, _weight(grad, 0)[net.widths[0] - dim :])
    _sum_pairs(by, by_base)


@njit(inline="always")
def _apart(width):
    """Return an odd number of cache lines, in numbers: rows at even distances would share few places of the cache."""
    lines = (width + 15) // 16
    return 16 * (lines + 1 - lines % 2)


@njit(cache=True, error_model="numpy")
def conservative_gradient(net, grad, features, actions, corrections, target, alpha, block, by_features, values):
    """Compute the values of logged actions, and n times the gradient of L, of a critic with ReLU layers.

    Args:
        net: The critic's parameters (`Layers`): F + D inputs, at least one hidden layer, one output.
        grad: Where their gradient is added.
        features: (n, F), of the observations.
        actions: (n, J + 1, D), sampled ones and after them the logged one.
        corrections: (n, J), what is subtracted from the values of sampled actions.
        target: (n,), targets of the logged actions.
        alpha: Weight of the gap, float32.
        block: Observations at a time.
        by_features: (n, F), where n times the gradient by the features is added; (0, F) leaves it out.
        values: (n,), where the values of the logged actions are written.

    Returns:
        The sum over the observations of log sum_j exp(Q(s, a_j) - c_j).
    """
    n, pairs, _ = actions.shape
    layers, wide, inputs, widest = len(net.widths) - 2, net.widths[1], features.shape[1], 0
    for i in range(1, layers + 1):
        widest = max(widest, net.widths[i])
    turned = np.empty((layers, max(inputs, widest) * widest), np.float32)
    _transpose(_weight(net, 0)[:inputs], turned[0])
    for i in range(1, layers):
        _transpose(_weight(net, i), turned[i])
    stride = _apart(widest)
    buffers = np.empty((layers + 1, block * pairs * stride), np.float32)
    base, by_base = np.empty((n, wide), np.float32), np.empty((n, wide), np.float32)
    q = np.empty((block, pairs), np.float32)
    _set_affine(features, _weight(net, 0)[:inputs], _bias(net, 0), base)
    integral = 0.0
    for start in range(0, n, block):
        stop = min(n, start + block)
        own, part = q[: stop - start], actions[start:stop]
        _evaluate(net, base[start:stop], part, buffers, stride, own)
        integral += _differentiate_values(own, corrections[start:stop], target[start:stop], alpha, values[start:stop])
        _differentiate(net, turned, grad, part, buffers, stride, own, by_base[start:stop])
    _add_outer(features, by_base, _weight(grad, 0)[:inputs])
    if len(by_features) > 0:
        _add_product(by_base, turned[0, : wide * inputs].reshape(wide, inputs), by_features)
    return integral
