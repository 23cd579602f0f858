"""Offline datasets in Minari format: recipes that build them, and the transition table that offline agents train on.

Importing this package imports neither Minari nor PyTorch.
"""

if __name__ != "envzoo.datasets":
    raise ImportError(
        "this folder is envzoo.datasets, but it was found as the top-level package 'datasets' because Python was "
        "started in envzoo's repository with the current folder on its path: start it with `python -P`, or in another "
        "folder, so that Hugging Face's `datasets` is found instead"
    )

from envzoo.datasets.recipes import Recipe, recipe, recipes, register
from envzoo.datasets.store import is_dataset_id, known_dataset_ids, load_minari
from envzoo.datasets.table import TransitionTable

__all__ = [
    "Recipe",
    "TransitionTable",
    "is_dataset_id",
    "known_dataset_ids",
    "load_minari",
    "recipe",
    "recipes",
    "register",
]
