"""CodingCart: a message hidden in the pushes that balance a pole on a cart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coding_games import picture
from envzoo.coding_games.coding_game import (
    PlayersBeliefObservation,
    PlayersObservation,
    SenderBeliefObservation,
    SenderObservation,
    observe_players,
    observe_players_belief,
    observe_sender,
    observe_sender_belief,
)
from envzoo.coding_games.messages import (
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
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import uniform
from envzoo.sizes import check_bytes

# Constants of Gymnasium's CartPole.
GRAVITY, CART, POLE, LENGTH, SECONDS = 9.8, 1.0, 0.1, 0.5, 0.02  # LENGTH is half the length of the pole
TOTAL, POLE_LENGTH = POLE + CART, POLE * LENGTH
FARTHEST, STEEPEST = 2.4, 12 * 2 * math.pi / 360
FORCE = 10.0
START = 0.05
FAR = 1e3  # far above every number of a state


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    forces: np.ndarray  # float64 (A,)
    weights: np.ndarray  # float64 (A, 4), weights of the carrier
    biases: np.ndarray  # float64 (A,)
    discount: float
    messages: Messages


class State(NamedTuple):
    """State of one episode."""

    position: Any  # float64 (4,): position, speed, angle, angular speed
    previous: Any  # float64 (4,), previous state
    action: Any  # int64, push between the two; A before the first
    message: Any  # int64 (B,)
    guess: Any  # int64 (B,)
    belief: Any  # float64 (N,)
    over: Any  # bool, whether only the guess of a playing receiver remains
    discounted_return: Any  # float64
    time: Any  # int64, number of pushes so far


# ---------------------------------------------------------------------------- kernels


@njit(cache=True)
def push(state, force):
    """Compute the state (4,) 0.02 seconds later, by the equations of Gymnasium's CartPole (explicit Euler)."""
    x, speed, angle, turn = state
    cosine, sine = math.cos(angle), math.sin(angle)
    temp = (force + POLE_LENGTH * turn**2 * sine) / TOTAL
    turning = (GRAVITY * sine - cosine * temp) / (LENGTH * (4.0 / 3.0 - POLE * cosine**2 / TOTAL))
    speeding = temp - POLE_LENGTH * turning * cosine / TOTAL
    after = np.empty(4)
    after[0] = x + SECONDS * speed
    after[1] = speed + SECONDS * speeding
    after[2] = angle + SECONDS * turn
    after[3] = turn + SECONDS * turning
    return after


@njit(cache=True)
def carrier_of(weights, biases, state):
    """Compute the probabilities of the pushes (A,) of a linear carrier: softmax(weights @ state + biases).

    The state (4,) is rounded as in observations, so that a player who sees only those computes bit-identical numbers.
    """
    logits = np.empty(biases.size)
    for a in range(biases.size):
        logits[a] = biases[a]
        for k in range(4):
            logits[a] += weights[a, k] * np.float64(np.float32(state[k]))
    logits = np.exp(logits - logits.max())
    return logits / logits.sum()


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            begin(parameters.messages, state, streams, options, i)
            for k in range(4):
                start = options.state[i, k]
                if math.isnan(start):
                    start = START * (2.0 * uniform(streams, i) - 1.0)
                state.position[i, k] = state.previous[i, k] = start
            state.action[i] = parameters.forces.size
            infos.action_mask[i] = 1
            report(parameters.messages, state, infos, i)


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    messages = parameters.messages
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
            action = given[i, 0]
            policy = carrier_of(parameters.weights, parameters.biases, state.position[i])
            listen(messages, state.belief[i], policy, state.belief[i], action)
            after = push(state.position[i], parameters.forces[action])
            for k in range(4):
                state.previous[i, k] = state.position[i, k]
                state.position[i, k] = after[k]
            state.action[i] = action
            state.time[i] += 1
            state.discounted_return[i] += parameters.discount ** state.time[i]
            fallen = abs(after[0]) > FARTHEST or abs(after[2]) > STEEPEST
            ended = fallen or state.time[i] == messages.horizon
            rewards[i] = 1.0 + settle(messages, state, ended, i)
            terminated[i] = ended and not messages.player
        infos.action_mask[i] = 1
        report(messages, state, infos, i)


# ---------------------------------------------------------------------------- the carrier


def balancing_gains() -> np.ndarray:
    """Compute the gains (4,) of the linear-quadratic regulator at the upright rest; the best force is -gains @ state.

    The cost is the squared state, with the angle weighted ten times as much, plus 0.001 times the squared force.
    """
    from scipy.linalg import solve_discrete_are

    # Derivatives of the equations of motion at rest.
    denominator = LENGTH * (4.0 / 3.0 - POLE / TOTAL)
    turning = np.array([GRAVITY / denominator, -1.0 / TOTAL / denominator])  # with respect to the angle and the force
    speeding = np.array([0.0, 1.0 / TOTAL]) - POLE_LENGTH / TOTAL * turning
    moves, forces = np.eye(4), np.zeros((4, 1))
    moves[0, 1] = moves[2, 3] = SECONDS
    moves[1, 2], forces[1, 0] = SECONDS * speeding
    moves[3, 2], forces[3, 0] = SECONDS * turning
    costs, price = np.diag([1.0, 1.0, 10.0, 1.0]), np.array([[1e-3]])
    values = solve_discrete_are(moves, forces, costs, price)
    return np.linalg.solve(price + forces.T @ values @ forces, forces.T @ values @ moves)[0]


