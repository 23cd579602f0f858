"""Build the reference pages of the parts that can be used without an agent: wrappers, planners, losses, set functions.

`envzoo.scripts.build_docs` writes them, one page per package, from the docstrings of the public names.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from envzoo.scripts.markdown import blocks, code, manual, slug, table


@dataclass(frozen=True)
class Reference:
    """A reference page.

    Attributes:
        title: Heading of the page.
        package: Package whose modules it documents.
    """

    title: str
    package: str

    @property
    def page(self) -> str:
        """Path of the page below docs/."""
        return f"reference/{slug(self.title)}.md"


REFERENCES = (
    Reference("Wrappers", "envzoo.wrappers"),
    Reference("Planners", "envzoo.agents.planners"),
    Reference("Planners of finite worlds", "envzoo.agents.planners.tabular"),
    Reference("Finite worlds", "envzoo.tabular"),
    Reference("Losses and distributions", "envzoo.agents.losses"),
    Reference("Losses for language models", "envzoo.agents.text.losses"),
    Reference("Set functions", "envzoo.coverage.set_functions"),
)


def modules(package: str) -> list[ModuleType]:
    """Import the package and its modules, in the order of their names."""
    found = importlib.import_module(package)
    inside = sorted(module.name for module in pkgutil.iter_modules(found.__path__) if not module.name.startswith("_"))
    return [found, *(importlib.import_module(f"{package}.{name}") for name in inside)]


def public(reference: Reference, module: ModuleType) -> dict[str, Any]:
    """Collect the public functions and classes that a module defines, or re-exports from outside the package.

    If the package defines `__all__`, those names are public. Otherwise every name without a leading underscore that
    has a docstring is public.
    """
    package = importlib.import_module(reference.package)
    listed = getattr(package, "__all__", None)
    found = {}
    for name, value in vars(module).items():
        value = getattr(value, "py_func", value)  # the Python function of a compiled one
        if not (inspect.isfunction(value) or inspect.isclass(value)) or not value.__doc__:
            continue
        shown = name in listed if listed is not None else not name.startswith("_")
        # Names from elsewhere in the package are documented there.
        own = value.__module__ == module.__name__
        offered = name in getattr(module, "__all__", ()) and not value.__module__.startswith(reference.package)
        if shown and (own or offered):
            found[name] = value
    return found


def first_sentence(value: Any) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def _annotation(value: Any) -> str:
    if value is inspect.Signature.empty or value is None:
        return ""
    text = getattr(value, "__forward_arg__", value)
    return text if isinstance(text, str) else getattr(text, "__name__", str(text))


def _parameter(parameter: inspect.Parameter) -> str:
    star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind, text = _annotation(parameter.annotation), f"{star}{parameter.name}"
    text += f": {kind}" if kind else ""
    if parameter.default is inspect.Parameter.empty:
        return text
    return f"{text} = {parameter.default!r}" if kind else f"{text}={parameter.default!r}"


def signature(name: str, value: Any) -> str:
    """Format the signature of a call, with annotations and defaults."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):  # a class without an `__init__` of its own
        return name
    rows: list[str] = []
    for parameter in found.parameters.values():
        keyword_only = parameter.kind is parameter.KEYWORD_ONLY
        if keyword_only and "*" not in rows and not any(row.startswith("*") for row in rows):
            rows.append("*")
        rows.append(_parameter(parameter))
    result = "" if inspect.isclass(value) else _annotation(found.return_annotation)
    result = f" -> {result}" if result not in ("", "None") else ""
    line = f"{name}({', '.join(rows)}){result}"
    return line if len(line) <= 100 else "\n".join([f"{name}(", *(f"    {row}," for row in rows), f"){result}"])


def entry(name: str, value: Any) -> str:
    """Document a function, or a class with its methods: signatures and docstrings."""
    text = re.sub(r"^## ", "#### ", manual(vars(value).get("__doc__") or inspect.getdoc(value) or ""), flags=re.M)
    parts = [f"### {name}", code("python", signature(name, value)), text]
    if inspect.isclass(value):
        methods = [
            (f"`{method}`", first_sentence(function))
            for method, function in vars(value).items()
            if not method.startswith("_") and (inspect.isfunction(function) or isinstance(function, property))
        ]
        parts.append(table(("member", "what it does"), methods) if methods else "")
    return blocks(*parts)


def reference_page(reference: Reference, generated: str) -> str:
    """Build the page of a package."""
    parts = [f"# {reference.title}", generated, manual(importlib.import_module(reference.package).__doc__ or "")]
    for module in modules(reference.package):
        names = public(reference, module)
        if not names:
            continue
        short = module.__name__.removeprefix(f"{reference.package}.")
        parts += [f"## {short}", code("python", f"from {module.__name__} import {', '.join(names)}")]
        parts += [manual(module.__doc__ or "")] if short != reference.package else []
        parts += [entry(name, value) for name, value in names.items()]
    return blocks(*parts)


def reference_table(prefix: str) -> str:
    """Build a table with one row per page."""
    rows = []
    for reference in REFERENCES:
        names = [name for module in modules(reference.package) for name in public(reference, module)]
        rows.append((f"[{reference.title}]({prefix}{reference.page})", ", ".join(f"`{name}`" for name in names)))
    return table(("", "what it holds"), rows)
