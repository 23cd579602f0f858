"""The command `python -P -m envzoo.scripts.hostile_answers`; `--help` lists its options."""

from __future__ import annotations

import argparse
import sys

from envzoo.reasoning.reasoning_gym import dataset_names
from envzoo.reasoning.safe_scoring import REVIEWS
from envzoo.scripts.hostile_answers.check import Audit, attack, compare, own_parsers


def main() -> int:
    """Attack every dataset and compare every parser of envzoo; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(description="Attack the scorers of reasoning-gym's datasets with hostile answers.")
    parser.add_argument("--mutants", type=int, default=200, help="hostile answers derived from right ones, per dataset")
    parser.add_argument("--every", type=int, default=1, help="use every n-th handwritten answer")
    parser.add_argument("--entries", type=int, default=1000, help="items per parser of envzoo; 0 skips the comparison")
    parser.add_argument("--most", type=int, default=8, help="unusual and wrong answers per item, besides the right one")
    parser.add_argument("--seconds", type=float, default=1.0, help="report an answer that takes longer as a failure")
    parser.add_argument("--wait", type=float, default=5.0, help="seconds that the package gets to score an answer")
    parser.add_argument("--datasets", nargs="*", default=None, help="only these")
    options = parser.parse_args()
    audit, failed, slowest = Audit(), False, (0.0, "", "")
    names = options.datasets or dataset_names()
    print(f"{'dataset':28}{'kind':14}{'answers':>8}{'worst ms':>10}  slowest answer, or findings")
    for name in names:
        report = attack(name, audit, options.mutants, options.every)
        seconds, answer = report.slowest
        slowest = max(slowest, (seconds, name, answer))
        bad = report.events or report.outside or seconds > options.seconds
        failed = failed or bool(bad)
        found = f"FAILED: {report.events} {report.outside} {answer!r}" if bad else repr(answer[:40])
        print(f"{name:28}{REVIEWS[name].kind:14}{report.answers:8}{1000 * seconds:10.1f}  {found}", flush=True)
    print(f"slowest of all: {slowest[0]:.3f} s, {slowest[1]}, {slowest[2]!r}")
    for name in own_parsers() if options.entries else ():
        if name in names:
            result = compare(name, options.entries, options.most, seconds=options.wait)
            failed = failed or bool(result.differences)
            print(f"{name:28}{result.entries} items, {result.answers} answers, {result.full} full scores, ", end="")
            print(f"{result.late} not scored by the package in {options.wait:g} s, " if result.late else "", end="")
            print(f"{len(result.differences)} differences {result.differences[:3] or ''}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
