"""The objects to document, their pages, and links to these."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from envzoo import papers, registration
from envzoo.papers import Paper
from envzoo.registration import EnvironmentSpec

GENERATED = "<!-- Made by `make docs` from the code; change the code, not this page. -->"


NOTES = "<!-- Notes below this line are kept by `make docs`. -->"


CURE = "run `make docs`"


@dataclasses.dataclass(frozen=True)
class Environment:
    """Ids that share one definition, and so one page."""

    name: str
    specs: tuple[EnvironmentSpec, ...]

    @property
    def page(self) -> str:
        """Give the path of its page below docs/."""
        return f"environments/{self.name}.md"


def environments(rows: Iterable[EnvironmentSpec] | None = None) -> list[Environment]:
    """List environments in the order of their rows, ids of one entry point together; None takes envzoo's own."""
    found: dict[str, list[EnvironmentSpec]] = {}
    for row in registration.own_specs() if rows is None else rows:
        found.setdefault(row.entry_point.split(":")[1].removesuffix("Env"), []).append(row)
    return [Environment(name, tuple(rows)) for name, rows in found.items()]


def package_of(reference: str) -> str:
    """Return the top-level package of a "module:name" string."""
    return reference.partition(":")[0].partition(".")[0]


def code_link(entry_point: str) -> str:
    """Link the module of an entry point; those of plug-ins are named only."""
    if package_of(entry_point) != "envzoo":
        return f"`{entry_point.partition(':')[0]}`"
    path = source_file(entry_point)
    return f"[{path}](../../{path})"


def source_file(entry_point: str) -> str:
    """Find the path in the repository of an entry point's module: `envzoo.agents.x:Y` lies in agents/x.py."""
    module = entry_point.split(":")[0].split(".")
    if module[1] in ("agents", "wrappers", "datasets", "scripts"):
        module = module[1:]
    return "/".join(module) + ".py"


def paper_page(paper: Paper) -> str:
    """Give the path of a paper's page below docs/."""
    return f"papers/{paper.slug}/README.md"


def comparison_page_path(name: str) -> str:
    """Give the path of the page of a comparison below docs/."""
    return f"papers/{name}/README.md"


def paper_link(paper: Paper | None, prefix: str | None, short: bool = False) -> str:
    """Link a paper: its page when envzoo reproduces it, else its abstract.

    Args:
        paper: The paper, or None for no link.
        prefix: Path from the page that links to docs/; None for pages that lie elsewhere, which link abstracts only.
        short: Whether the text is short, for tables.
    """
    if paper is None:
        return ""
    if prefix is not None and paper in papers.papers().values():
        text = paper.number if short else f"{paper.number} {paper.title}"
        return f"[{text}]({prefix}{paper_page(paper)})"
    text = f"{paper.authors}, {paper.year}" if short else f"{paper.title} ({paper.authors}, {paper.year})"
    return f"[{text}]({paper.url})" if paper.url else text


def agent_link(name: str, prefix: str) -> str:
    """Link an agent's page."""
    return f"[{name}]({prefix}agents/{name}.md)"
