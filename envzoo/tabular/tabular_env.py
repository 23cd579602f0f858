"""TabularEnv: any finite world as a Gymnasium environment, single and vector."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import read_array
from envzoo.sizes import check_bytes
from envzoo.tabular import tabular_kernels as kernels
from envzoo.tabular.alias import alias_table
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.finite_pomdp import FinitePOMDP
from envzoo.tabular.latent_mdp import LatentMDP
from envzoo.tabular.outcomes import Outcomes, outcomes_of_tables
from envzoo.tabular.tabular_kernels import NO_HORIZON, Parameters, State

Model = FiniteMDP | FinitePOMDP | LatentMDP
SHOWN, MOST_ROWS = 16, 64  # states per row of the picture, and its rows
CELL, STRIP = 22, 26  # pixels


class Options(NamedTuple):
    """Reset options of every episode."""

    state: np.ndarray  # int64 (num_envs,), the first latent state, -1 to draw it


class Mask(NamedTuple):
    """Infos of worlds in which not every action is always available."""

    action_mask: Any


class Hindsight(NamedTuple):
    """Infos of latent processes."""

    context: Any


class Tabular(Definition):
    """A finite world given as arrays.

    ## Description
    Episodes of a `FiniteMDP`, a `FinitePOMDP` or a `LatentMDP`, sampled from the exact joint law of next state, reward
    and end. Rows are sampled by the alias method, so that a step takes the same time for 4 and for 4,000 successors.
    `env.unwrapped.model()` returns the model itself, from which planners compute what agents have to learn:
    `TabularEnv(read_mdp("FrozenLake-v1"))` is FrozenLake with its tables exposed.

    ## Action space
    `Discrete(A)`. An action that is not available in a state has no effect and pays 0; `info["action_mask"]` then
    tells which are.

    ## Observation space
    `Discrete(S)`, the state; of a `FinitePOMDP` `Discrete(O)`, what the state shows; of a `LatentMDP` the state without
    the context.

    ## Reward
    That of the model. The discount is not applied.

    ## Info
    `action_mask` if some action is not available in some state. Of a `LatentMDP`: `context`, the context of the episode
    after its last step, -1 before.

    ## Start of an episode
    From the model's initial law, or in the state of the reset option `state` (of a `LatentMDP`: context * S + state).

    ## End of an episode
    Terminates as the model says, and after `horizon` steps if the model has a horizon: its end is part of the world
    (nothing can be earned after it), while a time limit truncates.

    ## Arguments
    - `model`: the world.
    """

    columns: int | None = None  # cells per row of the picture; None for a default

    def __init__(self, model: Model) -> None:
        self.model = model
        outcomes, initial, emission, contexts = self._parts(model)
        states, actions, most = outcomes.probability.shape
        check_bytes(outcomes.probability.size * 24, f"alias tables of {states} states and {actions} actions")
        threshold, alias = alias_table(outcomes.probability.reshape(-1, most))
        pays = outcomes.reward.reshape(-1, most)
        if (pays == pays[:, :1]).all():
            pays = pays[:, :1]
        to = outcomes.next_state.reshape(-1, most)
        to = np.where(outcomes.ends.reshape(-1, most), -1 - to, to).astype(np.int32)
        symbols, shows = self._shown(emission)
        restricted = isinstance(model, FiniteMDP) and not model.available.all()
        available = model.available if restricted else np.ones((1, actions), np.bool_)
        self.parameters = Parameters(
            actions,
            NO_HORIZON if model.horizon is None else model.horizon,
            *kernels.pack(threshold, alias, to),
            alias if pays.shape[1] > 1 else alias[:1, :1].copy(),
            np.ascontiguousarray(pays),
            *self._start_table(initial),
            *alias_table(shows),
            symbols,
            np.zeros(0) if not isinstance(model, FinitePOMDP) else model.reward,
            contexts,
            np.ascontiguousarray(available),
        )
        shown = emission.shape[1] if emission.ndim == 2 else int(emission.max()) + 1
        self.num_latent = states
        self.observation_space, self.action_space = spaces.Discrete(shown), spaces.Discrete(actions)
        self.state = State(latent=np.int64, symbol=np.int64, time=np.int64)
        self.infos: tuple = ()
        reset, step = kernels.reset, kernels.step
        if restricted:
            self.infos = Mask((np.bool_, (actions,)))
            reset, step = kernels.reset_masked, kernels.step_masked
        elif isinstance(model, LatentMDP):
            self.infos = Hindsight(np.int64)
            reset, step = kernels.reset_latent, kernels.step_latent
        self.kernels = Kernels(reset, step, kernels.observe)
        last = model.horizon or 0  # without a horizon steps are not counted
        self.limits = {"latent": (0, states - 1), "symbol": (0, shown - 1), "time": (0, last)}
        self.running_limits = {"time": (0, max(last - 1, 0))}
        self.option_names = ("state",)

    @staticmethod
    def _parts(model: Any) -> tuple[Outcomes, np.ndarray, np.ndarray, np.ndarray]:
        """Return outcomes, initial law, emissions ((X, O) laws or (X,) symbols) and the contexts of latent states."""
        nothing = np.zeros(0, np.int64)
        if isinstance(model, FiniteMDP):
            return model.joint, model.initial, np.arange(model.num_states), nothing
        if isinstance(model, FinitePOMDP):
            outcomes = outcomes_of_tables(model.p, np.zeros(model.p.shape), model.terminal)
            return outcomes, model.initial, model.emission, nothing
        if isinstance(model, LatentMDP):
            whole, states = model.joint_mdp(), model.num_states
            numbers = np.arange(whole.num_states)
            return whole.joint, whole.initial, numbers % states, numbers // states
        raise EnvzooError(f"model is a {type(model).__name__}; expected a FiniteMDP, FinitePOMDP or LatentMDP")

    @staticmethod
    def _start_table(initial: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        possible = np.flatnonzero(initial)
        threshold, alias = alias_table(initial[possible][None] / initial[possible].sum())
        return possible, threshold, alias

    @staticmethod
    def _shown(emission: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the symbols (X, K) that states can show, and their probabilities."""
        if emission.ndim == 1:
            return emission[:, None].astype(np.int64), np.ones((len(emission), 1))
        most = int((emission > 0).sum(axis=1).max())
        symbols = np.argsort(emission <= 0, axis=1, kind="stable")[:, :most]
        return symbols, np.take_along_axis(emission, symbols, axis=1)

    def options(self, given: Any, num_envs: int) -> Options:
        """Read the reset option `state`: one latent state, or one for each episode."""
        if "state" not in given:
            return Options(np.full(num_envs, -1, np.int64))
        state = read_array("reset option state", given["state"])
        if (
            state.dtype.kind not in "iu"
            or state.shape not in ((), (num_envs,))
            or not ((state >= 0) & (state < self.num_latent)).all()
        ):
            raise EnvzooError(
                f"reset option state is not usable; expected a state from 0 to {self.num_latent - 1}, or an array of "
                f"{num_envs}"
            )
        terminal = getattr(self.model, "terminal", None)
        if terminal is not None and terminal[state].any():
            first = int(np.atleast_1d(state)[np.atleast_1d(terminal[state])][0])
            raise EnvzooError(
                f"reset option state is {first}, which is terminal; expected a state in which a step can be taken"
            )
        return Options(np.broadcast_to(state, num_envs).astype(np.int64))

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw a cell for each observation, the present one marked, and the number of steps below."""
        count = int(self.observation_space.n)
        columns = self.columns or min(count, SHOWN)
        rows = min(-(-count // columns), MOST_ROWS)
        canvas = art.Canvas(max(columns * CELL, 8 * CELL), rows * CELL + STRIP, art.PAPER)
        for cell in range(min(count, rows * columns)):
            x, y = cell % columns * CELL, cell // columns * CELL
            canvas.rectangle(x + 1, y + 1, x + CELL - 1, y + CELL - 1, art.RED if cell == state.symbol else art.GRID)
        canvas.text(6, rows * CELL + STRIP / 2, self.describe(state), art.INK, 11, anchor="lm")
        return canvas.image()

    def describe(self, state: State) -> str:
        """Name the present observation and the number of steps."""
        return f"observation {int(state.symbol)}, step {int(state.time)}"


class ModelEnv(KernelEnv):
    """A single environment that knows its finite model."""

    def model(self) -> Model:
        """Return the exact model of the world."""
        return self.definition.model


class ModelVectorEnv(KernelVectorEnv):
    """A vector environment that knows its finite model."""

    def model(self) -> Model:
        """Return the exact model of the world."""
        return self.definition.model


class TabularEnv(ModelEnv):
    """Single environment of a finite world: `TabularEnv(model)`; see `Tabular`."""

    definition_class = Tabular

    def __init__(self, model: Model, **kwargs: Any) -> None:
        super().__init__(model=model, **kwargs)


class TabularVectorEnv(ModelVectorEnv):
    """Vector environment of a finite world: `TabularVectorEnv(model, num_envs)`; see `Tabular`."""

    definition_class = Tabular

    def __init__(self, model: Model, num_envs: int = 1, **kwargs: Any) -> None:
        super().__init__(num_envs, model=model, **kwargs)
