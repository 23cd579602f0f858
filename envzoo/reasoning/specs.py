"""Registered environments of the reasoning family: text puzzles with verifiable answers."""

from __future__ import annotations

from envzoo.specs import EnvironmentSpec, kernel


def puzzle(
    name: str, module: str, summary: str, version: int = 0, definition: str | None = None
) -> tuple[EnvironmentSpec, EnvironmentSpec]:
    """Make the rows of a text puzzle: its text environment and its token environment on the kernel base.

    The definition has the name of the puzzle unless another one is given.
    """
    path = f"envzoo.reasoning.{module}:{definition or name}"
    return (
        EnvironmentSpec(f"envzoo/{name}-v{version}", f"{path}Env", None, "reasoning", summary),
        kernel(f"envzoo/{name}-Tokens-v{version}", f"{path}Tokens", "reasoning", f"{summary}; token by token"),
    )


ENVIRONMENTS = (
    *puzzle("TextSumTo", "sum_to", "find digits with a given sum"),
    *puzzle(
        "TextSumTo",
        "sum_to_rules",
        "find digits with a given sum and first digit, without a forbidden one",
        version=1,
        definition="TextSumToRules",
    ),
    *puzzle("TextCountdown", "countdown", "reach a target with given numbers, each used once"),
    *puzzle("TextSort", "sort", "sort digits in ascending order"),
    *puzzle("TextParity", "parity", "compute the parity of a string of bits"),
    *puzzle("TextChainArith", "chain_arith", "compute a chain of sums and products step by step"),
    *puzzle("TextMaze", "maze", "find a path through a small maze"),
    *puzzle("TextSpark", "spark", "two strategies, of which the initially rare one is better in the long run"),
    *puzzle("TextToolPuzzle", "tool_puzzle", "find a hidden code by querying a tool over several turns"),
    EnvironmentSpec(
        "envzoo/ReasoningGym-v0",
        "envzoo.reasoning.reasoning_gym:ReasoningGym",
        None,
        "reasoning",
        "any dataset of the reasoning-gym package, one answer per episode",
        extra="text",
    ),
)
