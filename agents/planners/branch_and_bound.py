"""Branch and bound in copies of an environment: provably optimal plans of tiny instances, as references for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from envzoo.agents.planners.beam_search import advance, check_start
from envzoo.coverage.set_functions import SetFunction
from envzoo.errors import EnvzooError

# Function of N states, a dict of arrays (N, ...), and a number of steps: upper bounds (N,) on the remaining rewards.
Bound = Callable[[Mapping[str, np.ndarray], int], np.ndarray]


class BestPlan(NamedTuple):
    """A plan of the largest return from one state.

    Attributes:
        actions: (T,) int64, T at most the requested horizon.
        value: Sum of the rewards of the plan.
        nodes: Number of plans that were extended.
    """

    actions: np.ndarray
    value: float
    nodes: int


def branch_and_bound(
    env: VectorEnv | gym.Env,
    state: Mapping[str, np.ndarray],
    *,
    horizon: int,
    bound: float | Bound | None = None,
    signature: Sequence[str] = (),
    max_nodes: int = 1_000_000,
) -> BestPlan:
    """Find a plan of the largest return by depth-first search, pruning plans that provably cannot be better.

    A plan is pruned if its return plus the bound on its remaining rewards is at most the best return found. The
    environment must be deterministic: with random transitions the copies share their random stream, so that the plan
    exploits knowledge of future random numbers.

    Args:
        env: Environment with Discrete actions, `get_state` and `set_state`, that has been reset: a single one, or a
            vector one, best with one episode per action. Its episodes are overwritten. A time limit must be part of its
            state, as `max_episode_steps` of envzoo's environments is and Gymnasium's TimeLimit is not.
        state: State of one episode, as returned by `get_state([i])` (`get_state()` of a single environment).
        horizon: Maximum number of steps.
        bound: Upper bound on the remaining rewards. A number: the maximum reward of one step. A function: see
            `submodular_bound` for marginal gains. None: no bound, and every plan is tried.
        signature: Names of the state fields that determine the rest of an episode. Of plans of the same length that
            agree in them, one that earns no more than an earlier one is pruned; () compares none.
        max_nodes: Maximum number of plans to extend.

    Returns:
        A best plan; ties go to the first one found.

    Raises:
        EnvzooError: A horizon below 1, a state of several episodes, an unknown signature field, an environment that
            cannot be copied, or a search that did not end within `max_nodes`.
        UnsupportedSpaceError: Actions are not Discrete.
    """
    possible = check_start("branch and bound", env, state, signature)
    if horizon < 1:
        raise EnvzooError(f"branch and bound needs a horizon of at least 1, got {horizon}")
    to_come = _as_function(bound)
    best = BestPlan(np.zeros(0, np.int64), -np.inf, 0)
    reached: dict[bytes, float] = {}
    nodes = 0
    # Stack of plans to extend, the most promising on top: state, return, upper bound, actions.
    stack = [({name: np.asarray(array) for name, array in state.items()}, 0.0, np.inf, ())]
    while stack:
        node, value, most, plan = stack.pop()
        if most <= best.value:
            continue
        if nodes == max_nodes:
            raise EnvzooError(
                f"branch and bound did not finish within {nodes} extended plans; give a tighter bound, a signature, or "
                "a shorter horizon"
            )
        nodes += 1
        rewards, done, after = advance(env, node, np.zeros(len(possible), np.int64), possible)
        values, remaining = value + rewards, horizon - len(plan) - 1
        ended = done | (remaining == 0)
        ends = np.flatnonzero(ended)
        if len(ends):
            winner = ends[np.argmax(values[ends])]
            if values[winner] > best.value:
                best = BestPlan(np.array([*plan, possible[winner]], np.int64), float(values[winner]), 0)
        going = np.flatnonzero(~ended)
        if not len(going):
            continue
        mosts = values.copy()
        mosts[going] += to_come({name: array[going] for name, array in after.items()}, remaining)
        # Pushed in ascending order, ties by descending action, so that the best plan of lowest action is popped first.
        for i in going[np.lexsort((-going, mosts[going]))]:
            child = {name: array[i : i + 1] for name, array in after.items()}
            if mosts[i] > best.value and not (signature and _known(reached, remaining, child, signature, values[i])):
                stack.append((child, float(values[i]), float(mosts[i]), (*plan, possible[i])))
    return best._replace(nodes=nodes)


def submodular_bound(set_function: SetFunction, field: str | None = None) -> Bound:
    """Create the bound for rewards that are the marginal gains of a submodular set function.

    New elements T add at most the sum of their single gains, F(S + T) - F(S) <= sum over e in T of F(S + e) - F(S), and
    r steps visit at most r new elements: the sum of the r largest gains over all elements is an upper bound.

    Args:
        set_function: F.
        field: State field that lists the visited elements of an episode (N, T), padded with -1, as `path` of
            `envzoo/GridCoverage-v0` does; None for the sets that the wrapper `SubmodularReward` keeps in the state.

    Returns:
        The bound, for `branch_and_bound`. It raises EnvzooError if the state lacks the field.
    """

    def bound(states: Mapping[str, np.ndarray], remaining: int) -> np.ndarray:
        sets = _wrapped_sets(set_function, states) if field is None else _listed_sets(set_function, states, field)
        gains = set_function.gains(sets, np.tile(np.arange(set_function.size), (len(sets.value), 1)))
        most = np.sort(gains, axis=1)[:, -remaining:]
        return np.maximum(most, 0.0).sum(axis=1)

    return bound


def _wrapped_sets(set_function: SetFunction, states: Mapping[str, np.ndarray]) -> tuple:
    names = set_function.layout(1)._fields
    arrays = [_field(states, f"SubmodularReward/{name}") for name in names]
    return type(set_function.layout(1))._make(np.ascontiguousarray(array) for array in arrays)


def _listed_sets(set_function: SetFunction, states: Mapping[str, np.ndarray], field: str) -> tuple:
    visited = _field(states, field)
    sets = set_function.initial_state(len(visited), visited.shape[1])
    for column in visited.T:
        set_function.add(sets, column, column >= 0)
    return sets


def _field(states: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in states:
        raise EnvzooError(f"the state has no field {name!r} for the bound; expected one of {', '.join(states)}")
    return states[name]


def _as_function(bound: float | Bound | None) -> Bound:
    if callable(bound):
        return bound
    most = np.inf if bound is None else float(bound)
    return lambda states, remaining: np.full(len(next(iter(states.values()))), remaining * most)


def _known(
    reached: dict[bytes, float], remaining: int, state: dict[str, np.ndarray], signature: Sequence[str], value: float
) -> bool:
    """Return whether an earlier plan of this length led to the same state with no smaller return; else store it."""
    key = b"".join(
        [bytes(str(remaining), "ascii"), *(np.ascontiguousarray(state[name]).tobytes() for name in signature)]
    )
    if reached.get(key, -np.inf) >= value:
        return True
    reached[key] = float(value)
    return False
