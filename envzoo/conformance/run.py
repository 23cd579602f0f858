"""Run all conformance checks of an environment."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envzoo.conformance import single, vector
from envzoo.conformance.report import Finding, Report, Skipped
from envzoo.errors import EnvzooError, shorten
from envzoo.kernel.recognize import has_kernel

MOST_PROBLEMS = 3  # per check
RATE_SECONDS = 1.0  # for measuring speed, at most
MANY = 64  # episodes of the vector environment whose speed is measured


def check(
    env_id: str, *, vector_form: bool = False, env_kwargs: dict[str, Any] | None = None, steps: int = 200, seed: int = 0
) -> Report:
    """Check an environment, and its vector form if asked for.

    The vector form is what `gymnasium.make_vec` makes: the environment's own vector implementation if it has one, else
    a `SyncVectorEnv`. Implementations that do not offer an autoreset mode are checked in the mode they have.

    Args:
        env_id: A registered id, or `module:id`.
        vector_form: Whether to check the vector environment too.
        env_kwargs: Keyword arguments of the environment.
        steps: Steps that each check plays at least.
        seed: Seed of environments and actions.

    Raises:
        EnvzooError: The environment cannot be made.
    """
    env_kwargs = env_kwargs or {}
    make = partial(gym.make, env_id, disable_env_checker=True, **env_kwargs)
    try:
        make().close()
        found = gym.spec(env_id.rpartition(":")[2])
    except Exception as error:  # whatever the environment raises
        reason = shorten(" ".join(str(error).split()))
        raise EnvzooError(f"{env_id} cannot be made ({type(error).__name__}: {reason})") from None
    report = Report(env_id)
    for function in single.CHECKS:
        report.findings.append(_run(f"single/{function.__name__}", function, make, seed, steps))
    if report.passed:  # what raises errors has no speed
        report.speed["single"] = _rate(single.play(make(), seed, 10 * steps, np.random.default_rng(seed)))
    if vector_form:
        make_many = partial(_make_many, env_id, found, env_kwargs)
        for function in vector.CHECKS:
            report.findings.append(_run(f"vector/{function.__name__}", function, make_many, make, seed, steps))
        if report.passed:
            env = make_many(MANY, AutoresetMode.SAME_STEP)
            report.speed[f"vector of {MANY}"] = MANY * _rate(vector.play(env, seed, 2 * steps))
    return report


def _make_many(
    env_id: str, spec: gym.envs.registration.EnvSpec, env_kwargs: dict[str, Any], num_envs: int, mode: AutoresetMode
) -> VectorEnv:
    """Make a vector environment with an autoreset mode: its own implementation if that offers the mode."""
    if spec.vector_entry_point is not None:
        try:
            return gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **env_kwargs)
        except TypeError:
            if has_kernel(spec):
                raise
            if mode is AutoresetMode.NEXT_STEP:
                return gym.make_vec(env_id, num_envs=num_envs, **env_kwargs)
    copies = [partial(gym.make, env_id, disable_env_checker=True, **env_kwargs)] * num_envs
    return SyncVectorEnv(copies, autoreset_mode=mode)


def _run(name: str, function: Any, *arguments: Any) -> Finding:
    about = function.__doc__.split("\n")[0].removeprefix("Check that ").rstrip(".")
    problems: list[str] = []
    try:
        found: Iterable[str] = function(*arguments)
        for problem in found:
            if problem not in problems:
                problems.append(problem)
            if len(problems) == MOST_PROBLEMS:
                break
    except Skipped as reason:
        return Finding(name, about, tuple(problems), "" if problems else str(reason))
    except Exception as error:  # whatever the environment raises
        problems.append(shorten(f"{type(error).__name__}: {' '.join(str(error).split())}"))
    return Finding(name, about, tuple(problems))


def _rate(results: Iterable[Any]) -> float:
    """Return results per second, the first (which may compile code) left out."""
    iterator = iter(results)
    for _ in range(3):
        next(iterator, None)
    began, count = time.perf_counter(), 0
    for _ in iterator:
        count += 1
        if time.perf_counter() - began > RATE_SECONDS:
            break
    return count / max(time.perf_counter() - began, 1e-9)
