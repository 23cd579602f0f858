"""Collect the tables of all families, and those of installed plug-ins, into one table of each kind.

A plug-in is an installed package with entry points in the groups `envzoo.environments`, `envzoo.games`,
`envzoo.agents`, `envzoo.datasets` or `envzoo.experiments`; each names a row, or a tuple of rows. One that cannot be
imported, or gives something else, is skipped with one warning.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from envzoo.errors import EnvzooError, unknown

T = TypeVar("T")


def family_modules(package: str) -> Iterator[str]:
    """List the modules `specs` in the folders of a package, in alphabetical order, without importing them."""
    found = find_spec(package)
    folders = [Path(place) for place in (found.submodule_search_locations or ())] if found is not None else []
    for file in sorted(file for folder in folders for file in folder.glob("*/specs.py")):
        yield f"{package}.{file.parent.name}.specs"


class Registry(Generic[T]):
    """A table of rows by name, read from families and plug-ins on first use; `add` adds further rows.

    Args:
        what: What a row is, in words.
        kind: Class of the rows.
        attribute: Name of the tuple in a family's `specs`; the entry-point group is `envzoo.` and this in lower case.
        key: Name of the field that is a row's name.
        packages: Packages whose folders have tables.
        hint: Where a person finds all names, for error sentences.
        more: Gives rows of envzoo that no family's `specs` holds.
    """

    def __init__(
        self,
        what: str,
        kind: type[T],
        attribute: str,
        key: str,
        packages: Iterable[str] = (),
        hint: str | None = None,
        more: Callable[[], Iterable[T]] = tuple,
    ):
        self.what, self.kind, self.attribute, self.key, self.hint = what, kind, attribute, key, hint
        self.packages, self.more = tuple(packages), more
        self._rows: dict[str, T] = {}
        self._own: frozenset[str] = frozenset()
        self._waiting: list[metadata.EntryPoint] = []  # of modules that were still being imported
        self._filled = False

    def rows(self) -> Mapping[str, T]:
        """Return all rows by name: envzoo's own, then those of plug-ins, then added ones."""
        if not self._filled:
            self._filled = True
            added, self._rows = self._rows, {}
            for package in self.packages:
                for module in family_modules(package):
                    for row in getattr(import_module(module), self.attribute, ()):
                        self._insert(row)
            for row in self.more():
                self._insert(row)
            self._own = frozenset(self._rows)
            self._waiting = self._entry_points()
            self._read_plugins()
            for row in added.values():
                self._insert(row)
        elif self._waiting:
            self._read_plugins()
        return self._rows

    def own(self) -> Mapping[str, T]:
        """Return envzoo's own rows by name, without those of plug-ins and added ones."""
        rows = self.rows()
        return {name: row for name, row in rows.items() if name in self._own}

    def get(self, name: str) -> T:
        """Return a row by name; raises UnknownNameError with the nearest name."""
        rows = self.rows()
        if not isinstance(name, str) or name not in rows:
            raise unknown(self.what, name, rows, where=self.hint)
        return rows[name]

    def add(self, row: T) -> None:
        """Add a row.

        Raises:
            EnvzooError: Something else than a row, or a name that is taken.
        """
        self.rows()
        self._insert(row)

    def remove(self, name: str) -> None:
        """Remove a row; raises UnknownNameError."""
        self.get(name)
        del self._rows[name]
        self._own -= {name}

    def _insert(self, row: Any) -> None:
        if not isinstance(row, self.kind):
            raise EnvzooError(f"expected a {self.kind.__name__}, got {row!r:.80}")
        name = getattr(row, self.key)
        if name in self._rows:
            raise EnvzooError(f"there is {article(self.what)} {name!r} already; choose another name")
        self._rows[name] = row

    def _entry_points(self) -> list[metadata.EntryPoint]:
        try:
            found = metadata.entry_points(group=f"envzoo.{self.attribute.lower()}")
            return sorted(found, key=lambda entry: (entry.name, entry.value))
        except Exception as error:  # metadata of a damaged installation
            warnings.warn(f"plug-ins of envzoo cannot be listed ({reason(error)})", stacklevel=4)
            return []

    def _read_plugins(self) -> None:
        entries, self._waiting = self._waiting, []
        for entry in entries:
            if _is_being_imported(entry.module):
                # A plug-in's own import of envzoo has led here; its rows are read when they are next asked for.
                self._waiting.append(entry)
                continue
            before = dict(self._rows)
            try:
                found = entry.load()
                for row in [found] if isinstance(found, self.kind) else found:
                    self._insert(row)
            except (Exception, SystemExit) as error:  # a stranger's package may raise anything
                self._rows = before
                warn_skipped(f"the plug-in {entry.name!r} ({entry.value})", error)


def article(what: str) -> str:
    """Put "a" or "an" before a noun."""
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def warn_skipped(origin: str, error: BaseException) -> None:
    """Warn that a part of a plug-in is skipped."""
    warnings.warn(f"{origin} is skipped: {reason(error)}", stacklevel=2)


def reason(error: BaseException) -> str:
    """Describe an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _is_being_imported(module: str) -> bool:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
