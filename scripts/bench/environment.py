"""Steps per second of the vector environment, against gymnax, EnvPool and Gymnasium's SyncVectorEnv."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import gymnasium as gym
import numpy as np

import envzoo  # noqa: F401  (registers the environments)
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "steps per second of 1024 GridCoverage episodes on one thread, against gymnax, EnvPool and SyncVectorEnv"

EPISODES = 1024
OURS = "GridCoverage-v0, 1024 episodes"
_ENVIRONMENT = "envzoo/GridCoverage-v0"
_UNIT = "million steps/s"


@dataclass(frozen=True)
class _Subject:
    """A subject of measurement: a function, the environment steps per call, and the target of the ratio."""

    function: Callable[[], object]
    steps: int
    target: float | None = None


def run(quick: bool = False) -> list[Row]:
    """Measure, and return one row for each of our environments and of the other packages.

    Args:
        quick: Use fewer and shorter rounds.

    Returns:
        Rows in million environment steps per second; `ratio` is our speed over the other package's, from the best
        rounds.
    """
    repeats, steps = (3, 200) if quick else (9, 1000)
    subjects: dict[str, _Subject] = {
        OURS: _ours(steps),
        f"{OURS}, SAME_STEP": _ours(steps, autoreset_mode="SameStep"),
        "GridCoverage-v0, single environment": _single(steps * 2),
        "SyncVectorEnv of 16 single environments": _sync(steps // 5),
    }
    missing: list[Row] = []
    server = None
    try:
        if find_spec("envpool"):
            subjects["EnvPool FrozenLake-v1, 1024 episodes, 1 thread"] = _envpool(steps // 5)
        else:
            missing.append(_absent("EnvPool FrozenLake-v1", "envpool", 20))
        if find_spec("gymnax") and find_spec("jax"):
            server = _GymnaxServer(steps)
            if server.problem:
                missing.append(_absent("gymnax FourRooms-misc", server.problem, 3))
            else:
                subjects["gymnax FourRooms-misc, 1024 episodes, jit, 1 thread"] = _Subject(
                    server, EPISODES * steps, target=3
                )
        else:
            missing.append(_absent("gymnax FourRooms-misc", "gymnax", 3))
        timings = measure({name: subject.function for name, subject in subjects.items()}, repeats)
    finally:
        if server is not None:
            server.close()
    rates = {name: subjects[name].steps / timings[name].best / 1e6 for name in subjects}
    rows = [
        Row(name, rates[name], _UNIT, rates[OURS] / rates[name] if subject.target else None, subject.target)
        for name, subject in subjects.items()
    ]
    return rows + missing


def _absent(name: str, package: str, target: float) -> Row:
    note = f"not measured: {package} cannot be imported; install it with pip install -c constraints.txt -e '.[bench]'"
    return Row(name, math.nan, _UNIT, None, target, note)


def _draw(rng: np.random.Generator, actions: int, number: int) -> np.ndarray:
    # Twice as fast as `rng.integers`. Sampling actions is part of the measurement for all packages.
    return (rng.random(number, dtype=np.float32) * actions).astype(np.int64)


def _ours(steps: int, **kwargs: str) -> _Subject:
    env = gym.make_vec(_ENVIRONMENT, num_envs=EPISODES, **kwargs)
    env.reset(seed=0)
    rng = np.random.default_rng(0)

    def go() -> None:
        for _ in range(steps):
            env.step(_draw(rng, 5, EPISODES))

    return _Subject(go, steps * EPISODES)


def _single(steps: int) -> _Subject:
    env = gym.make(_ENVIRONMENT, disable_env_checker=True)
    env.reset(seed=0)
    rng = np.random.default_rng(0)

    def go() -> None:
        for action in _draw(rng, 5, steps).tolist():
            if env.step(action)[2]:
                env.reset()

    return _Subject(go, steps)


def _sync(steps: int) -> _Subject:
    # Without the environment checker, which would slow SyncVectorEnv down.
    env = gym.vector.SyncVectorEnv([lambda: gym.make(_ENVIRONMENT, disable_env_checker=True)] * 16)
    env.reset(seed=0)
    rng = np.random.default_rng(0)

    def go() -> None:
        for _ in range(steps):
            env.step(_draw(rng, 5, 16))

    return _Subject(go, steps * 16, target=200)


def _envpool(steps: int) -> _Subject:
    import envpool

    env = envpool.make_gymnasium("FrozenLake-v1", num_envs=EPISODES, num_threads=1, seed=0)
    env.reset()
    rng = np.random.default_rng(0)

    def go() -> None:
        for _ in range(steps):
            env.step(_draw(rng, 4, EPISODES))

    return _Subject(go, steps * EPISODES, target=20)


class _GymnaxServer:
    """gymnax in a separate process, because JAX can be limited to one thread only before it starts.

    A call runs one scan of `steps` steps and waits for it. `problem` is an error message if gymnax could not be
    started.
    """

    def __init__(self, steps: int) -> None:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import serve_gymnax; serve_gymnax({steps})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"},
        )
        answer = self._process.stdout.readline().strip()
        self.problem = None if answer == "ready" else answer or "gymnax"

    def __call__(self) -> None:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError("the gymnax process ended before its measurement")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)


def serve_gymnax(steps: int) -> None:
    """Serve `_GymnaxServer`: run one compiled rollout of 1024 episodes for every line on standard input."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        import gymnax
        import jax
    except ImportError as error:
        print(error.name or "gymnax", flush=True)
        return
    env, parameters = gymnax.make("FourRooms-misc")

    @jax.jit
    def reset(key):
        return jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, EPISODES), parameters)[1]

    @jax.jit
    def rollout(key, state):
        def body(carry, key):
            state, total = carry
            key_action, key_step = jax.random.split(key)
            actions = jax.random.randint(key_action, (EPISODES,), 0, 4)
            keys = jax.random.split(key_step, EPISODES)
            step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
            observation, state, reward, *_ = step(keys, state, actions, parameters)
            # All outputs are used, so that the compiler cannot remove their computation.
            return (state, total + reward.sum() + observation.sum()), None

        return jax.lax.scan(body, (state, 0.0), jax.random.split(key, steps))[0]

    key = jax.random.PRNGKey(0)
    state = reset(key)
    jax.block_until_ready(rollout(key, state))
    print("ready", flush=True)
    for _ in sys.stdin:
        key, here = jax.random.split(key)
        state, total = rollout(here, state)
        total.block_until_ready()
        print("done", flush=True)
