"""Recipes of demonstrations for text puzzles."""

from envzoo.datasets.recipes import Demonstrations, Recipe

# Folders of the datasets, and their environments.
_PUZZLES = {
    "text-sum-to": "envzoo/TextSumTo-Tokens-v0",
    "text-countdown": "envzoo/TextCountdown-Tokens-v0",
    "text-chain-arith": "envzoo/TextChainArith-Tokens-v0",
    "text-sort": "envzoo/TextSort-Tokens-v0",
    "text-parity": "envzoo/TextParity-Tokens-v0",
    "text-maze": "envzoo/TextMaze-Tokens-v0",
    "text-spark": "envzoo/TextSpark-Tokens-v0",
    "text-tool-puzzle": "envzoo/TextToolPuzzle-Tokens-v0",
}

DATASETS = tuple(
    Recipe(
        f"envzoo/{folder}/demonstrations-v0",
        env_id,
        Demonstrations(),
        1.0,
        "Demonstrations of the puzzle's own generator on its training problems, a quarter of them flawed in the "
        "way that the puzzle's manual describes.",
        namespace=f"Demonstrations for a text puzzle, token by token ({env_id}).",
    )
    for folder, env_id in _PUZZLES.items()
)
