"""The code of docs/encoders.md runs."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "encoders.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    from envzoo.agents.networks import encoders

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(encoders, "_OWN", {})
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    space: dict = {}
    for block in blocks:
        for steps in ("20_000", "2_000", "512"):
            block = block.replace(steps, "64")
        exec(compile(block, "encoders.md", "exec"), space)  # our own page, not a file's content
    assert space["agent"].num_timesteps >= 64
    assert (tmp_path / "agent.zip").is_file()
    names = re.findall(r"`([a-z0-9_]+)`", PAGE[PAGE.index("| `mlp`") : PAGE.index("`SubPO`")])
    assert set(names) == set(encoders.ENCODERS)
