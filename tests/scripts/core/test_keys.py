"""Keys of stored results: they change with the code that runs, and with no other."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import sys

import pytest
from function_arms import draw_one

from envzoo.moved import MOVED
from envzoo.scripts.experiments.core import keys
from envzoo.scripts.experiments.core.arms import Arm, FunctionArm

pytestmark = pytest.mark.any_arithmetic

BASE = '''"""Base."""

RATE = 2

def double(x):
    return RATE * x

def other(x):
    return x
'''
ARM = """from keyed_package.base import double

def run(seed):
    return helper(seed)

def helper(seed):
    from .base import double as twice
    return double(twice(seed))

def figure():
    return 1
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules on the path; returns the folder and a function that gives the fingerprint anew."""
    folder = tmp_path / "keyed_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "base.py").write_text(BASE)
    (folder / "arm.py").write_text(ARM)
    monkeypatch.syspath_prepend(str(tmp_path))

    def fingerprint():
        keys._load.cache_clear()
        keys._expand.cache_clear()
        return keys.fingerprint([("keyed_package.arm", "run")])

    yield folder, fingerprint
    for name in [name for name in sys.modules if name.startswith("keyed_package")]:
        del sys.modules[name]
    keys._load.cache_clear()
    keys._expand.cache_clear()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("base.py", "RATE = 2", "RATE = 3", True),  # a constant that a called function reads
        ("base.py", "return RATE * x", "return RATE * x + 1", True),  # a function imported from another module
        ("arm.py", "double(twice(seed))", "double(seed)", True),  # a function called in the same module
        ("base.py", '"""Base."""', '"""Another docstring."""', False),
        ("base.py", "def double(x):", "def double(x: int) -> int:  # typed", False),
        ("base.py", "def other(x):\n    return x", "def other(x):\n    return -x", False),  # not reached
        ("arm.py", "def figure():\n    return 1", "def figure():\n    return 2", False),
    ],
)
def test_a_key_changes_with_the_code_that_runs_and_with_no_other(package, file, old, new, changes):
    folder, fingerprint = package
    before = fingerprint()
    assert fingerprint() == before
    edit(folder / file, old, new)
    assert (fingerprint() != before) is changes


def test_a_module_that_has_moved_keeps_its_place_in_keys(package, monkeypatch):
    folder, fingerprint = package
    relative = "    from .base import double as twice\n    return double(twice(seed))"
    edit(folder / "arm.py", relative, "    return double(seed)")
    before = fingerprint()
    (folder / "base.py").rename(folder / "foundation.py")
    edit(folder / "arm.py", "keyed_package.base", "keyed_package.foundation")
    assert fingerprint() != before
    monkeypatch.setattr(keys, "FINGERPRINTED_AS", {"keyed_package.foundation": "keyed_package.base"})
    assert fingerprint() == before
    edit(folder / "foundation.py", "RATE = 2", "RATE = 3")
    assert fingerprint() != before


def test_modules_that_have_moved_are_known_by_both_names():
    for present, former in keys.FINGERPRINTED_AS.items():
        assert MOVED[former] == present
        assert importlib.util.find_spec(present) is not None


def test_the_key_of_an_agents_arm_covers_agent_and_environment():
    arm = Arm("a", "PPO", "envzoo/GridCoverage-v0", 100)
    roots = [*keys._agent_roots(arm.agent), *keys._environment_roots(arm.env)]
    reached = {}

    def collect(definition):
        if definition not in reached:
            reached[definition] = keys._expand(definition)[1]
            for found in reached[definition]:
                collect(found)

    for root in roots:
        collect(root)
    names = {(module.rpartition(".")[2], name) for module, name in reached}
    assert {("grid_coverage", "step"), ("grid_coverage", "GridCoverage"), ("on_policy", "OnPolicyAgent")} <= names
    base = keys.arm_key(arm, 100, False)
    assert base == keys.arm_key(dataclasses.replace(arm, name="b", group="other"), 100, False)
    others = [
        keys.arm_key(arm, 101, False),
        keys.arm_key(dataclasses.replace(arm, hyperparameters={"gamma": 0.9}), 100, False),
        keys.arm_key(dataclasses.replace(arm, env_kwargs={"start": "centre"}), 100, False),
    ]
    assert len({base, *others}) == 4


def test_a_key_needs_no_optional_part_of_a_library():
    assert keys.arm_key(Arm("a", "SAC", "Pendulum-v1", 0), 0, False)
    roots = keys._environment_roots("Pendulum-v1")
    assert roots[0][0].startswith("gymnasium.")
    assert keys.fingerprint(roots) == keys.fingerprint([])


def test_trees_are_written_alike_by_every_python():
    source = (
        "class A(B):\n    x: int = None\n    def f(self, *a, k=1, **b):\n        return {**b, f'{k!r:>3}': [None]}\n"
    )
    tree = ast.parse(source)
    written = keys._dump(tree)
    assert written.startswith(
        "Module(body=[ClassDef(name='A', bases=[Name(id='B', ctx=Load())], keywords=[], body=[Ann"
    )
    if sys.version_info < (3, 12):
        assert written == ast.dump(tree)
    # Later versions know type parameters.
    tree.body[0]._fields = (*ast.ClassDef._fields, "type_params")
    tree.body[0].type_params = []
    assert keys._dump(tree) == written


def test_agents_and_environments_that_settings_name_are_in_the_key(monkeypatch):
    arm = FunctionArm("a", draw_one, settings={"method": "GRPO", "others": {"worlds": ["envzoo/BlockChain-v0"]}})
    key = keys.arm_key(arm, 1, False)
    for module in ("agents.reasoning.grpo", "block_chain"):
        roots = [root for root in keys._named_roots(dict(arm.settings)) if module in root[0]]
        assert roots
        real = keys._expand

        def changed(definition, real=real, roots=roots):
            digest, reached = real(definition)
            return (f"{digest} changed" if definition in roots else digest), reached

        monkeypatch.setattr(keys, "_expand", changed)
        assert keys.arm_key(arm, 1, False) != key
        monkeypatch.setattr(keys, "_expand", real)
    assert keys.arm_key(arm, 1, False) == key
    assert keys._named_roots({"method": "no agent", "n": 3, "flags": [True, None]}) == []
