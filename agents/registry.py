"""The table of agents, collected from the `specs` modules of the families and from plug-ins."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from envzoo.discovery import Registry
from envzoo.errors import EnvzooError, unknown
from envzoo.specs import AgentSpec, load

_HINT = "`envzoo list agents` shows them all; `--import MODULE` adds those of your own module"
_AGENTS: Registry[AgentSpec] = Registry("agent", AgentSpec, "AGENTS", "name", ["envzoo", "envzoo.agents"], _HINT)
_CLASSES: dict[str, type] = {}  # those that their rows' entry points do not tell


def specs() -> Mapping[str, AgentSpec]:
    """Return every registered agent by name."""
    return _AGENTS.rows()


def own_specs() -> Mapping[str, AgentSpec]:
    """Return envzoo's own agents by name, without those of plug-ins."""
    return _AGENTS.own()


def spec(name: str) -> AgentSpec:
    """Return the spec of one agent; raises UnknownNameError with the nearest name."""
    return _AGENTS.get(name)


def agent_class(name: str) -> type:
    """Import and return the class of an agent; raises UnknownNameError."""
    row = spec(name)
    if name in _CLASSES:
        return _CLASSES[name]
    cls = load(row.entry_point)
    if entry_point_of(cls) != row.entry_point:  # defined elsewhere: remember whose row leads to it
        _CLASSES[name] = cls
        spec_of.cache_clear()
    return cls


def entry_point_of(cls: type) -> str:
    """Return the entry point of a class, "module:Class"."""
    return f"{cls.__module__}:{cls.__qualname__}"


@functools.cache
def spec_of(cls: type) -> AgentSpec:
    """Return the spec of a class: its own, or that of the nearest registered class it derives from.

    Raises:
        EnvzooError: There is none.
    """
    registered = {found: name for name, found in _CLASSES.items()}
    by_entry_point = {row.entry_point: row for name, row in specs().items() if name not in _CLASSES}
    for base in cls.__mro__:
        if base in registered:
            return specs()[registered[base]]
        if entry_point_of(base) in by_entry_point:
            return by_entry_point[entry_point_of(base)]
    raise EnvzooError(f"{cls.__name__} is not registered; register it first, with envzoo.agents.register")


class OwnSpec:
    """Class attribute that gives each class its row of the table."""

    def __get__(self, agent: Any, cls: type) -> AgentSpec:
        """Return the spec of the class that is asked."""
        return spec_of(cls)


def register(name: str, agent: type | str, *, summary: str = "", **facts: Any) -> AgentSpec:
    """Register an agent under a name for `make`, `load` and the command line.

    A file holds the name and not the class, so the agent has to be registered before a file of it is loaded.

    Args:
        name: A name that no other agent has.
        agent: The class, or "module:Class", which is imported on use.
        summary: One line for lists; the first line of the class's docstring when it is left out.
        **facts: Further fields of `AgentSpec`, such as `sources` and `actions`; left out, they are those of the class
            that the agent derives from.

    Returns:
        The agent's spec.

    Raises:
        EnvzooError: The name is taken or no identifier, or the agent is neither a class of agents nor "module:Class".
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise EnvzooError(f"the name of an agent is a Python identifier such as 'MyPPO', got {name!r}")
    if name in specs():
        raise EnvzooError(f"there is an agent {name!r} already ({specs()[name].entry_point}); choose another name")
    # What makes a class an agent is that it learns and has a config; where the base class lies is not known here.
    cls = agent if isinstance(agent, type) and hasattr(agent, "learn") and hasattr(agent, "Config") else None
    if cls is None and not (isinstance(agent, str) and all(agent.partition(":"))):
        raise EnvzooError(f"agent is a subclass of envzoo.agents.learner.Learner or 'module:Class', got {agent!r}")
    known = {field.name for field in dataclasses.fields(AgentSpec)} - {"name", "entry_point", "summary"}
    for fact in facts:
        if fact not in known:
            raise unknown("fact about an agent", fact, known)
    if cls is not None:
        summary = summary or next(iter((cls.__doc__ or "").strip().splitlines()), "")
        facts = _inherited(cls, known) | facts
    entry_point = agent if cls is None else entry_point_of(cls)
    found = AgentSpec(name, entry_point, facts.pop("family", "custom"), summary, **facts)
    _AGENTS.add(found)
    if cls is not None:
        _CLASSES[name] = cls
    spec_of.cache_clear()
    return found


def _inherited(cls: type, known: set[str]) -> dict[str, Any]:
    try:
        parent = spec_of(cls)
    except EnvzooError:
        return {}
    return {fact: getattr(parent, fact) for fact in known - {"example"}}


def unregister(name: str) -> None:
    """Remove an agent that `register` added; raises UnknownNameError."""
    spec(name)
    _AGENTS.remove(name)
    _CLASSES.pop(name, None)
    spec_of.cache_clear()


def require_registered(cls: type) -> None:
    """Reject a class that a file could not name.

    Raises:
        EnvzooError: The class is not the one that is registered under the name in its spec.
    """
    name = spec_of(cls).name
    if agent_class(name) is not cls:
        raise EnvzooError(
            f"{cls.__name__} is not registered, so its file would be loaded as {name}; register it first, with "
            f"envzoo.agents.register({cls.__name__!r}, {cls.__name__})"
        )
