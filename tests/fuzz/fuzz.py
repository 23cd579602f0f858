"""Random play in every registered environment and game, each step of it checked.

Both the test-suite (a small budget) and `make fuzz` (a large one) run this module. Of every environment it checks that
observations lie in their spaces (shape, dtype, bounds), that rewards are finite, that episodes end as they say, that
infos fit their masks, that bad actions are refused without a trace, that a captured state goes on the same way, and
that each episode of a batch is the single environment with its seed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
import warnings

import numpy as np
from fuzz_checks import Row
from fuzz_kernels import sessions
from fuzz_others import play_game, play_single

import envzoo  # noqa: F401  (registers the environments)
from envzoo.errors import MissingExtraError
from envzoo.games import games
from envzoo.registration import specs

GROWTH = 48 * 2**20  # bytes that the last three quarters of a long run may add to the process
PAGE = os.sysconf("SC_PAGE_SIZE")


def memory() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def fuzz(name: str, calls: int, seed: int = 0, *, bounded: bool = False) -> Row:
    """Play `calls` steps in one environment or game.

    Args:
        name: A registered id.
        calls: Steps of the (vector) environment.
        seed: Seed of everything random.
        bounded: Whether to demand that memory stops growing after the first quarter.
    """
    generator = np.random.default_rng([seed, *name.encode()])
    by_id = {row.id: row for row in specs()}
    report, began = Row(name), time.perf_counter()
    if name in games():
        going = play_game(name, generator, calls, report)
    elif by_id[name].vector_entry_point is None:
        going = play_single(by_id[name], generator, calls, report)
    else:
        going = sessions(by_id[name], generator, calls, report)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for _ in going:
                if not report.before and report.calls >= calls / 4:
                    report.before = memory()
        except MissingExtraError as error:
            report.note = f"skipped: {error}"
    report.after, report.seconds = memory(), time.perf_counter() - began
    if bounded and report.before:
        assert report.after - report.before < GROWTH, f"{name} grew by {report.after - report.before} bytes"
    return report


def names() -> list[str]:
    """Every registered environment and game."""
    return [row.id for row in specs()] + list(games())


def slow(name: str) -> bool:
    """Whether a step takes milliseconds rather than microseconds, so that it gets fewer of them."""
    by_id = {row.id: row for row in specs()}
    return name in by_id and by_id[name].vector_entry_point is None


def main(argv: list[str] | None = None) -> int:
    """Play in all of them, print a row for each, and the sum."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--steps", type=int, default=2_000_000, help="vector steps in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("ids", nargs="*", help="environments and games; all of them when none is named")
    arguments = parser.parse_args(argv)
    chosen = arguments.ids or names()
    fast = [name for name in chosen if not slow(name)]
    each = -(-arguments.steps // max(len(fast), 1))
    columns = f"{'id':40s} {'calls':>9s} {'steps':>10s} {'episodes':>9s} {'RSS MiB':>17s} {'s':>7s}"
    print(columns, flush=True)
    rows, failed = [], 0
    for name in chosen:
        try:
            rows.append(fuzz(name, each // 20 if slow(name) else each, arguments.seed, bounded=True))
        except Exception as error:
            failed += 1
            print(f"{name:40s} FAILED {type(error).__name__}: {error}", flush=True)
            traceback.print_exception(error)
            continue
        r = rows[-1]
        mib = f"{r.before / 2**20:.0f} -> {r.after / 2**20:.0f}"
        print(f"{r.id:40s} {r.calls:9d} {r.steps:10d} {r.episodes:9d} {mib:>17s} {r.seconds:7.1f} {r.note}", flush=True)
    vector = sum(r.calls for r in rows if not slow(r.id))
    print(
        f"{len(rows)} of {len(chosen)} ids: {sum(r.calls for r in rows)} steps ({vector} of vector environments and "
        f"games), {sum(r.steps for r in rows)} steps of episodes, {sum(r.seconds for r in rows):.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
