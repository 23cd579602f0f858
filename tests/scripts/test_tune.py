"""`envzoo tune`: searches that continue as if they had not been stopped, and presets."""

import importlib
import json
import shlex
import tomllib
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from envzoo.agents.registry import agent_class
from envzoo.agents.spec import build_config
from envzoo.errors import EnvzooError, RunDirectoryError, UnknownNameError
from envzoo.scripts import presets as module
from envzoo.scripts.cli import main
from envzoo.scripts.presets import PAIRS, find_preset, preset_of, presets
from envzoo.scripts.tuning import FRESH_SEEDS, SPACES, Range, Settings, read_study, search, suggest

pytestmark = pytest.mark.any_arithmetic

SETTINGS = Settings("DQN", "CartPole-v1", 1000)


def score(values, seed):
    """Prefer small rates: a smooth function in place of training."""
    return -abs(np.log(values.get("learning_rate", 5e-3) / 3e-4)) + 0.01 * (seed % 7)


def run(path, trials, evaluate=score, **options):
    return search(path, SETTINGS, trials, evaluate=evaluate, report=lambda line: None, **options)


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna")


def without_times(study):
    return [(trial["values"], trial["score"]) for trial in study.trials], study.scores


def test_a_search_that_was_stopped_continues_as_one_that_was_not(tmp_path, optuna):
    whole = run(tmp_path / "whole.json", 14)
    calls = []

    def stops(values, seed):
        calls.append(seed)
        if len(calls) in (5, 13):
            raise KeyboardInterrupt
        return score(values, seed)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts.json", 14, stops)
    parts = run(tmp_path / "parts.json", 14, stops)
    assert without_times(parts) == without_times(whole)
    assert len(calls) == 14 + 2 * len(FRESH_SEEDS) + 2  # nothing but the two interrupted calls is done twice
    assert read_study(tmp_path / "parts.json", SETTINGS) == parts


def test_a_search_uses_other_seeds_than_the_scores_and_begins_with_the_defaults(tmp_path, optuna):
    seen = []
    study = run(tmp_path / "study.json", 3, lambda values, seed: seen.append((seed, values)) or score(values, seed))
    assert [seed for seed, _ in seen] == [0, 1, 2, *FRESH_SEEDS, *FRESH_SEEDS]
    assert study.trials[0]["values"] == {}
    assert seen[-1][1] == study.best["values"]
    assert study.best["score"] == max(trial["score"] for trial in study.trials)
    run(tmp_path / "study.json", 3, lambda values, seed: pytest.fail("everything is done"))


def test_more_trials_score_a_new_best_anew(tmp_path, optuna):
    first = run(tmp_path / "study.json", 2)
    later = run(tmp_path / "study.json", 20)
    assert later.best["score"] > first.best["score"]
    expected = {str(seed): score(later.best["values"], seed) for seed in FRESH_SEEDS}
    assert later.scores["preset"] == pytest.approx(expected)
    assert later.scores["defaults"] == first.scores["defaults"]


def test_scores_that_differ_by_rounding_are_equal(tmp_path, optuna):
    scores = iter([12.23, 12.23 * (1 + 1e-14), 11.0])
    study = run(tmp_path / "study.json", 3, lambda values, seed: next(scores) if seed < FRESH_SEEDS[0] else 12.0)
    assert study.best["values"] == {}
    assert preset_of(study).count("hyperparameters") == 1


def test_minutes_end_a_search_after_the_trial_that_exceeds_them(tmp_path):
    study = run(tmp_path / "study.json", 9, minutes=1e-12)
    assert len(study.trials) == 1
    assert study.scores["preset"] == study.scores["defaults"]  # trained once


@pytest.mark.parametrize("agent", SPACES)
def test_all_that_is_searched_are_hyperparameters_with_values_that_the_agent_takes(agent, optuna, tmp_path):
    study = read_study(tmp_path / "none", Settings(agent, "CartPole-v1", 1000))
    study.trials.append({"values": {}, "score": 0.0, "seconds": 0.0})
    for number in range(12):
        values = suggest(study)
        assert set(values) == set(SPACES[agent])
        build_config(agent_class(agent).Config, agent, values)
        for name, kind in SPACES[agent].items():
            if isinstance(kind, Range):
                assert kind.low <= values[name] <= kind.high
        study.trials.append({"values": json.loads(json.dumps(values)), "score": float(number % 5), "seconds": 0.0})


