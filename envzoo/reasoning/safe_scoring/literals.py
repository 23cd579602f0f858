"""Scorers of lists and numbers: binary_matrix, spiral_matrix, n_queens, string_insertion, number_sorting, bitwise.

The package reads such answers with `eval`, to accept models that write a Python list. `read_literal` reads only lists,
tuples, whole numbers and plain strings.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from envzoo.reasoning.safe_scoring.grammar import Rejected

MOST_DEPTH = 4
_ITEM = re.compile(r"""(?P<whole>[+-]?(?:0|[1-9][0-9]{0,18}))(?![0-9A-Za-z_.])|(?P<text>'[^'\\\n]*'|"[^"\\\n]*")""")
_CLOSING = {"[": "]", "(": ")"}


def longest_answer(entry: dict[str, Any]) -> int:
    """Compute how many characters of an answer are read: enough for a list with quotes and spaces around every item."""
    return 1000 + 8 * len(entry["answer"])


class _Reader:
    def __init__(self, text: str):
        self.text, self.position, self.depth = text.strip(), 0, 0

    def skip(self) -> str:
        """Skip spaces, and line breaks within brackets; returns the next character."""
        while self.position < len(self.text) and self.text[self.position] in (" \t\r\n" if self.depth else " \t"):
            self.position += 1
        return self.text[self.position : self.position + 1]

    def item(self) -> Any:
        sign = self.skip()
        if sign in _CLOSING:
            self.position += 1
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise Rejected("too many nested brackets")
            items, commas = self.items(_CLOSING[sign])
            self.depth -= 1
            self.position += 1
            if sign == "[":
                return items
            return tuple(items) if commas or not items else items[0]
        match = _ITEM.match(self.text, self.position)
        if match is None:
            raise Rejected("neither a list nor a number nor a string")
        self.position = match.end()
        return int(match.group()) if match.lastgroup == "whole" else match.group()[1:-1]

    def items(self, closing: str) -> tuple[list[Any], int]:
        """Read the items before a closing bracket (or the end of the text); returns them and the number of commas."""
        found, commas = [], 0
        while self.skip() != closing:
            found.append(self.item())
            if self.skip() == closing:
                break
            if self.skip() != ",":
                raise Rejected("a comma is missing")
            self.position += 1
            commas += 1
        return found, commas


def read_literal(text: str) -> Any:
    """Read a list, a tuple (with or without parentheses), a whole number or a string without escapes.

    Raises:
        Rejected: The text is anything else.
    """
    reader = _Reader(text)
    items, commas = reader.items("")
    if not items:
        raise Rejected("nothing there")
    return tuple(items) if commas else items[0]


def _write_rows(rows: Any) -> str:
    return "\n".join(" ".join(str(item) for item in row) for row in rows)


def _read(answer: str, entry: dict[str, Any]) -> Any:
    if len(answer) > longest_answer(entry):
        raise Rejected("too long")
    return read_literal(answer)


def score_binary_matrix(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to binary_matrix: 1 for the rows in the requested format, 0.1 for a list of lists."""
    if answer == entry["answer"]:
        return 1.0
    try:
        return 0.1 if _write_rows(_read(answer, entry)) == entry["answer"] else 0.0
    except (Rejected, TypeError):
        return 0.0


def score_spiral_matrix(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to spiral_matrix: 1 for the numbers in the requested format, 0.1 for a list."""
    right = entry["answer"].strip()
    if answer.strip() == right:
        return 1.0
    try:
        return 0.1 if " ".join(str(item) for item in _read(answer, entry)) == right else 0.0
    except (Rejected, TypeError):
        return 0.0


def score_n_queens(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to n_queens: 1 for a solution in the requested format, 0.5 for a list of rows."""
    solutions = entry["metadata"]["valid_answers"]
    if answer in solutions:
        return 1.0
    try:
        board = "\n".join(" ".join(row) for row in _read(answer, entry))
    except (Rejected, TypeError):
        return 0.0
    return 0.5 if board in solutions else 0.0


def score_string_insertion(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to string_insertion: 1 for the string, 0.1 for it in quotes or as a list of its pieces."""
    if answer == entry["answer"]:
        return 1.0
    try:
        return 0.1 if "".join(_read(answer, entry)) == entry["answer"] else 0.0
    except (Rejected, TypeError):
        return 0.0


def score_number_sorting(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to number_sorting: 1 for a sorted JSON list whose items are within 1 of the right ones.

    Unlike in the package, a list with "nan", for which no comparison fails, is wrong.
    """
    if len(answer) > longest_answer(entry):
        return 0.0
    metadata = entry["metadata"]
    try:
        found = json.loads(answer.replace("'", '"'))
        if not isinstance(found, list) or len(found) != len(metadata["sorted_numbers"]):
            return 0.0
        numbers = [float(number) for number in found]
    except (ValueError, TypeError, OverflowError, RecursionError):
        return 0.0
    right = [float(number) for number in metadata["sorted_numbers"]]
    if not all(math.isfinite(number) for number in numbers):
        return 0.0
    is_sorted = numbers == sorted(numbers, reverse=metadata["direction"] != "ascending")
    return float(is_sorted and all(abs(a - b) <= 1 for a, b in zip(numbers, right, strict=True)))


def score_bitwise_arithmetic(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to bitwise_arithmetic: 1 for the number, in any base of Python's syntax."""
    if len(answer) > longest_answer(entry):
        return 0.0
    try:
        return float(int(answer, 0) == int(entry["answer"], 0))
    except ValueError:
        return 0.0
