"""Runs of paper 28: data of finite worlds, policies learned from them, and their exact returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from envzoo.agents.offline.doc_tables import (
    DocTables,
    Plays,
    critic_gain,
    gather_plays,
    return_conditioned_policy,
    total_loss,
)
from envzoo.agents.optim import make_optimizer
from envzoo.datasets.collector import collect
from envzoo.datasets.table import TransitionTable
from envzoo.offline.finite_world import FiniteWorld
from envzoo.offline.lucky_bandit import LuckyBandit
from envzoo.offline.lucky_tree import LuckyTree
from envzoo.offline.planning import optimal_return, policy_return
from envzoo.offline.slip_lake import SlipLake
from envzoo.tabular import FiniteMDP

# method -> sign of the critic, and whether the value loss leaves the latent alone; None for imitation given the return
METHODS: dict[str, tuple[str, bool] | None] = {
    "imitation": None,
    "doc": ("minimax", True),
    "released": ("released", True),
    "unconstrained": ("off", False),
}
EPSILON, LAKE_GAMMA, SWEEPS = 0.4, 0.99, 3000


def play(env_id: str, policy: np.ndarray, episodes: int, seed: int, **env_kwargs: Any) -> TransitionTable:
    """Play episodes with a table (S, A) of probabilities."""
    generator, cumulative = np.random.default_rng(seed), np.cumsum(policy, axis=1)

    def predict(observation, state, episode_start, deterministic):
        drawn = generator.random((len(observation), 1)) * cumulative[observation, -1:]
        return (drawn >= cumulative[observation]).sum(axis=1), state

    buffers = collect(env_id, predict, episodes=episodes, seed=10_000_000 + 100_000 * seed, env_kwargs=env_kwargs)
    parts = [(b.observations, b.actions, b.rewards, b.terminations, b.truncations) for b in buffers]
    return TransitionTable.from_episodes(parts, gamma=1.0)


def learn(
    table: TransitionTable, model: FiniteMDP, horizon: int, method: str, *, seed: int, steps: int, window: int, z: int
) -> dict[str, float]:
    """Learn a policy from data, and score its exact return, what it claims to return, and how much z tells of luck."""
    states, actions = model.r.shape
    returns = table.episode_returns()
    chosen = METHODS[method]
    if chosen is None:
        each = returns[table.episode_id]
        policy = return_conditioned_policy(table.observations, table.actions, each, states, actions)
        earned, claimed, luck = policy_return(model, policy, horizon), float(returns.max()), float("nan")
    else:
        lengths = np.diff(np.append(table.episode_starts, len(table)))
        columns = (table.observations, table.actions, table.rewards, table.next_observations, table.terminals)
        plays = gather_plays(*columns, lengths, window, states, actions)
        tables = fit(plays, *chosen, seed=seed, steps=steps, latents=z)
        policy = tables.policy(plays).numpy().astype(np.float64)
        earned, claimed = policy_return(model, policy, horizon), float(tables.best_latent(plays)[1][0])
        luck = told_of_luck(tables, plays) if window == 1 and states == 1 else float("nan")
    first = int(table.observations[0])
    scores = {"return": earned, "claimed": claimed, "gap": abs(claimed - earned), "luck": luck}
    scores |= {"share of optimal": earned / optimal_return(model, horizon), "last arm": float(policy[first, -1])}
    return {name: value for name, value in scores.items() if np.isfinite(value)}


def fit(plays: Plays, sign: Any, stop_gradient: bool, *, seed: int, steps: int, latents: int) -> DocTables:
    """Train the tables of DoC."""
    tables = DocTables(plays, latents, torch.Generator().manual_seed(seed))
    optimizer = make_optimizer(tables, lr=0.01)
    for _ in range(steps):
        optimizer.step(total_loss(tables.losses(plays, sign, stop_gradient), 1.0))
    return tables


def told_of_luck(tables: DocTables, plays: Plays) -> float:
    """Compute the largest total variation between q(z | s, a, o) and q(z | s, a, o') over actions and outcomes."""
    q, prefix = tables.q.detach().softmax(dim=-1), plays.prefix[:, 0]
    same = prefix[:, None] == prefix
    return float((0.5 * (q[:, None] - q).abs().sum(dim=-1) * same).max())


def run_bandit(
    seed: int,
    budget: int,
    quick: bool,
    method: str,
    probabilities: list[float],
    rewards: list[float],
    good: float,
    pulls: int,
) -> dict[str, Any]:
    """Learn from pulls of two arms, of which the last is pulled with probability `good`."""
    world = LuckyBandit(probabilities, rewards)
    kwargs = {"probabilities": probabilities, "rewards": rewards}
    table = play("envzoo/LuckyBandit-v0", np.array([[1 - good, good]]), pulls, seed, **kwargs)
    return {"scores": learn(table, world.model(), 1, method, seed=seed, steps=budget, window=1, z=6)}


def run_tree(seed: int, budget: int, quick: bool, method: str, episodes: int) -> dict[str, Any]:
    """Learn from uniformly random walks down the tree; one latent for a whole walk."""
    world = LuckyTree()
    table = play("envzoo/LuckyTree-v0", np.full((7, 2), 0.5), episodes, seed)
    return {"scores": learn(table, world.model(), 3, method, seed=seed, steps=budget, window=3, z=16)}


def lake_behaviour(world: FiniteWorld) -> np.ndarray:
    """Compute the policy that takes a best action for a discount of .99, or with probability .4 any one, (S, A)."""
    model = world.model()
    q = np.zeros(model.r.shape)
    for _ in range(SWEEPS):
        q = model.r + LAKE_GAMMA * model.p @ q.max(axis=1)
    best = np.eye(q.shape[1])[q.argmax(axis=1)]
    return EPSILON / q.shape[1] + (1 - EPSILON) * best


def run_lake(seed: int, budget: int, quick: bool, method: str, slip: float, episodes: int) -> dict[str, Any]:
    """Learn from walks on the lake; a latent for each step."""
    world = SlipLake(slip=slip)
    table = play("envzoo/SlipLake-v0", lake_behaviour(world), episodes, seed, slip=slip)
    return {"scores": learn(table, world.model(), 50, method, seed=seed, steps=budget, window=1, z=8)}


def run_identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Score the largest errors of the closed form of imitation, and of the bound of the critic, over `budget` draws."""
    generator = np.random.default_rng(seed)
    imitation = bound_error = excess = 0.0
    for _ in range(budget):
        p = generator.uniform(0.01, 0.49)
        rewarded = np.array([(1 - p) * p, p * (1 - p)])  # of the bad arm and of the good one
        share = rewarded / rewarded.sum()
        imitation = max(imitation, abs(float(share @ [p, 1 - p]) - 0.5))
        joint = generator.dirichlet(np.ones(12)).reshape(4, 3)
        rho = generator.dirichlet(np.ones(4))
        p_o, p_z = joint.sum(axis=1), joint.sum(axis=0)
        bound = (joint * np.log(joint / np.outer(p_o, p_z))).sum() + (p_o * np.log(p_o / rho)).sum()
        best = np.log(joint / p_z / rho[:, None])
        tables = np.stack([best, best + generator.normal(size=best.shape)])
        gain = critic_gain(torch.as_tensor(tables)[:, None].expand(-1, 4, -1, -1), torch.as_tensor(rho), _ALL)
        found = (torch.as_tensor(joint) * gain).sum(dim=(1, 2)).numpy()
        bound_error, excess = max(bound_error, abs(found[0] - bound)), max(excess, found[1] - bound)
    return {"scores": {"imitation": imitation, "bound": float(bound_error), "excess": float(excess)}}


_ALL = torch.arange(4).expand(2, 4)
