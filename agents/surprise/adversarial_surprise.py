"""Adversarial Surprise (Fickinger et al., 2021, arXiv 2107.07394)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from envzoo.agents.actor_critic.ppo import PPO, PPOConfig
from envzoo.agents.loops.on_policy import Rollout
from envzoo.agents.networks.manual_gradients import ClosedFormPolicy
from envzoo.agents.networks.policy import Policy
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require
from envzoo.agents.surprise.two_player_policy import TwoMinds
from envzoo.errors import unknown
from envzoo.wrappers.adversarial_rounds import VectorAdversarialRounds
from envzoo.wrappers.return_normalizer import VectorReturnNormalizer
from envzoo.wrappers.round_switcher import CONTROL, EXPLORE, PLAYERS, check_rounds


@dataclass(frozen=True)
class AdversarialSurpriseConfig(PPOConfig):
    """Hyperparameters of AdversarialSurprise; defaults are those of the paper's MiniGrid experiments."""

    rounds: int = 4
    """Rounds of an episode (R), taken in turns."""
    round_length: int | None = None
    """Steps of a round (L); None divides the environment's time limit evenly. The paper takes 32."""
    explore_first: bool = True
    """Whether Explore has the first round; the number of rounds must be even then."""
    warm_up: float = 0.5
    """Share of each of Control's rounds in which nothing is scored (w), in [0, 1), rounded up to whole steps."""
    density: str = "auto"
    """Density model of observations: auto, categorical, bernoulli or gaussian."""
    memory: Literal["episode", "round", "lifetime"] = "episode"
    """When the density model forgets: with each episode, with each round of Control, or never."""
    num_envs: int = 64
    """Episodes of a rollout, played side by side; the paper's code plays 4 in each of 16 environments."""
    num_epochs: int = 4
    """Passes over a rollout, for each player."""
    learning_rate: float = 3e-4
    """Adam's learning rate, of both players."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    """What falls linearly to zero over the budget: nothing, the learning rate, or it and the clip range."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus in nats, of both players."""
    normalize_advantage: bool = False
    """Give the advantages of each minibatch mean 0 and standard deviation 1."""

    def __post_init__(self):
        super().__post_init__()
        check_rounds(self.rounds, self.explore_first, self.warm_up)
        require(
            self.encoder != "gru",
            "encoder of AdversarialSurprise is one without memory (auto, mlp, cnn or symbols), got 'gru'",
        )


class AdversarialSurprise(PPO):
    """Two actor-critics in one body: Control is paid for being unsurprised, Explore for Control's surprise.

    Every iteration plays one whole episode in each environment. Control's reward is log p(o) in its scored steps
    (see `AdversarialRounds`), divided by the standard deviation of discounted returns over all steps. Explore gets,
    with its last step of a round, minus the sum of Control's rewards in the round that follows. With Explore first
    every round of Control follows one of Explore, so that the rewards of both players add up to 0 in every episode, but
    for rounding. With Control first they do not: its first round is paid by nobody, and an Explore round that ends an
    episode pays nothing. Each player learns by PPO from its own steps, put end to end. The environment's reward is not
    used.
    """

    Config = AdversarialSurpriseConfig
    config: AdversarialSurpriseConfig

    @property
    def num_steps(self) -> None:
        """Whole episodes: Explore's reward is known only once Control has played."""
        return None

    def wrappers(self) -> list[tuple[type, dict[str, Any]]]:
        """The game, and its normalised rewards."""
        c = self.config
        game = {name: getattr(c, name) for name in ("rounds", "explore_first", "warm_up", "density", "memory")}
        if c.round_length is not None:
            game["round_length"] = c.round_length
        return [(VectorAdversarialRounds, game), (VectorReturnNormalizer, {"gamma": c.gamma})]

    def build_policy(self) -> TwoMinds:
        """An actor-critic for each player."""
        explore, control = super().build_policy(), super().build_policy()
        return TwoMinds(explore, control, self._player_column())

    def _player_column(self) -> int:
        """Where the player stands in packed observations."""
        for path, part in zip(self.codec.paths, self.codec.parts, strict=True):
            if path == ("turn",):
                return part.stop - 1
        return self.follower.codec.packed_dim + 1  # a vector of floats, longer by the clock and the player

    def build(self) -> None:
        """An optimizer for each player."""
        c = self.config
        self.closed_forms = [
            ClosedFormPolicy(mind) if ClosedFormPolicy.fits(mind) else None for mind in self.policy.minds
        ]
        self.optimizers = [
            self.register(
                f"optimizer_{player}",
                make_optimizer(mind, c.optimizer, lr=c.learning_rate, eps=1e-5, max_grad_norm=c.max_grad_norm),
            )
            for player, mind in zip(PLAYERS, self.policy.minds, strict=True)
        ]

    def as_player(self, player: str) -> OnePlayer:
        """What acts when one player, "explore" or "control", has the body to itself; shares the agent's networks.

        Raises:
            UnknownNameError: No such player.
        """
        if player not in PLAYERS:
            raise unknown("player", player, PLAYERS)
        return OnePlayer(self, PLAYERS.index(player))

    def update(self, rollout: Rollout) -> dict[str, float]:
        """PPO for Explore, then for Control, each on its own steps."""
        metrics: dict[str, float] = {}
        for number, part in enumerate(self.split(rollout)):
            if not part.valid.any():  # the episodes ended before this player's turn
                continue
            with self._as_player(number):
                found = super().update(part)
            metrics |= {f"{PLAYERS[number]}/{name}": value for name, value in found.items()}
            total = part.reward[part.valid].sum() / part.reward.shape[1]
            metrics[f"game/{PLAYERS[number]}_reward"] = float(total)
        return metrics

    @contextmanager
    def _as_player(self, number: int) -> Iterator[None]:
        both = self.policy
        self.policy: Policy | TwoMinds = both.minds[number]
        self.optimizer, self.closed_form = self.optimizers[number], self.closed_forms[number]
        try:
            yield
        finally:
            self.policy = both

    def split(self, rollout: Rollout) -> tuple[Rollout, Rollout]:
        """The steps of Explore and those of Control, with their rewards, as rollouts of their own."""
        turns = self.follower.trackers(1)[0].turns
        steps = np.arange(len(rollout.reward))  # all episodes began with the rollout
        rounds = steps // turns.round_length
        player = (rounds + turns.first) % 2
        reward = np.where(rollout.valid, rollout.reward, np.float32(0))
        rewards = [explore_rewards(reward, rollout.valid, rounds, player), reward]
        return tuple(own_steps(rollout, rewards[number], player == number) for number in (EXPLORE, CONTROL))


