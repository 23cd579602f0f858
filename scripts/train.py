"""`envzoo train AGENT SOURCE`: train an agent, with everything a run should leave behind."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from envzoo.errors import EnvzooError, RunDirectoryError
from envzoo.files import write_text

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent
    from envzoo.scripts.run_directory import RunDirectory


DEFAULT_TIMESTEPS = 100_000


@dataclass(frozen=True)
class TrainOptions:
    """How to run the training."""

    timesteps: int | None = None
    """Budget in environment steps (gradient steps for datasets); None takes 100000, or that of the resumed run."""
    seed: int = 0
    """Seed from which every random number of the run descends."""
    seeds: int = 1
    """Train this many agents, with the seeds SEED, SEED+1, ..., side by side."""
    launcher: Literal["processes", "ray"] = "processes"
    """Where several seeds run: in local processes, or on a Ray cluster (extra `ray`)."""
    processes: int | None = None
    """How many local processes; None takes one per core."""
    device: str = "auto"
    """auto (a GPU when there is one), cpu, cuda, ..."""
    env_kwargs: tuple[str, ...] = ()
    """Keywords of the environment, as KEY=VALUE with JSON values (start=centre rows=12)."""
    run_dir: str | None = None
    """Folder of the run; None makes one under runs/. With several seeds it holds one folder per seed."""
    resume: bool = False
    """Go on with the run in RUN_DIR from its newest checkpoint, as if it had never stopped."""
    eval_every: int | None = None
    """Timesteps between evaluations; None takes a tenth of the budget, 0 evaluates only at the end."""
    eval_episodes: int = 100
    """Episodes of each evaluation."""
    eval_stochastic: bool = False
    """Evaluate the policy's samples in place of its mode."""
    checkpoint_every: int | None = None
    """Timesteps between checkpoints; None saves every minute and at the end."""
    stop_at: float | None = None
    """Stop early once the mean return of an evaluation reaches this."""
    threads: int = 1
    """Torch threads; small networks are fastest with one, and the numbers of a run depend on it."""
    progress: bool = True
    """Show a progress bar."""


