"""Pictures of datasets: returns, actions, and where the data lie."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.datasets.table import TransitionTable

MOST_STATES = 400  # values of a Discrete observation that are drawn one by one
FEW_CELLS = 36  # cells in which their share of the transitions is written
BINS = 60


def draw_panels(draw: Callable[[Any, Any], None]) -> bytes:
    """Draw two panels side by side with a function of their axes; returns a PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.core.figures import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 3.2), layout="constrained")
        draw(*figure.subplots(1, 2))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_returns(axes: Any, returns: np.ndarray, references: tuple[float, float], title: str) -> None:
    """Draw the histogram of returns, and the returns of the random policy and of the reference."""
    from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE

    low, high = references
    # The bins reach to the references, so that a bar is wide enough to be seen where all returns are equal.
    axes.hist(returns, bins=40, range=(min(returns.min(), low, high), max(returns.max(), low, high)), color=BLUE)
    top = axes.get_ylim()[1]
    for value, words, colour in ((low, "random", GREY), (high, "reference", ORANGE)):
        axes.axvline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.annotate(
            words,
            (value, top),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            rotation=90,
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    axes.set(title=title, xlabel="return", ylabel="episodes")


def draw_actions(axes: Any, actions: np.ndarray, title: str = "Actions", label: str = "action") -> None:
    """Draw how often each action was taken, (N,), or the histogram of the first number of (N, ...)."""
    from envzoo.scripts.experiments.core.figures import BLUE

    actions = actions.reshape(len(actions), -1)[:, 0]
    discrete = actions.dtype.kind in "iu"
    bins = np.arange(actions.min(), actions.max() + 2) - 0.5 if discrete else 40
    axes.hist(actions, bins=bins, color=BLUE, rwidth=0.9)
    if discrete:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(title=title, xlabel=label, ylabel="transitions")


def draw_coverage(axes: Any, space: spaces.Space, data: TransitionTable) -> None:
    """Draw how often what was observed: cells, columns of the observation, or else the actions."""
    from envzoo.scripts.experiments.core.figures import BLUE

    rows = data.observations
    if isinstance(space, spaces.Discrete) and 1 < space.n <= MOST_STATES:
        counts = np.bincount(rows.astype(np.int64) - int(space.start), minlength=int(space.n))
        axes.bar(np.arange(len(counts)), counts, color=BLUE, width=1)
        axes.set(title="Visits of the states", xlabel="state", ylabel="transitions")
        return
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and space.nvec.size > 1:
        columns, lines = (np.arange(n + 1) + start - 0.5 for n, start in zip(space.nvec[:2], space.start, strict=False))
        draw = _shares if np.prod(space.nvec[:2]) <= FEW_CELLS else _density
        draw(axes, rows[:, 0], rows[:, 1], bins=(columns, lines))
        axes.set(title="Cells visited", xlabel="first column of the observation", ylabel="second column")
        axes.set_aspect("equal")
        return
    flat = isinstance(space, spaces.Box) and rows.ndim == 2 and rows.shape[1] > 0
    if flat and rows.shape[1] == 1 and data.actions.ndim == 2:
        _density(axes, rows[:, 0], data.actions[:, 0])
        axes.set(title="Observations and actions", xlabel="observation", ylabel="action")
    elif flat and rows.shape[1] > 1:
        _density(axes, rows[:, 0], rows[:, 1])
        axes.set(title="Places visited", xlabel="first column of the observation", ylabel="second column")
    else:
        draw_actions(axes, data.actions)


def _density(axes: Any, x: np.ndarray, y: np.ndarray, bins: Any = BINS) -> None:
    counts, columns, lines = np.histogram2d(x, y, bins=bins)
    axes.pcolormesh(columns, lines, np.where(counts > 0, np.log1p(counts), np.nan).T, cmap="Blues", vmin=-1)
    axes.grid(False)


def _shares(axes: Any, x: np.ndarray, y: np.ndarray, bins: Any) -> None:
    """Colour each cell by its share of the transitions, and write the share into it."""
    counts, columns, lines = np.histogram2d(x, y, bins=bins)
    shares = counts / counts.sum()
    axes.pcolormesh(columns, lines, shares.T, cmap="Blues", vmin=0)
    for (column, line), share in np.ndenumerate(shares):
        axes.text(
            columns[column] + 0.5,
            lines[line] + 0.5,
            f"{share:.1%}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share > shares.max() / 2 else "black",
        )
    axes.grid(False)
