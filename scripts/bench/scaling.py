"""Overheads of runs on several machines (checkpoints, resuming, metrics, Ray), and a simulation of 100 machines."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from envzoo.agents import load, make
from envzoo.agents.callbacks import MetricsTable, TensorBoard
from envzoo.scripts.bench.cluster import Cluster, best_interval, simulate
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "overheads of a run on several machines, and a projection for 100 machines that fail"

AGENTS = {
    "PPO on CartPole-v1, 64-64": ("PPO", "CartPole-v1", {"hidden": (64, 64)}, 2048),
    "PPO on GridCoverage-v0, 512 environments": ("PPO", "envzoo/GridCoverage-v0", {"num_envs": 512}, 1),
    "SAC on Pendulum-v1, 256-256, 10,000 transitions": ("SAC", "Pendulum-v1", {"learning_starts": 10_000}, 10_000),
}
HOUR, DAY = 3600.0, 86400.0
# One failure of a machine in 30 days, and in 1 day, as on machines that may be taken away at any time.
FAILURES = {"30 days": 30 * DAY, "1 day": DAY}
SIMULATIONS = 20
ASSUMED_START = 10.0  # seconds, where Ray is not measured


def run(quick: bool = False) -> list[Row]:
    """Measure, and return one row for each overhead and each projection.

    Args:
        quick: Use fewer repetitions, and leave out Ray.
    """
    repeats = 3 if quick else 9
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    for title, (name, source, settings, steps) in AGENTS.items():
        found, seconds[title] = _checkpoints(title, make(name, source, device="cpu", **settings).learn(steps), repeats)
        rows += found
    rows += _metrics(repeats)
    started = math.nan if quick else _ray_start()
    note = "not measured: needs the extra `ray`, and not the short form" if math.isnan(started) else ""
    rows.append(Row("Ray: from `run_jobs` to the first result", started, "s", note=note))
    return rows + _projections(started, max(seconds.values()))


def _checkpoints(title: str, agent: Any, repeats: int) -> tuple[list[Row], float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.zip"
        timings = measure(
            {"save": lambda: agent.save(path), "load": lambda: load(path, agent.source.id, device="cpu")}, repeats
        )
        size = path.stat().st_size
    rows = [
        Row(f"{title}: checkpoint", size / 1e6, "MB"),
        Row(f"{title}: save", timings["save"].median, "s"),
        Row(f"{title}: load to resume", timings["load"].median, "s"),
    ]
    return rows, timings["save"].median


def _metrics(repeats: int, count: int = 1000) -> list[Row]:
    agent = make("PPO", "CartPole-v1", device="cpu")
    values = {f"group/metric_{number}": float(number) for number in range(20)}

    def writer(callback: Any) -> Callable[[], None]:
        def go() -> None:
            callback.on_start(agent)
            for _ in range(count):
                callback.on_iteration(agent, values)
            callback.on_end(agent)

        return go

    with tempfile.TemporaryDirectory() as folder:
        table = writer(MetricsTable(Path(folder) / "metrics.jsonl"))
        board = writer(TensorBoard(Path(folder) / "board", min_seconds=0.0))
        timings = measure({"metrics.jsonl": table, "TensorBoard, every row": board}, repeats)
    note = "rows of 20 metrics; TensorBoard is limited to 4 rows per second in training"
    return [
        Row(f"{name}: rows written", count / timing.median, "rows/s", note=note) for name, timing in timings.items()
    ]


def _nothing(job: dict[str, Any]) -> dict[str, Any]:
    return job


def _ray_start() -> float:
    if not find_spec("ray"):
        return math.nan
    from envzoo.scripts.launch import run_jobs

    began = time.perf_counter()
    run_jobs(_nothing, [{}], launcher="ray", names=["nothing"])
    return time.perf_counter() - began


def _projections(start: float, checkpoint: float) -> list[Row]:
    """Simulate 1,000 seeds of 6 hours on 100 machines, with checkpoints every minute and at the best interval."""
    rows = []
    assumed = " (assumed)" if math.isnan(start) else ""
    start = ASSUMED_START if assumed else start
    for words, between in FAILURES.items():
        for interval in (60.0, best_interval(checkpoint, between)):
            cluster = Cluster(100, 1000, 6 * HOUR, start, checkpoint, interval, between)
            found = [simulate(cluster, seed) for seed in range(SIMULATIONS)]
            efficiency = float(np.mean([outcome.efficiency for outcome in found]))
            hours = float(np.mean([outcome.seconds for outcome in found])) / HOUR
            failures = float(np.mean([outcome.failures for outcome in found]))
            note = (
                f"{hours:.1f} hours (60 without overheads), {failures:.0f} failures; start {start:.3g} s{assumed},"
                f" checkpoint {checkpoint:.3g} s, repair 10 minutes; mean of {SIMULATIONS} simulations"
            )
            name = f"100 machines, a failure in {words} each, a checkpoint every {interval:.0f} s: efficiency"
            rows.append(Row(name, 100 * efficiency, "%", note=note))
    return rows
