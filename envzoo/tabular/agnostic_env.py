"""Environments of agnostic reinforcement learning: worlds that bring a class of policies (paper 36)."""

from __future__ import annotations

from envzoo.tabular import agnostic_worlds as worlds
from envzoo.tabular.policy_class import PolicyProblem
from envzoo.tabular.tabular_env import ModelEnv, ModelVectorEnv, Tabular


class Agnostic(Tabular):
    """Base of finite worlds that bring a class of policies.

    Attributes:
        problem: Layers, policies and covering laws.
    """

    problem: PolicyProblem

    def __init__(self, world: worlds.World) -> None:
        self.problem = world.problem
        super().__init__(world.model)


class AgnosticEnv(ModelEnv):
    """A single environment that knows its class of policies."""

    def problem(self) -> PolicyProblem:
        """Return layers, policies and covering laws of the world."""
        return self.definition.problem


class AgnosticVectorEnv(ModelVectorEnv):
    """A vector environment that knows its class of policies."""

    def problem(self) -> PolicyProblem:
        """Return layers, policies and covering laws of the world."""
        return self.definition.problem


class SingletonRich(Agnostic):
    """A layered world with many states, and policies that deviate in one of them.

    ## Description
    Each of `layers` layers has `states` states; moves are drawn from a Dirichlet law of small concentration. The class
    of policies (`env.unwrapped.problem().policies`) has one that always takes action 0, and for every state one that
    takes action 1 there and 0 elsewhere. Though there are hundreds of policies and 2^H sequences of actions, at layer h
    the class only ever reaches h + 1 pairs of state and action of a deterministic world (its spanning capacity,
    arXiv 2310.06113), so that all policies can be evaluated from one batch of episodes. `env.unwrapped.model()` returns
    the exact tables.

    ## Action space
    `Discrete(2)`.

    ## Observation space
    `Discrete(layers * states)`: layer * states + the state within the layer.

    ## Reward
    A mean reward drawn uniformly from [0, 1 / layers), or with `bernoulli` a coin with this mean; action 1 in one state
    pays `planted` more.

    ## Start of an episode
    In state 0.

    ## End of an episode
    Terminates with the last layer.

    ## Arguments
    - `layers` (10): number of layers, the length of an episode.
    - `states` (50): states of each layer.
    - `concentration` (0.1): parameter of the Dirichlet law.
    - `bernoulli` (False): rewards are coins.
    - `planted` (0.0): added to the reward of action 1 in the state of layer (layers - 1) // 2, counted from 0, that the
    policy 0 visits most often. With it one policy is clearly the best.
    - `world_seed` (0): seed of the world.

    ## Registered ids
    - `envzoo/SingletonRich-v0`: the defaults above.
    """

    def __init__(
        self,
        layers: int = 10,
        states: int = 50,
        concentration: float = 0.1,
        bernoulli: bool = False,
        planted: float = 0.0,
        world_seed: int = 0,
    ) -> None:
        super().__init__(worlds.singleton_rich(layers, states, concentration, bool(bernoulli), planted, world_seed))
        self.columns = min(int(states), 50)


class SingletonRichEnv(AgnosticEnv):
    """Single environment of `SingletonRich`."""

    definition_class = SingletonRich


class SingletonRichVectorEnv(AgnosticVectorEnv):
    """Vector environment of `SingletonRich`."""

    definition_class = SingletonRich


class AgnosticTree(Agnostic):
    """A binary tree of coins, one of them better, and random policies of which one comes there.

    ## Description
    A sequence of `depth` actions leads to one of 2^depth leaves, each a coin. One leaf pays with probability 1/2 + gap.
    The class of policies (`env.unwrapped.problem().policies`) are random maps from nodes to actions, one of which comes
    to the good leaf. Who competes with the class has to compare as many leaves as there are policies; who looks for
    the best sequence has to compare 2^depth. `env.unwrapped.model()` returns the exact tables.

    ## Action space
    `Discrete(2)`: left and right.

    ## Observation space
    `Discrete(2**depth - 1)`: the node; the children of node i are 2 i + 1 and 2 i + 2.

    ## Reward
    The coin of the leaf, 0 before.

    ## Start of an episode
    At the root, node 0.

    ## End of an episode
    Terminates with a leaf, after `depth` steps.

    ## Arguments
    - `depth` (6): length of an episode.
    - `policies` (16): size of the class.
    - `gap` (0.2): excess probability of the good leaf, in [0, 0.5].
    - `world_seed` (0): seed of the policies and of which of them is the best.

    ## Registered ids
    - `envzoo/AgnosticTree-v0`: the defaults above.
    """

    def __init__(self, depth: int = 6, policies: int = 16, gap: float = 0.2, world_seed: int = 0) -> None:
        super().__init__(worlds.agnostic_tree(depth, policies, gap, world_seed))


