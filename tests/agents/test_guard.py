"""Names in files: for no agent does an id, path, model name or keyword import, open or fetch anything."""

import dataclasses
import json
import sys
import typing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import gymnasium as gym
import pytest

from envzoo import agents, registration
from envzoo.agents import checkpoint, guard
from envzoo.agents.baselines.random import Random
from envzoo.agents.registry import agent_class
from envzoo.agents.source import Source
from envzoo.agents.spec import Holds, held_fields
from envzoo.errors import CheckpointError, EnvzooError, RunDirectoryError

pytestmark = pytest.mark.any_arithmetic

_spec = spec_from_file_location("contract", Path(__file__).with_name("test_contract.py"))
contract = module_from_spec(_spec)
_spec.loader.exec_module(contract)
dataset = contract.dataset

EVIL = "evilmod:Foo-v0"
BOTH = {"receiver": "player"}
SMALL = "envzoo/CodingGridSmall-v0"


def text_fields(config):
    """The fields of a config that take any text."""
    hints = typing.get_type_hints(config)
    kinds = {name: {hint, *typing.get_args(hint)} for name, hint in hints.items()}
    return [field.name for field in dataclasses.fields(config) if str in kinds[field.name]]


FIELDS = [(name, field) for name in agents.specs() for field in text_fields(agent_class(name).Config)]
HELD = [(name, field) for name in agents.specs() for field in held_fields(agent_class(name).Config)]


class Finder:
    """Stands first among the finders of modules and writes down what is looked for."""

    def __init__(self):
        self.asked = []

    def find_spec(self, name, path=None, target=None):
        self.asked.append(name)


_opened = None


def _listen(event, arguments):
    if _opened is not None and event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
        _opened.append(str(arguments[0]))


sys.addaudithook(_listen)


@pytest.fixture
def watched(monkeypatch):
    """`watched(load)` runs it; gives the sentence or None, the modules that were looked for, and what was opened."""
    finder = Finder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])

    def run(load):
        global _opened
        sentence, finder.asked, _opened = None, [], []
        try:
            load()
        except EnvzooError as error:
            sentence = str(error)
            assert len(sentence.splitlines()) == 1
        finally:
            opened, _opened = _opened, None
        return sentence, list(finder.asked), opened

    return run


@pytest.fixture(scope="module")
def saved(tmp_path_factory, dataset):
    """`saved(name)` is a file of the agent, made once."""
    folder, made = tmp_path_factory.mktemp("saved"), {}

    def save(name):
        if name not in made:
            agent = contract.make_example(name, dataset)
            made[name] = folder / f"{name}.zip"
            agent.save(made[name])
            agents.load(made[name], agent.source.given, device="cpu")  # compiles, imports and opens what it needs
        return made[name]

    return save


def changed(path, target, change):
    header, state = checkpoint.read(path)
    change(header, state)
    checkpoint.save(target, header, state)
    return target


def set_config(**values):
    return lambda header, state: header["config"].update(values)


# ---------------------------------------------------------------------------- every field of every config


@pytest.mark.parametrize(("name", "field"), HELD)
def test_a_field_that_names_something_outside_is_refused(name, field, saved, tmp_path, watched):
    path = changed(saved(name), tmp_path / "a.zip", set_config(**{field: EVIL}))
    sentence, asked, opened = watched(lambda: agents.load(path, device="cpu"))
    assert sentence is not None
    assert EVIL in sentence
    assert "evilmod" not in asked
    assert {Path(name) for name in opened} <= {path}


@pytest.mark.parametrize(("name", "field"), [pair for pair in FIELDS if pair not in HELD])
def test_no_other_text_of_a_config_reaches_an_import_or_a_file(name, field, saved, tmp_path, watched, dataset):
    source = contract.stand_in(name, dataset) if contract.is_dataset(name) else None
    for text in (EVIL, "/etc/passwd", str(tmp_path)):
        path = changed(saved(name), tmp_path / "a.zip", set_config(**{field: text}))
        _, asked, opened = watched(lambda path=path: agents.load(path, source, device="cpu"))
        assert not [module for module in asked if module.startswith("evilmod")]
        outside = [name for name in opened if Path(name) != path and not name.endswith((".nbi", ".nbc"))]
        assert [name for name in outside if "minari" not in name] == []


def test_the_fields_that_are_known_to_name_something_say_so():
    kinds = {(field, held.kind) for name, field in HELD for held in [held_fields(agent_class(name).Config)[field]]}
    assert kinds >= {("carrier", "agent"), ("carrier_env", "environment"), ("model", "model")}


