"""Train one agent in a run directory, or resume a run."""

from __future__ import annotations

import json
import numbers
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.agents.spec import plain_config
from envzoo.errors import DatasetError, EnvzooError, RunDirectoryError, StorageError, unknown
from envzoo.files import write_text
from envzoo.scripts.import_modules import command_line
from envzoo.scripts.train_options import DEFAULT_TIMESTEPS, DEFAULTS
from envzoo.wrappers.named import source_with

if TYPE_CHECKING:
    import numpy as np

    from envzoo.agents.agent import Agent
    from envzoo.scripts.run_directory import RunDirectory


@dataclass
class Run:
    """A run whose folder is open for writing, or one that is finished.

    Attributes:
        directory: Its folder.
        facts: What run.json holds.
        learner: The learner; None if the run is finished.
        resumed: Whether the learner comes from a checkpoint.
        result: The result of a finished run.
    """

    directory: RunDirectory
    facts: dict[str, Any]
    learner: Agent | None = None
    resumed: bool = False
    result: dict[str, Any] | None = None


def resume_command(facts: Mapping[str, Any], run_dir: Path) -> str:
    """Format the command line that resumes a run."""
    return command_line("train", facts["agent"], facts["source"], "--run-dir", str(run_dir), "--resume")


def train(
    agent: str,
    source: str,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    run_dir: str | None = None,
    resume: bool = False,
    progress: bool = True,
    siblings: list[int] | None = None,
    patience: float = 0.0,
    **options: Any,
) -> dict[str, Any]:
    """Train one agent in a run directory.

    Args:
        agent: Name of the agent.
        source: Id of an environment or dataset.
        hyperparameters: Hyperparameters that differ from the agent's defaults; when resuming, they must match the run.
        run_dir: Folder of the run; None creates one under runs/.
        resume: Resume the run in `run_dir`; a finished run is left unchanged.
        progress: Show a progress bar.
        siblings: All seeds, if several are trained; stored in run.json.
        patience: Seconds to wait for another process that writes to this run.
        **options: Other fields of `TrainOptions`. Options that are not given have their defaults, or in a resumed run
            the values of that run.

    Returns:
        Facts of the finished run: `run_dir`, `finished` (False after Ctrl-C), `timesteps`, `metrics` of the final
        evaluation, `notices`, and the `resume` command.

    Raises:
        EnvzooError: The input is invalid. This is raised before work starts, and nothing on disk is changed.
        StorageError: A file cannot be written; earlier checkpoints are kept.
    """
    settings = {"run_dir": run_dir, "resume": resume, "siblings": siblings, "patience": patience, **options}
    with open_run(agent, source, hyperparameters, **settings) as run:
        return run.result or _learn([run], progress)[0]


