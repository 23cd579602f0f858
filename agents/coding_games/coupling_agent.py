"""What all coupling agents share: a carrier, beliefs, and the steps of sender and receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envzoo.agents.agent import Agent
from envzoo.agents.coding_games.carriers import AgentCarrier, CarriedAgent, FormulaCarrier, TableCarrier
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

# Arguments of games that make no difference to an agent without a message.
ABOUT_MESSAGES = ("num_messages", "message_priority", "prior", "rate", "encoder", "receiver", "convention", "belief")
CARRIER_ENVS = 8  # episodes side by side in which a carrier learns, unless its own hyperparameters say otherwise


@dataclass(frozen=True)
class CouplingConfig:
    """Hyperparameters of every coupling agent."""

    temperature: float | None = None
    """Temperature of the carrier, the maximum-entropy policy of a finite game; None takes the game's own carrier."""
    official_carrier: bool = False
    """Whether the carrier of that temperature is computed as the released code does: 100 backups and entropy earned at
    the end, where otherwise they converge and none is. The game has the same keyword for its own carrier."""
    carrier: Annotated[str, Holds("agent", words=("planner",), part="carrier_agent")] = "planner"
    """Who acts as if there were no message: "planner" (the game's or the maximum-entropy policy), the name of an agent
    that `learn` trains for it ("PPO"), or the file of a trained agent, which is copied into the file of this one. Its
    policy must be stochastic and discrete."""
    carrier_env: Annotated[str | None, Holds("environment")] = None
    """Environment in which a carrier named by its agent is trained; None takes the game, with the message left out."""

    def __post_init__(self):
        require(
            self.temperature is None or self.temperature >= 0, f"temperature is not negative, got {self.temperature}"
        )
        require(
            self.temperature is None or self.carrier == "planner",
            f"temperature is for the carrier 'planner', and {self.carrier!r} has none",
        )
        require(
            self.temperature is not None or not self.official_carrier,
            "official_carrier is for a carrier of its own temperature, and temperature is None; give the game its own "
            "official_carrier, or give a temperature",
        )
        require(self.carrier != "", "carrier is 'planner', the name of an agent, or a file, got ''")


class CodingState(NamedTuple):
    """What a player goes on from.

    Attributes:
        belief: (B, N) beliefs over the blocks of the message, one behind the other.
        memory: What the carrier remembers, or None.
    """

    belief: np.ndarray
    memory: Any


