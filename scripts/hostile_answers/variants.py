"""Plausible answers, right and wrong, to the datasets that envzoo scores with its own parsers."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

Entry = dict[str, Any]


def right_answer(name: str, entry: Entry) -> str:
    """Return a right answer to an entry, or the best known one."""
    metadata = entry["metadata"]
    match name:
        case "propositional_logic":
            return metadata["example_answer"]
        case "rubiks_cube":
            return metadata["example_correct_answer"]
        case "graph_color":
            return json.dumps(metadata["possible_answer"])
        case "boxnet":
            return '[{"Agent[0.5, 0.5]": "move(box_red, square[0.5, 1.5])"}]'
        case "rush_hour":
            return "A+1 B-1 C+2"
        case "intermediate_integration":
            return antiderivative(entry["metadata"]["integrand"], entry["answer"])
    return entry["answer"]


@functools.lru_cache(maxsize=4096)
def antiderivative(integrand: str, answer: str) -> str:
    """Return an antiderivative, from SymPy if the package left the integral unevaluated; both texts are trusted."""
    if "Integral" not in answer:
        return answer
    import sympy

    return f"{sympy.integrate(sympy.parse_expr(integrand), sympy.Symbol('x'))} + C"


def _spaced(answer: str) -> list[str]:
    return [
        f" {answer}",
        f"{answer}\n",
        answer.replace(" ", ""),
        answer.replace(" ", "  "),
        answer.upper(),
        answer.lower(),
    ]


def _one_number_changed(answer: str, rng: Random) -> list[str]:
    places = list(re.finditer(r"\d+", answer))
    if not places:
        return []
    place = rng.choice(places)
    changed = [int(place.group()) + 1, int(place.group()) * 10, 0]
    return [answer[: place.start()] + str(number) + answer[place.end() :] for number in changed]


def _prose(answer: str) -> list[str]:
    return ["", answer + ".", f"The answer is {answer}", f"${answer}$", f"{answer} = 24", f"`{answer}`", answer[:-1]]


def _lists(answer: str, rng: Random) -> list[str]:
    """Write a grid, row or word as Python lists, right and with an error."""
    rows = [row.split() for row in answer.split("\n")]
    flat = [item for row in rows for item in row]
    letters = list(answer)
    whole = [[int(item) if item.isdecimal() else item for item in row] for row in rows]
    found: list[Any] = [rows, flat, letters, whole, [item for row in whole for item in row], tuple(map(tuple, rows))]
    found += [["".join(row) for row in rows], flat[::-1], [*flat, "1"], rows[1:], ["".join(letters)], whole * 2, answer]
    texts = [*map(repr, found), *map(json.dumps, found)]
    texts += [text[1:-1] for text in texts] + [text.replace("], ", "],\n ") for text in texts]
    return [*rng.sample(texts, 12), ", ".join(flat), ",".join(flat), ", ".join(letters), repr(whole)[:-1], f"{whole},"]


def _arithmetic(answer: str, entry: Entry, rng: Random) -> list[str]:
    numbers = [str(number) for number in entry["metadata"]["numbers"]]
    rng.shuffle(numbers)
    operators = [rng.choice([" + ", " - ", "*", " / "]) for _ in numbers[1:]] + [""]
    mixed = "".join(n + o for n, o in zip(numbers, operators, strict=True))
    return [
        f"({answer})",
        f"(({answer})*1)",
        f"-(-({answer}))",
        f"0 + {answer}",
        f"{answer} + 0",
        f"({answer})**1",
        mixed,
        f"({mixed})",
        answer.replace("*", " * "),
        answer.replace("*", "×"),
        answer.replace("-", "+"),
        f"{answer} + 2**3 - 8",
        "1**(9**9)*24",
        f"{answer} + 1/2",
        f"{answer} + 1/3 - 1/3",
        f"({answer})/0",
        f"{answer} + x",
        f"({answer}",
        "24",
        "6*4*1*1",
        "8*3+1-1",
        "2*3*4*1",
        "10*10/4 - 1",
        "1, 2",
        "49/2",
        "3*8.0*1*1",
    ]


def _terms(answer: str, rng: Random) -> list[str]:
    """Rewrite sums with the terms reordered, in other forms, and with one term omitted or repeated."""
    terms = re.split(r" (?=[+-] )", answer)
    signed = [term if term[:1] in "+-" else f"+ {term}" for term in terms]
    shuffled = rng.sample(signed, len(signed))
    return [
        " ".join(shuffled),
        " ".join(shuffled).removeprefix("+ "),
        " ".join(signed[1:]) or "0",
        " ".join([*signed, signed[0]]),
        f"({answer})",
        f"2*({answer})/2",
        f"1*({answer})",
        f"-(-({answer}))",
        f"({answer})**1",
        f"({answer}) + 1 - 1",
        answer.replace("**", "^"),
        answer.replace("*", ""),
        f"{answer} + 7",
        f"{answer} + x",
        f"x*({answer})/x",
        f"2*({answer})",
        answer.replace("+", "-"),
    ]


def _integral(answer: str, rng: Random) -> list[str]:
    signed = [term if term[:1] in "+-" else f"+ {term}" for term in re.split(r" (?=[+-] )", answer)]
    return [
        " ".join(rng.sample(signed, len(signed))),
        f"({answer})",
        f"-(-({answer}))",
        answer.removesuffix(" + C"),
        answer.replace("C", "c"),
        answer.replace("+ C", "+ constant"),
        answer.replace("+ C", "- 3*C + pi"),
        answer.replace("log", "ln"),
        f"{answer} + x",
        f"{answer} + C*x",
        f"2*({answer})",
        answer.replace("**", "^"),
        answer.replace("*", ""),
        answer.replace("sin", "sen"),
        answer.replace("x", "t"),
        f"({answer}",
        "x",
        "C",
    ]


def _sorted_numbers(answer: str, rng: Random) -> list[str]:
    values = [float(text) for text in re.findall(r"-?[\d.]+(?:e-?\d+)?", answer)]
    found: list[Any] = [values, values[::-1], values[1:], [round(v) for v in values], [v + 0.5 for v in values]]
    found += [
        [v + 1.5 for v in values],
        [str(v) for v in values],
        [None] * len(values),
        rng.sample(values, len(values)),
    ]
    return [
        *map(str, found),
        *map(json.dumps, found),
        ", ".join(map(str, values)),
        str(tuple(values)),
        "{}",
        "1",
        "null",
    ]


def _bitwise(answer: str) -> list[str]:
    value = int(answer, 0)
    values = [value, value + 1, -value]
    return [form(v) for v in values for form in (str, hex, bin, oct, lambda v: hex(v).upper(), lambda v: f"{v:_}")]


def _propositions(answer: str, entry: Entry, rng: Random) -> list[str]:
    names = entry["metadata"]["variables"]
    a, b = rng.choice(names), rng.choice(names)
    premise = rng.choice(entry["metadata"]["premises"])
    return [
        premise,
        f"({premise})",
        f"¬({premise})",
        f"¬¬{a}",
        a,
        f"¬{a}",
        f"{a} ∧ {b}",
        f"{a} ∨ {b} → {a}",
        f"({a} ↔ {b})",
        f"{a} ∨ ¬{a}",
        f"{premise} ∨ {a}",
        f"{premise} ∧ {answer}",
        f"{a} → {b} → {a}",
        f"({a} → ({b} → {a}))",
        f"{a} ∧ ¬{a}",
        f"¬{a} ∨ {b} ∧ {a}",
        f"{a} or {b}",
        f"{a} AND {b}",
        f"{a} ∨ Z",
        f"{a} ∨ p",
        f"{a} ∧",
        f"∧ {a}",
        f"({a}",
        f"{a})",
        "()",
        "p",
        f"¬({a} ∨ {b}) ↔ ¬{a} ∧ ¬{b}",
        f"({a})",
        f"(({a}) ∧ ({b}))",
        f"{answer}.",
    ]


def variants(name: str, entry: Entry, rng: Random) -> list[str]:
    """List a right answer to an entry, followed by others that a model might give, mostly wrong."""
    answer = right_answer(name, entry)
    own: dict[str, Callable[[], list[str]]] = {
        "countdown": lambda: _arithmetic(answer, entry, rng),
        "puzzle24": lambda: _arithmetic(answer, entry, rng),
        "polynomial_multiplication": lambda: [*_terms(answer, rng), entry["metadata"]["polynomial_expr"]],
        "simple_integration": lambda: [*_integral(answer, rng), *_terms(answer, rng), answer.replace("/2", "*0.5")],
        "intermediate_integration": lambda: _integral(answer, rng),
        "number_sorting": lambda: _sorted_numbers(answer, rng),
        "bitwise_arithmetic": lambda: _bitwise(answer),
        "propositional_logic": lambda: _propositions(answer, entry, rng),
    }
    more = own[name]() if name in own else _lists(answer, rng)
    return [answer, *more, *_spaced(answer), *_one_number_changed(answer, rng), *_prose(answer)]
