"""Fingerprints of the code on which a result depends, used to detect stale stored results.

The fingerprint of a definition covers its own syntax tree and those of all definitions that it reaches, in its module
and through imports within the package. Comments, docstrings, formatting and unreached definitions do not count, so that
editing a page or a figure makes no result stale.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from envzoo.errors import EnvzooError
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan, FunctionArm

# A new row in a registry must not make old results stale. The other modules do not affect results.
IGNORED = (
    *("envzoo", "envzoo.registration", "envzoo.registry", "envzoo.papers", "envzoo.errors", "envzoo.version"),
    *(
        "envzoo.files",
        "envzoo.discovery",
        "envzoo.datasets.recipes",
        "envzoo.agents",
        "envzoo.agents.registry",
        "envzoo.agents.checkpoint",
    ),
    *("envzoo.agents.callbacks", "envzoo.agents.networks.processor", "envzoo.kernel.drawing", "envzoo.scripts.launch"),
)
# Libraries that register environments. Their versions are in the results; which of their optional parts can be imported
# depends on the machine.
LIBRARIES = ("gymnasium", "pettingzoo")
# Modules that moved after results had been stored: present name -> the name by which they are fingerprinted, so that
# moving a module makes no result stale.
FINGERPRINTED_AS = {"envzoo.agents.networks.products": "envzoo.agents.text.models.products"}
# Methods that store, load, draw or describe, on which no run of an experiment depends.
SILENT_METHODS = frozenset(
    (
        *("save", "restore", "header", "state_dict", "load_state_dict", "get_state", "set_state", "rebuild"),
        *("render", "close", "__repr__", "__str__", "texts"),
    )
)

# Fields of syntax trees: those that Python 3.11 lacks, and those in which None is a value.
LATER_FIELDS = frozenset(("type_params",))
NEVER_OPTIONAL = frozenset((("Constant", "value"), ("MatchSingleton", "value")))

Definition = tuple[str, str]  # module, name; the name "*" is the whole module


class _Module:
    """The top level of a module: its definitions by name, and the statements that are always executed."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.nodes: dict[str, list[ast.stmt]] = {}
        self.always: list[ast.stmt] = []
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for node in tree.body:
            names = _bound(node)
            for bound in names:
                self.nodes.setdefault(bound, []).append(node)
            if not names and not _is_typing_only(node) and not _is_docstring(node):
                self.always.append(node)


def _bound(node: ast.stmt) -> list[str]:
    """List the names that a top-level statement binds (or changes)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return []


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_typing_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


class _Strip(ast.NodeTransformer):
    """Transformer that removes docstrings, annotations and silent methods."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [part for part in node.body if not _is_docstring(part)] or [ast.Pass()]
        node.returns = None
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [
            part
            for part in node.body
            if not _is_docstring(part) and not (isinstance(part, ast.FunctionDef) and part.name in SILENT_METHODS)
        ] or [ast.Pass()]
        return self.generic_visit(node)


