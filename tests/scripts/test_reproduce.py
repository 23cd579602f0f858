"""Reproductions of papers."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from envzoo.errors import UnknownNameError
from envzoo.papers import papers
from envzoo.scripts.cli import main
from envzoo.scripts.experiments import experiments, find_experiment, numbers
from envzoo.scripts.reproduce import reproduce


def test_every_paper_has_an_experiment():
    assert numbers() == list(papers())
    for number, found in experiments().items():
        assert found.paper == papers()[number]
        assert found.seeds >= 5
        groups = {arm.group for arm in found.arms}
        assert groups == {table.group for table in found.tables}
        names = {arm.name for arm in found.arms}
        assert all(set(table.expected) <= names for table in found.tables)


def test_a_number_may_be_short():
    assert find_experiment("9") is find_experiment("09")


def test_an_unknown_paper_is_one_sentence(capsys):
    with pytest.raises(UnknownNameError, match=r"unknown paper '99'; expected one of 09, 19; did you mean '\d9'\?"):
        reproduce("99")
    assert main(["reproduce", "99"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_paper_09_holds_with_one_seed_in_two_processes(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    assert reproduce("9", quick=True, seeds=1, processes=2, out=tmp_path, console=console) == 0
    data = json.loads((tmp_path / "results.json").read_text())
    assert data["paper"]["arxiv"] == "2307.13372"
    assert [check["holds"] for check in data["checks"]] == [True, True, True]
    figure = (tmp_path / "figure.png").read_bytes()
    assert figure.startswith(b"\x89PNG")
