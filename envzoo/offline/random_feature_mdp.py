"""RandomFeatureMDP: a random finite world with random features that represent the value of a policy exactly (24)."""

from __future__ import annotations

import numpy as np

from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.offline.finite_world import FiniteWorld, ModelOfWorld, single_outcomes
from envzoo.offline.planning import policy_action_values
from envzoo.tabular import FiniteMDP

SUCCESSORS = 3  # states that an action can lead to


class RandomFeatureMDP(FiniteWorld):
    """A random finite world whose features represent the action values of a target policy, but not their backups.

    ## Description
    Each action leads to one of three random states with random probabilities; mean rewards are uniform on [0, 1]. The
    first feature is Q^pi of the target policy pi itself, the others are standard normal numbers. A linear function of
    the features so is realizable by construction, while Bellman backups of other functions leave the class. Designed
    for off-policy evaluation without Bellman completeness (Zanette, arXiv 2211.05311).

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete(states)`: the state.

    ## Reward
    The mean reward of state and action, plus normal noise of standard deviation `noise`.

    ## Info
    After every reset and step: `phi`, float64 (actions, dimensions), the features of the state with each action.

    ## Start of an episode
    Uniform over the states, or `reset(options={"start": state})`.

    ## End of an episode
    Never terminates; the registered id truncates after 50 steps. `env.unwrapped.model()` is the exact model;
    `env.unwrapped.definition` has `features`, the target `policy` (states, actions) and its `action_values`.

    ## Arguments
    - `states` (30), `actions` (2): sizes of the world.
    - `dimensions` (5): number of features, the first of which is Q^pi.
    - `gamma` (0.9): discount factor, below 1.
    - `noise` (0.5): standard deviation of the noise of the rewards.
    - `instance_seed` (0): seed of the world, its features and the target policy.

    ## Registered ids
    - `envzoo/RandomFeatureMDP-v0`
    """

    def __init__(
        self,
        states: int = 30,
        actions: int = 2,
        dimensions: int = 5,
        gamma: float = 0.9,
        noise: float = 0.5,
        instance_seed: int = 0,
    ) -> None:
        states = check_whole("states", states, 2, 300)
        actions = check_whole("actions", actions, 1, 20)
        dimensions = check_whole("dimensions", dimensions, 1, states * actions)
        gamma = check_number("gamma", gamma, 0, 1 - 1e-9)
        noise = check_number("noise", noise, 0)
        generator = np.random.default_rng(check_whole("instance_seed", instance_seed, 0))
        following = generator.integers(states, size=(states, actions, SUCCESSORS))
        shares = generator.dirichlet(np.ones(SUCCESSORS), size=(states, actions))
        p = np.zeros((states, actions, states))
        s, a = np.indices((states, actions))
        np.add.at(p, (s[..., None], a[..., None], following), shares)
        r = generator.random((states, actions))
        first = np.full(states, 1 / states)
        self.policy = generator.dirichlet(np.ones(actions), size=states)
        self.action_values = policy_action_values(FiniteMDP(p, r, gamma, first), self.policy)
        rest = generator.standard_normal((states, actions, dimensions - 1))
        self.features = np.concatenate([self.action_values[..., None], rest], axis=-1)
        self.set_up(*single_outcomes(p, r), gamma=gamma, first=first, noise=noise, features=self.features)


class RandomFeatureMDPEnv(ModelOfWorld, KernelEnv):
    """Single environment of `RandomFeatureMDP`."""

    definition_class = RandomFeatureMDP


class RandomFeatureMDPVectorEnv(ModelOfWorld, KernelVectorEnv):
    """Vector environment of `RandomFeatureMDP`."""

    definition_class = RandomFeatureMDP
