"""BairdStar: the counterexample on which off-policy temporal differences diverge (24)."""

from __future__ import annotations

import numpy as np

from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number
from envzoo.offline.finite_world import FiniteWorld, ModelOfWorld, single_outcomes

STATES = 7
DASHED, SOLID = 0, 1


class BairdStar(FiniteWorld):
    """Seven states and eight features on which off-policy temporal differences diverge.

    ## Description
    The star of Baird ("Residual algorithms", 1995), as in Sutton and Barto's book (example 11.1). Action 1 ("solid")
    leads to the centre, state 6, and action 0 ("dashed") to one of the six others. All rewards are 0, so every value
    is 0, which the features represent with weights of 0. The target policy always takes the solid action; a behaviour
    policy that takes the dashed one six times out of seven visits all states equally often. From weights (1, ..., 1,
    10, 1) semi-gradient temporal differences then diverge.

    ## Action space
    `Discrete(2)`: 0 dashed, 1 solid.

    ## Observation space
    `Discrete(7)`: the state.

    ## Reward
    Always 0.

    ## Info
    After every reset and step: `phi`, float64 (2, 8), the features of the state, the same for both actions: state i < 6
    has 2 at position i and 1 at position 7, state 6 has 1 at position 6 and 2 at position 7.

    ## Start of an episode
    Uniform over the seven states, or `reset(options={"start": state})`.

    ## End of an episode
    Never terminates; the registered id truncates after 50 steps. `env.unwrapped.model()` is the exact model.

    ## Arguments
    - `gamma` (0.99): discount factor, below 1.

    ## Registered ids
    - `envzoo/BairdStar-v0`
    """

    def __init__(self, gamma: float = 0.99) -> None:
        gamma = check_number("gamma", gamma, 0, 1 - 1e-9)
        p = np.zeros((STATES, 2, STATES))
        p[:, DASHED, : STATES - 1] = 1 / (STATES - 1)
        p[:, SOLID, STATES - 1] = 1.0
        phi = np.zeros((STATES, STATES + 1))
        phi[np.arange(STATES), np.arange(STATES)] = [2.0] * (STATES - 1) + [1.0]
        phi[:, STATES] = [1.0] * (STATES - 1) + [2.0]
        self.features = np.repeat(phi[:, None], 2, axis=1)
        first = np.full(STATES, 1 / STATES)
        outcomes = single_outcomes(p, np.zeros((STATES, 2)))
        self.set_up(*outcomes, gamma=gamma, first=first, features=self.features)


class BairdStarEnv(ModelOfWorld, KernelEnv):
    """Single environment of `BairdStar`."""

    definition_class = BairdStar


class BairdStarVectorEnv(ModelOfWorld, KernelVectorEnv):
    """Vector environment of `BairdStar`."""

    definition_class = BairdStar
