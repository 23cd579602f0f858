"""Tasks by name, for trainers: `make_task("TextSumTo", terms=3)`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from envzoo.errors import unknown
from envzoo.reasoning.task import Task

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "TextSumTo": "envzoo.reasoning.sum_to:SumTo",
        "TextSumTo-v1": "envzoo.reasoning.sum_to_rules:SumToRules",
        "TextCountdown": "envzoo.reasoning.countdown:Countdown",
        "TextChainArith": "envzoo.reasoning.chain_arith:ChainArith",
        "TextSort": "envzoo.reasoning.sort:Sort",
        "TextParity": "envzoo.reasoning.parity:Parity",
        "TextMaze": "envzoo.reasoning.maze:Maze",
        "TextSpark": "envzoo.reasoning.spark:Spark",
        "TextToolPuzzle": "envzoo.reasoning.tool_puzzle:ToolPuzzle",
    }
)


def make_task(name: str, **arguments: Any) -> Task:
    """Create a task by name.

    Args:
        name: A key of `TASKS`, or the id of one of its environments ("envzoo/TextSumTo-v0").
        **arguments: Arguments of the task; see the manual of the environment.

    Raises:
        UnknownNameError: The task or an argument is unknown.
        EnvzooError: The arguments admit no solvable problem.
    """
    short = name.removeprefix("envzoo/").removesuffix("-v0").replace("-Tokens", "")
    if short not in TASKS:
        raise unknown("task", name, TASKS)
    module, class_name = TASKS[short].split(":")
    task_class = getattr(import_module(module), class_name)
    known = [field for field in inspect.signature(task_class.__init__).parameters if field != "self"]
    for field in arguments:
        if field not in known:
            raise unknown(f"argument of {short}", field, known)
    return task_class(**arguments)
