"""Off-policy evaluation: the value of a policy from data of another one, without playing it.

Linear classes: `lstd`, `fqe`, `td0`. Networks: `fitted_q_evaluation`. Finite classes: `minimax_ope`. Properties of a
problem with a known model: `bellman_incompleteness`, `concentrability`. Importance sampling and doubly robust
estimates: `importance`. The estimators for finite worlds behind one class: `OffPolicyEvaluator`.
"""

from envzoo.agents.offline.ope.estimator import ESTIMATORS, OffPolicyEvaluator
from envzoo.agents.offline.ope.finite_class import Selection, minimax_ope, naive_ope
from envzoo.agents.offline.ope.fitted import fitted_q_evaluation
from envzoo.agents.offline.ope.incompleteness import (
    bellman_error,
    bellman_incompleteness,
    concentrability,
    discounted_occupancy,
)
from envzoo.agents.offline.ope.linear import bracket, fqe, lstd, minimise_residual, moments, td0

__all__ = [
    "ESTIMATORS",
    "OffPolicyEvaluator",
    "Selection",
    "bellman_error",
    "bellman_incompleteness",
    "bracket",
    "concentrability",
    "discounted_occupancy",
    "fitted_q_evaluation",
    "fqe",
    "lstd",
    "minimax_ope",
    "minimise_residual",
    "moments",
    "naive_ope",
    "td0",
]
