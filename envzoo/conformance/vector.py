"""Checks of a vector environment; each yields a sentence for every problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envzoo.conformance.report import Skipped, equal, keep, row

Make = Callable[[int, AutoresetMode], VectorEnv]
Single = Callable[[], gym.Env]
NUM_ENVS = 4
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)


def play(env: VectorEnv, seed: int, steps: int, actions: Callable[[], Any] | None = None) -> Iterator[tuple[Any, ...]]:
    """Play with random actions; yields the results of the reset (rewards None) and of every step."""
    observations, infos = env.reset(seed=seed)
    yield observations, None, None, None, infos
    env.action_space.seed(seed)
    for _ in range(steps):
        yield env.step(actions() if actions else env.action_space.sample())


def spaces(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that batched spaces are those of the single environment, and every result has a row per episode."""
    for mode in MODES:
        env = make(NUM_ENVS, mode)
        for name in ("observation_space", "action_space"):
            one, given = getattr(env, f"single_{name}"), getattr(env, name)
            if given != batch_space(one, env.num_envs):
                yield f"{name} is {given}; expected the batched form of {one}"
        for observations, rewards, terminated, truncated, _ in play(env, seed, steps):
            for i in range(env.num_envs):
                if not env.single_observation_space.contains(row(observations, i)):
                    yield f"an observation of episode {i} lies outside {env.single_observation_space}"
                    break
            if rewards is None:
                continue
            if np.shape(rewards) != (env.num_envs,) or not np.isfinite(rewards).all():
                yield f"rewards are {rewards}; expected {env.num_envs} finite numbers"
            for name, value in (("terminated", terminated), ("truncated", truncated)):
                if np.shape(value) != (env.num_envs,) or np.asarray(value).dtype != np.bool_:
                    yield f"{name} is not a bool array of shape ({env.num_envs},)"


