"""The tutorials run as they stand, and become pages and notebooks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from envzoo.errors import EnvzooError
from envzoo.scripts.docs.tutorials import FOLDER, TUTORIALS, cells, notebook, page

pytestmark = pytest.mark.any_arithmetic

ROOT = Path(__file__).resolve().parents[1]


def test_every_tutorial_is_in_the_table():
    assert {each.file for each in TUTORIALS} == {f"{FOLDER}/{file.name}" for file in (ROOT / FOLDER).glob("*.py")}


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda tutorial: tutorial.name)
def test_a_tutorial_runs_on_what_it_makes_itself(tutorial, tmp_path):
    """In a process of its own, because it registers things; without a network, and with nothing left in the folder."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "ENVZOO_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-P", str(ROOT / tutorial.file)]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) >= 1
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda tutorial: tutorial.name)
def test_the_code_of_a_page_and_of_a_notebook_is_that_of_the_file(tutorial):

    def plain(code):
        return "".join("".join(line for line in code.splitlines() if not line.startswith("#")).split())

    text = (ROOT / tutorial.file).read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", page(ROOT, tutorial), re.M | re.S)
    book = json.loads(notebook(ROOT, tutorial))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    run = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert plain("\n".join(shown)) == plain(text) == plain("\n".join(run))
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert not any(cell.get("outputs") for cell in book["cells"])


def test_cells_are_split_at_their_marks():
    text = "# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1  # one\n\n# %%\n\n# %%\ny = 2\n"
    assert cells(text) == [("markdown", "# Title\n\nWords."), ("code", "x = 1  # one"), ("code", "y = 2")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import os\n# %%\n", "begins with a cell"),
        ("# %% [markdown]\nwords\n", "is a comment"),
        ("# %% [raw]\nwords\n", "a cell begins with"),
    ],
)
def test_what_is_no_cell_is_refused(text, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        cells(text)
