"""Wrappers by name: their arguments are data, and runs, resumed runs and evaluations have them."""

import shlex
from pathlib import Path

import gymnasium as gym
import pytest

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.errors import EnvzooError
from envzoo.scripts.cli import main
from envzoo.scripts.flags import normalize
from envzoo.scripts.run_directory import RunDirectory
from envzoo.scripts.train_options import TrainOptions
from envzoo.wrappers.named import WRAPPERS, WrappedMaker, add_wrappers, parse_wrapper

LINE = ["CartPole-v1", "--num-steps", "8", "--num-envs", "2", "--hidden", "4", "--eval-episodes", "2"]
STACK = ["--wrapper", "FrameStackObservation:stack_size=2", "--wrapper", "FlattenObservation"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FlattenObservation", ("FlattenObservation", [], {})),
        ("TimeLimit:200", ("TimeLimit", [200], {})),
        (
            "RescaleAction:min_action=[-1, 0.5],max_action=1",
            ("RescaleAction", [], {"min_action": [-1, 0.5], "max_action": 1}),
        ),
        ('FilterObservation:filter_keys=["a,b", "c"]', ("FilterObservation", [], {"filter_keys": ["a,b", "c"]})),
        ("PreferenceWrapper:preference=max", ("PreferenceWrapper", [], {"preference": "max"})),
    ],
)
def test_texts_are_read(text, found):
    assert parse_wrapper(text) == found


@pytest.mark.parametrize("name", WRAPPERS)
def test_every_name_is_that_of_a_wrapper(name):
    module = __import__(WRAPPERS[name], fromlist=[name])
    assert issubclass(getattr(module, name), gym.Wrapper)


def test_the_first_is_the_innermost():
    env = add_wrappers(gym.make("CartPole-v1"), ["FrameStackObservation:stack_size=3", "FlattenObservation"])
    assert env.observation_space.shape == (12,)
    assert type(env).__name__ == "FlattenObservation"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FrameStackObservatio:4", "did you mean 'FrameStackObservation'"),
        ("os:system", "unknown wrapper 'os'"),
        ("TimeLimit:a=1,2", "expected TimeLimit:KEY=VALUE,KEY=VALUE"),
        ("TimeLimit:max_episode_steps=0", "the wrapper TimeLimit:max_episode_steps=0 cannot be applied"),
        ("TimeLimit:steps=5", "cannot be applied"),
        ("FrameStackObservation:stack_size=1000000000000", "over the limit"),
        ("TimeInObservation:horizon=0", "the wrapper TimeInObservation:horizon=0: horizon is 0"),
    ],
)
def test_wrong_texts_give_one_sentence(text, message):
    with pytest.raises(EnvzooError, match=message) as caught:
        add_wrappers(gym.make("CartPole-v1"), [text])
    assert len(str(caught.value).splitlines()) == 1


def test_the_commands_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    block = page.partition("## Wrappers")[2].split("```")[1].removeprefix("sh\n")
    train, evaluate = (shlex.split(line, comments=True)[1:] for line in block.replace("\\\n", " ").strip().splitlines())
    small = ["--timesteps", "64", "--num-steps", "8", "--num-envs", "2", "--hidden", "4", "--eval-episodes", "2"]
    assert main([*train, *small, "--no-progress"]) == 0
    assert main([*evaluate, "--episodes", "2"]) == 0


def test_datasets_have_no_wrappers():
    with pytest.raises(EnvzooError, match="wrappers wrap environments, and envzoo/line-world/easy-v0 is not the id"):
        WrappedMaker("envzoo/line-world/easy-v0", ("FlattenObservation",))


def test_flags_may_be_repeated():
    flags = ["--tag", "a", "--seed", "1e1", "--tag=b", "c", "--csv"]
    assert normalize(flags, TrainOptions) == ["--seed", "10", "--tag", "a", "b", "c", "--csv"]


def test_a_maker_is_a_source():
    maker = WrappedMaker("CartPole-v1", ("TimeLimit:max_episode_steps=5", "TimeAwareObservation"), {})
    agent = agents.make("PPO", maker, device="cpu", hidden=(4,), num_envs=2, num_steps=8)
    assert agent.learn(32).source.observation_space.shape == (5,)


def test_runs_keep_their_wrappers(tmp_path, capsys):
    train = ["train", "PPO", *LINE, *STACK, "--checkpoint-every", "16"]
    assert main([*train, "--timesteps", "32", "--run-dir", str(tmp_path / "parts"), "--no-progress"]) == 0
    resume = ["train", "PPO", "CartPole-v1", "--run-dir", str(tmp_path / "parts"), "--resume", "--no-progress"]
    assert main([*resume, "--timesteps", "64"]) == 0
    assert "were replayed, verified over" in capsys.readouterr().err
    assert "Box" in (header := checkpoint.read_header(tmp_path / "parts" / "agent.zip"))["observation_space"]
    assert (header["source"], "(8,)" in header["observation_space"]) == (None, True)
    assert RunDirectory(tmp_path / "parts").facts()["wrapper"] == [STACK[1], STACK[3]]
    assert f'wrapper = ["{STACK[1]}", "{STACK[3]}"]' in (tmp_path / "parts" / "config.toml").read_text()
    capsys.readouterr()
    assert main([*resume, "--timesteps", "96", "--wrapper", "FlattenObservation"]) == 2
    assert "--resume cannot change wrapper" in capsys.readouterr().err


def test_evaluations_have_the_wrappers_of_the_run(tmp_path, capsys):
    run = str(tmp_path / "run")
    config = tmp_path / "config.toml"
    limit = ["--wrapper", "TimeLimit:max_episode_steps=3"]
    assert main(["train", "PPO", *LINE, *limit, "--timesteps", "32", "--run-dir", run, "--no-progress"]) == 0
    config.write_text((tmp_path / "run" / "config.toml").read_text())
    again = ["train", "--config", str(config), "--run-dir", f"{run}-again", "--no-progress"]
    assert main(again) == 0
    capsys.readouterr()
    for arguments in (
        [run],
        [f"{run}-again"],
        [f"{run}/agent.zip", "--env", "CartPole-v1", *limit],
        [run, "--env", "CartPole-v1", *limit],
    ):
        assert main(["evaluate", *arguments, "--episodes", "2"]) == 0
        assert "3.000" in capsys.readouterr().out
    assert main(["evaluate", run, "--episodes", "2", "--env", "CartPole-v1"]) == 0
    assert main(["evaluate", run, *limit]) == 2
    assert "--wrapper requires an environment" in capsys.readouterr().err


def test_films_have_the_wrappers_of_the_run(tmp_path, capsys):
    run = str(tmp_path / "run")
    small = [*LINE[1:], "--timesteps", "32", "--wrapper", "TimeLimit:max_episode_steps=3"]
    assert main(["train", "PPO", "envzoo/GridCoverage-v0", *small, "--run-dir", run, "--no-progress"]) == 0
    assert main(["evaluate", run, "--episodes", "1", "--video", str(tmp_path / "a.gif")]) == 0
    assert "4 frames" in capsys.readouterr().out
