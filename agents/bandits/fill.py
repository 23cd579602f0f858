"""Selection of the fill option of mirrored rounding: each plan is simulated with and without filling free pulls."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.bandits.lsd_rounding import draw_virtual, mirrored_round, settle

PHASES, CYCLES = 8, 10  # of a simulation: starts, and rounds per start as a multiple of the number of states


@njit(cache=True)
def simulated_value(table, activation, stationary, satiation, k, by_real, fill, stream):
    """Simulate the mean payoff per round of one plan: PHASES starts of CYCLES S rounds from rested arms.

    Args:
        table: (1, arms, states) float64.
        activation: (1, arms, states) float64.
        stationary: (1, arms, states) float64.
        satiation: Number of negative states.
        k: Pulls per round.
        by_real: Whether active arms are selected by their real payoffs.
        fill: (1,) bool.
        stream: (1, 2) uint64, advanced.
    """
    arms, states = table.shape[1:]
    real, virtual = np.empty((1, arms), np.int64), np.empty((1, arms), np.int64)
    earned, counts = np.zeros(1), np.zeros((1, arms), np.int64)
    pulls, where = np.zeros((1, arms), np.bool_), np.ones(1, np.bool_)
    for _ in range(PHASES):
        real[:] = states - 1
        draw_virtual(stationary, real, stream, where, virtual)
        for _ in range(CYCLES * states):
            mirrored_round(table, activation, satiation, k, by_real, fill, real, virtual, stream, where, pulls)
            settle(table[0], satiation, real, pulls, earned, counts)
    return earned[0] / (PHASES * CYCLES * states)


@njit(cache=True)
def choose_fill(table, activation, stationary, satiation, k, by_real, where, streams, fill):
    """Decide by simulation whether free pulls are filled, for the plans of the runs in `where`.

    With as many pulls as arms nothing is simulated: every active arm is pulled, so a plan without fill already earns
    the value of the relaxation, the maximum.

    Args:
        table: (R, arms, states) float64, payoffs by which plans were made and are evaluated.
        activation: (R, arms, states) float64.
        stationary: (R, arms, states) float64.
        satiation: Number of negative states.
        k: Pulls per round.
        by_real: Whether active arms are selected by their real payoffs.
        where: (R,) bool.
        streams: (R, 2) uint64 streams of the simulations; both options use the same random numbers.
        fill: (R,) bool, written.
    """
    option = np.zeros(1, np.bool_)
    for run in range(where.size):
        if not where[run]:
            continue
        if k >= table.shape[1]:
            fill[run] = False
            continue
        own = slice(run, run + 1)
        plan = (table[own], activation[own], stationary[own])
        same = streams[own].copy()
        option[0] = True
        filled = simulated_value(*plan, satiation, k, by_real, option, same)
        option[0] = False
        fill[run] = filled > simulated_value(*plan, satiation, k, by_real, option, streams[own])
