"""Scorer of simple_integration and intermediate_integration, which differentiates the answer at complex points.

The package asks SymPy whether the derivative minus the integrand simplifies to zero, which may never terminate. Here
the derivative is computed with dual numbers of 77 digits at one point in each quadrant of the plane, and compared with
the integrand. The points are derived from a hash of the answer, so that no answer can be tailored to them. Points in
all quadrants are needed because, for example, sqrt(x**2) equals x only in half of the plane.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import keyword
from typing import Any

from envzoo.reasoning.safe_scoring.grammar import Call, Limits, Name, Number, Power, Product, Rejected, Sum, parse

LIMITS = Limits(characters=4000, tokens=400)
BITS = 256
MOST_MAGNITUDE = 4096  # bits before or after the binary point of any value
MOST_ARGUMENT = 64  # bits before the point of a function's argument: the cost of sin and exp grows with them
MOST_EXPONENT = 1000
MOST_SYMBOLS = 8
EXACT, ROUNDED = 1e-30, 2.0**-50  # relative tolerances without and with decimal numbers in the answer
FUNCTIONS = [
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "exp",
    "log",
    "ln",
    "sqrt",
]  # fmt: skip


@functools.cache
def _context() -> Any:
    """Make a private mpmath context, so that the precision of the global one stays the user's."""
    from mpmath import MPContext

    context = MPContext()
    context.prec = BITS
    return context


@functools.cache
def _taken_names() -> frozenset[str]:
    """Return the names that SymPy would not read as symbols."""
    import sympy

    return frozenset(sympy.__all__) | frozenset(vars(builtins)) | frozenset(keyword.kwlist)


