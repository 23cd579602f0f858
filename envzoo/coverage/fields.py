"""Random fields on a grid, drawn from the random stream of each episode."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.coverage.gaussian_process import grid_points, low_rank_factor
from envzoo.kernel.stream import keys, normal, uniform

# Largest variance that the low-rank factor of a Gaussian process may miss; it is drawn as independent noise instead.
TOLERANCE = 1e-3


class Source(NamedTuple):
    """A distribution over fields on a grid.

    Without patches a field is a Gaussian process, clip(mean + process, 0, 2 * mean), which preserves the mean. With
    patches it is (background + bumps) * exp(roughness * process), divided by its maximum, where the `patches` bumps are
    height * exp(-distance^2 / (2 * width^2)), with uniform position, height and width.
    """

    columns: int
    factor: np.ndarray  # float64 (rank, cells), factor of the covariance of the process
    deviation: np.ndarray  # float64 (cells,), standard deviation of the independent part
    mean: float
    patches: int
    background: float
    roughness: float
    heights: tuple[float, float]  # smallest and largest
    widths: tuple[float, float]  # smallest and largest, in cells


def process_source(rows: int, columns: int, spacing: float, lengthscale: float, noise: float, **rest: float) -> Source:
    """Make a `Source` whose process is Matern 5/2 with unit variance and independent noise of variance `noise`.

    `spacing` is the distance between neighbouring cells, in the units of `lengthscale`; `rest` are other fields.
    """
    factor, missing = low_rank_factor(grid_points(rows, columns, spacing), lengthscale, TOLERANCE)
    plain = {"mean": 0.0, "patches": 0, "background": 0.0, "roughness": 0.0, "heights": (0.0, 0.0)}
    return Source(columns, factor, np.sqrt(missing + noise), **{**plain, "widths": (1.0, 1.0), **rest})


def no_source(columns: int) -> Source:
    """Make the `Source` of environments with a given field; nothing is drawn from it."""
    return Source(columns, np.zeros((0, 1)), np.zeros(1), 0.0, 0, 0.0, 0.0, (0.0, 0.0), (1.0, 1.0))


def fixed_field(source: Source, seed: int) -> np.ndarray:
    """Draw the field (cells,) determined by `seed`."""
    streams = np.zeros((1, 2), np.uint64)
    streams[:, 0] = keys(np.array([seed % 2**64], np.uint64))
    field = np.zeros(source.deviation.size)
    draw_field(source, streams, 0, field)
    return field


@njit(cache=True)
def draw_field(source, streams, i, field):
    """Draw a field from the stream of episode i and write it to `field`, float64 (cells,)."""
    cells = field.size
    field[:] = 0.0
    for k in range(source.factor.shape[0]):
        weight = normal(streams, i)
        for cell in range(cells):
            field[cell] += source.factor[k, cell] * weight
    for cell in range(cells):
        field[cell] += source.deviation[cell] * normal(streams, i)
    if source.patches == 0:
        for cell in range(cells):
            field[cell] = min(max(source.mean + field[cell], 0.0), 2.0 * source.mean)
        return
    bumps = np.full(cells, source.background)
    for _ in range(source.patches):
        row = uniform(streams, i) * (cells // source.columns) - 0.5
        column = uniform(streams, i) * source.columns - 0.5
        height = source.heights[0] + uniform(streams, i) * (source.heights[1] - source.heights[0])
        width = source.widths[0] + uniform(streams, i) * (source.widths[1] - source.widths[0])
        for cell in range(cells):
            down, right = cell // source.columns - row, cell % source.columns - column
            bumps[cell] += height * math.exp(-0.5 * (down * down + right * right) / (width * width))
    largest = 0.0
    for cell in range(cells):
        field[cell] = bumps[cell] * math.exp(source.roughness * field[cell])
        largest = max(largest, field[cell])
    for cell in range(cells):
        field[cell] /= largest
