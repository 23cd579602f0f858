"""Train the pretrained agents by their recipes, and measure their scores (`make pretrained`).

python -P -m envzoo.scripts.pretrain                                # all
python -P -m envzoo.scripts.pretrain --only envzoo/CliffGrid-v0     # those on one environment
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from envzoo.agents import make
from envzoo.agents.evaluation import evaluate
from envzoo.agents.trained import FOLDER, SCORES, scores
from envzoo.agents.trained.recipes import RECIPES, SEED, TrainingRecipe
from envzoo.errors import EnvzooError
from envzoo.files import write_text

EPISODES = 500


@dataclass(frozen=True)
class PretrainOptions:
    """Train the pretrained agents anew."""

    only: tuple[str, ...] = ()
    """Ids of environments; none for all."""
    folder: Path = FOLDER
    """Folder of the files."""


def measure(agent: Any, recipe: TrainingRecipe) -> dict[str, Any]:
    """Measure the score of an agent on the fixed evaluation seed."""
    found = evaluate(agent, episodes=EPISODES, deterministic=recipe.deterministic).metrics("")
    return {
        "return_mean": round(found["return_mean"], 3),
        "return_std": round(found["return_std"], 3),
        "episodes": EPISODES,
        "actions": "mode" if recipe.deterministic else "sampled",
    }


def train(recipe: TrainingRecipe, folder: Path) -> dict[str, Any]:
    """Train one agent, save it, and return its score beside that of the random policy."""
    agent = make(recipe.agent, recipe.source, seed=SEED, device="cpu", threads=1, **recipe.hyperparameters)
    agent.learn(recipe.timesteps)
    agent.save(folder / recipe.file)
    random = measure(make("Random", recipe.source, seed=SEED), recipe)["return_mean"]
    return measure(agent, recipe) | {"random": random}


def main() -> int:
    """Run the command; returns the exit status."""
    try:
        options = tyro.cli(PretrainOptions, prog="pretrain")
        options.folder.mkdir(parents=True, exist_ok=True)
        found = scores() if SCORES.exists() else {}
        for recipe in RECIPES:
            if not options.only or recipe.source in options.only:
                found[recipe.file] = train(recipe, options.folder)
                print(recipe.file, found[recipe.file], (options.folder / recipe.file).stat().st_size, flush=True)
                kept = {recipe.file: found[recipe.file] for recipe in RECIPES if recipe.file in found}
                write_text(options.folder / SCORES.name, json.dumps(kept, indent=1) + "\n")
    except (EnvzooError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