class _Point:
    """Values of the symbols at one point, with the rules of differentiation."""

    def __init__(self, variable: str, symbols: dict[str, Any]):
        self.mp, self.variable, self.symbols = _context(), variable, symbols
        self.zero, self.one = self.mp.mpc(0), self.mp.mpc(1)

    def bounded(self, value: Any, most: int = MOST_MAGNITUDE) -> Any:
        """Return the value if its parts have a moderate size.

        Raises:
            Rejected: A part is too large or too small.
        """
        for _, mantissa, exponent, count in value._mpc_:
            if (mantissa == 0 and exponent) or (mantissa and not -MOST_MAGNITUDE <= exponent + count <= most):
                raise Rejected("a value that is too large or too small")
        return value

    def dual(self, tree: Any) -> tuple[Any, Any]:
        """Compute the value and the derivative of an expression."""
        match tree:
            case Number():
                numerator, denominator = tree.value.numerator, tree.value.denominator
                return self.bounded(self.mp.mpc(numerator) / denominator), self.zero
            case Name():
                if tree.name == self.variable:
                    return self.symbols[tree.name], self.one
                if tree.name in ("E", "pi"):
                    return self.mp.mpc(+(self.mp.e if tree.name == "E" else self.mp.pi)), self.zero
                return self.symbols[tree.name], self.zero
            case Sum():
                value, slope = self.zero, self.zero
                for sign, term in tree.terms:
                    v, d = self.dual(term)
                    value, slope = value + sign * v, slope + sign * d
            case Product():
                value, slope = self.one, self.zero
                for sign, factor in tree.factors:
                    v, d = self.dual(factor)
                    if sign == -1:
                        v, d = 1 / v, -d / (v * v)
                    value, slope = self.bounded(value * v), self.bounded(slope * v + value * d)
            case Power():
                value, slope = self.power(tree)
            case Call():
                argument, inner = self.dual(tree.argument)
                value, outer = self.function(tree.function, self.bounded(argument, MOST_ARGUMENT), inner != 0)
                slope = outer * inner if inner != 0 else self.zero
        return self.bounded(value), self.bounded(slope)

    def power(self, tree: Power) -> tuple[Any, Any]:
        """Compute the value and the derivative of a power."""
        exponent, e = self.dual(tree.exponent)
        if isinstance(tree.base, Name) and tree.base.name == "E":
            value = self.mp.exp(self.bounded(exponent, MOST_ARGUMENT))
            return value, value * e
        base, b = self.dual(tree.base)
        if e == 0 and exponent.imag == 0 and self.mp.isint(exponent.real):
            if abs(exponent.real) > MOST_EXPONENT:
                raise Rejected("an exponent that is too large")
            whole = int(exponent.real)
            self.bounded(base, MOST_MAGNITUDE // max(1, abs(whole)))
            slope = whole * base ** (whole - 1) * b if whole and b != 0 else self.zero
            return base**whole, slope
        if base == 0:
            raise Rejected("a power of zero")
        logarithm = self.mp.ln(base)
        value = self.bounded(self.mp.exp(self.bounded(exponent * logarithm, MOST_ARGUMENT)))
        return value, value * (e * logarithm + exponent * b / base)

    def function(self, name: str, u: Any, sloped: bool) -> tuple[Any, Any]:
        """Compute the value and, if `sloped`, the derivative of a function at u."""
        mp = self.mp
        if name in ("cot", "sec", "csc"):
            inverse = mp.tan(u) if name == "cot" else mp.cos(u) if name == "sec" else mp.sin(u)
            value = 1 / inverse
            slope = {"cot": lambda: -1 - value * value, "sec": lambda: value * mp.tan(u)}
            return value, slope.get(name, lambda: -value / mp.tan(u))() if sloped else self.zero
        value = getattr(mp, "ln" if name == "log" else name)(u)
        if not sloped:
            return value, self.zero
        match name:
            case "sin" | "sinh":
                return value, mp.cos(u) if name == "sin" else mp.cosh(u)
            case "cos" | "cosh":
                return value, -mp.sin(u) if name == "cos" else mp.sinh(u)
            case "tan" | "tanh":
                return value, 1 + value * value if name == "tan" else 1 - value * value
            case "asin" | "acos":
                return value, (1 if name == "asin" else -1) / mp.sqrt(1 - u * u)
            case "atan" | "atanh":
                return value, 1 / (1 + u * u) if name == "atan" else 1 / (1 - u * u)
            case "asinh":
                return value, 1 / mp.sqrt(u * u + 1)
            case "acosh":
                return value, 1 / (mp.sqrt(u - 1) * mp.sqrt(u + 1))
            case "exp":
                return value, value
            case "log" | "ln":
                return value, 1 / u
        return value, 1 / (2 * value)  # sqrt


def _leaves(tree: Any) -> list[Any]:
    """List the numbers and names of an expression."""
    match tree:
        case Number() | Name():
            return [tree]
        case Sum():
            return [leaf for _, term in tree.terms for leaf in _leaves(term)]
        case Product():
            return [leaf for _, factor in tree.factors for leaf in _leaves(factor)]
        case Power():
            return _leaves(tree.base) + _leaves(tree.exponent)
    return _leaves(tree.argument)


def _symbols(leaves: list[Any], variable: str) -> list[str]:
    """List the variable and the other symbols, such as the constant of integration.

    Raises:
        Rejected: A name is not a symbol, or there are too many symbols.
    """
    names = sorted({leaf.name for leaf in leaves if isinstance(leaf, Name)} - {"E", "pi", variable})
    if len(names) > MOST_SYMBOLS or _taken_names() & (set(names) - {"C"}):
        raise Rejected("a name that is not a symbol")
    return [variable, *names]


def _draw(seed: bytes, quadrant: int, names: list[str]) -> dict[str, Any]:
    """Draw complex values of symbols in a quadrant of the plane, with parts of magnitude 0.2 to 0.9."""
    values = {}
    for name in names:
        digest = hashlib.blake2b(seed + name.encode(), digest_size=16, salt=bytes([quadrant])).digest()
        parts = [0.2 + 0.7 * int.from_bytes(half, "big") / 2**64 for half in (digest[:8], digest[8:])]
        values[name] = _context().mpc(parts[0] * (1 - 2 * (quadrant & 1)), parts[1] * (1 - (quadrant & 2)))
    return values


def score_integral(answer: str, entry: dict[str, Any]) -> float:
    """Score an answer to simple_integration or intermediate_integration: 1 for an antiderivative."""
    variable, integrand = entry["metadata"]["variable"], entry["metadata"]["integrand"]
    try:
        tree, right = parse(answer, FUNCTIONS, LIMITS), parse(integrand, FUNCTIONS)
        leaves = _leaves(tree)
        names = _symbols(leaves, variable)
        written_whole = all(leaf.whole for leaf in leaves if isinstance(leaf, Number))
        tolerance = EXACT if written_whole else ROUNDED
        seed = hashlib.blake2b(f"{integrand}\n{answer}".encode("utf-8", "surrogatepass")).digest()
        for quadrant in range(4):
            point = _Point(variable, _draw(seed, quadrant, names))
            slope, wanted = point.dual(tree)[1], point.dual(right)[0]
            if not abs(slope - wanted) <= tolerance * max(1, abs(wanted)):
                return 0.0
    except (Rejected, ArithmeticError, ValueError):
        return 0.0
    return 1.0
