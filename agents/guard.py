"""Restrictions on what a file may refer to: every id, path, model name and keyword read from a file is checked here.

Inside `reading(path)`, at any depth, a file determines what is built: no environment is created whose module Gymnasium
would have to import, no model is fetched by name, and no other file is opened. Config fields that refer to something
external are annotated (`envzoo.agents.spec.Holds`), so that a file can be rejected before anything is built from it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import gymnasium as gym

from envzoo import registration
from envzoo.agents.schedules import is_known
from envzoo.agents.spec import held_fields
from envzoo.errors import CheckpointError, shorten
from envzoo.games import own_games

# Keywords that determine how an environment is run, not what it is: windows, processes, additional code.
NEVER_STORED = ("render_mode", "vectorization_mode", "vector_kwargs", "wrappers", "disable_env_checker")

_READING: ContextVar[tuple[tuple[str, str | None], ...]] = ContextVar("reading", default=())


@contextmanager
def reading(path: Any, vouched: Any = None) -> Iterator[None]:
    """Restrict what happens inside the block to what the file at `path` may do.

    Args:
        path: Path of the file.
        vouched: Id of an environment that the user named, so that it and its keywords are trusted.
    """
    token = _READING.set((*_READING.get(), (str(path), vouched if isinstance(vouched, str) else None)))
    try:
        yield
    finally:
        _READING.reset(token)


def current_file() -> str | None:
    """Return the file that is being read, or None outside `reading`."""
    files = _READING.get()
    return files[-1][0] if files else None


def _is_vouched(name: Any) -> bool:
    return bool(_READING.get()) and name == _READING.get()[-1][1]


def check_depth() -> None:
    """Reject an agent within an agent within a file: a carrier has no carrier of its own.

    Raises:
        CheckpointError: Agents are nested deeper than that.
    """
    if len(_READING.get()) > 1:
        raise CheckpointError(f"{current_file()} is refused: the agent in it contains an agent that contains another")


def check_environment(name: Any) -> None:
    """Reject an id from a file that would make Gymnasium import a module.

    Raises:
        CheckpointError: "module:id" of a module that is not imported, or does not register the id.
    """
    file = current_file()
    if file is None or not isinstance(name, str) or ":" not in name or _is_vouched(name):
        return
    module, _, rest = name.partition(":")
    if module not in sys.modules or rest not in gym.registry:
        # An untrusted file must not choose which modules are imported.
        raise CheckpointError(
            f"{file} names the environment {shorten(name)!r}, which needs a module that is not imported; import it "
            "first, or give the source to load it with"
        )


def check_keywords(name: str, keywords: Mapping[str, Any]) -> None:
    """Reject environment keywords from a file that could refer to something external.

    String arguments of envzoo's own environments are never paths; the meaning of strings for other environments is
    unknown (`xml_file` of MuJoCo's is a path).

    Raises:
        CheckpointError: A keyword is rejected.
    """
    file = current_file()
    if file is None or _is_vouched(name):
        return
    for key in keywords:
        if key in NEVER_STORED:
            raise CheckpointError(
                f"{file} is refused: a file may not set {key} of an environment; give the source to load it with"
            )
    ours = name in own_games() or name in {row.id for row in registration.own_specs()}
    text = _first_text(list(keywords.items()), words=ours)
    if text is not None:
        raise CheckpointError(
            f"{file} is refused: it sets a keyword of {name} to the text {shorten(text)!r}, which may be a path; give "
            "the source to load it with"
        )


def _first_text(items: list[tuple[str, Any]], words: bool) -> str | None:
    """Return the first string among the values, at any depth; with `words` only strings inside mappings count."""
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


def _reject(named: str, why: str, cure: str) -> None:
    """Raise CheckpointError if a file, and not the user, has named something."""
    if current_file() is not None:
        raise CheckpointError(f"{current_file()} names {named}, but a file may not {why}; {cure}")


def check_model(name: str) -> None:
    """Reject loading a model whose name comes from a file; raises CheckpointError."""
    _reject(f"the model {shorten(name)!r}", "cause a model download", "pass the model's name explicitly")


def check_file(path: Any) -> None:
    """Reject opening a file whose path comes from another file; raises CheckpointError."""
    _reject(f"the file {shorten(str(path))!r}", "open another file", "pass its path explicitly")


def check_work(steps: float, most: float, what: str) -> None:
    """Reject long computations requested by a file during loading; a source given by the user is not limited.

    Raises:
        CheckpointError: More `steps` than `most`.
    """
    files = _READING.get()
    if files and files[-1][1] is None and steps > most:
        raise CheckpointError(
            f"{current_file()} is refused: {what} would take {float(steps):.1e} steps while it is loaded, over the "
            f"limit of {float(most):.1e}; give the source to load it with"
        )


def check_encoder(field: str, name: str, known: Collection[str]) -> None:
    """Reject an encoder that a file names and that is not among the known ones; raises CheckpointError."""
    if current_file() is not None and name not in known:
        raise CheckpointError(
            f"{current_file()} names the encoder {shorten(repr(name))} in {field}, but a file may not import code; "
            "give the same class or function again, as encoder= of envzoo.agents.load, or register it first"
        )


def check_schedule(field: str, text: str) -> None:
    """Reject a schedule that a file names and that is not a known one; raises CheckpointError."""
    if current_file() is not None and not is_known(text):
        raise CheckpointError(
            f"{current_file()} names the schedule {shorten(repr(text))} in {field}, but a file may not import code; "
            f"give the same function again, as {field}= of envzoo.agents.load, or register it first"
        )


def check_config(
    config: type, values: Mapping[str, Any], agents: Collection[str], parts: Any, encoders: Collection[str] = ()
) -> None:
    """Check the fields of a saved config that refer to something external.

    Args:
        config: The config's class; such fields are annotated with `Holds`.
        values: Content of the file.
        agents: Names of registered agents.
        parts: The parts of the saved state, which contain what the file needs.
        encoders: Names of known encoders.

    Raises:
        CheckpointError: A field refers to something that the file may not import, open or fetch.
    """
    for name, held in held_fields(config).items():
        value = values.get(name)
        if not isinstance(value, str) or not value or value in held.words:
            continue
        if held.kind == "environment":
            check_environment(value)
        elif held.kind == "encoder":
            check_encoder(name, value, encoders)
        elif held.kind == "schedule":
            check_schedule(name, value)
        elif held.kind == "agent" and value in agents:
            continue
        elif not (held.part is not None and isinstance(parts, Mapping) and held.part in parts):
            refuse = check_model if held.kind == "model" else check_file
            refuse(value)