def test_bad_input_is_one_sentence(tmp_path):
    path = tmp_path / "study.json"
    with pytest.raises(UnknownNameError, match="search over hyperparameters"):
        search(path, Settings("Random", "CartPole-v1", 10), 2)
    for trials, settings, word in (
        (0, SETTINGS, "trials is at least 1"),
        (2, Settings("DQN", "CartPole-v1", 0), "timesteps is at least 1"),
        (2, Settings("DQN", "CartPole-v1", 10, seed=999), "at most 999"),
        (2, Settings("DQN", "CartPole-v1", 10, seed=-1), "seed is -1"),
    ):
        with pytest.raises(EnvzooError, match=word):
            search(path, settings, trials, evaluate=score)
    with pytest.raises(EnvzooError, match="minutes is a positive number"):
        run(path, 2, minutes=float("nan"))
    with pytest.raises(EnvzooError, match=r"score of \{\} is nan"):
        run(path, 2, lambda values, seed: float("nan"))
    assert not path.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("scored"),
        lambda data: data["trials"][0].update(score="high"),
        lambda data: data["trials"][0].update(score=float("nan")),
        lambda data: data["trials"][0]["values"].update(encoder="os:system"),
        lambda data: data["settings"].update(nothing=1),
        lambda data: data.update(scores={}),
        lambda data: data.update(trials=3),
    ],
)
def test_a_damaged_study_is_refused(tmp_path, change):
    path = tmp_path / "study.json"
    run(path, 1)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(RunDirectoryError, match="is not a study"):
        run(path, 1)


def test_a_study_of_other_settings_is_refused(tmp_path):
    run(tmp_path / "study.json", 1)
    with pytest.raises(RunDirectoryError, match="is a study of agent DQN"):
        search(tmp_path / "study.json", Settings("PPO", "CartPole-v1", 1000), 1, evaluate=score)


def test_a_study_is_written_by_one_process_at_a_time(tmp_path):
    def again(values, seed):
        run(tmp_path / "study.json", 1)

    with pytest.raises(RunDirectoryError, match="is being written by another process"):
        run(tmp_path / "study.json", 1, again)
    run(tmp_path / "study.json", 1)


def test_the_command_writes_an_entry_that_train_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["tune", "DQN", "CartPole-v1", "--trials", "1", "--timesteps", "16", "--eval-episodes", "1"]
    assert main(arguments) == 0
    assert "over 10 fresh seeds" in capsys.readouterr().out
    (entry,) = tomllib.loads((tmp_path / "tune/DQN-CartPole-v1/preset.toml").read_text())["preset"]
    assert (entry["agent"], entry["timesteps"], len(entry["scores"])) == ("DQN", 16, 10)

    study = read_study(tmp_path / "tune/DQN-CartPole-v1/study.json", Settings("DQN", "CartPole-v1", 16, episodes=1))
    study.trials[0]["values"] = {"learning_rate": 0.002, "hidden": [8, 8]}
    (tmp_path / "presets.toml").write_text(preset_of(study))
    monkeypatch.setattr(module, "FILE", tmp_path / "presets.toml")
    presets.cache_clear()
    try:
        train = ["train", "DQN", "CartPole-v1", "--preset", "--eval-episodes", "1", "--no-progress"]
        assert main([*train, "--learning-rate", "0.01", "--run-dir", "run"]) == 0
        facts = json.loads((tmp_path / "run/run.json").read_text())
        assert facts["timesteps"] == 16
        assert facts["hyperparameters"]["hidden"] == [8, 8]
        assert facts["hyperparameters"]["learning_rate"] == 0.01  # the command line comes first
        assert main([*train, "--resume", "--run-dir", "run"]) == 2
        assert main(["train", "PPO", "Acrobot-v1", "--preset"]) == 2
        assert "the presets are DQN for CartPole-v1" in capsys.readouterr().err
    finally:
        presets.cache_clear()


def test_presets_that_are_shipped_can_be_used():
    assert presets()
    for preset in presets():
        assert (preset.agent, preset.source, preset.timesteps) in PAIRS
        build_config(agent_class(preset.agent).Config, preset.agent, preset.hyperparameters)
        assert find_preset(preset.agent, preset.source) is preset
        assert len(preset.scores) == len(preset.default_scores) == len(FRESH_SEEDS)
        assert preset.mean.low <= preset.mean.value <= preset.mean.high


def test_the_commands_of_the_page(tmp_path, monkeypatch, optuna):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    monkeypatch.chdir(tmp_path)
    block = page.partition("## Search of hyperparameters")[2].split("```sh\n")[1].split("```")[0]
    tune, train = (shlex.split(line, comments=True)[1:] for line in block.strip().splitlines())
    assert main([*tune, "--trials", "2", "--timesteps", "64", "--eval-episodes", "1"]) == 0
    assert main([*train, "--timesteps", "64", "--eval-episodes", "1", "--no-progress", "--run-dir", "run"]) == 0
    (entry,) = tomllib.loads((tmp_path / "tune/PPO-CartPole-v1/preset.toml").read_text())["preset"]
    assert entry["trials"] == 2


def test_pairs_are_of_agents_with_a_search_and_of_known_environments():
    assert len(PAIRS) <= 12
    for agent, source, _ in PAIRS:
        assert agent in SPACES
        if ":" not in source:
            gym.spec(source)


def test_pairs_of_other_packages_are_registered():
    pytest.importorskip("minigrid")
    sources = [source for _, source, _ in PAIRS if ":" in source]
    assert sources
    for source in sources:
        module, _, name = source.partition(":")
        importlib.import_module(module)
        gym.spec(name)
