"""Scorer of polynomial_multiplication, in exact arithmetic on terms.

The package compares the form of SymPy expressions: an answer is right if SymPy's automatic simplification, which
collects terms and powers but does not expand products of sums, gives the expanded product. The same rules apply here:
a sum is a mapping from monomials to coefficients, and a sum that is a factor of a product or the base of a power is
not expanded.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from envzoo.reasoning.safe_scoring.grammar import Limits, Name, Number, Power, Product, Rejected, Sum, parse

MOST_EXPONENT = 1000
MOST_BITS = 8192  # bits of a coefficient
# A monomial is a frozenset of pairs (base, exponent); a base is the name of a variable or an unexpanded sum.
Monomial = frozenset
Terms = dict[Monomial, Fraction]
_ONE: Monomial = frozenset()


def terms_of(tree: Any) -> Terms:
    """Compute the terms of an expression with their nonzero coefficients.

    Raises:
        Rejected: The expression has functions, decimal numbers, fractional exponents, or numbers beyond the limits.
        ZeroDivisionError: The expression divides by zero.
    """
    match tree:
        case Number():
            if not tree.whole:
                raise Rejected("a decimal number, which is distinct from a whole number")
            return {_ONE: tree.value} if tree.value else {}
        case Name():
            return {frozenset({(tree.name, 1)}): Fraction(1)}
        case Sum():
            result: Terms = {}
            for sign, term in tree.terms:
                for monomial, coefficient in terms_of(term).items():
                    result[monomial] = _bounded(result.get(monomial, Fraction(0)) + sign * coefficient)
            return {monomial: coefficient for monomial, coefficient in result.items() if coefficient}
        case Product():
            result = {_ONE: Fraction(1)}
            for sign, factor in tree.factors:
                operand = terms_of(factor)
                result = _multiply(result, operand if sign == 1 else _power(operand, -1))
            return result
        case Power():
            exponent = terms_of(tree.exponent)
            number = exponent.get(_ONE, Fraction(0))
            if exponent.keys() - {_ONE} or number.denominator != 1 or abs(number) > MOST_EXPONENT:
                raise Rejected("an exponent that is too large or not a whole number")
            return _power(terms_of(tree.base), int(number))
    raise Rejected("a function")


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise Rejected("a coefficient with too many digits")
    return value


def _multiply(left: Terms, right: Terms) -> Terms:
    for number, other in ((left, right), (right, left)):
        if not number:
            return {}
        if number.keys() == {_ONE}:  # a number is distributed over the sum it multiplies
            return {monomial: _bounded(number[_ONE] * value) for monomial, value in other.items()}
    (one, first), (two, second) = _closed(left), _closed(right)
    exponents: dict[Any, int] = dict(one)
    for base, exponent in two:
        exponents[base] = exponents.get(base, 0) + exponent
    return _opened({base: exponent for base, exponent in exponents.items() if exponent}, _bounded(first * second))


def _power(base: Terms, exponent: int) -> Terms:
    if exponent == 0:
        return {_ONE: Fraction(1)}
    if not base:
        return {_ONE: Fraction(0) ** exponent} if exponent < 0 else {}  # the first raises ZeroDivisionError
    monomial, number = _closed(base)
    if exponent == 1:
        return base
    if max(number.numerator.bit_length(), number.denominator.bit_length()) * abs(exponent) > 2 * MOST_BITS:
        raise Rejected("a coefficient with too many digits")
    exponents = {inner: power * exponent for inner, power in monomial}
    if max((abs(power) for power in exponents.values()), default=0) > MOST_EXPONENT**2:
        raise Rejected("an exponent that is too large")
    return _opened(exponents, _bounded(number**exponent))


def _closed(terms: Terms) -> tuple[Monomial, Fraction]:
    """Return a single term unchanged, or a sum as one unexpanded factor."""
    if len(terms) == 1:
        return next(iter(terms.items()))
    return frozenset({(frozenset(terms.items()), 1)}), Fraction(1)


def _opened(exponents: dict[Any, int], number: Fraction) -> Terms:
    """Return a product; a product of only one sum and a number becomes that sum again."""
    if len(exponents) == 1:
        ((base, exponent),) = exponents.items()
        if exponent == 1 and isinstance(base, frozenset):
            return {monomial: _bounded(number * value) for monomial, value in base}
    return {frozenset(exponents.items()): number}


def score_polynomial_multiplication(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to polynomial_multiplication: 1 for the expanded product, with terms in any order."""
    product = entry["answer"]
    limits = Limits(characters=2000 + 4 * len(product), tokens=500 + 4 * len(product), digits=40 + len(product))
    try:
        return float(terms_of(parse(answer, limits=limits)) == terms_of(parse(product, limits=limits)))
    except (Rejected, ArithmeticError):
        return 0.0
