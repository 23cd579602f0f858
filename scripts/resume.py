"""Check which options a resumed run may change, and report what affects exact resume."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from envzoo.errors import RunDirectoryError, unknown

# Options that a resumed run may change: they set its budget, device and checkpoints, not what it computes.
CHANGEABLE = ("timesteps", "device", "checkpoint_every")


def _plain(value: Any) -> Any:
    """Return a value as it would be read back from JSON."""
    return json.loads(json.dumps(value, default=str))


def differences(
    facts: Mapping[str, Any], options: Mapping[str, Any], hyperparameters: Mapping[str, Any], config: type
) -> list[str]:
    """Describe the given options that differ from the run and cannot be changed.

    Args:
        facts: Facts of the run.
        options: Options of `train` that were given, by name.
        hyperparameters: Hyperparameters that were given.
        config: Config dataclass of the agent.

    Raises:
        UnknownNameError: The agent has no such hyperparameter.
    """
    names = [field.name for field in dataclasses.fields(config)]
    found: dict[str, tuple[Any, Any]] = {}
    for name, value in options.items():
        # With threads="auto" and eval_every=None envzoo chose the values, which are stored with the run.
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
    """Raise RunDirectoryError if the given options differ from those of the run; see `differences`.

    Raises:
        RunDirectoryError: There are differences; the message lists all of them.
    """
    words = differences(facts, options, given, config)
    if words:
        raise RunDirectoryError(
            f"--resume cannot change {', '.join(words)} of the run in {path}; leave that out, or start another run"
        )


def notices(facts: Mapping[str, Any], versions: Mapping[str, str], device: str) -> list[str]:
    """List the reasons why a resumed run may differ from one that was never interrupted."""
    found = []
    before = facts.get("versions")
    before = before if isinstance(before, Mapping) else {}
    changed = [f"{name} {before[name]} is now {now}" for name, now in versions.items() if before.get(name, now) != now]
    if changed:
        found.append(f"versions have changed since the run began ({', '.join(changed)}), so the results may change")
    if device != facts["device"]:
        found.append(
            f"the run began on the device {facts['device']} and continues on {device}, which rounds differently"
        )
    return found
