"""Former names of renamed classes, available with a deprecation warning for one release."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any


def renamed(module: str, names: dict[str, str]) -> Callable[[str], Any]:
    """Create the `__getattr__` of a module in which classes or functions were renamed or moved.

    Args:
        module: Name of the module that defines it.
        names: Former name -> "module:name", the present place.

    Returns:
        The function to assign to `__getattr__` of the module.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, present = names[name].split(":")
        warnings.warn(f"{module}.{name} is now {place}.{present}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(place), present)

    return find
