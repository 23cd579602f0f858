"""Collect the tables of all families, and those of installed plug-ins, into one table of each kind.

A plug-in is an installed package with entry points in the groups `envzoo.environments`, `envzoo.games`,
`envzoo.agents`, `envzoo.datasets` or `envzoo.experiments`; each names a row, or a tuple of rows. One that cannot be
imported, or gives something else, is passed over with one warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from envzoo.errors import EnvzooError, unknown

T = TypeVar("T")


def family_modules(package: str) -> Iterator[str]:
    """Names of the modules `specs` in the folders of a package, in alphabetical order; nothing is imported."""
    found = find_spec(package)
    folders = [Path(place) for place in (found.submodule_search_locations or ())] if found is not None else []
    for file in sorted(file for folder in folders for file in folder.glob("*/specs.py")):
        yield f"{package}.{file.parent.name}.specs"


class Registry(Generic[T]):
    """A table of rows by name, filled from families and plug-ins when it is first asked, and by `add`.

    Args:
        what: What a row is, in words.
        kind: Class of the rows.
        attribute: Name of the tuple in a family's `specs`; the entry-point group is `envzoo.` and this in lower case.
        key: Name of the field that is a row's name.
        packages: Packages whose folders have tables.
        hint: Where a person finds all names, for error sentences.
    """

    def __init__(
        self, what: str, kind: type[T], attribute: str, key: str, packages: Iterable[str], hint: str | None = None
    ):
        self.what, self.kind, self.attribute, self.key, self.hint = what, kind, attribute, key, hint
        self.packages = tuple(packages)
        self._rows: dict[str, T] = {}
        self._filled = False

    def rows(self) -> Mapping[str, T]:
        """All rows by name: those of families, then plug-ins', then added ones."""
        if not self._filled:
            self._filled = True
            own, self._rows = self._rows, {}
            for package in self.packages:
                for module in family_modules(package):
                    for row in getattr(import_module(module), self.attribute, ()):
                        self._insert(row)
            for origin, read in self._plugins():
                self._take(origin, read)
            for row in own.values():
                self._insert(row)
        return self._rows

    def get(self, name: str) -> T:
        """A row by name; raises UnknownNameError with the nearest."""
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
        """Take a row out of the table; raises UnknownNameError."""
        self.get(name)
        del self._rows[name]

    def _insert(self, row: Any) -> None:
        if not isinstance(row, self.kind):
            raise EnvzooError(f"expected a {self.kind.__name__}, got {row!r:.80}")
        name = getattr(row, self.key)
        if name in self._rows:
            raise EnvzooError(f"there is {self.what} {name!r} already; choose another name")
        self._rows[name] = row

    def _plugins(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        try:
            found = sorted(
                metadata.entry_points(group=f"envzoo.{self.attribute.lower()}"), key=lambda entry: entry.name
            )
        except Exception as error:  # metadata of a damaged installation
            warnings.warn(f"plug-ins of envzoo cannot be listed ({_reason(error)})", stacklevel=4)
            return
        for entry in found:
            yield f"the plug-in {entry.name!r} ({entry.value})", entry.load

    def _take(self, origin: str, read: Callable[[], Any]) -> None:
        before = dict(self._rows)
        try:
            found = read()
            for row in [found] if isinstance(found, self.kind) else found:
                self._insert(row)
        except Exception as error:  # a stranger's package may raise anything; envzoo must go on without it
            self._rows = before
            warnings.warn(f"{origin} is passed over: {_reason(error)}", stacklevel=5)


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
