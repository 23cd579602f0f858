"""Base class of the coupling agents: carrier policy, beliefs over messages, and the steps of sender and receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envzoo.agents.agent import Agent
from envzoo.agents.carried import CarriedAgent, revive_carried
from envzoo.agents.coding_games.carriers import AgentCarrier, FormulaCarrier, TableCarrier
from envzoo.agents.coding_games.play import guesses, hide, listen
from envzoo.agents.coding_games.views import MessageBlind, find_definition
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.source import Source, make_vector_env
from envzoo.agents.spec import Holds, require
from envzoo.coding_games import coupling_kernels as couplings
from envzoo.coding_games.carrier import carrier_policy
from envzoo.coding_games.messages import COUPLING
from envzoo.coding_games.players import RECEIVER, SENDER
from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError

# Keyword arguments of games that have no effect on an agent that ignores the message.
ABOUT_MESSAGES = ("num_messages", "message_priority", "prior", "rate", "encoder", "receiver", "convention", "belief")
CARRIER_ENVS = 8  # num_envs of a carrier's training if its own hyperparameters have no such field


@dataclass(frozen=True)
class CouplingConfig:
    """Hyperparameters common to the coupling agents."""

    temperature: float | None = None
    """Temperature of the carrier, the maximum-entropy policy of a finite game; None for the game's own carrier."""
    official_carrier: bool = False
    """Compute the carrier of that temperature as the released code does: 100 backups, with entropy earned in terminal
    states; otherwise backups run to convergence without that entropy. The game has the same keyword for its own
    carrier."""
    carrier: Annotated[str, Holds("agent", words=("planner",), part="carrier_agent")] = "planner"
    """Carrier policy, which ignores the message: "planner" (the game's carrier or the maximum-entropy policy), the name
    of an agent that `learn` trains for it ("PPO"), or the file of a trained agent, which is copied into this agent's
    file. Its policy must be stochastic and discrete."""
    carrier_env: Annotated[str | None, Holds("environment")] = None
    """Environment in which a carrier given by name is trained; None for the game without the message."""

    def __post_init__(self):
        require(
            self.temperature is None or self.temperature >= 0, f"temperature is not negative, got {self.temperature}"
        )
        require(
            self.temperature is None or self.carrier == "planner",
            f"temperature applies only to the carrier 'planner', not to {self.carrier!r}",
        )
        require(
            self.temperature is not None or not self.official_carrier,
            "official_carrier applies only with a temperature, which is None; set official_carrier of the game, or "
            "give a temperature",
        )
        require(self.carrier != "", "carrier is 'planner', the name of an agent, or a file, got ''")


class CodingState(NamedTuple):
    """State of a player between calls of `predict`.

    Attributes:
        belief: (B, N) beliefs over the blocks of the message, concatenated.
        memory: Memory of the carrier, or None.
    """

    belief: np.ndarray
    memory: Any


