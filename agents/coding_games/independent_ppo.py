"""IndependentPPO: sender and receiver trained independently from the reward, a baseline without couplings."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import numpy as np
from gymnasium import spaces

from envzoo.agents.actor_critic.ppo import PPO, PPOConfig
from envzoo.agents.agent import Agent, MaskedPredict, PredictArguments
from envzoo.agents.coding_games.views import PlayerView, find_definition
from envzoo.agents.source import Source, make_vector_env
from envzoo.agents.spec import Holds
from envzoo.coding_games.players import RECEIVER, SEES, SENDER
from envzoo.errors import EnvzooError, UnsupportedSpaceError

PLAYERS = (SENDER, RECEIVER)


@dataclass(frozen=True)
class IndependentPPOConfig(PPOConfig):
    """Hyperparameters of IndependentPPO: those of PPO for the sender, and the listener's deviations from them."""

    listener_encoder: Annotated[str, Holds("encoder")] = "gru"
    """Encoder of the listener (receiver), which observes one move at a time and therefore needs a memory."""
    listener_hidden: tuple[int, ...] = (64,)
    """Hidden layer sizes of the listener (the last one is the width of a memory)."""


class IndependentPPO(MaskedPredict, Agent):
    """Two independent PPO agents, a sender and a receiver, each of which treats the other as part of the environment.

    Each iteration trains the sender on one rollout with the receiver fixed, and then the receiver on another rollout
    with the sender fixed. Each player i minimises the PPO objective of its own policy on the shared reward,

        L_i = -E[min(rho_i A_i, clip(rho_i, 1 - eps, 1 + eps) A_i)] + c1 L_value - c2 E[H(pi_i)],

    see `PPO` (arXiv 1707.06347). Both rollouts count as timesteps. It learns in a coding game with a single block of
    messages, by its id or as a PettingZoo game.

    Metrics:
        Those of `PPO` for each player, prefixed by `sender/` or `receiver/`. Unprefixed rollout
            statistics are those of the receiver's rollout, the later of the two.
    """

    Config = IndependentPPOConfig
    config: IndependentPPOConfig

    def __init__(self, source: Source, config: IndependentPPOConfig, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        definition = find_definition(source, self.spec.name)
        if len(definition.rules.sizes) > 1:
            raise UnsupportedSpaceError(
                f"{self.spec.name} requires messages of one block, but those of {source.name} have "
                f"{len(definition.rules.sizes)} blocks; give one number of messages"
            )
        if source.kind == "environment" and not isinstance(source.action_space, spaces.MultiDiscrete):
            raise EnvzooError(
                f"{self.spec.name} plays both players, but {source.name} has its own receiver; give "
                "env_kwargs={'receiver': 'player'}"
            )
        from envzoo.agents.registry import agent_class

        ppo = agent_class("PPO")
        plain = {field.name: getattr(config, field.name) for field in fields(PPOConfig)}
        speaker = PPOConfig(**plain)
        listener = replace(speaker, encoder=config.listener_encoder, hidden=config.listener_hidden)
        self.players: dict[str, PPO] = {}
        views = {}
        for column, (player, settings) in enumerate(zip(PLAYERS, (speaker, listener), strict=True)):
            view = PlayerView(self._game(config.num_envs), SEES[player], column, SEES[PLAYERS[1 - column]])
            spaces_of = (view.single_observation_space, view.single_action_space)
            alone = Source("environment", f"{source.name} ({player})", None, *spaces_of, {}, view)
            views[player] = view
            self.players[player] = ppo(alone, settings, seed=self.streams.integer(player), device=device)
        for player, other in (PLAYERS, PLAYERS[::-1]):
            views[player].partner = self.players[other]
        for player, learner in self.players.items():
            self.register(player, learner)

    def _game(self, num_envs: int) -> Any:
        """Create the game's vector environment for two players, without a convention."""
        if self.source.kind == "game":
            if self.source.id is None:
                raise EnvzooError(
                    f"{self.spec.name} is trained in copies of the game, but {self.source.name} has no id for them"
                )
            env_id, given = GYMNASIUM_IDS[self.source.id], self.source.env_kwargs
        else:
            env_id, given = self.source.environment()
        given = {name: value for name, value in given.items() if name != "belief"}
        return make_vector_env(env_id, num_envs, given | {"receiver": "player", "convention": "none"})

    def iterate(self) -> dict[str, float]:
        """Train the sender and then the receiver on one rollout each; metrics are prefixed by the player."""
        metrics: dict[str, float] = {}
        for player, learner in self.players.items():
            learner.schedule_start, learner.target_timesteps = self.schedule_start // 2, self.target_timesteps // 2
            found = learner.iterate()
            learner.iteration += 1
            metrics |= {f"{player}/{name}": value for name, value in found.items()}
        self.num_timesteps = sum(learner.num_timesteps for learner in self.players.values())
        # Unprefixed rollout metrics are those of the receiver's rollout, the later of the two.
        shared = {name.removeprefix(f"{RECEIVER}/"): value for name, value in metrics.items() if "/rollout/" in name}
        return metrics | {name: value for name, value in shared.items() if name.startswith("rollout/")}

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        # States are dicts by player; the mask applies to the sender's moves.
        states, action_mask = dict(asked.state or {}), asked.action_mask
        answers = {}
        game = self.source.kind == "game"
        for player, learner in self.players.items():
            if game and player not in observation:
                continue
            seen = observation[player] if game else {key: observation[key] for key in SEES[player]}
            mask = action_mask.get(player) if isinstance(action_mask, dict) else action_mask
            mask = mask if player == SENDER else None
            answers[player], states[player] = learner.predict(
                seen, states.get(player), asked.episode_start, asked.deterministic, mask
            )
        if game:
            return answers, states
        return np.stack([answers[player] for player in PLAYERS], axis=-1), states


# PettingZoo ids of the games -> ids of their vector environments.
GYMNASIUM_IDS = {
    "envzoo/coding_grid_v0": "envzoo/CodingGrid-v0",
    "envzoo/coding_grid_small_v0": "envzoo/CodingGridSmall-v0",
    "envzoo/coding_cart_v0": "envzoo/CodingCart-v0",
}
