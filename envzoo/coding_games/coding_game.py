"""CodingGame: a Markov coding game on any finite decision process; also the kernels of the grid games."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo import tabular
from envzoo.coding_games import picture
from envzoo.coding_games.carrier import carrier_policy
from envzoo.coding_games.mdp import FiniteMDP, World
from envzoo.coding_games.messages import (
    LIKELIHOOD,
    NO_OPTION,
    MessageRules,
    Messages,
    Options,
    begin,
    correct,
    listen,
    report,
    settle,
)
from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.stream import uniform

TEMPERATURE = math.exp(-6)


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    world: World
    messages: Messages
    policy: np.ndarray  # float64 (S, A), policy of the carrier


class State(NamedTuple):
    """State of one episode."""

    position: Any  # int64, state of the decision process
    previous: Any  # int64, previous state
    action: Any  # int64, move between the two; A before the first
    path: Any  # int32 (horizon + 1,), states visited so far, then -1
    message: Any  # int64 (B,)
    guess: Any  # int64 (B,)
    belief: Any  # float64 (N,)
    over: Any  # bool, whether only the guess of a playing receiver remains
    discounted_return: Any  # float64
    time: Any  # int64, number of moves so far


class SenderObservation(NamedTuple):
    """Observation of the sender alone."""

    state: Any
    message: Any


class SenderBeliefObservation(NamedTuple):
    """Observation of the sender alone, with the receiver's belief."""

    state: Any
    message: Any
    belief: Any


class PlayersObservation(NamedTuple):
    """Joint observation of sender and receiver."""

    state: Any
    message: Any
    previous: Any
    action: Any
    guessing: Any


class PlayersBeliefObservation(NamedTuple):
    """Joint observation of sender and receiver, with the belief."""

    state: Any
    message: Any
    previous: Any
    action: Any
    guessing: Any
    belief: Any


# ---------------------------------------------------------------------------- kernels


@njit(cache=True)
def _mask(world, state, infos, i):
    for a in range(world.available.shape[1]):
        infos.action_mask[i, a] = world.available[state.position[i], a]


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    world = parameters.world
    for i in range(where.size):
        if where[i]:
            begin(parameters.messages, state, streams, options, i)
            start = options.state[i]
            if start == NO_OPTION:
                k = 0
                if world.starts.size > 1:
                    k = np.searchsorted(world.start_cumulative, uniform(streams, i), side="right")
                start = world.starts[k]
            state.position[i] = state.previous[i] = start
            state.action[i] = world.available.shape[1]
            state.path[i] = -1
            state.path[i, 0] = start
            report(parameters.messages, state, infos, i)
            _mask(world, state, infos, i)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    world, messages = parameters.world, parameters.messages
    given = actions.reshape(where.size, -1)
    for i in range(where.size):
        if not where[i]:
            continue
        if messages.player:
            state.guess[i] = given[i, 1:]
        if state.over[i] or state.time[i] >= messages.horizon:
            rewards[i] = messages.priority if correct(state, i) else 0.0
            terminated[i] = True
        else:
            here, action = state.position[i], given[i, 0]
            likelihood = messages.likelihood[here, action] if messages.convention == LIKELIHOOD else state.belief[i]
            listen(messages, state.belief[i], parameters.policy[here], likelihood, action)
            u, k = uniform(streams, i), 0
            while u >= world.cumulative[here, action, k]:
                k += 1
            there = world.successors[here, action, k]
            reward = world.rewards[here, action, k]
            time = state.time[i] + 1
            state.position[i], state.previous[i], state.action[i] = there, here, action
            state.path[i, time] = there
            state.time[i] = time
            state.discounted_return[i] += world.discount**time * reward
            ended = world.terminal[there] or time == messages.horizon
            rewards[i] = reward + settle(messages, state, ended, i)
            terminated[i] = ended and not messages.player
        report(messages, state, infos, i)
        _mask(world, state, infos, i)


@njit(cache=True)
def observe_sender(parameters, state, observation):
    """Observation kernel of the sender alone; also of games whose positions are rows of numbers."""
    message = observation.message.reshape(state.message.shape)
    for i in range(state.time.size):
        observation.state[i] = state.position[i]
        message[i] = state.message[i]


@njit(cache=True)
def observe_players(parameters, state, observation):
    """Observation kernel of both players."""
    observe_sender(parameters, state, observation)
    for i in range(state.time.size):
        observation.previous[i] = state.previous[i]
        observation.action[i] = state.action[i]
        observation.guessing[i] = state.over[i]


@njit(cache=True)
def observe_sender_belief(parameters, state, observation):
    """Observation kernel of the sender alone, with the belief."""
    observe_sender(parameters, state, observation)
    observation.belief[:] = state.belief


