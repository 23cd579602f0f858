"""Checks of a single environment; each yields a sentence for every problem."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from envzoo.conformance.report import Skipped, equal, keep

Make = Callable[[], gym.Env]
EPISODES = 5


def play(env: gym.Env, seed: int | None, steps: int, chooser: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Play with actions that `chooser` draws; yields (observation, reward, terminated, truncated, info) of every step.

    The first item is the result of the reset, with reward None. Finished episodes are reset without a seed.
    """
    observation, info = env.reset(seed=seed)
    yield observation, None, False, False, info
    space = env.action_space
    space.seed(int(chooser.integers(2**31)))
    for _ in range(steps):
        found = env.step(choose(space, info))
        yield found
        info = found[4]
        if found[2] or found[3]:
            observation, info = env.reset()
            yield observation, None, False, False, info


def choose(space: gym.Space, info: dict[str, Any]) -> Any:
    """Sample an action that `info["action_mask"]`, if there is one, allows."""
    mask = info.get("action_mask")
    if not isinstance(space, gym.spaces.Discrete) or np.shape(mask) != (space.n,) or not np.any(mask):
        return space.sample()
    return space.sample(mask=np.asarray(mask).astype(np.int8))


def gymnasium_checker(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that Gymnasium's own checker finds no error."""
    from gymnasium.utils.env_checker import check_env

    env = make()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(env.unwrapped, skip_render_check=True)
    except Exception as error:  # whatever the environment raises
        yield f"{type(error).__name__}: {' '.join(str(error).split())}"
    finally:
        env.close()


def spaces(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that observations lie in their space, rewards are finite numbers, ends are bool, infos are dicts."""
    env = make()
    space = env.observation_space
    for observation, reward, terminated, truncated, info in play(env, seed, steps, np.random.default_rng(seed)):
        if not space.contains(observation):
            got = f"{observation.dtype}{list(observation.shape)}" if isinstance(observation, np.ndarray) else ""
            yield f"an observation {got} lies outside {space}"
        if reward is not None and not (np.isscalar(reward) or np.ndim(reward) == 0):
            yield f"a reward has the shape {np.shape(reward)}"
        elif reward is not None and not np.isfinite(float(reward)):
            yield f"a reward is {reward}"
        for name, value in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(value, bool | np.bool_):
                yield f"{name} is a {type(value).__name__}, not a bool"
        if not isinstance(info, dict):
            yield f"the info is a {type(info).__name__}, not a dict"


def seeding(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that the same seed and actions give the same episodes, in a new environment and in a used one."""
    first, second = make(), make()
    recorded = [keep(found[:4]) for found in play(first, seed, steps, np.random.default_rng(seed))]
    for label, env in (("a second environment", second), ("the same environment, reset again", first)):
        for number, found in enumerate(play(env, seed, steps, np.random.default_rng(seed))):
            if not all(map(equal, recorded[number], found[:4])):
                yield f"{label} differs after {number} results"
                break


def global_state(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that the global generators of `random` and NumPy are neither used nor changed."""
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        episodes = []
        for start in (1, 2):
            random.seed(start)
            np.random.seed(start)  # noqa: NPY002
            before = random.getstate(), np.random.get_state()  # noqa: NPY002
            env = make()
            episodes.append([keep(found[:4]) for found in play(env, seed, steps, np.random.default_rng(seed))])
            after = random.getstate(), np.random.get_state()  # noqa: NPY002
            if before[0] != after[0]:
                yield "the generator of the module random has moved"
            if not equal(before[1], after[1]):
                yield "the global generator of numpy.random has moved"
        if not all(all(map(equal, a, b)) for a, b in zip(*episodes, strict=False)):
            yield "episodes depend on the global generators"
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002


def fresh_observations(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that observations that were returned are not changed by later steps."""
    seen, copies = [], []
    for found in play(make(), seed, min(steps, 200), np.random.default_rng(seed)):
        seen.append(found[0])
        copies.append(keep(found[0]))
    changed = sum(not equal(a, b) for a, b in zip(seen, copies, strict=True))
    if changed:
        yield f"{changed} of {len(seen)} observations changed after they were returned; return copies"


def time_limit(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that an episode that reaches `max_episode_steps` is truncated, not terminated, and then ends."""
    env = make()
    limit = env.spec.max_episode_steps if env.spec else None
    if limit is None:
        raise Skipped("the environment has no max_episode_steps")
    if limit > 20 * steps:
        raise Skipped(f"max_episode_steps is {limit}, too long for this check; use more steps")
    length, ends, terminations = 0, 0, 0
    for _, reward, terminated, truncated, _ in play(env, seed, max(steps, 3 * limit), np.random.default_rng(seed)):
        length = 0 if reward is None else length + 1
        if length > limit:
            yield f"an episode goes on after {limit} steps"
            return
        if length == limit:
            ends += 1
            terminations += bool(terminated)
            if not terminated and not truncated:
                yield f"an episode of {limit} steps is not truncated"
                return
    if not ends:
        raise Skipped("no random episode reached max_episode_steps")
    if terminations == ends:
        yield f"all {ends} episodes that reached {limit} steps were terminated; a time limit truncates"


def state(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that after `set_state(get_state())` the same actions give the same results."""
    env = make()
    base = env.unwrapped
    if not hasattr(base, "get_state") or not hasattr(base, "set_state"):
        raise Skipped("the environment has no get_state and set_state")
    chooser = np.random.default_rng(seed)
    _, info = base.reset(seed=seed)
    base.action_space.seed(seed)
    for _ in range(3):
        *_, terminated, truncated, info = base.step(choose(base.action_space, info))
        if terminated or truncated:
            _, info = base.reset()
    kept, before = keep(base.get_state()), info
    runs = []
    draws = int(chooser.integers(2**31))
    for _ in range(2):
        base.set_state(keep(kept))
        base.action_space.seed(draws)
        info, results = before, []
        for _ in range(min(steps, 60)):
            found = base.step(choose(base.action_space, info))
            results.append(keep(found[:4]))
            info = found[4]
            if found[2] or found[3]:
                observation, info = base.reset()
                results.append((keep(observation),))
        runs.append(results)
    for number, (a, b) in enumerate(zip(*runs, strict=False)):
        if len(a) != len(b) or not all(map(equal, a, b)):
            yield f"result {number} after a restored state differs"
            return


def action_masks(make: Make, seed: int, steps: int) -> Iterator[str]:
    """Check that `info["action_mask"]` has an entry per action and allows at least one while the episode runs."""
    env = make()
    masks = [
        (found[4]["action_mask"], found[2] or found[3])
        for found in play(env, seed, steps, np.random.default_rng(seed))
        if isinstance(found[4], dict) and "action_mask" in found[4]
    ]
    if not masks:
        raise Skipped("the environment gives no action_mask")
    if not isinstance(env.action_space, gym.spaces.Discrete):
        yield f"action masks are given, but the action space is {env.action_space}, not Discrete"
        return
    for mask, ended in masks:
        if np.shape(mask) != (env.action_space.n,):
            yield f"an action mask has the shape {np.shape(mask)}; expected ({env.action_space.n},)"
        elif not ended and not np.any(mask):
            yield "an action mask allows nothing, although the episode runs"


CHECKS = (gymnasium_checker, spaces, seeding, global_state, fresh_observations, time_limit, state, action_masks)
