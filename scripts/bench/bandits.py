"""Speed of history-dependent bandits: the relaxation and its scaling, exact planning, rounding, and the simulator."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np

from envzoo.agents.bandits.lsd import lsd_lp, mirrored_rounding, relative_value_iteration
from envzoo.bandits.generators import random_monotone
from envzoo.bandits.model import BanditModel, transitions
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "history-dependent bandits on one thread: the relaxation, exact planning, rounding, simulator"

SATIATION, STATES = 20, 70
ARMS = (10, 50, 200, 1000)
WIDTHS = (20, 70, 200)
EPISODES, PLAYED_ARMS = 1024, 10


def run(quick: bool = False) -> list[Row]:
    """Run all measurements.

    Args:
        quick: Use fewer repetitions, and skip the relaxation of 1,000 arms with HiGHS.

    Returns:
        Rows in seconds, million pulls per second, and million states per second; `ratio` is the other package's time
        over ours.
    """
    return [*_relaxation(quick), *_simulator(quick), *_rounding(quick), *_exact(quick)]


def _solving(arms: int, states: int, method: str) -> Callable[[], object]:
    satiation = states * SATIATION // STATES
    model = random_monotone(arms, satiation, states - satiation, seed=0)
    return lambda: lsd_lp(model.payoffs, model.satiation, method=method)


def _relaxation(quick: bool) -> list[Row]:
    sizes = [(arms, STATES) for arms in ARMS] + [(50, states) for states in WIDTHS if states != STATES]
    rows = []
    for arms, states in sizes:
        large = arms * states > 20_000
        subjects = {"cycles": _solving(arms, states, "cycles")}
        if not (quick and large):
            subjects["highs"] = _solving(arms, states, "highs")
        timings = measure(subjects, 1 if quick or large else 3)
        ours, name = timings["cycles"].best, f"relaxation, {arms} arms x {states} states"
        note = "below 0.5 s is wanted" if (arms, states) == (50, STATES) else ""
        rows.append(Row(name, ours, "s", note=note))
        if "highs" in timings:
            rows.append(Row(f"{name}, HiGHS", timings["highs"].best, "s", timings["highs"].best / ours))
    return rows


# ---------------------------------------------------------------------------- simulator


def _simulator(quick: bool) -> list[Row]:
    model, steps = random_monotone(PLAYED_ARMS, seed=0), 50 if quick else 200
    actions = np.random.default_rng(0).integers(PLAYED_ARMS, size=(steps, EPISODES))
    env = gym.make_vec("envzoo/LSDBandit-v0", num_envs=EPISODES, payoffs=model.payoffs, satiation=model.satiation)
    env.reset(seed=0)
    peer = PlainNumPy(model, EPISODES)

    def ours() -> None:
        for chosen in actions:
            env.step(chosen)

    def plain() -> None:
        for chosen in actions:
            peer.step(chosen)

    timings = measure({"ours": ours, "plain": plain}, 3 if quick else 7)
    rates = {name: steps * EPISODES / timing.best / 1e6 for name, timing in timings.items()}
    name = f"LSDBandit, {PLAYED_ARMS} arms, {EPISODES} episodes"
    return [
        Row(name, rates["ours"], "million pulls/s", note="20 million are wanted"),
        Row("the same in plain NumPy", rates["plain"], "million pulls/s", rates["ours"] / rates["plain"]),
    ]


class PlainNumPy:
    """A straightforward simulator: array operations over the batch, without autoreset or checks.

    Args:
        model: The instance.
        episodes: Number of episodes.
    """

    def __init__(self, model: BanditModel, episodes: int):
        self.payoffs = model.payoffs
        self.rested, self.pulled = transitions(model.satiation, model.deprivation)
        self.columns = np.full((episodes, model.arms), model.num_states - 1)
        self.rows, self.rng = np.arange(episodes), np.random.default_rng(0)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pull an arm in each episode; return observations (episodes, arms) and Bernoulli rewards (episodes,)."""
        before = self.columns[self.rows, actions]
        rewards = (self.rng.random(len(actions)) < self.payoffs[actions, before]).astype(float)
        self.columns = self.rested[self.columns]
        self.columns[self.rows, actions] = self.pulled[before]
        return self.columns.copy(), rewards


# ---------------------------------------------------------------------------- planners


def _rounding(quick: bool) -> list[Row]:
    model, rounds, runs = random_monotone(PLAYED_ARMS, seed=0), 200, 200 if quick else 1000
    plan = lsd_lp(model.payoffs, model.satiation)
    timing = measure({"": lambda: mirrored_rounding(plan, rounds, runs=runs)}, 3)[""]
    return [Row(f"mirrored rounding, {PLAYED_ARMS} arms", rounds * runs / timing.best / 1e6, "million rounds/s")]


def _exact(quick: bool) -> list[Row]:
    rows = []
    for arms, states in ((3, 12), (4, 12)) if quick else ((3, 12), (4, 12), (5, 12), (4, 30)):
        model = random_monotone(arms, states // 3, states - states // 3, seed=0)
        sweeps = []

        def solve(model: BanditModel = model, sweeps: list[int] = sweeps) -> None:
            sweeps.append(relative_value_iteration(model.payoffs, model.satiation, tolerance=1e-4).sweeps)

        seconds = measure({"": solve}, 1)[""].best
        rate = states**arms * sweeps[-1] / seconds / 1e6
        name = f"relative value iteration, {arms} arms x {states} states"
        rows.append(Row(name, rate, "million states/s", note=f"{states**arms:,} states, {sweeps[-1]} sweeps"))
    return rows
