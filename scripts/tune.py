"""Implement `envzoo tune AGENT SOURCE`: search hyperparameters, and score them on seeds the search did not see."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from envzoo.errors import EnvzooError


@dataclass(frozen=True)
class TuneOptions:
    """Search hyperparameters with optuna (extra `tune`). The best of all trials and the agent's defaults are then
    trained with ten fresh seeds. A search that was stopped continues when the same command is given again."""

    trials: int = 24
    """Trials of the search; the first are the agent's defaults. A larger number extends a finished search."""
    minutes: float | None = None
    """Processor minutes of the trials after which no further one begins; None for no limit."""
    timesteps: int = 100_000
    """Budget of each training in environment steps."""
    seed: int = 0
    """Seed of the search; trial K trains with SEED + K, and the scores use the seeds 1000 to 1009."""
    eval_episodes: int = 20
    """Episodes of the evaluation after each training."""
    out: str | None = None
    """Folder of study.json (the search so far) and preset.toml (its result); None takes tune/AGENT-SOURCE."""


def command(argv: list[str]) -> int:
    """Run `envzoo tune` with the given arguments; return the exit code."""
    from envzoo.files import write_text
    from envzoo.scripts.cli import parse, parse_help, split_positional
    from envzoo.scripts.presets import preset_of
    from envzoo.scripts.tuning import SPACES, Settings, search

    positional, flags = split_positional(argv)
    if not positional:
        text = "Search hyperparameters. SOURCE is an environment id.\n\nAgents, and what is searched:"
        found = {agent: ", ".join(space) for agent, space in SPACES.items()}
        return parse_help("envzoo tune AGENT SOURCE [options]", text, found, flags)
    options, _ = parse(TuneOptions, flags, prog=f"envzoo tune {positional[0]} SOURCE")
    if len(positional) != 2:
        raise EnvzooError(
            f"envzoo tune takes an agent and one source, got {positional}; for example `envzoo tune PPO CartPole-v1`"
        )
    agent, source = positional
    folder = Path(options.out or f"tune/{agent}-{source.replace('/', '-').replace(':', '-')}")
    settings = Settings(agent, source, options.timesteps, options.seed, options.eval_episodes)
    study = search(folder / "study.json", settings, options.trials, options.minutes)
    write_text(folder / "preset.toml", preset_of(study))
    for name, scores in study.scores.items():
        print(f"{name}: mean return {sum(scores.values()) / len(scores):.4g} over {len(scores)} fresh seeds")
    print(f"written to {folder / 'preset.toml'}; an entry of scripts/presets.toml has the same form")
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["tune", *sys.argv[1:]]))
