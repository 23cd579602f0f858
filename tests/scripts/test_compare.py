"""`envzoo compare`: tables of final scores with intervals."""

import json

import numpy as np
import pytest
from scipy import stats

from envzoo.errors import EnvzooError, RunDirectoryError, UnknownNameError
from envzoo.scripts.cli import main
from envzoo.scripts.compare import as_json, compare, draw

SCORES = {
    "A": {0: 1.0, 1: 2.0, 2: 4.0},
    "B": {0: 3.0, 1: 5.0, 2: 6.0},
    "C": {5: 2.0},
}


def write(folder, agent, seed, score, **facts):
    """Write what `compare` reads of a run."""
    folder.mkdir(parents=True)
    known = {"agent": agent, "source": "S-v0", "env_kwargs": {}, "given": {}, "seed": seed, "hyperparameters": {}}
    (folder / "run.json").write_text(json.dumps(known | facts))
    if score is not None:
        (folder / "results.json").write_text(json.dumps({"return_mean": score, "length_mean": 3.0}))
    return folder


@pytest.fixture
def runs(tmp_path, monkeypatch):
    from envzoo.scripts import run_directory

    # The facts of a run are checked elsewhere; here they are what the file says.
    monkeypatch.setattr(
        run_directory.RunDirectory, "facts", lambda self: json.loads((self.path / "run.json").read_text())
    )
    for agent, scores in SCORES.items():
        for seed, score in scores.items():
            write(tmp_path / agent / f"seed{seed}", agent, seed, score)
    return tmp_path


def folders(runs, *names):
    return [str(runs / name) for name in names]


def test_numbers_of_the_table(runs):
    (rows,) = compare(folders(runs, "A", "B", "C")).values()
    a, b, c = rows
    assert [row.label for row in rows] == ["A", "B", "C"]
    assert a.scores == SCORES["A"]
    assert a.mean.value == pytest.approx(7 / 3)
    expected = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1.0, 2.0, 4.0]))
    assert (a.mean.low, a.mean.high) == pytest.approx(expected)
    assert a.difference is None
    assert a.better is None
    differences = [2.0, 3.0, 2.0]  # paired by seed
    expected = stats.t.interval(0.95, 2, loc=np.mean(differences), scale=stats.sem(differences))
    assert (b.difference.low, b.difference.high) == pytest.approx(expected)
    assert b.better == pytest.approx(8 / 9)  # of the nine pairs only 3 < 4 is worse
    assert c.difference is None  # no seed in common
    assert c.better == pytest.approx((1 + 0.5) / 3)


def test_another_baseline(runs):
    (rows,) = compare(folders(runs, "A", "B"), baseline="B").values()
    assert rows[0].difference.value == pytest.approx(-7 / 3)
    assert rows[1].difference is None
    with pytest.raises(UnknownNameError, match="unknown row 'D'"):
        compare(folders(runs, "A", "B"), baseline="D")


def test_settings_and_sources_are_kept_apart(runs):
    write(runs / "more" / "1", "A", 0, 7.0, given={"gamma": 0.5})
    write(runs / "more" / "2", "A", 0, 8.0, source="T-v0")
    write(runs / "more" / "3", "A", 0, 9.0, env_kwargs={"rows": 3})
    table = compare(folders(runs, "A", "more"))
    assert {source: [row.label for row in rows] for source, rows in table.items()} == {
        "S-v0": ["A", "A (gamma=0.5)"],
        "T-v0": ["A"],
        'S-v0 {"rows": 3}': ["A"],
    }
    assert compare(folders(runs, "A"), metric="length_mean")["S-v0"][0].mean.value == 3.0


def test_refusals(runs):
    write(runs / "unfinished", "A", 9, None)
    write(runs / "again", "A", 0, 1.0)
    cases = [
        (["unfinished"], {}, RunDirectoryError, "has no final evaluation yet"),
        (["A", "again"], {}, RunDirectoryError, "repeats seed 0 of A on S-v0"),
        (["A"], {"metric": "return_men"}, UnknownNameError, "did you mean 'return_mean'"),
        (["nothing"], {}, RunDirectoryError, "holds no run"),
    ]
    for names, settings, kind, sentence in cases:
        with pytest.raises(kind, match=sentence):
            compare(folders(runs, *names), **settings)
    (runs / "again" / "results.json").write_text("[")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        compare(folders(runs, "again"))
    with pytest.raises(EnvzooError, match="unknown figure format 'xyz'"):
        draw(compare(folders(runs, "A")), "return_mean", "xyz")


def test_the_command(runs, capsys):
    paths = folders(runs, "A", "B", "C")
    out = [runs / "c.png", runs / "c.json"]
    assert main(["compare", *paths, "--out", str(out[0]), "--json", str(out[1])]) == 0
    text = capsys.readouterr().out
    assert "S-v0: return_mean" in text
    assert "2.333 [-1.461, 6.128]" in text
    assert "2 [one seed]" in text
    assert out[0].read_bytes().startswith(b"\x89PNG")
    assert json.loads(out[1].read_text()) == as_json(compare(paths), "return_mean")
    assert main(["compare"]) == 2
    assert "takes one or more run directories" in capsys.readouterr().err


def test_hyperparameters_that_are_too_long_stand_below_the_table(runs, capsys):
    for number, rate in enumerate((0.1, 0.2)):
        write(runs / f"L{number}", "D", 0, 1.0, given={"learning_rate": rate, "hidden": [64, 64], "entropy": 0.125})
    write(runs / "S", "D", 0, 1.0, given={"hidden": [8]})
    assert main(["compare", *folders(runs, "S", "L0", "L1")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines[2:5]] == [["D", "(hidden=[8])"], ["D", "#1"], ["D", "#2"]]
    assert " ".join(lines[5]) == "D #1: entropy=0.125, hidden=[64, 64], learning_rate=0.1"
    assert " ".join(lines[6]) == "D #2: entropy=0.125, hidden=[64, 64], learning_rate=0.2"


def test_missing_normalised_scores_are_said(runs, capsys, monkeypatch):
    monkeypatch.setattr("envzoo.datasets.is_dataset_id", lambda name: name.startswith("data/"))
    scored, raw = (write(runs / name, "A", 7, 1.0, source=f"data/{name}-v0") for name in ("scored", "raw"))
    (scored / "results.json").write_text(json.dumps({"return_mean": 1.0, "normalised_score": 50.0}))

    def said(*paths):
        assert main(["compare", *map(str, paths)]) == 0
        return capsys.readouterr()

    found = said(scored)
    assert found.err == ""
    assert "data/scored-v0: normalised_score" in found.out
    for paths in ((raw,), (scored, raw)):
        found = said(*paths)
        assert f"note: the returns are compared as they are: there is no normalised score of {raw}, whose" in found.err
        assert "data/raw-v0: return_mean" in found.out
    # Environments have no normalised scores, so there is nothing to say, unless other runs have them.
    assert said(runs / "A").err == ""
    assert f"there is no normalised score of {runs / 'A' / 'seed0'}\n" in said(scored, runs / "A").err
