"""Implement `envzoo list`: show environments, agents, datasets and papers."""

from __future__ import annotations

import sys

from envzoo.errors import unknown

KINDS = {
    "envs": "Registered environments and games.",
    "agents": "Agents of the zoo.",
    "datasets": "Offline datasets that can be built.",
    "papers": "Papers whose claims can be reproduced.",
}


def _rows(kind: str) -> tuple[list[str], list[list[str]]]:
    if kind == "envs":
        from envzoo.games import games
        from envzoo.registration import specs

        every = [*specs(), *games().values()]
        rows = [[s.id, s.family, (s.paper.number or s.paper.slug) if s.paper else "", s.summary] for s in every]
        return ["id", "family", "paper", "what it is"], rows
    if kind == "agents":
        from envzoo.agents.registry import specs as agent_specs

        rows = [
            [
                s.name,
                s.family,
                ", ".join(s.sources),
                ", ".join(s.actions),
                s.paper.arxiv or "" if s.paper else "",
                s.summary,
            ]
            for s in agent_specs().values()
        ]
        return ["agent", "family", "learns from", "actions", "arXiv", "what it is"], rows
    if kind == "datasets":
        from envzoo.datasets.recipes import recipes

        rows = [[recipe.id, recipe.env_id, str(recipe.episodes), recipe.description] for recipe in recipes().values()]
        return ["id", "environment", "episodes", "what it is"], rows
    from envzoo.agents.registry import specs as agent_specs
    from envzoo.discovery import warn_skipped
    from envzoo.papers import papers
    from envzoo.scripts.experiments import find_experiment, plugin_names

    rows = [
        [
            number,
            paper.title,
            paper.arxiv or "",
            str(paper.year),
            ", ".join(s.name for s in agent_specs().values() if s.paper == paper),
            f"envzoo reproduce {number}",
        ]
        for number, paper in papers().items()
    ]
    for name in plugin_names():
        try:
            paper = find_experiment(name).paper
        except Exception as error:  # a broken plug-in must not prevent the others from being listed
            warn_skipped(f"the experiment {name!r} of a plug-in", error)
            continue
        own = ", ".join(s.name for s in agent_specs().values() if s.paper == paper)
        rows.append([name, paper.title, paper.arxiv or "", str(paper.year), own, f"envzoo reproduce {name}"])
    return ["paper", "title", "arXiv", "year", "agents", "proof"], rows


def command(argv: list[str]) -> int:
    """Run `envzoo list [KIND]`; return the exit code."""
    from rich.console import Console
    from rich.table import Table

    from envzoo.scripts.cli import parse_help
    from envzoo.scripts.import_modules import HELP as IMPORT_HELP

    if any(flag in argv for flag in ("-h", "--help")):
        return parse_help(
            "envzoo list [envs|agents|datasets|papers]",
            f"Show what is available; without KIND, show everything.\n\n{IMPORT_HELP}\n",
            KINDS,
            argv,
        )
    for kind in argv:
        if kind not in KINDS:
            raise unknown("kind of list", kind, KINDS)
    # Piped output has no terminal to fit into: give it the room it needs, so that ids are not broken.
    console = Console(width=None if sys.stdout.isatty() else 320)
    for kind in argv or list(KINDS):
        columns, rows = _rows(kind)
        table = Table(title=KINDS[kind], title_justify="left", title_style="bold", box=None, header_style="dim")
        for i, column in enumerate(columns):
            table.add_column(column, no_wrap=i == 0)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print()
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["list", *sys.argv[1:]]))
