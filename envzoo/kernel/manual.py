"""Manuals that share parts: what several environments' docstrings say alike is written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def with_parts(parts: Mapping[str, str]) -> Callable[[type], type]:
    """Make a class decorator that replaces every line `$name` of the docstring by the part of that name."""

    def decorate(cls: type) -> type:
        lines: list[str] = []
        for line in (cls.__doc__ or "").split("\n"):
            name = line.strip()
            if name.startswith("$"):
                indent = line[: -len(name)]
                lines += [indent + text if text else "" for text in parts[name[1:]].split("\n")]
            else:
                lines.append(line)
        if cls.__doc__:  # there is none under `python -OO`
            cls.__doc__ = "\n".join(lines)
        return cls

    return decorate
