"""MagnitudeReducedPO: exponential weights with estimates that are never very negative (Dai et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.tabular.linear_policy import LinearPolicyAgent, LinearPolicyConfig


@dataclass(frozen=True)
class MagnitudeReducedPOConfig(LinearPolicyConfig):
    """Hyperparameters of MagnitudeReducedPO."""

    scale: float = 0.5
    """Factor c of the step size."""


class MagnitudeReducedPO(LinearPolicyAgent):
    """Exponential weights in every state with magnitude-reduced estimates (algorithm 2).

        x = phi(s, a)^T Sigma^+ phi(s_h, a_h),  (x)_- = min(x, 0)
        Q(s, a) = x L_h - H_h (x)_- + H_h E_{(s', a')} (phi(s, a)^T Sigma^+ phi(s', a'))_-               (1)

    The last two terms cancel in expectation. The first two are at least 0, as L_h <= H_h, the number of layers left;
    the last is at least -H_h / sqrt gamma, where the plain estimate can be -H_h / gamma. So eta = c K^-1/2 and
    gamma = eta^2 H^2 suffice, and the regret grows as sqrt K without a factor of the number of actions. Bonus as in
    LogBarrierPO. Source: Dai, Luo, Wei and Zimmert, arXiv 2301.12942; the full text was not available.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/least_estimate: eta times the most negative estimate so far.
    """

    Config = MagnitudeReducedPOConfig
    config: MagnitudeReducedPOConfig
    reduced = True

    def rates(self, layers: int) -> tuple[float, float]:
        """Return eta = c K^-1/2 and gamma = eta^2 H^2."""
        c = self.config
        eta = c.scale * c.num_episodes**-0.5
        return eta, eta**2 * layers**2
