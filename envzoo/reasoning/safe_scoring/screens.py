"""Screens for scorers of the package that are safe only within bounds: they decide which answers reach the scorer."""

from __future__ import annotations

import json
import re

_COMPLEX = re.compile(r"[0-9+\-.eEiIjJ()_ ]*")
_FRACTION = re.compile(r"[0-9+\-./_,\s]*(?:[eE][+-]?[0-9]{1,3}\s*)?")
_NUMBERS = re.compile(r"[0-9+\-.eE\s]*")
_TURN = re.compile(r"\D*(\d*)")  # as in the package, with the digits of every script
MOST_TURNS = 400  # turns of a cube, each of which moves every piece of a layer
MOST_MOVES = 4096  # characters of an answer that is simulated as a game


def admits_boxnet(answer: str) -> bool:
    """Return whether an answer is a list of short moves: the package's pattern for a move takes quadratic time."""
    if len(answer) > 2**14:
        return False
    steps = json.loads(answer)
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        return False
    texts = [text for step in steps for pair in step.items() for text in pair]
    return all(isinstance(text, str) and len(text) <= 200 for text in texts)


def admits_coin_flip(answer: str) -> bool:
    """Return whether an answer is a number with a moderate exponent: 1e999999999 would be computed in full."""
    return len(answer) <= 400 and _FRACTION.fullmatch(answer) is not None


def admits_complex_arithmetic(answer: str) -> bool:
    """Return whether an answer is a complex number with finite parts: the distance to "nan" would score 1."""
    return len(answer) <= 400 and _COMPLEX.fullmatch(answer) is not None


def admits_moves(answer: str) -> bool:
    """Return whether an answer is short enough for a game that is simulated move by move."""
    return len(answer) <= MOST_MOVES


def admits_pool_matrix(answer: str) -> bool:
    """Return whether an answer consists of numbers."""
    # Two passes, because a single pattern would try every digit as the required one.
    return _NUMBERS.fullmatch(answer) is not None and re.search("[0-9]", answer) is not None


def admits_prime_factorization(answer: str) -> bool:
    """Return whether an answer is short: its factors are multiplied."""
    return len(answer) <= 4096


def admits_rubiks_cube(answer: str) -> bool:
    """Return whether an answer has a moderate number of turns: R999999999 would be expanded to as many turns."""
    if len(answer) > MOST_MOVES:
        return False
    turns = 0
    for move in answer.split():
        match = _TURN.fullmatch(move)
        repeats = match.group(1) if match else ""
        if len(repeats) > 3:
            return False
        turns += int(repeats or 1)
    return turns <= MOST_TURNS


def admits_rush_hour(answer: str) -> bool:
    """Return whether an answer has only short moves: A+999999999 would be simulated step by step."""
    return len(answer) <= MOST_MOVES and re.search(r"\d{3}", answer) is None
