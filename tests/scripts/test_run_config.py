"""`config.toml` of a run, and `envzoo train --config`."""

import csv
import json
import shutil
import sys
import tomllib

import cli_runs
import pytest
from cli_runs import GRID, TRAIN, resume

from envzoo.scripts.cli import main
from envzoo.scripts.run_config import read_config, write_config
from envzoo.scripts.run_directory import RunDirectory

pytestmark = pytest.mark.any_arithmetic

in_an_empty_folder, finished = cli_runs.in_an_empty_folder, cli_runs.finished
run_dir, refused = cli_runs.run_dir, cli_runs.refused


def facts_of(path, *without):
    return {name: value for name, value in RunDirectory(path).facts().items() if name not in ("versions", *without)}


def test_a_run_is_repeated_from_its_own_file(run_dir, tmp_path):
    again = tmp_path / "again"
    assert main(["train", "--config", str(run_dir / "config.toml"), "--run-dir", str(again), "--no-progress"]) == 0
    assert facts_of(again, "given") == facts_of(run_dir, "given")
    assert (again / "config.toml").read_bytes() == (run_dir / "config.toml").read_bytes()
    for name in ("results.json",):
        assert (again / name).read_bytes() == (run_dir / name).read_bytes()


def test_the_command_line_comes_first(run_dir, tmp_path):
    other = tmp_path / "other"
    flags = ["--seed", "7", "--gamma", "0.5", "--timesteps", "8", "--env-kwargs", "horizon=5", "--no-progress"]
    command = ["train", "PPO", GRID[0], "--config", str(run_dir / "config.toml"), "--run-dir", str(other), *flags]
    assert main(command) == 0
    before, after = facts_of(run_dir, "given"), facts_of(other, "given")
    assert (after["seed"], after["timesteps"], after["hyperparameters"]["gamma"]) == (7, 8, 0.5)
    assert after["env_kwargs"] == before["env_kwargs"] | {"horizon": 5}
    assert after["hyperparameters"] == before["hyperparameters"] | {"gamma": 0.5}


def test_hyperparameters_of_another_agent_are_left_out(run_dir, tmp_path):
    other = tmp_path / "other"
    flags = ["--hidden", "4", "--learning-starts", "4", "--batch-size", "4", "--timesteps", "8", "--no-progress"]
    config = ["--config", str(run_dir / "config.toml"), "--run-dir", str(other)]
    assert main(["train", "DQN", GRID[0], *config, *flags]) == 0
    assert facts_of(other)["agent"] == "DQN"
    assert facts_of(other)["env_kwargs"] == facts_of(run_dir)["env_kwargs"]


def test_settings_survive_writing_and_reading(finished, tmp_path):
    facts = facts_of(finished)
    facts |= {"tag": ['a "quoted" tag', "Ü\n"], "stop_at": None, "checkpoint_every": 5, "env_kwargs": {"a": [1, 2.5]}}
    facts["hyperparameters"] = facts["hyperparameters"] | {"max_grad_norm": None, "gamma": 1e-7}
    text = write_config(facts)
    tomllib.loads(text)
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    found = read_config(str(tmp_path / "c.toml"))
    assert found == {name: facts[name] for name in found}
    assert {"agent", "source", "tag", "stop_at", "hyperparameters", "env_kwargs"} <= set(found)


BAD = {
    "no-toml": ("agent = ", ["c.toml is not a TOML file"]),
    "unknown": ("agnt = 'PPO'", ["unknown setting in c.toml 'agnt'", "did you mean 'agent'?"]),
    "no-setting": ("run_dir = 'x'", ["unknown setting in c.toml 'run_dir'"]),
    "type": ("agent='PPO'\nsource='CartPole-v1'\nseed = 'one'", ["c.toml: seed is a non-negative integer, got 'one'"]),
    "tag": ("agent='PPO'\nsource='CartPole-v1'\ntag = 3", ["tag is a list of strings"]),
    "agent": ("agent='PPPO'\nsource='CartPole-v1'", ["unknown agent 'PPPO'"]),
    "hyper": ("agent='PPO'\nsource='CartPole-v1'\n[hyperparameters]\ngama=1", ["gama", "did you mean 'gamma'?"]),
    "no-source": ("agent='PPO'", ["takes an agent and one source"]),
    "module": (
        "agent='PPO'\nsource='antigravity:X-v0'",
        ["c.toml names the environment", "module that is not imported"],
    ),
    "path": (
        "agent='PPO'\nsource='CartPole-v1'\n[env_kwargs]\nxml_file='/etc/passwd'",
        ["c.toml is refused", "may be a path"],
    ),
    "window": ("agent='PPO'\nsource='CartPole-v1'\n[env_kwargs]\nrender_mode='human'", ["may not set render_mode"]),
    "model": (
        "agent='GRPO'\nsource='envzoo/TextSumTo-v1'\n[hyperparameters]\nmodel='some/model'",
        ["a file may not name a model", "--model"],
    ),
    "encoder": (
        "agent='PPO'\nsource='CartPole-v1'\n[hyperparameters]\nencoder='antigravity:X'",
        ["a file may not name a encoder", "--encoder"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_sentence_and_import_nothing(name, refused, tmp_path):
    text, words = BAD[name]
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    refused(["train", "--config", "c.toml"], *words)
    assert "antigravity" not in sys.modules


def test_a_missing_file_and_resume_are_refused(refused, run_dir):
    refused(["train", "--config", "none.toml"], "none.toml cannot be read")
    config = ["--config", str(run_dir / "config.toml")]
    refused([*resume(run_dir), *config], "--resume takes the settings of the run")


def test_a_run_of_a_version_without_tags_is_resumed(run_dir):
    facts = json.loads((run_dir / "run.json").read_text())
    for name in ("tag", "csv", "wandb"):
        del facts[name]
    (run_dir / "run.json").write_text(json.dumps(facts))
    (run_dir / "config.toml").unlink()
    assert main(resume(run_dir, *("PPO", GRID[0]), "--timesteps", "24")) == 0
    assert RunDirectory(run_dir).facts()["tag"] == []


def test_tags_and_a_table_of_metrics(tmp_path):
    path = tmp_path / "run"
    assert main([*TRAIN, "--run-dir", str(path), "--tag", "first", "second try", "--csv", "--eval-every", "8"]) == 0
    assert RunDirectory(path).facts()["tag"] == ["first", "second try"]
    rows = list(csv.DictReader((path / "metrics.csv").open(newline="")))
    table = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == len(table) > 1
    for row, expected in zip(rows, table, strict=True):
        assert {name: float(value) for name, value in row.items() if value} == expected


def test_a_resumed_run_continues_its_table(tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert main([*TRAIN, "--run-dir", str(whole), "--csv", "--checkpoint-every", "8"]) == 0
    shutil.copytree(whole, part)
    (part / "results.json").unlink()
    newest = sorted((part / "checkpoints").glob("*.zip"))
    newest[-1].unlink()
    assert main(resume(part)) == 0
    shown = [
        [{n: v for n, v in row.items() if not n.startswith("time/")} for row in csv.DictReader(file.open(newline=""))]
        for file in (whole / "metrics.csv", part / "metrics.csv")
    ]
    assert shown[0] == shown[1]
