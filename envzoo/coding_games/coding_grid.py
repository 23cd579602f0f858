"""CodingGrid and CodingGridSmall: a message hidden in a walk on a grid (papers arXiv 2410.21666 and 2107.08295)."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.coding_games import picture
from envzoo.coding_games.coding_game import TEMPERATURE, CodingGame, State, WalkModel
from envzoo.coding_games.grid import ARROWS, NOISY_GRID, SMALL_GRID, GridLayout, grid_mdp
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel import drawing as art


class GridGame(CodingGame):
    """A coding game on a grid, which can be drawn; `layout` is set by its subclasses."""

    layout: GridLayout

    def draw(self, state: State) -> np.ndarray:
        """The grid with the path (goal green, trap red), beside it the receiver's belief as bars."""
        canvas = picture.canvas()
        layout = self.layout
        size = (picture.HEIGHT - 2 * picture.MARGIN) / max(layout.rows, layout.columns)

        def centre(index: int) -> tuple[float, float]:
            row, column = divmod(index, layout.columns)
            return picture.MARGIN + (column + 0.5) * size, picture.MARGIN + (row + 0.5) * size

        for index in range(layout.rows * layout.columns):
            cell = divmod(index, layout.columns)
            colour = art.GRID if layout.inside(cell) else art.MUTED
            if cell in layout.rewards:
                colour = art.GREEN if layout.rewards[cell] > 0 else art.RED
            x, y = centre(index)
            canvas.rectangle(x - size / 2 + 1, y - size / 2 + 1, x + size / 2 - 1, y + size / 2 - 1, colour)
            if cell in layout.rewards:
                canvas.text(x, y, f"{layout.rewards[cell]:+g}", art.PAPER, 14)
        path = [centre(index) for index in state.path[: int(state.time) + 1].tolist()]
        canvas.line(path, art.BLUE, 3)
        canvas.circle(*path[0], size * 0.28, art.BLUE, 2)
        canvas.disc(*path[-1], size * 0.26, art.ORANGE)
        picture.draw_belief(canvas, state, self.rules.sizes)
        return canvas.image()

    def describe(self, state: State) -> str:
        """The grid as text: A agent, S start, o path, # obstacle, G goal, X trap; then the likeliest messages."""
        layout = self.layout
        signs = np.full(layout.rows * layout.columns, ".")
        for cell in layout.obstacles:
            signs[layout.index(cell)] = "#"
        for cell, reward in layout.rewards.items():
            signs[layout.index(cell)] = "G" if reward > 0 else "X"
        signs[state.path[: int(state.time) + 1]] = "o"
        signs[state.path[0]] = "S"
        signs[int(state.position)] = "A"
        lines = [" ".join(row) for row in signs.reshape(layout.rows, layout.columns)]
        move = f"last move {ARROWS[int(state.action)]}" if state.time else "no move yet"
        return "\n".join([*lines, move, picture.text(state, self.rules.sizes, self.rules.horizon)])


