"""Tutorials: Python files in the percent format, turned into pages and notebooks.

A cell begins with `# %%`, and a cell of Markdown with `# %% [markdown]`; its lines are comments. Editors run such files
cell by cell, Python runs them as they are, and the tests do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from envzoo.errors import EnvzooError
from envzoo.scripts.docs.links import GENERATED
from envzoo.scripts.markdown import blocks, code

FOLDER = "examples/tutorials"
MARKDOWN, PYTHON = "markdown", "code"


@dataclass(frozen=True)
class Tutorial:
    """A tutorial.

    Attributes:
        name: Name of its file, without the ending.
        title: Title in the navigation.
    """

    name: str
    title: str

    @property
    def file(self) -> str:
        """Path of the Python file in the repository."""
        return f"{FOLDER}/{self.name}.py"


TUTORIALS = (
    Tutorial("batched_environment", "Your environment, batched"),
    Tutorial("agent_with_a_claim", "Your algorithm as an agent with a claim"),
    Tutorial("entropy_method", "An entropy method for your language model"),
)


def tutorial_page(tutorial: Tutorial) -> str:
    """Give the path of a tutorial's page below docs/."""
    return f"tutorials/{tutorial.name.replace('_', '-')}.md"


def cells(text: str) -> list[tuple[str, str]]:
    """Split a file into cells, (kind, text) with the kind "markdown" or "code"; empty cells are left out.

    Raises:
        EnvzooError: Text before the first cell, or a line in a cell of Markdown that is not a comment.
    """
    first, *rest = re.split(r"^# %%(.*)\n", text, flags=re.M)
    if first.strip():
        raise EnvzooError(f"a tutorial begins with a cell, `# %%`, but there is {first.strip().splitlines()[0]!r}")
    found = []
    for mark, body in zip(rest[::2], rest[1::2], strict=True):
        if mark.strip() == "[markdown]":
            lines = body.strip().splitlines()
            for line in lines:
                if not line.startswith("#"):
                    raise EnvzooError(f"a line in a cell of Markdown is a comment, but there is {line!r}")
            found.append((MARKDOWN, "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)))
        elif mark.strip():
            raise EnvzooError(f"a cell begins with `# %%` or `# %% [markdown]`, but there is `# %%{mark}`")
        elif body.strip():
            found.append((PYTHON, body.strip()))
    return found


def page(root: Path, tutorial: Tutorial) -> str:
    """Write the page of a tutorial."""
    (kind, opening), *rest = cells((root / tutorial.file).read_text(encoding="utf-8"))
    heading, _, text = opening.partition("\n")
    if kind != MARKDOWN or not heading.startswith("# "):
        raise EnvzooError(f"{tutorial.file} begins with a cell of Markdown and its title")
    notebook_name = f"{tutorial.name.replace('_', '-')}.ipynb"
    return blocks(
        heading,
        GENERATED,
        f"This page is made from [{tutorial.file}](../../{tutorial.file}), which the tests run;"
        f" [as a notebook]({notebook_name}).",
        text.strip(),
        *(body if kind == MARKDOWN else code("python", body) for kind, body in rest),
    )


def notebook(root: Path, tutorial: Tutorial) -> str:
    """Write the notebook of a tutorial, in format 4.5 and without outputs."""
    made = []
    for number, (kind, body) in enumerate(cells((root / tutorial.file).read_text(encoding="utf-8"))):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": body.splitlines(keepends=True)}
        made.append(cell if kind == MARKDOWN else cell | {"execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def tutorial_files(root: Path) -> dict[str, str]:
    """Make the pages and notebooks of all tutorials, by their paths in the repository."""
    found = {}
    for tutorial in TUTORIALS:
        path = f"docs/{tutorial_page(tutorial)}"
        found[path] = page(root, tutorial)
        found[f"{path.removesuffix('.md')}.ipynb"] = notebook(root, tutorial)
    return found
