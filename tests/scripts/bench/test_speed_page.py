"""The page of measured speed, the README's sentence about it, and `make speed`."""

import json
import math
import os
import sys

import pytest

from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.bench import speed
from envzoo.scripts.bench.single_file_ppo import SingleFilePPO
from envzoo.scripts.docs.speed import comparison, headline, measurements, speed_page
from envzoo.scripts.docs.tables import count_tests, key_numbers


def row(name, ratio=None, target=None, value=1.0):
    return {"name": name, "value": value, "unit": "steps/s", "ratio": ratio, "target": target, "note": ""}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "docs" / "bench"
    folder.mkdir(parents=True)
    files = {
        "env": {"env": [row("ours"), row("gymnax FourRooms", 3.456, 3), row("EnvPool", value=math.nan, target=20)]},
        "train": {"train": [row("PPO on CartPole-v1, 8 environments, 64-64, Stable-Baselines3", 2.5, 3.0)]},
        "slow": {"text": [row("peer that wins", 0.5)]},
    }
    for name, rows in files.items():
        content = {"conditions": {"date": "2026-01-01", "torch": "9"}, "rows": rows}
        (folder / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_files_of_benchmarks_come_in_their_order_and_others_last(root):
    assert list(measurements(root)) == ["env", "train", "slow"]


def test_peers_are_listed_from_the_closest_with_met_and_missed_targets(root):
    lines = comparison(measurements(root)).splitlines()[2:]
    assert lines == [
        "| `text` | peer that wins | 0.50 | the peer | no target |",
        "| `train` | PPO on CartPole-v1, 8 environments, 64-64, Stable-Baselines3 | 2.50 | envzoo | >= 3, **missed** |",
        "| `env` | gymnax FourRooms | 3.46 | envzoo | >= 3, met |",
    ]


def test_a_second_machine_has_a_table_of_its_own_beside_the_first(root):
    folder = root / "docs" / "bench" / "second"
    folder.mkdir()
    conditions = {"date": "2026-02-02", "processor": "Other CPU, 2 cores", "load": "1.2 (mean)"}
    rows = [row("gymnax FourRooms", 2.5, 3), row("only there", 7.0)]
    again = json.loads((root / "docs" / "bench" / "env.json").read_text())
    again["rows"]["env"] += [row("peer", 1.5), row("peer", 2.5)]
    (root / "docs" / "bench" / "env.json").write_text(json.dumps(again))
    rows += [row("peer", 11.0), row("peer", 12.0)]
    (folder / "env.json").write_text(json.dumps({"conditions": conditions, "rows": {"env": rows}}))
    page = speed_page(root)
    assert "## On another machine: Other CPU, 2 cores" in page
    assert "with a load of 1.2 to 1.2" in page
    assert "| `env` | gymnax FourRooms | 3.46 | 2.50 | >= 3, **missed** |" in page
    assert "| `env` | peer | 1.50 | 11.00 | no target |" in page
    assert "| `env` | peer | 2.50 | 12.00 | no target |" in page
    assert "only there" not in page
    assert list(measurements(root)) == ["env", "train", "slow"]
    assert headline(root) == "3.46 times gymnax, 2.5 times Stable-Baselines3's PPO"


def test_a_machine_is_not_a_path(root):
    with pytest.raises(EnvzooError, match="small letters"):
        speed.measure_all(speed.SpeedOptions(names=("env",), machine="../elsewhere", root=root))


def test_what_was_not_measured_is_left_empty(root):
    assert "| EnvPool |  | steps/s |  |  |  |" in speed_page(root)
    assert "date 2026-01-01, torch 9." in speed_page(root)


def test_the_readme_names_only_what_was_measured(root, tmp_path):
    assert headline(root) == "3.46 times gymnax, 2.5 times Stable-Baselines3's PPO"
    assert headline(tmp_path / "nothing") == ""


def test_short_runs_are_no_headline(root):
    for file in (root / "docs" / "bench").glob("*.json"):
        data = json.loads(file.read_text())
        data["conditions"]["form"] = "short"
        file.write_text(json.dumps(data))
    assert headline(root) == ""
    assert "| compared in short runs only |" in key_numbers("", root)


def test_the_readme_says_that_nothing_was_compared(tmp_path):
    (tmp_path / "tests").mkdir()
    assert "| not measured yet |" in key_numbers("", tmp_path)


def test_tests_are_counted_by_their_functions(tmp_path):
    (tmp_path / "tests" / "a").mkdir(parents=True)
    (tmp_path / "tests" / "a" / "test_x.py").write_text(
        "def test_a(): pass\ndef helper(): pass\nclass T:\n def test_b(s): 0\n"
    )
    (tmp_path / "tests" / "helpers.py").write_text("def test_no(): pass\n")
    assert count_tests(tmp_path) == 2


def test_a_benchmark_that_fails_is_named_and_keeps_its_file(root, monkeypatch):
    before = (root / "docs" / "bench" / "env.json").read_bytes()
    monkeypatch.setattr(speed.sys, "executable", "/bin/false" if os.path.exists("/bin/false") else sys.executable)
    options = speed.SpeedOptions(names=("env",), quick=True, root=root)
    assert speed.measure_all(options) == ["env"]
    assert (root / "docs" / "bench" / "env.json").read_bytes() == before
    with pytest.raises(UnknownNameError, match="did you mean 'env'"):
        speed.measure_all(speed.SpeedOptions(names=("evn",), root=root))


def test_the_single_file_ppo_depends_on_its_seed_alone():
    given = {"num_envs": 2, "num_steps": 8, "minibatch_size": 8, "num_epochs": 2, "learning_rate": 1e-3}

    def weights(seed):
        agent = SingleFilePPO("CartPole-v1", seed=seed, **given).learn(32)
        assert agent.num_timesteps == 32
        return [parameter.detach().clone() for parameter in agent.parameters]

    first, again, other = weights(0), weights(0), weights(1)
    assert all(bool((a == b).all()) for a, b in zip(first, again, strict=True))
    assert not all(bool((a == b).all()) for a, b in zip(first, other, strict=True))
