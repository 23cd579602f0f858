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
        actions: (T,) int64, T at most the horizon asked for.
        value: Sum of the rewards along it.
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
    """Keep the `width` plans of largest return so far, and lengthen each by every action, until all have ended.

    It is exact when the beam never has to drop a plan. In an environment with random transitions the copies share
    their random stream, so the plan knows what will be drawn, and its value is too good.

    Args:
        env: Environment with Discrete actions, `get_state` and `set_state`, that was reset once: a vector one, whose
            number of episodes bounds the plans lengthened at once, or a single one. Its episodes are overwritten.
        state: State of one episode, as `get_state([i])` gives it (`get_state()` of a single environment).
        width: Plans kept after each step.
        horizon: Largest number of steps.
        signature: Names of the state fields that decide how an episode goes on. Of plans that agree in them only the
            best is kept, so that the beam does not fill with reorderings of one plan; () keeps all.

    Returns:
        The best plan found; of equal ones the first in the order of the actions.

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
        # The last step ends every plan.
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
    """The actions that a planner called `planner` can choose from in `env`, int64 (A,).

    Raises:
        EnvzooError: `env` cannot be copied, `state` is not that of one episode or lacks a field of `signature`.
        UnsupportedSpaceError: Actions are not Discrete.
    """
    space = env.action_space if isinstance(env, gym.Env) else env.single_action_space
    if not isinstance(space, spaces.Discrete):
        raise UnsupportedSpaceError(f"{planner} takes Discrete actions, but the action space is {space}")
    if capturable(env) is None:
        raise EnvzooError(f"{planner} needs an environment with get_state and set_state, which {env.unwrapped} has not")
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
    """Step copy `parent[i]` of the frontier with `actions[i]`: rewards (C,), done (C,) and the states after."""
    single, base = isinstance(env, gym.Env), capturable(env)
    count, slots = len(parent), 1 if single else env.num_envs
    rewards, done, pieces = np.empty(count), np.empty(count, bool), []
    for first in range(0, count, slots):
        # Slots that are left over in the last round repeat its first plan.
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
    """Positions of the best `width` plans whose signatures differ, best first."""
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
    """Returns of the planned episodes that start as episodes with the seeds `seed`, `seed + 1`, ... do, (episodes,).

    Episodes with the same start (by `signature`) share one plan. The other arguments are those of `beam_search`.

    Raises:
        EnvzooError: As `beam_search`.
    """
    kwargs = dict(env_kwargs or {})
    starts = gym.make_vec(env_id, num_envs=episodes, **kwargs)
    starts.reset(seed=seed)
    if not hasattr(starts.unwrapped, "get_state"):
        raise EnvzooError(f"{env_id} cannot be planned in: it has no get_state")
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
