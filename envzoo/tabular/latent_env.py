"""Environments of latent worlds: the context is told at the end of each episode (paper 50)."""

from __future__ import annotations

from envzoo.tabular.latent_worlds import encoding_lock, permutation_lock, signal_world
from envzoo.tabular.random_worlds import random_lmdp
from envzoo.tabular.tabular_env import ModelEnv, ModelVectorEnv, Tabular


class LMDPPermutationLock(Tabular):
    """A lock whose key depends on a hidden context, which shows itself by the order of the first states.

    ## Description
    Each context visits the encoding states in an order of its own, whatever the actions; then an action chooses a leaf
    and an arm there wins with probability `base`, or base + gap if it is the key of the context. Who remembers the
    order plays one bandit for each context. Rebuilt from the lower bound of arXiv 2210.11604.
    `env.unwrapped.model()` returns the `LatentMDP`.

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete`: the encoding states, the waiting steps, root, leaves, good, bad, end.

    ## Reward
    1 in the state good; its mean is the probability of winning.

    ## Info
    `context`: the context after the last step, -1 before.

    ## Start of an episode
    A context drawn uniformly, in its first encoding state.

    ## End of an episode
    Terminates after encoding + pad + 3 steps.

    ## Arguments
    - `contexts` (2): number of contexts, at most the number of orders.
    - `encoding` (2): number of encoding states.
    - `leaves` (2): number of leaves, at most `actions`.
    - `actions` (3): number of actions.
    - `base` (0.4): probability of winning without the key.
    - `gap` (0.2): what the key adds.
    - `pad` (0): waiting steps before the root.
    - `world_seed` (0): seed of orders and keys.

    ## Registered ids
    - `envzoo/LMDPPermutationLock-v0`: the defaults above.
    """

    def __init__(
        self,
        contexts: int = 2,
        encoding: int = 2,
        leaves: int = 2,
        actions: int = 3,
        base: float = 0.4,
        gap: float = 0.2,
        pad: int = 0,
        world_seed: int = 0,
    ) -> None:
        super().__init__(permutation_lock(contexts, encoding, leaves, actions, base, gap, pad, world_seed))


class EncodeLMDP(Tabular):
    """A lock whose key depends on a hidden context, which spells its number in bits.

    ## Description
    As `LMDPPermutationLock`, with 2^bits contexts that show one bit after the other, and as many leaves as actions.
    `env.unwrapped.model()` returns the `LatentMDP`.

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete`: the start, two states for each bit, the waiting steps, root, leaves, good, bad, end.

    ## Reward
    1 in the state good; its mean is the probability of winning.

    ## Info
    `context`: the context after the last step, -1 before.

    ## Start of an episode
    A context drawn uniformly, in state 0.

    ## End of an episode
    Terminates after bits + pad + 4 steps.

    ## Arguments
    - `bits` (2): bits of the context.
    - `actions` (3): number of actions and leaves.
    - `base` (0.5): probability of winning without the key.
    - `gap` (0.3): what the key adds.
    - `pad` (0): waiting steps before the root.
    - `world_seed` (0): seed of the keys.

    ## Registered ids
    - `envzoo/EncodeLMDP-v0`: the defaults above.
    """

    def __init__(
        self,
        bits: int = 2,
        actions: int = 3,
        base: float = 0.5,
        gap: float = 0.3,
        pad: int = 0,
        world_seed: int = 0,
    ) -> None:
        super().__init__(encoding_lock(bits, actions, base, gap, pad, world_seed))


class LMDPSignal(Tabular):
    """A world with two hidden contexts in which a probe has to be made and remembered.

    ## Description
    In state 0 action 1 shows the context with some accuracy by leading to state 1 or 2, action 0 tosses a coin. Both
    lead to state 3, where the number of the context pays. With memory the best value is `accuracy`, without it 0.5.
    `env.unwrapped.model()` returns the `LatentMDP`.

    ## Action space
    `Discrete(2)`.

    ## Observation space
    `Discrete(5)`.

    ## Reward
    1 for the number of the context in state 3, otherwise 0.

    ## Info
    `context`: the context after the last step, -1 before.

    ## Start of an episode
    A context drawn uniformly, in state 0.

    ## End of an episode
    Terminates after three steps.

    ## Arguments
    - `accuracy` (0.9): of the probe, from 0.5 to 1.

    ## Registered ids
    - `envzoo/LMDPSignal-v0`: the defaults above.
    """

    def __init__(self, accuracy: float = 0.9) -> None:
        super().__init__(signal_world(accuracy))


class RandomLMDP(Tabular):
    """A random world with hidden contexts.

    ## Description
    `contexts` processes with Dirichlet laws and the same rewards, uniform on [0, 1 / horizon). The world is the same in
    all episodes. `env.unwrapped.model()` returns the `LatentMDP`.

    ## Action space
    `Discrete(actions)`.

    ## Observation space
    `Discrete(states)`.

    ## Reward
    That of the action in the state.

    ## Info
    `context`: the context after the last step, -1 before.

    ## Start of an episode
    A context drawn uniformly, and a state from its own law.

    ## End of an episode
    Terminates after `horizon` steps.

    ## Arguments
    - `contexts` (2): number of contexts.
    - `states` (3): number of states.
    - `actions` (2): number of actions.
    - `horizon` (4): number of steps.
    - `concentration` (0.3): parameter of the Dirichlet law.
    - `world_seed` (0): seed of the world.

    ## Registered ids
    - `envzoo/RandomLMDP-v0`: the defaults above.
    """

    def __init__(
        self,
        contexts: int = 2,
        states: int = 3,
        actions: int = 2,
        horizon: int = 4,
        concentration: float = 0.3,
        world_seed: int = 0,
    ) -> None:
        super().__init__(random_lmdp(contexts, states, actions, horizon, concentration=concentration, seed=world_seed))


class LMDPPermutationLockEnv(ModelEnv):
    """Single environment of `LMDPPermutationLock`."""

    definition_class = LMDPPermutationLock


class LMDPPermutationLockVectorEnv(ModelVectorEnv):
    """Vector environment of `LMDPPermutationLock`."""

    definition_class = LMDPPermutationLock


class EncodeLMDPEnv(ModelEnv):
    """Single environment of `EncodeLMDP`."""

    definition_class = EncodeLMDP


class EncodeLMDPVectorEnv(ModelVectorEnv):
    """Vector environment of `EncodeLMDP`."""

    definition_class = EncodeLMDP


class LMDPSignalEnv(ModelEnv):
    """Single environment of `LMDPSignal`."""

    definition_class = LMDPSignal


class LMDPSignalVectorEnv(ModelVectorEnv):
    """Vector environment of `LMDPSignal`."""

    definition_class = LMDPSignal


class RandomLMDPEnv(ModelEnv):
    """Single environment of `RandomLMDP`."""

    definition_class = RandomLMDP


class RandomLMDPVectorEnv(ModelVectorEnv):
    """Vector environment of `RandomLMDP`."""

    definition_class = RandomLMDP
