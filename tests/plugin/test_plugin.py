"""A plug-in that is installed with pip, a broken one beside it, and a module that `--import` names."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from envzoo.scripts.cli import main

pytestmark = pytest.mark.any_arithmetic

PACKAGE = Path(__file__).with_name("package")
BROKEN = {
    "raises": "raise RuntimeError('no such luck')",
    "leaves": "raise SystemExit(3)",
    "syntax": "def f(:",
    "empty": "",
    "wrong": "ENVIRONMENTS = AGENTS = GAMES = DATASETS = EXPERIMENTS = 3",
    "taken": """
from envzoo.specs import AgentSpec, EnvironmentSpec, ExperimentSpec, GameSpec
from envzoo.datasets.recipes import Recipe, BehaviourPolicy
ENVIRONMENTS = EnvironmentSpec("envzoo/GridCoverage-v0", "a:B")
AGENTS = (AgentSpec("Fine", "a:B", "f", "s"), AgentSpec("PPO", "a:B", "f", "s"))
GAMES = [GameSpec("envzoo/coding_grid_v0", "a"), 5]
DATASETS = Recipe("envzoo/grid-coverage/random-v0", "CartPole-v1", BehaviourPolicy("Random"), 1.0, "d")
EXPERIMENTS = ExperimentSpec("09", "a:B")
""",
}
GROUPS = ("environments", "agents", "games", "datasets", "experiments")
SMALL = ("--num-envs", "2", "--num-steps", "8", "--hidden", "4", "--no-progress", "--eval-episodes", "3")


def write_broken(folder):
    """Write installed packages that break in different ways, as pip would leave them."""
    for name, text in BROKEN.items():
        (folder / f"broken_{name}.py").write_text(text)
        info = folder / f"broken_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken-{name}\nVersion: 1.0\n")
        lines = [f"[envzoo.{group}]\nbroken_{name} = broken_{name}:{group.upper()}\n" for group in GROUPS]
        (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the plug-in installed by pip, without the network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    shutil.copytree(PACKAGE, source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--target", str(target))
    command = [sys.executable, "-P", "-m", "pip", "install", *options, str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    return target


@pytest.fixture
def run(installed, tmp_path):
    """`run(*arguments)` starts Python in an empty folder, with the plug-in on its path."""

    def start(*arguments, path=(installed,), code=0, **variables):
        env = {**os.environ, "MINARI_DATASETS_PATH": str(tmp_path / "minari"), **variables}
        env["PYTHONPATH"] = os.pathsep.join(map(str, path))
        command = [sys.executable, "-P", *arguments]
        found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
        assert found.returncode == code, found.stdout + found.stderr
        return found

    return start


def commands(*lines):
    """Arguments of Python that run several commands of envzoo in one process; each must end with the exit code 0."""
    program = (
        "import json, sys; from envzoo.scripts.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    code = main(words)\n"
        "    assert code == 0, (words, code)\n"
    )
    return ("-c", program, json.dumps(lines))


def refusals(*lines):
    """As `commands`, of commands that must each end with the exit code 2."""
    first, program, given = commands(*lines)
    return first, program.replace("code == 0", "code == 2"), given


def test_train_kill_resume_and_evaluate(run, tmp_path):
    train = ("train", "Gambler", "plugin/Walk-v0", "--timesteps", "64", "--checkpoint-every", "16", *SMALL)
    run(*commands((*train, "--run-dir", "killed")), code=-signal.SIGKILL, ZOO_PLUGIN_DIE_AT="2")
    assert not (tmp_path / "killed" / "results.json").exists()
    resume = ("train", "Gambler", "plugin/Walk-v0", "--run-dir", "killed", "--resume", "--no-progress")
    evaluate = ("evaluate", "killed", "--episodes", "3", "--stochastic")
    # Without the plug-in, each command says in one sentence what is missing.
    first, second = run(*refusals(resume, evaluate), path=()).stderr.splitlines()
    assert "unknown agent 'Gambler'" in first
    assert "holds an agent 'Gambler' that this version of envzoo does not have" in second
    found = run(*commands((*train, "--run-dir", "whole"), resume, evaluate)).stdout
    assert "Gambler, 3 episodes" in found
    for file in ("agent.zip", "results.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


def test_list_make_dataset_and_reproduce(run, tmp_path):
    reproduce = ("reproduce", "wandering", "--quick", "--launcher", "inline", "--out", "results")
    found = run(*commands(("list",), ("make-dataset", "plugin/walk/gambler-v0", "--quiet"), reproduce)).stdout
    for name in ("plugin/Walk-v0", "Gambler", "plugin/walk/gambler-v0", "On the Wandering of Walkers"):
        assert name in found
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert set(results["arms"]) == {"best", "gambler"}
    made = "import minari; d = minari.load_dataset('plugin/walk/gambler-v0'); print(d.total_episodes, d.env_spec.id);"
    described = "print(minari.namespace.get_namespace_metadata('plugin/walk')['description'])"
    assert run("-c", f"import envzoo; {made} {described}").stdout.splitlines() == [
        "5 plugin/Walk-v0",
        "Walks along a line.",
    ]


def test_pages(run, tmp_path):
    build = ("-m", "envzoo.scripts.build_docs", "--plugin", "zoo_plugin", "--out", "pages")
    run(*build)
    pages = {path.relative_to(tmp_path / "pages").as_posix(): path for path in (tmp_path / "pages").rglob("*.md")}
    assert set(pages) == {"README.md", "environments/Walk.md", "agents/Gambler.md", "papers/wandering/README.md"}
    texts = {name: path.read_text() for name, path in pages.items()}
    assert "plugin/walk/gambler-v0" in texts["README.md"]
    assert "Walk to the last cell." in texts["environments/Walk.md"]
    assert "`plugin/Walk-Short-v0`" in texts["environments/Walk.md"]
    assert 'envzoo.agents.make("Gambler", "plugin/Walk-v0", seed=0)' in texts["agents/Gambler.md"]
    assert "| `gamma` | float | `0.5` | Discount. |" in texts["agents/Gambler.md"]
    assert "**primary.** The best walk is better by less than 1000." in texts["papers/wandering/README.md"]
    links = [(name, link) for name, text in texts.items() for link in re.findall(r"\]\(([^)#]*\.md)\)", text)]
    assert len(links) >= 6
    for name, link in links:
        assert (pages[name].parent / link).exists(), (name, link)
    # What a person adds to an experiment's page stays, a changed page is found, and one of something gone is removed.
    notes = pages["papers/wandering/README.md"]
    notes.write_text(notes.read_text() + "\nMy note.\n")
    (tmp_path / "pages" / "agents" / "Gone.md").write_text(texts["agents/Gambler.md"])
    pages["agents/Gambler.md"].write_text("old")
    program = (
        "from pathlib import Path; from envzoo.scripts.build_docs import main\n"
        "words = ['--plugin', 'zoo_plugin', '--out', 'pages']\n"
        "codes = [main([*words, '--check']), main(words), main([*words, '--check'])]\n"
        "codes += [main(['--plugin', 'json', '--out', 'pages']), main(['--plugin', 'zoo_plugin'])]\n"
        "assert codes == [1, 0, 0, 2, 2], codes\n"
    )
    first, second, third = run("-c", program).stderr.splitlines()
    assert "agents/Gambler.md is not what the code says" in first
    assert "has no environment" in second
    assert "give both, or neither" in third
    assert pages["agents/Gambler.md"].read_text() == texts["agents/Gambler.md"]
    assert notes.read_text().endswith("My note.\n")
    assert not (tmp_path / "pages" / "agents" / "Gone.md").exists()


def test_own_pages_do_not_show_plug_ins(run):
    code = (
        "from envzoo import registration; from envzoo.agents import registry; from envzoo.scripts import experiments;"
        "from envzoo.scripts.docs.tables import environment_table, agent_table, paper_table, comparison_table;"
        "assert 'Gambler' in registry.specs() and 'wandering' in experiments.specs();"
        "text = environment_table('') + agent_table('') + paper_table('') + comparison_table('');"
        "assert 'PPO' in text; assert not [word for word in ('Gambler', 'plugin/', 'wandering') if word in text]"
    )
    run("-c", code)


def test_rows_of_a_plug_in_import_nothing(run):
    code = (
        "import sys, envzoo, gymnasium; from envzoo.agents import specs; from envzoo.datasets.recipes import recipes;"
        "assert 'plugin/Walk-v0' in gymnasium.registry; assert 'Gambler' in specs();"
        "assert 'plugin/walk/gambler-v0' in recipes();"
        "print([m for m in ('torch', 'numba', 'minari', 'zoo_plugin.walk') if m in sys.modules])"
    )
    assert run("-W", "error", "-c", code).stdout.strip() == "[]"


@pytest.mark.parametrize("first", ["zoo_plugin", "zoo_plugin.specs", "zoo_plugin.recipes", "zoo_plugin.gambler"])
def test_the_plug_in_may_be_imported_before_envzoo(run, first):
    code = (
        f"import {first}; from envzoo import registration, agents, datasets;"
        "registration.spec('plugin/Walk-v0'); agents.spec('Gambler'); datasets.recipe('plugin/walk/gambler-v0');"
        "import gymnasium; gymnasium.make('plugin/Walk-v0')"
    )
    run("-W", "error", "-c", code)


def test_broken_plug_ins_give_one_warning_each_and_break_nothing(run, installed, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    write_broken(broken)
    code = (
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    import envzoo\n"
        "    counts = [len(caught)]\n"
        "    from envzoo import agents, datasets, games, registration\n"
        "    from envzoo.scripts import experiments\n"
        "    for _ in range(2):\n"
        "        registration.specs(), agents.specs(), games.games(), datasets.recipes(), experiments.specs()\n"
        "    counts.append(len(caught))\n"
        "    assert 'Gambler' in agents.specs() and 'Fine' not in agents.specs()\n"
        "    assert agents.spec('PPO').entry_point.startswith('envzoo.agents')\n"
        "    assert experiments.specs()['09'].entry_point != 'a:B'\n"
        "    import gymnasium; gymnasium.make('envzoo/GridCoverage-v0'); gymnasium.make('plugin/Walk-v0')\n"
        "import json; print(json.dumps([counts, [str(w.message) for w in caught]]))\n"
    )
    counts, sentences = json.loads(run("-c", code, path=(broken, installed)).stdout)
    assert counts == [len(BROKEN), len(BROKEN) * len(GROUPS)]
    assert len(set(sentences)) == len(sentences)
    for sentence in sentences:
        assert sentence.startswith("the plug-in 'broken_")
        assert " is skipped: " in sentence
        assert len(sentence.splitlines()) == 1


OWN = """
from envzoo import agents, datasets, registration
from envzoo.datasets.recipes import BehaviourPolicy, Recipe
from envzoo.scripts import experiments
from envzoo.specs import ExperimentSpec, kernel
from zoo_plugin.gambler import Gambler