@njit(cache=True)
def observe_players_belief(parameters, state, observation):
    """Observation kernel of both players, with the belief."""
    observe_players(parameters, state, observation)
    observation.belief[:] = state.belief


class CodingGame(Definition):
    """Hide a message in the moves of an agent that acts in a finite Markov decision process.

    ## Description
    A Markov coding game (Sokota et al., "Communicating via Markov Decision Processes", ICML 2022, arXiv 2107.08295) has
    two players. The sender is given a message and acts in a decision process; the receiver sees states and actions, but
    not the message, and guesses it at the end. Both receive the return of the process, plus the message priority if the
    guess is right. Sender and receiver cannot communicate beforehand, but they share a public convention: minimum
    entropy coupling. The actions of the carrier policy, which performs the task as if there were no message, are
    coupled with the belief over messages, so that the actions keep their distribution and yet reveal the message. With
    a rate limit the message is first encoded with bounded entropy and then coupled (Ebrahimi et al., "Minimum Entropy
    Coupling with Bottleneck", NeurIPS 2024, arXiv 2410.21666).

    ## Action space
    `Discrete(A)`, the sender's move. With `receiver="player"`, `MultiDiscrete([A, num_messages])`: the sender's move
    and the receiver's guess. One additional step then follows the last move: its move is ignored and its guess counts;
    all earlier guesses are ignored.

    ## Observation space
    `Dict`: `state`, `Discrete(S)`; `message`, `Discrete(num_messages)` (`MultiDiscrete` for messages of several
    blocks). With `receiver="player"` also the rest of the receiver's observation: `previous`, the previous state;
    `action`, `Discrete(A + 1)`, the sender's last move, A before the first; `guessing`, `Discrete(2)`, whether the
    guess is due. A learner that controls both players must hide the message from the receiver, and may show the sender
    only state and message. With `belief=True` also `belief`, `Box(0, 1)`: the receiver's belief over messages.

    ## Reward
    The reward of the process, with `message_priority` added to the last reward if the guess is right (with
    `receiver="player"` in the step of the guess). The reward is not discounted.

    ## Info
    After every reset and step: `correct`, whether the guess is right; `guess`; `message`; `discounted_return`, the sum
    over moves t of discount^(t + 1) times the reward of the process, without that of the message; `belief_entropy`, the
    entropy in bits of the receiver's belief; `rate_limit`, the largest number of bits that the code of a step may
    carry; `action_mask`, int8 (A,), the available actions. In a grid, unavailable actions leave the agent in place.

    ## The receiver
    With `receiver="bayes"` the guess is the most likely message under the receiver's belief, or the first of several
    equally likely ones. The belief starts at the prior and is updated after every action by Bayes' rule with the
    likelihoods of the `convention`. An action that the convention rules out for every message does not change it.

    ## Start of an episode
    A state from the start distribution of the process and a message from the prior, unless given by
    `reset(options={"message": ..., "state": ...})`, each a number or an array with one value per episode.

    ## End of an episode
    Terminates when the process does, or after `horizon` moves. The horizon is part of the game rather than an external
    time limit: the guess is due then, and no further reward is possible.

    ## Arguments
    - `mdp`: a `FiniteMDP` (see `envzoo.coding_games.mdp`, which can also read them from Gymnasium's FrozenLake, Taxi
    and CliffWalking).
    - `num_messages` (64): number of messages; a list makes messages of several blocks, of which the convention hides
    the one with the largest entropy in each step.
    - `message_priority` (1.0): reward of a right guess.
    - `prior` (None): probabilities of the messages (a list of them for several blocks); None for uniform.
    - `rate` (1.0): fraction of the prior's entropy that the code of a step may carry; at 1 and above there is no code.
    - `encoder` ("ebim"): how messages are encoded at rates below 1: "ebim" (greedy entropy-bounded information
    maximisation), "quantizer" (blocks of neighbouring messages), "none".
    - `temperature` (exp(-6)): temperature of the carrier, the maximum-entropy policy of the process.
    - `policy` (None): another carrier, probabilities (S, A).
    - `horizon` (200): largest number of moves.
    - `receiver` ("bayes"): "bayes" or "player".
    - `convention` ("coupling"): "coupling"; an array (S, num_messages, A) with the probabilities of actions given state
      and message; or "none", for a playing receiver: the belief stays at the prior, which saves time.
    - `belief` (False): whether the observation includes the belief.
    - `official_carrier` (False): compute the carrier as the released code of arXiv 2410.21666 does, see
      `envzoo.coding_games.carrier.carrier_policy`.
    """

    option_names = ("message", "state")

    def __init__(
        self,
        mdp: FiniteMDP,
        num_messages: int | list[int] = 64,
        message_priority: float = 1.0,
        prior: Any = None,
        rate: float = 1.0,
        encoder: str = "ebim",
        temperature: float = TEMPERATURE,
        policy: np.ndarray | None = None,
        horizon: int = 200,
        receiver: str = "bayes",
        convention: Any = "coupling",
        belief: bool = False,
        official_carrier: bool = False,
    ) -> None:
        if not isinstance(mdp, FiniteMDP):
            raise EnvzooError(f"mdp is a {type(mdp).__name__}; expected a FiniteMDP (envzoo.coding_games.mdp)")
        self.mdp = mdp
        self.rules = rules = MessageRules(
            num_messages, message_priority, prior, rate, encoder, receiver, convention, horizon
        )
        states, actions = mdp.num_states, mdp.num_actions
        messages = rules.build(states, actions)
        if policy is None:
            carrier = carrier_policy(mdp, temperature, official_carrier)
        elif official_carrier:
            raise EnvzooError("official_carrier computes the carrier, and policy gives one; expected one of them")
        else:
            carrier = self._policy(policy)
        self.parameters = Parameters(mdp.world(), messages, np.ascontiguousarray(carrier))
        self.action_space = rules.action_space(actions)
        self.infos = rules.infos(actions)
        path = (np.int32, (rules.horizon + 1,))
        self.state = State(np.int64, np.int64, np.int64, path, **rules.state())
        last = states - 1
        self.limits = {
            "position": (0, last),
            "previous": (0, last),
            "action": (0, actions),
            "path": (-1, last),
            **rules.limits(),
        }
        self.running_limits = rules.running_limits()
        self._observe(states, actions, belief)

    def _observe(self, states: int, actions: int, belief: bool) -> None:
        shown = {"state": spaces.Discrete(states), "message": self.rules.message_space}
        if messages_played := self.rules.receiver == "player":
            shown["previous"] = spaces.Discrete(states)
            shown["action"] = spaces.Discrete(actions + 1)
            shown["guessing"] = spaces.Discrete(2)
        if belief:
            shown["belief"] = spaces.Box(0.0, 1.0, (sum(self.rules.sizes),), np.float64)
        self.observation_space = spaces.Dict(shown)
        types = {
            (False, False): (SenderObservation, observe_sender),
            (False, True): (SenderBeliefObservation, observe_sender_belief),
            (True, False): (PlayersObservation, observe_players),
            (True, True): (PlayersBeliefObservation, observe_players_belief),
        }
        self.observation_type, observe = types[messages_played, bool(belief)]
        self.kernels = Kernels(reset, step, observe)

    def _policy(self, policy: Any) -> np.ndarray:
        expected = (self.mdp.num_states, self.mdp.num_actions)
        try:
            array = np.array(policy, np.float64)
        except (TypeError, ValueError):
            array = np.zeros(0)
        going = ~self.mdp.terminal
        fits = array.shape == expected and (array >= 0).all() and np.isfinite(array).all()
        if not fits or not (np.abs(array.sum(axis=1) - 1)[going] < 1e-9).all():
            raise EnvzooError(f"policy is not usable; expected probabilities of actions of the shape {expected}")
        return array

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the messages and states from the reset options."""
        state = np.asarray(given.get("state", NO_OPTION))
        if "state" in given:
            last = self.mdp.num_states - 1
            fits = state.dtype.kind in "iu" and state.shape in ((), (num_envs,))
            if not fits or state.min() < 0 or state.max() > last or self.mdp.terminal[state].any():
                raise EnvzooError(
                    f"reset option state is {given['state']!r}; expected states from 0 to {last} that are not terminal"
                )
        states = np.broadcast_to(state.astype(np.int64), (num_envs,)).copy()
        return Options(self.rules.message_option(given, num_envs), states)

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the state as its number, and the receiver's belief as bars."""
        canvas = picture.canvas()
        picture.draw_number(canvas, int(state.position), int(state.time), self.rules.horizon)
        picture.draw_belief(canvas, state, self.rules.sizes)
        return canvas.image()

    def describe(self, state: State) -> str:
        """Describe the state by its number, and list the most likely messages."""
        return f"state {int(state.position)}\n{picture.text(state, self.rules.sizes, self.rules.horizon)}"


class WalkModel:
    """Mixin with the model of the walk in which messages are hidden."""

    definition: CodingGame

    def model(self) -> tabular.FiniteMDP:
        """Return the decision process without the messages (see `envzoo.tabular.HasModel`)."""
        return self.definition.mdp.tabular()


class CodingGameEnv(WalkModel, KernelEnv):
    """Single environment of `CodingGame`, for any decision process: `CodingGameEnv(mdp=...)`."""

    definition_class = CodingGame


class CodingGameVectorEnv(WalkModel, KernelVectorEnv):
    """Vector environment of `CodingGame`."""

    definition_class = CodingGame