class CouplingAgent(Agent):
    """Hides a message in the actions of a carrier by coupling them with the receiver's belief.

    It plays the lone sender of a coding game, both players of the vector face (`receiver="player"`), and both players
    of a PettingZoo game, where `predict` takes and returns dicts by player and each player goes by what it sees alone.
    The belief travels in the state that `predict` returns.

    The method is a random one: averaged over messages, the sampled actions are distributed exactly as the carrier's.
    With `deterministic` the most likely action of the message is taken, which gives that up.

    Attributes:
        largest_gap: Largest difference so far between the carrier's probability of an action and its average over
            messages, over all steps and actions.
    """

    Config = CouplingConfig
    config: CouplingConfig
    split_message: tuple[int, ...] = ()  # sizes of the blocks into which one message is split

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
        # A rate of 1 is the whole entropy of a block, which needs no code.
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
        """An agent for a saved state; a carrier that came from a file is made of the copy in it."""
        from envzoo.agents.loading import revive
        from envzoo.agents.registry import specs

        if config.carrier != "planner" and config.carrier not in specs():
            try:
                carried = state["parts"]["carrier_agent"]
                header, inner = carried["header"], carried["state"]
            except (LookupError, TypeError):
                raise CheckpointError("the agent's file lacks the agent that carries its messages") from None
            kept = {"header": header, "state": inner}
            keywords["carrier_agent"] = CarriedAgent(revive(header, inner, device="cpu"), kept)
        return cls(source, config, **keywords)

    # ------------------------------------------------------------------ what subclasses decide

    def code(self) -> tuple[int, float]:
        """The encoder and the rate, a share of the prior's entropy."""
        return couplings.NONE, 1.0

    def blocks(self) -> tuple[tuple[int, ...], np.ndarray]:
        """Sizes of the blocks of a message, and their priors one behind the other."""
        sizes = self.definition.rules.sizes
        if len(sizes) > 1:
            raise UnsupportedSpaceError(
                f"{self.spec.name} couples whole messages, but those of {self.source.name} have {len(sizes)} blocks; "
                "FIMEC takes them"
            )
        return sizes, self.messages.prior

    def digits(self, message: np.ndarray) -> np.ndarray:
        """Messages as the game gives them (B,) or (B, blocks) -> values of the blocks (B, blocks)."""
        return message.reshape(len(message), -1)

    def number(self, digits: np.ndarray) -> np.ndarray:
        """Values of the blocks (B, blocks) -> messages as the game takes them, (B, columns)."""
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
        """The public carrier of the game, or the maximum-entropy policy of another temperature."""
        mdp, temperature = getattr(self.definition, "mdp", None), self.config.temperature
        if mdp is not None:
            own = self.definition.parameters.policy
            if temperature is None:
                return TableCarrier(own)
            return TableCarrier(carrier_policy(mdp, temperature, self.config.official_carrier))
        if temperature is not None:
            raise EnvzooError(
                f"a temperature makes a carrier for finite games, and {self.source.name} has states without number"
            )
        return FormulaCarrier(self.definition.carrier)

    def _blind_env(self, num_envs: int) -> MessageBlind:
        if self.source.kind != "environment":
            raise EnvzooError(
                f"{self.config.carrier} cannot learn in a game of two players; give carrier_env or a file"
            )
        env_id, given = self.source.environment()
        own = {name: value for name, value in given.items() if name not in ABOUT_MESSAGES}
        return MessageBlind(make_vector_env(env_id, num_envs, own | {"num_messages": 2, "message_priority": 0.0}))

    def hide_in(self, agent: Agent) -> CouplingAgent:
        """Take a trained agent for the carrier from now on; it is not saved with this one. Returns this agent.

        Raises:
            UnsupportedSpaceError: It has no stochastic discrete policy, or does not act in this game's states.
        """
        self.carrier = AgentCarrier(agent, self.states, self.num_actions)
        if self.source.kind == "environment" and not self.player:
            self._check_convention()
        return self

    def _check_convention(self) -> None:
        """A listening receiver knows one convention, its own; a sender with another would speak to nobody."""
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
                f"the receiver of {self.source.name} listens by the game's own encoder, rate and carrier, which are "
                f"not those of this {self.spec.name}; leave them to the game, or make it with "
                "receiver='player', so that the agent plays the receiver too"
            )

    def _carrier_is_own(self) -> bool:
        """Whether the carrier is the game's own."""
        if isinstance(self.carrier, TableCarrier):
            return np.array_equal(self.carrier.policy, self.definition.parameters.policy)
        return isinstance(self.carrier, FormulaCarrier)

    # ------------------------------------------------------------------ learning

    def iterate(self) -> dict[str, float]:
        """One round of the carrier's learning, if it learns; planners and loaded carriers have nothing to learn."""
        if self.learner is None:
            return super().iterate()
        learner = self.learner
        learner.schedule_start, learner.target_timesteps = self.schedule_start, self.target_timesteps
        metrics = learner.iterate()
        learner.iteration += 1
        self.num_timesteps = learner.num_timesteps
        return metrics

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state made by `state_dict` of an equal agent."""
        super().load_state_dict(state)
        if self.learner is not None:
            self.carrier = AgentCarrier(self.learner, self.states, self.num_actions)

    # ------------------------------------------------------------------ acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose actions; see `Agent.predict`. In a game the state is a dict by player too."""
        if self.source.kind == "game":
            return self._predict_game(observation, state or {}, episode_start, deterministic)
        batched = self.codec.is_batched(observation)
        batch = {key: np.asarray(value) if batched else np.asarray(value)[None] for key, value in observation.items()}
        count = len(batch["state"])
        fresh = self._fresh(state, episode_start, count)
        due = batch["guessing"].astype(bool) if self.player else np.zeros(count, bool)
        move, state, belief = self._send(batch, state, fresh, ~due, deterministic)
        action = move
        if self.player:  # the guess that counts is made when nothing is left to send
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
        """The sender's moves (B,), its state after them, and the beliefs before them (B, N)."""
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
                # The move of the round in which the guess is due is ignored, and so need not be told apart.
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
        """The receiver's state after the latest move, of which it sees states and action alone."""
        first = batch["action"] >= self.num_actions  # nobody has moved yet: a game begins
        belief = self._beliefs(state, fresh | first)
        memory = None if state is None or (fresh | first).all() else state.memory
        if first.all():
            return CodingState(belief, None)
        # A carrier with a memory begins with the state of the first move.
        opening = np.array([memory is None])
        policy, memory = self.carrier.probabilities(batch["previous"], memory, opening)
        actions = np.ascontiguousarray(batch["action"], np.int64)
        listen(belief, policy, self.offsets, self.limits, self.encoder, actions, ~first)
        return CodingState(belief, memory)
