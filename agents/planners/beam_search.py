"""Beam search in copies of an environment: near-optimal plans for reference scores and small problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.wrappers.stateful import capturable


class Plan(NamedTuple):
    """A sequence of actions from one state.

    Attributes:
        actions: (T,) int64, T at most the requested horizon.
        value: Sum of the rewards of the plan.
    """

    actions: np.ndarray
    value: float


def beam_search(
    env: VectorEnv | gym.Env,
    state: Mapping[str, np.ndarray],
    *,
    width: int,
    horizon: int,
    signature: Sequence[str] = (),
) -> Plan:
    """Search for a plan of large return, keeping the `width` best partial plans at each step.

    The search is exact if the beam never drops a plan. In an environment with random transitions the copies share their
    random stream, so the plan exploits knowledge of future random numbers, and its value is too high.

    Args:
        env: Environment with Discrete actions, `get_state` and `set_state`, that has been reset: a vector environment,
            whose number of episodes limits the plans extended at a time, or a single one. Its episodes are overwritten.
        state: State of one episode, as returned by `get_state([i])` (`get_state()` of a single environment).
        width: Number of plans kept after each step.
        horizon: Maximum number of steps.
        signature: Names of the state fields that determine the rest of an episode. Of plans that agree in them only the
            best is kept, so that the beam does not fill with reorderings of one plan; () keeps all.

    Returns:
        The best plan found; ties go to the first in the order of the actions.

    Raises:
        EnvzooError: A width or horizon below 1, a state of several episodes, an unknown signature field, or an
            environment that cannot be copied.
        UnsupportedSpaceError: Actions are not Discrete.
    """
    possible = check_start("beam search", env, state, signature)
    if width < 1 or horizon < 1:
        raise EnvzooError(f"beam search needs a width and a horizon of at least 1, got {width} and {horizon}")
    frontier = {name: np.asarray(array) for name, array in state.items()}
    values, plans = np.zeros(1), np.zeros((1, 0), np.int64)
    best = Plan(np.zeros(0, np.int64), -np.inf)
    for step in range(horizon):
        parent = np.repeat(np.arange(len(values)), len(possible))
        actions = np.tile(possible, len(values))
        rewards, done, after = advance(env, frontier, parent, actions)
        values = values[parent] + rewards
        plans = np.concatenate([plans[parent], actions[:, None]], axis=1)
        # Every plan ends at the last step.
        ended = np.flatnonzero(done) if step < horizon - 1 else np.arange(len(values))
        if len(ended):
            winner = ended[np.argmax(values[ended])]
            if values[winner] > best.value:
                best = Plan(plans[winner], float(values[winner]))
        going = np.flatnonzero(~done)
        kept = going[_choose(values[going], {name: after[name][going] for name in signature}, width)]
        if not len(kept):
            break
        frontier, values, plans = {name: array[kept] for name, array in after.items()}, values[kept], plans[kept]
    return best


def check_start(
    planner: str, env: VectorEnv | gym.Env, state: Mapping[str, np.ndarray], signature: Sequence[str]
) -> np.ndarray:
    """Check the arguments of the planner called `planner`, and return the actions of `env`, int64 (A,).

    Raises:
        EnvzooError: `env` cannot be copied, or `state` is not that of one episode or lacks a field of `signature`.
        UnsupportedSpaceError: Actions are not Discrete.
    """
    space = env.action_space if isinstance(env, gym.Env) else env.single_action_space
    if not isinstance(space, spaces.Discrete):
        raise UnsupportedSpaceError(f"{planner} takes Discrete actions, but the action space is {space}")
    if capturable(env) is None:
        raise EnvzooError(f"{planner} needs get_state and set_state, which {env.unwrapped} does not have")
    sizes = {len(array) for array in state.values()}
    if sizes != {1}:
        raise EnvzooError(f"{planner} starts from the state of one episode, got {' and '.join(map(str, sizes))}")
    for name in signature:
        if name not in state:
            raise EnvzooError(f"the state has no field {name!r} for the signature; expected some of {', '.join(state)}")
    return np.arange(space.start, space.start + space.n)


def advance(
    env: VectorEnv | gym.Env, frontier: Mapping[str, np.ndarray], parent: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Step copy `parent[i]` of the frontier with `actions[i]`; returns rewards (C,), done (C,) and the next states."""
    single, base = isinstance(env, gym.Env), capturable(env)
    count, slots = len(parent), 1 if single else env.num_envs
    rewards, done, pieces = np.empty(count), np.empty(count, bool), []
    for first in range(0, count, slots):
        # Unused slots of the last round repeat its first plan.
        index = first + np.arange(slots)
        index = np.where(index < count, index, first)
        base.set_state({name: array[parent[index]] for name, array in frontier.items()})
        _, reward, terminated, truncated, _ = env.step(actions[first] if single else actions[index])
        used = min(slots, count - first)
        rewards[first : first + used] = np.atleast_1d(reward)[:used]
        done[first : first + used] = np.atleast_1d(terminated | truncated)[:used]
        pieces.append(base.get_state() if single else base.get_state(np.arange(used)))
    return rewards, done, {name: np.concatenate([piece[name] for piece in pieces]) for name in frontier}


def _choose(values: np.ndarray, signature: dict[str, np.ndarray], width: int) -> np.ndarray:
    """Select the best `width` plans with distinct signatures, best first; returns their positions."""
    order = np.argsort(-values, kind="stable")
    if signature and len(order):
        columns = [np.ascontiguousarray(a).reshape(len(a), -1).view(np.uint8) for a in signature.values()]
        rows = np.ascontiguousarray(np.concatenate(columns, axis=1)[order])
        keys = rows.view(np.dtype((np.void, rows.shape[1])))[:, 0]
        order = order[np.sort(np.unique(keys, return_index=True)[1])]
    return order[:width]


def planned_returns(
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    episodes: int,
    seed: int,
    width: int,
    horizon: int,
    signature: Sequence[str] = (),
) -> np.ndarray:
    """Compute the returns (episodes,) of planned episodes that start with the seeds `seed`, `seed + 1`, ...

    Episodes with the same start (by `signature`) share one plan. The other arguments are those of `beam_search`.

    Raises:
        EnvzooError: As `beam_search`.
    """
    kwargs = dict(env_kwargs or {})
    starts = gym.make_vec(env_id, num_envs=episodes, **kwargs)
    starts.reset(seed=seed)
    if not hasattr(starts.unwrapped, "get_state"):
        raise EnvzooError(f"cannot plan in {env_id}: it has no get_state")
    state = starts.unwrapped.get_state()
    starts.close()
    slots = width * int(starts.single_action_space.n) if isinstance(starts.single_action_space, spaces.Discrete) else 1
    copies = gym.make_vec(env_id, num_envs=slots, autoreset_mode=AutoresetMode.DISABLED, **kwargs)
    copies.reset(seed=seed)
    known: dict[bytes, float] = {}
    values = np.empty(episodes)
    for i in range(episodes):
        start = {name: array[i : i + 1] for name, array in state.items()}
        key = b"".join(np.ascontiguousarray(start[name]).tobytes() for name in (signature or start))
        if key not in known:
            plan = beam_search(copies, start, width=width, horizon=horizon, signature=signature)
            known[key] = plan.value
        values[i] = known[key]
    copies.close()
    return values
