"""Recipes of datasets that show a memory at work: with them, a network is judged without learning by trial and error.

`envzoo train BC envzoo/associative-recall/oracle-v0 --encoder s4d` trains a layer on one of them.
"""

from envzoo.datasets.recipes import Recipe, ScriptedPolicy


def _oracle(folder: str, env_id: str, policy: str, text: str, namespace: str, episodes: int, **kwargs) -> Recipe:
    """Make a recipe of right answers."""
    return Recipe(
        f"envzoo/{folder}/oracle-v0",
        env_id,
        ScriptedPolicy(f"envzoo.datasets.memory_experts:{policy}", agent="Oracle"),
        1.0,
        text,
        episodes=episodes,
        namespace=f"{namespace} ({env_id}).",
        env_kwargs=kwargs,
    )


DATASETS = (
    _oracle(
        "repeat-previous",
        "envzoo/RepeatPrevious-v0",
        "repeat_previous",
        "Copying of a sequence: the right answer is the card of seven steps ago, and 0 in the first seven steps.",
        "Sequences of cards, of which an earlier one is named",
        1000,
        k=8,
    ),
    _oracle(
        "autoencode",
        "envzoo/Autoencode-v0",
        "autoencode",
        "Copying of a whole sequence: 52 cards are watched, with the answer 0, and then named in reverse order.",
        "Sequences of cards that are named in reverse order",
        1000,
    ),
    _oracle(
        "associative-recall",
        "envzoo/AssociativeRecall-v0",
        "recall_pairs",
        "Eight pairs of keys and values are shown, with the answer 0; then the values of eight given keys are named.",
        "Pairs of keys and values, and queries",
        2000,
    ),
    _oracle(
        "latch",
        "envzoo/Latch-v0",
        "latch",
        "Sequences of 32 symbols; the answer in every step is the first symbol, which is 0 or 1. Only the last answer "
        "is rewarded.",
        "Sequences whose first symbol has to be remembered",
        4096,
    ),
    _oracle(
        "same-different",
        "envzoo/SameDifferent-v0",
        "compare_glyphs",
        "Images with two glyphs; the answer is 1 where they are equal. One step per episode; for a test set, take the "
        "last 2,000.",
        "Images with two glyphs that are equal or different",
        10_000,
    ),
)
