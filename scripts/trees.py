"""Walking through nested dicts, lists and tuples, such as the state of an agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a tree with their paths."""
    if isinstance(tree, dict):
        for key, child in tree.items():
            yield from leaves(child, f"{path}/{key}")
    elif isinstance(tree, list | tuple):
        for number, child in enumerate(tree):
            yield from leaves(child, f"{path}/{number}")
    else:
        yield path, tree
