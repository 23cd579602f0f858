"""A small budget of random play in every registered environment and game; `make fuzz` plays for long."""

import importlib
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_arithmetic

STEPS = 320  # per id: about 20,000 in all


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode does not let test files import each other
    try:
        yield importlib.import_module("fuzz")
    finally:
        sys.path.pop(0)


def ids():
    from envzoo.games import games
    from envzoo.registration import specs

    return [row.id for row in specs()] + list(games())


@pytest.mark.parametrize("name", ids())
def test_random_play_finds_nothing(fuzz, name):
    report = fuzz.fuzz(name, 16 if fuzz.slow(name) else STEPS, seed=1)
    if report.note:
        pytest.skip(report.note)
    assert report.calls >= (16 if fuzz.slow(name) else STEPS)
    assert report.steps > 0


def test_all_ids_are_played(fuzz):
    assert set(fuzz.names()) == set(ids())