def train_together(jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Train runs that differ in their seed alone as one batch; takes the arguments of `train` for each of them.

    Raises:
        EnvzooError: As `train`, or the agent cannot be trained as a batch.
    """
    with ExitStack() as stack:
        runs = [
            stack.enter_context(open_run(**{name: value for name, value in job.items() if name != "progress"}))
            for job in jobs
        ]
        learned = iter(_learn([run for run in runs if run.result is None], progress=False))
        return [next(learned) if run.result is None else run.result for run in runs]


@contextmanager
def open_run(
    agent: str,
    source: str,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    run_dir: str | None = None,
    resume: bool = False,
    siblings: list[int] | None = None,
    patience: float = 0.0,
    **options: Any,
) -> Iterator[Run]:
    """Create or load a run and keep its folder open for writing; takes the arguments of `train`."""
    for name in options:
        if name not in DEFAULTS:
            raise unknown("option of train", name, DEFAULTS)
    _check_numbers(options)
    given = dict(hyperparameters or {})
    if resume:
        if run_dir is None:
            raise RunDirectoryError("--resume continues the run in --run-dir, which must be given")
        with _resume(agent, source, given, run_dir, patience, options) as run:
            yield run
    else:
        with _start(agent, source, given, run_dir, patience, options, siblings) as run:
            yield run


def _check_numbers(options: Mapping[str, Any]) -> None:
    least = {"timesteps": 1, "eval_every": 0, "eval_episodes": 1}
    for name, minimum in least.items():
        value = options.get(name)
        if value is None and (name not in options or DEFAULTS[name] is None):
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
            raise EnvzooError(f"{name} is at least {minimum}, got {value!r}")


@contextmanager
def _start(
    agent: str,
    source: str,
    given: dict[str, Any],
    run_dir: str | None,
    patience: float,
    options: Mapping[str, Any],
    siblings: list[int] | None,
) -> Iterator[Run]:
    from envzoo.agents import make
    from envzoo.scripts.run_config import write_config
    from envzoo.scripts.run_directory import RunDirectory, check_facts, free_directory

    o = {**DEFAULTS, **options}
    env_kwargs = dict(o["env_kwargs"] or {})
    timesteps = DEFAULT_TIMESTEPS if o["timesteps"] is None else int(o["timesteps"])
    made_from, keywords = source_with(source, env_kwargs, o["wrapper"])
    learner = make(
        agent, made_from, seed=o["seed"], device=o["device"], env_kwargs=keywords, threads=o["threads"], **given
    )
    facts = {
        "agent": agent,
        "source": source,
        "env_kwargs": env_kwargs,
        "hyperparameters": plain_config(learner.config),
        "given": given,
        "seed": learner.seed,
        "timesteps": timesteps,
        "eval_every": max(1, timesteps // 10) if o["eval_every"] is None else int(o["eval_every"]),
        "eval_episodes": int(o["eval_episodes"]),
        "eval_stochastic": o["eval_stochastic"],
        "checkpoint_every": o["checkpoint_every"],
        "stop_at": o["stop_at"],
        "wrapper": list(o["wrapper"]),
        "tag": list(o["tag"]),
        "csv": o["csv"],
        "wandb": o["wandb"],
        "threads": learner.choose_threads(),
        "device": str(learner.device),
    }
    if siblings is not None:
        facts["seeds"] = siblings
    check_facts(facts)
    directory = RunDirectory(run_dir or free_directory("runs", f"{agent}-{source}-seed{o['seed']}"))
    callbacks_for(directory, facts)  # refuses wrong settings before anything is written
    directory.check_free()
    with directory.writing(patience):
        directory.create(facts)
        write_text(directory.config, write_config(facts))
        yield Run(directory, facts, learner)


@contextmanager
def _resume(
    agent: str, source: str, given: dict[str, Any], run_dir: str, patience: float, options: Mapping[str, Any]
) -> Iterator[Run]:
    from envzoo.agents import guard, load, make
    from envzoo.agents.callbacks.metrics_table import missing_rows
    from envzoo.agents.registry import agent_class
    from envzoo.scripts.resume import CHANGEABLE, check, notices
    from envzoo.scripts.run_directory import RunDirectory, versions

    directory = RunDirectory(run_dir)
    facts = directory.facts()
    for what, name in (("agent", agent), ("source", source)):
        if facts[what] != name:
            raise RunDirectoryError(f"{directory.path} holds a run of {what} {facts[what]}, not of {name}")
    check(directory.path, facts, options, given, agent_class(agent).Config)
    changed = {name: options[name] for name in CHANGEABLE if name in options}
    if changed.get("timesteps") is None:
        changed.pop("timesteps", None)
    wanted = {**facts, **changed}
    callbacks_for(directory, wanted)  # refuses wrong settings before anything is written

    def nothing_left() -> Run | None:
        done = directory.finished()
        if done is None or (wanted["timesteps"] > facts["timesteps"] and wanted["timesteps"] > done[1]):
            return None
        result = _result(directory, facts, timesteps=done[1], finished=True, metrics=done[0])
        return Run(directory, facts, result=result)

    done = nothing_left()  # checked before locking, so that the folder of a finished run is left unchanged
    if done is not None:
        yield done
        return
    with directory.writing(patience):
        done = nothing_left()  # another process may have finished it while this one waited
        if done is not None:
            yield done
            return
        device = _device_of(directory, facts, changed)
        made_from, keywords = source_with(source, facts["env_kwargs"], facts["wrapper"])
        learner, sentences = directory.load_newest(lambda path: load(path, made_from, device=device, expect=agent))
        resumed = learner is not None
        if not resumed:
            settings = {"device": device, "env_kwargs": keywords, "threads": facts["threads"]}
            with guard.reading(directory.facts_file, vouched=source):
                learner = make(agent, made_from, seed=facts["seed"], **settings, **facts["hyperparameters"])
        if learner.seed != facts["seed"]:
            raise RunDirectoryError(
                f"the checkpoints in {directory.checkpoints} are of seed {learner.seed}, but run.json is of seed "
                f"{facts['seed']}"
            )
        learner.threads = facts["threads"]  # checkpoints of older versions do not name it
        lacking = missing_rows(directory.metrics, learner.iteration)
        sentences += [lacking] if lacking else []
        sentences += [*notices(facts, versions(), str(learner.device)), *learner.notices]
        for sentence in sentences:
            print(f"note: {sentence}", file=sys.stderr)
        learner.notices[:] = sentences
        wanted["device"] = str(learner.device)
        if wanted != facts:
            directory.update(wanted)
        yield Run(directory, wanted, learner, resumed)


def _device_of(directory: RunDirectory, facts: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """Return the device of a resumed run: the one given, or else the one it had."""
    from envzoo.agents.agent import choose_device

    if "device" in changed:
        return changed["device"]
    try:
        choose_device(facts["device"])
    except EnvzooError as error:
        raise RunDirectoryError(
            f"the run in {directory.path} was on {facts['device']}, but {error}; choose another with --device"
        ) from None
    return facts["device"]


def callbacks_for(directory: RunDirectory, facts: Mapping[str, Any]) -> tuple[list, Any]:
    """Create the callbacks of a run in their order, and return them with the one that writes checkpoints."""
    from envzoo.agents.callbacks import (
        Checkpoints,
        EarlyStop,
        MetricsCSV,
        MetricsTable,
        PeriodicEvaluation,
        TensorBoard,
        WandB,
    )
    from envzoo.agents.evaluation import can_play
    from envzoo.agents.registry import agent_class

    callbacks: list = []
    plays = can_play(agent_class(facts["agent"]))
    if facts["eval_every"] and plays:
        evaluation = PeriodicEvaluation(
            facts["eval_every"], facts["eval_episodes"], deterministic=not facts["eval_stochastic"]
        )
        callbacks.append(evaluation)
    if facts["stop_at"] is not None:
        if not plays:
            raise EnvzooError(f"{facts['agent']} is not evaluated, so stop_at cannot be used")
        if not facts["eval_every"]:
            raise EnvzooError("stop_at requires evaluations during training; set eval_every to a positive number")
        callbacks.append(EarlyStop("eval/return_mean", facts["stop_at"]))
    callbacks += [MetricsTable(directory.metrics), TensorBoard(directory.tensorboard)]
    if facts["csv"]:
        callbacks.append(MetricsCSV(directory.csv))
    if facts["wandb"] is not None:
        names = {"run_name": directory.path.name, "folder": directory.path, "tags": facts["tag"], "settings": facts}
        callbacks.append(WandB(facts["wandb"], **names))
    checkpoints = Checkpoints(directory.checkpoints, facts["checkpoint_every"], others=callbacks)
    return callbacks, checkpoints


def _learn(runs: Sequence[Run], progress: bool) -> list[dict[str, Any]]:
    """Train one run, or several as a batch, and save and evaluate each of them."""
    from envzoo.agents.callbacks import ProgressBar
    from envzoo.scripts.interrupt import Interrupt

    if not runs:
        return []
    results = []
    with Interrupt() as interrupt:
        every, budgets = [], []
        for run in runs:
            callbacks, checkpoints = callbacks_for(run.directory, run.facts)
            if run.resumed:
                checkpoints.restore_others(run.learner.restored_extra)
            bar = [ProgressBar()] if progress else []
            every.append([*callbacks, *bar, interrupt.callback, checkpoints])
            budgets.append(_budget(run))
        try:
            if len(runs) == 1:
                runs[0].learner.learn(budgets[0], every[0])
            else:
                from envzoo.agents.loops.seed_batch import learn_together

                learn_together([run.learner for run in runs], budgets, every)
            for run in runs:
                results.append(_finish(run, interrupt.asked))
        except StorageError as error:
            run = runs[len(results)]
            raise StorageError(
                f"{error}; once it can be written, resume with `{resume_command(run.facts, run.directory.path)}`"
            ) from error
    return results


def _budget(run: Run) -> int | None:
    """Return the argument of `learn`."""
    learner, budget = run.learner, run.facts["timesteps"]
    if not run.resumed:
        return budget
    return budget - learner.num_timesteps if budget > max(learner.target_timesteps, learner.num_timesteps) else None


def _finish(run: Run, interrupted: bool) -> dict[str, Any]:
    """Save and evaluate a learner that is done, and return the result of its run."""
    from envzoo.agents.evaluation import can_play, evaluate

    learner, directory, facts = run.learner, run.directory, run.facts
    finished = not interrupted or learner.num_timesteps >= learner.target_timesteps
    metrics = {}
    if finished:
        learner.save(directory.agent)
        if can_play(learner):
            play = {"episodes": facts["eval_episodes"], "deterministic": not facts["eval_stochastic"]}
            played = evaluate(learner, **play)
            metrics = played.metrics("") | _normalised(learner, played.returns)
        else:
            print(f"note: {facts['agent']} chooses no actions, so it is not evaluated", file=sys.stderr)
        write_text(directory.results, json.dumps(metrics, indent=2) + "\n")
    return _result(
        directory,
        facts,
        timesteps=learner.num_timesteps,
        finished=finished,
        metrics=metrics,
        sentences=learner.notices,
    )


def _normalised(learner: Agent, returns: np.ndarray) -> dict[str, float]:
    """Return the mean normalised score of episodes with the returns (E,), for a learner from a dataset."""
    from envzoo.datasets import normalised_scores

    if learner.source.kind != "dataset":
        return {}
    try:
        return {"normalised_score": float(normalised_scores(learner.source.given, returns).mean())}
    except DatasetError as error:
        print(f"note: the returns are reported as they are: {error}", file=sys.stderr)
        return {}


def _result(
    directory: RunDirectory,
    facts: Mapping[str, Any],
    *,
    timesteps: int,
    finished: bool,
    metrics: dict[str, Any],
    sentences: list[str] | None = None,
) -> dict[str, Any]:
    return {
        "run_dir": str(directory.path),
        "timesteps": timesteps,
        "finished": finished,
        "resume": resume_command(facts, directory.path),
        "notices": sentences or [],
        "metrics": metrics,
    }
