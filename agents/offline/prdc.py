"""PRDC (Ran et al., ICML 2023, arXiv 2306.06569): stay close to the nearest logged state and action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.config import require_at_least_zero
from envzoo.agents.offline.neighbours import DatasetNeighbours
from envzoo.agents.offline.td3_bc import TD3BC, TD3BCConfig
from envzoo.agents.spec import require


@dataclass(frozen=True)
class PRDCConfig(TD3BCConfig):
    """Hyperparameters of PRDC; HalfCheetah in the paper's code has alpha 40, AntMaze alpha and beta 7.5."""

    beta: float = 2.0
    """Weight of the state in the distance to the data: 0 allows the action of any state, large values only that of the
    same state."""
    neighbours: int = 1
    """Nearest transitions whose mean action the actor is pulled to."""
    backend: Literal["auto", "kdtree", "brute"] = "auto"
    """Search for the neighbours: a tree, all distances, or the choice by dimension."""

    def __post_init__(self):
        super().__post_init__()
        require_at_least_zero(self, "beta")
        require(self.neighbours >= 1, f"neighbours of PRDC is at least 1, got {self.neighbours}")


class PRDC(TD3BC):
    """TD3 whose actor is pulled to the action of the nearest logged pair of state and action, whichever state it is in.

    With the distance d(s, a) = min over (s_j, a_j) in the data of |(beta s, a) - (beta s_j, a_j)|, attained at j, the
    actor minimises

        L_pi = -lambda E[Q_1(s, pi(s))] + E[|pi(s) - a_j|^2 / D],    lambda = alpha / E|Q_1(s, pi(s))|

    with lambda and a_j taken as constants; critics and targets are those of TD3. In the limit of large beta this is
    TD3+BC. States are normalised, as everywhere in the agent. Source: Ran et al. (2023, arXiv 2306.06569).

    Metrics:
        loss/critic: sum over both critics of E[(Q_i(s, a) - y)^2].
        loss/actor: L_pi.
        loss/distance: the second term of L_pi.
        value/q: mean Q over the batch and both critics.
        value/q_policy: mean Q_1(s, pi(s)).
    """

    Config = PRDCConfig
    config: PRDCConfig
    seed_batch = False  # the search for neighbours is one of SciPy
    _index: DatasetNeighbours | None = None

    def keys(self, observation: Tensor, action: Tensor) -> np.ndarray:
        """Compute (beta s, a) as float64, (N, columns of s + D), for normalised observations."""
        state = self.codec.vector(observation).double() * self.config.beta
        return torch.cat([state, action.double()], dim=1).detach().cpu().numpy()

    @property
    def index(self) -> DatasetNeighbours:
        """The search structure over the dataset; made on first use, when the normaliser is final."""
        if self._index is None:
            rows = self.keys(self.normalizer(self.data.observation), self.data.action)
            self._index = DatasetNeighbours(rows, self.config.backend)
        return self._index

    def anchor(self, batch: Batch, action: Tensor) -> Tensor:
        """Return the mean action (N, D) of the nearest transitions."""
        keys = self.keys(batch.observation, action)
        k = min(self.config.neighbours, len(self.index.rows))
        # The logged action of the same state is a row of the data, at a known distance (not so for new transitions).
        own = (
            float((action.detach().double() - batch.action.double()).norm(dim=1).max())
            if k == 1 and self.replay is None
            else np.inf
        )
        _, found = self.index.query(keys, k, upper=own)
        return self.data.action[torch.as_tensor(found, device=self.device)].mean(dim=1)
