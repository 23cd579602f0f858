"""Active pre-training (Liu and Abbeel, 2021, arXiv 2103.04551): particle-based entropy of learned features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from envzoo.agents.exploration.icm import ICMReward, ICMSettings

if TYPE_CHECKING:
    from envzoo.agents.loops.on_policy import Rollout


@dataclass(frozen=True)
class APTSettings(ICMSettings):
    """Settings of the particle-based entropy estimate."""

    neighbours: int = 12
    """Number of nearest neighbours (k) whose distances are averaged; the point itself counts as one of them."""
    particles: int = 1024
    """Number of transitions per batch of the entropy estimate."""


def neighbour_reward(features: Tensor, neighbours: int) -> Tensor:
    """Compute log(1 + mean distance to the k nearest points of the batch): (N, F) -> (N,).

    The point itself counts as one of the k. Distances are computed from the differences. `torch.cdist` uses |x|^2 +
    |y|^2 - 2 x.y for more than 25 points, which loses most of the float32 precision when points are close together and
    far from the origin, and does not return 0 for equal points.
    """
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.log1p(distances.topk(min(neighbours, len(features)), dim=-1, largest=False).values.mean(dim=-1))


class APTReward(ICMReward):
    """Reward observations far from others in feature space, an estimate of the entropy of the features.

        r = log(1 + mean distance of phi(o') to its k nearest neighbours in the batch)

    The features phi are learned by the inverse model of ICM. Source: Liu and Abbeel (2021, arXiv 2103.04551),
    which learns phi by contrastive learning instead.

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
        intrinsic/loss: mean training loss of the ICM module.
    """

    name = "apt"
    Settings = APTSettings

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the rewards of transitions that form one batch; see `Intrinsic.intrinsic`."""
        return neighbour_reward(self.features(next_observation), self.settings.neighbours)

    def reward(self, rollout: Rollout) -> Tensor:
        """Compute the rewards of a rollout, comparing its steps in random batches of `particles`."""
        valid = torch.from_numpy(rollout.valid).to(self.device)
        found = torch.zeros(valid.shape, device=self.device)
        with torch.no_grad():
            features = self.features(self.bare(rollout.next_observation[valid]))
            generator = self.streams.torch("intrinsic particles")
            order = torch.randperm(len(features), generator=generator, device=self.device)
            values = torch.empty(len(features), device=self.device)
            for rows in order.split(self.settings.particles):
                values[rows] = neighbour_reward(features[rows], self.settings.neighbours)
            found[valid] = values
        return found
