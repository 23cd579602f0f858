"""Create the GIFs of the README: `python -P -m envzoo.scripts.pictures docs/images`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

CODING_GRID = {"temperature": math.exp(-5)}
SLOW = 13  # a seed with which the message is revealed slowly enough to watch; others take three moves


def coding_grid(folder: str | Path, seed: int = SLOW) -> Path:
    """Write `coding_grid.gif` into a folder: MECB hides a message in a walk, and the receiver's belief sharpens."""
    from envzoo.agents import make
    from envzoo.scripts.evaluate import film

    path = Path(folder) / "coding_grid.gif"
    agent = make("MECB", "envzoo/CodingGrid-v0", env_kwargs=CODING_GRID, seed=seed, device="cpu")
    film(agent, "envzoo/CodingGrid-v0", path, env_kwargs=CODING_GRID, seed=seed, fps=3.0, deterministic=False)
    return path


if __name__ == "__main__":
    print(coding_grid(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
