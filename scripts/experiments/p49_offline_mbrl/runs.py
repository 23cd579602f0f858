"""Runs of the experiment on paper 49: calibration of penalties, trust in the model, and the search over designs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.offline.calibration import calibrate, calibration_report, promised_return
from envzoo.agents.offline.design_search import DesignSpace, search_designs
from envzoo.agents.offline.mopo import MOPO
from envzoo.agents.offline.penalties import PENALTIES, AutoPenalty
from envzoo.agents.source import make_vector_env
from envzoo.datasets import load_minari, normalised_scores
from envzoo.offline.windy_point import EDGE, WindyPoint
from envzoo.scripts.experiments.offline_runs import EPISODES, provide

HALF = "envzoo/windy-point/half-v0"
WORLD, HORIZON = "envzoo/WindyPoint-v0", 50
SIZES = (1, 2, 5, 10)
STATES, FASTEST_DRAWN = 4000, 0.5
TARGET = 1.5
MODEL = {"model_hidden": (64, 64)}
LEARNING = MODEL | {
    "hidden": (64, 64),
    "batch_size": 128,
    "learning_rate": 1e-3,
    "policy_learning_rate": 1e-3,
    "tau": 0.02,
    "rollout_batch": 1000,
    "rollout_every": 250,
}
SPACE = DesignSpace(rollout_length=(1, 20))
TRIALS, FRESH = 12, 2


def _make(seed: int, **settings: Any) -> MOPO:
    provide(HALF)
    return agents.make(MOPO.spec.name, HALF, seed=seed, device="cpu", threads=1, **settings)


def _dynamics(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    return WindyPoint().dynamics(state, action)[0]


def draw_states(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw states, uniform over the arena and over slow velocities, and uniform actions."""
    generator = np.random.default_rng(seed)
    place = generator.uniform(-EDGE, EDGE, (count, 2))
    speed = generator.uniform(-FASTEST_DRAWN, FASTEST_DRAWN, (count, 2))
    action = generator.uniform(-1, 1, (count, 2))
    return np.hstack([place, speed]).astype(np.float32), action.astype(np.float32)


def run_calibration(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Fit ten models; score how each penalty, and each size of the ensemble, ranks the errors of the model."""
    agent = _make(seed, members=max(SIZES), elites=5, model_epochs=budget, **MODEL)
    agent.learn(1)
    state, action = draw_states(seed, STATES)
    outside = state[:, 0] > 0
    report = calibration_report(agent, _dynamics, state, action, outside)
    scores = {f"rank {name}": entry.spearman for name, entry in report.items()}
    scores |= {f"outside {name}": entry.auc for name, entry in report.items()}
    for size in SIZES:
        found = calibration_report(agent, _dynamics, state, action, penalties=["ensemble_std"], members=size)
        scores[f"members {size}"] = found["ensemble_std"].spearman
    with torch.no_grad():
        unknown_calm, known_noisy = outside & (state[:, 1] < 0), ~outside & (state[:, 1] > 0)
        both = unknown_calm | known_noisy
        generator = torch.Generator().manual_seed(seed)
        step = agent.model.step(torch.from_numpy(state[both]), torch.from_numpy(action[both]), generator)
        arguments = (step.prediction.mean.double(), step.prediction.std.double(), step.sample.double(), step.member)
        for name in ("ensemble_std", "max_aleatoric"):
            u = PENALTIES[name](*arguments).numpy()
            scores[f"unknown first {name}"] = calibrate(u, u, unknown_calm[both]).auc
    mean, std = arguments[0], arguments[1]
    second = ((std**2 + mean**2).mean(dim=0) - mean.mean(dim=0) ** 2).sum(dim=-1)
    total = PENALTIES["ensemble_variance"](*arguments)
    spread = PENALTIES["ensemble_std"](*arguments).square()
    scores["identity"] = float(((total - second).abs() / second).max())
    scores["identity without noise"] = float(((spread - second).abs() / second).max())
    return {"scores": scores | _auto(agent, seed)}


def _auto(agent: MOPO, seed: int) -> dict[str, float]:
    """Learn the weight of the penalty over 500 batches of the data; score its distance to the target, in shares."""
    auto, generator = AutoPenalty(TARGET), torch.Generator().manual_seed(seed)
    data = agent.data
    first = last = 0.0
    for number in range(500):
        rows = torch.randint(len(data.reward), (128,), generator=generator)
        u = agent.penalty(agent.model.step(data.observation[rows], data.action[rows], generator)).mean()
        if number == 0:
            first = float(u)
        auto.update(u)
        last = float(auto.value * u)
    return {"auto": abs(last - TARGET) / TARGET, "auto untouched": abs(first - TARGET) / TARGET}


def _train(seed: int, budget: int, settings: Mapping[str, Any]) -> MOPO:
    agent = _make(seed, **(LEARNING | dict(settings)))
    return agent.learn(budget)


def _score(agent: MOPO) -> float:
    return float(normalised_scores(agent.source.given, evaluate(agent, episodes=EPISODES).returns).mean())


def run_trust(seed: int, budget: int, quick: bool, weight: float) -> dict[str, Any]:
    """Train with a weight of the default penalty; score the true return, and the one that the model promises."""
    agent = _train(seed, budget, {"penalty_weight": weight})
    true = _score(agent)
    env = make_vector_env(WORLD, EPISODES)
    start, _ = env.reset(seed=seed)
    env.close()
    promise = promised_return(agent, start, HORIZON, seed=seed)
    promised = float(normalised_scores(load_minari(HALF), promise).mean())
    return {"scores": {"true": true, "promised": promised, "excess": promised - true}}


def run_search(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Search over designs, then score the best one and the default on the same fresh seeds."""

    def evaluate_design(design: Mapping[str, Any], of: int) -> float:
        return _score(_train(of, budget, design))

    fresh = [10_000 * (1 + number) + seed for number in range(FRESH)]
    found = search_designs(evaluate_design, 2 if quick else TRIALS, seed=seed, fresh_seeds=fresh, space=SPACE)
    default = float(np.mean([evaluate_design({}, of) for of in fresh]))
    best = float(found.fresh.mean())
    scores = {
        "best": best,
        "default": default,
        "gain": best - default,
        "selected": found.selected,
        "curse": found.selected - best,
        "members": found.best["members"],
        "rollout length": found.best["rollout_length"],
        "weight": found.best["penalty_weight"],
    }
    scores |= {f"chose {name}": float(found.best["penalty"] == name) for name in PENALTIES}
    best_so_far = np.maximum.accumulate([score for _, score in found.trials])
    return {
        "scores": scores,
        "curves": {"timesteps": list(range(1, len(found.trials) + 1)), "best so far": best_so_far.tolist()},
    }
