"""Adversarial Surprise (Fickinger et al., 2021, arXiv 2107.07394)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from envzoo.agents.actor_critic.ppo import PPO, PPOConfig
from envzoo.agents.agent import MaskedPredict, PredictArguments
from envzoo.agents.loops.on_policy import Rollout
from envzoo.agents.networks.encoders import is_recurrent
from envzoo.agents.networks.manual_gradients import ClosedFormPolicy
from envzoo.agents.networks.policy import Policy
from envzoo.agents.optim import make_optimizer
from envzoo.agents.schedules import first_rate
from envzoo.agents.spec import require
from envzoo.agents.surprise.two_player_policy import TwoPlayerPolicy
from envzoo.errors import unknown
from envzoo.wrappers.adversarial_rounds import VectorAdversarialRounds
from envzoo.wrappers.return_normalizer import VectorReturnNormalizer
from envzoo.wrappers.round_switcher import CONTROL, EXPLORE, PLAYERS, check_rounds


@dataclass(frozen=True)
class AdversarialSurpriseConfig(PPOConfig):
    """Hyperparameters of AdversarialSurprise; defaults are those of the paper's MiniGrid experiments."""

    rounds: int = 4
    """Number of rounds per episode (R); the players alternate."""
    round_length: int | None = None
    """Steps per round (L); None divides the environment's time limit evenly. The paper uses 32."""
    explore_first: bool = True
    """Whether Explore plays the first round; the number of rounds must then be even."""
    warm_up: float = 0.5
    """Fraction w of each of Control's rounds in which steps are not scored, in [0, 1), rounded up to whole steps."""
    density: str = "auto"
    """Density model of observations: auto, categorical, bernoulli or gaussian."""
    memory: Literal["episode", "round", "lifetime"] = "episode"
    """When the density model is reset: each episode, each round of Control, or never (lifetime)."""
    num_envs: int = 64
    """Number of parallel environments, each of which plays one episode per rollout; the paper's code plays 4 in each of
    16."""
    num_epochs: int = 4
    """Number of epochs per rollout, for each player."""
    learning_rate: float = 3e-4
    """Adam's learning rate of both players."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    entropy_coefficient: float = 0.01
    """Coefficient of the entropy bonus (nats) of both players."""
    normalize_advantage: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_rounds(self.rounds, self.explore_first, self.warm_up)
        require(
            not is_recurrent(self.encoder),
            f"encoder of AdversarialSurprise must be memoryless (auto, mlp, cnn or symbols), got {self.encoder!r}",
        )


class AdversarialSurprise(PPO):
    """Adversarial Surprise: Explore maximises and Control minimises the surprise of Control's observations.

        max_{pi_E} min_{pi_C} E[-sum_{t scored} log p_theta(o_t)]

    The players alternate in rounds of one episode. Control's reward is log p_theta(o_t) in its scored steps (see
    `AdversarialRounds`), divided by the standard deviation of the discounted returns over all steps. In the last step
    of its round, Explore receives minus the sum of Control's rewards in the following round. If Explore plays first,
    every round of Control follows one of Explore, and the rewards of both players sum to 0 in every episode, up to
    rounding. If Control plays first, they do not: its first round has no counterpart, and an Explore round at the end
    of an episode has no reward.

    Each iteration plays one whole episode per environment, and each player is then trained by PPO on its own steps,
    concatenated. The environment's reward is not used. Source: Fickinger et al. (2021, arXiv 2107.07394).

    Metrics:
        Those of `PPO` for each player, prefixed by `explore/` or `control/`, and:
        game/explore_reward, game/control_reward: mean sum of the player's normalised rewards per episode.
    """

    Config = AdversarialSurpriseConfig
    config: AdversarialSurpriseConfig

    @property
    def num_steps(self) -> None:
        """None, for whole episodes: Explore's reward is known only after Control's round."""
        return None

    def wrappers(self) -> list[tuple[type, dict[str, Any]]]:
        """Return the wrappers: the game, and the normalisation of its rewards."""
        c = self.config
        game = {name: getattr(c, name) for name in ("rounds", "explore_first", "warm_up", "density", "memory")}
        if c.round_length is not None:
            game["round_length"] = c.round_length
        return [(VectorAdversarialRounds, game), (VectorReturnNormalizer, {"gamma": c.gamma})]

    def build_policy(self) -> TwoPlayerPolicy:
        """Create one actor-critic per player."""
        explore, control = super().build_policy(), super().build_policy()
        return TwoPlayerPolicy(explore, control, self._player_column())

    def _player_column(self) -> int:
        """Return the column of the player in packed observations."""
        for path, part in zip(self.codec.paths, self.codec.parts, strict=True):
            if path == ("turn",):
                return part.stop - 1
        return self.follower.codec.packed_dim + 1  # a vector of floats, followed by the time and the player

    def build(self) -> None:
        """Create one optimizer per player."""
        c = self.config
        self.closed_forms = [
            ClosedFormPolicy(mind) if ClosedFormPolicy.fits(mind) else None for mind in self.policy.minds
        ]
        self.optimizers = [
            self.register(
                f"optimizer_{player}",
                make_optimizer(
                    mind, c.optimizer, lr=first_rate(c.learning_rate), eps=1e-5, max_grad_norm=c.max_grad_norm
                ),
            )
            for player, mind in zip(PLAYERS, self.policy.minds, strict=True)
        ]

    def as_player(self, player: str) -> OnePlayer:
        """Return an agent that plays "explore" or "control" in all rounds, with this agent's networks.

        Raises:
            UnknownNameError: No such player.
        """
        if player not in PLAYERS:
            raise unknown("player", player, PLAYERS)
        return OnePlayer(self, PLAYERS.index(player))

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Update Explore, then Control, by PPO, each on its own steps."""
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
        self.policy: Policy | TwoPlayerPolicy = both.minds[number]
        self.optimizer, self.closed_form = self.optimizers[number], self.closed_forms[number]
        try:
            yield
        finally:
            self.policy = both

    def split(self, rollout: Rollout) -> tuple[Rollout, Rollout]:
        """Split a rollout into the steps of Explore and those of Control, each with the player's rewards."""
        turns = self.follower.trackers(1)[0].turns
        steps = np.arange(len(rollout.reward))  # all episodes start with the rollout
        rounds = steps // turns.round_length
        player = (rounds + turns.first) % 2
        reward = np.where(rollout.valid, rollout.reward, np.float32(0))
        rewards = [explore_rewards(reward, rollout.valid, rounds, player), reward]
        return tuple(own_steps(rollout, rewards[number], player == number) for number in (EXPLORE, CONTROL))


