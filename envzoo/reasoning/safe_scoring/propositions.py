"""Scorer of propositional_logic, with truth tables stored as integers of 2**n bits.

The package's parser recurses without a limit, accepts any text between operators as a variable, and builds a table
with one row per assignment: forty invented names keep it busy forever.
"""

from __future__ import annotations

import re
from typing import Any

from envzoo.reasoning.safe_scoring.grammar import Rejected

LONGEST = 2000
MOST_DEPTH = 60  # nesting depth of operators and parentheses
MOST_NEW_NAMES = 8  # names in the answer that are not variables of the question
MOST_VARIABLES = 20
OPERATORS = "↔→∨∧"  # in order of increasing precedence


def _formula(text: str, depth: int = 0) -> Any:
    """Parse a formula by the package's rules: it is split at the last operator of lowest precedence.

    Returns:
        A name, ("¬", formula) or (operator, left, right). As in the package, any text without an operator is a name.

    Raises:
        Rejected: An operand is missing, or the formula is nested too deeply.
    """
    text = text.strip()
    if not text or depth > MOST_DEPTH:
        raise Rejected("a formula is missing, or too deep")
    if _is_enclosed(text):
        return _formula(text[1:-1], depth + 1)
    for operator in OPERATORS:
        level = 0
        for place in range(len(text) - 1, -1, -1):
            level += (text[place] == ")") - (text[place] == "(")
            if level == 0 and text[place] == operator:
                return operator, _formula(text[:place], depth + 1), _formula(text[place + 1 :], depth + 1)
    if text[0] == "¬":
        return "¬", _formula(text[1:], depth + 1)
    return text


def _is_enclosed(text: str) -> bool:
    """Return whether the first parenthesis matches the last one."""
    if not (text[0] == "(" and text[-1] == ")"):
        return False
    level = 0
    for sign in text[1:-1]:
        level += (sign == "(") - (sign == ")")
        if level < 0:
            return False
    return level == 0


def _names(tree: Any) -> set[str]:
    """Collect the variables of a formula; long chains to the left are iterated rather than recursed into."""
    found, waiting = set(), [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            found.add(part)
        else:
            waiting += part[1:]
    return found


def _table(tree: Any, variables: list[str]) -> int:
    """Compute the truth table of a formula: bit i is its value under assignment i."""
    everything = (1 << (1 << len(variables))) - 1
    # The bits of variable j come in runs of length 2**j: zeros, then ones, and so on.
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
    """Score a conclusion: 1 if it follows, 0.25 if it follows but is trivial, 0.05 for another formula."""
    known = set(entry["metadata"]["variables"])
    if len(answer) > LONGEST or not set(re.findall("[A-Z]", answer)) <= known:
        return 0.0
    try:
        conclusion = _formula(answer)
        premises = [_formula(premise) for premise in entry["metadata"]["premises"]]
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
