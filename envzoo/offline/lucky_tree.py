"""LuckyTree: three decisions, of which some are left to chance (28)."""

from __future__ import annotations

import numpy as np

from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.offline.finite_world import FiniteWorld, ModelOfWorld

DEPTH, INNER = 3, 7
# The nodes are numbered by level, 0 at the root, and node i has the children 2 i + 1 and 2 i + 2. Chance decides in the
# left half, the player in the right one and at the root.
CHANCE = (1, 3, 4)
LEAVES = (10.0, 0.0, 0.0, 0.0, 1.0, 2.0, 4.0, 3.0)


class LuckyTree(FiniteWorld):
    """A binary tree of three decisions: the left half is left to chance, the right half to the player.

    ## Description
    The largest reward, 10, lies in the left half, where chance finds it one time in four: going left is worth 2.5. The
    right half is worth 4, and the player can reach it for certain. An agent that imitates the episodes of the largest
    return goes left. Designed for agents that condition on the future, with behaviour that is uniformly random (after
    Yang et al., arXiv 2210.13435).

    ## Action space
    `Discrete(2)`: 0 left child, 1 right child; without effect where chance decides.

    ## Observation space
    `Discrete(7)`: the node; 0 is the root, and node i has the children 2i + 1 and 2i + 2. Chance decides at the nodes
    1, 3 and 4.

    ## Reward
    Of the third step, by leaf from left to right: 10, 0, 0, 0, 1, 2, 4, 3; 0 before.

    ## Start of an episode
    At the root, or at `reset(options={"start": node})`.

    ## End of an episode
    Terminates after three steps from the root. `env.unwrapped.model()` is the exact model.

    ## Arguments
    None.

    ## Registered ids
    - `envzoo/LuckyTree-v0`
    """

    def __init__(self) -> None:
        shape = (INNER, 2, 2)
        probabilities, following = np.zeros(shape), np.zeros(shape, np.int64)
        rewards, ends = np.zeros(shape), np.zeros(shape, bool)
        for node in range(INNER):
            for child in range(2):
                target = 2 * node + 1 + child
                following[node, :, child] = min(target, INNER - 1)
                if target >= INNER:
                    following[node, :, child] = node
                    rewards[node, :, child], ends[node, :, child] = LEAVES[target - INNER], True
                for action in range(2):
                    probabilities[node, action, child] = 0.5 if node in CHANCE else float(action == child)
        first = np.eye(INNER)[0]
        self.set_up(probabilities, following, rewards, ends, gamma=1.0, first=first)


class LuckyTreeEnv(ModelOfWorld, KernelEnv):
    """Single environment of `LuckyTree`."""

    definition_class = LuckyTree


class LuckyTreeVectorEnv(ModelOfWorld, KernelVectorEnv):
    """Vector environment of `LuckyTree`."""

    definition_class = LuckyTree
