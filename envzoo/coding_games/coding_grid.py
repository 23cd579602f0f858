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
    """A coding game on a grid, with rendering; subclasses set `layout`."""

    layout: GridLayout

    def draw(self, state: State) -> np.ndarray:
        """Draw the grid with the path (goal green, trap red), and the receiver's belief as bars beside it."""
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
        """Show the grid as text: A agent, S start, o path, # obstacle, G goal, X trap; then the likeliest messages."""
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
    """Hide a message in the moves of an agent that walks a slippery grid to a goal.

    ## Description
    A Markov coding game: the sender is given a message and walks an 8x8 grid; the receiver sees the walk and guesses
    the message at the end. Entering the goal in the upper right corner gives 1, the trap below it -1; both end the
    episode, and a diagonal of obstacles separates them from the rest of the grid. Every move slips to either side with
    probability `noise`. The carrier of the message is the maximum-entropy policy of the grid: it chooses at random
    among several good moves, and minimum entropy coupling lets the message determine these choices without changing the
    frequency of any move. The higher the temperature, the more information the walk can carry, and the longer it takes.
    The game is from Ebrahimi et al., "Minimum Entropy Coupling with Bottleneck", NeurIPS 2024, arXiv 2410.21666, who
    limit the number of bits per step; coding games were introduced by Sokota et al., "Communicating via Markov Decision
    Processes", ICML 2022, arXiv 2107.08295.

    ## Action space
    `Discrete(4)`, the sender's move. A move into a wall or an obstacle leaves the agent in place.

    | action | move |
    |---|---|
    | 0 | up (row - 1) |
    | 1 | right (column + 1) |
    | 2 | down (row + 1) |
    | 3 | left (column - 1) |

    With `receiver="player"`, `MultiDiscrete([4, num_messages])`: the sender's move and the receiver's guess. One
    additional step then follows the last move: its move is ignored and its guess counts; all earlier guesses are
    ignored.

    ## Observation space
    `Dict`: `state`, `Discrete(64)`, the cell (row * 8 + column); `message`, `Discrete(num_messages)` (`MultiDiscrete`
    for messages of several blocks). With `receiver="player"` also the rest of the receiver's observation: `previous`,
    the previous state; `action`, `Discrete(5)`, the sender's last move, 4 before the first; `guessing`, `Discrete(2)`,
    whether the guess is due. A learner that controls both players must hide the message from the receiver. With
    `belief=True` also `belief`, `Box(0, 1)`: the receiver's belief over messages.

    ## Reward
    1 at the goal, -1 in the trap, with `message_priority` added to the last reward if the guess is right (with
    `receiver="player"` in the step of the guess). The reward is not discounted.

    ## Info
    After every reset and step: `correct`, whether the guess is right; `guess`; `message`; `discounted_return`, the sum
    over moves t of discount^(t + 1) times the grid's reward, without that of the message; `belief_entropy`, the entropy
    in bits of the receiver's belief; `rate_limit`, the largest number of bits that the code of a step may carry;
    `action_mask`, int8 (4,), the available actions (here all).

    ## The receiver
    With `receiver="bayes"` the guess is the most likely message under the receiver's belief, or the first of several
    equally likely ones. The belief starts at the prior and is updated after every action by Bayes' rule with the
    likelihoods of the `convention`, which assumes that the sender couples as the arguments specify. An action that the
    convention rules out for every message does not change the belief. A sender that follows the convention is therefore
    decoded as well as possible; another sender can choose its actions so that the receiver decodes the right message.

    ## The carrier
    The carrier maximises the discounted return plus `temperature` times the entropy of its moves. Soft value iteration
    runs until it has converged, and no entropy is earned after the end. The released code of arXiv 2410.21666 makes 100
    backups and earns temperature * log(4) with entering the goal or the trap, as it keeps four equal action values
    there. Arriving is worth more then: at the temperature exp(-4) the expected discounted return is 0.092, against
    0.082 here; from exp(-6) down the two are the same to four digits. `official_carrier=True` takes that carrier.

    ## Start of an episode
    The cell in row 5 and column 4 and a message from the prior, unless given by
    `reset(options={"message": ..., "state": ...})`, each a number or an array with one value per episode.

    ## End of an episode
    Terminates at the goal, in the trap, or after `horizon` moves. The horizon is part of the game rather than an
    external time limit: the guess is due then, and no further reward is possible.

    ## Arguments
    - `num_messages` (64): number of messages; a list makes messages of several blocks, of which the convention hides
    the one with the largest entropy in each step.
    - `message_priority` (1.0): reward of a right guess.
    - `noise` (0.1): probability of slipping to each side.
    - `rate` (1.0): fraction of the prior's entropy that the code of a step may carry; at 1 and above there is no code.
    - `encoder` ("ebim"): how messages are encoded at rates below 1: "ebim" (greedy entropy-bounded information
    maximisation), "quantizer" (blocks of neighbouring messages), "none".
    - `temperature` (exp(-6)): temperature of the carrier.
    - `horizon` (200): largest number of moves.
    - `discount` (0.95): discount factor of the grid, for the carrier and `discounted_return`.
    - `prior` (None): probabilities of the messages (a list of them for several blocks); None for uniform.
    - `policy` (None): another carrier, probabilities (64, 4).
    - `receiver` ("bayes"): "bayes" or "player".
    - `convention` ("coupling"): "coupling"; an array (64, num_messages, 4) with the probabilities of actions given
      state and message; or "none", for a playing receiver: the belief stays at the prior, which saves time.
    - `belief` (False): whether the observation includes the belief.
    - `official_carrier` (False): compute the carrier as the released code does, see The carrier.

    ## Registered ids
    - `envzoo/CodingGrid-v0`: the defaults above.

    The two-player version for PettingZoo is `envzoo.coding_games.coding_grid_v0`.
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
        official_carrier: bool = False,
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
            official_carrier=official_carrier,
        )


class CodingGridSmall(GridGame):
    """Hide a message in the moves of an agent that walks between opposite corners of a small grid.

    ## Description
    The Markov coding game of Sokota et al., "Communicating via Markov Decision Processes", ICML 2022, arXiv 2107.08295,
    on a 4x4 grid: the sender walks from the upper left corner to the lower right one, which gives 1, and has 8 moves
    for a walk of at least 6. There are 20 shortest paths, so 20 messages can be sent without a detour. Everything else
    is as in `envzoo/CodingGrid-v0`.

    ## Action space
    `Discrete(4)`: 0 up, 1 right, 2 down, 3 left. Moves into a wall are unavailable: the carrier never makes them and
    `info["action_mask"]` excludes them; if made anyway, the agent stays in place. With `receiver="player"`,
    `MultiDiscrete([4, num_messages])`: the sender's move and the receiver's guess, which counts in one additional step
    after the last move.

    ## Observation space
    `Dict`: `state`, `Discrete(16)`, the cell (row * 4 + column); `message`, `Discrete(num_messages)`; with
    `receiver="player"` also `previous`, `action` and `guessing`, and with `belief=True` also `belief`, as in
    `envzoo/CodingGrid-v0`.

    ## Reward
    1 at the goal, with `message_priority` added to the last reward if the guess is right (with `receiver="player"` in
    the step of the guess). The reward is not discounted.

    ## Info
    As in `envzoo/CodingGrid-v0`.

    ## Start of an episode
    Cell 0 and a message from the prior, unless given by `reset(options={"message": ..., "state": ...})`.

    ## End of an episode
    Terminates at the goal, or after `horizon` moves: the guess is due then, and no further reward is possible.

    ## Arguments
    - `num_messages` (16): number of messages, or of the values of each block.
    - `horizon` (8): largest number of moves. The carrier ignores it: it is the stationary policy of the
    infinite-horizon problem.
    - `noise` (0.0): probability of slipping to each side.
    - `message_priority` (1.0), `rate` (1.0), `encoder` ("ebim"), `temperature` (exp(-6)), `discount` (0.95), `prior`
      (None), `policy` (None), `receiver` ("bayes"), `convention` ("coupling"), `belief` (False), `official_carrier`
      (False): as in `envzoo/CodingGrid-v0`.

    ## Registered ids
    - `envzoo/CodingGridSmall-v0`: the defaults above.

    The two-player version for PettingZoo is `envzoo.coding_games.coding_grid_small_v0`.
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
        official_carrier: bool = False,
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
            official_carrier=official_carrier,
        )


class CodingGridEnv(WalkModel, KernelEnv):
    """Single environment of `CodingGrid`."""

    definition_class = CodingGrid


class CodingGridVectorEnv(WalkModel, KernelVectorEnv):
    """Vector environment of `CodingGrid`."""

    definition_class = CodingGrid


class CodingGridSmallEnv(WalkModel, KernelEnv):
    """Single environment of `CodingGridSmall`."""

    definition_class = CodingGridSmall


class CodingGridSmallVectorEnv(WalkModel, KernelVectorEnv):
    """Vector environment of `CodingGridSmall`."""

    definition_class = CodingGridSmall