def test_a_field_of_an_agent_of_ones_own_is_guarded_by_its_declaration(tmp_path, watched):
    @dataclasses.dataclass(frozen=True)
    class OpenerConfig:
        teacher: Annotated[str, Holds("agent")] = ""
        net: Annotated[str | None, Holds("model")] = None

    class Opener(Random):
        Config = OpenerConfig

        def __init__(self, source, config, **keywords):
            super().__init__(source, config, **keywords)
            if config.net:
                Path(config.net).read_text()

    agents.register("Opener", Opener)
    try:
        agent = agents.make("Opener", SMALL, device="cpu")
        agent.save(tmp_path / "a.zip")
        assert agents.load(tmp_path / "a.zip").config == agent.config
        for field in ("teacher", "net"):
            path = changed(tmp_path / "a.zip", tmp_path / "b.zip", set_config(**{field: "/etc/passwd"}))
            sentence, _, opened = watched(lambda path=path: agents.load(path))
            assert "names the" in sentence
            assert opened == [str(path)]
    finally:
        agents.registry.unregister("Opener")


# ---------------------------------------------------------------------------- environments and keywords


def test_ids_are_judged_at_any_depth(tmp_path, watched):
    agent = agents.make("MECB", SMALL, env_kwargs=BOTH, device="cpu")
    agent.save(tmp_path / "mecb.zip")
    path = changed(tmp_path / "mecb.zip", tmp_path / "a.zip", set_config(carrier="PPO", carrier_env=EVIL))
    sentence, asked, _ = watched(lambda: agents.load(path))
    assert f"{path} names the environment '{EVIL}', which needs a module that is not imported" in sentence
    assert "evilmod" not in asked
    with guard.reading("a file"), pytest.raises(CheckpointError, match="a file names the environment"):
        agents.make("PPO", EVIL)


def test_an_imported_module_may_be_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "goodmod", SimpleNamespace())
    with guard.reading("a file"):
        guard.check_environment("goodmod:CartPole-v1")
        with pytest.raises(CheckpointError):
            guard.check_environment("goodmod:NotRegistered-v0")


KEYWORDS = {
    "render_mode": ("CartPole-v1", {"render_mode": "human"}),
    "our-render-mode": ("envzoo/GridCoverage-v0", {"render_mode": "rgb_array"}),
    "vectorization_mode": ("CartPole-v1", {"vectorization_mode": "async"}),
    "wrappers": ("CartPole-v1", {"wrappers": [EVIL]}),
    "a-path": ("CartPole-v1", {"xml_file": "/etc/passwd"}),
    "a-path-inside": ("CartPole-v1", {"options": {"files": [["/etc/passwd"]]}}),
    "ours-inside": ("envzoo/GridCoverage-v0", {"config": {"path": "/etc/passwd"}}),
}


@pytest.mark.parametrize("case", KEYWORDS)
def test_keywords_in_a_file_that_are_refused(case, tmp_path, monkeypatch):
    name, keywords = KEYWORDS[case]
    agents.make("Random", name, device="cpu").save(tmp_path / "valid.zip")
    path = changed(tmp_path / "valid.zip", tmp_path / "a.zip", lambda h, s: h.update(env_kwargs=keywords))
    made = []
    monkeypatch.setattr(gym, "make", lambda *a, **k: made.append(a))
    with pytest.raises(CheckpointError, match=r"give the source|may be a path"):
        agents.load(path)
    assert made == []


