"""RCSL: return-conditioned supervised learning, a policy that is told which return it should have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.distributions import categorical_log_prob, gaussian_log_prob, sample_categorical
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.layers import MLP, linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.rescaled_actions import UnitActionCodec
from envzoo.agents.offline.config import OfflineConfig
from envzoo.agents.optim import make_optimizer
from envzoo.agents.state_holder import StateHolder
from envzoo.datasets.table import TransitionTable
from envzoo.errors import UnsupportedSpaceError


@dataclass(frozen=True)
class RCSLConfig(OfflineConfig):
    """Hyperparameters of return-conditioned supervised learning; `gamma` is not used, returns are not discounted."""

    target_return: float | None = None
    """Return that the policy is asked for when it acts; None asks for the largest one of the dataset."""


class ReturnConditionedPolicy(nn.Module):
    """Policy pi(a | s, R): packed observations (N, P) and normalised returns (N,) -> logits (N, A) or means (N, D)."""

    def __init__(
        self,
        codec: ObservationCodec,
        actions: ActionCodec,
        *,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
    ):
        super().__init__()
        self.codec, self.discrete = codec, actions.discrete
        self.body = MLP(codec.vector_dim + 1, hidden, activation, generator)
        self.head = linear(self.body.out_dim, actions.n if actions.discrete else actions.dim, generator, gain=0.01)
        self.log_std = None if actions.discrete else nn.Parameter(torch.zeros(actions.dim))

    def forward(self, x: Tensor, returns: Tensor) -> Tensor:
        """Compute logits, or means in [-1, 1]."""
        output = self.head(self.body(torch.cat([self.codec.vector(x), returns[:, None]], dim=1)))
        return output if self.discrete else torch.tanh(output)

    def log_prob(self, x: Tensor, returns: Tensor, action: Tensor) -> Tensor:
        """Compute the log-probability or log-density of actions, (N,)."""
        output = self(x, returns)
        if self.discrete:
            return categorical_log_prob(output, action)
        return gaussian_log_prob(output, self.log_std.clamp(-20, 2), action)


class RCSL(OfflineAgent):
    """Imitation of the data given the return R of the episode, and then asking for a large one.

    Minimises L = -E[log pi(a | s, R)] over the data, with R the undiscounted return of the whole episode, and acts with
    pi(. | s, target_return). Where returns depend on luck, the policy imitates the lucky: with P(reward | arm) p and
    1 - p, and a behaviour that pulls the better arm with probability p, half of the rewarded pulls are of each arm
    whatever p is. Sources: Kumar et al. (2019, arXiv 1912.13465); Emmons et al. (2021, arXiv 2112.10751); its limits:
    Yang et al. (2022, arXiv 2210.13435).

    Metrics:
        loss/policy: L on the minibatch.
    """

    Config = RCSLConfig
    config: RCSLConfig

    def build_actions(self) -> ActionCodec:
        """Create the action codec; a Box is scaled to [-1, 1]^D and must be bounded."""
        actions = super().build_actions()
        return actions if actions.discrete else UnitActionCodec(self.source.action_space, self.spec.name)

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Shape the rewards, and keep the return of each row's episode."""
        table = self.config.shape_rewards(table)
        totals = table.episode_returns()
        self.episode_return = totals[table.episode_id].astype(np.float32)
        return table

    def build(self) -> None:
        """Create the policy, its optimizer, and the scale of returns."""
        c, returns = self.config, self.episode_return
        if self.codec.images:
            raise UnsupportedSpaceError("RCSL takes observations without images")
        shape = {"hidden": c.hidden, "activation": c.activation, "generator": self.streams.torch("weights", "cpu")}
        policy = ReturnConditionedPolicy(self.codec, self.actions, **shape)
        self.policy = self.register("policy", policy.to(self.device))
        self.optimizer = self.register("optimizer", make_optimizer(self.policy, c.optimizer, lr=c.learning_rate))
        spread = float(returns.std())
        target = float(returns.max()) if c.target_return is None else c.target_return
        self.scale = self.register(
            "scale", StateHolder(mean=float(returns.mean()), std=spread if spread > 0 else 1.0, target=target)
        )
        self.normal_returns = torch.as_tensor((returns - self.scale.mean) / self.scale.std, device=self.device)

    def sample(self, generator: torch.Generator) -> tuple[Batch, Tensor]:
        """Draw transitions uniformly with replacement, and the normalised returns of their episodes (N,)."""
        data, c = self.data, self.config
        index = torch.randint(len(data.reward), (c.batch_size,), generator=generator, device=self.device)
        batch = Batch(*(column[index] for column in data))
        return batch._replace(observation=self.normalizer(batch.observation)), self.normal_returns[index]

    def observe_batch(self, batch: tuple[Batch, Tensor], metrics: dict[str, float]) -> None:
        """Show the transitions to the diagnostics."""
        super().observe_batch(batch[0], metrics)

    def update(self, batch: tuple[Batch, Tensor]) -> dict[str, Tensor]:
        """Take one Adam step on L."""
        rows, returns = batch
        loss = -self.policy.log_prob(rows.observation, returns, rows.action).mean()
        self.optimizer.step(loss)
        return {"loss/policy": loss.detach()}

    def act(self, x: Tensor, generator: torch.Generator, deterministic: bool) -> Tensor:
        """Select actions under the target return: the mode, or samples."""
        asked = (self.scale.target - self.scale.mean) / self.scale.std
        output = self.policy(x[:, : self.codec.packed_dim], torch.full((len(x),), asked, device=x.device))
        if self.actions.discrete:
            if x.shape[1] > self.codec.packed_dim:  # columns of an action mask
                output = output.masked_fill(x[:, self.codec.packed_dim :] < 0.5, -torch.inf)
            return output.argmax(dim=-1) if deterministic else sample_categorical(output, generator)
        if deterministic:
            return output
        noise = torch.empty_like(output).normal_(generator=generator)
        return (output + self.policy.log_std.clamp(-20, 2).exp() * noise).clamp(-1, 1)
