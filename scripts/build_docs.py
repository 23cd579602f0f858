"""Write the documentation that is made from the code: pages of environments, agents, papers and functions, and tables.

    python -P -m envzoo.scripts.build_docs            # in the root of the repository
    python -P -m envzoo.scripts.build_docs --check    # exits 1 when a page is not what the code says

Everything comes from docstrings, the tables of environments, agents and papers, the config dataclasses and the
experiments, so that a page cannot say anything else than the code. What a person adds to a paper's page below the
`NOTES` marker is kept.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import tomllib
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path

import tyro

from envzoo import papers, registration
from envzoo.agents import registry
from envzoo.agents.spec import AgentSpec, describe_type
from envzoo.errors import EnvzooError
from envzoo.files import write_text
from envzoo.papers import Paper
from envzoo.registration import EnvironmentSpec
from envzoo.scripts import experiments
from envzoo.scripts.bench.report import Row
from envzoo.scripts.experiments.execution import format_number
from envzoo.scripts.markdown import blocks, code, field_docstrings, manual, slug, table
from envzoo.scripts.reference import REFERENCES, reference_page, reference_table

GENERATED = "<!-- Made by `make docs` from the code; change the code, not this page. -->"
NOTES = "<!-- Notes below this line are kept by `make docs`. -->"
CURE = "run `make docs`"


# --------------------------------------------------------------- what there is


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
    return f"papers/{paper.number}-{slug(paper.title)}.md"


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


# --------------------------------------------------------------------- tables


def environment_table(prefix: str) -> str:
    """One row per environment."""
    by_number = papers.papers()
    rows = []
    for environment in environments():
        first = environment.specs[0]
        others = ", ".join(f"`{row.id}`" for row in environment.specs[1:])
        what = first.summary + (f" (also {others})" if others else "")
        paper = by_number.get(first.paper or "")
        rows.append((f"[`{first.id}`]({prefix}{environment.page})", what, paper_link(paper, prefix, short=True)))
    return table(("environment", "what it is", "paper"), rows)


def agent_table(prefix: str) -> str:
    """One row per agent."""
    rows = (
        (
            agent_link(row.name, prefix),
            row.summary,
            " or ".join(row.sources),
            " or ".join(row.actions),
            paper_link(row.paper, prefix, short=True),
        )
        for row in registry.specs().values()
    )
    return table(("agent", "what it does", "takes", "actions", "paper"), rows)


def paper_table(prefix: str) -> str:
    """One row per reproduced paper."""
    rows = []
    for number, paper in papers.papers().items():
        names = [row.name for row in registry.specs().values() if row.paper == paper]
        rows.append(
            (
                number,
                f"[{paper.title}]({prefix}{paper_page(paper)}) ({paper.authors}, {paper.year})",
                ", ".join(agent_link(name, prefix) for name in names),
                ", ".join(f"[{e.name}]({prefix}{e.page})" for e in environments() if e.specs[0].paper == number),
                f"`envzoo reproduce {number}`",
            )
        )
    return table(("", "paper", "agents", "environments", "rerun its claim"), rows)


TABLES = {"environments": environment_table, "agents": agent_table, "papers": paper_table}


# ---------------------------------------------------------------------- pages


def environment_page(environment: Environment) -> str:
    """The page of an environment: its ids, how to make it, its manual."""
    first = environment.specs[0]
    paper = papers.papers().get(first.paper or "")
    ids = table(
        ("id", "what it is", "keywords it sets", "time limit"),
        (
            (
                f"`{row.id}`",
                row.summary,
                ", ".join(f"`{name}={value!r}`" for name, value in row.kwargs.items()),
                f"{row.max_episode_steps} steps" if row.max_episode_steps else "",
            )
            for row in environment.specs
        ),
    )
    vector = f'envs = gym.make_vec("{first.id}", num_envs=1024)' if first.vector_entry_point else ""
    path = source_file(first.entry_point)
    text = re.sub(r"^## Registered ids\n.*?(?=^## |\Z)", "", manual(first.manual()), flags=re.M | re.S)
    return blocks(
        f"# {environment.name}",
        GENERATED,
        f"Paper: {paper_link(paper, '../')}. " * bool(paper) + f"Code: [{path}](../../{path}).",
        ids,
        code("python", f'import gymnasium as gym\nimport envzoo\n\nenv = gym.make("{first.id}")\n{vector}'),
        text,
    )


def example_source(spec: AgentSpec) -> str:
    """A source to show an agent with: its family's or its paper's first environment, or a well-known one."""
    if spec.sources == ("dataset",):
        return "envzoo/grid-coverage/medium-v0"
    if spec.family == "reasoning":
        return "envzoo/TextSumTo-Tokens-v0"
    if spec.paper and spec.paper.number:
        for row in registration.specs():
            if row.paper == spec.paper.number:
                return row.id
    return "Pendulum-v1" if spec.actions == ("continuous",) else "CartPole-v1"


def default_of(field: dataclasses.Field) -> str:
    """A field's default as code."""
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    return "" if field.default_factory is dataclasses.MISSING else f"`{field.default_factory()!r}`"


