"""Run an arm: train and evaluate an agent once, or call the arm's function."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.agents.callback import Callback
from envzoo.agents.spec import plain_config
from envzoo.errors import EnvzooError
from envzoo.scripts.experiments.core.arms import EvaluationPlan, FunctionArm

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

TAIL = 0.9  # training metrics become scores by averaging after this fraction of the budget


class CurveRecorder(Callback):
    """A callback that thins the metrics of learning to a fixed number of points, each the mean over a stretch.

    Args:
        metrics: Metrics to record; the means skip iterations that do not report them.
        budget: Timesteps of training.
        points: Number of points.
    """

    def __init__(self, metrics: tuple[str, ...], budget: int, points: int = 100):
        self.metrics, self.budget, self.points = metrics, budget, points
        self._sums = np.zeros((points, 1 + len(metrics)))
        self._counts = np.zeros((points, 1 + len(metrics)), np.int64)
        self._tail: dict[str, list[float]] = {}

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Add an iteration to its interval."""
        share = agent.num_timesteps / self.budget
        row = min(math.ceil(share * self.points), self.points) - 1
        self._add(row, 0, agent.num_timesteps)
        for column, name in enumerate(self.metrics, start=1):
            if name in metrics:
                self._add(row, column, metrics[name])
                if share > TAIL:
                    self._tail.setdefault(name, []).append(metrics[name])

    def _add(self, row: int, column: int, value: float) -> None:
        self._sums[row, column] += value
        self._counts[row, column] += 1

    def curves(self) -> dict[str, list]:
        """Return timesteps and metrics as lists of equal length, with None where an interval has no value."""
        rows = np.flatnonzero(self._counts[:, 0])
        columns = {}
        for column, name in enumerate(("timesteps", *self.metrics)):
            means = [
                float(f"{self._sums[row, column] / self._counts[row, column]:.6g}")
                if self._counts[row, column]
                else None
                for row in rows
            ]
            columns[name] = means
        return columns

    def tail(self) -> dict[str, float]:
        """Compute the mean of each metric over the last tenth of training."""
        return {name: float(np.mean(values)) for name, values in self._tail.items()}


def run_job(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Run an arm with several seeds on one PyTorch thread.

    Sums then have the same order on every machine and under every launcher; the networks are too small to gain from
    more threads.

    Args:
        job: "arm", "seeds", "budget" and "quick".

    Returns:
        One dict of plain values per seed; see `run_arm`.
    """
    from envzoo.agents.threads import using_threads

    arm, seeds = job["arm"], job["seeds"]
    with using_threads(1):
        if isinstance(arm, FunctionArm):
            return run_function(arm, seeds, job["budget"], job["quick"])
        return [run_arm({"arm": arm, "seed": seed, "timesteps": job["budget"]}) for seed in seeds]


def run_function(arm: FunctionArm, seeds: list[int], budget: int, quick: bool) -> list[dict[str, Any]]:
    """Call the function of an arm; return one dict per seed, as `run_arm` does.

    Raises:
        EnvzooError: The function returned something other than scores and curves.
    """
    settings = {**arm.settings, **(arm.quick_settings if quick else {})}
    began = time.perf_counter()
    if arm.run_seeds is not None:
        found = list(arm.run_seeds(list(seeds), budget, quick, **settings))
        if len(found) != len(seeds):
            raise EnvzooError(f"{arm.name}: {len(seeds)} seeds gave {len(found)} results")
        seconds = [(time.perf_counter() - began) / len(seeds)] * len(seeds)
    else:
        found, seconds = [], []
        for seed in seeds:
            before = time.perf_counter()
            found.append(arm.run(seed, budget, quick, **settings))
            seconds.append(time.perf_counter() - before)
    runs = zip(seeds, found, seconds, strict=True)
    return [
        {"seed": seed, **_plain_result(arm.name, result), "config": dict(settings), "seconds": round(spent, 3)}
        for seed, result, spent in runs
    ]


def _plain_result(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(result, Mapping) or not isinstance(result.get("scores"), Mapping):
        raise EnvzooError(
            f"{name}: the function of an arm returns {{'scores': ..., 'curves': ...}}, got {result!r:.80}"
        )
    try:
        scores = {key: float(value) for key, value in result["scores"].items()}
        curves = {key: [float(x) for x in values] for key, values in result.get("curves", {}).items()}
    except (TypeError, ValueError) as error:
        raise EnvzooError(f"{name}: scores and curves are numbers ({error})") from error
    # NaN becomes None, as in the file, so that stored and new results are equal.
    curves = {key: [x if math.isfinite(x) else None for x in values] for key, values in curves.items()}
    return {"scores": scores, "curves": curves}


def run_arm(job: dict[str, Any]) -> dict[str, Any]:
    """Train and evaluate an agent once.

    Args:
        job: "arm", "seed" and "timesteps".

    Returns:
        Plain values: "seed", "scores", "curves", "config" (all hyperparameters) and "seconds".
    """
    import torch

    from envzoo.agents import make

    arm, seed, timesteps = job["arm"], job["seed"], job["timesteps"]
    began = time.perf_counter()
    threads = torch.get_num_threads()
    # One thread, so that sums have the same order on every machine; these networks are too small for more.
    torch.set_num_threads(1)
    try:
        settings = {"seed": seed, "device": "cpu", "env_kwargs": dict(arm.env_kwargs), "threads": 1}
        agent = make(arm.agent, arm.env, **settings, **dict(arm.hyperparameters))
        recorder = CurveRecorder(arm.curves, max(timesteps, 1), arm.points)
        if timesteps:
            agent.learn(timesteps, callback=[recorder])
        scores = recorder.tail()
        for evaluation in arm.evaluations:
            scores |= _evaluate(agent, evaluation)
    finally:
        torch.set_num_threads(threads)
    return {
        "seed": seed,
        "scores": scores,
        "curves": recorder.curves(),
        "config": plain_config(agent.config),
        "seconds": round(time.perf_counter() - began, 2),
    }


def _evaluate(agent: Agent, evaluation: EvaluationPlan) -> dict[str, float]:
    from envzoo.agents.evaluation import MAX_PARALLEL, evaluate
    from envzoo.agents.source import make_vector_env

    if evaluation.prepare is not None:
        agent = evaluation.prepare(agent)
    env = None
    if evaluation.env is not None:
        env = make_vector_env(evaluation.env, min(evaluation.episodes, MAX_PARALLEL), dict(evaluation.env_kwargs))
    try:
        result = evaluate(agent, env, episodes=evaluation.episodes, deterministic=evaluation.deterministic)
    finally:
        if env is not None:
            env.close()
    scores = {"return": result.returns.mean(), "length": result.lengths.mean()}
    scores |= {key: values.mean() for key, values in result.infos.items()}
    if evaluation.measure is not None:
        scores |= evaluation.measure(result)
    if evaluation.inspect is not None:
        scores |= evaluation.inspect(agent)
    return {f"{evaluation.prefix}{name}": float(value) for name, value in scores.items()}
