"""What there is to document, where its page lies, and links to it."""

from __future__ import annotations

import dataclasses

from envzoo import papers, registration
from envzoo.papers import Paper
from envzoo.registration import EnvironmentSpec

GENERATED = "<!-- Made by `make docs` from the code; change the code, not this page. -->"


NOTES = "<!-- Notes below this line are kept by `make docs`. -->"


CURE = "run `make docs`"


@dataclasses.dataclass(frozen=True)
class Environment:
    """The ids that share one definition, and so one page."""

    name: str
    specs: tuple[EnvironmentSpec, ...]

    @property
    def page(self) -> str:
        """Path of its page below docs/."""
        return f"environments/{self.name}.md"


def environments() -> list[Environment]:
    """The environments in the order of the table, ids of one entry point together."""
    found: dict[str, list[EnvironmentSpec]] = {}
    for row in registration.specs():
        found.setdefault(row.entry_point.split(":")[1].removesuffix("Env"), []).append(row)
    return [Environment(name, tuple(rows)) for name, rows in found.items()]


def source_file(entry_point: str) -> str:
    """Path in the repository of the module of an entry point: `envzoo.agents.x:Y` lies in agents/x.py."""
    module = entry_point.split(":")[0].split(".")
    if module[1] in ("agents", "wrappers", "datasets", "scripts"):
        module = module[1:]
    return "/".join(module) + ".py"


def paper_page(paper: Paper) -> str:
    """Path of a paper's page below docs/."""
    return f"papers/{paper.slug}/README.md"


def comparison_page_path(name: str) -> str:
    """Path of the page of a comparison below docs/."""
    return f"papers/{name}/README.md"


def paper_link(paper: Paper | None, prefix: str, short: bool = False) -> str:
    """A link to a paper: its page here when envzoo reproduces it, else its abstract; `short` is for tables."""
    if paper is None:
        return ""
    if paper.number in papers.papers():
        text = paper.number if short else f"{paper.number} {paper.title}"
        return f"[{text}]({prefix}{paper_page(paper)})"
    text = f"{paper.authors}, {paper.year}" if short else f"{paper.title} ({paper.authors}, {paper.year})"
    return f"[{text}]({paper.url})" if paper.url else text


def agent_link(name: str, prefix: str) -> str:
    """A link to an agent's page."""
    return f"[{name}]({prefix}agents/{name}.md)"
