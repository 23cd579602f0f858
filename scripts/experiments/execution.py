"""Run an experiment: every arm with every seed, then the statistics, the verdicts, the tables and the figure."""

from __future__ import annotations

import io
import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.files import write_bytes, write_text
from envzoo.scripts.experiments.experiment import Arm, Evaluation, Experiment, Results, Table
from envzoo.scripts.experiments.statistics import CONFIDENCE, REPLICATIONS, bootstrap_iqm
from envzoo.scripts.launch import Launcher, run_jobs

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

TAIL = 0.9  # the scores taken from learning are means over what lies behind this share of the budget


# ---------------------------------------------------------------------------- one run


class CurveRecorder:
    """A callback that thins the metrics of learning to a fixed number of points, each the mean over a stretch.

    Args:
        metrics: Which ones; those that an iteration does not report are left out of its means.
        budget: Timesteps of the whole of learning.
        points: How many.
    """

    name = ""

    def __init__(self, metrics: tuple[str, ...], budget: int, points: int = 100):
        self.metrics, self.budget, self.points = metrics, budget, points
        self._sums = np.zeros((points, 1 + len(metrics)))
        self._counts = np.zeros((points, 1 + len(metrics)), np.int64)
        self._tail: dict[str, list[float]] = {}

    def on_start(self, agent: Agent) -> None:
        """Nothing to prepare."""

    def on_batch(self, agent: Agent, batch: Any, metrics: dict[str, float]) -> None:
        """Only whole iterations count."""

    def on_end(self, agent: Agent) -> None:
        """Nothing to close."""

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Add an iteration to its stretch."""
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
        """Timesteps and metrics as equally long lists, None where a stretch has no value."""
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
        """Mean of each metric over the last tenth of learning."""
        return {name: float(np.mean(values)) for name, values in self._tail.items()}


def run_arm(job: dict[str, Any]) -> dict[str, Any]:
    """Learn and evaluate once.

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
    # One thread, so that sums are made in the same order whatever the machine; these networks are too small for more.
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
        "config": asdict(agent.config),
        "seconds": round(time.perf_counter() - began, 2),
    }


def _evaluate(agent: Agent, evaluation: Evaluation) -> dict[str, float]:
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


# ---------------------------------------------------------------------------- the sweep


def run_experiment(
    experiment: Experiment,
    *,
    quick: bool = False,
    seeds: int | None = None,
    launcher: Launcher = "processes",
    processes: int | None = None,
    on_done: Callable[[int, int, str], None] | None = None,
) -> Results:
    """Run an experiment and judge it.

    Args:
        experiment: What to run.
        quick: Fewer seeds, and shorter budgets where the experiment names them.
        seeds: Number of seeds, in place of the experiment's.
        launcher: See `run_jobs`; the numbers do not depend on it.
        processes: See `run_jobs`.
        on_done: Called as on_done(runs finished, runs in all, name of the run) whenever one ends.

    Returns:
        The results; apart from the entries "seconds" they depend on nothing but the experiment and the versions.

    Raises:
        EnvzooError: Not a positive number of seeds.
    """
    count = seeds if seeds is not None else (experiment.quick_seeds if quick else experiment.seeds)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise EnvzooError(f"seeds is a positive integer, got {count!r}")
    began = time.perf_counter()
    numbers = range(experiment.first_seed, experiment.first_seed + count)
    arms = experiment.sweep(quick)
    if quick:
        arms = tuple(replace(arm, hyperparameters={**arm.hyperparameters, **arm.quick_hyperparameters}) for arm in arms)
    jobs, names = [], []
    for arm in arms:
        budget = arm.quick_timesteps if quick and arm.quick_timesteps is not None else arm.timesteps
        jobs += [{"arm": arm, "seed": seed, "timesteps": budget} for seed in numbers]
        names += [f"{arm.name} (seed {seed})" for seed in numbers]
    finished = 0

    def count_done(index: int, result: Any) -> None:
        nonlocal finished
        finished += 1
        if on_done is not None:
            on_done(finished, len(jobs), names[index])

    runs = run_jobs(run_arm, jobs, launcher=launcher, processes=processes, names=names, on_done=count_done)
    data: dict[str, Any] = {
        "paper": asdict(experiment.paper),
        "question": experiment.question,
        "claim": experiment.claim,
        "small_scale": experiment.small_scale,
        "quick": quick,
        "seeds": list(numbers),
        "aggregate": {"statistic": "interquartile mean", "confidence": CONFIDENCE, "replications": REPLICATIONS},
        "versions": versions(),
        "arms": {},
    }
    for i, arm in enumerate(arms):
        data["arms"][arm.name] = _arm_entry(arm, jobs[i * count]["timesteps"], runs[i * count : (i + 1) * count])
    results = Results(data)
    data["checks"] = [check.verdict(results) for check in experiment.checks if not (quick and check.full_only)]
    data["unchecked"] = len(experiment.checks) - len(data["checks"])
    data["holds"] = all(check["holds"] for check in data["checks"])
    data["seconds"] = round(time.perf_counter() - began, 1)
    return results


