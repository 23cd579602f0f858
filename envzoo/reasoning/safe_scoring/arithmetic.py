"""Scorers of arithmetic datasets, countdown and puzzle24, with exact fractions."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from envzoo.reasoning.safe_scoring.grammar import Limits, Number, Power, Product, Rejected, Sum, parse

LIMITS = Limits(characters=2000, tokens=400, digits=40)
MOST_BITS = 4096  # bits of an intermediate numerator or denominator
_WHOLE_NUMBER = re.compile(r"\b[0-9]+\b")


def value_of(tree: Any) -> Fraction:
    """Compute an expression without names.

    Raises:
        Rejected: The expression has names, functions, fractional exponents, or numbers beyond the limits.
        ZeroDivisionError: The expression divides by zero.
    """
    match tree:
        case Number():
            return tree.value
        case Sum():
            result = Fraction(0)
            for sign, term in tree.terms:
                result = _bounded(result + sign * value_of(term))
            return result
        case Product():
            result = Fraction(1)
            for sign, factor in tree.factors:
                operand = value_of(factor)
                result = _bounded(result * operand if sign == 1 else result / operand)
            return result
        case Power():
            base, exponent = value_of(tree.base), value_of(tree.exponent)
            if exponent.denominator != 1:
                raise Rejected("an exponent that is not a whole number")
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits > 1 and bits * abs(exponent) > 2 * MOST_BITS:  # powers of 0, 1 and -1 stay small
                raise Rejected("a number with too many digits")
            return _bounded(base ** int(exponent))
    raise Rejected("a name or a function")


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise Rejected("a number with too many digits")
    return value


def score_countdown(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to countdown: 1 for the target from all the numbers, 0.05 for other expressions, else 0.01."""
    try:
        value = float(value_of(parse(answer, limits=LIMITS)))
    except (Rejected, ArithmeticError):
        return 0.01
    metadata = entry["metadata"]
    used = [int(digits) for digits in _WHOLE_NUMBER.findall(answer)]
    if sorted(used) != sorted(metadata["numbers"]):
        return 0.05
    # As in numpy.isclose, with the package's absolute tolerance and NumPy's relative one.
    target = float(metadata["target"])
    return 1.0 if abs(value - target) <= 1e-6 + 1e-5 * abs(target) else 0.05


def score_puzzle24(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to puzzle24: 1 for 24 from four numbers of the allowed range, otherwise 0.01.

    Like the package, it truncates the result to an integer and does not check for the numbers of the question.
    """
    try:
        value = int(value_of(parse(answer, limits=LIMITS)))
    except (Rejected, ArithmeticError):
        return 0.01
    least, most = entry["metadata"]["difficulty"]["value"]
    used = [int(digits) for digits in _WHOLE_NUMBER.findall(answer)]
    return 1.0 if value == 24 and len(used) == 4 and all(least <= number <= most for number in used) else 0.01