def hyperparameter_table(config: type) -> str:
    """One row per field of an agent's config."""
    fields = dataclasses.fields(config)
    if not fields:
        return "None."
    hints, meanings = typing.get_type_hints(config), field_docstrings(config)
    rows = ((f"`{f.name}`", describe_type(hints[f.name]), default_of(f), meanings.get(f.name, "")) for f in fields)
    return table(("name", "type", "default", "meaning"), rows)


def agent_page(spec: AgentSpec) -> str:
    """The page of an agent: what it takes, how to use it, its hyperparameters."""
    cls = registry.agent_class(spec.name)
    path, source = source_file(spec.entry_point), example_source(spec)
    is_env = "environment" in spec.sources
    facts = table(
        ("takes", "actions", "observations", "paper", "code"),
        [(" or ".join(spec.sources), " or ".join(spec.actions), spec.observations, paper_link(spec.paper, "../"),
          f"[{path}](../../{path})")],
    )  # fmt: skip
    example = f"""
        import envzoo.agents

        agent = envzoo.agents.make("{spec.name}", "{source}", seed=0)
        agent.learn(total_timesteps=100_000)
        agent.save("agent.zip")
        """
    return blocks(
        f"# {spec.name}",
        GENERATED,
        spec.summary,
        facts,
        manual(vars(cls).get("__doc__") or ""),
        "## Use",
        code("python", example),
        code("sh", f"envzoo make-dataset {source}\n" * (not is_env) + f"envzoo train {spec.name} {source}"),
        "## Hyperparameters",
        hyperparameter_table(cls.Config),
    )


def committed_results(root: Path, number: str) -> str:
    """The verdict, tables and figure of the committed full run; "" when there is none."""
    report = root / "docs" / "papers" / number / "table.md"
    if not report.exists():
        return ""
    _, _, rest = report.read_text(encoding="utf-8").partition("**Verdict.**")
    rest = rest.replace("](figure.png)", f"]({number}/figure.png)")
    return "## Results\n\n**Verdict.**" + rest.replace("`results.json`", f"[results.json]({number}/results.json)")


def claim_section(number: str) -> str:
    """What an experiment asks, what it expects, and how it is run; "" when the paper has none."""
    if number not in experiments.numbers() and number not in experiments.COMPARISONS:
        return ""
    experiment = experiments.find_experiment(number)
    bounds = ((check.sentence, f"{check.operator} {format_number(check.threshold)}") for check in experiment.checks)
    return blocks(
        "## Claim",
        f"{experiment.question} {experiment.claim}",
        table(("check", "must be"), bounds),
        code("sh", f"envzoo reproduce {number}\nenvzoo reproduce {number} --quick    # a shorter run"),
    )


def paper_page_text(root: Path, paper: Paper) -> str:
    """The page of a paper; hand-written notes below the marker are kept."""
    number = paper.number or ""
    own = [row for row in registry.specs().values() if row.paper == paper]
    ids = [(f"[`{row.id}`](../{environment.page})", row.summary) for environment in environments()
             for row in environment.specs if row.paper == number]  # fmt: skip
    where = f"[arXiv {paper.arxiv}]({paper.url})" if paper.url else ""
    page = root / "docs" / paper_page(paper)
    kept = page.read_text(encoding="utf-8").partition(NOTES)[2] if page.exists() else ""
    return blocks(
        f"# {number} {paper.title}",
        GENERATED,
        ", ".join(part for part in (paper.authors, str(paper.year), where) if part) + ".",
        claim_section(number),
        committed_results(root, number),
        "## Environments" if ids else "",
        table(("id", "what it is"), ids) if ids else "",
        "## Agents" if own else "",
        table(("agent", "what it does"), [(agent_link(row.name, "../"), row.summary) for row in own]) if own else "",
        NOTES,
        kept.strip(),
    )


def comparison_page(root: Path, name: str) -> str:
    """The page of a comparison that is of no single paper."""
    paper = experiments.find_experiment(name).paper
    return blocks(
        f"# {paper.title}", GENERATED, f"{paper.authors}.", claim_section(name), committed_results(root, name)
    )


def comparison_table(prefix: str) -> str:
    """One row per comparison."""
    rows = []
    for name in experiments.COMPARISONS:
        found = experiments.find_experiment(name)
        rows.append((f"[{found.paper.title}]({prefix}papers/{name}.md)", found.question, f"`envzoo reproduce {name}`"))
    return table(("comparison", "what is asked", "run it again"), rows)


