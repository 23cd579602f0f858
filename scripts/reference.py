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
        package: Package or module that it documents.
        names: Names to show, in this order, as "name" or "module:name"; None shows every public one.
        methods: Whether to show the docstrings of methods, instead of a table of their first sentences.
    """

    title: str
    package: str
    names: tuple[str, ...] | None = None
    methods: bool = False

    @property
    def page(self) -> str:
        """Path of the page below docs/."""
        return f"reference/{slug(self.title)}.md"


REFERENCES = (
    Reference(
        "Agents",
        "envzoo.agents",
        (
            "making:make",
            "making:load",
            "registry:register",
            "registry:specs",
            "learner:Learner",
            "agent:Agent",
            "evaluation:evaluate",
            "evaluation:EvaluationResult",
        ),
        methods=True,
    ),
    Reference("Callbacks", "envzoo.agents.callbacks"),
    Reference("Run directories", "envzoo.scripts.run_directory", methods=True),
    Reference(
        "Experiments",
        "envzoo.scripts.experiments.core",
        (
            "experiment:Experiment",
            "experiment:Table",
            "arms:Arm",
            "arms:EvaluationPlan",
            "arms:FunctionArm",
            "checks:exact",
            "checks:seeded",
            "checks:equivalence",
            "checks:all_of",
            "checks:Score",
            "checks:Difference",
            "checks:Ratio",
            "execution:run_experiment",
        ),
    ),
    Reference("Wrappers", "envzoo.wrappers"),
    Reference("Planners", "envzoo.agents.planners"),
    Reference("Planners of finite worlds", "envzoo.agents.planners.tabular"),
    Reference("Finite worlds", "envzoo.tabular"),
    Reference("Losses and distributions", "envzoo.agents.losses"),
    Reference("Losses for language models", "envzoo.agents.text.losses"),
    Reference("Set functions", "envzoo.coverage.set_functions"),
)


# Modules that need an extra to be imported; they are described where they are used.
WITH_EXTRA = {"envzoo.wrappers.minigrid_images"}


def modules(package: str) -> list[ModuleType]:
    """Import the package and its modules, but those of `WITH_EXTRA`, in the order of their names."""
    found = importlib.import_module(package)
    inside = sorted(
        module.name
        for module in pkgutil.iter_modules(getattr(found, "__path__", ()))
        if not module.name.startswith("_") and f"{package}.{module.name}" not in WITH_EXTRA
    )
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


def shown(reference: Reference) -> list[tuple[ModuleType, dict[str, Any]]]:
    """List the modules of a page with the names that it shows of each."""
    if reference.names is None:
        return [(module, names) for module in modules(reference.package) if (names := public(reference, module))]
    found: dict[str, dict[str, Any]] = {}
    for entry_point in reference.names:
        module, _, name = entry_point.rpartition(":")
        full = f"{reference.package}.{module}".rstrip(".")
        found.setdefault(full, {})[name] = getattr(importlib.import_module(full), name)
    return [(importlib.import_module(module), names) for module, names in found.items()]


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


def _members(value: type) -> dict[str, Any]:
    """Collect the public methods and properties that a class defines itself."""
    return {
        name: member
        for name, member in vars(value).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def _described(value: Any) -> str:
    return re.sub(r"^## ", "#### ", manual(vars(value).get("__doc__") or inspect.getdoc(value) or ""), flags=re.M)


def entry(name: str, value: Any, methods: bool = False) -> str:
    """Document a function, or a class with its methods: signatures and docstrings.

    Args:
        name: Name under which it is shown.
        value: The function or class.
        methods: Whether to show the docstrings of the methods, instead of a table of their first sentences.
    """
    parts = [f"### {name}", code("python", signature(name, value)), _described(value)]
    members = _members(value) if inspect.isclass(value) else {}
    if methods:
        for member, function in members.items():
            if isinstance(function, property):
                parts += [f"#### {name}.{member}", first_sentence(function)]
            else:
                described = re.sub(r"^#### ", "##### ", _described(function), flags=re.M)
                parts += [f"#### {name}.{member}", code("python", signature(member, function)), described]
    elif members:
        rows = [(f"`{member}`", first_sentence(function)) for member, function in members.items()]
        parts.append(table(("member", "what it does"), rows))
    return blocks(*parts)


def reference_page(reference: Reference, generated: str) -> str:
    """Build the page of a package."""
    parts = [f"# {reference.title}", generated, manual(importlib.import_module(reference.package).__doc__ or "")]
    for module, names in shown(reference):
        short = module.__name__.removeprefix(f"{reference.package}.")
        parts += [f"## {short}", code("python", f"from {module.__name__} import {', '.join(names)}")]
        parts += [manual(module.__doc__ or "")] if short != reference.package else []
        parts += [entry(name, value, reference.methods) for name, value in names.items()]
    return blocks(*parts)


def reference_table(prefix: str) -> str:
    """Build a table with one row per page."""
    rows = []
    for reference in REFERENCES:
        names = [name for _, found in shown(reference) for name in found]
        rows.append((f"[{reference.title}]({prefix}{reference.page})", ", ".join(f"`{name}`" for name in names)))
    return table(("", "what it holds"), rows)
