"""From a file to an agent: what the file says is judged, then the agent is built, then it takes over the state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from envzoo.agents import budget, checkpoint, guard
from envzoo.agents.learner import Learner
from envzoo.agents.networks.encoders import encoder_names
from envzoo.agents.registry import agent_class, specs
from envzoo.agents.source import Source, resolve
from envzoo.agents.spec import build_config, current_names, held_fields, name_of
from envzoo.errors import CheckpointError, EnvzooError, shorten
from envzoo.sizes import at_most

# What an environment may take that a file names, over what the file holds, unless ENVZOO_MAX_BYTES is set.
BYTES, BYTES_EACH = 128 * 2**20, 8
LONGEST_SENTENCE = 1500  # characters of an error that quotes a file
# Keywords of `load` for classes and functions of the user's own, by the kind of the fields that they fill.
KEYWORDS = {"encoder": "encoder", "schedule": "learning_rate"}
NOTHING: Mapping[str, Any] = {}


def load(
    path: str | os.PathLike, source: Any, device: str, expect: str | None, own: Mapping[str, Any] = NOTHING
) -> Learner:
    """Load a learner; see `envzoo.agents.load`."""
    guard.check_file(path)
    header, state = checkpoint.read(path)
    try:
        return _assemble(path, header, state, source, device, expect, own)
    except EnvzooError as error:
        # Spaces print on several lines, and names in a file may be of any length.
        error.args = (shorten(" ".join(str(error).split()), LONGEST_SENTENCE),)
        raise


def revive(header: Any, state: Any, *, device: str = "auto") -> Learner:
    """Create an agent that is saved inside the file of another one, from its header and state.

    Raises:
        CheckpointError: It is damaged, or contains a further one.
    """
    guard.check_depth()
    return _assemble(guard.current_file(), header, state, None, device, None)


def _assemble(
    path: Any, header: Any, state: Any, source: Any, device: str, expect: str | None, own: Mapping[str, Any] = NOTHING
) -> Learner:
    try:
        name, hyperparameters, seed = header["agent"], header["config"], header["seed"]
        stored_source, env_kwargs = header["source"], header["env_kwargs"]
    except (LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: its header lacks {error}") from None
    if not isinstance(name, str) or not isinstance(hyperparameters, Mapping) or not isinstance(env_kwargs, Mapping):
        raise CheckpointError(f"{path} is damaged: its header does not name an agent with its settings")
    if name not in specs():
        raise CheckpointError(
            f"{path} holds an agent {shorten(name)!r} that this version of envzoo does not have; one of your own is to "
            "be registered first, with envzoo.agents.register"
        )
    if expect is not None and name != expect:
        raise CheckpointError(f"{path} holds an agent {name}, expected {expect}")
    if source is None and stored_source is None:
        raise CheckpointError(f"{path} was trained on an object without an id; give the source to load it with")
    cls = agent_class(name)
    limited = guard.current_file() is None  # one file, one budget, whatever it contains
    with ExitStack() as stack:
        stack.enter_context(guard.reading(path, vouched=source))
        if limited and source is None:
            stack.enter_context(at_most(BYTES + BYTES_EACH * budget.sizes(state)[0]))
        parts = state.get("parts") if isinstance(state, Mapping) else None
        hyperparameters = current_names(cls.Config, name, hyperparameters)
        for kind, given in own.items():
            if given is not None:
                hyperparameters = _with_own(path, cls.Config, hyperparameters, kind, given)
        guard.check_config(cls.Config, hyperparameters, specs(), parts, encoder_names())
        config = build_config(cls.Config, name, hyperparameters)
        # Who names the stored source vouches for the keywords that are stored with it.
        again = source is None or (isinstance(source, str) and source == stored_source)
        resolved = resolve(stored_source if again else source, cls.spec, dict(env_kwargs) if again else {})
        _check_spaces(path, header, resolved)
        if limited:
            stack.enter_context(budget.TensorBudget(path, state))
        agent = cls.rebuild(resolved, config, state, seed=seed, device=device)
        agent.restore(state, header, path)
    return agent


def _with_own(path: Any, config: type, values: Mapping[str, Any], kind: str, given: Any) -> dict[str, Any]:
    """Put the encoder or schedule that the user gives into the fields that name it.

    Raises:
        CheckpointError: The file names no such class or function.
    """
    fields = [name for name, held in held_fields(config).items() if held.kind == kind]
    if isinstance(given, str) or not callable(given):
        raise EnvzooError(f"{KEYWORDS[kind]} of load is a class or function of your own, got {shorten(repr(given))}")
    named = [name for name in fields if values.get(name) == name_of(given)]
    if not named:
        stored = ", ".join(shorten(repr(values.get(name))) for name in fields) or "none"
        raise CheckpointError(f"{path} was trained with the {kind} {stored}, not with {name_of(given)!r}")
    return {**values, **dict.fromkeys(named, given)}


def _check_spaces(path: Any, header: Mapping[str, Any], source: Source) -> None:
    for what in ("observation_space", "action_space"):
        mine, stored = str(getattr(source, what)), header.get(what)
        if mine != stored:
            raise CheckpointError(
                f"{path} was trained with the {what.replace('_', ' ')} {shorten(str(stored))}, but {source.name} has "
                f"{shorten(mine)}"
            )
