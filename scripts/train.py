"""Implement `envzoo train AGENT SOURCE`: train an agent in a run directory."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from envzoo.errors import EnvzooError, RunDirectoryError
from envzoo.scripts.run_config import check_config, read_config
from envzoo.scripts.train_options import DEFAULTS, TrainOptions
from envzoo.scripts.training import resume_command, train

__all__ = ["TrainOptions", "command", "parse_keywords", "resume_command", "train"]


def parse_keywords(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Convert KEY=VALUE strings to a dict; values are parsed as JSON if possible, and are strings otherwise."""
    result = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise EnvzooError(f"keyword arguments of the environment must have the form KEY=VALUE, got {pair!r}")
        try:
            result[key] = json.loads(value)
        except ValueError:
            result[key] = value
    return result


def _report(result: dict[str, Any], title: str = "") -> None:
    from rich.console import Console

    console = Console()
    name = f"{title}: " if title else ""
    if not result["finished"]:
        console.print(
            f"{name}stopped after {result['timesteps']} timesteps; resume with:\n  {result['resume']}", soft_wrap=True
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


def _train_seeds(shared: dict[str, Any], options: TrainOptions, named: set[str]) -> int:
    from envzoo.scripts.run_directory import free_directory
    from envzoo.scripts.train_seeds import group_command, resume_jobs, run_seeds, start_jobs

    agent, source = shared["agent"], shared["source"]
    shared = {name: value for name, value in shared.items() if name != "seed"}
    if options.resume:
        root = Path(options.run_dir)
        first = options.seed if "seed" in named else None
        jobs = resume_jobs(shared, root, first, options.seeds if "seeds" in named else None)
    else:
        root = Path(options.run_dir or free_directory("runs", f"{agent}-{source}-{options.seeds}seeds"))
        jobs = start_jobs(shared, root, list(range(options.seed, options.seed + options.seeds)))
    results = run_seeds(jobs, root, options.launcher, options.processes, _report)
    _summarise(results)
    if not all(result["finished"] for result in results):
        print(f"resume all seeds with: {group_command(agent, source, root)}")
        return 130
    print(f"plot the learning curves with: envzoo plot {shlex.quote(str(root))}")
    return 0


def command(argv: list[str]) -> int:
    """Run `envzoo train` with the given arguments; return the exit code."""
    from envzoo.agents.registry import agent_class, specs
    from envzoo.scripts.cli import flags_given, parse, split_positional

    positional, flags = split_positional(argv)
    config_file = _config_file(flags)
    stored = {} if config_file is None else read_config(config_file)
    if stored and len(positional) < 2:
        positional = [*positional, *(stored[name] for name in ("agent", "source")[len(positional) :] if name in stored)]
        vouched = None
    else:
        vouched = positional[1] if len(positional) > 1 else None
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
        raise EnvzooError(f"--seeds must be at least 1, got {options.seeds}")
    if options.resume and options.run_dir is None:
        raise RunDirectoryError("--resume continues the run in --run-dir, which must be given")
    named = flags_given(flags)
    shared = {name: getattr(options, name) for name in DEFAULTS if name in named}
    shared |= {"agent": agent, "source": rest[0], "hyperparameters": given}
    if "env_kwargs" in shared:
        shared["env_kwargs"] = parse_keywords(options.env_kwargs)
    if options.preset:
        shared = _with_preset(shared, options)
    if config_file is not None:
        shared = _with_stored(config_file, stored, shared, vouched)
    if options.config is not None and options.resume:
        raise EnvzooError("--resume takes the settings of the run, so it goes without --config")
    if options.seeds > 1 or (options.resume and _holds_seeds(options.run_dir)):
        return _train_seeds(shared, options, named)
    result = train(**shared, run_dir=options.run_dir, resume=options.resume, progress=options.progress)
    _report(result)
    return 0 if result["finished"] else 130


def _config_file(flags: list[str]) -> str | None:
    """Return the value of --config, which is read before the agent is known."""
    for i, flag in enumerate(flags):
        if flag.startswith("--config="):
            return flag.partition("=")[2]
        if flag == "--config" and i + 1 < len(flags):
            return flags[i + 1]
    return None


def _with_stored(path: str, stored: dict[str, Any], given: dict[str, Any], vouched: str | None) -> dict[str, Any]:
    """Add the settings of a file to those of the command line, which come first.

    Hyperparameters of another agent, and keywords of another environment, are left out.
    """
    settings = {name: value for name, value in stored.items() if name not in ("agent", "source")}
    if stored.get("agent", given["agent"]) != given["agent"]:
        settings.pop("hyperparameters", None)
    if stored.get("source", given["source"]) != given["source"]:
        settings.pop("env_kwargs", None)
    check_config(path, settings | {"agent": given["agent"], "source": given["source"]}, vouched)
    merged = settings | given
    for name in ("hyperparameters", "env_kwargs"):
        if name in settings:
            merged[name] = settings[name] | given.get(name, {})
    return merged


def _with_preset(given: dict[str, Any], options: TrainOptions) -> dict[str, Any]:
    """Add the hyperparameters and the budget of a preset to the settings of the command line, which come first."""
    from envzoo.scripts.presets import find_preset

    for name in ("resume", "config"):
        if getattr(options, name):
            raise EnvzooError(f"--{name} takes the settings of a run, so it goes without --preset")
    preset = find_preset(given["agent"], given["source"])
    hyperparameters = {**preset.hyperparameters, **given["hyperparameters"]}
    return {"timesteps": preset.timesteps, **given, "hyperparameters": hyperparameters}


def _holds_seeds(run_dir: str) -> bool:
    from envzoo.scripts.run_directory import RunDirectory
    from envzoo.scripts.train_seeds import seed_folders

    return not RunDirectory(run_dir).exists and bool(seed_folders(run_dir))


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
