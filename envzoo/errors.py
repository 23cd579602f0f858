"""The errors of envzoo: one sentence each, with what was wrong, what was expected and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EnvzooError(ValueError):
    """Base of every error that envzoo raises for bad input; its text is one sentence, ready to be shown to a person."""


class UnknownNameError(EnvzooError):
    """An id, agent, hyperparameter, paper or other name that is not registered."""


class UnsupportedSpaceError(EnvzooError):
    """An agent or wrapper was given an observation space, action space or source that it cannot take."""


class InvalidActionError(EnvzooError):
    """An action outside the action space."""


class ResetNeededError(EnvzooError):
    """`step` was called on an episode that has not been started or that has ended."""


class DatasetError(EnvzooError):
    """A dataset that is missing, damaged, or unlike what its id promises."""


class CheckpointError(EnvzooError):
    """A checkpoint file that is missing, truncated, unsafe, or made by another agent."""


class RunDirectoryError(EnvzooError):
    """A run directory that is missing, occupied, or holds another run."""


class StorageError(EnvzooError, OSError):
    """The operating system refused to write a file: a full disk, a read-only folder, a folder in its place."""


class NonFiniteError(EnvzooError, ArithmeticError):
    """A metric of training became NaN or infinite."""


class MissingExtraError(EnvzooError, ImportError):
    """An optional dependency is not installed; the text names the extra that installs it."""


def shorten(text: str, most: int = 200) -> str:
    """The text, or its beginning and "..." when it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[:most]}..."


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice most like `name`, ignoring case, or None when nothing is close."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def unknown(kind: str, name: object, choices: Iterable[str], *, where: str = "") -> UnknownNameError:
    """The error for a `name` that is not among `choices`.

    Args:
        kind: What the name was meant to be, singular ("agent", "hyperparameter of PPO").
        name: What was given.
        choices: The valid names.
        where: An optional closing half-sentence ("list them with `envzoo list agents`").
    """
    choices, name = sorted(choices), shorten(str(name))
    guess = nearest(name, choices)
    hint = f"; did you mean {guess!r}?" if guess else ""
    if len(choices) <= 12:
        expected = f"; expected one of {', '.join(choices)}" if choices else ""
    else:
        expected = "" if guess else f"; expected one of {', '.join(choices[:12])}, ..."
    return UnknownNameError(f"unknown {kind} {name!r}{expected}{hint}{' (' + where + ')' if where else ''}")
