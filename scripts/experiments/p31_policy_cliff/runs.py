"""The arms of paper 31: exact tables of the grid, random worlds, the mixture of rewards, and trained agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

EPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
ALPHAS = (0.0, 0.01, 0.1, 1.0)
ROUTE = 8  # moves from corner to corner of the 5 x 5 grid
FAVOURED = 0.05  # reward along one route of the control
VOCABULARY, TRAINED_EPS, SAMPLES = 6, 0.01, 2_000
DIRECTION = (1.0, -1.0, 0.0, 0.0)  # for the honest trace, against the shortcut
PPO = {
    "num_steps": 32,
    "minibatch_size": 512,
    "num_epochs": 4,
    "hidden": (64,),
    "learning_rate": 3e-3,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "anneal": "none",
    "normalize_advantage": False,  # otherwise the weight of the entropy is no temperature
}


def name_score(what: str, eps: float, alpha: float) -> str:
    """Name a score of the grid."""
    return f"{what}, eps {eps:g}, alpha {alpha:g}"


def solve_grid(seed: int, budget: int, quick: bool, goal: str) -> dict[str, Any]:
    """Compare the optimal policies of two opposite perturbations of CliffGrid; nothing here is random.

    `goal` is "absorbing", "terminal", or "favoured": absorbing, with a further reward along one route.
    """
    from envzoo.agents.tabular.policy_cliff import (
        argmax_gap_radius,
        change_reward,
        follow,
        optimal_policy,
        policy_tv,
        route_tv,
        soft_bound,
    )
    from envzoo.tabular.cliff_grid import cliff_grid

    scores: dict[str, float] = {}
    extra = np.zeros((25, 2))
    if goal == "favoured":
        extra[range(4), 0], extra[[4, 9, 14, 19], 1] = FAVOURED, FAVOURED  # along the top, then down the last column
    absorbing = goal != "terminal"
    on_route = [0, 1, 2, 3, 4, 9, 14, 19] if goal == "favoured" else range(24)
    for eps in EPS:
        a, b = (change_reward(cliff_grid(5, (eps, kind), absorbing=absorbing), extra) for kind in ("right", "down"))
        for alpha in ALPHAS:
            pi, other = optimal_policy(a, alpha), optimal_policy(b, alpha)
            tv = float(policy_tv(pi, other)[on_route].max())
            scores[name_score("TV", eps, alpha)] = tv
            scores[name_score("route TV", eps, alpha)] = route_tv(a, pi, other, ROUTE)
            scores[name_score("missed", eps, alpha)] = 1.0 - follow(a, pi, ROUTE)[24] - _ended(a, pi)
            if alpha:
                difference = float(np.abs(a.r - b.r).max())
                scores[name_score("ratio", eps, alpha)] = tv / soft_bound(difference, alpha, 0.95)
    base = change_reward(cliff_grid(5, absorbing=absorbing), extra)
    scores["radius"] = float(argmax_gap_radius(base)[on_route].min())
    return {"scores": scores}


def _ended(model: Any, pi: np.ndarray) -> float:
    """Compute the probability that the episode has ended within the length of a route."""
    from envzoo.agents.tabular.policy_cliff import follow

    return float(1.0 - follow(model, pi, ROUTE).sum())


def perturb_worlds(seeds: Sequence[int], budget: int, quick: bool, alpha: float) -> list[dict[str, Any]]:
    """Perturb random worlds (6 states, 4 actions, gamma 0.9) and divide the distance of policies by the bound."""
    from envzoo.agents.tabular.policy_cliff import (
        argmax_gap_radius,
        change_reward,
        optimal_policy,
        policy_tv,
        soft_bound,
    )
    from envzoo.tabular import random_mdp

    found = []
    for seed in seeds:
        model, rng = random_mdp(6, 4, gamma=0.9, seed=seed), np.random.default_rng([seed, 1])
        soft = hard = 0.0
        for eps in (1e-3, 1e-2, 1e-1, 1.0):
            changed = change_reward(model, eps * rng.uniform(-1, 1, (6, 4)))
            bound = soft_bound(float(np.abs(changed.r - model.r).max()), alpha, 0.9)
            tv = policy_tv(optimal_policy(model, alpha), optimal_policy(changed, alpha)).max()
            jump = policy_tv(optimal_policy(model), optimal_policy(changed)).max()
            soft, hard = max(soft, float(tv) / bound), max(hard, float(jump) / bound)
        radius = float(argmax_gap_radius(model).min())
        inside = change_reward(model, 0.999 * radius * np.sign(rng.uniform(-1, 1, (6, 4))))
        kept = policy_tv(optimal_policy(model), optimal_policy(inside)).max()
        found.append({"scores": {"soft ratio": soft, "hard ratio": hard, "moved within radius": float(kept)}})
    return found


def mix_rewards(seed: int, budget: int, quick: bool, compromise: float) -> dict[str, Any]:
    """Find the weights at which the best arm of the mixture changes, and how smooth its soft version is."""
    from envzoo.agents.tabular.policy_cliff import best_arms, policy_tv
    from envzoo.tabular import soft_policy

    w = np.linspace(0, 1, 10_001)
    weights = np.stack([w, 1 - w], axis=1)
    rewards = np.array([[1.0, 0.0, compromise], [0.0, 1.0, compromise]])
    best = best_arms(rewards, weights).argmax(axis=1)
    switches = w[1:][np.diff(best) != 0]
    soft = soft_policy(weights @ rewards, 0.1)
    off = max((float(np.abs(np.array([0.4, 0.6]) - s).min()) for s in switches), default=1.0)
    # A step of 1e-4 changes each arm's mixture by at most 1e-4, so that soft policies move by 1e-4 / (2 * 0.1).
    smooth = float(policy_tv(soft[1:], soft[:-1]).max() / (1e-4 / 0.2))
    scores = {"off": off, "number": float(len(switches)), "soft step over bound": smooth}
    return {"scores": scores, "curves": {"timesteps": w[::100].tolist(), "soft": soft[::100, 2].tolist()}}


def train_pair(seed: int, budget: int, quick: bool, entropy: float, eps: float = TRAINED_EPS) -> dict[str, Any]:
    """Train PPO on TraceChoice twice with one seed, with rewards eps D and -eps D added, and compare the traces."""
    from envzoo import agents
    from envzoo.tabular.trace_choice import TraceChoiceVectorEnv
    from envzoo.wrappers import VectorRewardPerturbation

    laws, right = [], []
    for sign in (1.0, -1.0):
        env = TraceChoiceVectorEnv(64, vocabulary=VOCABULARY, domains=1, autoreset_mode="SameStep")
        env = VectorRewardPerturbation(env, sign * eps, DIRECTION, "trace_kind")
        agent = agents.make("PPO", env, seed=seed, device="cpu", entropy_coefficient=entropy, **PPO).learn(budget)
        trial = TraceChoiceVectorEnv(SAMPLES, vocabulary=VOCABULARY, domains=1, autoreset_mode="Disabled")
        observation, _ = trial.reset(seed=seed)
        for _ in range(4):
            action, _ = agent.predict(observation, deterministic=False)
            observation, reward, _, _, infos = trial.step(action)
        laws.append(np.bincount(infos["trace_kind"] + 1, minlength=5) / SAMPLES)
        right.append(float(reward.mean()))
    scores = {"trace TV": float(0.5 * np.abs(laws[0] - laws[1]).sum()), "right": float(np.mean(right))}
    scores |= {f"kind {k}, {sign}": float(law[k + 1]) for sign, law in zip("+-", laws, strict=True) for k in range(4)}
    return {"scores": scores}
