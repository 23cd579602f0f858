"""Generated hostile answers: deep nesting, long strings, answers at the limits, and modified right answers."""

from __future__ import annotations

from random import Random

from envzoo.scripts.hostile_answers.corpus import CHARACTERS, CODE, MOVES, NUMBERS, SYMPY

OPENERS = ["(", "[", "{", '{"a":', "[[", "-(", "sin(", "x**(", "¬", "¬(", "sqrt(", "exp(", "1+(", "((1)+"]


def deep() -> list[str]:
    """Generate ten thousand nested brackets, functions or signs, closed and unclosed."""
    closing = {"(": ")", "[": "]", "{": "}"}
    found = []
    for opener in OPENERS:
        end = "".join(closing[sign] for sign in reversed(opener) if sign in closing)
        found += [opener * 10_000, opener * 10_000 + "1" + end * 10_000, opener * 25 + "x" + end * 25]
    return found


def long() -> list[str]:
    """Generate strings at the limit of 131,072 characters, and of a million characters."""
    pieces = [
        "1",
        "a",
        " ",
        "\n",
        "(",
        "9,",
        "1 ",
        "x+",
        "x*",
        "-",
        "A+1",
        "R ",
        "1,",
        "'a',",
        "[1],",
        "\u00d7",
        ",\n",
        "∨P",
    ]
    pieces += ["Move disk 1 from Peg 1 to Peg 2\n", "P∧Q∨", ", ", "right ", "0 1\n", '"a",', "is ", "and ", "[", "e9"]
    found = [(piece * (2**17 // len(piece) + 1))[: 2**17] for piece in pieces]
    return [*found, "1" * 10**6, "(" * 10**6, "a b " * 250_000, "[" + "1," * 500_000 + "1]"]


def filling() -> list[str]:
    """Generate answers at a parser's limits: the largest accepted numbers of tokens, digits and powers."""
    names = "∨".join(f"({'¬' * (k % 9)}P ∧ (Q ↔ {'ABCD'[k % 4].lower()}))" for k in range(90))
    tower = "x"
    for _ in range(25):
        tower = f"({tower})**999"
    return [
        "+".join(["1/" + "7" * 40] * 130),
        "*".join(["9" * 40] * 40),
        "+".join(f"1/{k}**64" for k in range(2, 80)),
        "(((9**64)**64)**64)",
        "*".join(f"(x+{k})" for k in range(2, 120)),
        "*".join(f"(x+{k})**999" for k in range(2, 80)),
        "+".join(f"x**{k}*{k}" for k in range(2, 120)),
        "(" * 24 + "x" + "+1)*x" * 24,
        "(" * 24 + "x" + "+1)**9" * 24,
        tower,
        "x**" * 25 + "x",
        "x**x**x**x**x",
        "E**E**E**E**x",
        "exp(" * 20 + "x" + ")" * 20,
        "+".join(["sin(exp(cos(log(tan(asin(sqrt(x)))))))"] * 25),
        "*".join(["atanh(acosh(asinh(acos(atan(x)))))"] * 30),
        "+".join(["sin(x**999*exp(40))"] * 40),
        "+".join(f"x**{k}.5/{'3' * 50}" for k in range(90)),
        "sin(" * 25 + "9" * 50 + "*x" + ")" * 25,
        "*".join(["tan(x+C)"] * 90),
        "x**" + "9" * 50,
        "(x+C+a+b+c+d+f+g)**1000",
        names,
        "¬" * 45 + "P",
        "P→" * 900 + "P",
        "P∨aa∨bb∨cc∨dd∨ee∨ff∨gg∨hh∨ii∨jj∨kk∨ll∨mm∨nn∨oo∨pp∨qq∨rr∨ss∨tt∨uu∨vv∨ww∨xx∨yy∨zz",
        "P¬∨P¬¬∨P¬¬¬∨P¬¬¬¬∨P¬¬¬¬¬∨P¬¬¬¬¬¬",
        "R2 U' " * 130,
        " ".join(["R99 U99 F99 D99"]),
        "A+99 B-99 C+99 D-99 " * 200,
        "C A B " * 680,
        "LRUD" * 1024,
        "9\u00d7" * 2000 + "7",
        "\u00d7".join(["9" * 4000]),
        '[{"Agent[0.5, 0.5]": "move(box_red, square[0.5, 1.5])"},' * 200 + "{}]",
        "1e999",
        "1e-999",
        "(" * 190 + "1" + ")" * 190,
        "1.5 " * 32_000,
        "[" + ", ".join(["1"] * 40_000) + "]",
        "[" + ", ".join(["[1, 2]"] * 10_000) + "]",
    ]


def handwritten() -> list[str]:
    """Return all answers that do not depend on a dataset."""
    return [*CODE, *SYMPY, *NUMBERS, *MOVES, *CHARACTERS, *deep(), *long(), *filling()]


def mutated(right: str, number: int, rng: Random) -> list[str]:
    """Generate hostile answers similar to a right one, which reach more of a scorer's code than random text.

    Args:
        right: A right answer.
        number: Number of answers.
        rng: Random generator.
    """
    fragments = [*CODE, *SYMPY, *NUMBERS, *MOVES, *CHARACTERS]
    found = []
    for _ in range(number):
        answer = right
        for _ in range(rng.randint(1, 3)):
            place, end = rng.randint(0, len(answer)), rng.randint(0, len(answer))
            fragment = rng.choice(fragments)
            changes = [
                answer[:place] + fragment + answer[place:],
                answer[: min(place, end)] + fragment + answer[max(place, end) :],
                rng.choice(OPENERS) * rng.choice([1, 20, 5000]) + answer,
                answer * rng.choice([2, 100]),
                "".join(chr(ord(sign) ^ rng.choice([0, 0, 1, 32, 0x600])) for sign in answer),
                fragment.join(answer.split()),
                answer.replace("1", fragment, 3),
                f"{answer} + 0*{fragment}",
                f"{answer}, {fragment}",
            ]
            answer = rng.choice(changes)[: 2**17]
        found.append(answer)
    return found
