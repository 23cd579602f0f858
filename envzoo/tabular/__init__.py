"""Finite decision processes as arrays, soft Bellman backups, and the protocol by which planners read a model."""

from envzoo.tabular.backups import soft_backup, soft_iteration, soft_maximum, soft_policy
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.model import HasModel, find_model

__all__ = ["FiniteMDP", "HasModel", "find_model", "soft_backup", "soft_iteration", "soft_maximum", "soft_policy"]