def _arm_entry(arm: Arm, timesteps: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    config = runs[0]["config"]
    runs = [{key: value for key, value in run.items() if key != "config"} for run in runs]
    statistics = {}
    for score in runs[0]["scores"]:
        values = [run["scores"].get(score, math.nan) for run in runs]
        statistics[score] = bootstrap_iqm(np.array(values, float))._asdict()
    return {
        "agent": arm.agent,
        "env": arm.env,
        "env_kwargs": dict(arm.env_kwargs),
        "timesteps": timesteps,
        "hyperparameters": dict(arm.hyperparameters),
        "config": config,
        "evaluations": [
            {key: getattr(e, key) for key in ("prefix", "episodes", "deterministic", "env", "env_kwargs")}
            for e in arm.evaluations
        ],
        "group": arm.group,
        "statistics": statistics,
        "runs": runs,
    }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    from importlib.metadata import version

    from envzoo.version import __version__

    packages = {name: version(name) for name in ("gymnasium", "numba", "numpy", "rliable", "scipy", "torch")}
    return {"envzoo": __version__, "python": platform.python_version(), **packages}


# ---------------------------------------------------------------------------- writing


def write_results(experiment: Experiment, results: Results, out: Path) -> dict[str, Path]:
    """Write results.json, table.md and figure.png into a folder, each of them whole or not at all."""
    paths = {"results": out / "results.json", "table": out / "table.md", "figure": out / "figure.png"}
    write_text(paths["results"], to_json(results.data) + "\n")
    write_text(paths["table"], to_markdown(experiment, results))
    write_bytes(paths["figure"], draw(experiment, results))
    return paths


def read_results(folder: Path) -> Results:
    """The results that `write_results` left in a folder, to draw or tabulate them anew.

    Raises:
        EnvzooError: There are none, or they are damaged.
    """
    try:
        return Results(json.loads((folder / "results.json").read_text()))
    except (OSError, ValueError) as error:
        raise EnvzooError(f"{folder} holds no readable results.json; `envzoo reproduce` writes it") from error


def draw(experiment: Experiment, results: Results) -> bytes:
    """The figure as a PNG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.figures import STYLE

    # No pyplot: it keeps global state and looks for a display.
    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        FigureCanvasAgg(figure)
        experiment.figure(results, figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def to_json(value: Any, indent: int = 0) -> str:
    """JSON with a line for each entry of a dict, and lists of plain values on one line; not a number becomes null."""
    pad = "  " * (indent + 1)
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        rows = [f"{pad}{json.dumps(str(key))}: {to_json(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + "  " * indent + "}"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            rows = [pad + to_json(item, indent + 1) for item in value]
            return "[\n" + ",\n".join(rows) + "\n" + "  " * indent + "]"
        return "[" + ", ".join(to_json(item) for item in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    return json.dumps(value)


def format_number(value: float | None) -> str:
    """A number with as many digits as a reader needs."""
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def to_markdown(experiment: Experiment, results: Results) -> str:
    """The report: verdicts first, then the tables."""
    data, paper = results.data, experiment.paper
    source = f", [{paper.arxiv}]({paper.url})" if paper.arxiv else ""
    lines = [
        f"# {paper.title}",
        "",
        f"{paper.authors}, {paper.year}{source}. {experiment.question}",
        "",
        f"**Claim.** {experiment.claim}",
        "",
        f"**Verdict.** {results.verdict}",
        "",
        "| check | measured | bound | holds |",
        "|---|---:|---:|:---:|",
    ]
    for check in data["checks"]:
        bound = f"{check['operator']} {format_number(check['threshold'])}"
        mark = "yes" if check["holds"] else "**no**"
        lines.append(f"| {check['sentence']} | {format_number(check['value'])} | {bound} | {mark} |")
    lines += ["", "![Results](figure.png)", ""]
    for table in experiment.tables:
        lines += _markdown_table(table, results)
    count = len(data["seeds"])
    lines += [f"Interquartile means over {count} seeds, with 95% stratified bootstrap intervals."]
    lines += [f"\n{note}" for note in experiment.notes]
    command = f"envzoo reproduce {paper.number}{' --quick' if data['quick'] else ''}"
    lines += ["", f"To run it again: `{command}`. All numbers, hyperparameters and versions: `results.json`.", ""]
    return "\n".join(lines)


def _markdown_table(table: Table, results: Results) -> list[str]:
    arms = [arm for arm in table.arms if arm in results.arms] if table.arms else results.group(table.group)
    if not arms:
        return []
    expected = [table.expected_heading] if table.expected else []
    heads = ["arm", *table.columns.values(), *table.derived, *expected, "steps"]
    lines = [f"## {table.title}", "", "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in arms:
        cells = [name]
        for score in table.columns:
            if results.has(name, score):
                iqm, low, high = (format_number(value) for value in results.estimate(name, score))
                cells.append(f"{iqm} [{low}, {high}]")
            else:
                cells.append("-")
        cells += [format_number(compute(results, name)) for compute in table.derived.values()]
        if table.expected:
            cells.append(format_number(table.expected.get(name)))
        steps = results.data["arms"][name]["timesteps"]
        lines.append("| " + " | ".join([*cells, f"{steps:,}" if steps else "-"]) + " |")
    return [*lines, ""]
