"""Random play in environments with kernels: batches, with a single environment and a restored copy beside them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from fuzz_checks import Inside, Row, check_infos, draw_actions, outside, row_of, same
from gymnasium.vector import AutoresetMode

from envzoo.errors import InvalidActionError, ResetNeededError
from envzoo.registration import EnvironmentSpec

SESSION = 400  # vector steps with one seed, batch size and mode
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
STAYS = ("envzoo/CodingGrid-v0", "envzoo/CodingGridSmall-v0")  # a move that is masked out leaves the agent in place


def face(path: str) -> Any:
    """The class behind "module:Class"."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


class Shadow:
    """A single environment that lives through what one episode of the batch lives through."""

    def __init__(self, env: Any, slot: int) -> None:
        self.env, self.slot = env, slot
        self.observation: Any = None

    def reset(self, seed: int | None) -> None:
        self.observation, _ = self.env.reset(seed=seed)

    def step(self, action: Any) -> tuple[float, bool, bool]:
        self.observation, reward, terminated, truncated, _ = self.env.step(action)
        return reward, terminated, truncated


def sessions(row: EnvironmentSpec, generator: np.random.Generator, calls: int, report: Row) -> Iterator[None]:
    """Play `calls` vector steps in an environment that has a vector form; pauses after each session."""
    batch_class, single_class = face(row.vector_entry_point), face(row.entry_point)
    number = 0
    while report.calls < calls:
        count = int(generator.choice([1, 2, 3, 7, 16]))
        limit = row.max_episode_steps if generator.random() < 0.5 else int(generator.integers(1, 40))
        options = {**row.kwargs, "max_episode_steps": limit}
        batch = batch_class(count, autoreset_mode=MODES[number % 3], **options)
        shadow = Shadow(single_class(**options), int(generator.integers(count)))
        copy = partial(batch_class, count, autoreset_mode=batch.autoreset_mode, **options)
        play(batch, copy, shadow, limit, generator, min(SESSION, calls - report.calls), report)
        number += 1
        batch.close()
        unlimited(batch_class, row.kwargs, generator)
        yield


def unlimited(batch_class: Any, kwargs: Any, generator: np.random.Generator) -> None:
    """A time limit truncates, and changes nothing else: without it the same episodes go on."""
    limit, count, seed = int(generator.integers(1, 12)), 5, int(generator.integers(2**40))
    limited, free = (
        batch_class(count, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=steps, **kwargs)
        for steps in (limit, None)
    )
    assert same(limited.reset(seed=seed)[0], free.reset(seed=seed)[0])
    for number in range(1, limit + 1):
        actions = draw_actions(limited.single_action_space, count, generator)
        observation, reward, terminated, truncated, infos = limited.step(actions)
        expected = free.step(actions)
        assert all(map(same, (observation, reward, terminated, infos), (*expected[:3], expected[4])))
        assert not expected[3].any()
        assert truncated.all() if number == limit else not truncated.any()
        if terminated.any():
            break


