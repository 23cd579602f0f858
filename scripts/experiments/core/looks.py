"""Seeds of the arms of an experiment, which may be looked at several times until it is decided."""

from __future__ import annotations

from collections.abc import Sequence

from envzoo.scripts.experiments.core.arms import AnyArm
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.intervals import CONFIDENCE
from envzoo.scripts.experiments.core.store import Store

LOOKS = (1, 2, 4, 8)  # multiples of the planned seeds at which `until_decided` judges the results
LOOK_CONFIDENCE = 0.9875  # the error is 1.25% for each of the four looks, and at most 5% in total


class Looks:
    """The looks of one run at an experiment, and the seeds of each arm at them.

    A run keeps the seeds and the wider intervals of an earlier run until decided, except in groups for which it is
    given a number of seeds. Groups that do not run now keep their planned seeds.

    Args:
        experiment: The experiment.
        store: Results of earlier runs.
        groups: Groups that run now; empty for all.
        seeds: Number of seeds of their arms; None uses the planned ones.
        until_decided: Look again with more seeds while the results decide nothing.
        quick: Use the number of seeds of quick runs, and nothing of earlier runs.

    Attributes:
        multiples: Multiples of the seeds, one for each look.
        confidence: Confidence of the intervals by which the results are judged.
        looked_at: Groups to which that confidence belongs; empty for all.
    """

    def __init__(
        self,
        experiment: Experiment,
        store: Store,
        groups: Sequence[str] = (),
        seeds: int | None = None,
        until_decided: bool = False,
        quick: bool = False,
    ):
        self.experiment, self.groups, self.seeds, self.quick = experiment, frozenset(groups), seeds, quick
        arms = experiment.sweep(quick)
        self._least = {
            arm.name: 0 if quick or (seeds is not None and self._runs_now(arm)) else store.counts.get(arm.name, 0)
            for arm in arms
        }
        again = any(self._least.values())
        self._earlier = store.looks if again else 1
        self.multiples = LOOKS if until_decided else (1,)
        self.confidence = LOOK_CONFIDENCE if until_decided or again else CONFIDENCE
        repeated = [self.groups] * until_decided + [store.looked_at] * again
        self.looked_at = sorted(frozenset().union(*repeated)) if all(repeated) else []

    def _runs_now(self, arm: AnyArm) -> bool:
        return not self.groups or arm.group in self.groups

    def numbers(self, arm: AnyArm, multiple: int) -> range:
        """Return the seeds of an arm at a look."""
        count, now = self.seeds, self._runs_now(arm)
        if count is None or not now:
            count = self.experiment.quick_seeds if self.quick else (arm.seeds or self.experiment.seeds)
        count = max(count * (multiple if now else 1), self._least[arm.name])
        return range(self.experiment.first_seed, self.experiment.first_seed + count)

    def done(self, multiple: int) -> int:
        """Return how many times the results have been looked at after a look, those of earlier runs included."""
        return max(LOOKS.index(multiple) + 1, self._earlier)
