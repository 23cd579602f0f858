"""Tables of environments, agents, papers and comparisons."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from envzoo import papers
from envzoo.agents import registry
from envzoo.papers import Paper
from envzoo.scripts import experiments
from envzoo.scripts.docs.links import agent_link, comparison_page_path, environments, paper_link, paper_page
from envzoo.scripts.docs.speed import has_peers, headline
from envzoo.scripts.experiments.core.report import read_results
from envzoo.scripts.experiments.core.verdicts import FAILS, HOLDS, NOT_JUDGED, NOT_RUN, verdict_of
from envzoo.scripts.markdown import blocks, table


def environment_table(prefix: str) -> str:
    """Make a table with one row per environment."""
    rows = []
    for environment in environments():
        first = environment.specs[0]
        others = ", ".join(f"`{row.id}`" for row in environment.specs[1:])
        what = first.summary + (f" (also {others})" if others else "")
        rows.append((f"[`{first.id}`]({prefix}{environment.page})", what, paper_link(first.paper, prefix, short=True)))
    return table(("environment", "what it is", "paper"), rows)


def agent_table(prefix: str) -> str:
    """Make a table with one row per agent."""
    rows = (
        (
            agent_link(row.name, prefix),
            row.summary,
            " or ".join(row.sources),
            " or ".join(row.actions),
            paper_link(row.paper, prefix, short=True),
        )
        for row in registry.own_specs().values()
    )
    return table(("agent", "what it does", "takes", "actions", "paper"), rows)


def paper_table(prefix: str, root: Path = Path()) -> str:
    """Make a table with one row per reproduced paper, for each theme.

    Args:
        prefix: Path from the page to docs/.
        root: Root of the repository, where the committed results are.
    """
    found = papers.papers()
    themes = dict.fromkeys(paper.theme for paper in found.values())
    return blocks(
        *(
            part
            for theme in themes
            for part in (
                f"**{theme}**",
                _paper_rows([paper for paper in found.values() if paper.theme == theme], prefix, root),
            )
        )
    )


def _paper_rows(group: list[Paper], prefix: str, root: Path) -> str:
    rows = []
    for paper in group:
        names = [row.name for row in registry.own_specs().values() if row.paper == paper]
        rows.append(
            (
                paper.number,
                f"[{paper.title}]({prefix}{paper_page(paper)}) ({paper.authors}, {paper.year})",
                ", ".join(agent_link(name, prefix) for name in names),
                f"[{verdict(paper, root)}]({prefix}{paper_page(paper)})",
            )
        )
    return table(("", "paper", "agents", "verdict"), rows)


def verdict(paper: Paper, root: Path) -> str:
    """Return the verdict of a paper's committed full run, in words."""
    data = read_results(root / "docs" / "papers" / paper.slug).data if has_results(paper, root) else {}
    found = verdict_of(data)
    if found == NOT_RUN:
        return "not complete"  # the arms of some primary check wait for a later run
    if found != NOT_JUDGED:
        return found
    return "not yet judged with intervals" if paper.number in experiments.numbers() else "no experiment yet"


def has_results(paper: Paper, root: Path) -> bool:
    """Tell whether the results of a full run are committed."""
    return (root / "docs" / "papers" / paper.slug / "results.json").exists()


def count_tests(root: Path) -> int:
    """Count the test functions of the repository; most run with several parameters."""
    count = 0
    for file in (root / "tests").rglob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        count += sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in ast.walk(tree))
    return count


def _plural(found: str, count: int) -> str:
    """Return a verdict as a verb for that many papers."""
    return found.removesuffix("s") if found in (HOLDS, FAILS) and count > 1 else found


def key_numbers(prefix: str, root: Path = Path()) -> str:
    """Make the three numbers of the README, each with the command that measures it.

    The number of tests is rounded down to hundreds, so that not every new one makes the README stale.
    """
    counts = Counter(verdict(paper, root) for paper in papers.papers().values())
    outcomes = ", ".join(f"{count} {_plural(found, count)}" for found, count in counts.most_common())
    speed = headline(root) or ("compared in short runs only" if has_peers(root) else "not measured yet")
    rows = [
        (f"[Speed]({prefix}speed.md) on one thread", speed, "`make speed`"),
        (
            "Papers with a test of their claim",
            f"{len(papers.papers())}: {outcomes}",
            "`envzoo reproduce NUMBER`",
        ),
        ("Test functions", f"more than {count_tests(root) // 100 * 100:,}", "`make test`"),
    ]
    return table(("", "", "measured by"), rows)


# Of docs/README.md, and of README.md.
TABLES = {"environments": environment_table, "agents": agent_table, "papers": paper_table}
README_TABLES = {"numbers": key_numbers, "papers": paper_table}


def comparison_table(prefix: str) -> str:
    """Make a table with one row per comparison."""
    rows = []
    for name in experiments.comparisons():
        found = experiments.find_experiment(name)
        rows.append(
            (
                f"[{found.paper.title}]({prefix}{comparison_page_path(name)})",
                found.question,
                f"`envzoo reproduce {name}`",
            )
        )
    return table(("comparison", "what is asked", "run it again"), rows)
