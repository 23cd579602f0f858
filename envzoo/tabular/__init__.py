"""Finite decision processes as arrays, soft Bellman backups, and the protocol by which planners read a model.

`TabularEnv` and `TabularVectorEnv` (in `envzoo.tabular.tabular_env`) make a Gymnasium environment of any of them.
"""

from envzoo.tabular.backups import soft_backup, soft_iteration, soft_maximum, soft_policy
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.finite_pomdp import FinitePOMDP
from envzoo.tabular.latent_mdp import LatentMDP
from envzoo.tabular.model import HasModel, find_model
from envzoo.tabular.outcomes import Outcomes
from envzoo.tabular.random_worlds import random_lmdp, random_mdp, random_outcomes, random_pomdp
from envzoo.tabular.reading import read_mdp

__all__ = [
    "FiniteMDP",
    "FinitePOMDP",
    "HasModel",
    "LatentMDP",
    "Outcomes",
    "find_model",
    "random_lmdp",
    "random_mdp",
    "random_outcomes",
    "random_pomdp",
    "read_mdp",
    "soft_backup",
    "soft_iteration",
    "soft_maximum",
    "soft_policy",
]
