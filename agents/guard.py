"""What a file may name: every id, path, model name and keyword that comes out of a file is judged here.

`reading(path)` marks that what happens next is decided by a file. As long as it lasts, at any depth, no environment is
made whose module Gymnasium would have to import, no model is fetched by its name, and no other file is opened. Fields
of configs that name something outside say so (`envzoo.agents.spec.Holds`), so that a file can be refused before
anything is built from it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import gymnasium as gym

from envzoo import registration
from envzoo.agents.spec import held_fields
from envzoo.errors import CheckpointError, shorten
from envzoo.games import games

# Keywords that say how an environment is made rather than what it is: a window, processes, more code.
NEVER_STORED = ("render_mode", "vectorization_mode", "vector_kwargs", "wrappers", "disable_env_checker")

_READING: ContextVar[tuple[tuple[str, str | None], ...]] = ContextVar("reading", default=())


@contextmanager
def reading(path: Any, vouched: Any = None) -> Iterator[None]:
    """Mark that the code inside is controlled by the file at `path`, with the rights of a file.

    Args:
        path: The file.
        vouched: Id of an environment that the user has named, so that it and its keywords are the user's word.
    """
    token = _READING.set((*_READING.get(), (str(path), vouched if isinstance(vouched, str) else None)))
    try:
        yield
    finally:
        _READING.reset(token)


def current_file() -> str | None:
    """Return the file that controls the running code; None when the user does."""
    files = _READING.get()
    return files[-1][0] if files else None


def _is_vouched(name: Any) -> bool:
    return bool(_READING.get()) and name == _READING.get()[-1][1]


def check_depth() -> None:
    """Refuse an agent within an agent within a file: a carrier has no carrier of its own.

    Raises:
        CheckpointError: There are more.
    """
    if len(_READING.get()) > 1:
        raise CheckpointError(f"{current_file()} is refused: the agent in it contains an agent that contains another")


def check_environment(name: Any) -> None:
    """Refuse an id that comes from a file and would make Gymnasium import a module.

    Raises:
        CheckpointError: "module:id" of a module that is not imported, or does not register the id.
    """
    file = current_file()
    if file is None or not isinstance(name, str) or ":" not in name or _is_vouched(name):
        return
    module, _, rest = name.partition(":")
    if module not in sys.modules or rest not in gym.registry:
        # Which module is imported is not for a stranger's file to decide.
        raise CheckpointError(
            f"{file} names the environment {shorten(name)!r}, which needs a module that is not imported; import it "
            "first, or give the source to load it with"
        )


def check_keywords(name: str, keywords: Mapping[str, Any]) -> None:
    """Refuse keywords of an environment that come from a file and could name something outside it.

    Our own environments take words, none of which is a path; what a word means to other environments is not known
    (`xml_file` of MuJoCo's is a path).

    Raises:
        CheckpointError: A keyword that is refused.
    """
    file = current_file()
    if file is None or _is_vouched(name):
        return
    for key in keywords:
        if key in NEVER_STORED:
            raise CheckpointError(
                f"{file} is refused: a file may not set {key} of an environment; give the source to load it with"
            )
    ours = name in games() or name in {row.id for row in registration.specs()}
    text = _first_text(list(keywords.items()), words=ours)
    if text is not None:
        raise CheckpointError(
            f"{file} is refused: it sets a keyword of {name} to the text {shorten(text)!r}, which may be a path; give "
            "the source to load it with"
        )


def _first_text(items: list[tuple[str, Any]], words: bool) -> str | None:
    """Return a string among the values, at any depth; with `words` only those inside of mappings count."""
    left: list[tuple[Any, bool]] = [(value, words) for _, value in items]
    while left:
        value, allowed = left.pop()
        if isinstance(value, str) and not allowed:
            return value
        if isinstance(value, Mapping):
            left += [(item, False) for item in value.values()]
        elif isinstance(value, list | tuple):
            left += [(item, allowed) for item in value]
    return None


def check_model(name: str) -> None:
    """Refuse to look for a model whose name comes from a file.

    Raises:
        CheckpointError: A file is being read.
    """
    if current_file() is not None:
        raise CheckpointError(
            f"{current_file()} names the model {shorten(name)!r}, and a file may not have a model fetched; give its "
            "name yourself"
        )


def check_file(path: Any) -> None:
    """Refuse to open a file whose path comes from another file.

    Raises:
        CheckpointError: A file is being read.
    """
    if current_file() is not None:
        raise CheckpointError(
            f"{current_file()} names the file {shorten(str(path))!r}, and a file may not have another one opened; give "
            "its path yourself"
        )


def check_work(steps: float, most: float, what: str) -> None:
    """Refuse long computations that a file asks for while it is loaded; whoever gives the source may ask for any.

    Raises:
        CheckpointError: More `steps` than `most`.
    """
    files = _READING.get()
    if files and files[-1][1] is None and steps > most:
        raise CheckpointError(
            f"{current_file()} is refused: {what} would take {float(steps):.1e} steps while it is loaded, over the "
            f"limit of {float(most):.1e}; give the source to load it with"
        )


def check_config(config: type, values: Mapping[str, Any], agents: Collection[str], parts: Any) -> None:
    """Judge the fields of a config that name something outside, as they stand in a file.

    Args:
        config: The config's class; `Holds` marks such fields.
        values: What the file holds.
        agents: Names of registered agents.
        parts: The parts of the saved state, among which the file carries what it needs.

    Raises:
        CheckpointError: One of them names something that the file may not have imported, opened or fetched.
    """
    for name, held in held_fields(config).items():
        value = values.get(name)
        if not isinstance(value, str) or not value or value in held.words:
            continue
        if held.kind == "environment":
            check_environment(value)
        elif held.kind == "agent" and value in agents:
            continue
        elif not (held.part is not None and isinstance(parts, Mapping) and held.part in parts):
            refuse = check_model if held.kind == "model" else check_file
            refuse(value)
