"""SPO on a table: Hedge against itself in a game of preferences, with the mixture of its policies as the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.agents.agent import Agent
from envzoo.agents.preference.minimax import exploitability, hedge_rate
from envzoo.agents.preference.trajectories import preference_of
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError
from envzoo.preference.preferences import MatrixPreference

ROUNDS = 100  # per iteration


@dataclass(frozen=True)
class SPOHedgeConfig:
    """Hyperparameters of SPOHedge."""

    rate: float | None = None
    """Step size of Hedge; None for sqrt(8 ln K / T), with T the rounds of the budget."""

    def __post_init__(self):
        require(self.rate is None or self.rate > 0, f"rate of SPOHedge is positive, got {self.rate}")


class SPOHedge(Agent):
    """Self-play by Hedge over K arms that are compared in pairs.

    In each round t, with W[i, j] the probability that arm i beats arm j,

        pi_(t+1)(i) ~ pi_t(i) exp(eta sum_j W[i, j] pi_t(j)),

    and the returned policy is the mean of pi_1, ..., pi_T. No arm beats it with probability above
    1/2 + sqrt(ln K / (2 T)). A timestep is a round; the game is known, as in the theory. The environment is one of a
    single action whose preference function is a game, such as `envzoo/PrefBandit-v0`.

    Source: Swamy et al. 2024 (arXiv 2401.04056), algorithm 1 with Hedge; Freund and Schapire 1999 for the bound.

    Metrics:
        hedge/exploitability: Probability above 1/2 with which the best arm beats the mixture.
        hedge/last_exploitability: The same for the last policy, which need not fall.
    """

    Config = SPOHedgeConfig
    config: SPOHedgeConfig

    def __init__(self, source: Source, config: SPOHedgeConfig, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        preference = preference_of(source, "environment")
        if not isinstance(preference, MatrixPreference) or not isinstance(source.action_space, spaces.Discrete):
            raise UnsupportedSpaceError(
                f"{self.spec.name} plays a game of arms, but {source.name} compares episodes in another way; expected "
                "an environment such as envzoo/PrefBandit-v0"
            )
        self.win = preference.win
        self.table = self.register("policy", HedgeTable(len(self.win)))

    def iterate(self) -> dict[str, float]:
        """Play up to 100 rounds."""
        table, budget = self.table, self.target_timesteps - self.schedule_start
        rate = self.config.rate or hedge_rate(len(self.win), budget)
        for _ in range(min(ROUNDS, self.target_timesteps - self.num_timesteps)):
            policy = table.last()
            table.total += policy
            table.log_weight += rate * (self.win @ policy)
            table.log_weight -= table.log_weight.max()
            table.rounds += 1
            self.num_timesteps += 1
        game = 2 * self.win - 1
        return {
            "hedge/exploitability": exploitability(game, self.mixture()) / 2,
            "hedge/last_exploitability": exploitability(game, table.last()) / 2,
        }

    def mixture(self) -> np.ndarray:
        """Return the mean of all policies, (K,); the uniform policy before the first round."""
        table = self.table
        return table.total / table.total.sum() if table.rounds else table.last()

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Draw arms from the mixture, or its most frequent arm with `deterministic`; see `Agent.predict`."""
        asked, policy = np.asarray(observation), self.mixture()
        if deterministic:
            chosen = np.full(asked.shape, policy.argmax())
        else:
            chosen = self.streams.numpy("acting").choice(len(policy), size=asked.shape, p=policy)
        chosen = np.asarray(chosen, np.int64) + int(self.source.action_space.start)
        return (chosen if asked.ndim else chosen[()]), state


class HedgeTable:
    """The weights of Hedge over K arms, and the sum of its policies so far."""

    def __init__(self, arms: int):
        self.log_weight, self.total, self.rounds = np.zeros(arms), np.zeros(arms), 0

    def last(self) -> np.ndarray:
        """Return the present policy."""
        weight = np.exp(self.log_weight - self.log_weight.max())
        return weight / weight.sum()

    def state_dict(self) -> dict[str, Any]:
        """Return weights and sum."""
        return {"log_weight": self.log_weight, "total": self.total, "rounds": self.rounds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over weights and sum."""
        weight, total = (np.array(state[name], np.float64) for name in ("log_weight", "total"))
        if weight.shape != self.log_weight.shape or total.shape != weight.shape or (total < 0).any():
            raise ValueError(f"the table has the shapes {weight.shape} and {total.shape}")
        self.log_weight, self.total, self.rounds = weight, total, int(state["rounds"])