class CouplingAgent(Agent):
    """Base class: encode a message in the actions of a carrier policy by coupling them with the receiver's belief.

    At each step the belief b over messages (or its code T) and the carrier's action distribution pi(.|s) are coupled
    with small joint entropy, J(t, a) with marginals b and pi. The sender samples a ~ J(.|t) for its message; sender and
    receiver then update the belief by Bayes' rule, b'(m) proportional to b(m) J(a|m).

    The agent plays the sender alone, both players of the vector environment (`receiver="player"`), or both players of a
    PettingZoo game, where `predict` takes and returns dicts by player and each player uses only its own observations.
    The belief is part of the state that `predict` returns.

    Averaged over messages, sampled actions have exactly the carrier's distribution. With `deterministic` the most
    likely action for the message is taken, and this property is lost.

    Metrics:
        Those of the agent that is trained as carrier, if any.

    Attributes:
        largest_gap: Largest absolute difference so far between the carrier's action probabilities and their average
            over messages, over all steps and actions.
    """

    Config = CouplingConfig
    config: CouplingConfig
    split_message: tuple[int, ...] = ()  # sizes of the blocks into which a message is split

    def __init__(
        self,
        source: Source,
        config: Any,
        *,
        seed: int = 0,
        device: str = "auto",
        carrier_agent: CarriedAgent | None = None,
    ):
        super().__init__(source, config, seed=seed, device=device)
        self.definition = find_definition(source, self.spec.name)
        self.messages = self.definition.parameters.messages
        shown = self.definition.observation_space
        self.states = shown["state"]
        action = self.definition.action_space
        self.num_actions = int(action.n if isinstance(action, spaces.Discrete) else action.nvec[0])
        self.sizes, self.prior = self.blocks()
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self.encoder, rate = self.code()
        parts = [self.prior[a:b] for a, b in zip(self.offsets, self.offsets[1:], strict=False)]
        # A rate of 1 or more allows the whole entropy of a block, so no code is needed.
        self.encoder = couplings.NONE if rate >= 1 else self.encoder
        self.limits = np.array([rate * couplings.entropy(part) for part in parts])
        self.largest_gap = 0.0
        self.learner: Agent | None = None
        self.carrier = self._build_carrier(carrier_agent)
        if source.kind == "environment":
            self.codec = ObservationCodec(source.observation_space)
            self.player = isinstance(source.action_space, spaces.MultiDiscrete)
            if not self.player:
                self._check_convention()

    @classmethod
    def rebuild(cls, source: Source, config: CouplingConfig, state: Any, **keywords: Any) -> CouplingAgent:
        """Build an agent for a saved state; a carrier that was given as a file is built from its copy in the state."""
        from envzoo.agents.registry import specs

        if config.carrier != "planner" and config.carrier not in specs():
            keywords["carrier_agent"] = revive_carried(state, "carrier_agent", "carrier")
        return cls(source, config, **keywords)

    # ------------------------------------------------------------------ overridden by subclasses

    def code(self) -> tuple[int, float]:
        """Return the encoder, and the rate as a fraction of the prior's entropy."""
        return couplings.NONE, 1.0

    def blocks(self) -> tuple[tuple[int, ...], np.ndarray]:
        """Return the sizes of the blocks of a message, and their concatenated priors."""
        sizes = self.definition.rules.sizes
        if len(sizes) > 1:
            raise UnsupportedSpaceError(
                f"{self.spec.name} couples whole messages, but those of {self.source.name} have {len(sizes)} blocks; "
                "use FIMEC"
            )
        return sizes, self.messages.prior

    def digits(self, message: np.ndarray) -> np.ndarray:
        """Convert the game's messages (B,) or (B, blocks) to values of the blocks (B, blocks)."""
        return message.reshape(len(message), -1)

    def number(self, digits: np.ndarray) -> np.ndarray:
        """Convert values of the blocks (B, blocks) to the game's messages, (B, columns)."""
        return digits

    # ------------------------------------------------------------------ the carrier

    def _build_carrier(self, carried: CarriedAgent | None) -> TableCarrier | FormulaCarrier | AgentCarrier:
        c = self.config
        if c.carrier == "planner":
            return self._own_carrier()
        from envzoo.agents.making import load, make
        from envzoo.agents.registry import agent_class, specs

        if c.carrier in specs():
            if c.carrier_env is not None:
                learner = make(c.carrier, c.carrier_env, seed=self.streams.integer("carrier"), device="cpu")
            else:
                cls = agent_class(c.carrier)
                config = cls.Config()
                env = self._blind_env(getattr(config, "num_envs", CARRIER_ENVS))
                found = Source("environment", self.source.name, None, self.states, env.single_action_space, {}, env)
                learner = cls(found, config, seed=self.streams.integer("carrier"), device="cpu")
            self.learner = self.register("carrier", learner)
        else:
            try:
                carried = carried or CarriedAgent(load(c.carrier, device="cpu"))
            except CheckpointError as error:
                raise EnvzooError(
                    f"carrier is 'planner', the name of an agent, or a readable file, got {c.carrier!r} ({error})"
                ) from error
            learner = self.register("carrier_agent", carried).agent
        return AgentCarrier(learner, self.states, self.num_actions)

    def _own_carrier(self) -> TableCarrier | FormulaCarrier:
        """Return the game's public carrier, or the maximum-entropy policy of the configured temperature."""
        mdp, temperature = getattr(self.definition, "mdp", None), self.config.temperature
        if mdp is not None:
            own = self.definition.parameters.policy
            if temperature is None:
                return TableCarrier(own)
            return TableCarrier(carrier_policy(mdp, temperature, self.config.official_carrier))
        if temperature is not None:
            raise EnvzooError(f"temperature requires a finite game, but {self.source.name} has infinitely many states")
        return FormulaCarrier(self.definition.carrier)

    def _blind_env(self, num_envs: int) -> MessageBlind:
        if self.source.kind != "environment":
            raise EnvzooError(
                f"{self.config.carrier} cannot be trained in a two-player game; give carrier_env or a file"
            )
        env_id, given = self.source.environment()
        own = {name: value for name, value in given.items() if name not in ABOUT_MESSAGES}
        return MessageBlind(make_vector_env(env_id, num_envs, own | {"num_messages": 2, "message_priority": 0.0}))

    def hide_in(self, agent: Agent) -> CouplingAgent:
        """Set the carrier to a trained agent, which is not saved with this one; returns this agent.

        Raises:
            UnsupportedSpaceError: The agent has no stochastic discrete policy, or its spaces differ from the game's.
        """
        self.carrier = AgentCarrier(agent, self.states, self.num_actions)
        if self.source.kind == "environment" and not self.player:
            self._check_convention()
        return self

    def _check_convention(self) -> None:
        """Raise an error unless the game's receiver decodes with the encoder, rate and carrier of this agent."""
        game = self.messages
        same = (
            game.convention == COUPLING
            and np.array_equal(game.offsets, self.offsets)
            and game.encoder == self.encoder
            and np.allclose(game.limits, self.limits, rtol=0, atol=1e-12)
            and self._carrier_is_own()
        )
        if not same:
            raise EnvzooError(
                f"the receiver of {self.source.name} decodes with the game's own encoder, rate and carrier, which "
                f"differ from those of this {self.spec.name}; use the game's, or make the game with "
                "receiver='player', so that the agent plays the receiver too"
            )

    def _carrier_is_own(self) -> bool:
        """Return whether the carrier is the game's own."""
        if isinstance(self.carrier, TableCarrier):
            return np.array_equal(self.carrier.policy, self.definition.parameters.policy)
        return isinstance(self.carrier, FormulaCarrier)

    # ------------------------------------------------------------------ learning

    def iterate(self) -> dict[str, float]:
        """Run one iteration of the carrier's training; planners and loaded carriers are not trained."""
        if self.learner is None:
            return super().iterate()
        learner = self.learner
        learner.schedule_start, learner.target_timesteps = self.schedule_start, self.target_timesteps
        metrics = learner.iterate()
        learner.iteration += 1
        self.num_timesteps = learner.num_timesteps
        return metrics

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` of an equal agent returned."""
        super().load_state_dict(state)
        if self.learner is not None:
            self.carrier = AgentCarrier(self.learner, self.states, self.num_actions)

    # ------------------------------------------------------------------ acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose actions; see `Agent.predict`. In a PettingZoo game the state is a dict by player as well."""
        if self.source.kind == "game":
            return self._predict_game(observation, state or {}, episode_start, deterministic)
        batched = self.codec.is_batched(observation)
        batch = {key: np.asarray(value) if batched else np.asarray(value)[None] for key, value in observation.items()}
        count = len(batch["state"])
        fresh = self._fresh(state, episode_start, count)
        due = batch["guessing"].astype(bool) if self.player else np.zeros(count, bool)
        move, state, belief = self._send(batch, state, fresh, ~due, deterministic)
        action = move
        if self.player:  # only the guess of the last round, when nothing is left to send, is scored
            action = np.concatenate([move[:, None], self._guess(belief)], axis=1)
        return (action if batched else action[0]), state

    def _fresh(self, state: CodingState | None, episode_start: np.ndarray | None, count: int) -> np.ndarray:
        if state is None:
            return np.ones(count, bool)
        return np.zeros(count, bool) if episode_start is None else np.array(episode_start, bool).reshape(count)

    def _beliefs(self, state: CodingState | None, fresh: np.ndarray) -> np.ndarray:
        belief = np.empty((len(fresh), len(self.prior))) if state is None else state.belief.copy()
        belief[fresh] = self.prior
        return belief

    def _send(
        self, batch: dict[str, np.ndarray], state: CodingState | None, fresh: np.ndarray, acting: np.ndarray, mode: bool
    ) -> tuple[np.ndarray, CodingState, np.ndarray]:
        """Compute the sender's moves (B,), its state after them, and the beliefs before them (B, N)."""
        belief = self._beliefs(state, fresh)
        message = np.ascontiguousarray(self._checked(self.digits(batch["message"])), np.int64)
        policy, memory = self.carrier.probabilities(batch["state"], state.memory if state else None, fresh)
        actions = np.empty(len(fresh), np.int64)
        before = belief.copy()
        uniform = self.streams.numpy("predict").random(len(fresh))
        gap = hide(belief, policy, self.offsets, self.limits, self.encoder, message, uniform, mode, acting, actions)
        self.largest_gap = max(self.largest_gap, gap)
        return actions, CodingState(belief, memory), before

    def _checked(self, message: np.ndarray) -> np.ndarray:
        sizes = np.array(self.sizes)
        if message.shape[1:] != sizes.shape or (message < 0).any() or (message >= sizes).any():
            raise EnvzooError(f"message {message[0].tolist()} is out of range; expected values below {sizes.tolist()}")
        return message

    def _guess(self, belief: np.ndarray) -> np.ndarray:
        digits = np.empty((len(belief), len(self.sizes)), np.int64)
        guesses(belief, self.offsets, digits)
        return self.number(digits)

    def _predict_game(
        self, seen: dict[str, Any], states: dict[str, CodingState], episode_start: Any, mode: bool
    ) -> tuple[dict[str, Any], dict[str, CodingState]]:
        actions, after = {}, dict(states)
        for player, observation in seen.items():
            batch = {key: np.asarray(value)[None] for key, value in observation.items()}
            state = states.get(player)
            fresh = self._fresh(state, episode_start, 1)
            if player == SENDER:
                # The game ignores the sender's move in the round of the guess, so that round needs no special case.
                move, after[player], _ = self._send(batch, state, fresh, np.ones(1, bool), mode)
                actions[player] = move[0]
            elif player == RECEIVER:
                after[player] = self._hear(batch, state, fresh)
                guess = self._guess(after[player].belief)[0]
                actions[player] = (
                    guess if isinstance(self.source.action_space[player], spaces.MultiDiscrete) else guess[0]
                )
            else:
                raise EnvzooError(f"{self.spec.name} plays {SENDER} and {RECEIVER}, got {player!r}")
        return actions, after

    def _hear(self, batch: dict[str, np.ndarray], state: CodingState | None, fresh: np.ndarray) -> CodingState:
        """Compute the receiver's state after the latest move, from the observed states and action alone."""
        first = batch["action"] >= self.num_actions  # no move yet: the game has just started
        belief = self._beliefs(state, fresh | first)
        memory = None if state is None or (fresh | first).all() else state.memory
        if first.all():
            return CodingState(belief, None)
        # The memory of a recurrent carrier starts at the state of the first move.
        opening = np.array([memory is None])
        policy, memory = self.carrier.probabilities(batch["previous"], memory, opening)
        actions = np.ascontiguousarray(batch["action"], np.int64)
        listen(belief, policy, self.offsets, self.limits, self.encoder, actions, ~first)
        return CodingState(belief, memory)