def test_whoever_gives_the_source_vouches_for_its_keywords(tmp_path):
    agent = agents.make("Random", "FrozenLake-v1", env_kwargs={"map_name": "8x8"}, device="cpu")
    agent.save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="sets a keyword of FrozenLake-v1 to the text '8x8'"):
        agents.load(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip", "FrozenLake-v1").source.env_kwargs == {"map_name": "8x8"}


def test_words_for_our_own_environments_need_no_one_to_vouch(tmp_path):
    agent = agents.make("Random", "envzoo/GridCoverage-v0", env_kwargs={"start": "random", "rows": 4})
    agent.save(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip").source.env_kwargs == {"start": "random", "rows": 4}


def test_words_for_environments_of_others_need_someone_to_vouch():
    row = registration.EnvironmentSpec("others/Words-v0", "gymnasium.envs.classic_control:CartPoleEnv", summary="words")
    registration.register(row)
    try:
        with guard.reading("a file"), pytest.raises(CheckpointError, match="which may be a path"):
            guard.check_keywords(row.id, {"file": "/etc/passwd"})
        guard.check_keywords(row.id, {"file": "/etc/passwd"})  # the user's own word
    finally:
        registration._ENVIRONMENTS.remove(row.id)
        gym.registry.pop(row.id)


def test_how_an_environment_was_drawn_is_not_stored(tmp_path):
    agents.make("Random", "CartPole-v1", env_kwargs={"render_mode": "rgb_array"}).save(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip").source.env_kwargs == {}


def test_the_environment_that_a_dataset_names_is_judged_as_well(watched):
    def source(**facts):
        spec = gym.envs.registration.EnvSpec("CartPole-v1", entry_point="evilmod:Env", **facts)
        wrapper = gym.envs.registration.WrapperSpec("Evil", "evilmod:Wrapper", {})
        spec.additional_wrappers = (wrapper,)
        return Source(
            "dataset", "d", "d", None, None, {}, SimpleNamespace(env_spec=spec, spec=SimpleNamespace(dataset_id="d-v0"))
        )

    sentence, asked, _ = watched(lambda: source().evaluation_env(2))
    assert (sentence, "evilmod" in asked) == (None, False)  # the registered environment, without the wrapper
    for keywords in ({"xml_file": "/etc/passwd"}, {"wrappers": []}):
        sentence, *_ = watched(lambda keywords=keywords: source(kwargs=keywords).evaluation_env(2))
        assert "dataset d-v0 is refused" in sentence


# ---------------------------------------------------------------------------- files within files


@pytest.fixture
def carried(tmp_path):
    """A file of an agent with a carrier that came from another file."""
    agents.make("PPO", "FrozenLake-v1", device="cpu", hidden=(4,)).save(tmp_path / "carrier.zip")
    agent = agents.make("MECB", SMALL, env_kwargs=BOTH, device="cpu", carrier=str(tmp_path / "carrier.zip"))
    agent.save(tmp_path / "mecb.zip")
    return tmp_path / "mecb.zip"


def test_a_carrier_travels_in_the_file_and_its_own_file_is_not_opened(carried, watched):
    (carried.parent / "carrier.zip").unlink()
    found = []
    sentence, _, opened = watched(lambda: found.append(agents.load(carried, device="cpu")))
    assert sentence is None
    assert opened == [str(carried)]
    found[0].save(carried.parent / "again.zip")
    assert (carried.parent / "again.zip").read_bytes() == carried.read_bytes()


def test_a_file_that_names_itself(carried, watched):
    def name_itself(header, state):
        header["config"]["carrier"] = str(path)
        state["parts"].pop("carrier_agent")

    path = carried.parent / "self.zip"
    changed(carried, path, name_itself)
    sentence, _, opened = watched(lambda: agents.load(path))
    assert f"{path} names the file" in sentence
    assert opened == [str(path)]
    sentence, *_ = watched(lambda: agents.make("MECB", SMALL, env_kwargs=BOTH, carrier=str(path)))
    assert "carrier is 'planner', the name of an agent, or a readable file" in sentence


def test_a_carrier_has_no_carrier_of_its_own(carried, watched):
    def nest(header, state):
        outer = checkpoint.read(carried)
        state["parts"]["carrier_agent"] = {"header": outer[0], "state": outer[1]}

    path = changed(carried, carried.parent / "nested.zip", nest)
    sentence, *_ = watched(lambda: agents.load(path))
    assert "contains an agent that contains another" in sentence


def test_a_carrier_in_a_file_is_judged_like_a_file(carried, watched):
    def aim(header, state):
        state["parts"]["carrier_agent"]["header"]["source"] = EVIL

    path = changed(carried, carried.parent / "b.zip", aim)
    sentence, asked, _ = watched(lambda: agents.load(path))
    assert EVIL in sentence
    assert "evilmod" not in asked


# ---------------------------------------------------------------------------- agents of one's own


class Quiet(Random):
    """Random, by another name."""


@pytest.fixture
def registered():
    before = set(agents.specs())
    yield agents.register
    for name in set(agents.specs()) - before:
        agents.registry.unregister(name)


def test_a_class_that_is_not_registered_cannot_be_saved(tmp_path, registered):
    agents.make("Random", SMALL)
    agent = Quiet(agents.make("Random", SMALL).source, Quiet.Config(), device="cpu")
    with pytest.raises(EnvzooError) as error:
        agent.save(tmp_path / "a.zip")
    assert str(error.value) == (
        "Quiet is not registered, so its file would be loaded as Random; register it first, with "
        "envzoo.agents.register('Quiet', Quiet)"
    )
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("how", ["class", "module:Class"])
def test_a_registered_class_comes_back_as_itself(tmp_path, registered, how, monkeypatch):
    monkeypatch.setitem(sys.modules, "quiet_module", SimpleNamespace(Quiet=Quiet))
    found = registered("Quiet", Quiet if how == "class" else "quiet_module:Quiet", sources=("environment", "game"))
    assert found.sources == ("environment", "game")
    agent = agents.make("Quiet", SMALL, device="cpu")
    agent.save(tmp_path / "a.zip")
    assert type(agent) is type(agents.load(tmp_path / "a.zip")) is Quiet
    assert checkpoint.read_header(tmp_path / "a.zip")["agent"] == "Quiet"
    assert type(agents.make("Random", SMALL)) is Random
    agents.registry.unregister("Quiet")
    with pytest.raises(CheckpointError, match=r"holds an agent 'Quiet' that this version .* registered first"):
        agents.load(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("name", "agent", "facts", "expected"),
    [
        ("PPO", Quiet, {}, "there is an agent 'PPO' already"),
        ("not a name", Quiet, {}, "is a Python identifier"),
        (3, Quiet, {}, "is a Python identifier"),
        ("Quiet", dict, {}, "agent is a subclass"),
        ("Quiet", "no_colon", {}, "agent is a subclass"),
        ("Quiet", Quiet, {"colour": 1}, "unknown fact about an agent 'colour'"),
    ],
)
def test_registrations_that_are_refused(registered, name, agent, facts, expected):
    with pytest.raises(EnvzooError, match=expected):
        registered(name, agent, **facts)
    assert "Quiet" not in agents.specs()


# ---------------------------------------------------------------------------- run directories


def test_a_run_file_may_name_no_more_than_an_agent_file(tmp_path, watched):
    from envzoo.scripts.train import train

    train("MECB", SMALL, env_kwargs=BOTH, timesteps=5, run_dir=str(tmp_path / "run"), progress=False, eval_episodes=1)
    for checkpoint_file in (tmp_path / "run" / "checkpoints").iterdir():
        checkpoint_file.unlink()
    for name in ("results.json", "agent.zip"):  # so that there is something left to do
        (tmp_path / "run" / name).unlink()
    file = tmp_path / "run" / "run.json"
    facts = json.loads(file.read_text())
    for given in ({"carrier": "PPO", "carrier_env": EVIL}, {"carrier": "/etc/passwd"}):
        stored = {**facts["hyperparameters"], **given}
        file.write_text(json.dumps({**facts, "given": given, "hyperparameters": stored}))
        sentence, asked, opened = watched(
            lambda: train("MECB", SMALL, run_dir=str(tmp_path / "run"), resume=True, progress=False)
        )
        assert "run.json names the" in sentence
        assert "evilmod" not in asked
        assert "/etc/passwd" not in opened


def test_the_command_line_imports_nothing_that_a_file_names(tmp_path, watched, capsys):
    from envzoo.scripts.cli import main

    agents.make("MECB", SMALL, env_kwargs=BOTH, device="cpu").save(tmp_path / "mecb.zip")
    path = changed(tmp_path / "mecb.zip", tmp_path / "a.zip", set_config(carrier="PPO", carrier_env=EVIL))
    codes = []
    _, asked, _ = watched(lambda: codes.append(main(["evaluate", str(path), "--episodes", "1"])))
    assert codes == [2]
    assert "which needs a module that is not imported" in " ".join(capsys.readouterr().err.split())
    assert "evilmod" not in asked


DAMAGED = {
    "threads": 10**9,
    "seed": -1,
    "timesteps": "many",
    "eval_every": True,
    "eval_episodes": 0,
    "env_kwargs": [],
    "given": None,
    "agent": ["PPO"],
    "source": {"id": EVIL},
    "checkpoint_every": "often",
    "stop_at": [1],
    "wrapper": ["FlattenObservation", 1],
    "tag": [1],
    "csv": "yes",
    "wandb": True,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_facts_of_a_run_that_no_run_has(name, tmp_path):
    from envzoo.scripts.plot import plot
    from envzoo.scripts.run_directory import FACTS, RunDirectory

    good = dict.fromkeys(FACTS, 1) | {"agent": "PPO$x$", "source": "s", "device": "cpu", "env_kwargs": {}}
    good |= {"hyperparameters": {}, "given": {}, "eval_stochastic": False, "tag": ["a"], "csv": True, "wandb": None}
    good["wrapper"] = ["FlattenObservation"]
    (tmp_path / "run.json").write_text(json.dumps(good))
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1, "timesteps": 4, "eval/return_mean": 1.0}\n')
    assert RunDirectory(tmp_path).facts() == good
    assert plot([str(tmp_path)], str(tmp_path / "a.png")).is_file()
    (tmp_path / "run.json").write_text(json.dumps({**good, name: DAMAGED[name]}))
    with pytest.raises(RunDirectoryError, match=rf"run.json is damaged \({name} is "):
        RunDirectory(tmp_path).facts()
