"""The table of environments, and what importing envzoo does and does not do."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

import envzoo
from envzoo import agents, datasets, games, registration
from envzoo.agents import registry
from envzoo.datasets.recipes import BehaviourPolicy, Recipe
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.papers import all_papers, read
from envzoo.scripts import experiments
from envzoo.specs import AgentSpec, EnvironmentSpec, ExperimentSpec, load

IDS = [row.id for row in registration.own_specs()]


def test_table_is_consistent():
    assert len(set(IDS)) == len(IDS)
    for row in registration.own_specs():
        assert row.id.startswith("envzoo/")
        assert row.entry_point.startswith(f"envzoo.{row.family}.")
        assert row.summary
        assert row.summary[-1] != "."
        assert row.paper is None or row.paper in all_papers().values()
        assert registration.spec(row.id) is row
    with pytest.raises(UnknownNameError, match="did you mean 'envzoo/GridCoverage-v0'"):
        registration.spec("envzoo/GridCoverag-v0")


@pytest.mark.parametrize("name", IDS)
def test_every_id_is_made_both_ways_and_has_a_manual(name):
    manual = registration.spec(name).manual()
    for heading in ("Description", "Action space", "Observation space", "Reward", "End of an episode", "Arguments"):
        assert f"## {heading}" in manual
    assert f"`{name}`" in manual.split("## Registered ids")[1]
    if registration.spec(name).extra:
        pytest.importorskip(registration.spec(name).extra)
    single, vector = gym.make(name), gym.make_vec(name, num_envs=2)
    assert single.observation_space == vector.single_observation_space
    assert single.action_space == vector.single_action_space
    single.reset(seed=0)
    single.step(single.action_space.sample())
    vector.reset(seed=0)
    vector.step(vector.action_space.sample())
    assert gym.make(single.spec).spec == single.spec
    assert gym.make_vec(vector.spec).spec == vector.spec


def test_registering_again_changes_nothing(recwarn):
    before = {name: gym.registry[name] for name in IDS}
    registration.register_all()
    assert all(gym.registry[name] is before[name] for name in IDS)
    assert not recwarn.list


def test_import_is_light():
    heavy = ("torch", "numba", "minari", "matplotlib", "pettingzoo", "scipy", "PIL")
    code = (
        "import sys, envzoo, gymnasium; "
        f"assert 'envzoo/GridCoverage-v0' in gymnasium.registry; print([m for m in {heavy} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert envzoo.__version__


TABLES = {
    "environment": (registration.register, lambda: registration.specs()[0]),
    "game": (games.register, lambda: next(iter(games.games().values()))),
    "experiment": (experiments.register, lambda: experiments.specs()["09"]),
    "dataset": (datasets.register, lambda: next(iter(datasets.recipes().values()))),
}


@pytest.mark.parametrize("what", TABLES)
def test_a_name_that_is_taken_is_refused_with_one_sentence(what):
    register, existing = TABLES[what]
    for row in (existing(), dataclasses.replace(existing())):
        with pytest.raises(EnvzooError, match=rf"^there is an? {what} '.*' already; choose another name$"):
            register(row)
    with pytest.raises(EnvzooError, match=r"^expected a \w+, got 3$"):
        register(3)


def test_a_name_of_an_agent_that_is_taken_is_refused():
    with pytest.raises(EnvzooError, match=r"^there is an agent 'PPO' already"):
        agents.register("PPO", "a:B")


def test_own_rows_are_those_of_the_families():
    row = EnvironmentSpec("test/Own-v0", "a:B")
    registration.register(row)
    try:
        assert row in registration.specs()
        assert "test/Own-v0" in gym.registry
        assert row not in registration.own_specs()
        with pytest.raises(EnvzooError, match="there is an environment 'test/Own-v0' already"):
            registration.register(row)
    finally:
        registration._ENVIRONMENTS.remove(row.id)
        del gym.registry["test/Own-v0"]
    assert row not in registration.specs()


def test_what_gymnasium_refuses_is_not_in_the_table():
    gym.register("test/Unversioned", "a:B")
    try:
        with pytest.raises(EnvzooError, match="Gymnasium cannot register test/Unversioned-v0"):
            registration.register(EnvironmentSpec("test/Unversioned-v0", "a:B"))
    finally:
        del gym.registry["test/Unversioned"]
    assert "test/Unversioned-v0" not in [row.id for row in registration.specs()]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: EnvironmentSpec("a/b/C-v0", "a:B"), "the id of an environment has the form namespace/Name-vN"),
        (lambda: EnvironmentSpec("a/C", "a:B"), "the id of an environment has the form namespace/Name-vN"),
        (lambda: EnvironmentSpec(3, "a:B"), "the id of an environment has the form namespace/Name-vN, got 3"),
        (lambda: EnvironmentSpec("a/C-v0", "a.B"), "a table names things as 'module:name', got 'a.B'"),
        (lambda: EnvironmentSpec("a/C-v0", len), "a table names things as 'module:name', got <built-in"),
        (lambda: EnvironmentSpec("a/C-v0", "a:B", "a:"), "a table names things as 'module:name', got 'a:'"),
        (lambda: EnvironmentSpec("a/C-v0", "a:B", kwargs=3), "kwargs of a/C-v0 is a dict, got 3"),
        (lambda: EnvironmentSpec("a/C-v0", "a:B", paper="09-submodula"), "did you mean '09-submodular'"),
        (lambda: AgentSpec("A", "a", "f", "s"), "a table names things as 'module:name', got 'a'"),
        (lambda: ExperimentSpec("a b", "a:B"), "the name of an experiment has the form my-experiment, got 'a b'"),
        (lambda: Recipe("a/b", "C-v0", BehaviourPolicy("Random"), 1.0, "d"), "the id of a dataset has the form"),
        (
            lambda: Recipe("a/b-v0", "C-v0", "Random", 1.0, "d"),
            "policy of a/b-v0 is a BehaviourPolicy, a LongTraining, a ScriptedPolicy",
        ),
        (lambda: load("envzoo.specs"), "a table names things as 'module:name'"),
        (lambda: load("envzoo.specs:nothing"), "the module envzoo.specs has no nothing"),
    ],
)
def test_rows_of_another_form_are_refused_with_one_sentence(make, sentence):
    with pytest.raises(EnvzooError) as error:
        make()
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[09-a]\ntitle="t"\nauthors="a"\nyear=1\n[09-b]\ntitle="t"\nauthors="a"\nyear=1\n', "number 09"),
        ('[a]\ntitle="t"\nauthors="a"\nyear=1\n[a]\ntitle="t"\n', "is not a table of papers"),
        ('[a]\ntitle="t"\n', "is not a table of papers"),
        ("a = 3\n", "is not a table of papers"),
        ("[a\n", "is not a table of papers"),
    ],
)
def test_a_table_of_papers_with_faults_is_refused(text, sentence, tmp_path):
    file = tmp_path / "papers.toml"
    file.write_text(text)
    with pytest.raises(EnvzooError, match=sentence):
        read(file)


def test_short_tables_stay_short():
    for module in (registration, registry):
        assert len(Path(module.__file__).read_text(encoding="utf-8").splitlines()) < 150