class OnePlayer(MaskedPredict):
    """One player of the game alone, with the interface that `envzoo.agents.evaluation.evaluate` requires.

    Rounds and densities continue as in the game.
    """

    def __init__(self, agent: AdversarialSurprise, number: int):
        self.agent, self.number, self.source, self.spec = agent, number, agent.source, agent.spec

    def set_env(self, env: Any) -> None:
        """Do nothing: the player does not look ahead."""

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        self.agent.policy.only = self.number
        try:
            return self.agent.predict(observation, *asked)
        finally:
            self.agent.policy.only = None


def explore_rewards(reward: np.ndarray, valid: np.ndarray, rounds: np.ndarray, player: np.ndarray) -> np.ndarray:
    """Compute Explore's rewards: in the last step of a round, minus Control's sum in the following round.

    Args:
        reward: (T, B) Control's rewards.
        valid: (T, B) bool, valid steps.
        rounds: (T,) round numbers.
        player: (T,) 0 for Explore, 1 for Control.

    Returns:
        (T, B) float32; 0 where the episode ended before Control's round.
    """
    result = np.zeros_like(reward)
    for number in np.unique(rounds[player == EXPLORE]):
        following = np.flatnonzero(rounds == number + 1)
        if len(following):
            last = np.flatnonzero(rounds == number)[-1]
            result[last] = np.where(valid[following[0]], -reward[following].sum(axis=0), np.float32(0))
    return result


def own_steps(rollout: Rollout, reward: np.ndarray, mine: np.ndarray) -> Rollout:
    """Concatenate the steps of one player; the next value of a step is the value of the player's next own step.

    Args:
        rollout: Whole episodes.
        reward: (T, B) the player's rewards.
        mine: (T,) bool, the player's steps.
    """
    rows = np.flatnonzero(mine)
    index = torch.from_numpy(rows).to(rollout.action.device)
    valid, value = rollout.valid[rows], rollout.value[rows]
    # The player's last valid step of an episode is terminal: the game ends there, so no value is bootstrapped.
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