class OnePlayer:
    """One player of the game alone, with what `envzoo.agents.evaluation.evaluate` asks of an agent."""

    def __init__(self, agent: AdversarialSurprise, number: int):
        self.agent, self.number, self.source, self.spec = agent, number, agent.source, agent.spec

    def set_env(self, env: Any) -> None:
        """Nothing to look at."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
        action_mask: np.ndarray | None = None,
    ) -> tuple[Any, Any]:
        """As `Agent.predict`; turns and densities go on as in the game."""
        self.agent.policy.only = self.number
        try:
            return self.agent.predict(observation, state, episode_start, deterministic, action_mask)
        finally:
            self.agent.policy.only = None


def explore_rewards(reward: np.ndarray, valid: np.ndarray, rounds: np.ndarray, player: np.ndarray) -> np.ndarray:
    """Explore's rewards: in its last step of a round, minus the sum of Control's in the round that follows.

    Args:
        reward: (T, B) of Control.
        valid: (T, B) bool, the step counts.
        rounds: (T,) number of the round.
        player: (T,) 0 Explore, 1 Control.

    Returns:
        (T, B) float32. Where an episode ended before Control's round, nothing.
    """
    result = np.zeros_like(reward)
    for number in np.unique(rounds[player == EXPLORE]):
        following = np.flatnonzero(rounds == number + 1)
        if len(following):
            last = np.flatnonzero(rounds == number)[-1]
            result[last] = np.where(valid[following[0]], -reward[following].sum(axis=0), np.float32(0))
    return result


def own_steps(rollout: Rollout, reward: np.ndarray, mine: np.ndarray) -> Rollout:
    """The steps of one player end to end; the value of a step's successor is that of the player's next own step.

    Args:
        rollout: Whole episodes.
        reward: (T, B).
        mine: (T,) bool, the steps of the player.
    """
    rows = np.flatnonzero(mine)
    index = torch.from_numpy(rows).to(rollout.action.device)
    valid, value = rollout.valid[rows], rollout.value[rows]
    # The player's last step of an episode: no later one counts. The game is over there, so nothing is bootstrapped.
    last = valid & ~(np.cumsum(valid[::-1], axis=0)[::-1] > valid)
    next_value = np.zeros_like(value)
    next_value[:-1] = value[1:]
    return replace(
        rollout,
        observation=rollout.observation[index],
        action=rollout.action[index],
        log_prob=rollout.log_prob[index],
        value=value,
        next_value=next_value,
        reward=reward[rows],
        terminated=last,
        done=last,
        start=rollout.start[rows],
        valid=valid,
    )
