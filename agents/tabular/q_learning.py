"""Q-learning (Watkins and Dayan, 1992)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.spec import require
from envzoo.agents.tabular.learning import TabularAgent, TabularConfig, pick_best


@dataclass(frozen=True)
class QLearningConfig(TabularConfig):
    """Hyperparameters of QLearning and SARSA."""

    gamma: float = 0.99
    """Discount."""
    learning_rate: float = 0.1
    """Step size; with `rate_decay` that of the first visit."""
    rate_decay: float = 0.0
    """Exponent w of the step size learning_rate / n^w at the n-th visit of a state and action; 0 is constant, values
    in (0.5, 1] satisfy the conditions of convergence."""
    epsilon: float = 0.1
    """Probability of a uniformly random action."""
    final_epsilon: float | None = None
    """Probability at the end of the budget, reached linearly; None keeps it constant."""
    initial_value: float = 0.0
    """First value of all entries; large ones make the agent try everything."""

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.gamma <= 1, f"gamma lies in [0, 1], got {self.gamma}")
        require(0 < self.learning_rate <= 1, f"learning_rate lies in (0, 1], got {self.learning_rate}")
        require(0 <= self.rate_decay <= 1, f"rate_decay lies in [0, 1], got {self.rate_decay}")
        for name in ("epsilon", "final_epsilon"):
            value = getattr(self, name)
            require(value is None or 0 <= value <= 1, f"{name} lies in [0, 1], got {value}")


class QLearning(TabularAgent):
    """Q-learning with an epsilon-greedy policy.

        Q(s, a) <- Q(s, a) + rate * (r + gamma max_b Q(s', b) - Q(s, a))                              (1)

    The maximum counts 0 after termination, but not at a time limit. Ties of the greedy action are broken at random
    while learning. Source: Watkins and Dayan, "Q-learning", Machine Learning 8, 1992.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/td_error: mean absolute temporal-difference error of the last step.
        learner/epsilon: present probability of a random action.
    """

    Config = QLearningConfig
    config: QLearningConfig

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return action values, and the visits that the step size depends on."""
        shape = (runs, self.states, self.actions)
        return {"q": np.full(shape, float(self.config.initial_value)), "visits": np.zeros(shape, np.int64)}

    def epsilon(self) -> float:
        """Return the present probability of a random action."""
        c = self.config
        if c.final_epsilon is None:
            return c.epsilon
        return c.epsilon + (c.final_epsilon - c.epsilon) * self.progress()

    def act(self, states: np.ndarray) -> np.ndarray:
        """Act epsilon-greedily."""
        runs = np.arange(self.num_runs)
        return self._explore(self.policy.q[runs, states], self.streams.numpy("actions"), self.epsilon())

    def _explore(self, values: np.ndarray, generator: np.random.Generator, epsilon: float) -> np.ndarray:
        greedy = pick_best(values, generator)
        uniform = generator.integers(values.shape[1], size=len(values))
        return np.where(generator.random(len(values)) < epsilon, uniform, greedy)

    def target_values(self, following: np.ndarray) -> np.ndarray:
        """Return the values (R,) of the next states."""
        return self.policy.q[np.arange(self.num_runs), following].max(axis=1)

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Apply equation (1)."""
        after = np.where(step.terminated, 0.0, self.target_values(following))
        self._update(states, chosen, step.reward + self.config.gamma * after, step.valid)

    def _update(self, states: np.ndarray, chosen: np.ndarray, target: np.ndarray, valid: np.ndarray) -> None:
        p, at = self.policy, (np.flatnonzero(valid), states[valid], chosen[valid])
        p.visits[at] += 1
        rate = self.config.learning_rate / p.visits[at] ** self.config.rate_decay
        error = target[valid] - p.q[at]
        p.q[at] += rate * error
        self.td_error = float(np.abs(error).mean()) if valid.any() else 0.0

    def metrics(self) -> dict[str, float]:
        """Report the last error and epsilon."""
        return {"learner/td_error": self.td_error, "learner/epsilon": self.epsilon()}

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Act greedily, or as in learning."""
        values = self.policy.q[runs, states]
        if deterministic:
            return pick_best(values, None)
        return self._explore(values, self.streams.numpy("predict"), self.epsilon())
