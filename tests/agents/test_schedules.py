"""Schedules of learning rates: by name, as functions, in files and runs."""

import math
from pathlib import Path

import pytest

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.registry import agent_class
from envzoo.agents.schedules import _OWN, FACTORS, rate_at, register_schedule
from envzoo.agents.spec import held_fields
from envzoo.errors import CheckpointError, EnvzooError
from envzoo.scripts.cli import main

SMALL = {
    "PPO": ("CartPole-v1", {"hidden": (4,), "num_envs": 2, "num_steps": 8, "num_epochs": 1}),
    "SAC": ("Pendulum-v1", {"hidden": (4,), "learning_starts": 8, "batch_size": 4, "num_envs": 1}),
    "SACDiscrete": ("CartPole-v1", {"hidden": (4,), "learning_starts": 8, "batch_size": 4, "num_envs": 1}),
    "DQN": ("CartPole-v1", {"hidden": (4,), "learning_starts": 8, "batch_size": 4, "num_envs": 1, "gradient_steps": 1}),
}
SCHEDULED = [
    name
    for name in agents.specs()
    if (held := held_fields(agent_class(name).Config).get("learning_rate")) is not None and held.kind == "schedule"
]


def mine(progress):
    return 1e-3 / (1 + progress)


class Steps:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, progress):
        return self.rate if progress < 0.5 else self.rate / 10


def made(name, rate, **more):
    source, settings = SMALL[name]
    return agents.make(name, source, device="cpu", learning_rate=rate, **settings, **more)


def rates_of(agent):
    names = ("optimizer", "actor_optimizer", "critic_optimizer")
    return [getattr(agent, name).lr for name in names if hasattr(agent, name)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("constant:2e-3", (2e-3, 2e-3, 2e-3)),
        ("linear:2e-3", (2e-3, 1e-3, 0.0)),
        ("cosine:2e-3", (2e-3, 1e-3, 0.0)),
        (mine, (1e-3, 1e-3 / 1.5, 5e-4)),
        (3e-4, (3e-4, 3e-4, 3e-4)),
    ],
)
def test_values(text, values):
    assert [rate_at(text, progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(values, abs=1e-18)


@pytest.mark.parametrize("name", SMALL)
def test_rates_follow_the_schedule(name):
    agent = made(name, mine)
    assert set(rates_of(agent)) == {1e-3}
    agent.learn(64)
    assert all(5e-4 <= rate < 1e-3 for rate in rates_of(agent))
    constant = made(name, "constant:7e-4").learn(64)
    assert set(rates_of(constant)) == {7e-4}


@pytest.mark.parametrize("name", ["PPO", "DQN"])
def test_linear_is_the_annealing_of_the_agent(name):
    extra = {"anneal": "learning_rate"} if name == "PPO" else {"anneal": True}
    states = [made(name, rate, **extra).learn(64).state_dict() for rate in (1e-3, "linear:1e-3")]
    assert str(states[0]) == str(states[1])


@pytest.mark.parametrize("rate", [mine, Steps(1e-3), "cosine:1e-3"])
def test_files_hold_names_alone(rate, tmp_path):
    agent = made("PPO", rate).learn(32)
    agent.save(path := tmp_path / "agent.zip")
    if callable(rate):
        assert checkpoint.read_header(path)["config"]["learning_rate"].startswith(f"{__name__}:")
        with pytest.raises(
            CheckpointError, match=r"names the schedule .* give the same function again, as learning_rate="
        ):
            agents.load(path)
        with pytest.raises(CheckpointError, match="was trained with the schedule"):
            agents.load(path, learning_rate=math.sqrt)
        with pytest.raises(EnvzooError, match="learning_rate of load is a class or function"):
            agents.load(path, learning_rate="cosine:1e-3")
    again = agents.load(path, learning_rate=rate if callable(rate) else None)
    assert str(again.learn(32).state_dict()) == str(agent.learn(32).state_dict())


@pytest.mark.parametrize("name", SCHEDULED)
@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("cosin:1e-3", "did you mean 'cosine:RATE'"),
        ("cosine", "lacks its rate; expected cosine:RATE"),
        ("cosine:-1", "lacks its rate"),
        ("os:system", "unknown schedule"),
        (0.0, "is positive"),
        ([1], "expects float or str"),
    ],
)
def test_wrong_rates_give_one_sentence(name, rate, message):
    from envzoo.agents.spec import build_config

    with pytest.raises(EnvzooError, match=message) as caught:
        build_config(agent_class(name).Config, name, {"learning_rate": rate})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "x", None])
def test_what_is_no_rate_stops_training(value):
    with pytest.raises(EnvzooError, match="the learning rate at 0 of the budget is a number"):
        made("PPO", lambda progress: value)


def test_schedules_with_a_name_of_ones_own(tmp_path):
    try:
        register_schedule("falling", mine)
        agent = made("SAC", "falling").learn(32)
        agent.save(path := tmp_path / "agent.zip")
        assert agents.load(path).config.learning_rate == "falling"
        for name, schedule, message in (
            ("falling", math.sqrt, "there is a schedule 'falling' already"),
            ("cosine", math.sqrt, "there is a schedule 'cosine' already"),
            ("a b", mine, "is a Python identifier"),
            ("mine", 3, "is a function"),
        ):
            with pytest.raises(EnvzooError, match=message):
                register_schedule(name, schedule)
    finally:
        _OWN.clear()
    with pytest.raises(CheckpointError, match="names the schedule 'falling'"):
        agents.load(path)
    assert set(FACTORS) == {"constant", "linear", "cosine"}


def test_the_program_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    program = page.partition("## Schedules")[2].split("```python\n")[1].split("```")[0].replace("20_000", "64")
    exec(program, names := {"agents": agents})
    assert names["agent"].config.learning_rate is names["falling"]


def test_the_command_line_resumes_with_a_schedule(tmp_path):
    run = str(tmp_path / "run")
    line = ["train", "PPO", "CartPole-v1", "--run-dir", run, "--no-progress"]
    small = ["--num-envs", "2", "--num-steps", "8", "--hidden", "4", "--eval-episodes", "2", "--timesteps", "32"]
    assert main([*line, *small, "--learning-rate", "cosine:1e-3"]) == 0
    assert main([*line, "--resume", "--timesteps", "64"]) == 0
    assert agents.load(f"{run}/agent.zip").config.learning_rate == "cosine:1e-3"
    config = (tmp_path / "run" / "config.toml").read_text()
    assert '"learning_rate" = "cosine:1e-3"' in config
    (tmp_path / "again.toml").write_text(config)
    assert main(["train", "--config", str(tmp_path / "again.toml"), "--run-dir", f"{run}-again", "--no-progress"]) == 0
    (tmp_path / "evil.toml").write_text(config.replace("cosine:1e-3", "evilmod:f"))
    assert main(["train", "--config", str(tmp_path / "evil.toml"), "--run-dir", f"{run}-evil"]) == 2