class AgnosticTreeEnv(AgnosticEnv):
    """Single environment of `AgnosticTree`."""

    definition_class = AgnosticTree


class AgnosticTreeVectorEnv(AgnosticVectorEnv):
    """Vector environment of `AgnosticTree`."""

    definition_class = AgnosticTree


class PSDPTrap(Agnostic):
    """A chain of gadgets in which the best policy of two is not the best continuation.

    ## Description
    Action 0 leads to x and action 1 to y. In x the actions pay 1 and 0.6, in y 0 and 0.6. The class has two policies:
    always 0, with value 1, and always 1, with value 0.6. Policy search by dynamic programming compares them at the
    second step from a covering law over x and y; with weight 1/2 on each it finds 0.5 for the first and 0.6 for the
    second, keeps the second and ends at 0.6, however many episodes it has: without policy completeness it fails. With
    all maps from states to actions it succeeds. `env.unwrapped.model()` returns the exact tables.

    ## Action space
    `Discrete(2)`.

    ## Observation space
    `Discrete(3 * gadgets)`: for each gadget its first state, x and y.

    ## Reward
    In x and y as above, divided by the number of gadgets; 0 in first states.

    ## Start of an episode
    In state 0.

    ## End of an episode
    Terminates after the last gadget, after 2 * gadgets steps.

    ## Arguments
    - `gadgets` (1): length of the chain.
    - `weight` (0.5): probability of x under the covering law; y has the rest.

    ## Registered ids
    - `envzoo/PSDPTrap-v0`: the defaults above.
    """

    def __init__(self, gadgets: int = 1, weight: float = 0.5) -> None:
        super().__init__(worlds.psdp_trap(gadgets, weight))
        self.columns = 3


class PSDPTrapEnv(AgnosticEnv):
    """Single environment of `PSDPTrap`."""

    definition_class = PSDPTrap


class PSDPTrapVectorEnv(AgnosticVectorEnv):
    """Vector environment of `PSDPTrap`."""

    definition_class = PSDPTrap


class BlockComboLock(Agnostic):
    """A combination lock whose latent state is shown by one of many observations (a block MDP).

    ## Description
    Each layer has two good latent states and a dead one. In a good state the right action leads to one of the next good
    states, with even chances; the wrong action leads to the dead one, for good. The agent sees one of `block`
    observations of the latent state, and with `exogenous` above 1 also the state of a random walk on a ring that no
    action changes (an exogenous block MDP). The class of policies (`env.unwrapped.problem().policies`) depends on the
    latent state only and contains the best policy. `env.unwrapped.model()` returns the exact tables over observations.

    ## Action space
    `Discrete(2)`.

    ## Observation space
    `Discrete(layers * 3 * exogenous * block)`: layer, latent state (2 is dead), state of the walk, and index within the
    block.

    ## Reward
    1 for the right action in a good state of the last layer, otherwise 0.

    ## Start of an episode
    In the first good state, with a random observation.

    ## End of an episode
    Terminates with the last layer.

    ## Arguments
    - `layers` (6): length of an episode.
    - `block` (64): observations of each latent state; 8 for the exogenous variant.
    - `exogenous` (1): states of the random walk; 8 for the exogenous variant.
    - `policies` (256): size of the class.
    - `world_seed` (0): seed of combination and class.

    ## Registered ids
    - `envzoo/BlockComboLock-v0`: the defaults above.
    - `envzoo/BlockComboLockExogenous-v0`: `block=8, exogenous=8`.
    """

    def __init__(
        self, layers: int = 6, block: int = 64, exogenous: int = 1, policies: int = 256, world_seed: int = 0
    ) -> None:
        super().__init__(worlds.block_combo_lock(layers, block, exogenous, policies, world_seed))


class BlockComboLockEnv(AgnosticEnv):
    """Single environment of `BlockComboLock`."""

    definition_class = BlockComboLock


class BlockComboLockVectorEnv(AgnosticVectorEnv):
    """Vector environment of `BlockComboLock`."""

    definition_class = BlockComboLock
