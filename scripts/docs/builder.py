"""All generated files, and the command that writes or checks them."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import tyro

from envzoo import papers
from envzoo.agents import registry
from envzoo.datasets.recipes import own_recipes
from envzoo.errors import EnvzooError
from envzoo.files import write_text
from envzoo.scripts import experiments
from envzoo.scripts.docs.agents import agent_page
from envzoo.scripts.docs.datasets import dataset_list, dataset_pages
from envzoo.scripts.docs.environments import environment_page
from envzoo.scripts.docs.links import CURE, GENERATED, Environment, comparison_page_path, environments, paper_page
from envzoo.scripts.docs.papers import comparison_page, paper_index, paper_page_text
from envzoo.scripts.docs.plugin import plugin_command, plugin_mark, plugin_pages
from envzoo.scripts.docs.presets import preset_page
from envzoo.scripts.docs.speed import speed_page
from envzoo.scripts.docs.tables import README_TABLES, TABLES, comparison_table
from envzoo.scripts.docs.tutorials import TUTORIALS, tutorial_files, tutorial_page
from envzoo.scripts.gallery_players import player
from envzoo.scripts.markdown import blocks
from envzoo.scripts.reference import REFERENCES, reference_page, reference_table


def index_page() -> str:
    """Write docs/README.md."""
    return blocks(
        "# Documentation of envzoo",
        GENERATED,
        "Start with the [README](../README.md). [Training runs](training.md), [language"
        " models](language-models.md), [games](games.md) and [offline learning](offline.md) (with [its"
        " datasets](datasets/README.md)) show how agents are used,"
        " [encoders](encoders.md) how to use a network of your own, and [neighbours](neighbours.md) how to come from"
        " another library."
        " [Presets](presets.md) are hyperparameters that a search found, with their scores."
        " [TRL](trl.md) shows how to train language models on many GPUs, [preferences](preferences.md) how to"
        " learn from pairs there, [losses](losses.md) how to design a loss on an exact table, [exact"
        " resume](resume.md) how interrupted runs continue, and [scaling](scaling.md) what to use when one machine is"
        " too small."
        " [CONTRIBUTING](../CONTRIBUTING.md) shows how to add a paper, and [speed](speed.md) what was measured."
        " The [glossary](glossary.md) defines our own terms. [Papers by theme](papers/README.md) shows the checks of"
        " each, and the [gallery](gallery/README.md) the environments.",
        "## Tutorials",
        "\n".join(f"- [{each.title}]({tutorial_page(each)})" for each in TUTORIALS),
        *(part for name, make in TABLES.items() for part in (f"## {name.capitalize()}", make(""))),
        "## Comparisons",
        comparison_table(""),
        "## Reference",
        "Functions and wrappers that are useful without the agents of envzoo.",
        reference_table(""),
    )


def with_tables(readme: str) -> str:
    """Replace the text between the markers of a README by the tables.

    Raises:
        EnvzooError: When a marker is missing.
    """
    for name, make in README_TABLES.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.S)
        if not pattern.search(readme):
            raise EnvzooError(f"README.md has lost its markers <!-- {name} --> and <!-- /{name} -->; put them back")
        before, after = re.split(pattern, readme, maxsplit=1)
        readme = f"{before}<!-- {name} -->\n{make('docs/')}\n<!-- /{name} -->{after}"
    return readme


def pages(root: Path) -> dict[str, str]:
    """Make every generated file, by its path below `root`."""
    readme = root / "README.md"
    if not readme.exists():
        raise EnvzooError(f"{root} has no README.md to put the tables into")
    found = {"README.md": with_tables(readme.read_text(encoding="utf-8")), "docs/README.md": index_page()}
    paged = dataset_list(root)
    for environment in environments():
        ids = {row.id for row in environment.specs}
        datasets = {name: page for name, page in paged.items() if own_recipes()[name].env_id in ids}
        page = environment_page(environment, picture=_film(root, environment), datasets=datasets)
        found[f"docs/{environment.page}"] = page
    found |= {f"docs/agents/{name}.md": agent_page(spec) for name, spec in registry.own_specs().items()}
    found |= {f"docs/{entry.page}": reference_page(entry, GENERATED) for entry in REFERENCES}
    found |= {f"docs/{paper_page(paper)}": paper_page_text(root, paper) for paper in papers.papers().values()}
    found |= dataset_pages(root)
    found["docs/speed.md"] = speed_page(root)
    found["docs/presets.md"] = preset_page()
    found["docs/papers/README.md"] = paper_index(root)
    found |= tutorial_files(root)
    found |= {f"docs/{comparison_page_path(name)}": comparison_page(root, name) for name in experiments.comparisons()}
    return found


def _film(root: Path, environment: Environment) -> str:
    """Show an environment's GIF of the gallery, if it has one."""
    file = f"gallery/{environment.name}.gif"
    if not (root / "docs" / file).exists():
        return ""
    return blocks(f"![{environment.name}](../{file})", player(environment).caption)


def leftovers(root: Path, current: Iterable[str], folder: str = "docs", mark: str = GENERATED) -> list[str]:
    """Find generated pages of things that are no longer there."""
    found = sorted(path for path in (root / folder).rglob("*.md") if mark in path.read_text(encoding="utf-8"))
    return [name for path in found if (name := path.relative_to(root).as_posix()) not in set(current)]


def check_root(root: Path) -> None:
    """Raise EnvzooError unless `root` is the repository of envzoo."""
    project = root / "pyproject.toml"
    name = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"] if project.exists() else None
    if name != "envzoo":
        raise EnvzooError(
            f"{root} is not envzoo's repository (no pyproject.toml of envzoo); start there or give --root"
        )


def build_docs(root: Path = Path(), check: bool = False, plugin: str | None = None, out: Path | None = None) -> int:
    """Write the pages and tables that are made from the code.

    Args:
        root: Root of envzoo's repository.
        check: Write nothing; exit with status 1 when a file is not what the code says.
        plugin: Import this package and write the pages of its environments, agents and experiments instead.
        out: Folder of the plug-in's pages.

    Returns:
        The exit status.
    """
    if (plugin is None) != (out is None):
        raise EnvzooError("--plugin names a package, and --out the folder of its pages; give both, or neither")
    if plugin is None:
        check_root(root)
        made, cure = pages(root), CURE
        old = leftovers(root, made)
    else:
        root, cure = out, f"run `{plugin_command(plugin, out)}`"
        made = plugin_pages(plugin, out)
        old = leftovers(root, made, ".", plugin_mark(plugin))
    stale = [name for name, text in made.items() if not _is(root / name, text)]
    if check:
        for name in [*stale, *old][:1]:
            print(f"{name} is not what the code says; {cure}", file=sys.stderr)
        return int(bool(stale or old))
    for name in stale:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(root / name, made[name])
    for name in old:
        (root / name).unlink()
    print(f"{len(made)} files made from the code: {len(stale)} written, {len(old)} removed, the rest were current")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        return tyro.cli(build_docs, args=arguments, prog="build_docs")
    except (EnvzooError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
