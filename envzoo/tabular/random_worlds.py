"""Random families of finite worlds."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_seed, check_whole
from envzoo.sizes import check_bytes
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.finite_pomdp import FinitePOMDP
from envzoo.tabular.latent_mdp import LatentMDP
from envzoo.tabular.outcomes import Outcomes

AT_ONCE = 10_000  # larger sparse worlds are drawn in arrays, the others pair by pair, as their seeds always gave


def random_outcomes(states: int, actions: int, successors: int, seed: int = 0) -> Outcomes:
    """Draw a sparse world: every action has `successors` possible next states, with Dirichlet(1) probabilities.

    The rewards, uniform on [0, 1), belong to actions. Successors are drawn with replacement and may coincide.

    Raises:
        EnvzooError: A size is not a positive whole number, or the world does not fit into memory.
    """
    sizes = {"states": states, "actions": actions, "successors": successors}
    states, actions, successors = (check_whole(name, value, 1) for name, value in sizes.items())
    check_bytes(40 * states * actions * successors, f"a world of {states} states and {actions} actions")
    rng = np.random.default_rng(check_seed(seed))
    following = rng.integers(states, size=(states, actions, successors))
    weights = rng.standard_exponential((states, actions, successors))
    return Outcomes(following, weights / weights.sum(axis=-1, keepdims=True), rng.random((states, actions, 1)))


def random_mdp(
    states: int,
    actions: int,
    *,
    successors: int | None = None,
    concentration: float = 1.0,
    gamma: float = 0.9,
    seed: int = 0,
    **more: Any,
) -> FiniteMDP:
    """Draw a Garnet world: laws are Dirichlet over `successors` distinct states, rewards uniform on [0, 1).

    Args:
        states: Number of states.
        actions: Number of actions.
        successors: States that an action can lead to; None for all.
        concentration: Parameter of the Dirichlet law; small values give nearly deterministic moves.
        gamma: Discount.
        seed: Seed.
        **more: Further attributes of `FiniteMDP`.

    Raises:
        EnvzooError: A number out of range.
    """
    states, actions = check_whole("states", states, 1), check_whole("actions", actions, 1)
    check_bytes(24 * states**2 * actions, f"a world of {states} states and {actions} actions")
    concentration = check_number("concentration", concentration, 0, above=True)
    count = states if successors is None else check_whole("successors", successors, 1, states)
    rng = np.random.default_rng(check_seed(seed))
    p, law = np.zeros((states, actions, states)), np.full(count, concentration)
    if count == states:
        p[:] = rng.dirichlet(law, (states, actions))
    elif states * actions > AT_ONCE:
        reached = draw_subsets(states * actions, states, count, rng)
        np.put_along_axis(p.reshape(-1, states), reached, rng.dirichlet(law, states * actions), axis=-1)
    else:
        for s, a in np.ndindex(states, actions):
            reached = rng.choice(states, count, replace=False)
            p[s, a, reached] = rng.dirichlet(law)
    return FiniteMDP.from_tables(p, rng.random((states, actions)), gamma=gamma, **more)


def draw_subsets(rows: int, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` distinct numbers below `size`, uniform over subsets, for every row at once (Floyd's algorithm).

    Returns:
        Numbers in the order of their draws, which is not uniform, of shape (rows, count).
    """
    drawn, every = np.empty((rows, count), np.int64), np.arange(rows)
    taken = np.zeros((rows, size), bool)
    for k, last in enumerate(range(size - count, size)):
        pick = rng.integers(last + 1, size=rows)
        drawn[:, k] = np.where(taken[every, pick], last, pick)
        taken[every, drawn[:, k]] = True
    return drawn


def random_pomdp(
    states: int, actions: int, observations: int, *, concentration: float = 1.0, seed: int = 0, **more: Any
) -> FinitePOMDP:
    """Draw a partially observable world with Dirichlet laws and rewards of observations uniform on [0, 1)."""
    sizes = {"states": states, "actions": actions, "observations": observations}
    states, actions, observations = (check_whole(name, value, 1) for name, value in sizes.items())
    concentration = check_number("concentration", concentration, 0, above=True)
    rng = np.random.default_rng(check_seed(seed))
    p = rng.dirichlet(np.full(states, concentration), (states, actions))
    emission = rng.dirichlet(np.full(observations, concentration), states)
    return FinitePOMDP(p, emission, rng.random(observations), **more)


def random_lmdp(
    contexts: int, states: int, actions: int, horizon: int, *, concentration: float = 0.3, seed: int = 0
) -> LatentMDP:
    """Draw a latent world with Dirichlet laws; rewards, the same in all contexts, are uniform on [0, 1 / horizon)."""
    sizes = {"contexts": contexts, "states": states, "actions": actions, "horizon": horizon}
    contexts, states, actions, horizon = (check_whole(name, value, 1) for name, value in sizes.items())
    concentration = check_number("concentration", concentration, 0, above=True)
    if horizon > 10**6:
        raise EnvzooError(f"horizon is {horizon}; expected at most 1000000 steps")
    what = f"a latent world of {contexts} contexts, {states} states and {actions} actions"
    check_bytes(64 * contexts * states * states * actions, what)
    rng = np.random.default_rng(check_seed(seed))
    p = rng.dirichlet(np.full(states, concentration), (contexts, states, actions))
    initial = rng.dirichlet(np.ones(states), contexts)
    return LatentMDP(p, rng.random((states, actions)) / horizon, horizon, initial=initial)
