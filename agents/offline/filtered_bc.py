"""FilteredBC (%BC of Chen et al., 2021): cloning of the best trajectories."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.imitation.bc import BC, BCConfig


@dataclass(frozen=True)
class FilteredBCConfig(BCConfig):
    """Hyperparameters of cloning the best trajectories: those of BC, with another default."""

    top_fraction: float = 0.1
    """Fraction of the trajectories to imitate, those with the largest discounted return (at least one)."""


class FilteredBC(BC):
    """Behavioural cloning of the tenth of the trajectories with the largest return ("10%BC").

    Minimises the loss of `BC` on these trajectories. Where returns depend on luck, it imitates the lucky ones. Source:
    Chen et al. (2021, arXiv 2106.01345).

    Metrics:
        loss/policy: the loss on the minibatch.
        policy/entropy: mean entropy of the policy in nats (loss "log_prob" only).
    """

    Config = FilteredBCConfig
    config: FilteredBCConfig
