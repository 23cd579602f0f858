"""How benchmarks measure: in turns, by a given clock, and without what a subject has to prepare."""

from envzoo.scripts.bench.report import Prepared, measure


class Clock:
    """A clock that subjects move."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def __call__(self):
        return self.now

    def spend(self, name, seconds):
        self.calls.append(name)
        self.now += seconds


def test_subjects_are_timed_in_turns_after_a_round_that_does_not_count():
    clock, lengths = Clock(), iter([9.0, 2.0, 3.0])
    timings = measure(
        {"slow": lambda: clock.spend("slow", next(lengths)), "fast": lambda: clock.spend("fast", 1.0)}, 2, clock
    )
    assert clock.calls == ["slow", "fast"] * 3
    assert timings["slow"].seconds == (2.0, 3.0)
    assert (timings["slow"].best, timings["fast"].median) == (2.0, 1.0)


def test_a_prepared_subject_is_made_anew_for_each_call_and_its_making_is_not_timed():
    """As for a solver that would begin with the solution of its last call."""
    clock, used = Clock(), []

    def prepare():
        clock.spend("prepare", 100.0)
        return [0]

    def run(model):
        clock.spend("run", 5.0 if model[0] == 0 else 1.0)
        model[0] += 1
        used.append(model)

    timings = measure({"solver": Prepared(prepare, run)}, 2, clock)
    assert timings["solver"].seconds == (5.0, 5.0)
    assert [model[0] for model in used] == [1, 1, 1]
    assert len({id(model) for model in used}) == 3