@functools.cache
def _load(name: str) -> _Module | None:
    """Parse a module, or return None if it has no Python source."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return _Module(name, Path(spec.origin))


def _is_module(name: str) -> bool:
    return _load(name) is not None


def _imports(node: ast.AST, module: _Module, used: set[str] | None) -> Iterable[Definition]:
    """List the definitions imported by the statements inside a node; `used` restricts them to these local names."""
    top = module.name.partition(".")[0]
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            for alias in part.names:
                if alias.name.partition(".")[0] == top and (used is None or (alias.asname or top) in used):
                    yield alias.name, "*"
        elif isinstance(part, ast.ImportFrom):
            base = part.module or ""
            if part.level:
                parent = module.package.rsplit(".", part.level - 1)[0] if part.level > 1 else module.package
                base = f"{parent}.{base}" if base else parent
            if base.partition(".")[0] != top:
                continue
            for alias in part.names:
                if used is None or (alias.asname or alias.name) in used:
                    inner = f"{base}.{alias.name}"
                    yield (inner, "*") if alias.name == "*" or _is_module(inner) else (base, alias.name)


def _dump(node: Any) -> str:
    """Write a syntax tree as `ast.dump` of Python 3.11 does; later versions add fields and leave out empty ones."""
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    kind, shown = type(node).__name__, []
    for name in node._fields:
        value = getattr(node, name, None)
        if name not in LATER_FIELDS and (value is not None or (kind, name) in NEVER_OPTIONAL):
            shown.append(f"{name}={_dump(value)}")
    return f"{kind}({', '.join(shown)})"


@functools.cache
def _expand(definition: Definition) -> tuple[str, tuple[Definition, ...]]:
    """Compute the digest of one definition, and list the definitions that it reaches directly."""
    name, wanted = definition
    if name in IGNORED or name.partition(".")[0] in LIBRARIES:
        return "", ()
    module = _load(name)
    if module is None:
        return "", ()
    nodes = [n for ns in module.nodes.values() for n in ns] if wanted == "*" else module.nodes.get(wanted, [])
    digest, reached = hashlib.blake2b(digest_size=16), []
    for node in [*nodes, *module.always]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            reached += _imports(node, module, None if wanted == "*" else {wanted})
            continue
        stripped = _Strip().visit(ast.parse(ast.unparse(node)))
        digest.update(_dump(stripped).encode())
        names = {part.id for part in ast.walk(stripped) if isinstance(part, ast.Name)}
        reached += [(name, n) for n in names & set(module.nodes) if n != wanted]
        reached += _imports(stripped, module, None)  # inside functions
    return digest.hexdigest(), tuple(sorted(set(reached)))


def fingerprint(roots: Iterable[Definition]) -> str:
    """Compute the digest of definitions and everything they reach."""
    seen: dict[Definition, str] = {}
    waiting = list(roots)
    while waiting:
        definition = waiting.pop()
        if definition in seen:
            continue
        seen[definition], reached = _expand(definition)
        waiting += reached
    found = ((FINGERPRINTED_AS.get(module, module), name, digest) for (module, name), digest in seen.items() if digest)
    text = json.dumps(sorted(found))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# ---------------------------------------------------------------------------- arms


def function_root(function: Callable[..., Any]) -> list[Definition]:
    """Find the definition of a function, a `partial` of one, or a callable object."""
    while isinstance(function, partial):
        function = function.func
    owner = function if inspect.isfunction(function) or inspect.isclass(function) else type(function)
    return [(owner.__module__, owner.__qualname__.partition(".")[0])]


def _plain(value: Any) -> Any:
    """Convert a setting to a canonical JSON value."""
    if callable(value):
        settings = [_plain(value.args), _plain(value.keywords)] if isinstance(value, partial) else []
        return ["callable", *map(list, function_root(value)), *settings]
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise EnvzooError(f"an arm's settings are numbers, strings, lists and dicts of them, got a {type(value).__name__}")


def _environment_roots(env_id: str) -> list[Definition]:
    import gymnasium as gym

    import envzoo  # noqa: F401  (registers our environments)

    spec = gym.registry.get(env_id)
    entries = [spec.entry_point, spec.vector_entry_point] if spec is not None else []
    found: list[Definition] = []
    for entry in entries:
        if isinstance(entry, str):
            found.append(tuple(entry.split(":")))
        elif callable(entry):
            found += function_root(entry)
    return found


def _agent_roots(name: str) -> list[Definition]:
    from envzoo.agents.registry import agent_class

    return function_root(agent_class(name))


def _named_roots(value: Any) -> list[Definition]:
    """Find the definitions of the registered agents and environments that settings name by a string."""
    if isinstance(value, str):
        from envzoo.agents.registry import specs

        return [*(_agent_roots(value) if value in specs() else ()), *_environment_roots(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [root for part in value for root in _named_roots(part)] if isinstance(value, list | tuple) else []


def arm_key(arm: Arm | FunctionArm, budget: int, quick: bool) -> str:
    """Compute the key under which results of an arm are stored, from its settings and the code that it runs."""
    roots: list[Definition] = [("envzoo.scripts.experiments.core.run", "run_arm")]
    if isinstance(arm, FunctionArm):
        settings = {"settings": {**arm.settings, **(arm.quick_settings if quick else {})}}
        roots = [*function_root(arm.function), *_named_roots(settings)]
    else:
        roots += [("envzoo.agents.evaluation", "evaluate"), *_agent_roots(arm.agent), *_environment_roots(arm.env)]
        for evaluation in arm.evaluations:
            for function in (evaluation.measure, evaluation.prepare, evaluation.inspect):
                roots += function_root(function) if function is not None else []
            roots += _environment_roots(evaluation.env) if evaluation.env else []
        settings = {
            "agent": arm.agent,
            "env": arm.env,
            "env_kwargs": dict(arm.env_kwargs),
            "hyperparameters": {**arm.hyperparameters, **(arm.quick_hyperparameters if quick else {})},
            "evaluations": [_evaluation(evaluation) for evaluation in arm.evaluations],
            "curves": list(arm.curves),
            "points": arm.points,
        }
    text = json.dumps([_plain(settings), budget, quick, fingerprint(roots)], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _evaluation(evaluation: EvaluationPlan) -> dict[str, Any]:
    return {name: getattr(evaluation, name) for name in evaluation.__dataclass_fields__}
