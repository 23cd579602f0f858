"""The navigation and the configuration of the site, made from the tables of environments, agents and papers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envzoo import papers
from envzoo.agents import registry
from envzoo.datasets.recipes import own_recipes
from envzoo.scripts import experiments
from envzoo.scripts.docs.datasets import dataset_list, world_of
from envzoo.scripts.docs.links import comparison_page_path, environments, paper_page
from envzoo.scripts.docs.tutorials import TUTORIALS, tutorial_page
from envzoo.scripts.reference import REFERENCES
from envzoo.scripts.site.pages import SOURCES

GUIDES = {
    "Training runs": "training.md",
    "Presets": "presets.md",
    "Games": "games.md",
    "Offline learning": "offline.md",
    "Language models": "language-models.md",
    "Encoders of your own": "encoders.md",
    "Losses on an exact table": "losses.md",
    "Exact resume": "resume.md",
    "TRL's trainer": "trl.md",
    "Preferences in TRL": "preferences.md",
    "Several machines": "scaling.md",
    "Speed": "speed.md",
    "Glossary": "glossary.md",
}
NEIGHBOURS = {
    "Coming from another library": "neighbours.md",
    "Stable-Baselines3": "neighbours/stable-baselines3.md",
    "CleanRL": "neighbours/cleanrl.md",
    "d3rlpy": "neighbours/d3rlpy.md",
    "TRL": "neighbours/trl.md",
}
PROJECT = {"Contributing": "contributing.md", "Changelog": "changelog.md", "Security": "security.md"}


def title(family: str) -> str:
    """Write the name of a family's folder as a heading."""
    return family.replace("_", " ").capitalize()


def _grouped(pairs: Iterator[tuple[str, str, str]]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, str]]] = {}
    for group, name, page in pairs:
        found.setdefault(title(group), []).append({name: page})
    return [{group: rows} for group, rows in found.items()]


def _datasets() -> list[dict[str, Any]]:
    """List the pages of datasets by their environments."""
    found: dict[str, list[dict[str, str]]] = {}
    for name, page in dataset_list().items():
        quality = name.rpartition("/")[2].rpartition("-")[0]
        found.setdefault(world_of(own_recipes()[name]), []).append({quality: page})
    return [{world: rows} for world, rows in sorted(found.items())]


def navigation() -> list[Any]:
    """Make the navigation: titles and pages, grouped by family and theme."""
    found = papers.papers().values()
    return [
        {"Home": "index.md"},
        {"Guide": [{"Contents": "contents.md"}, *({name: page} for name, page in GUIDES.items())]},
        {"Tutorials": [{each.title: tutorial_page(each)} for each in TUTORIALS]},
        {
            "Papers": [
                {"By theme": "papers/README.md"},
                *_grouped((paper.theme, f"{paper.number} {paper.title}", paper_page(paper)) for paper in found),
                {
                    "Comparisons": [
                        {experiments.find_experiment(name).paper.title: comparison_page_path(name)}
                        for name in experiments.comparisons()
                    ]
                },
            ]
        },
        {
            "Environments": [
                {"Gallery": "gallery/README.md"},
                *_grouped((each.specs[0].family, each.name, each.page) for each in environments()),
            ]
        },
        {
            "Agents": _grouped(
                (row.family, name, f"agents/{name}.md") for name, row in registry.own_specs().items()
            )
        },
        {"Datasets": [{"All datasets": "datasets/README.md"}, *_datasets()]},
        {"API": [{entry.title: entry.page} for entry in REFERENCES]},
        {"Coming from": [{name: page} for name, page in NEIGHBOURS.items()]},
        {"Project": [{name: page} for name, page in PROJECT.items()]},
    ]  # fmt: skip


def pages_of(entries: Any) -> Iterator[str]:
    """List the pages of a navigation in its order."""
    if isinstance(entries, str):
        yield entries
        return
    for entry in entries.values() if isinstance(entries, dict) else entries:
        yield from pages_of(entry)


def compare(entries: Any, pages: list[str]) -> list[str]:
    """Say what differs between a navigation and the pages that exist, apart from those of source files."""
    named, present = list(pages_of(entries)), {page for page in pages if not page.startswith(f"{SOURCES}/")}
    return [
        *(f"the navigation names {page} twice" for page in sorted({page for page in named if named.count(page) > 1})),
        *(f"the navigation names {page}, which does not exist" for page in sorted(set(named) - present)),
        *(f"{page} is missing from the navigation" for page in sorted(present - set(named))),
    ]


def configuration(source: str, output: str) -> dict[str, Any]:
    """Make the configuration of the site, with folders beside it; nothing is loaded from another host."""
    return {
        "site_name": "envzoo",
        "site_description": "Reinforcement-learning environments, and agents: one faithful implementation per paper",
        "docs_dir": source,
        "site_dir": output,
        "use_directory_urls": True,
        "extra_css": ["assets/site.css", "assets/katex/katex.min.css"],
        "extra_javascript": ["assets/katex/katex.min.js", "assets/katex/auto-render.min.js", "assets/site.js"],
        "theme": {
            "name": "material",
            "variant": "classic",
            "language": "en",
            "font": False,
            "features": [
                "content.code.copy",
                "navigation.footer",
                "navigation.prune",
                "navigation.tabs",
                "navigation.top",
                "search.highlight",
                "toc.follow",
            ],
            "palette": [
                {
                    "scheme": "default",
                    "primary": "indigo",
                    "accent": "indigo",
                    "toggle": {"icon": "material/weather-night", "name": "Switch to dark mode"},
                },
                {
                    "scheme": "slate",
                    "primary": "indigo",
                    "accent": "indigo",
                    "toggle": {"icon": "material/weather-sunny", "name": "Switch to light mode"},
                },
            ],
        },
        "markdown_extensions": [
            "admonition",
            "attr_list",
            "md_in_html",
            "tables",
            {"toc": {"permalink": True}},
            {"pymdownx.arithmatex": {"generic": True}},
            {"pymdownx.highlight": {"anchor_linenums": False}},
            "pymdownx.superfences",
        ],
        "plugins": ["search"],
        "nav": navigation(),
    }
