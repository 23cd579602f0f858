"""Speed of minimum entropy couplings: scaling, comparison with other packages, and episodes of a coding game."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable

import numpy as np

import envzoo.agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.planners.coupling import greedy_mec
from envzoo.coding_games.coupling_kernels import ebim_labels, greedy_cells
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "couplings on one thread: greedy MEC and EBIM for n = k = 2^4 ... 2^16, and episodes of a coding game"

EXPONENTS = range(4, 17)
PEER_LARGEST = 12  # the argmax loop takes minutes for larger sizes
TARGET_SIZE = 12
CALLS = 2**15  # symbols per timed call; small marginals are coupled many times
MESSAGES, EPISODES, GAME = 512, 1024, "envzoo/CodingGrid-v0"


def argmax_loop(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Compute the greedy coupling as published: search for the largest masses in each step, O((n + k) max(n, k))."""
    a, b, joint = p.copy(), q.copy(), np.zeros((len(p), len(q)))
    left = 1.0
    while left > 1e-8:
        i, j = a.argmax(), b.argmax()
        mass = min(a[i], b[j])
        joint[i, j] += mass
        a[i] -= mass
        b[j] -= mass
        left -= mass
    return joint


def over(function: Callable[..., object], inputs: list[tuple]) -> Callable[[], None]:
    """Create a function that calls another one on every input.

    The inputs differ, because branch prediction would speed up repeated calls on one small marginal.
    """

    def run() -> None:
        for arguments in inputs:
            function(*arguments)

    return run


def growth(seconds: dict[int, float]) -> float:
    """Fit the slope of log time over log size by least squares; keys of `seconds` are logarithms of the size."""
    return float(np.polyfit(list(seconds), np.log2(list(seconds.values())), 1)[0])


def run(quick: bool = False) -> list[Row]:
    """Measure couplings, encoders and the game.

    Args:
        quick: Use fewer rounds and smaller sizes.

    Returns:
        Rows in milliseconds per call, in exponents of growth, and in episodes per second. The `ratio` of another
        package is its time over ours; that of a target is the target over the measured value.
    """
    generator = np.random.default_rng(0)
    exponents = [e for e in EXPONENTS if not quick or e <= 13]
    repeats = 2 if quick else 5
    cells, codes, rows = {}, {}, []
    for exponent in exponents:
        size = 2**exponent
        calls = max(1, CALLS // size)
        p, q = (generator.dirichlet(np.ones(size), calls) for _ in range(2))
        labels = np.empty(size, np.int64)
        found = measure(
            {
                "cells": over(greedy_cells, list(zip(p, q, strict=True))),
                "codes": over(ebim_labels, [(row, exponent / 2, labels) for row in p]),
            },
            repeats,
        )
        cells[exponent], codes[exponent] = found["cells"].best / calls, found["codes"].best / calls
        rows.append(Row(f"greedy coupling, n = k = 2^{exponent}", 1e3 * cells[exponent], "ms"))
        rows.append(Row(f"EBIM at half the bits, n = 2^{exponent}", 1e3 * codes[exponent], "ms"))
    at = cells[TARGET_SIZE]
    rows += [
        Row("greedy coupling, n = k = 4096: 5 ms", 1e3 * at, "ms", 5e-3 / at, 1.0, "the coupling as a list of cells"),
        _exponent_row("the greedy coupling", growth(cells)),
        _exponent_row("EBIM", growth(codes)),
        *_peers(generator, repeats, quick),
        *_game(quick),
    ]
    return rows


def _exponent_row(name: str, exponent: float) -> Row:
    note = "slope of log time over log n; n log n itself has about 1.16 on this range"
    return Row(f"growth of {name}: n^1.15", exponent, "exponent", 1.15 / exponent, 1.0, note)


def _peers(generator: np.random.Generator, repeats: int, quick: bool) -> list[Row]:
    """Measure dense couplings of other packages and ours."""
    rows = []
    package = _package()
    for exponent in (6, 9) if quick else (6, 9, PEER_LARGEST):
        size = 2**exponent
        p, q = generator.dirichlet(np.ones(size)), generator.dirichlet(np.ones(size))
        subjects: dict[str, Callable[[], object]] = {
            "ours": lambda p=p, q=q: greedy_mec(p, q),
            "argmax loop": lambda p=p, q=q: argmax_loop(p, q),
        }
        if package is not None:
            subjects["mec"] = lambda p=p, q=q: package(p, q)
        times = measure(subjects, 1 if exponent == PEER_LARGEST else repeats)
        ours = times["ours"].best
        note = f"{8 * size * size / 2**20:.0f} MiB of joint, mostly zeros" if exponent == PEER_LARGEST else ""
        rows.append(Row(f"greedy_mec, dense, n = k = {size}", 1e3 * ours, "ms", note=note))
        for name in list(subjects)[1:]:
            rows.append(Row(f"  {name}", 1e3 * times[name].best, "ms", times[name].best / ours))
    if package is None:
        rows.append(Row("  mec", math.nan, "ms", note="the package `mec` (github.com/ssokota/mec) is not installed"))
    return rows


def _package() -> Callable[[np.ndarray, np.ndarray], object] | None:
    """Return the greedy coupling of the package `mec`, if the installed package of that name is the right one."""
    if importlib.util.find_spec("mec") is None:
        return None
    try:
        from mec import greedy_mec as peer
    except ImportError:
        return None
    return peer


def _game(quick: bool) -> list[Row]:
    """Measure complete episodes with 512 messages, sender and receiver, batched over episodes."""
    rows = []
    episodes = EPISODES // 4 if quick else EPISODES
    for name, rate in (("MEME", 1.0), ("MECB", 0.5)):
        agent = envzoo.agents.make(name, GAME, device="cpu", env_kwargs={"num_messages": MESSAGES, "rate": rate})
        env = agent.source.evaluation_env(episodes)

        def play(agent=agent, env=env):
            return evaluate(agent, env, episodes=episodes, deterministic=False)

        seconds = measure({"play": play}, 1 if quick else 3)["play"].best
        moves = play().lengths.sum()
        env.close()
        note = f"{1e6 * seconds / moves:.1f} us per move, the receiver's coupling included"
        rows.append(Row(f"{name}, rate {rate:g}, {MESSAGES} messages", episodes / seconds, "episodes/s", note=note))
    return rows
