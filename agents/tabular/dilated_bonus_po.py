"""DilatedBonusPO: exponential weights with a dilated bonus (Luo, Wei and Lee, 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.tabular.linear_policy import LinearPolicyAgent, LinearPolicyConfig


@dataclass(frozen=True)
class DilatedBonusPOConfig(LinearPolicyConfig):
    """Hyperparameters of DilatedBonusPO."""

    scale: float = 0.5
    """Factor c of the step size."""


class DilatedBonusPO(LinearPolicyAgent):
    """Exponential weights in every state with plain linear estimates: what paper 44 improves.

    As LogBarrierPO, but with pi proportional to exp(-eta sum (Q - B)). Exponential weights need eta Q >= -1, so that
    eta = c K^-2/3 is tied to gamma = 2 eta H, and the regret grows as K^2/3. Source: Luo, Wei and Lee, arXiv
    2107.08346.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/least_estimate: eta times the most negative estimate so far.
    """

    Config = DilatedBonusPOConfig
    config: DilatedBonusPOConfig

    def rates(self, layers: int) -> tuple[float, float]:
        """Return eta = c K^-2/3 and gamma = 2 eta H."""
        c = self.config
        eta = c.scale * c.num_episodes ** (-2 / 3)
        return eta, 2 * eta * layers
