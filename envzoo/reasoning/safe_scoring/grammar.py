"""A bounded grammar of expressions, parsed from text to a tree of tuples without Python's own parser.

    sum     := product (("+" | "-") product)*
    product := unary (("*" | "/") unary)*
    unary   := ("+" | "-")* power
    power   := atom ("**" unary)?
    atom    := number | name | function "(" sum ")" | "(" sum ")"

Operators bind as in Python. The limits on length, tokens, digits and nesting are checked before anything is computed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

# ASCII only, because "\d" would match the digits of every script.
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2}(?![0-9]))?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\*\*|[-+*/()])"
)
_WHOLE = re.compile(r"[0-9]+(?:_[0-9]+)*")
_DECIMAL = re.compile(r"(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?")


class Rejected(Exception):
    """The text is outside the grammar or exceeds its limits."""


@dataclass(frozen=True)
class Limits:
    """Limits of a text: characters, tokens, digits of a number, nested parentheses or powers."""

    characters: int = 4000
    tokens: int = 600
    digits: int = 60
    depth: int = 30


class Number(NamedTuple):
    """A number; `whole` if written without a point or an exponent."""

    value: Fraction
    whole: bool


class Name(NamedTuple):
    """A variable or a constant."""

    name: str


class Call(NamedTuple):
    """A function of one argument."""

    function: str
    argument: Any


class Sum(NamedTuple):
    """Terms, each with a sign (1 or -1)."""

    terms: tuple[tuple[int, Any], ...]


class Product(NamedTuple):
    """Factors, each with 1, or -1 for a divisor."""

    factors: tuple[tuple[int, Any], ...]


class Power(NamedTuple):
    """A base and an exponent."""

    base: Any
    exponent: Any


def tokenize(text: str, limits: Limits) -> list[tuple[str, str]]:
    """Split a text into tokens, pairs (kind, text) with kind "number", "name" or "sign".

    Raises:
        Rejected: The text has other characters, or exceeds a limit.
    """
    if len(text) > limits.characters:
        raise Rejected("too long")
    text = text.strip()
    tokens: list[tuple[str, str]] = []
    position, depth = 0, 0
    while position < len(text):
        # As in Python, a line break ends an expression unless a parenthesis is open.
        if text[position] in " \t" or (depth and text[position] in "\r\n"):
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) == limits.tokens:
            raise Rejected("an unknown sign, or too many tokens")
        token = match.group()
        depth += (token == "(") - (token == ")")
        if depth > limits.depth:
            raise Rejected("too many nested parentheses")
        tokens.append((str(match.lastgroup), token))
        position = match.end()
    return tokens


def read_number(text: str, limits: Limits) -> Number:
    """Read a number in Python's syntax.

    Raises:
        Rejected: The number has too many digits, or is invalid in Python.
    """
    if len(text) > limits.digits:
        raise Rejected("too many digits")
    if _WHOLE.fullmatch(text):
        if text[0] == "0" and text.strip("0_"):
            raise Rejected("a leading zero")
        return Number(Fraction(int(text.replace("_", ""))), True)
    if not _DECIMAL.fullmatch(text):
        raise Rejected("no number")
    return Number(Fraction(text), False)


class _Parser:
    def __init__(self, text: str, functions: Collection[str], limits: Limits):
        self.tokens, self.functions, self.limits = tokenize(text, limits), functions, limits
        self.position, self.depth = 0, 0

    def next_sign(self) -> str:
        """Return the next sign, or an empty string."""
        kind, token = self.tokens[self.position] if self.position < len(self.tokens) else ("", "")
        return token if kind == "sign" else ""

    def sum(self) -> Any:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise Rejected("too deep")
        terms = [(1, self.product())]
        while (sign := self.next_sign()) in ("+", "-"):
            self.position += 1
            terms.append((1 if sign == "+" else -1, self.product()))
        self.depth -= 1
        return terms[0][1] if len(terms) == 1 else Sum(tuple(terms))

    def product(self) -> Any:
        factors = [(1, self.unary())]
        while (sign := self.next_sign()) in ("*", "/"):
            self.position += 1
            factors.append((1 if sign == "*" else -1, self.unary()))
        return factors[0][1] if len(factors) == 1 else Product(tuple(factors))

    def unary(self) -> Any:
        sign = 1
        while (token := self.next_sign()) in ("+", "-"):
            self.position += 1
            sign = -sign if token == "-" else sign
        operand = self.power()
        return operand if sign == 1 else Sum(((-1, operand),))

    def power(self) -> Any:
        base = self.atom()
        if self.next_sign() != "**":
            return base
        self.position += 1
        self.depth += 1
        if self.depth > self.limits.depth:
            raise Rejected("too deep")
        exponent = self.unary()
        self.depth -= 1
        return Power(base, exponent)

    def atom(self) -> Any:
        if self.position == len(self.tokens):
            raise Rejected("an operand is missing")
        kind, token = self.tokens[self.position]
        self.position += 1
        if kind == "number":
            return read_number(token, self.limits)
        if kind == "name" and self.next_sign() != "(":
            if token in self.functions:
                raise Rejected("a function without an argument")
            return Name(token)
        if kind == "name":
            if token not in self.functions:
                raise Rejected("an unknown function")
            self.position += 1
            return Call(token, self.closed())
        if token == "(":
            return self.closed()
        raise Rejected("an operand is missing")

    def closed(self) -> Any:
        inner = self.sum()
        if self.next_sign() != ")":
            raise Rejected("a parenthesis is open")
        self.position += 1
        return inner


def parse(text: str, functions: Collection[str] = (), limits: Limits | None = None) -> Any:
    """Parse an expression.

    Args:
        text: Any string.
        functions: Names of functions of one argument. Other names are variables.
        limits: Limits; None for the defaults.

    Returns:
        A tree of `Number`, `Name`, `Call`, `Sum`, `Product` and `Power`.

    Raises:
        Rejected: The text is outside the grammar or the limits.
    """
    parser = _Parser(text, functions, limits or Limits())
    tree = parser.sum()
    if parser.position != len(parser.tokens):
        raise Rejected("something follows the expression")
    return tree
