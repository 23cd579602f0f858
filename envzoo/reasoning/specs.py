"""Registered environments of the reasoning family: puzzles in text whose answers can be verified."""

from __future__ import annotations

from envzoo.specs import EnvironmentSpec, kernel


def puzzle(name: str, module: str, summary: str) -> tuple[EnvironmentSpec, EnvironmentSpec]:
    """Make the rows of a text puzzle: its text form, and its token form on the kernel base."""
    path = f"envzoo.reasoning.{module}:{name}"
    return (
        EnvironmentSpec(f"envzoo/{name}-v0", f"{path}Env", None, "reasoning", summary),
        kernel(f"envzoo/{name}-Tokens-v0", f"{path}Tokens", "reasoning", f"{summary}; token by token"),
    )


ENVIRONMENTS = (
    *puzzle("TextSumTo", "sum_to", "find digits with a given sum"),
    *puzzle("TextCountdown", "countdown", "reach a target with given numbers, each used once"),
    *puzzle("TextSort", "sort", "write digits in ascending order"),
    *puzzle("TextParity", "parity", "work out the parity of a string of bits"),
    *puzzle("TextChainArith", "chain_arith", "work out a chain of sums and products step by step"),
    *puzzle("TextMaze", "maze", "find a way through a small maze"),
    *puzzle("TextSpark", "spark", "two routes to an answer, of which the rare one is better in the long run"),
    *puzzle("TextToolPuzzle", "tool_puzzle", "find a hidden code by asking a tool, turn by turn"),
    EnvironmentSpec(
        "envzoo/ReasoningGym-v0",
        "envzoo.reasoning.reasoning_gym:ReasoningGym",
        None,
        "reasoning",
        "any dataset of the package reasoning-gym, one answer per episode",
        extra="text",
    ),
)