class CodingCart(Definition):
    """Hide a message in the pushes that balance a pole on a cart.

    ## Description
    A Markov coding game (see `envzoo/CodingGrid-v0`) whose task is Gymnasium's `CartPole-v1`, with identical equations,
    but any number of evenly spaced forces from -10 to 10 newtons instead of two. The more forces balance the pole about
    equally well, the more information a push can carry. Sokota et al., "Communicating via Markov Decision Processes",
    ICML 2022, arXiv 2107.08295, hide images in such pushes.

    ## Action space
    `Discrete(num_actions)`: action a pushes with -10 + 20 a / (num_actions - 1) newtons; with two actions these are
    left and right in CartPole. With `receiver="player"`, `MultiDiscrete([num_actions, num_messages])`: the sender's
    push and the receiver's guess, which counts in one additional step after the last push.

    ## Observation space
    `Dict`: `state`, `Box(4)` float32: position, speed, angle and angular speed as in CartPole; `message`,
    `Discrete(num_messages)` (`MultiDiscrete` for messages of several blocks). With `receiver="player"` also `previous`,
    `Box(4)`, the previous state; `action`, `Discrete(num_actions + 1)`, the last push, num_actions before the first;
    `guessing`, `Discrete(2)`, whether the guess is due. With `belief=True` also `belief`, `Box(0, 1)`.

    ## Reward
    1 for each push, and `message_priority` added to the last reward if the guess is right (with `receiver="player"` in
    the step of the guess).

    ## Info
    As in `envzoo/CodingGrid-v0`; all actions are always available.

    ## The receiver
    States are continuous, so the public carrier is a formula: a softmax whose logits are linear in the state. The
    default is a noisy linear-quadratic regulator: force F has the logit -(F - u)^2 / (2 spread^2), where u is the
    regulator's force. With `receiver="bayes"` the belief assumes that the sender couples its message with that carrier.
    The policy of a trained agent is a different carrier, which this receiver does not know: to hide messages in its
    pushes, use `receiver="player"` and a receiver that queries the agent (as MECB and MEME do, given a `carrier`).

    ## Start of an episode
    All four numbers are uniform on [-0.05, 0.05] and the message is drawn from the prior, unless given by
    `reset(options={"message": ..., "state": ...})`: a message and a state of four numbers, for all episodes or for
    each.

    ## End of an episode
    Terminates when the pole tilts by more than 12 degrees, when the cart is more than 2.4 from the centre, or after
    `horizon` pushes: the guess is due then, and no further reward is possible.

    ## Arguments
    - `num_actions` (2): number of forces.
    - `num_messages` (64), `message_priority` (1.0), `prior` (None), `rate` (1.0), `encoder` ("ebim"), `receiver`
    ("bayes"), `belief` (False): as in `envzoo/CodingGrid-v0`.
    - `convention` ("coupling"): "coupling", or "none" for a playing receiver.
    - `spread` (5.0): standard deviation in newtons of the default carrier around the regulator's force.
    - `carrier` (None): another carrier, a pair of weights (num_actions, 4) and biases (num_actions,) of the logits.
    - `horizon` (200): largest number of pushes.
    - `discount` (0.99): discount factor of `discounted_return`.

    ## Registered ids
    - `envzoo/CodingCart-v0`: the defaults above.

    The two-player version for PettingZoo is `envzoo.coding_games.coding_cart_v0`.
    """

    option_names = ("message", "state")
    render_fps = 30

    def __init__(
        self,
        num_actions: int = 2,
        num_messages: int | list[int] = 64,
        message_priority: float = 1.0,
        prior: Any = None,
        rate: float = 1.0,
        encoder: str = "ebim",
        receiver: str = "bayes",
        convention: str = "coupling",
        belief: bool = False,
        spread: float = 5.0,
        carrier: tuple[Any, Any] | None = None,
        horizon: int = 200,
        discount: float = 0.99,
    ) -> None:
        check_bytes(128 * check_whole("num_actions", num_actions, 2), f"a cart with {num_actions} actions")
        for name, value, most in (("spread", spread, math.inf), ("discount", discount, 1.0)):
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 < value <= most or math.isinf(value):
                raise EnvzooError(f"{name} is {value!r}; expected a positive number" + " of at most 1" * (most == 1))
        self.rules = rules = MessageRules(
            num_messages, message_priority, prior, rate, encoder, receiver, convention, horizon
        )
        forces = np.linspace(-FORCE, FORCE, num_actions)
        weights, biases = self._carrier(carrier, forces, float(spread))
        self.parameters = Parameters(forces, weights, biases, float(discount), rules.build(None, num_actions))
        self.action_space = rules.action_space(num_actions)
        self.infos = rules.infos(num_actions)
        numbers = (np.float64, (4,))
        self.state = State(numbers, numbers, np.int64, **rules.state())
        self.limits = {
            "position": (-FAR, FAR),
            "previous": (-FAR, FAR),
            "action": (0, num_actions),
            **rules.limits(),
        }
        self.running_limits = rules.running_limits()
        box = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        shown: dict[str, spaces.Space] = {"state": box, "message": rules.message_space}
        if player := rules.receiver == "player":
            shown["previous"] = box
            shown["action"] = spaces.Discrete(num_actions + 1)
            shown["guessing"] = spaces.Discrete(2)
        if belief:
            shown["belief"] = spaces.Box(0.0, 1.0, (sum(rules.sizes),), np.float64)
        self.observation_space = spaces.Dict(shown)
        types = {
            (False, False): (SenderObservation, observe_sender),
            (False, True): (SenderBeliefObservation, observe_sender_belief),
            (True, False): (PlayersObservation, observe_players),
            (True, True): (PlayersBeliefObservation, observe_players_belief),
        }
        self.observation_type, observe = types[player, bool(belief)]
        self.kernels = Kernels(reset, step, observe)

    def carrier(self, states: np.ndarray) -> np.ndarray:
        """Compute the public carrier's probabilities (B, A) in states (B, 4)."""
        weights, biases = self.parameters.weights, self.parameters.biases
        return np.array([carrier_of(weights, biases, state) for state in np.asarray(states, np.float64)])

    def _carrier(self, given: Any, forces: np.ndarray, spread: float) -> tuple[np.ndarray, np.ndarray]:
        if given is None:
            # -(F - u)^2 / (2 spread^2) without the terms common to all forces, and u = -gains @ state.
            return -np.outer(forces, balancing_gains()) / spread**2, -(forces**2) / (2 * spread**2)
        expected = ((forces.size, 4), (forces.size,))
        try:
            weights, biases = (np.ascontiguousarray(part, np.float64) for part in given)
        except (TypeError, ValueError):
            weights = biases = np.zeros(0)
        finite = np.isfinite(weights).all() and np.isfinite(biases).all()
        if (weights.shape, biases.shape) != expected or not finite:
            raise EnvzooError(f"carrier is not usable; expected weights and biases of the shapes {expected}")
        return weights, biases

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the messages and states from the reset options."""
        states = np.full((num_envs, 4), np.nan)
        if "state" in given:
            array = np.asarray(given["state"])
            fits = array.dtype.kind in "iuf" and array.shape in ((4,), (num_envs, 4)) and np.isfinite(array).all()
            if not fits or (np.abs(array[..., 0]) > FARTHEST).any() or (np.abs(array[..., 2]) > STEEPEST).any():
                raise EnvzooError(
                    f"reset option state is {given['state']!r}; expected place (up to {FARTHEST} from 0), speed, angle "
                    f"(up to {STEEPEST:.4f} from 0) and angular speed, for all or each episode"
                )
            states[:] = array
        return Options(self.rules.message_option(given, num_envs), states)

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw cart and pole, and the receiver's belief as bars beside them."""
        canvas = picture.canvas()
        middle, ground, metre = picture.HEIGHT / 2, picture.HEIGHT * 0.72, picture.HEIGHT / 2 * 0.85 / FARTHEST
        canvas.rectangle(picture.MARGIN, ground, picture.HEIGHT - picture.MARGIN, ground + 2, art.FRAME)
        x, angle = middle + float(state.position[0]) * metre, float(state.position[2])
        canvas.rectangle(x - 26, ground - 24, x + 26, ground, art.INK)
        # The pole is drawn longer than to scale, so that its tilt is visible.
        tip = (x + 120 * math.sin(angle), ground - 24 - 120 * math.cos(angle))
        canvas.line([(x, ground - 24), tip], art.ORANGE, 8)
        canvas.disc(x, ground - 24, 5, art.BLUE)
        if state.time:
            force = float(self.parameters.forces[int(state.action)])
            canvas.text(middle, ground + 30, f"push {int(state.time)}: {force:+.1f} N", art.MUTED, 14)
        picture.draw_belief(canvas, state, self.rules.sizes)
        return canvas.image()

    def describe(self, state: State) -> str:
        """Describe the state by its four numbers, and list the most likely messages."""
        x, speed, angle, turn = (float(value) for value in state.position)
        line = f"place {x:+.3f}, speed {speed:+.3f}, angle {angle:+.3f}, angular speed {turn:+.3f}"
        return f"{line}\n{picture.text(state, self.rules.sizes, self.rules.horizon)}"


class CodingCartEnv(KernelEnv):
    """Single environment of `CodingCart`."""

    definition_class = CodingCart


class CodingCartVectorEnv(KernelVectorEnv):
    """Vector environment of `CodingCart`."""

    definition_class = CodingCart
