"""`envzoo train --seeds N --launcher batch`: run folders as those of processes, resumed one by one or together."""

import json

import pytest
import torch

from envzoo import agents
from envzoo.agents.callbacks import Checkpoints
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.datasets import load_minari
from envzoo.datasets.scores import reference_returns
from envzoo.scripts.cli import main
from envzoo.scripts.make_dataset import make_dataset
from envzoo.scripts.train_seeds import choose_launcher

STRIPED = "envzoo/line-world/striped-v0"
SMALL = ["--hidden", "8", "--batch-size", "8", "--steps-per-iteration", "4", "--eval-episodes", "2", "--device", "cpu"]
RUN = ["train", "TD3BC", STRIPED, *SMALL, "--seeds", "2", "--seed", "5", "--timesteps", "12", "--checkpoint-every", "4"]


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        make_dataset(STRIPED, quiet=True, episodes=40)
        yield


def weights(folder):
    return agents.load(folder / "agent.zip", STRIPED).actor_optimizer.flat.detach()


def rows(folder):
    table = read_metrics(folder / "metrics.jsonl")
    return [{name: row[name] for name in row if not name.startswith("time/")} for row in table]


def test_folders_are_those_of_single_runs(tmp_path):
    assert main([*RUN, "--launcher", "batch", "--run-dir", str(tmp_path / "batch")]) == 0
    for seed in (5, 6):
        one = ["train", "TD3BC", STRIPED, *SMALL, "--seed", str(seed), "--timesteps", "12", "--checkpoint-every", "4"]
        assert main([*one, "--no-progress", "--run-dir", str(tmp_path / f"{seed}")]) == 0
        mine, alone = tmp_path / "batch" / f"seed{seed}", tmp_path / f"{seed}"
        assert torch.allclose(weights(mine), weights(alone), atol=1e-5)
        facts, others = (json.loads((folder / "run.json").read_text()) for folder in (mine, alone))
        assert facts.pop("seeds") == [5, 6]
        differing = {name for name in others if facts[name] != others[name]}
        assert not differing & {"agent", "source", "hyperparameters", "seed", "timesteps", "threads", "device"}
        assert sorted(path.name for path in mine.iterdir()) == sorted(path.name for path in alone.iterdir())
        assert len(rows(mine)) == len(rows(alone)) == 3
        for one_row, other in zip(rows(mine), rows(alone), strict=True):
            assert one_row == pytest.approx(other, rel=1e-3, abs=1e-5)


def test_resumed_together_or_alone(tmp_path, monkeypatch):
    """One seed was killed after its first checkpoint, the other after the second: both end as uninterrupted ones do."""
    assert main([*RUN, "--launcher", "batch", "--run-dir", str(tmp_path / "whole")]) == 0
    whole = [weights(tmp_path / "whole" / f"seed{seed}") for seed in (5, 6)]

    class Killed(BaseException):
        pass

    saved = []
    before = Checkpoints.on_iteration

    def die(self, agent, metrics):
        go_on = before(self, agent, metrics)
        saved.append(agent.seed)
        if len(saved) == 3:  # seed 5 twice, seed 6 once
            raise Killed
        return go_on

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_iteration", die)
        patch.setattr(Checkpoints, "on_end", lambda self, agent: None)
        with pytest.raises(Killed):
            main([*RUN, "--launcher", "batch", "--run-dir", str(tmp_path / "cut")])
    cut = tmp_path / "cut"
    assert not (cut / "seed5" / "results.json").exists()
    again = ["train", "TD3BC", STRIPED, "--resume", "--no-progress"]
    assert main([*again, "--run-dir", str(cut), "--launcher", "batch"]) == 0
    for seed, expected in zip((5, 6), whole, strict=True):
        assert torch.allclose(weights(cut / f"seed{seed}"), expected, atol=1e-5)
        assert [row["timesteps"] for row in rows(cut / f"seed{seed}")] == [4, 8, 12]
    longer = [*again, "--run-dir", str(cut / "seed6"), "--timesteps", "16"]
    assert main(longer) == 0  # each is a run of its own
    assert rows(cut / "seed6")[-1]["timesteps"] == 16
    assert main([*again, "--run-dir", str(cut), "--launcher", "batch", "--timesteps", "16"]) == 0
    assert rows(cut / "seed5")[-1]["timesteps"] == 16


def test_an_agent_that_cannot_be_batched_is_refused_before_anything_is_written(tmp_path, capsys):
    command = ["train", "PRDC", STRIPED, *SMALL, "--seeds", "2", "--launcher", "batch"]
    assert main([*command, "--run-dir", str(tmp_path / "none")]) == 2
    assert "PRDC with these hyperparameters cannot be trained as a batch of seeds" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_choice(monkeypatch):
    jobs = [{"agent": "TD3BC", "hyperparameters": {}, "resume": False, "device": "cuda"}] * 2
    assert choose_launcher("processes", jobs) == "processes"
    assert choose_launcher("ray", jobs) == "ray"
    monkeypatch.setattr("envzoo.agents.agent.choose_device", torch.device)
    assert choose_launcher("auto", jobs) == "batch"
    assert choose_launcher("auto", jobs[:1]) == "processes"
    assert choose_launcher("auto", [job | {"device": "cpu"} for job in jobs]) == "processes"
    assert choose_launcher("auto", [job | {"agent": "CQL"} for job in jobs]) == "processes"
    assert choose_launcher("auto", [job | {"hyperparameters": {"activation": "tanh"}} for job in jobs]) == "processes"
    assert choose_launcher("auto", []) == "processes"
    assert choose_launcher("batch", jobs) == "batch"


def test_runs_on_a_dataset_are_compared_by_normalised_scores(tmp_path, capsys):
    run = ["train", "TD3BC", STRIPED, *SMALL, "--timesteps", "4", "--no-progress"]
    for seed in ("0", "1"):
        assert main([*run, "--seed", seed, "--run-dir", str(tmp_path / seed)]) == 0
        results = json.loads((tmp_path / seed / "results.json").read_text())
        low, high = reference_returns(load_minari(STRIPED))
        assert results["normalised_score"] == pytest.approx(100 * (results["return_mean"] - low) / (high - low))
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "0"), str(tmp_path / "1"), "--json", str(tmp_path / "out.json")]) == 0
    assert "normalised_score" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["metric"] == "normalised_score"
    results.pop("normalised_score")  # as of an older version
    (tmp_path / "1" / "results.json").write_text(json.dumps(results))
    assert main(["compare", str(tmp_path / "0"), str(tmp_path / "1")]) == 0
    assert "return_mean" in capsys.readouterr().out


def test_a_missing_reference_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("envzoo.datasets.scores.NAMES", ("none", "neither"))
    run = ["train", "BC", STRIPED, *SMALL, "--timesteps", "4", "--no-progress", "--run-dir", str(tmp_path / "run")]
    assert main(run) == 0
    assert "the returns are reported as they are" in capsys.readouterr().err
    assert "normalised_score" not in json.loads((tmp_path / "run" / "results.json").read_text())
