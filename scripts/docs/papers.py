"""Pages of papers and of comparisons: the claim, the committed results, and what belongs to the paper."""

from __future__ import annotations

from pathlib import Path

from envzoo import papers
from envzoo.agents import registry
from envzoo.papers import Paper
from envzoo.scripts import experiments
from envzoo.scripts.docs.links import GENERATED, NOTES, agent_link, comparison_page_path, environments, paper_page
from envzoo.scripts.docs.tables import verdict
from envzoo.scripts.experiments.core.checks import Check
from envzoo.scripts.experiments.core.renewal import standing
from envzoo.scripts.experiments.core.report import format_bound, read_results
from envzoo.scripts.markdown import blocks, code, table


def committed_results(root: Path, number: str, folder: str) -> str:
    """Show the verdict, tables and figure of the committed full run of an experiment here; "" when there is none."""
    return results_in(root / "docs" / "papers" / folder, number) if number in _own() else ""


def results_in(folder: Path, number: str) -> str:
    """Show the results of a full run that lie in a folder, with a mark if they are stale; "" when there are none."""
    report = folder / "table.md"
    if not report.exists():
        return ""
    _, _, rest = report.read_text(encoding="utf-8").partition("**Found.**")
    mark = standing(experiments.find_experiment(number), read_results(folder).data)
    found = "**Found.**" + rest.replace("`results.json`", "[results.json](results.json)")
    return blocks("## Results", mark, found) if mark else f"## Results\n\n{found}"


def _own() -> tuple[str, ...]:
    return (*experiments.numbers(), *experiments.comparisons())


def check_bound(check: Check) -> str:
    """Write the bound of a check as in its results."""
    threshold = list(check.threshold) if isinstance(check.threshold, tuple) else check.threshold
    return format_bound({"operator": check.operator, "threshold": threshold})


def claim_section(number: str) -> str:
    """Say what an experiment of envzoo asks, expects, and how it is run; "" when the paper has none."""
    return claim(number) if number in _own() else ""


def claim(number: str) -> str:
    """Say what an experiment asks, what it expects, and how it is run."""
    experiment = experiments.find_experiment(number)
    bounds = []
    for check in experiment.checks:
        bounds.append((f"**primary.** {check.sentence}" if check.primary else check.sentence, check_bound(check)))
        bounds += [(f"- {part.sentence}", check_bound(part)) for part in check.components]
    return blocks(
        "## Claim",
        f"{experiment.question} {experiment.claim}",
        table(("check", "must be"), bounds),
        code("sh", f"envzoo reproduce {number}\nenvzoo reproduce {number} --quick    # a shorter run"),
    )


def paper_page_text(root: Path, paper: Paper) -> str:
    """Write the page of a paper; hand-written notes below the marker are kept."""
    number = paper.number or ""
    own = [row for row in registry.own_specs().values() if row.paper == paper]
    ids = [(f"[`{row.id}`](../../{environment.page})", row.summary) for environment in environments()
             for row in environment.specs if row.paper == paper]  # fmt: skip
    where = f"[arXiv {paper.arxiv}]({paper.url})" if paper.url else ""
    return blocks(
        f"# {number} {paper.title}",
        GENERATED,
        ", ".join(part for part in (paper.authors, str(paper.year), where) if part) + ".",
        claim_section(number),
        committed_results(root, number, paper.slug),
        "## Environments" if ids else "",
        table(("id", "what it is"), ids) if ids else "",
        "## Agents" if own else "",
        table(("agent", "what it does"), [(agent_link(row.name, "../../"), row.summary) for row in own]) if own else "",
        NOTES,
        kept_notes(root / "docs" / paper_page(paper)),
    )


def kept_notes(page: Path) -> str:
    """Return what a person wrote below the marker of a page; "" when there is none."""
    return page.read_text(encoding="utf-8").partition(NOTES)[2].strip() if page.exists() else ""


def comparison_page(root: Path, name: str) -> str:
    """Write the page of a comparison that is of no single paper."""
    paper = experiments.find_experiment(name).paper
    return blocks(
        f"# {paper.title}", GENERATED, f"{paper.authors}.", claim_section(name), committed_results(root, name, name)
    )


def hero_panel(root: Path, slug: str, of: str) -> str:
    """Show the hero panel of an experiment, or else its figure, as a link to its page; "" without both."""
    for name in ("hero.png", "figure.png"):
        if (root / "docs" / "papers" / slug / name).exists():
            picture = f'<img src="{slug}/{name}" width="640" alt="Primary checks of {of}">'
            return f"[{picture}]({slug}/README.md)"
    return ""


def paper_index(root: Path) -> str:
    """Write the page of all papers by theme, with the verdict and the hero panel of each."""
    found = papers.papers().values()
    parts = []
    for theme in dict.fromkeys(paper.theme for paper in found):
        parts.append(f"## {theme}")
        for paper in (paper for paper in found if paper.theme == theme):
            parts.append(
                f"**[{paper.number} {paper.title}]({paper.slug}/README.md)** ({paper.authors}, {paper.year}):"
                f" {verdict(paper, root)}."
            )
            parts.append(hero_panel(root, paper.slug, f"paper {paper.number}"))
    parts.append("## Comparisons")
    for name in experiments.comparisons():
        found_page = comparison_page_path(name).removeprefix("papers/")
        parts.append(f"**[{experiments.find_experiment(name).paper.title}]({found_page})**")
        parts.append(hero_panel(root, name, f"the comparison {name}"))
    return blocks(
        "# Papers by theme",
        GENERATED,
        "Each paper has a program that tests its claim at small scale, `envzoo reproduce NUMBER`. A claim holds or"
        " fails if the interval over seeds says so: 95%, or 98.75% where results were looked at several times. The"
        " panels show the primary checks of each experiment: a dot with its interval, and a bar at the bound.",
        *parts,
    )
