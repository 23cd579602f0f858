"""All estimators of a policy's value behind one class, for finite worlds and linear features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envzoo.agents.offline.ope import linear
from envzoo.agents.offline.ope.importance import check_support, doubly_robust, importance_sampling
from envzoo.datasets.table import TransitionTable
from envzoo.errors import EnvzooError, UnsupportedSpaceError, unknown


@dataclass(frozen=True, eq=False)
class OffPolicyEvaluator:
    """Estimates the value of a target policy from a dataset with Discrete observations and actions.

    Attributes:
        table: The transitions of the behaviour policy.
        target: (S, A) probabilities of the target policy.
        behaviour: (S, A) probabilities of the behaviour policy; None estimates them by the frequencies in the data.
        gamma: Discount factor; None takes the table's.
        features: (S, A, d); None takes one feature for each state and action (tabular).

    Raises:
        EnvzooError: Probabilities or features that do not fit the data.
    """

    table: TransitionTable
    target: np.ndarray
    behaviour: np.ndarray | None = None
    gamma: float | None = None
    features: np.ndarray | None = None

    def __post_init__(self) -> None:
        table = self.table
        if isinstance(table.observations, dict) or table.observations.ndim != 1 or table.actions.ndim != 1:
            raise UnsupportedSpaceError("off-policy evaluation by table takes Discrete observations and actions")
        target = np.asarray(self.target, np.float64)
        if target.ndim != 2 or (target < 0).any() or not np.allclose(target.sum(axis=1), 1):
            raise EnvzooError(
                f"target has the shape {target.shape}; expected probabilities (S, A), each row summing to 1"
            )
        s, a = table.observations, table.actions
        if max(s.max(), table.next_observations.max()) >= len(target) or a.max() >= target.shape[1]:
            raise EnvzooError(f"the data holds states or actions beyond the {target.shape} of the target policy")
        behaviour = self.behaviour
        if behaviour is None:
            counts = np.zeros(target.shape)
            np.add.at(counts, (s, a), 1)
            behaviour = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        elif np.shape(behaviour) != target.shape:
            raise EnvzooError(f"behaviour has the shape {np.shape(behaviour)}; expected {target.shape}")
        features = self.features
        if features is None:
            features = np.eye(target.size).reshape(*target.shape, -1)
        elif np.ndim(features) != 3 or np.shape(features)[:2] != target.shape:
            raise EnvzooError(f"features have the shape {np.shape(features)}; expected {(*target.shape, 'd')}")
        gamma = linear.check_discount(table.gamma if self.gamma is None else self.gamma)
        values = {"target": target, "behaviour": np.asarray(behaviour, np.float64), "gamma": gamma}
        for name, value in (values | {"features": np.asarray(features, np.float64)}).items():
            object.__setattr__(self, name, value)

    def sample(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return phi (N, d), rewards (N,) and next_phi (N, d) of the data, without columns that never occur."""
        t = self.table
        averaged = (self.features * self.target[..., None]).sum(axis=1)
        phi = self.features[t.observations, t.actions]
        next_phi = averaged[t.next_observations] * ~t.terminals[:, None]
        return phi, t.rewards.astype(np.float64), next_phi

    def weights(self, method: str) -> np.ndarray:
        """Fit the weights (d,) of a linear method, "lstd" or "fqe"; features that never occur have the weight 0.

        Raises:
            EnvzooError: The iteration diverges, or LSTD is singular.
        """
        phi, rewards, next_phi = self.sample()
        seen = np.abs(phi).max(axis=0) > 0
        arguments = (phi[:, seen], rewards, next_phi[:, seen], self.gamma)
        theta = np.zeros(phi.shape[1])
        if method == "lstd":
            theta[seen] = linear.lstd(*arguments)
            return theta
        found = linear.fqe(*arguments, iterations=100_000, tolerance=1e-10)
        if not found.converged:
            raise EnvzooError("fitted Q evaluation does not converge on this data; use method 'lstd'")
        theta[seen] = found.theta
        return theta

    def action_values(self, method: str = "lstd") -> np.ndarray:
        """Compute the estimated Q of every state and action, (S, A)."""
        return self.features @ self.weights(method)

    def estimate(self, method: str) -> float:
        """Estimate the expected discounted return of the target policy from the first states of the data.

        Args:
            method: A key of `ESTIMATORS`: "lstd", "fqe", "is", "wis", "pdis", "wpdis" or "dr" (with Q from LSTD).

        Raises:
            UnknownNameError: No such method.
            EnvzooError: The target policy leaves the support of the behaviour policy, or a method fails.
        """
        if method not in ESTIMATORS:
            raise unknown("estimator", method, ESTIMATORS)
        return ESTIMATORS[method](self)

    def _direct(self, method: str) -> float:
        q = self.action_values(method)
        first = self.table.observations[self.table.episode_starts]
        return float((q * self.target).sum(axis=1)[first].mean())

    def _logged(self) -> tuple:
        t = self.table
        seen = np.unique(t.observations)
        check_support(self.target[seen], np.where(self.behaviour[seen] > 0, 1, 0))
        chosen = (t.observations, t.actions)
        return t.episode_starts, t.rewards, self.target[chosen], self.behaviour[chosen], self.gamma

    def _importance(self, **how: bool) -> float:
        return importance_sampling(*self._logged(), **how)

    def _doubly_robust(self) -> float:
        q, t = self.action_values("lstd"), self.table
        v = (q * self.target).sum(axis=1)
        return doubly_robust(*self._logged(), q=q[t.observations, t.actions], v=v[t.observations])


ESTIMATORS: dict[str, Callable[[OffPolicyEvaluator], float]] = {
    "lstd": lambda e: e._direct("lstd"),
    "fqe": lambda e: e._direct("fqe"),
    "is": lambda e: e._importance(),
    "wis": lambda e: e._importance(weighted=True),
    "pdis": lambda e: e._importance(per_decision=True),
    "wpdis": lambda e: e._importance(per_decision=True, weighted=True),
    "dr": lambda e: e._doubly_robust(),
}
