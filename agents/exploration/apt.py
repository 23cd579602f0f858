"""Active pre-training (Liu and Abbeel, 2021, arXiv 2103.04551): a particle estimate of the entropy of features."""

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
    """Settings of the particle entropy."""

    neighbours: int = 12
    """How many smallest distances within a batch are averaged (k), the point itself among them."""
    particles: int = 1024
    """Transitions that are compared with each other."""


def neighbour_reward(features: Tensor, neighbours: int) -> Tensor:
    """log(1 + mean distance to the k nearest points of the batch, the point itself among them): (N, F) -> (N,).

    Distances are those of the differences. From |x|^2 + |y|^2 - 2 x.y, as `torch.cdist` has them for more than 25
    points, little is left in float32 when points lie close together and far from the origin, and not 0 for equal ones.
    """
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.log1p(distances.topk(min(neighbours, len(features)), dim=-1, largest=False).values.mean(dim=-1))


class APTReward(ICMReward):
    """r = log(1 + mean distance of phi(o') to its k nearest neighbours in the batch), phi as in ICM."""

    name = "apt"
    Settings = APTSettings

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """See `Intrinsic.intrinsic`; the transitions given are the batch."""
        return neighbour_reward(self.features(next_observation), self.settings.neighbours)

    def reward(self, rollout: Rollout) -> Tensor:
        """The rewards of a rollout, its steps compared in random batches of `particles`."""
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
