"""Implement `envzoo check ENV_ID`: conformance checks for anybody's environment."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from envzoo.errors import EnvzooError


@dataclass(frozen=True)
class CheckOptions:
    """Check an environment against Gymnasium's API: spaces, seeding, time limits, states, and with --vector autoreset
    modes, final observations and independence of the rows. Exit code 0 if every check passes, else 1."""

    vector: bool = False
    """Check the vector environment too."""
    env_kwargs: tuple[str, ...] = ()
    """Keyword arguments of the environment, as KEY=VALUE with JSON values (start=centre rows=12)."""
    steps: int = 200
    """Number of steps that each check plays at least."""
    seed: int = 0
    """Seed of environments and actions."""


def command(argv: list[str]) -> int:
    """Run `envzoo check` with the given arguments; return the exit code."""
    from envzoo.conformance import check
    from envzoo.scripts.cli import parse, split_positional
    from envzoo.scripts.train import parse_keywords

    positional, flags = split_positional(argv)
    options, _ = parse(CheckOptions, flags, prog="envzoo check ENV_ID")
    if len(positional) != 1:
        raise EnvzooError("envzoo check takes the id of one environment, as in `envzoo check CartPole-v1`")
    if options.steps < 10:
        raise EnvzooError(f"--steps must be at least 10, got {options.steps}")
    if options.seed < 0:
        raise EnvzooError(f"--seed must be a non-negative integer, got {options.seed}")
    report = check(
        positional[0],
        vector_form=options.vector,
        env_kwargs=parse_keywords(options.env_kwargs) or {},
        steps=options.steps,
        seed=options.seed,
    )
    print(report)
    return 0 if report.passed else 1


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["check", *sys.argv[1:]]))
