"""The page on losses shows code that runs."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "losses.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
# Fewer seeds and updates do for a test.
SHORTER = (("range(100)", "range(2)"), ("range(20)", "range(2)"), ("learn(150", "learn(3"), ("learn(100)", "learn(3)"))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_run(number, capsys):
    text = BLOCKS[number]
    for before, after in SHORTER:
        text = text.replace(before, after)
    exec(compile(text, f"block {number} of {PAGE.name}", "exec"), {})
    assert capsys.readouterr().out


def test_there_are_blocks():
    assert len(BLOCKS) == 3
