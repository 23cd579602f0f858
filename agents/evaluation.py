"""Evaluate an agent: many episodes side by side, every one counted, on seeds of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from envzoo.agents.agent import Agent
from envzoo.agents.loops.experience import step_info
from envzoo.errors import EnvzooError

EVALUATION_SEED = 10_000_019  # far from the training seeds, which are hashed
MAX_PARALLEL = 128


@dataclass(frozen=True)
class EvaluationResult:
    """Outcomes of E episodes.

    Attributes:
        returns: (E,) undiscounted returns.
        lengths: (E,) steps.
        infos: Last value of each numeric info key, (E,) each.
    """

    returns: np.ndarray
    lengths: np.ndarray
    infos: dict[str, np.ndarray]

    def metrics(self, prefix: str = "eval/") -> dict[str, float]:
        """Means (and the standard deviation of the return) under names for the metrics table."""
        result = {
            f"{prefix}return_mean": float(self.returns.mean()),
            f"{prefix}return_std": float(self.returns.std()),
            f"{prefix}length_mean": float(self.lengths.mean()),
        }
        return result | {f"{prefix}final_{key}_mean": float(values.mean()) for key, values in self.infos.items()}

    def scores(self, metric: str) -> np.ndarray:
        """Per-episode values of "return", "length" or an info key, (E,); raises EnvzooError for another name."""
        values = {"return": self.returns, "length": self.lengths, **self.infos}
        if metric not in values:
            raise EnvzooError(f"episodes have no {metric!r}; expected one of {', '.join(values)}")
        return values[metric]


def evaluate(
    agent: Agent,
    env: VectorEnv | None = None,
    *,
    episodes: int = 100,
    seed: int = EVALUATION_SEED,
    deterministic: bool = True,
) -> EvaluationResult:
    """Play `episodes` episodes and return what came out.

    Every parallel slot plays the same number of episodes (one more for the first few), so short episodes are not
    counted more often than long ones.

    Args:
        agent: Any agent for environments.
        env: Vector environment to play in, left open; None makes fresh copies of the agent's source.
        episodes: Number of episodes.
        seed: Seed of the first reset.
        deterministic: Passed to `predict`.

    Raises:
        EnvzooError: No episodes asked for, or no environment to play in.
    """
    if episodes < 1:
        raise EnvzooError(f"an evaluation needs at least 1 episode, got {episodes}")
    own = env is None
    env = agent.source.evaluation_env(min(episodes, MAX_PARALLEL)) if own else env
    try:
        return _play(agent, env, episodes, seed, deterministic)
    finally:
        if own:
            env.close()


def _play(agent: Agent, env: VectorEnv, episodes: int, seed: int, deterministic: bool) -> EvaluationResult:
    count = env.num_envs
    if env.metadata.get("autoreset_mode") == AutoresetMode.DISABLED:
        raise EnvzooError(f"{env} has autoreset disabled; an evaluation needs the mode SAME_STEP or NEXT_STEP")
    same_step = env.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
    quota = np.full(count, episodes // count) + (np.arange(count) < episodes % count)
    agent.set_env(env)
    observation, _ = env.reset(seed=seed)
    state: Any = None
    start = np.ones(count, bool)
    resetting = np.zeros(count, bool)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    finished_returns: list[float] = []
    finished_lengths: list[int] = []
    finished_infos: dict[str, list[float]] = {}
    while quota.any():
        action, state = agent.predict(observation, state, start, deterministic)
        observation, reward, terminated, truncated, infos = env.step(action)
        done = terminated | truncated
        returns += np.where(resetting, 0.0, reward)
        lengths += ~resetting
        start, resetting = (done, resetting) if same_step else (resetting, done)
        counted = done & (quota > 0)
        if counted.any():
            finished_returns += returns[counted].tolist()
            finished_lengths += lengths[counted].tolist()
            for key in infos.get("final_info", infos):
                value = None if key.startswith(("_", "final_")) else step_info(infos, key, done)
                if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiub":
                    finished_infos.setdefault(key, []).extend(value[counted].astype(float).tolist())
            quota[counted] -= 1
        returns[done], lengths[done] = 0.0, 0
    return EvaluationResult(
        np.array(finished_returns),
        np.array(finished_lengths),
        {key: np.array(values) for key, values in finished_infos.items()},
    )