class CodingGrid(GridGame):
    """A message is hidden in the steps of an agent that walks a slippery grid to its goal.

    ## Description
    A Markov coding game: the sender is given a message and walks an 8x8 grid; the receiver sees the walk, and guesses
    the message in the end. The goal in the upper right corner is worth 1, the trap below it -1; both end the walk, and
    a diagonal of obstacles stands between them and the rest. Every move slips to either side with probability `noise`.
    The carrier of the message is the maximum-entropy policy of the grid: which of several good steps it takes is
    random, and minimum entropy coupling lets the message decide in place of the dice, without changing how often each
    step is taken. The higher the temperature, the more the walk can tell, and the later it arrives. The game is that
    of Ebrahimi et al., "Minimum Entropy Coupling with Bottleneck", NeurIPS 2024, arXiv 2410.21666, who limit how many
    bits a step may carry; coding games were introduced by Sokota et al., "Communicating via Markov Decision
    Processes", ICML 2022, arXiv 2107.08295.

    ## Action space
    `Discrete(4)`, the sender's move. A move against a wall or an obstacle leaves the agent in its place.

    | action | move |
    |---|---|
    | 0 | up (row - 1) |
    | 1 | right (column + 1) |
    | 2 | down (row + 1) |
    | 3 | left (column - 1) |

    With `receiver="player"`, `MultiDiscrete([4, num_messages])`: the sender's move and the receiver's guess. The walk
    is then followed by one more step, in which the move is ignored and the guess counts; all guesses before it are
    ignored.

    ## Observation space
    `Dict`: `state`, `Discrete(64)`, the cell (row * 8 + column); `message`, `Discrete(num_messages)` (`MultiDiscrete`
    for messages of several blocks). With `receiver="player"` also what the receiver sees beside the state: `previous`,
    the state before; `action`, `Discrete(5)`, the sender's latest move, 4 before the first; `guessing`, `Discrete(2)`,
    whether the guess is due. A learner of both players must keep the message from the receiver. With `belief=True`
    also `belief`, `Box(0, 1)`: the receiver's belief over messages.

    ## Reward
    1 at the goal, -1 in the trap, and with the last reward `message_priority` if the guess is right (with
    `receiver="player"` in the step of the guess). It is not discounted.

    ## Info
    After every reset and step: `correct`, whether the guess is right; `guess`; `message`; `discounted_return`, the sum
    of discount^(t + 1) times the grid's reward of move t, without the message's; `belief_entropy`, bits that the
    receiver still lacks by its belief; `rate_limit`, bits that a step's code may carry; `action_mask`, int8 (4,), the
    actions that are available (here all).

    ## The receiver
    With `receiver="bayes"` the guess is the most likely message under the receiver's belief, of equally likely ones
    the first. The belief starts at the prior, and every action changes it by Bayes' rule with the likelihoods of the
    `convention`: it takes the sender for one that couples as the arguments say. An action that the convention rules out
    for every message leaves the belief as it is. So a sender that keeps to the convention is understood as well as can
    be; another one may choose its actions such that the receiver hears what it should.

    ## Start of an episode
    The cell in row 5 and column 4, a message from the prior; or as asked for by
    `reset(options={"message": ..., "state": ...})`, each a number or an array with one for each episode.

    ## End of an episode
    Terminates in the goal, in the trap, or after `horizon` moves. That is part of the game and no time limit laid over
    it: the guess is due then, and nothing can be earned after it.

    ## Arguments
    - `num_messages` (64): number of messages; a list makes messages of several blocks, of which the convention hides
      the one with the largest entropy in each step.
    - `message_priority` (1.0): reward of a right guess.
    - `noise` (0.1): probability of slipping to each side.
    - `rate` (1.0): what share of the prior's entropy a step's code may carry; from 1 on there is no code.
    - `encoder` ("ebim"): how messages are coded at rates below 1: "ebim" (greedy entropy-bounded information
      maximisation), "quantizer" (blocks of neighbouring messages), "none".
    - `temperature` (exp(-6)): temperature of the carrier.
    - `horizon` (200): most moves.
    - `discount` (0.95): of the grid, for the carrier and `discounted_return`.
    - `prior` (None): probabilities of the messages (a list of them for several blocks); None for uniform.
    - `policy` (None): another carrier, probabilities (64, 4).
    - `receiver` ("bayes"): "bayes" or "player".
    - `convention` ("coupling"): "coupling"; an array (64, num_messages, 4) with the probabilities of actions given
      state and message; or "none", for a playing receiver: the belief stays at the prior, which saves time.
    - `belief` (False): whether the observation holds the belief.

    ## Registered ids
    - `envzoo/CodingGrid-v0`: the defaults above.

    The same game for two players in PettingZoo's form is `envzoo.coding_games.coding_grid_v0`.
    """

    layout = NOISY_GRID

    def __init__(
        self,
        num_messages: int | list[int] = 64,
        message_priority: float = 1.0,
        noise: float = 0.1,
        rate: float = 1.0,
        encoder: str = "ebim",
        temperature: float = TEMPERATURE,
        horizon: int = 200,
        discount: float = 0.95,
        prior: Any = None,
        policy: np.ndarray | None = None,
        receiver: str = "bayes",
        convention: Any = "coupling",
        belief: bool = False,
    ) -> None:
        super().__init__(
            grid_mdp(self.layout, noise, discount),
            num_messages=num_messages,
            message_priority=message_priority,
            prior=prior,
            rate=rate,
            encoder=encoder,
            temperature=temperature,
            policy=policy,
            horizon=horizon,
            receiver=receiver,
            convention=convention,
            belief=belief,
        )


