"""Rules of the house that ruff does not know."""

import ast
import functools
import graphlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_arithmetic

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("envzoo", "wrappers", "datasets", "agents", "scripts")  # each may import itself and those before it
FILES = [file for folder in LAYERS for file in sorted((ROOT / folder).rglob("*.py"))]
PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
MOST_LINES = 420
GLOBAL_SEEDS = {"np.random.seed", "numpy.random.seed", "random.seed", "torch.manual_seed", "torch.cuda.manual_seed_all"}


def offences(rule):
    """Return what a rule finds, by module; modules in which it finds nothing are left out."""
    found = {file.relative_to(ROOT).as_posix(): list(rule(file)) for file in FILES}
    return {file: what for file, what in found.items() if what}


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


def calls_in(file):
    return [node for node in ast.walk(tree_of(file)) if isinstance(node, ast.Call)]


def code_from_files(file):
    yield from PICKLERS & {name.split(".")[0] for name in imports(tree_of(file), lazy=True)}
    for call in calls_in(file):
        name = ast.unparse(call.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        loads = name == "torch.load" and keywords.get("weights_only") != "True"
        if name in ("eval", "exec") or loads or keywords.get("allow_pickle", "False") != "False":
            yield f"line {call.lineno}"


def test_nothing_runs_code_from_files():
    assert offences(code_from_files) == {}


# Seeds the global generators to find out whether other people's environments use them, and restores their state.
SEEDS_TO_TEST_OTHERS = "envzoo/conformance/single.py"


def seeds_of_everybody(file):
    if file.relative_to(ROOT).as_posix() != SEEDS_TO_TEST_OTHERS:
        yield from (ast.unparse(call) for call in calls_in(file) if ast.unparse(call.func) in GLOBAL_SEEDS)


def test_global_random_state_is_left_alone():
    assert offences(seeds_of_everybody) == {}


def bound_twice(file):
    """A table of constants in which one name stands twice; ruff sees it for functions and classes only."""
    targets = [t for node in tree_of(file).body if isinstance(node, ast.Assign) for t in node.targets]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return sorted({name for name in names if names.count(name) > 1})


def test_no_name_of_a_module_is_bound_twice():
    assert offences(bound_twice) == {}


def test_every_function_of_the_sources_is_used():
    """`agents/source.py` has no public function that nothing calls."""
    text = {file: file.read_text(encoding="utf-8") for file in FILES}
    for node in tree_of(ROOT / "agents" / "source.py").body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert sum(code.count(node.name) for code in text.values()) > 1, node.name


def lines_beyond(file):
    return file.read_text(encoding="utf-8").splitlines()[MOST_LINES:]


def test_files_stay_short():
    assert offences(lines_beyond) == {}


def imports_against_the_layers(file):
    own = LAYERS.index(layer_of(module_name(file)))
    for name in imports(tree_of(file), lazy=True):
        if name.split(".")[0] in LAYERS[1:]:
            yield f"{name} is called envzoo.{name}"
        elif name.split(".")[0] == "envzoo" and LAYERS.index(layer_of(name)) > own:
            yield f"{name} lies above {module_name(file)}"


def test_dependencies_point_one_way():
    assert offences(imports_against_the_layers) == {}


@pytest.mark.parametrize(
    ("rule", "code", "found"),
    [
        (code_from_files, "import pickle", ["pickle"]),
        (code_from_files, "def f():\n    from dill import load", ["dill"]),
        (code_from_files, "eval('1')", ["line 1"]),
        (code_from_files, "torch.load(path)", ["line 1"]),
        (code_from_files, "torch.load(path, weights_only=False)", ["line 1"]),
        (code_from_files, "torch.load(path, weights_only=True)", []),
        (code_from_files, "\nnp.load(path, allow_pickle=True)", ["line 2"]),
        (seeds_of_everybody, "np.random.seed(3)", ["np.random.seed(3)"]),
        (bound_twice, "A = 1\nB = 2\nA = 3", ["A"]),
        (lines_beyond, "#\n" * (MOST_LINES + 1), ["#"]),
        (imports_against_the_layers, "import agents.spec", ["agents.spec is called envzoo.agents.spec"]),
        (imports_against_the_layers, "import envzoo.agents", ["envzoo.agents lies above envzoo.wrappers.rules"]),
        (imports_against_the_layers, "import envzoo.errors", []),
    ],
)
def test_a_breach_of_a_rule_is_found(rule, code, found, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "wrappers").mkdir()
    (tmp_path / "wrappers" / "rules.py").write_text(code)
    assert list(rule(tmp_path / "wrappers" / "rules.py")) == found


# Folders of agents/ that may not import each other unless this table says so; the order is that of the numbers. What
# stands in agents/ itself (agent, learner, registry, ...), in agents/callbacks/, agents/sources/ and agents/trained/
# has the rank of "agent", and a folder that is not named is a family.
RANKS = {
    "envzoo": 0,
    "wrappers": 1,
    "datasets": 2,
    "losses": 3,
    "diagnostics": 3,
    "optim": 3,
    "networks": 4,
    "planners": 5,
    "agent": 6,
    "loops": 7,
    "actor_critic": 8,
    "imitation": 8,
    "text": 8,
    "exploration": 8.5,  # above actor_critic, because the explorers are PPO with an intrinsic reward
    "family": 9,
    "scripts": 10,
}
# Imports against the order that are left, (module, imported module): reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def place_of(module):
    """Return the rank of a module and the folder that it may import from at that rank."""
    parts = module.split(".")
    if layer_of(module) != "agents":
        return RANKS[layer_of(module)], layer_of(module)
    folder = parts[2] if len(parts) > 2 and (ROOT / "agents" / parts[2]).is_dir() else "agent"
    folder = "agent" if folder in ("callbacks", "sources", "trained") else folder
    return RANKS.get(folder, RANKS["family"]), folder


@functools.cache
def import_graph():
    """Map each module to those that it imports, within functions and for type checkers included."""
    names = {module_name(file): file for file in FILES}
    graph = {}
    for name, file in names.items():
        found = set()
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {module if module in names else node.module for module in modules}
        graph[name] = {other for other in found if other in names and other != name}
    return graph


def against_the_order(graph):
    """List the imports that lead upwards, or from one folder to another of the same rank."""
    wrong = []
    for module, others in graph.items():
        rank, folder = place_of(module)
        for other in others:
            other_rank, other_folder = place_of(other)
            if other_rank > rank or (other_rank == rank and other_folder != folder):
                wrong.append((module, other))
    return sorted(wrong)


def test_imports_point_one_way_within_agents():
    assert against_the_order(import_graph()) == sorted(EXCEPTIONS)


def test_imports_never_go_in_a_circle_hidden_ones_included():
    list(graphlib.TopologicalSorter(import_graph()).static_order())  # raises CycleError


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("envzoo.agents.networks.layers", "envzoo.agents.loops.replay"),
        ("envzoo.agents.losses.soft", "envzoo.agents.bandits.lsd"),
        ("envzoo.agents.bandits.lsd", "envzoo.agents.coverage.subpo"),
        ("envzoo.agents.actor_critic.ppo", "envzoo.agents.text.config"),
        ("envzoo.agents.loops.on_policy", "envzoo.agents.exploration.base"),
        ("envzoo.agents.agent", "envzoo.agents.loops.replay"),
        ("envzoo.wrappers.capture", "envzoo.agents.agent"),
    ],
)
def test_an_import_against_the_order_is_found(module, other):
    assert against_the_order({module: {other}}) == [(module, other)]
    assert against_the_order({other: {module}}) in ([], [(other, module)])
