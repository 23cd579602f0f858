"""Format Markdown, and convert docstrings to Markdown, for `envzoo.scripts.build_docs`."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """Format text for a cell of a Markdown table: on one line, with bars escaped outside code."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(str(text).split()))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a Markdown table."""
    lines = [list(header), ["---"] * len(header), *([cell(entry) for entry in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def blocks(*parts: str | None) -> str:
    """Join blocks of Markdown with one empty line between them and a final newline; empty blocks are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def code(language: str, text: str) -> str:
    """Format a fenced code block."""
    return f"```{language}\n{textwrap.dedent(text).strip()}\n```"


def slug(text: str) -> str:
    """Convert text to lower-case words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def manual(docstring: str) -> str:
    """Convert a docstring to Markdown: keep `## ` headings, turn `Attributes:`, `Metrics:` and `Args:` into lists."""
    lines: list[str] = []
    in_section = False
    for line in inspect.cleandoc(docstring).splitlines():
        heading = re.fullmatch(r"(Args|Arguments|Attributes|Metrics|Returns|Raises|Note|Notes|References):", line)
        if heading:
            in_section = True
            lines += [f"## {'Arguments' if heading[1] == 'Args' else heading[1]}", ""]
        elif in_section and (entry := re.fullmatch(r" {4}([\w/]+(?:, [\w/]+)*): (.*)", line)):
            lines.append(f"- `{entry[1].replace(', ', '`, `')}`: {entry[2]}")
        elif in_section and line.startswith("    "):
            lines.append("  " + line.strip())
        else:
            in_section = in_section and not line.strip()
            lines.append(line)
            if line.startswith("#"):
                lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def field_docstrings(cls: type) -> dict[str, str]:
    """Return the string literal under each field of a dataclass, own or inherited, as one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        except (OSError, TypeError):  # made by `make_dataclass`: its fields are described in its bases
            continue
        for field, literal in itertools.pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(literal, ast.Expr) and isinstance(getattr(literal.value, "value", None), str):
                found[field.target.id] = " ".join(literal.value.value.split())
    return found
