"""Runs of paper 20 that were added after its first results: a trace of SPO, SPO on soft actor-critic, and duels."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from envzoo import agents
from envzoo.preference.preferences import Trajectories
from envzoo.scripts.experiments.p20_spo.runs import EPISODES, SETTINGS, measure

# Settings of soft actor-critic; the queue is that of PPO.
SOFT = {"queue": 256, "hidden": (64, 64), "num_envs": 16, "gradient_steps": 4, "learning_rate": 1e-3}
FULL = 0.95  # share of a batch from which on it counts as of one sector


def trace(seed: int, budget: int, quick: bool, agent: str, env: str) -> dict[str, Any]:
    """Train SPO on cyclic preferences as the arm of that name does, and follow its batches.

    Scores: `ties`, the share of comparisons that are ties; `all_tied`, of updates whose comparisons all are; `changes`,
    how often the most frequent sector of a batch changes; `longest`, the longest run of batches that have at least 95%
    of their paths in the same sector, as a share of training.
    """
    learner = agents.make(agent, env, seed=seed, device="cpu", env_kwargs={"kind": "cyclic"}, **SETTINGS)
    count, held = learner.config.num_envs, [np.zeros((0, 1))]
    ties, shares = [], []

    def follow(learner: Any, metrics: dict[str, float]) -> None:
        batch = learner.queue.features[-count:]
        before = held[0] if len(held[0]) else batch  # the first batch is compared with itself
        ties.append(float((learner.preference.win_probability(batch, before) == 0.5).mean()))
        shares.append(np.bincount(batch[:, 0].astype(int), minlength=3) / len(batch))
        held[0] = learner.queue.features

    learner.learn(budget, callback=follow)
    of_all, main = np.array(shares), np.argmax(shares, axis=1)
    changed = main[1:] != main[:-1]
    return {
        "scores": {
            "ties": float(np.mean(ties)),
            "all_tied": float(np.mean(np.array(ties) == 1)),
            "changes": float(changed.sum()),
            "longest": longest_stay(np.where(of_all.max(1) >= FULL, main, -1)) / len(main),
        }
    }


def longest_stay(sector: np.ndarray) -> int:
    """Return the length of the longest run of equal numbers, without those of -1."""
    longest = length = 0
    for k, now in enumerate(sector):
        length = 0 if now < 0 else length + 1 if k and now == sector[k - 1] else 1
        longest = max(longest, length)
    return longest


def soft_paths(
    seed: int, budget: int, quick: bool, agent: str, env: str, kind: str, temperature: float, offset: int
) -> dict[str, Any]:
    """Train SPO on soft actor-critic with the seed `seed + offset`; a temperature of 0 stands for a learned one."""
    learner = agents.make(
        agent,
        env,
        seed=seed + offset,
        device="cpu",
        env_kwargs={"kind": kind},
        temperature=temperature or None,
        **SOFT,
    )
    scores = {f"start_{name}": value for name, value in measure(learner, learner).items()}
    learner.learn(budget)
    scores |= measure(learner, learner)
    scores |= {f"last_{name}": value for name, value in measure(learner, learner.last_policy()).items()}
    return {"scores": scores}


def duel(seed: int, budget: int, quick: bool, pair: list[str], env: str, kind: str, offset: int) -> dict[str, Any]:
    """Train two agents with the seed `seed + offset`, and compare the paths of their last policies.

    Scores: `wins`, the probability that a path of the first beats one of the second; and of each `feasible`, the share
    of its paths that keep the rule, and `final_x`, their mean final x (-30, the edge of the plane, if none does).
    """
    scores, features = {}, []
    for agent in pair:
        learner = agents.make(agent, env, seed=seed + offset, device="cpu", env_kwargs={"kind": kind}, **SETTINGS)
        learner.learn(budget)
        last = learner.last_policy() if agent == "SPO" else learner
        seen = learner.preference.features(walk(last, env, kind))
        kept = seen[:, 0] == 0
        features.append(seen)
        scores[f"feasible {agent}"] = float(kept.mean())
        scores[f"final_x {agent}"] = float(seen[kept, 1].mean()) if kept.any() else -30.0
    return {"scores": {"wins": float(learner.preference.win_probability(*features).mean())} | scores}


def walk(policy: Any, env_id: str, kind: str) -> Trajectories:
    """Play one episode in each of `EPISODES` environments."""
    env = gym.make_vec(env_id, num_envs=EPISODES, kind=kind)
    observation, _ = env.reset(seed=0)
    rows = [(observation.copy(), None, None)]
    done = np.zeros(EPISODES, bool)
    while not done.all():
        action, _ = policy.predict(rows[-1][0], deterministic=False)
        observation, reward, done, _, info = env.step(action)
        ended = info.get("final_obs", observation) if done.any() else observation
        rows.append((np.array(ended), action, reward.copy()))
    env.close()
    places, actions, rewards = zip(*rows, strict=True)
    length = np.full(EPISODES, len(rows) - 1, np.int64)
    return Trajectories(np.stack(places), np.stack(actions[1:]), np.stack(rewards[1:]), length)
