"""Simulations of paper 24 in the family of two states: errors of estimators, and selection from finite classes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from envzoo.agents.offline import ope
from envzoo.offline.random_feature_mdp import RandomFeatureMDP
from envzoo.offline.two_state_realizable import TwoStateRealizable

GAMMA, NOISE = 0.9, 0.5
BATCH = 1000  # repetitions computed together
MU, POLICY = np.full((2, 1), 0.5), np.ones((2, 1))
# (number of features k of state 1, name in scores)
LADDER = (0.0, 0.5, 1.0, 1.111, 1.2, 1.25, 2.0, 4.0)


def world(k: float, stay: float = 0.0) -> TwoStateRealizable:
    """Make the two states."""
    return TwoStateRealizable(k=k, gamma=GAMMA, noise=NOISE, stay=stay)


def incompleteness(k: float, stay: float = 0.0) -> float:
    """Compute beta."""
    made = world(k, stay)
    return ope.bellman_incompleteness(made.model(), made.features, MU, POLICY)


def draw(made: TwoStateRealizable, generator: np.random.Generator, shape: tuple[int, int]) -> tuple:
    """Draw independent samples (repetitions, n): phi, rewards and next_phi as `ope.lstd` takes them."""
    state = generator.integers(2, size=shape)
    stay = made.model().p[0, 0, 0]
    following = np.where((state == 0) & (generator.random(shape) < stay), 0, 1) if stay else np.ones(shape, np.int64)
    rewards = made.model().r[:, 0][state] + NOISE * generator.standard_normal(shape)
    return made.values[state][..., None], rewards, made.values[following][..., None]


def median_errors(
    generator: np.random.Generator, k: float, n: int, repetitions: int, stay: float = 0.0
) -> dict[str, float]:
    """Compute the median Bellman error of LSTD and of the naive residual minimiser over repetitions."""
    made, errors = world(k, stay), {"lstd": [], "naive": []}
    model = made.model()
    size = max(1, min(BATCH, repetitions, 2_000_000 // n))
    for first in range(0, repetitions, size):
        sample = draw(made, generator, (min(size, repetitions - first), n))
        for name, fit in (("lstd", ope.lstd), ("naive", ope.minimise_residual)):
            theta = fit(*sample, GAMMA)
            errors[name].append(ope.bellman_error(model, made.features, MU, POLICY, theta))
    return {name: float(np.median(np.concatenate(values))) for name, values in errors.items()}


def run_ladder(seed: int, budget: int, quick: bool, n: int) -> dict[str, Any]:
    """Score the median error of LSTD for every k, and its product with sqrt(1 - beta^2); `budget` repetitions."""
    generator, scores = np.random.default_rng(seed), {}
    for k in LADDER:
        error = median_errors(generator, k, n, budget)["lstd"]
        scores |= {f"error {k:g}": error, f"product {k:g}": error * math.sqrt(1 - incompleteness(k) ** 2)}
    errors = [scores[f"error {k:g}"] for k in LADDER]
    products = [scores[f"product {k:g}"] for k in LADDER]
    return {"scores": scores | {"spread": max(products) / min(products), "error spread": max(errors) / min(errors)}}


def run_sizes(seed: int, budget: int, quick: bool, k: float, stay: float, sizes: list[int]) -> dict[str, Any]:
    """Score the median errors of LSTD and of the naive residual minimiser for growing samples."""
    generator, scores = np.random.default_rng(seed), {}
    for n in sizes:
        found = median_errors(generator, k, n, budget, stay)
        scores |= {f"{name} {n}": error for name, error in found.items()}
    for name in ("lstd", "naive"):
        for small, large in itertools.pairwise(sizes):
            scores[f"{name} {small}/{large}"] = scores[f"{name} {small}"] / scores[f"{name} {large}"]
    return {"scores": scores}


def run_selection(seed: int, budget: int, quick: bool, sizes: list[int]) -> dict[str, Any]:
    """Score how often Q^pi is selected from a class with 60 other functions, for growing samples.

    The world has 10 states and random transitions; the others are Q^pi plus normal numbers of standard deviation 0.5.
    """
    generator = np.random.default_rng(seed)
    made = RandomFeatureMDP(states=10, actions=1, dimensions=1, noise=NOISE, instance_seed=seed)
    model, q = made.model(), made.action_values[:, 0]
    functions = np.concatenate([q[None], q + 0.5 * generator.standard_normal((60, 10))])
    cumulative = np.cumsum(model.p[:, 0], axis=1)
    scores: dict[str, float] = {}
    for n in sizes:
        hits = {"minimax": 0, "naive": 0}
        for _ in range(budget):
            state = generator.integers(10, size=n)
            following = (generator.random(n)[:, None] >= cumulative[state]).sum(axis=1).clip(max=9)
            rewards = model.r[state, 0] + NOISE * generator.standard_normal(n)
            arguments = (functions[:, state], functions[:, following], rewards, GAMMA)
            hits["minimax"] += ope.minimax_ope(*arguments).index == 0
            hits["naive"] += ope.naive_ope(*arguments).index == 0
        scores |= {f"{name} {n}": count / budget for name, count in hits.items()}
    return {"scores": scores}


def run_identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Score the largest errors of the identities over `budget` random samples, and where iterations diverge."""
    generator = np.random.default_rng(seed)
    bracket_error = fixed_point_error = 0.0
    for _ in range(budget):
        phi, next_phi = generator.normal(size=(2, 60, 4))
        rewards, theta = generator.normal(size=60), generator.normal(size=4)
        target = rewards + GAMMA * next_phi @ theta
        best = phi @ np.linalg.lstsq(phi, target, rcond=None)[0]
        direct = ((phi @ theta - target) ** 2).mean() - ((best - target) ** 2).mean()
        found = float(ope.bracket(theta, ope.moments(phi, rewards, next_phi, GAMMA)))
        bracket_error = max(bracket_error, float(abs(found - direct)))
        iterated = ope.fqe(phi, rewards, 0.3 * next_phi, GAMMA)
        if iterated.converged:
            solution = ope.lstd(phi, rewards, 0.3 * next_phi, GAMMA)
            fixed_point_error = max(fixed_point_error, float(np.abs(iterated.theta - solution).max()))
    scores = {"bracket": bracket_error, "fixed point": fixed_point_error}
    for k in (1.2, 2.0):
        made = world(k)
        sample = (made.features[:, 0], made.model().r[:, 0], made.features[[1, 1], 0], GAMMA)
        scores[f"td {k:g}"] = float(abs(ope.td0(*sample, step_size=0.5, steps=2000, initial=[1.1])[0]))
        scores[f"fqe {k:g}"] = float(abs(ope.fqe(*sample, iterations=2000, initial=[1.1]).theta[0]))
    return {"scores": scores}