def autoreset_mode(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that `metadata["autoreset_mode"]` names the mode in which the environment resets finished episodes."""
    for mode in MODES:
        env = make(NUM_ENVS, mode)
        told = env.metadata.get("autoreset_mode")
        if told is not mode:
            yield f"metadata names the mode {getattr(told, 'value', told)}, but {mode.value} was asked for"
            continue
        done = np.zeros(env.num_envs, bool)
        for _, rewards, terminated, truncated, infos in play(env, seed, 4 * steps):
            if rewards is None:
                continue
            ended = terminated | truncated
            paid = mode is AutoresetMode.NEXT_STEP and (np.any(np.asarray(rewards)[done] != 0) or ended[done].any())
            if paid:
                yield "in the mode NextStep, the step that resets an episode must give reward 0 and no end"
                break
            if mode is AutoresetMode.SAME_STEP and ended.any() and "final_obs" not in infos:
                yield 'in the mode SameStep, infos lack "final_obs" where an episode has ended'
                break
            done = ended


def final_observations(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that the observation at the end of an episode is the last one of the episode, not the first of the next."""
    ends = resets = 0
    env = make(NUM_ENVS, AutoresetMode.SAME_STEP)
    for observations, rewards, terminated, truncated, infos in play(env, seed, 4 * steps):
        if rewards is None:
            continue
        for i in np.flatnonzero(terminated | truncated):
            final = infos.get("final_obs", [None] * env.num_envs)[i]
            if final is None:
                yield f'infos["final_obs"] holds nothing for episode {i}, which has ended'
                return
            if not env.single_observation_space.contains(final):
                yield f"a final observation lies outside {env.single_observation_space}"
                return
            ends += 1
            resets += equal(final, row(observations, i))
    if not ends:
        raise Skipped("no random episode ended; use more steps")
    if ends >= 3 and resets == ends and not _always_alike(single, seed):
        yield f"all {ends} final observations equal the first observation of the next episode"


def _always_alike(single: Single, seed: int) -> bool:
    """Tell whether the last observation of an episode equals a first one, as in worlds with one observation."""
    env = single()
    first, _ = env.reset(seed=seed)
    first = keep(first)
    env.action_space.seed(seed)
    for _ in range(10_000):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            return equal(observation, first)
    return False


def seeding(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that the same seed and actions give the same episodes."""
    for mode in MODES:
        runs = [[keep(found[:4]) for found in play(make(NUM_ENVS, mode), seed, steps)] for _ in range(2)]
        for number, (a, b) in enumerate(zip(*runs, strict=True)):
            if not all(map(equal, a, b)):
                yield f"in the mode {mode.value}, result {number} differs"
                break


def fresh_results(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that arrays that were returned are not changed by later steps."""
    for mode in MODES:
        seen = [(found[:4], keep(found[:4])) for found in play(make(NUM_ENVS, mode), seed, min(steps, 100))]
        changed = sum(not equal(a, b) for a, b in seen)
        if changed:
            yield f"in the mode {mode.value}, {changed} of {len(seen)} results changed after they were returned"


def batch_independence(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that the first episode of row 0 does not depend on what the other rows do."""
    runs = []
    for other in (1, 2):
        env = make(NUM_ENVS, AutoresetMode.SAME_STEP)
        mine, theirs = keep(env.action_space), keep(env.action_space)
        mine.seed(seed)
        theirs.seed(seed + other)
        results = []
        for observations, rewards, terminated, truncated, _ in play(
            env, seed, steps, lambda a=mine, b=theirs: _first_of(a.sample(), b.sample())
        ):
            ended = rewards is not None and bool(terminated[0] or truncated[0])
            # The observation of an ended episode is that of the next one, which may be drawn from a shared stream.
            results.append(
                (
                    None if ended else keep(row(observations, 0)),
                    None if rewards is None else float(rewards[0]),
                    ended,
                )
            )
            if ended:
                break
        runs.append(results)
    for number, (a, b) in enumerate(zip(*runs, strict=False)):
        if not all(map(equal, a, b)):
            yield f"with other actions in the other rows, result {number} of row 0 differs"
            return


def _first_of(mine: Any, theirs: Any) -> Any:
    """Return the actions `theirs`, with row 0 of `mine`."""
    if isinstance(mine, dict):
        return {key: _first_of(mine[key], theirs[key]) for key in mine}
    if isinstance(mine, tuple):
        if isinstance(mine[0], np.ndarray):
            return tuple(_first_of(a, b) for a, b in zip(mine, theirs, strict=True))
        return (mine[0], *theirs[1:])
    theirs = theirs.copy()
    theirs[0] = mine[0]
    return theirs


def time_limit(make: Make, single: Single, seed: int, steps: int) -> Iterator[str]:
    """Check that episodes that reach `max_episode_steps` are truncated, not terminated, and go on no further."""
    spec = single().spec
    limit = spec.max_episode_steps if spec else None
    if limit is None:
        raise Skipped("the environment has no max_episode_steps")
    if limit > 20 * steps:
        raise Skipped(f"max_episode_steps is {limit}, too long for this check; use more steps")
    env = make(NUM_ENVS, AutoresetMode.SAME_STEP)
    lengths, ends, terminations = np.zeros(env.num_envs, np.int64), 0, 0
    for _, rewards, terminated, truncated, _ in play(env, seed, max(steps, 3 * limit)):
        if rewards is None:
            continue
        lengths += 1
        ended = terminated | truncated
        if (lengths > limit).any() or (~ended & (lengths == limit)).any():
            yield f"an episode goes on after {limit} steps"
            return
        ends += np.count_nonzero(lengths == limit)
        terminations += np.count_nonzero(terminated & (lengths == limit))
        lengths[ended] = 0
    if not ends:
        raise Skipped("no random episode reached max_episode_steps")
    if terminations == ends:
        yield f"all {ends} episodes that reached {limit} steps were terminated; a time limit truncates"


CHECKS = (*(spaces, autoreset_mode, final_observations, seeding, fresh_results, batch_independence, time_limit),)