def speed_page(root: Path) -> str:
    """The committed results of benchmarks."""
    parts = []
    for file in sorted((root / "docs" / "bench").glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        facts = ", ".join(f"{name} {value}" for name, value in data["conditions"].items())
        for name, rows in data["rows"].items():
            lines = []
            for row in (Row(**row) for row in rows):
                ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
                target = "" if row.target is None else f">= {row.target:g}, {'met' if row.passed else '**missed**'}"
                lines.append((row.name, format_number(row.value), row.unit, ratio, target, row.note))
            columns = ("subject", "measured", "unit", "ours / peer", "target", "note")
            parts += [f"## `envzoo bench {name}` ({file.stem})", f"{facts}.", table(columns, lines)]
    return blocks(
        "# Speed",
        GENERATED,
        "Measured by `envzoo bench NAME --json FILE`, ours and the peer in turns in one run. Times drift from machine "
        "to machine; the ratios are what to compare.",
        *parts,
    )


def index_page() -> str:
    """docs/README.md."""
    return blocks(
        "# Documentation of envzoo",
        GENERATED,
        "Set-up and a first tour stand in the [README](../README.md); how to add a paper, in"
        " [CONTRIBUTING](../CONTRIBUTING.md); how to train language models on many GPUs, in [TRL](trl.md);"
        " how fast things are, in [Speed](speed.md); how interrupted runs go on, in [Exact resume](resume.md).",
        *(part for name, make in TABLES.items() for part in (f"## {name.capitalize()}", make(""))),
        "## Comparisons",
        comparison_table(""),
        "## Reference",
        "What is useful without an agent of ours: functions and wrappers for any code.",
        reference_table(""),
    )


def with_tables(readme: str) -> str:
    """The README with the text between its markers replaced by the tables.

    Raises:
        EnvzooError: When a marker is missing.
    """
    for name, make in TABLES.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.S)
        if not pattern.search(readme):
            raise EnvzooError(f"README.md has lost its markers <!-- {name} --> and <!-- /{name} -->; put them back")
        before, after = re.split(pattern, readme, maxsplit=1)
        readme = f"{before}<!-- {name} -->\n{make('docs/')}\n<!-- /{name} -->{after}"
    return readme


# ------------------------------------------------------------------------ main


def pages(root: Path) -> dict[str, str]:
    """Every generated file, by its path below `root`."""
    readme = root / "README.md"
    if not readme.exists():
        raise EnvzooError(f"{root} has no README.md to put the tables into")
    found = {"README.md": with_tables(readme.read_text(encoding="utf-8")), "docs/README.md": index_page()}
    found |= {f"docs/{environment.page}": environment_page(environment) for environment in environments()}
    found |= {f"docs/agents/{name}.md": agent_page(spec) for name, spec in registry.specs().items()}
    found |= {f"docs/{entry.page}": reference_page(entry, GENERATED) for entry in REFERENCES}
    found |= {f"docs/{paper_page(paper)}": paper_page_text(root, paper) for paper in papers.papers().values()}
    found["docs/speed.md"] = speed_page(root)
    found |= {f"docs/papers/{name}.md": comparison_page(root, name) for name in experiments.COMPARISONS}
    return found


def leftovers(root: Path, current: Iterable[str]) -> list[str]:
    """Generated pages of things that are no longer there."""
    found = sorted(path for path in (root / "docs").rglob("*.md") if GENERATED in path.read_text(encoding="utf-8"))
    return [name for path in found if (name := path.relative_to(root).as_posix()) not in set(current)]


def check_root(root: Path) -> None:
    """Raise EnvzooError unless `root` is the repository of envzoo."""
    project = root / "pyproject.toml"
    name = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"] if project.exists() else None
    if name != "envzoo":
        raise EnvzooError(
            f"{root} is not envzoo's repository (no pyproject.toml of envzoo); start there or give --root"
        )


def build_docs(root: Path = Path(), check: bool = False) -> int:
    """Write the pages and tables that are made from the code.

    Args:
        root: Root of envzoo's repository.
        check: Write nothing; exit with status 1 when a file is not what the code says.

    Returns:
        The exit status.
    """
    check_root(root)
    made = pages(root)
    old = leftovers(root, made)
    stale = [name for name, text in made.items() if not _is(root / name, text)]
    if check:
        for name in [*stale, *old][:1]:
            print(f"{name} is not what the code says; {CURE}", file=sys.stderr)
        return int(bool(stale or old))
    for name in stale:
        write_text(root / name, made[name])
    for name in old:
        (root / name).unlink()
    print(f"{len(made)} files made from the code: {len(stale)} written, {len(old)} removed, the rest were current")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    try:
        return tyro.cli(build_docs, args=arguments, prog="build_docs")
    except EnvzooError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