def play(
    batch: Any, copy: Any, shadow: Shadow, limit: int | None, generator: np.random.Generator, calls: int, report: Row
) -> None:
    """One session: one batch from its first reset on."""
    count, space, mode = batch.num_envs, batch.single_action_space, batch.autoreset_mode
    inside, everyone, slot = Inside(batch.single_observation_space), np.ones(batch.num_envs, bool), shadow.slot
    seed = int(generator.integers(2**62))
    only_legal = generator.random() < 0.5
    fork_at = int(generator.integers(calls))
    twin: Any = None
    try:
        batch.step(draw_actions(space, count, generator))
        raise AssertionError("a step before the first reset was taken")
    except ResetNeededError:
        pass
    observation, infos = batch.reset(seed=seed)
    shadow.reset(seed + slot)
    inside(observation, count)
    check_infos(infos, everyone)
    assert same(row_of(observation, slot), shadow.observation)
    legal = infos.get("action_mask")
    length, waiting = np.zeros(count, np.int64), np.zeros(count, bool)
    for number in range(calls):
        if waiting.any() and (mode is AutoresetMode.DISABLED or generator.random() < 0.05):
            legal = reset_some(batch, twin, shadow, waiting.copy(), None, length, waiting, inside, legal)
            observation = batch.observation()
        elif generator.random() < 0.02:
            mask = generator.random(count) < 0.5
            mask[generator.integers(count)] = True
            seeds = None if generator.random() < 0.5 else generator.integers(2**40, size=count).tolist()
            legal = reset_some(batch, twin, shadow, mask, seeds, length, waiting, inside, legal)
            observation = batch.observation()
        if number == fork_at:
            twin = copy()
            twin.set_state(batch.get_state())
            assert same(twin.observation(), batch.observation())
        actions = draw_actions(space, count, generator, legal if only_legal else None)
        if number % 50 == 7:
            refuses(batch, outside(space, actions, generator))
        last = observation
        observation, reward, terminated, truncated, infos = result = batch.step(actions)
        report.calls += 1
        inside(observation, count)
        done, stepped = terminated | truncated, ~waiting
        assert reward.dtype == np.float64
        assert reward.shape == terminated.shape == truncated.shape == (count,)
        assert terminated.dtype == truncated.dtype == np.bool_
        assert np.isfinite(reward).all()
        check_infos(infos, everyone)
        if report.id in STAYS:
            illegal = legal[np.arange(count), actions] == 0
            assert same(observation["state"][illegal & stepped & ~done], last["state"][illegal & stepped & ~done])
        legal = infos.get("action_mask")
        # An episode that this step only reset has neither reward nor end.
        assert not reward[waiting].any()
        assert not done[waiting].any()
        length = np.where(stepped, length + 1, 0)
        report.steps += int(stepped.sum())
        report.episodes += int(done.sum())
        assert np.array_equal(truncated, stepped & (length == limit if limit else np.zeros(count, bool)))
        if mode is AutoresetMode.SAME_STEP:
            check_final(infos, done, inside)
        else:
            assert "final_obs" not in infos
        follow(shadow, actions, result, waiting, mode)
        if twin is not None:
            assert all(map(same, twin.step(actions), result))
        if mode is AutoresetMode.SAME_STEP:
            length[done] = 0
        else:
            waiting = done.copy()


def reset_some(
    batch: Any,
    twin: Any,
    shadow: Shadow,
    mask: np.ndarray,
    seeds: Any,
    length: np.ndarray,
    waiting: np.ndarray,
    inside: Inside,
    legal: Any,
) -> Any:
    """Reset the episodes marked in `mask`; the others stay as they are. Returns the action masks (or None)."""
    before = batch.get_state()
    observation, infos = batch.reset(seed=seeds, options={"reset_mask": mask})
    after = batch.get_state()
    if twin is not None:
        twin.reset(seed=seeds, options={"reset_mask": mask})
    inside(observation, batch.num_envs)
    check_infos(infos, mask)
    assert all(same(before[name][~mask], after[name][~mask]) for name in before)
    length[mask], waiting[mask] = 0, False
    if mask[shadow.slot]:
        shadow.reset(None if seeds is None else seeds[shadow.slot])
    assert same(row_of(observation, shadow.slot), shadow.observation)
    return None if legal is None else np.where(mask[:, None], infos["action_mask"], legal)


def refuses(batch: Any, actions: np.ndarray) -> None:
    """A bad action is refused, and leaves no trace."""
    before = batch.get_state()
    try:
        batch.step(actions)
        raise AssertionError(f"the actions {actions} were taken")
    except InvalidActionError:
        assert same(before, batch.get_state())


def check_final(infos: dict[str, Any], done: np.ndarray, inside: Inside) -> None:
    """The last observations of the episodes that ended, of those only."""
    assert ("final_obs" in infos) == done.any()
    if done.any():
        assert np.array_equal(infos["_final_obs"], done)
        assert np.array_equal(infos["_final_info"], done)
        for i, ended in enumerate(done):
            assert (infos["final_obs"][i] is not None) == ended
            if ended:
                inside(infos["final_obs"][i], None)


def follow(shadow: Shadow, actions: np.ndarray, result: tuple, waiting: np.ndarray, mode: AutoresetMode) -> None:
    """The single environment goes the way of its episode in the batch."""
    observation, reward, terminated, truncated, infos = result
    slot = shadow.slot
    if waiting[slot]:  # NEXT_STEP
        shadow.reset(None)
    else:
        alone = shadow.step(actions[slot])
        assert alone == (reward[slot], terminated[slot], truncated[slot])
        if (alone[1] or alone[2]) and mode is AutoresetMode.SAME_STEP:
            assert same(infos["final_obs"][slot], shadow.observation)
            shadow.reset(None)
    assert same(row_of(observation, slot), shadow.observation)