def parse_keywords(pairs: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE strings as a dict; values are JSON where they parse, else strings."""
    result = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise EnvzooError(f"environment keywords are given as KEY=VALUE, got {pair!r}")
        try:
            result[key] = json.loads(value)
        except ValueError:
            result[key] = value
    return result


class Interrupt:
    """Turns the first Ctrl-C into a stop after the current iteration; the second one stops at once."""

    def __init__(self):
        from envzoo.agents.callback import Callback

        outer = self

        class StopWhenAsked(Callback):
            def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> bool:
                return not outer.asked

        self.asked = False
        self.callback = StopWhenAsked()

    def __enter__(self) -> Interrupt:
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("stopping after this iteration; press Ctrl-C again to stop at once", file=sys.stderr)


def resume_command(facts: Mapping[str, Any], run_dir: Path) -> str:
    """The command line that goes on with a run."""
    return shlex.join(["envzoo", "train", facts["agent"], facts["source"], "--run-dir", str(run_dir), "--resume"])


def train(
    agent: str,
    source: str,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    timesteps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    env_kwargs: Mapping[str, Any] | None = None,
    run_dir: str | None = None,
    resume: bool = False,
    eval_every: int | None = None,
    eval_episodes: int = 100,
    eval_stochastic: bool = False,
    checkpoint_every: int | None = None,
    stop_at: float | None = None,
    threads: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Train one agent in a run directory; the keywords are those of `TrainOptions`.

    Returns:
        Facts of the finished run: `run_dir`, `finished` (False after Ctrl-C), `timesteps`, `metrics` of the final
        evaluation, `notices`, and the `resume` command.

    Raises:
        EnvzooError: Any wrong input, before work starts; nothing on disk is changed by it.
    """
    import torch

    from envzoo.agents import guard, load, make
    from envzoo.scripts.run_directory import RunDirectory, free_directory

    if resume:
        if run_dir is None:
            raise RunDirectoryError("--resume goes on with the run in --run-dir; name it")
        directory = RunDirectory(run_dir)
        facts = directory.facts()
        for what, given in (("agent", agent), ("source", source)):
            if facts[what] != given:
                raise RunDirectoryError(f"{directory.path} holds a run of {what} {facts[what]}, not of {given}")
        torch.set_num_threads(facts["threads"])
        checkpoint = directory.latest_checkpoint()
        if checkpoint is None:
            with guard.reading(directory.facts_file, vouched=source):
                learner = make(
                    agent, source, seed=facts["seed"], device=device, env_kwargs=facts["env_kwargs"], **facts["given"]
                )
        else:
            learner = load(checkpoint, source, device=device, expect=agent)
        return _run(learner, directory, facts, checkpoint, timesteps, progress)

    timesteps = DEFAULT_TIMESTEPS if timesteps is None else timesteps
    if timesteps < 1:
        raise EnvzooError(f"timesteps is at least 1, got {timesteps}")
    if eval_every is not None and eval_every < 0:
        raise EnvzooError(f"eval_every is at least 0, got {eval_every}")
    for name, number in (("eval_episodes", eval_episodes), ("threads", threads)):
        if number < 1:
            raise EnvzooError(f"{name} is at least 1, got {number}")
    torch.set_num_threads(threads)
    learner = make(agent, source, seed=seed, device=device, env_kwargs=env_kwargs, **dict(hyperparameters or {}))
    facts = {
        "agent": agent,
        "source": source,
        "env_kwargs": dict(env_kwargs or {}),
        "hyperparameters": asdict(learner.config),
        "given": dict(hyperparameters or {}),
        "seed": seed,
        "timesteps": timesteps,
        "eval_every": max(1, timesteps // 10) if eval_every is None else eval_every,
        "eval_episodes": eval_episodes,
        "eval_stochastic": eval_stochastic,
        "checkpoint_every": checkpoint_every,
        "stop_at": stop_at,
        "threads": threads,
        "device": str(learner.device),
    }
    directory = RunDirectory(run_dir or free_directory("runs", f"{agent}-{source}-seed{seed}"))
    callbacks_for(directory, facts)  # refuses wrong settings before anything is written
    directory.create(facts)
    return _run(learner, directory, facts, None, timesteps, progress)


def callbacks_for(directory: RunDirectory, facts: Mapping[str, Any]) -> tuple[list, Any]:
    """The callbacks of a run in their order, and the one that writes checkpoints."""
    from envzoo.agents.callbacks import Checkpoints, EarlyStop, MetricsTable, PeriodicEvaluation, TensorBoard

    callbacks: list = []
    if facts["eval_every"]:
        evaluation = PeriodicEvaluation(
            facts["eval_every"], facts["eval_episodes"], deterministic=not facts["eval_stochastic"]
        )
        callbacks.append(evaluation)
    if facts["stop_at"] is not None:
        if not facts["eval_every"]:
            raise EnvzooError("stop_at needs evaluations while training; give eval_every a positive number")
        callbacks.append(EarlyStop("eval/return_mean", facts["stop_at"]))
    callbacks += [MetricsTable(directory.metrics), TensorBoard(directory.tensorboard)]
    checkpoints = Checkpoints(directory.checkpoints, facts["checkpoint_every"], others=callbacks)
    return callbacks, checkpoints


def _run(
    learner: Agent,
    directory: RunDirectory,
    facts: dict[str, Any],
    checkpoint: Path | None,
    timesteps: int | None,
    progress: bool,
) -> dict[str, Any]:
    from envzoo.agents.callbacks import ProgressBar
    from envzoo.agents.evaluation import evaluate

    callbacks, checkpoints = callbacks_for(directory, facts)
    if checkpoint is not None:
        checkpoints.restore_others(learner.restored_extra)
        for notice in learner.notices:
            print(f"note: {notice}", file=sys.stderr)
    with Interrupt() as interrupt:
        bar = [ProgressBar()] if progress else []
        every = [*callbacks, *bar, interrupt.callback, checkpoints]
        if checkpoint is None:
            learner.learn(timesteps or facts["timesteps"], every)
        elif timesteps is not None and timesteps > learner.target_timesteps:
            learner.learn(timesteps - learner.num_timesteps, every)
        else:
            learner.learn(None, every)
        result = {
            "run_dir": str(directory.path),
            "timesteps": learner.num_timesteps,
            "finished": not interrupt.asked or learner.num_timesteps >= learner.target_timesteps,
            "resume": resume_command(facts, directory.path),
            "notices": learner.notices,
            "metrics": {},
        }
        if result["finished"]:
            learner.save(directory.agent)
            final = evaluate(learner, episodes=facts["eval_episodes"], deterministic=not facts["eval_stochastic"])
            result["metrics"] = final.metrics("")
            write_text(directory.results, json.dumps(result["metrics"], indent=2) + "\n")
    return result


# ---------------------------------------------------------------------- several seeds and the command line


def train_job(job: dict[str, Any]) -> dict[str, Any]:
    """`train` with one picklable argument, for the launcher."""
    return train(**job)


def train_seeds(jobs: list[dict[str, Any]], options: TrainOptions) -> list[dict[str, Any]]:
    """Train one agent per job side by side."""
    from envzoo.scripts.launch import run_jobs

    def report(index: int, result: dict[str, Any]) -> None:
        _report(result, f"seed {jobs[index]['seed']}")

    return run_jobs(train_job, jobs, launcher=options.launcher, processes=options.processes, on_done=report)


def _report(result: dict[str, Any], title: str = "") -> None:
    from rich.console import Console

    console = Console()
    name = f"{title}: " if title else ""
    if not result["finished"]:
        console.print(
            f"{name}stopped after {result['timesteps']} timesteps; go on with:\n  {result['resume']}", soft_wrap=True
        )
        return
    metrics = result["metrics"]
    score = f"return {metrics['return_mean']:.2f} +- {metrics['return_std']:.2f}, " if metrics else ""
    console.print(f"{name}{score}{result['timesteps']} timesteps, run in {result['run_dir']}", soft_wrap=True)


def _summarise(results: list[dict[str, Any]]) -> None:
    import numpy as np
    from rich.console import Console
    from scipy.stats import trim_mean

    returns = np.array([result["metrics"]["return_mean"] for result in results if result["metrics"]])
    if len(returns) > 1:
        text = f"{len(returns)} seeds: interquartile mean {trim_mean(returns, 0.25):.2f}, "
        Console().print(f"{text}lowest {returns.min():.2f}, highest {returns.max():.2f}")


def command(argv: list[str]) -> int:
    """Run `envzoo train` with the given arguments; returns the exit code."""
    from envzoo.agents.registry import agent_class, specs
    from envzoo.scripts.cli import parse, split_positional

    positional, flags = split_positional(argv)
    if not positional:
        from envzoo.scripts.cli import parse_help

        return parse_help(
            "envzoo train AGENT SOURCE [options]",
            "Train an agent. SOURCE is an environment id or a dataset id.\n\nAgents (`envzoo train AGENT --help` shows "
            "all options and hyperparameters):",
            {name: spec.summary for name, spec in specs().items()},
            flags,
        )
    agent, *rest = positional
    config = agent_class(agent).Config
    options, given = parse(TrainOptions, flags, prog=f"envzoo train {agent} SOURCE", config=config, agent=agent)
    if len(rest) != 1:
        raise EnvzooError(
            f"envzoo train takes an agent and one source, got {positional}; "
            f"for example `envzoo train {agent} CartPole-v1`"
        )
    if options.seeds < 1:
        raise EnvzooError(f"--seeds is at least 1, got {options.seeds}")
    shared = {
        name: getattr(options, name)
        for name in (
            *("timesteps", "device", "resume", "eval_every", "eval_episodes"),
            *("eval_stochastic", "checkpoint_every", "stop_at", "threads"),
        )
    }
    shared |= {
        "agent": agent,
        "source": rest[0],
        "hyperparameters": given,
        "env_kwargs": parse_keywords(options.env_kwargs),
    }
    if options.seeds == 1:
        result = train(**shared, seed=options.seed, run_dir=options.run_dir, progress=options.progress)
        _report(result)
        return 0 if result["finished"] else 130
    from envzoo.agents import make
    from envzoo.scripts.run_directory import free_directory

    # Wrong input is refused here, once, before any process starts.
    make(agent, rest[0], seed=options.seed, device=options.device, env_kwargs=shared["env_kwargs"], **given)
    root = Path(options.run_dir or free_directory("runs", f"{agent}-{rest[0]}-{options.seeds}seeds"))
    seeds = range(options.seed, options.seed + options.seeds)
    jobs = [{**shared, "seed": seed, "run_dir": str(root / f"seed{seed}"), "progress": False} for seed in seeds]
    results = train_seeds(jobs, options)
    _summarise(results)
    print(f"draw the curves with: envzoo plot {shlex.quote(str(root))}")
    return 0 if all(result["finished"] for result in results) else 130


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
