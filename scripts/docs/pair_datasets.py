"""Numbers and pictures of datasets of pairs: the rewards of the chosen and of the rejected answers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from envzoo.datasets.preference_pairs import read_pairs
from envzoo.scripts.docs.dataset_pictures import draw_panels, draw_returns

QUANTILES = (0, 25, 50, 75, 100)  # in percent, of the returns on a page


def pair_facts(
    dataset_id: str, chosen: np.ndarray, rejected: np.ndarray, references: tuple[float, float]
) -> dict[str, Any]:
    """Compute the numbers of the page of a dataset of pairs from the rewards of their answers, (N,) each."""
    return {
        "id": dataset_id,
        "pairs": len(chosen),
        "right": float((chosen > rejected).mean()),
        "rejected": float(rejected.mean()),
        "returns": [float(value) for value in np.percentile(chosen, QUANTILES)],
        "mean_return": float(chosen.mean()),
        "random": references[0],
        "reference": references[1],
    }


def draw_pairs(chosen: np.ndarray, rejected: np.ndarray, references: tuple[float, float]) -> bytes:
    """Draw the rewards of the chosen answers, and by how much they exceed those of the rejected ones; returns a PNG."""
    from envzoo.scripts.experiments.core.figures import BLUE, GREY

    def draw(left: Any, right: Any) -> None:
        draw_returns(left, chosen, references, "Rewards of the chosen answers")
        left.set(xlabel="reward", ylabel="pairs")
        right.hist(chosen - rejected, bins=40, color=BLUE)
        right.axvline(0, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2)
        right.set(title="Chosen less rejected", xlabel="difference of rewards", ylabel="pairs")

    return draw_panels(draw)


def rewards_of_pairs(dataset: Any, env_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rewards of the chosen answers and of the rejected ones, which the environment computes; (N,) each."""
    env = gym.make(env_id, disable_env_checker=True)
    task = env.unwrapped.definition.task
    env.close()
    pairs = read_pairs(dataset)
    answers = np.stack([task.answer_ids(text) for text in pairs["rejected"]])
    chosen = np.array([episode.rewards[0] for episode in dataset.iterate_episodes()])
    return chosen, task.verify(task.prompt_ids(pairs["prompts"]), answers)
