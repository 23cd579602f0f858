"""Pages of a plug-in: its environments, agents and experiments, written as those of envzoo are."""

from __future__ import annotations

import shlex
from pathlib import Path

from envzoo import games, registration
from envzoo.agents import registry
from envzoo.datasets import recipes
from envzoo.datasets.recipes import own_recipes
from envzoo.errors import EnvzooError
from envzoo.scripts import experiments
from envzoo.scripts.docs.agents import agent_page
from envzoo.scripts.docs.environments import environment_page
from envzoo.scripts.docs.links import (
    GENERATED,
    NOTES,
    Environment,
    agent_link,
    comparison_page_path,
    environments,
    package_of,
    paper_link,
)
from envzoo.scripts.docs.papers import claim, kept_notes, results_in
from envzoo.scripts.import_modules import import_modules
from envzoo.scripts.markdown import blocks, table
from envzoo.specs import AgentSpec


def plugin_command(package: str, out: Path) -> str:
    """Write the command that makes the pages of a plug-in."""
    return shlex.join(["python", "-P", "-m", "envzoo.scripts.build_docs", "--plugin", package, "--out", out.as_posix()])


def plugin_mark(package: str) -> str:
    """Write the comment that marks the generated pages of a plug-in."""
    return f"<!-- Made by `envzoo.scripts.build_docs --plugin {package}`; change the code, not this page. -->"


def plugin_pages(package: str, out: Path) -> dict[str, str]:
    """Make the pages of a plug-in by their paths below `out`.

    Args:
        package: Its top-level package, which is imported.
        out: Folder of the pages, in which notes and results of experiments are looked for.

    Raises:
        EnvzooError: The package cannot be imported, or has no rows in the tables.
    """
    import_modules([package])
    rows = [row for row in registration.specs() if package_of(row.entry_point) == package]
    agents = [row for row in registry.specs().values() if package_of(row.entry_point) == package]
    names = [name for name, row in experiments.specs().items() if package_of(row.entry_point) == package]
    if not (rows or agents or names):
        raise EnvzooError(f"the package {package!r} has no environment, agent or experiment in envzoo's tables")
    found = {"README.md": _index(package, environments(rows), agents, names)}
    found |= {each.page: environment_page(each, None, package) for each in environments(rows)}
    found |= {f"agents/{row.name}.md": agent_page(row, None) for row in agents}
    found |= {comparison_page_path(name): _experiment_page(out, name, environments(rows), agents) for name in names}
    return {path: text.replace(GENERATED, plugin_mark(package)) for path, text in found.items()}


def _tables(prefix: str, level: str, own_environments: list[Environment], agents: list[AgentSpec]) -> list[str]:
    ids = [(f"[`{row.id}`]({prefix}{each.page})", row.summary) for each in own_environments for row in each.specs]
    names = [(agent_link(row.name, prefix), row.summary) for row in agents]
    parts = [f"{level} Environments", table(("id", "what it is"), ids)] if ids else []
    return [*parts, f"{level} Agents", table(("agent", "what it does"), names)] if names else parts


def _index(package: str, own_environments: list[Environment], agents: list[AgentSpec], names: list[str]) -> str:
    ids = {row.id for each in own_environments for row in each.specs}
    acting = {row.name for row in agents}
    datasets = [
        (f"`{row.id}`", f"`{row.env_id}`", row.description)
        for row in recipes().values()
        if row.id not in own_recipes() and (row.env_id in ids or row.policy.agent in acting)
    ]
    players = [(f"`{row.id}`", row.summary) for row in games.games().values() if package_of(row.module) == package]
    papers = [
        (f"[{experiment.paper.title}]({comparison_page_path(name)})", experiment.question, f"`envzoo reproduce {name}`")
        for name in names
        for experiment in [experiments.find_experiment(name)]
    ]
    return blocks(
        f"# {package}",
        GENERATED,
        *_tables("", "##", own_environments, agents),
        *(("## Games", table(("id", "what it is"), players)) if players else ()),
        *(("## Datasets", table(("id", "environment", "what it is"), datasets)) if datasets else ()),
        *(("## Experiments", table(("paper", "what is asked", "run it again"), papers)) if papers else ()),
    )


def _experiment_page(out: Path, name: str, own_environments: list[Environment], agents: list[AgentSpec]) -> str:
    paper = experiments.find_experiment(name).paper
    page = out / comparison_page_path(name)
    return blocks(
        f"# {paper.title}",
        GENERATED,
        f"{paper_link(paper, None)}.",
        claim(name),
        results_in(page.parent, name),
        *_tables(
            "../../",
            "##",
            [each for each in own_environments if each.specs[0].paper == paper],
            [row for row in agents if row.paper == paper],
        ),
        NOTES,
        kept_notes(page),
    )
