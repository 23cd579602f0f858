"""The package as it is installed: what a wheel holds, and what importing it costs."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from envzoo.version import __version__

pytestmark = pytest.mark.any_arithmetic

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("envzoo", "agents", "wrappers", "datasets", "scripts")
PACKAGES = ("envzoo", "envzoo.agents", "envzoo.wrappers", "envzoo.datasets", "envzoo.scripts")


def python(*arguments, cwd, path=None, safe=True):
    """Run this Python in `cwd`, with nothing on its path but `path` and what is installed."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    command = [sys.executable, *(["-P"] if safe else []), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built, without the network, from a copy of the sources (building leaves files beside them)."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in (*FOLDERS, "tests"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    result = python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), cwd=source)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("envzoo-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel installed in it."""
    target = tmp_path_factory.mktemp("installed")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(target))
    result = python("-m", "pip", "install", *options, str(wheel), cwd=target)
    assert result.returncode == 0, result.stdout + result.stderr
    return target


def test_wheel_holds_one_top_level_package_and_every_module(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        (path if folder == "envzoo" else Path("envzoo") / path).as_posix()
        for folder in FOLDERS
        for path in (file.relative_to(ROOT) for file in (ROOT / folder).rglob("*.py"))
    }
    pretrained = {f"envzoo/agents/trained/{file.name}" for file in (ROOT / "agents" / "trained").glob("*.zip")}
    assert pretrained
    tables = {"envzoo/papers.toml", "envzoo/scripts/presets.toml", "envzoo/agents/trained/scores.json"}
    assert names == {*expected, *pretrained, *tables}


def test_installed_papers_are_those_of_the_checkout(installed, tmp_path):
    code = "import sys; from envzoo.papers import FILE, papers; print(FILE); assert '09' in papers()"
    found = python("-c", code, cwd=tmp_path, path=installed)
    assert found.returncode == 0, found.stderr
    file = Path(found.stdout.strip())
    assert file.is_relative_to(installed)
    assert file.read_bytes() == (ROOT / "envzoo" / "papers.toml").read_bytes()


def test_wheel_carries_licence_and_command(wheel):
    archive = zipfile.ZipFile(wheel)
    names = {name.split(".dist-info/")[1]: name for name in archive.namelist() if ".dist-info/" in name}
    assert "licenses/LICENSE" in names
    assert "envzoo = envzoo.scripts.cli:main" in archive.read(names["entry_points.txt"]).decode()


def test_installed_wheel_works_without_the_checkout(installed, tmp_path):
    program = f"""
import importlib, pathlib
for name in {PACKAGES!r}:
    file = pathlib.Path(importlib.import_module(name).__file__)
    assert file.is_relative_to({str(installed)!r}), (name, file)

import gymnasium as gym
import envzoo.agents

env = gym.make("envzoo/GridCoverage-v0")
env.reset(seed=0)
total = sum(env.step(action)[1] for action in (1, 1, 2, 2))
agent = envzoo.agents.make("Random", env, seed=0)
action, _ = agent.predict(env.reset(seed=0)[0])
assert env.action_space.contains(action)

from envzoo.scripts.cli import main
assert main(["--version"]) == 0
print("return", total)
"""
    result = python("-c", program, cwd=tmp_path, path=installed)
    assert result.returncode == 0, result.stderr
    # From the corner, each move along the border uncovers two cells, and each move away from it three.
    assert result.stdout.splitlines()[-1] == "return 10.0"


def test_importing_envzoo_is_light(tmp_path):
    program = "import sys, envzoo; print([m for m in ('torch', 'minari', 'matplotlib', 'numba') if m in sys.modules])"
    result = python("-c", program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_reading_the_tables_is_light(tmp_path):
    program = (
        "import sys, envzoo.agents, envzoo.datasets, envzoo.games; from envzoo.scripts import experiments\n"
        "envzoo.agents.specs(), envzoo.datasets.recipes(), envzoo.games.games(), experiments.specs()\n"
        "print([m for m in ('torch', 'minari', 'matplotlib', 'numba', 'pettingzoo') if m in sys.modules])"
    )
    assert python("-c", program, cwd=tmp_path).stdout.strip() == "[]"


def test_datasets_folder_refuses_to_hide_another_package():
    result = python("-c", "import datasets", cwd=ROOT, safe=False)
    assert result.returncode != 0
    assert "this folder is envzoo.datasets" in result.stderr
    assert "python -P" in result.stderr


def test_bound_of_torch_stands_in_pyproject_alone():
    requirement = re.compile(r"\btorch\s*(==|<=|>=|~=|<|>)\s*\d")
    assert requirement.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    files = [ROOT / "Makefile", ROOT / "setup.py", *ROOT.glob("*.md"), *(ROOT / ".ci").iterdir()]
    files += [
        file for folder in (*FOLDERS, "docs") for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".md")
    ]
    assert [str(file) for file in files if requirement.search(file.read_text(encoding="utf-8"))] == []
    assert not list(ROOT.glob("*requirements*.txt"))


def test_the_version_to_cite_is_that_of_the_package():
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
