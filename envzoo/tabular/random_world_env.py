"""RandomMDP: a random finite world whose tables are known (Garnet worlds of Archibald et al., 1995)."""

from __future__ import annotations

from envzoo.tabular.random_worlds import random_mdp
from envzoo.tabular.tabular_env import ModelEnv, ModelVectorEnv, Tabular


class RandomMDP(Tabular):
    """A random finite world whose tables are known.

    ## Description
    Every action of every state leads to `successors` distinct random states, with Dirichlet probabilities, and has a
    reward uniform on [0, 1). The world is the same in all episodes; `world_seed` chooses it. `env.unwrapped.model()`
    returns its tables, from which the planners of `envzoo.agents.planners.tabular` compute the optimum exactly.

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete(states)`.

    ## Reward
    That of the action in the state.

    ## Start of an episode
    In state 0, or in the state of the reset option `state`.

    ## End of an episode
    Terminates after `horizon` steps; truncated only by a time limit of the user.

    ## Arguments
    - `states` (10): number of states.
    - `actions` (4): number of actions.
    - `successors` (3): states that an action can lead to; None for all.
    - `concentration` (1.0): parameter of the Dirichlet law; small values give nearly deterministic moves.
    - `horizon` (20): number of steps of an episode; None for no end.
    - `world_seed` (0): seed of the world.

    ## Registered ids
    - `envzoo/RandomMDP-v0`: the defaults above.
    """

    def __init__(
        self,
        states: int = 10,
        actions: int = 4,
        successors: int | None = 3,
        concentration: float = 1.0,
        horizon: int | None = 20,
        world_seed: int = 0,
    ) -> None:
        model = random_mdp(
            states,
            actions,
            successors=successors,
            concentration=concentration,
            gamma=1.0,
            seed=world_seed,
            horizon=horizon,
        )
        super().__init__(model)


class RandomMDPEnv(ModelEnv):
    """Single environment of `RandomMDP`."""

    definition_class = RandomMDP


class RandomMDPVectorEnv(ModelVectorEnv):
    """Vector environment of `RandomMDP`."""

    definition_class = RandomMDP
