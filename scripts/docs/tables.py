"""Tables of environments, agents, papers and comparisons."""

from __future__ import annotations

from envzoo import papers
from envzoo.agents import registry
from envzoo.scripts import experiments
from envzoo.scripts.docs.links import agent_link, comparison_page_path, environments, paper_link, paper_page
from envzoo.scripts.markdown import table


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


def paper_table(prefix: str) -> str:
    """Make a table with one row per reproduced paper."""
    rows = []
    for number, paper in papers.papers().items():
        names = [row.name for row in registry.own_specs().values() if row.paper == paper]
        rows.append(
            (
                number,
                f"[{paper.title}]({prefix}{paper_page(paper)}) ({paper.authors}, {paper.year})",
                ", ".join(agent_link(name, prefix) for name in names),
                ", ".join(f"[{e.name}]({prefix}{e.page})" for e in environments() if e.specs[0].paper == paper),
                f"`envzoo reproduce {number}`",
            )
        )
    return table(("", "paper", "agents", "environments", "rerun its claim"), rows)


TABLES = {"environments": environment_table, "agents": agent_table, "papers": paper_table}


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
