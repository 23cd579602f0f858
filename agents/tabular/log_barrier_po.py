"""LogBarrierPO: policy optimisation with the log-barrier against changing losses (Dai et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.tabular.linear_policy import LinearPolicyAgent, LinearPolicyConfig


@dataclass(frozen=True)
class LogBarrierPOConfig(LinearPolicyConfig):
    """Hyperparameters of LogBarrierPO."""

    scale: float = 2.0
    """Factor c of the step size."""


class LogBarrierPO(LinearPolicyAgent):
    """Follow the leader regularised by the log-barrier, in every state (algorithm 1).

        pi(.|s) = argmin_p  eta <p, sum (Q - B)(s, .)> + sum_a ln(1 / p(a))                             (1)
        Q(s, a) = phi(s, a)^T Sigma^+ phi(s_h, a_h) L_h,  Sigma^+ = (gamma I + E phi phi^T)^-1          (2)
        B = b + (1 + 1 / H) E B',  b = beta (||phi||^2 + E_a' ||phi(s, a')||^2), norms of Sigma^+       (3)

    The log-barrier tolerates estimates of any sign and size, so that eta = c K^-1/2 and gamma = 1 / K need not fit each
    other, and the regret grows as sqrt K. Source: Dai, Luo, Wei and Zimmert, arXiv 2301.12942; bonus of Luo, Wei and
    Lee, arXiv 2107.08346. The full text was not available; the algorithm follows its abstract and derivations.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/least_estimate: eta times the most negative estimate so far.
    """

    Config = LogBarrierPOConfig
    config: LogBarrierPOConfig
    barrier = True

    def rates(self, layers: int) -> tuple[float, float]:
        """Return eta = c K^-1/2 and gamma = 1 / K."""
        c = self.config
        return c.scale * c.num_episodes**-0.5, 1 / c.num_episodes
