"""Settings of a run as a TOML file: every run writes `config.toml`, and `envzoo train --config` reads one.

```toml
agent = "PPO"
source = "CartPole-v1"
seed = 0
timesteps = 50000

[env_kwargs]

[hyperparameters]
learning_rate = 3e-4
hidden = [64, 64]
```

Nothing that a file names is imported, downloaded or opened: an environment that is not registered, a model or a file
has to be named on the command line.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envzoo.agents import guard
from envzoo.agents.registry import agent_class
from envzoo.agents.schedules import is_known
from envzoo.agents.spec import held_fields
from envzoo.errors import EnvzooError, shorten, unknown
from envzoo.files import reason
from envzoo.scripts.run_directory import FACTS, OPTIONAL_FACTS
from envzoo.scripts.train_options import DEFAULTS

NONE = "none"  # key of the list of settings that are None, which TOML cannot write


def to_toml(value: Any) -> str:
    """Write a value in TOML."""
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return str(value) if math.isnan(value) or math.isinf(value) else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {to_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    raise EnvzooError(f"a configuration file holds numbers, text, lists and tables, not {shorten(repr(value))}")


def write_config(facts: Mapping[str, Any]) -> str:
    """Write the settings of a run as TOML, from the facts of its run.json."""
    tables = {name: facts[name] for name in ("env_kwargs", "hyperparameters")}
    names = ["agent", "source", *(name for name in DEFAULTS if name not in tables)]
    plain = {name: facts[name] for name in names if name in facts}
    absent = [name for name, value in plain.items() if value is None]
    absent += [f"{table}.{name}" for table, held in tables.items() for name, value in held.items() if value is None]
    lines = [f"{name} = {to_toml(value)}" for name, value in plain.items() if value is not None]
    lines += [f"{NONE} = {to_toml(absent)}"] if absent else []
    for table, held in tables.items():
        lines += ["", f"[{table}]"]
        lines += [f"{json.dumps(name)} = {to_toml(value)}" for name, value in held.items() if value is not None]
    return "\n".join(lines) + "\n"


def read_config(path: str) -> dict[str, Any]:
    """Read settings: `agent`, `source` and options of `envzoo train`, those that the file has.

    Raises:
        EnvzooError: The file cannot be read, is not TOML, or holds something that is no setting or of another type.
        UnknownNameError: A setting that does not exist; the sentence names the nearest.
        CheckpointError: It names something that a file may not name.
    """
    try:
        given = tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise EnvzooError(f"{path} cannot be read ({reason(error)})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvzooError(f"{path} is not a TOML file ({shorten(str(error))})") from None
    absent = given.pop(NONE, [])
    if not isinstance(absent, list) or not all(isinstance(name, str) for name in absent):
        raise EnvzooError(f"{path}: {NONE} is a list of names of settings, got {shorten(repr(absent))}")
    for name in absent:
        table, dot, key = name.partition(".")
        held = given.setdefault(table, {}) if dot else given
        if isinstance(held, dict):
            held[key if dot else name] = None
    known = ("agent", "source", "hyperparameters", *DEFAULTS)
    for name, value in given.items():
        if name not in known:
            raise unknown(f"setting in {path}", name, known)
        expected, is_valid = (FACTS | OPTIONAL_FACTS)[name]
        # "auto" is a choice, and None a default, that a finished run has replaced by a number.
        if not (is_valid(value) or (name in DEFAULTS and value == DEFAULTS[name])):
            raise EnvzooError(f"{path}: {name} is {expected}, got {shorten(repr(value))}")
    return given


def check_config(path: str, settings: Mapping[str, Any], vouched: str | None) -> None:
    """Refuse what a file may not name.

    Args:
        path: The file.
        settings: What it holds, with agent and source.
        vouched: Source named on the command line, which is trusted.

    Raises:
        CheckpointError: It names an environment of a module that is not imported, or keywords that may be paths.
        EnvzooError: It names a model, another agent's file or an encoder of the user's own.
    """
    with guard.reading(path, vouched=vouched):
        guard.check_environment(settings.get("source"))
        guard.check_keywords(settings.get("source", ""), settings.get("env_kwargs", {}))
    held = held_fields(agent_class(settings["agent"]).Config)
    for name, value in settings.get("hyperparameters", {}).items():
        mark = held.get(name)
        if mark is None or not isinstance(value, str) or value in mark.words:
            continue
        if mark.kind == "schedule" and is_known(value):
            continue
        if mark.kind != "encoder" or ":" in value:  # encoders without a colon are names in a table
            flag = name.replace("_", "-")
            raise EnvzooError(
                f"{path} sets {name} to {shorten(value)!r}, but a file may not name a {mark.kind}; give it on the"
                f" command line, with --{flag}"
            )
