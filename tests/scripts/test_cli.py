"""The command line: help, lists, interruptions, and mistakes of the program itself."""

import ast
import dataclasses
import inspect
import itertools
import re
import signal
import textwrap

import cli_runs
import pytest
from cli_runs import TRAIN, resume

from envzoo import agents
from envzoo.agents.registry import agent_class
from envzoo.papers import papers
from envzoo.registration import specs as environment_specs
from envzoo.scripts.cli import COMMANDS, main, run
from envzoo.scripts.train import TrainOptions, parse_keywords

pytestmark = pytest.mark.any_arithmetic

in_an_empty_folder, finished = cli_runs.in_an_empty_folder, cli_runs.finished
run_dir, refused = cli_runs.run_dir, cli_runs.refused


def help_of(argv, capsys):
    capsys.readouterr()
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code or 0) == 0
    assert err == ""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", out).split())


def written(command):
    return hasattr(__import__(COMMANDS[command][0], fromlist=["command"]), "command")


# ---------------------------------------------------------------------------- help


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_program_explains_its_commands(argv, capsys):
    text = help_of(argv, capsys)
    for name, (_, summary) in COMMANDS.items():
        assert name in text
        assert summary in text


@pytest.mark.parametrize("command", ["reproduce", "evaluate", "train"])
def test_arguments_after_the_options_are_named(command, refused):
    flag = "--quick" if command == "reproduce" else "--timesteps=5" if command == "train" else "--episodes=3"
    first = ["PPO", "CartPole-v1"] if command == "train" else []
    refused([command, *first, flag, "nine"], "unexpected nine: arguments come before the options")


def test_version(capsys):
    from envzoo import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"envzoo {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    if not written(command):
        pytest.skip(f"{command} is not written yet")
    text = help_of([command, "--help"], capsys)
    assert f"envzoo {command}" in text
    assert len(text) > 80


def documented(cls):
    """The docstring under each field of a dataclass and of those it extends, from their source."""
    found = {}
    for base in reversed([base for base in cls.__mro__ if dataclasses.is_dataclass(base)]):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        except OSError:  # made by `make_dataclass`: its fields are described in its bases
            continue
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(text.value.value.split())
    return found


@pytest.mark.parametrize("agent", agents.specs())
def test_help_of_train_explains_every_option_and_hyperparameter(agent, capsys):
    config = agent_class(agent).Config
    text = help_of(["train", agent, "--help"], capsys)
    for cls in (TrainOptions, config):
        meanings = documented(cls) if dataclasses.fields(cls) else {}
        assert set(meanings) == {field.name for field in dataclasses.fields(cls)}
        for name, meaning in meanings.items():
            assert f"--{name.replace('_', '-')}" in text
            assert meaning in text


def test_help_of_train_shows_the_agents(capsys):
    text = help_of(["train", "--help"], capsys)
    for name in agents.specs():
        assert name in text


def test_without_an_agent_train_shows_them_and_fails(capsys):
    assert main(["train"]) == 2
    assert "PPO" in capsys.readouterr().err


# ---------------------------------------------------------------------------- list


def listed(argv, capsys):
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_list_shows_everything(capsys):
    environments = listed(["list", "envs"], capsys)
    assert all(f" {spec.id} " in environments for spec in environment_specs())
    found = listed(["list", "agents"], capsys)
    assert all(f" {name} " in found for name in agents.specs())
    found = listed(["list", "papers"], capsys)
    for number, paper in papers().items():
        assert number in found
        assert paper.title in found
    datasets = listed(["list", "datasets"], capsys)
    assert "envzoo/grid-coverage/medium-v0" in datasets
    everything = listed(["list"], capsys)
    assert environments in everything
    assert datasets in everything


def test_list_refuses_other_words(refused):
    refused(["list", "env"], "unknown kind of list 'env'", "did you mean 'envs'?")


# ---------------------------------------------------------------------------- details


def test_keywords_are_json_where_they_parse():
    given = ("rows=12", "start=centre", 'weights={"a": [1]}', "mask=true", "name=x=y", "empty=")
    assert parse_keywords(given) == {
        **{"rows": 12, "start": "centre", "weights": {"a": [1]}, "mask": True, "name": "x=y", "empty": ""}
    }


def test_ctrl_c_and_closed_pipes_end_quietly(monkeypatch, capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("envzoo.scripts.list.command", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "envzoo: stopped\n"


def test_mistakes_of_the_program_are_not_hidden(monkeypatch):
    def broken(argv):
        raise RuntimeError("a bug")

    monkeypatch.setattr("envzoo.scripts.list.command", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(["list"])


def test_the_first_ctrl_c_stops_after_the_iteration_with_the_resume_command(finished, tmp_path, monkeypatch, capsys):
    cls = agent_class("PPO")
    update = cls.update

    def interrupted(self, rollout):
        if self.iteration == 0:
            signal.raise_signal(signal.SIGINT)
        return update(self, rollout)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cls, "update", interrupted)
    assert main([*TRAIN, "--run-dir", "stopped", "--checkpoint-every", "8"]) == 130
    out, err = capsys.readouterr()
    assert "press Ctrl-C again to stop immediately" in err
    command = out.splitlines()[-1].split()
    assert command == ["envzoo", *resume("stopped")[:-1]]
    assert [path.name for path in (tmp_path / "stopped" / "checkpoints").iterdir()] == ["checkpoint-8.zip"]
    assert not (tmp_path / "stopped" / "agent.zip").exists()
    assert signal.getsignal(signal.SIGINT) == before
    monkeypatch.setattr(cls, "update", update)
    assert main([*command[1:], "--no-progress"]) == 0
    assert (tmp_path / "stopped" / "agent.zip").read_bytes() == (finished / "agent.zip").read_bytes()
