"""Exceptions of envzoo. Each message is one sentence: the problem, the expected input and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EnvzooError(ValueError):
    """Base class of all errors that envzoo raises for bad input; the message is one sentence, ready to be displayed."""


class UnknownNameError(EnvzooError):
    """An id, agent, hyperparameter, paper or other name that is not registered."""


class UnsupportedSpaceError(EnvzooError):
    """An observation space, action space or source is not supported by an agent or wrapper."""


class InvalidActionError(EnvzooError):
    """An action is outside the action space."""


class ResetNeededError(EnvzooError):
    """`step` was called on an episode that has not been started or has ended."""


class DatasetError(EnvzooError):
    """A dataset is missing, damaged, or does not match its id."""


class CheckpointError(EnvzooError):
    """A checkpoint file is missing, truncated, unsafe, or was written by another agent."""


class RunDirectoryError(EnvzooError):
    """A run directory is missing, occupied, or holds another run."""


class StorageError(EnvzooError, OSError):
    """The operating system cannot write a file: the disk is full, or the folder is read-only or not a folder."""


class NonFiniteError(EnvzooError, ArithmeticError):
    """A training metric became NaN or infinite."""


class MissingExtraError(EnvzooError, ImportError):
    """An optional dependency is not installed; the message names the extra that installs it."""


def missing_extra(what: str, package: str, extra: str) -> MissingExtraError:
    """Make the error for an optional `package` that is not installed.

    Args:
        what: What needs it ("training with TRL").
        package: Name of the package.
        extra: The extra of envzoo that installs it.
    """
    command = f"pip install -c constraints.txt -e '.[{extra}]'"
    return MissingExtraError(f"{what} needs {package}; install it with `{command}` in the checkout of envzoo")


def shorten(text: str, most: int = 200) -> str:
    """Return the text, truncated with "..." if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[:most]}..."


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice most similar to `name`, ignoring case, or None if none is similar."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def unknown(kind: str, name: object, choices: Iterable[str], *, where: str = "") -> UnknownNameError:
    """Create the error for an unknown `name`; its message suggests the most similar choice.

    Args:
        kind: Kind of thing the name refers to, singular ("agent", "hyperparameter of PPO").
        name: The name given.
        choices: The valid names.
        where: Optional clause at the end of the message ("list them with `envzoo list agents`").
    """
    choices, name = sorted(choices), shorten(str(name))
    guess = nearest(name, choices)
    hint = f"; did you mean {guess!r}?" if guess else ""
    if len(choices) <= 12:
        expected = f"; expected one of {', '.join(choices)}" if choices else ""
    else:
        expected = "" if guess else f"; expected one of {', '.join(choices[:12])}, ..."
    return UnknownNameError(f"unknown {kind} {name!r}{expected}{hint}{' (' + where + ')' if where else ''}")