class CodingGridSmall(GridGame):
    """A message is hidden in the steps of an agent that walks a small grid from corner to corner.

    ## Description
    The Markov coding game of Sokota et al., "Communicating via Markov Decision Processes", ICML 2022, arXiv 2107.08295,
    on a 4x4 grid: the sender walks from the upper left corner to the lower right one, which is worth 1, and has 8 moves
    for the 6 that it takes. Of the shortest paths there are 20, so that 20 messages can be told without a detour. All
    else is as in `envzoo/CodingGrid-v0`.

    ## Action space
    `Discrete(4)`: 0 up, 1 right, 2 down, 3 left. Moves against a wall are not available: the carrier never makes them
    and `info["action_mask"]` leaves them out; whoever makes one all the same stays in place. With `receiver="player"`,
    `MultiDiscrete([4, num_messages])`: the sender's move and the receiver's guess, which counts in one more step after
    the walk.

    ## Observation space
    `Dict`: `state`, `Discrete(16)`, the cell (row * 4 + column); `message`, `Discrete(num_messages)`; with
    `receiver="player"` also `previous`, `action` and `guessing`, and with `belief=True` also `belief`, as in
    `envzoo/CodingGrid-v0`.

    ## Reward
    1 at the goal, and with the last reward `message_priority` if the guess is right (with `receiver="player"` in the
    step of the guess). It is not discounted.

    ## Info
    As in `envzoo/CodingGrid-v0`.

    ## Start of an episode
    Cell 0, a message from the prior; or as asked for by `reset(options={"message": ..., "state": ...})`.

    ## End of an episode
    Terminates at the goal, or after `horizon` moves: the guess is due then, and nothing can be earned after it.

    ## Arguments
    - `num_messages` (16): number of messages, or of each block's values.
    - `horizon` (8): most moves. The carrier does not know of it: it is the stationary policy of the endless walk.
    - `noise` (0.0): probability of slipping to each side.
    - `message_priority` (1.0), `rate` (1.0), `encoder` ("ebim"), `temperature` (exp(-6)), `discount` (0.95), `prior`
      (None), `policy` (None), `receiver` ("bayes"), `convention` ("coupling"), `belief` (False): as in
      `envzoo/CodingGrid-v0`.

    ## Registered ids
    - `envzoo/CodingGridSmall-v0`: the defaults above.

    The same game for two players in PettingZoo's form is `envzoo.coding_games.coding_grid_small_v0`.
    """

    layout = SMALL_GRID

    def __init__(
        self,
        num_messages: int | list[int] = 16,
        message_priority: float = 1.0,
        noise: float = 0.0,
        rate: float = 1.0,
        encoder: str = "ebim",
        temperature: float = TEMPERATURE,
        horizon: int = 8,
        discount: float = 0.95,
        prior: Any = None,
        policy: np.ndarray | None = None,
        receiver: str = "bayes",
        convention: Any = "coupling",
        belief: bool = False,
    ) -> None:
        super().__init__(
            grid_mdp(self.layout, noise, discount, walls_available=False),
            num_messages=num_messages,
            message_priority=message_priority,
            prior=prior,
            rate=rate,
            encoder=encoder,
            temperature=temperature,
            policy=policy,
            horizon=horizon,
            receiver=receiver,
            convention=convention,
            belief=belief,
        )


class CodingGridEnv(WalkModel, KernelEnv):
    """The single face of `CodingGrid`."""

    definition_class = CodingGrid


class CodingGridVectorEnv(WalkModel, KernelVectorEnv):
    """The vector face of `CodingGrid`."""

    definition_class = CodingGrid


class CodingGridSmallEnv(WalkModel, KernelEnv):
    """The single face of `CodingGridSmall`."""

    definition_class = CodingGridSmall


class CodingGridSmallVectorEnv(WalkModel, KernelVectorEnv):
    """The vector face of `CodingGridSmall`."""

    definition_class = CodingGridSmall
