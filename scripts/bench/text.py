"""Speed of the text environments and agents on one core: puzzles, training against TRL, and methods against GRPO."""

from __future__ import annotations

from functools import partial

import numpy as np

from envzoo.reasoning.catalogue import TASKS, make_task
from envzoo.scripts.bench.report import Row, measure
from envzoo.scripts.bench.text_methods import gpu_rows, method_rows
from envzoo.scripts.bench.text_trl import trl_rows

DESCRIPTION = "text on one core: puzzles, GRPO against TRL in turns, and the methods against GRPO"

PROMPTS = 10_000
REQUIRED = 1e6  # required number of answers verified per second, for every puzzle


def run(quick: bool = False) -> list[Row]:
    """Measure every puzzle at its default difficulty, the trainer, and the GPU if there is one.

    Args:
        quick: Use fewer rounds and smaller batches.

    Returns:
        Two rows per puzzle, in million answers and in million prompts per second (the `ratio` of the first is relative
        to one million per second); two rows of GRPO and TRL; one per method, whose `ratio` is the allowed cost over its
        own; and the rows of a GPU.
    """
    repeats, copies = (3, 2) if quick else (9, 20)
    rows = puzzle_rows(repeats, copies) + trl_rows(3 if quick else 15)
    return rows + method_rows(1 if quick else 15) + gpu_rows(rounds=1 if quick else 3)


def puzzle_rows(repeats: int, copies: int) -> list[Row]:
    """Measure verification, on demonstrations half of which are flawed, and generation.

    Args:
        repeats: Number of rounds; the best one counts.
        copies: Number of copies of a batch of 10,000 different answers that one call verifies.
    """
    subjects, amounts = {}, {}
    for name in TASKS:
        task = make_task(name)
        prompts = task.sample(PROMPTS, "all")
        answers = np.tile(task.demo(prompts, noise=0.5), (copies, 1))
        for kind, function, amount in (
            ("verified", partial(task.verify, np.tile(prompts, (copies, 1)), answers), copies * PROMPTS),
            ("prompts", partial(task.sample, PROMPTS), PROMPTS),
        ):
            subjects[name, kind], amounts[name, kind] = function, amount
    timings = measure(subjects, repeats)
    rows = []
    for name, kind in subjects:
        rate = amounts[name, kind] / timings[name, kind].best
        if kind == "verified":
            rows.append(Row(f"{name}, answers verified", rate / 1e6, "million answers/s", rate / REQUIRED, 1.0))
        else:
            rows.append(Row(f"{name}, prompts generated", rate / 1e6, "million prompts/s"))
    return rows
