"""CliffGrid: a grid in which all shortest routes tie, so that any small reward decides (paper 31)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError, shorten, unknown
from envzoo.kernel.arguments import check_number, check_seed, check_whole
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.tabular_env import ModelEnv, ModelVectorEnv, Tabular

RIGHT, DOWN = 0, 1
BIASES = ("right", "down", "random")


def cliff_grid(
    size: int = 5,
    bias: tuple[float, str] | None = None,
    *,
    absorbing: bool = True,
    gamma: float = 0.95,
    bias_seed: int = 0,
) -> FiniteMDP:
    """Build the grid: move right or down, a blocked move stays put, reward 1 for entering the far corner.

    Args:
        size: Side of the grid, n.
        bias: (eps, kind), a small reward for actions in every cell but the corner. "right" adds eps (1 - row / n) to
            moving right, "down" adds eps (1 - column / n) to moving down, "random" adds eps times a number drawn
            uniformly from [-1, 1) for every cell and action.
        absorbing: The corner is a state that is never left; otherwise entering it ends the episode. With an entropy
            bonus the two differ, because the bonus is earned in the corner, too.
        gamma: Discount.
        bias_seed: Seed of the random bias.

    Raises:
        EnvzooError: A number out of range, or an unknown kind of bias.
    """
    n = check_whole("size", size, 2, 64)
    states, corner = n * n, n * n - 1
    p, reward = np.zeros((states, 2, states)), np.zeros((states, 2, states))
    for s in range(states):
        row, column = divmod(s, n)
        for a, to in ((RIGHT, s + (column < n - 1)), (DOWN, s + n * (row < n - 1))):
            p[s, a, to] = 1.0
            reward[s, a, to] = float(to == corner and s != corner)
    extra = _bias(n, bias, bias_seed)
    reward += np.where(np.arange(states)[:, None] == corner, 0.0, extra)[..., None]
    ends = None if absorbing else np.arange(states) == corner
    return FiniteMDP.from_tables(p, reward, ends, gamma=gamma)


def _bias(n: int, bias: Any, seed: int) -> np.ndarray:
    """Return the small rewards (S, 2)."""
    extra = np.zeros((n * n, 2))
    if bias is None:
        return extra
    if isinstance(bias, str) or not isinstance(bias, Sequence) or len(bias) != 2:
        raise EnvzooError(f"reward_bias is {shorten(repr(bias))}; expected None or a pair such as (0.01, 'right')")
    size, kind = check_number("eps of reward_bias", bias[0], -1.0, 1.0), bias[1]
    if not isinstance(kind, str) or kind not in BIASES:
        raise unknown("kind of reward_bias", kind, BIASES)
    if kind == "random":
        return size * np.random.default_rng(check_seed(seed)).uniform(-1, 1, extra.shape)
    row, column = np.divmod(np.arange(n * n), n)
    extra[:, RIGHT if kind == "right" else DOWN] = size * (1 - (row if kind == "right" else column) / n)
    return extra


class CliffGrid(Tabular):
    """A grid in which all shortest routes to the far corner tie, so that any small reward decides.

    ## Description
    From the near corner of an n x n grid the agent moves right or down to the far corner, which pays 1. All
    (2n - 2 choose n - 1) routes earn the same, so that the optimal policy jumps when a reward of any size, however
    small, is added: the policy cliff of arXiv 2507.20150. `env.unwrapped.model()` returns the tables (with a discount
    of 0.95), from which the jump and its smoothing by entropy can be computed exactly.

    ## Action space
    `Discrete(2)`: 0 moves right, 1 moves down. A move out of the grid has no effect.

    ## Observation space
    `Discrete(size**2)`: row * size + column.

    ## Reward
    1 for entering the far corner, and the bias of the action.

    ## Start of an episode
    In the near corner, cell 0.

    ## End of an episode
    Terminates in the far corner; truncated after 40 steps for the registered id. With `absorbing=True` only truncated.

    ## Arguments
    - `size` (5): side of the grid.
    - `reward_bias` (None): a pair (eps, kind): "right" adds eps * (1 - row / size) to every move to the right, "down"
    adds eps * (1 - column / size) to every move down, "random" adds eps times a uniform number from [-1, 1) to each
    cell and action.
    - `bias_seed` (0): seed of the random bias.
    - `absorbing` (False): the far corner is never left, instead of ending the episode.

    ## Registered ids
    - `envzoo/CliffGrid-v0`: the defaults above.
    """

    def __init__(
        self,
        size: int = 5,
        reward_bias: tuple[float, str] | None = None,
        bias_seed: int = 0,
        absorbing: bool = False,
    ) -> None:
        super().__init__(cliff_grid(size, reward_bias, absorbing=bool(absorbing), bias_seed=bias_seed))
        self.columns = int(size)


class CliffGridEnv(ModelEnv):
    """Single environment of `CliffGrid`."""

    definition_class = CliffGrid


class CliffGridVectorEnv(ModelVectorEnv):
    """Vector environment of `CliffGrid`."""

    definition_class = CliffGrid
