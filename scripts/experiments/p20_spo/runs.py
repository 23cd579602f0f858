"""The runs of the experiment on paper 20: matrix games, self-play on logits, and paths of a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.preference.bandit_self_play import train_bandits
from envzoo.agents.preference.minimax import exploitability, hedge_bound, hedge_self_play, minimax_winner
from envzoo.preference.games import cyclic_game, random_game

EPISODES = 512
ITERATIONS = (200, 2000)
# The same for both learners: queue and entropy bonus are those recommended for cyclic preferences.
SETTINGS = {"queue": 256, "entropy_coefficient": 0.02}


def matrix_games(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Compute Hedge's mixtures on the cyclic game, and minimax winners of `budget` random games."""
    game, scores = cyclic_game(), {}
    for iterations in ITERATIONS:
        policies = hedge_self_play(game, iterations)
        mixture = policies.mean(0)
        scores[f"hedge_{iterations}"] = exploitability(game, mixture) / 2
        scores[f"hedge_last_{iterations}"] = exploitability(game, policies[-1]) / 2
        scores[f"bound_{iterations}"] = hedge_bound(3, iterations)
        scores |= {f"mixture_{iterations}_{k}": float(value) for k, value in enumerate(mixture)}
    winner = minimax_winner(game)
    scores["winner_error"] = float(np.abs(winner - np.array([1, 2, 3]) / 6).max())
    scores["uniform_error"] = float(np.abs(np.full(3, 1 / 3) - np.array([1, 2, 3]) / 6).max())
    games = [random_game(10, number) for number in range(budget)]
    scores["worst_winner"] = max(exploitability(game, minimax_winner(game)) for game in games)
    scores["least_uniform"] = min(exploitability(game, np.full(10, 0.1)) for game in games)
    return {"scores": scores}


def logits(seeds: Sequence[int], budget: int, quick: bool, learner: str, entropy: float) -> list[dict[str, Any]]:
    """Train three logits by policy gradient, one row per seed, and compute exploitabilities in win probability."""
    game = cyclic_game()
    found = train_bandits(game, seeds, learner, iterations=budget, entropy=entropy)
    gaps = {name: (getattr(found, name) @ game.T).max(1) / 2 for name in ("last", "mean")}
    return [
        {"scores": {f"gap_{name}": float(values[i]) for name, values in gaps.items()}
         | {f"arm_{k}": float(found.mean[i, k]) for k in range(3)}}
        for i in range(len(seeds))
    ]  # fmt: skip


def paths(seed: int, budget: int, quick: bool, agent: str, kind: str) -> dict[str, Any]:
    """Train on PrefPoint, and compute where the paths of the returned and of the last policy end."""
    learner = agents.make(agent, "envzoo/PrefPoint-v0", seed=seed, device="cpu", env_kwargs={"kind": kind}, **SETTINGS)
    start = measure(learner, learner)
    learner.learn(budget)
    last = learner.last_policy() if agent == "SPO" else learner
    scores = {f"start_{name}": value for name, value in start.items()}
    scores |= measure(learner, learner)
    scores |= {f"last_{name}": value for name, value in measure(learner, last).items()}
    return {"scores": scores}


def measure(learner: Any, policy: Any) -> dict[str, float]:
    """Compute where the paths of a policy end in the learner's world: sectors, feasible share and mean cost."""
    env = learner.source.evaluation_env(EPISODES)
    found = evaluate(policy, env, episodes=EPISODES, deterministic=False)
    env.close()
    shares = np.bincount(found.infos["sector"].astype(int), minlength=3) / EPISODES
    return {
        "least_share": float(shares.min()),
        "largest_share": float(shares.max()),
        **{f"sector_{k}": float(share) for k, share in enumerate(shares)},
        "feasible": float(found.infos["feasible"].mean()),
        "cost": float(-found.returns.mean()),
    }
