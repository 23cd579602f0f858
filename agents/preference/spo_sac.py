"""Self-play preference optimisation with soft actor-critic, the base that the paper uses for control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.actor_critic.sac import SAC, SACConfig
from envzoo.agents.loops.acting import choose_actions
from envzoo.agents.loops.experience import Step
from envzoo.agents.preference.mixture import LastPolicy, PolicyMixture
from envzoo.agents.preference.trajectories import FeatureQueue, preference_of
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.preference.preferences import Trajectories


@dataclass(frozen=True)
class SPOSACConfig(SACConfig):
    """Hyperparameters of SPOSAC; those of SAC where they are not its own."""

    preference: Literal["environment", "max"] = "environment"
    """environment: the environment's preference function, if it has one, and otherwise the larger return; max: the
    larger return."""
    labels: Literal["exact", "sampled"] = "exact"
    """exact: the probability of winning of each pair; sampled: one random label per pair."""
    queue: int = 10
    """Past episodes with which a new one is compared; more for noisy preferences."""
    placement: Literal["steps", "last"] = "steps"
    """steps: equal parts of the score on all steps (the paper); last: all of it on the last step, for episodes of
    different lengths."""
    mixture: int = 32
    """Number of past policies that the returned policy mixes, spread evenly over training; 1 returns the last policy
    alone."""
    buffer_size: int = 20_000
    """Transitions the replay buffer keeps. It is short, because scores are relative to the queue of their time."""
    gamma: float = 1.0
    """Discount factor."""

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__.removesuffix("Config")
        for field in ("queue", "mixture"):
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")


class SPOSAC(SAC):
    """Self-play from comparisons of whole episodes, as `SPO`, with soft actor-critic in place of PPO.

    The transitions of an episode enter the replay buffer when it has ended, with the rewards

        s(xi) = mean over q in queue of P(xi beats q),    r_h = s(xi) / H on each of its H steps,

    and with a termination at its end. Then the episode joins the queue. The first episode is compared with itself.
    Updates are those of `SAC`. `predict` draws one of `mixture` past policies for each episode; `last_policy` gives
    the last one alone.

    Source: Swamy et al. 2024 (arXiv 2401.04056), algorithm 2.

    Metrics:
        preference/score: Mean score of the episodes that ended in this iteration, if any did.
        And those of SAC.
    """

    Config = SPOSACConfig
    config: SPOSACConfig

    def __init__(self, source: Source, config: SPOSACConfig, **keywords: Any):
        self.preference = preference_of(source, config.preference)
        super().__init__(source, config, **keywords)

    def build_storage(self) -> None:
        """Create the queue, the running episodes and the mixture."""
        c = self.config
        self.queue = self.register("queue", FeatureQueue(c.queue))
        self.running = self.register("running", RunningTransitions(self.experience.num_envs))
        self.mixture = self.register("mixture", PolicyMixture(self.actor, c.mixture))
        self._scores: list[float] = []

    def store(self, observation: np.ndarray, action: np.ndarray, start: np.ndarray, step: Step) -> int:
        """Remember the transitions of one step, and score and store the episodes that it ends."""
        for i in np.flatnonzero(step.valid):
            if start[i]:  # after a resume that had to begin new episodes, too
                self.running.rows[i] = []
            row = observation[i], action[i], step.reward[i], step.next_observation[i]
            self.running.rows[i].append(tuple(np.array(part) for part in row))
            if step.done[i]:
                self._finish(self.running.rows[i])
                self.running.rows[i] = []
        return int(step.valid.sum())

    def _finish(self, rows: list[tuple[np.ndarray, ...]]) -> None:
        seen, acted, earned, after = (np.stack(column) for column in zip(*rows, strict=True))
        length = len(rows)
        whole = np.concatenate([seen, after[-1:]])[:, None]
        features = self.preference.features(
            Trajectories(whole, acted[:, None], earned[:, None], np.array([length], np.int64))
        )
        if not len(self.queue):
            self.queue.push(features)
        win = self.preference.win_probability(features, self.queue.features)
        if self.config.labels == "sampled":
            win = (self.streams.numpy("labels").random(win.shape) < win).astype(np.float64)
        score = float(win.mean())
        self.queue.push(features)
        self._scores.append(score)
        last = np.arange(length) == length - 1
        reward = np.where(last, score, 0.0) if self.config.placement == "last" else np.full(length, score / length)
        self.buffer.add(seen, acted, reward.astype(np.float32), last, after)

    def iterate(self) -> dict[str, float]:
        """Act and learn; before the first episode has ended there is nothing to learn from, and actions are random."""
        self._scores = []
        while not len(self.buffer):
            self.num_timesteps += self._step(None)
        metrics = super().iterate() if self.num_timesteps < self.target_timesteps else self.experience.pop_metrics()
        self.mixture.add(self.actor)
        if self._scores:
            metrics["preference/score"] = float(np.mean(self._scores))
        return metrics

    def last_policy(self) -> Any:
        """Return an object with `predict` that acts by the last policy alone."""
        return LastPolicy(self, SPOSAC)

    @torch.no_grad()
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
        action_mask: np.ndarray | None = None,
    ) -> tuple[Any, Any]:
        """Choose actions by a past policy that is drawn for each episode; see `SPO.predict`."""
        if len(self.mixture) < 2:
            return super().predict(observation, None, episode_start, deterministic, action_mask)
        drawn = self.mixture.draw(self, observation, state, episode_start, deterministic)
        generator = self.streams.torch("predict")

        def act(x: Tensor) -> Tensor:
            return self.mixture.act(x, drawn, lambda actor, rows: actor.act(rows, generator, deterministic))

        return choose_actions(self, observation, act, action_mask), drawn


class RunningTransitions:
    """The transitions of the running episode of each environment.

    Args:
        count: Number of environments.

    Attributes:
        rows: For each environment a list of observations, actions, rewards and next observations.
    """

    def __init__(self, count: int):
        self.rows: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(count)]

    def state_dict(self) -> dict[str, Any]:
        """Return the transitions as arrays."""
        found: dict[str, Any] = {"lengths": np.array([len(rows) for rows in self.rows], np.int64)}
        flat = [row for rows in self.rows for row in rows]
        for k, name in enumerate(("observation", "action", "reward", "next_observation")):
            found[name] = np.stack([row[k] for row in flat]) if flat else np.zeros(0)
        return found

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over transitions."""
        lengths = np.array(state["lengths"], np.int64)
        columns = [np.array(state[name]) for name in ("observation", "action", "reward", "next_observation")]
        if lengths.shape != (len(self.rows),) or (lengths < 0).any() or len({len(column) for column in columns}) != 1:
            raise ValueError("the running episodes do not fit together")
        if len(columns[0]) != lengths.sum():
            raise ValueError(f"the running episodes have {len(columns[0])} transitions, expected {lengths.sum()}")
        ends = np.cumsum(lengths)
        self.rows = [
            [tuple(np.array(column[k]) for column in columns) for k in range(end - length, end)]
            for end, length in zip(ends, lengths, strict=True)
        ]
