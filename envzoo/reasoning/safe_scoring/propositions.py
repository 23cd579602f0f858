"""The score of propositional_logic, by truth tables that are whole numbers of 2**n bits.

The package's parser recurs without a limit, takes any text between operators for a variable, and builds a table with a
row for every assignment: forty made-up names keep it busy for ever.
"""

from __future__ import annotations

import re
from typing import Any

from envzoo.reasoning.safe_scoring.grammar import Rejected

LONGEST = 2000
MOST_DEPTH = 50
MOST_NEW_NAMES = 4  # texts in the answer that are no variables of the question; the package counts them as variables
MOST_VARIABLES = 20
OPERATORS = "↔→∨∧"  # from the one that binds least
_TOKEN = re.compile(r"[↔→∨∧¬()]|[^↔→∨∧¬()]+")


class _Formula:
    """A formula as a tree: a name, ("¬", formula) or (operator, left, right)."""

    def __init__(self, text: str):
        if len(text) > LONGEST:
            raise Rejected("too long")
        self.tokens = [token for token in (part.strip() for part in _TOKEN.findall(text)) if token]
        self.position, self.depth = 0, 0
        self.tree = self.binary(0)
        if self.position != len(self.tokens):
            raise Rejected("something follows the formula")

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def binary(self, level: int) -> Any:
        if level == len(OPERATORS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() == OPERATORS[level]:
            self.position += 1
            left = (OPERATORS[level], left, self.binary(level + 1))
        return left

    def unary(self) -> Any:
        token = self.peek()
        self.position += 1
        if token and token not in OPERATORS + "¬()":
            return token
        if token not in ("¬", "("):
            raise Rejected("a formula is missing")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise Rejected("too deep")
        inner = ("¬", self.unary()) if token == "¬" else self.binary(0)
        if token == "(":
            if self.peek() != ")":
                raise Rejected("a parenthesis is open")
            self.position += 1
        self.depth -= 1
        return inner


def _names(tree: Any) -> set[str]:
    """The variables of a formula; long chains to the left are walked, not recurred into."""
    found, waiting = set(), [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            found.add(part)
        else:
            waiting += part[1:]
    return found


def _table(tree: Any, variables: list[str]) -> int:
    """The truth table of a formula: bit i is its value under assignment i."""
    everything = (1 << (1 << len(variables))) - 1
    # The bits of variable j come in runs of 2**j: a run of zeros, a run of ones, and so on.
    columns = {name: everything // ((1 << (1 << j)) + 1) << (1 << j) for j, name in enumerate(variables)}
    waiting: list[tuple[Any, bool]] = [(tree, False)]
    values: list[int] = []
    while waiting:
        part, seen = waiting.pop()
        if isinstance(part, str):
            values.append(columns[part])
        elif not seen:
            waiting.append((part, True))
            waiting += [(operand, False) for operand in reversed(part[1:])]
        elif part[0] == "¬":
            values.append(everything ^ values.pop())
        else:
            right, left = values.pop(), values.pop()
            values.append(
                left & right if part[0] == "∧"
                else left | right if part[0] == "∨"
                else (everything ^ left) | right if part[0] == "→"
                else everything ^ left ^ right
            )  # fmt: skip
    return values[0]


def score_propositional_logic(answer: str, entry: dict[str, Any]) -> float:
    """Score a conclusion: 1 where it follows, 0.25 where it is trivial as well, 0.05 for another formula."""
    known = set(entry["metadata"]["variables"])
    if not set(re.findall("[A-Z]", answer[: LONGEST + 1])) <= known:
        return 0.0
    try:
        conclusion = _Formula(answer).tree
        premises = [_Formula(premise).tree for premise in entry["metadata"]["premises"]]
    except Rejected:
        return 0.0
    own = _names(conclusion)
    variables = sorted(own.union(*(_names(premise) for premise in premises)))
    if len(own - known) > MOST_NEW_NAMES or len(variables) > MOST_VARIABLES:
        return 0.0
    table = _table(conclusion, variables)
    counterexamples = ((1 << (1 << len(variables))) - 1) ^ table
    for premise in premises:
        counterexamples &= _table(premise, variables)
    if counterexamples:
        return 0.05
    own_table = _table(conclusion, sorted(own))
    is_trivial = isinstance(conclusion, str) or own_table == (1 << (1 << len(own))) - 1
    return 0.25 if is_trivial else 1.0
