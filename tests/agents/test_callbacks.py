"""Callbacks: what they write, when they act, and what a stopped, broken or resumed run leaves behind."""

import io
import itertools
import json
import math
import time
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from helpers import CountedSteps
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.callbacks import (
    Callback,
    CallbackList,
    Checkpoints,
    EarlyStop,
    MetricsTable,
    PeriodicEvaluation,
    ProgressBar,
    TensorBoard,
    tensorboard,
)
from envzoo.agents.callbacks.checkpoints import list_checkpoints
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.errors import EnvzooError, NonFiniteError

GRID = ("envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 4})


def ppo(source=GRID[0], env_kwargs=None, **changes):
    """An agent whose iterations take 8 timesteps."""
    kwargs = GRID[1] if source == GRID[0] else env_kwargs
    settings = {"num_envs": 2, "num_steps": 4, "num_epochs": 1, "hidden": (4,), "device": "cpu"}
    return agents.make("PPO", source, env_kwargs=kwargs, **{**settings, **changes})


class Recorder(Callback):
    """Keeps what it is told."""

    def __init__(self, **extra):
        self.seen, self.extra, self.stop_at = [], extra, None

    def on_start(self, agent):
        self.seen.append(("start", agent.num_timesteps))

    def on_iteration(self, agent, metrics):
        metrics.update(self.extra)
        self.seen.append((agent.num_timesteps, dict(metrics)))
        return None if self.stop_at is None else agent.num_timesteps < self.stop_at

    def on_end(self, agent):
        self.seen.append(("end", agent.num_timesteps))


class Breaking(CountedSteps):
    """Episodes of four steps; from a given step on the reward is `value`."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, good_steps, value):
        self.good_steps, self.value, self.steps = good_steps, value, 0

    def step(self, action):
        self.time += 1
        self.steps += 1
        reward = 1.0 if self.steps <= self.good_steps else self.value
        return np.zeros(1, np.float32), reward, self.time == 4, False, {}


# ---------------------------------------------------------------------------- the hooks


def test_hooks_run_in_order_and_metrics_pass_along():
    first, second = Recorder(added=3.0), Recorder()
    agent = ppo().learn(20, [first, second])
    assert [entry[0] for entry in second.seen] == ["start", 8, 16, 24, "end"]
    assert second.seen[0][1] == 0
    metrics = second.seen[1][1]
    assert metrics["added"] == 3
    assert {"loss/policy", "rollout/return_mean", "time/steps_per_second"} <= set(metrics)
    assert agent.iteration == 3


def test_all_run_though_one_wants_to_stop():
    first, second = Recorder(), Recorder()
    first.stop_at = 16
    agent = ppo().learn(1000, [first, second])
    assert agent.num_timesteps == 16
    assert [entry[0] for entry in second.seen] == ["start", 8, 16, "end"]


def test_on_end_runs_after_an_error_too():
    class Fails(Callback):
        def on_iteration(self, agent, metrics):
            raise RuntimeError("no")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="no"):
        ppo().learn(20, [recorder, Fails()])
    assert [entry[0] for entry in recorder.seen] == ["start", 8, "end"]


def test_a_callback_alone_and_none():
    recorder = Recorder()
    ppo().learn(8, recorder)
    assert len(recorder.seen) == 3
    assert CallbackList(None).callbacks == []


def test_diagnostics_see_the_batch_and_add_metrics():
    class Diagnostic(Callback):
        def on_batch(self, agent, batch, metrics):
            metrics["diagnostics/reward"] = float(batch.reward.mean())
            metrics["diagnostics/rows"] = float(batch.observation[..., 0].numel())

    recorder = Recorder()
    ppo().learn(16, [Diagnostic(), recorder])
    for _, metrics in recorder.seen[1:-1]:
        assert metrics["diagnostics/rows"] == 8
        assert 0 <= metrics["diagnostics/reward"] <= 9
    recorder = Recorder()
    agents.make("SubPO", GRID[0], env_kwargs=GRID[1], num_envs=2).learn(8, [Diagnostic(), recorder])
    assert recorder.seen[1][1]["diagnostics/rows"] == 8


# ---------------------------------------------------------------------------- metrics table


def test_the_table_has_a_row_for_each_iteration(tmp_path):
    path, recorder = tmp_path / "new" / "metrics.jsonl", Recorder()
    ppo().learn(20, [recorder, MetricsTable(path)])
    rows = read_metrics(path)
    assert [(row["iteration"], row["timesteps"]) for row in rows] == [(1, 8), (2, 16), (3, 24)]
    for row, (_, metrics) in zip(rows, recorder.seen[1:-1], strict=True):
        assert row == {"iteration": row["iteration"], "timesteps": row["timesteps"], **metrics}


def test_rows_later_than_the_checkpoint_are_dropped_on_resume(tmp_path):
    path = tmp_path / "metrics.jsonl"
    agent = ppo().learn(16, MetricsTable(path))
    agent.save(tmp_path / "agent.zip")
    agent.learn(16, MetricsTable(path))
    whole = read_metrics(path)
    assert [row["iteration"] for row in whole] == [1, 2, 3, 4]
    agents.load(tmp_path / "agent.zip", device="cpu").learn(8, MetricsTable(path))
    resumed = read_metrics(path)
    assert [row["iteration"] for row in resumed] == [1, 2, 3]
    assert resumed[:2] == whole[:2]


@pytest.mark.parametrize(
    "end", ['{"iteration": 3, "time', "{", '{"iteration": 3, "x": "\xff', "[1, 2]\n", "3\n", "{}\n"]
)
def test_a_last_line_cut_short_is_left_out(tmp_path, end):
    path = tmp_path / "metrics.jsonl"
    agent = ppo().learn(16, MetricsTable(path))
    rows = read_metrics(path)
    with path.open("ab") as file:
        file.write(end.encode("latin-1"))
    assert read_metrics(path) == rows
    agent.learn(8, MetricsTable(path))
    assert [row["iteration"] for row in read_metrics(path)] == [1, 2, 3]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_no_table_has_no_rows(tmp_path):
    assert read_metrics(tmp_path / "none.jsonl") == []


# ---------------------------------------------------------------------------- TensorBoard and progress


def scalars(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_every_metric(tmp_path):
    recorder = Recorder()
    ppo().learn(24, [recorder, TensorBoard(tmp_path, min_seconds=0)])
    found = scalars(tmp_path)
    rows = recorder.seen[1:-1]
    assert {name for _, metrics in rows for name in metrics} == set(found)
    assert [step for step, _ in found["loss/policy"]] == [8, 16, 24]
    for (_, value), (_, metrics) in zip(found["loss/value"], rows, strict=True):
        assert value == pytest.approx(metrics["loss/value"], rel=1e-6)


def test_rows_close_together_are_thinned_but_not_evaluations_nor_the_last(tmp_path):
    callbacks = [PeriodicEvaluation(16, episodes=2), TensorBoard(tmp_path, min_seconds=1e9)]
    ppo().learn(40, callbacks)
    found = scalars(tmp_path)
    assert [step for step, _ in found["eval/return_mean"]] == [16, 32, 40]
    assert [step for step, _ in found["loss/policy"]] == [8, 16, 32, 40]


@pytest.mark.parametrize("first", [0, 9, 99])
def test_a_resumed_run_supersedes_the_events_after_its_checkpoint_only(tmp_path, monkeypatch, first):
    monkeypatch.setattr(tensorboard.EventFile, "_numbers", itertools.count(first))
    one_second = SimpleNamespace(time=lambda: 1_700_000_000.5, monotonic=time.monotonic)
    monkeypatch.setattr(tensorboard, "time", one_second)  # all files have the same time in their names
    agent = ppo().learn(16, TensorBoard(tmp_path, min_seconds=0))
    agent.save(tmp_path / "agent.zip")
    agent.learn(16, TensorBoard(tmp_path, min_seconds=0))
    agents.load(tmp_path / "agent.zip", device="cpu").learn(24, TensorBoard(tmp_path, min_seconds=0))
    steps = [step for step, _ in scalars(tmp_path)["loss/policy"]]
    assert steps == [8, 16, 24, 32, 40]


def test_the_progress_bar_draws_where_there_is_no_terminal():
    out = io.StringIO()
    evaluation = PeriodicEvaluation(16, episodes=2)
    ppo().learn(24, [evaluation, ProgressBar(console=Console(file=out, width=120))])
    assert "PPO on envzoo/GridCoverage-v0" in out.getvalue()
    assert "24/24" in out.getvalue()
    assert "eval/return_mean" in out.getvalue()


def test_the_progress_bar_takes_a_title_and_survives_an_error(capsys):
    class Fails(Callback):
        def on_iteration(self, agent, metrics):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        ppo().learn(24, [ProgressBar("my run"), Fails()])
    assert "my run" in capsys.readouterr().err


def test_the_program_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    program = page.partition("## Callbacks")[2].split("```python\n")[1].split("```")[0]
    program = program.replace("10_000", "32").replace('"CartPole-v1")', '"CartPole-v1", num_envs=2, num_steps=8)')
    exec(program, names := {"agents": agents})
    assert 32 <= names["agent"].num_timesteps < 32 + 2 * 8  # stopped by the function, of 50,000
    assert len(names["returns"]) >= 2


# ---------------------------------------------------------------------------- evaluation and early stop


def test_evaluations_come_after_each_so_many_steps_and_at_the_end():
    recorder = Recorder()
    agent = ppo()
    callbacks = [PeriodicEvaluation(20, episodes=3), recorder]
    agent.learn(60, callbacks)
    evaluated = [step for step, metrics in recorder.seen[1:-1] if "eval/return_mean" in metrics]
    assert evaluated == [24, 40, 64]
    metrics = recorder.seen[-2][1]
    assert {"eval/return_mean", "eval/return_std", "eval/length_mean"} <= set(metrics)
    assert metrics["eval/length_mean"] == 4
    # The schedule continues in the next call.
    agent.learn(40, callbacks)
    assert [s for s, m in recorder.seen[recorder.seen.index(("end", 64)) :][2:-1] if "eval/return_mean" in m] == [
        80,
        104,
    ]


def test_evaluating_does_not_change_what_is_learned():
    plain, evaluated = ppo().learn(40), ppo().learn(40, PeriodicEvaluation(8, episodes=2))
    for a, b in zip(plain.policy.parameters(), evaluated.policy.parameters(), strict=True):
        assert (a == b).all()


def test_an_object_that_cannot_be_copied_is_refused_at_once():
    agent = ppo(Breaking(100, 0.0))
    with pytest.raises(EnvzooError, match="has no registered id to make copies from; give an evaluation environment"):
        agent.learn(8, PeriodicEvaluation(8))
    assert agent.num_timesteps == 0
    recorder = Recorder()
    env = gym.vector.SyncVectorEnv([lambda: Breaking(100, 0.0)])
    agent.learn(8, [PeriodicEvaluation(4, episodes=2, env=env), recorder])
    assert recorder.seen[1][1]["eval/return_mean"] == 4


def test_early_stop_waits_for_a_streak():
    values = iter([1.0, 5.0, 2.0, 5.0, 6.0, 0.0])

    class Feed(Callback):
        def on_iteration(self, agent, metrics):
            metrics["score"] = next(values)

    agent = ppo().learn(10_000, [Feed(), EarlyStop("score", 5.0, patience=2)])
    assert agent.iteration == 5


def test_early_stop_minimises_and_ignores_iterations_without_the_metric():
    stop = EarlyStop("score", 1.0, patience=2, maximize=False)
    assert [stop.on_iteration(None, metrics) for metrics in ({"score": 1.0}, {}, {"score": 0.5})] == [True, None, False]
    again = EarlyStop("score", 1.0, patience=2, maximize=False)
    stop = EarlyStop("score", 1.0, patience=2, maximize=False)
    stop.on_iteration(None, {"score": 0.0})
    again.load_state_dict(stop.state_dict())
    assert again.on_iteration(None, {"score": 0.0}) is False


@pytest.mark.parametrize(
    "make",
    [
        lambda: EarlyStop("x", 1.0, patience=0),
        lambda: PeriodicEvaluation(0),
        lambda: PeriodicEvaluation(5, episodes=0),
        lambda: Checkpoints("x", every=0),
        lambda: Checkpoints("x", keep=0),
    ],
)
def test_wrong_settings(make):
    with pytest.raises(EnvzooError, match="got"):
        make()


# ---------------------------------------------------------------------------- checkpoints


def names(folder):
    return [path.name for path in list_checkpoints(folder)]


def test_the_newest_checkpoints_are_kept(tmp_path):
    ppo().learn(72, Checkpoints(tmp_path, every=16, keep=2))
    assert names(tmp_path) == ["checkpoint-64.zip", "checkpoint-72.zip"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names(tmp_path)


def test_checkpoints_are_sorted_by_number_and_others_left_alone(tmp_path):
    for name in ("checkpoint-9.zip", "checkpoint-10.zip", "checkpoint-x.zip", "checkpoint-11.zip.tmp", "notes.txt"):
        (tmp_path / name).write_text("")
    assert names(tmp_path) == ["checkpoint-9.zip", "checkpoint-10.zip"]
    ppo().learn(24, Checkpoints(tmp_path, every=8, keep=1))
    assert names(tmp_path) == ["checkpoint-24.zip"]
    assert (tmp_path / "checkpoint-x.zip").exists()
    assert (tmp_path / "notes.txt").exists()


def test_by_time_only_the_end_of_a_short_run_is_saved(tmp_path):
    ppo().learn(24, Checkpoints(tmp_path, seconds=1e9))
    assert names(tmp_path) == ["checkpoint-24.zip"]
    ppo().learn(24, Checkpoints(tmp_path / "often", seconds=0, keep=10))
    assert names(tmp_path / "often") == ["checkpoint-8.zip", "checkpoint-16.zip", "checkpoint-24.zip"]


def test_stopping_between_iterations_saves(tmp_path):
    stop = Recorder()
    stop.stop_at = 16
    ppo().learn(1000, [stop, Checkpoints(tmp_path, every=10_000)])
    assert names(tmp_path) == ["checkpoint-16.zip"]


def test_an_interrupted_iteration_is_not_saved(tmp_path, monkeypatch):
    agent = ppo()

    def interrupted(rollout):
        if agent.iteration == 2:
            raise KeyboardInterrupt
        return {"loss": 0.0}

    monkeypatch.setattr(agent, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        agent.learn(1000, Checkpoints(tmp_path, every=8))
    assert names(tmp_path) == ["checkpoint-8.zip", "checkpoint-16.zip"]


def test_an_iteration_without_its_row_of_metrics_is_not_saved(tmp_path):
    class Interrupted(Callback):
        def on_iteration(self, agent, metrics):
            if agent.iteration == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ppo().learn(1000, [Interrupted(), MetricsTable(tmp_path / "m.jsonl"), Checkpoints(tmp_path, every=8)])
    assert names(tmp_path) == ["checkpoint-8.zip"]
    assert len(read_metrics(tmp_path / "m.jsonl")) == 1


def test_the_state_of_other_callbacks_is_saved_beside(tmp_path):
    def callbacks():
        others = [PeriodicEvaluation(20, episodes=2), EarlyStop("rollout/return_mean", 0.0, patience=4)]
        return others, Checkpoints(tmp_path, every=8, keep=9, others=[*others, Recorder()])

    others, checkpoints = callbacks()
    agent = ppo().learn(24, [*others, checkpoints])
    assert agent.num_timesteps == 24
    again, restoring = callbacks()
    loaded = agents.load(tmp_path / "checkpoint-24.zip")
    assert set(loaded.restored_extra) == {"evaluation", "early_stop"}
    restoring.restore_others(loaded.restored_extra)
    assert again[0].state_dict() == others[0].state_dict() == {"next": 40}
    assert again[1].state_dict() == others[1].state_dict() == {"streak": 3}
    # One more iteration completes the streak, as it would have in the run itself.
    assert loaded.learn(1000, again).num_timesteps == 32


def test_a_run_resumed_from_any_checkpoint_ends_in_the_same_bytes(tmp_path):
    whole = ppo().learn(40, Checkpoints(tmp_path, every=8, keep=9))
    whole.save(tmp_path / "whole.zip")
    for path in list_checkpoints(tmp_path):
        resumed = agents.load(path, device="cpu").learn()
        resumed.save(tmp_path / "resumed.zip")
        assert (tmp_path / "resumed.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_non_finite_metric_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, value):
    agent = ppo(Breaking(16, value))  # one environment: iterations of 4 steps, the fifth breaks
    table = MetricsTable(tmp_path / "metrics.jsonl")
    with pytest.raises(NonFiniteError) as error:
        agent.learn(1000, [table, Checkpoints(tmp_path, every=4)])
    text = str(error.value)
    assert len(text.splitlines()) == 1
    assert f"became {value}" in text or "became nan" in text
    assert "in iteration 5 (20 timesteps) of PPO on Breaking" in text
    assert "the last checkpoint is kept" in text
    assert any(f"{name} became" in text for name in ("rollout/return_mean", "loss/policy", "loss/value"))
    assert names(tmp_path) == ["checkpoint-12.zip", "checkpoint-16.zip"]
    _, state = checkpoint.read(tmp_path / "checkpoint-16.zip")
    assert all(bool(tensor.isfinite().all()) for tensor in state["parts"]["policy"].values())
    assert [row["iteration"] for row in read_metrics(table.path)] == [1, 2, 3, 4]
