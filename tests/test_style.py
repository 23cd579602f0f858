"""Rules of the house that ruff does not know."""

import ast
import functools
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("envzoo", "wrappers", "datasets", "agents", "scripts")  # each may import itself and those before it
FILES = [file for folder in LAYERS for file in sorted((ROOT / folder).rglob("*.py"))]
PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
GLOBAL_SEEDS = {"np.random.seed", "numpy.random.seed", "random.seed", "torch.manual_seed", "torch.cuda.manual_seed_all"}

each_module = pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())


@functools.cache
def tree_of(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "envzoo" else ("envzoo", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "envzoo"


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(node, *, lazy):
    """Modules that a piece of code imports; those within functions only if `lazy`."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found += [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            found += [child.module, *(f"{child.module}.{alias.name}" for alias in child.names)]
        elif not is_for_type_checkers(child) and (lazy or not isinstance(child, ast.FunctionDef | ast.Lambda)):
            found += imports(child, lazy=lazy)
    return found


@each_module
def test_nothing_runs_code_from_files(file):
    tree = tree_of(file)
    assert not PICKLERS & {name.split(".")[0] for name in imports(tree, lazy=True)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert name not in ("eval", "exec"), f"line {call.lineno}"
        assert name != "torch.load" or keywords.get("weights_only") == "True", f"line {call.lineno}"
        assert keywords.get("allow_pickle", "False") == "False", f"line {call.lineno}"


@each_module
def test_global_random_state_is_left_alone(file):
    calls = [node for node in ast.walk(tree_of(file)) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if ast.unparse(call.func) in GLOBAL_SEEDS] == []


@each_module
def test_no_name_of_a_module_is_bound_twice(file):
    """A table of constants in which one name stands twice; ruff sees it for functions and classes only."""
    targets = [t for node in tree_of(file).body if isinstance(node, ast.Assign) for t in node.targets]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_function_of_the_sources_is_used():
    """`agents/source.py` has no public function that nothing calls."""
    text = {file: file.read_text(encoding="utf-8") for file in FILES}
    for node in tree_of(ROOT / "agents" / "source.py").body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert sum(code.count(node.name) for code in text.values()) > 1, node.name


@each_module
def test_files_stay_short(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 450


@each_module
def test_dependencies_point_one_way(file):
    own = LAYERS.index(layer_of(module_name(file)))
    for name in imports(tree_of(file), lazy=True):
        assert name.split(".")[0] not in LAYERS[1:], f"{name} is called envzoo.{name}"
        if name.split(".")[0] == "envzoo":
            assert LAYERS.index(layer_of(name)) <= own, f"{name} lies above {module_name(file)}"


@pytest.mark.parametrize("folder", ["losses", "networks", "planners", "optim"])
def test_parts_of_agents_know_nothing_of_loops(folder):
    for file in (ROOT / "agents" / folder).rglob("*.py"):
        known = imports(tree_of(file), lazy=True)
        assert not [name for name in known if name.startswith("envzoo.agents.loops")], file


def test_no_module_imports_itself_in_a_circle():
    names = {module_name(file): file for file in FILES}
    graph = {
        name: {other for other in imports(tree_of(file), lazy=False) if other in names and other != name}
        for name, file in names.items()
    }
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
