"""What a resumed run takes over, what it may change, and what it has to say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from envzoo.errors import RunDirectoryError, unknown

# Options that can be given anew: they decide how far, where and how safely a run goes, not what it computes.
CHANGEABLE = ("timesteps", "device", "checkpoint_every")


def _plain(value: Any) -> Any:
    """The value as JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def differences(
    facts: Mapping[str, Any], options: Mapping[str, Any], hyperparameters: Mapping[str, Any], config: type
) -> list[str]:
    """What was given that the run has otherwise and cannot change, in words.

    Args:
        facts: Of the run.
        options: Options of `train` that were given, by name.
        hyperparameters: Those that were given.
        config: Config class of the agent.

    Raises:
        UnknownNameError: A hyperparameter that the agent does not have.
    """
    names = [field.name for field in dataclasses.fields(config)]
    found: dict[str, tuple[Any, Any]] = {}
    for name, value in options.items():
        # "auto" threads and None evaluations left the choice to envzoo, and the run has made it.
        if name in (*CHANGEABLE, "env_kwargs") or (name, value) in (("threads", "auto"), ("eval_every", None)):
            continue
        found[name] = (facts[name], _plain(value))
    for name, value in (options.get("env_kwargs") or {}).items():
        found[f"env_kwargs {name}"] = (facts["env_kwargs"].get(name, "nothing"), _plain(value))
    for name, value in hyperparameters.items():
        if name not in names:
            raise unknown(f"hyperparameter of {facts['agent']}", name, names)
        found[name] = (facts["hyperparameters"].get(name, "nothing"), _plain(value))
    words = [f"{name} (the run has {has}, given {given})" for name, (has, given) in found.items() if has != given]
    timesteps = options.get("timesteps")
    if timesteps is not None and timesteps < facts["timesteps"]:
        words.append(f"timesteps (the run has {facts['timesteps']}, given {timesteps}; a budget can only grow)")
    return words


def check(
    path: Any, facts: Mapping[str, Any], options: Mapping[str, Any], given: Mapping[str, Any], config: type
) -> None:
    """Refuse a resume that asks for something else than the run; see `differences`.

    Raises:
        RunDirectoryError: The sentence lists all differences.
    """
    words = differences(facts, options, given, config)
    if words:
        raise RunDirectoryError(
            f"--resume cannot change {', '.join(words)} of the run in {path}; leave that out, or start another run"
        )


def notices(facts: Mapping[str, Any], versions: Mapping[str, str], device: str) -> list[str]:
    """Sentences on what may keep a resumed run from ending in the numbers of one that was never stopped."""
    found = []
    before = facts.get("versions")
    before = before if isinstance(before, Mapping) else {}
    changed = [f"{name} {before[name]} is now {now}" for name, now in versions.items() if before.get(name, now) != now]
    if changed:
        found.append(f"versions have changed since the run began ({', '.join(changed)}), and its numbers may with them")
    if device != facts["device"]:
        found.append(
            f"the run began on the device {facts['device']} and goes on on {device}, which rounds in its own way"
        )
    return found