class Mine(Gambler):
    '''My own agent.'''

agents.register("Mine", Mine)
registration.register(kernel("mine/Walk-v0", "zoo_plugin.walk:Walk", "walks", "A walk", max_episode_steps=20))
datasets.register(Recipe("mine/walk-v0", "mine/Walk-v0", BehaviourPolicy("Random"), 1.0, "Walks.", episodes=3))
experiments.register(ExperimentSpec("mine", "zoo_plugin.experiment:EXPERIMENT"))
"""


def test_a_module_named_with_import(run, tmp_path):
    (tmp_path / "my_things.py").write_text(OWN)
    named = ("--import", "my_things")
    train = ("train", "Mine", "mine/Walk-v0")
    small = ("--timesteps", "48", "--checkpoint-every", "16", *SMALL)
    killed = (*train, *small, "--run-dir", "run", *named)
    run(*commands(killed), code=-signal.SIGKILL, ZOO_PLUGIN_DIE_AT="2")
    # Neither a run nor a file imports the module by itself.
    resume = (*train, "--run-dir", "run", "--resume", "--no-progress")
    evaluate = ("evaluate", "run", "--episodes", "3", "--stochastic")
    found = run(*refusals(resume, evaluate, ("train", "PPO", "mine/Walk-v0"), ("make-dataset", "mine/walk-v0")))
    first, second, third, fourth = found.stderr.splitlines()
    assert "unknown agent 'Mine'" in first
    assert "--import MODULE" in first
    assert "holds an agent 'Mine'" in second
    assert "mine/Walk-v0" in third
    assert "unknown dataset 'mine/walk-v0'" in fourth
    # The module is found in the current folder. Two seeds run in processes of their own, which import it again.
    two = (*train, *small, "--run-dir", "two", "--seeds", "2", "--processes", "2")
    reproduce = ("reproduce", "mine", "--quick", "--launcher", "inline", "--out", "results")
    lines = (resume, evaluate, two, ("list",), ("make-dataset", "mine/walk-v0", "--quiet"), reproduce)
    found = run(*commands(*((*line, *named) for line in lines))).stdout
    assert "Mine, 3 episodes" in found
    for name in ("mine/Walk-v0", "My own agent.", "mine/walk-v0"):
        assert name in found
    assert (tmp_path / "two" / "seed1" / "results.json").exists()
    assert (tmp_path / "results" / "results.json").exists()


@pytest.mark.parametrize("words", [("list",), ("train", "PPO"), ("evaluate",), ("make-dataset",), ("reproduce",)])
def test_help_names_import(words, capsys):
    with contextlib.suppress(SystemExit):
        assert main([*words, "--help"]) == 0
    assert "--import MODULE" in " ".join(capsys.readouterr().out.split())


def test_import_refuses_with_one_sentence(run, tmp_path):
    (tmp_path / "broken_module.py").write_text("raise ValueError('first\\nsecond')")
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)")
    code = (
        "import sys, json; from envzoo.scripts.cli import main\n"
        "for flags in json.loads(sys.argv[1]):\n"
        "    assert main(['list', *flags]) == 2, flags\n"
    )
    cases = {
        ("--import",): "--import takes the name of a module",
        ("--import", "--help"): "--import takes the name of a module",
        ("--import=",): "--import takes the name of a module",
        ("--import", "my_file.py"): "without .py",
        ("--import", "a/b"): "takes the name of a module",
        ("--import", "no_such_module"): "No module named 'no_such_module'",
        ("--import", "broken_module"): "ValueError: first second",
        ("--import", "leaving"): "SystemExit: 0",
    }
    lines = run("-c", code, json.dumps(list(map(list, cases)))).stderr.splitlines()
    assert len(lines) == len(cases)
    for line, part in zip(lines, cases.values(), strict=True):
        assert line.startswith("envzoo: error: ")
        assert part in line


def test_resume_commands_repeat_import(run, tmp_path):
    (tmp_path / "my_things.py").write_text("")
    code = (
        "from envzoo.scripts.import_modules import import_modules; import_modules(['my_things', 'my_things'])\n"
        "from pathlib import Path; from envzoo.scripts.training import resume_command\n"
        "from envzoo.scripts.train_seeds import group_command\n"
        "print(resume_command({'agent': 'Mine', 'source': 'm/W-v0'}, Path('run')))\n"
        "print(group_command('Mine', 'm/W-v0', Path('run')))\n"
    )
    expected = "envzoo train Mine m/W-v0 --run-dir run --resume --import my_things"
    assert run("-c", code).stdout.splitlines() == [expected] * 2
