"""Import the modules given with `--import`, which register a user's own agents, environments and so on."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from envzoo.errors import EnvzooError

FLAG = "--import"
HELP = (
    "--import MODULE imports a module before the command runs, so that it can register your own agents, environments, "
    "datasets or experiments. It may be repeated. The module must be on Python's path or in the current folder."
)

_imported: list[str] = []


def imported() -> tuple[str, ...]:
    """Return the modules that this process has imported for `--import`, in their order."""
    return tuple(_imported)


def import_modules(names: Iterable[str]) -> None:
    """Import modules by name.

    Raises:
        EnvzooError: A name is not a valid module name, or a module cannot be imported.
    """
    for name in names:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name) or name.endswith(".py"):
            raise EnvzooError(f"{FLAG} takes the name of a module, such as my_agents (without .py), got {name!r}")
        # The script `envzoo` does not search the current folder. Appended to the path, it hides no installed package.
        if os.getcwd() not in sys.path and "" not in sys.path:
            sys.path.append(os.getcwd())
        try:
            import_module(name)
        except EnvzooError as error:
            raise EnvzooError(f"the module {name!r} of {FLAG} cannot be imported: {error}") from error
        except (Exception, SystemExit) as error:
            raise EnvzooError(
                f"the module {name!r} of {FLAG} cannot be imported ({type(error).__name__}: {error})"
            ) from error
        if name not in _imported:
            _imported.append(name)


def take_imports(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split a command line into the modules given with `--import` and the remaining arguments.

    Raises:
        EnvzooError: The flag has no module.
    """
    names, rest = [], []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag != FLAG:
            rest.append(argument)
            continue
        name = value if equals else next(remaining, "")
        if not name or name.startswith("-"):
            raise EnvzooError(f"{FLAG} takes the name of a module, such as `{FLAG} my_agents`")
        names.append(name)
    return names, rest


def command_line(*words: str) -> str:
    """Format an envzoo command for users to copy, with the `--import` flags of this process."""
    flags = [part for name in imported() for part in (FLAG, name)]
    return shlex.join(["envzoo", *words, *flags])


class WithImports:
    """A picklable wrapper of a function that first imports the modules given with `--import`, also in other processes.

    Args:
        function: A module-level function.
    """

    def __init__(self, function: Callable[[dict[str, Any]], Any]):
        self.function, self.modules = function, imported()

    def __call__(self, job: dict[str, Any]) -> Any:
        """Import the modules, and call the function."""
        import_modules(self.modules)
        return self.function(job)
