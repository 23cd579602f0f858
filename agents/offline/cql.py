"""CQL (Kumar et al., 2020): Q-learning that keeps the values of actions outside the data low."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from envzoo.agents.actor_critic.soft_networks import TwinQ
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.distributions import sample_squashed_gaussian
from envzoo.agents.losses.soft import reduce_critics, td_target
from envzoo.agents.offline.config import require_at_least_zero
from envzoo.agents.offline.conservative import ConservativeLoss, combine, conservative_loss
from envzoo.agents.offline.soft import SoftOfflineAgent, SoftOfflineConfig
from envzoo.agents.optim.denormals import flushed_denormals
from envzoo.agents.spec import require


@dataclass(frozen=True)
class CQLConfig(SoftOfflineConfig):
    """Hyperparameters of CQL(H)."""

    cql_alpha: float = 5.0
    """Weight of the conservative term; 0 is ordinary Q-learning (Discrete) or SAC without entropy in targets (Box)."""
    sampled_actions: int = 10
    """Box actions: actions from each of three distributions with which the integral over actions is estimated."""

    def __post_init__(self):
        super().__post_init__()
        require_at_least_zero(self, "cql_alpha")
        require(self.sampled_actions >= 1, f"sampled_actions of CQL is at least 1, got {self.sampled_actions}")


class CQL(SoftOfflineAgent):
    """Conservative Q-learning, CQL(H).

    The critics minimise

        L_Q = sum_i E[(Q_i(s, a) - y)^2] + cql_alpha sum_i E[log sum_a' exp Q_i(s, a') - Q_i(s, a)]    (equation 4)

    so that logged actions keep higher values than others. Discrete actions: y = r + gamma (1 - terminated) max_a' min_i
    Q'_i(s', a'), and the policy is greedy, both over the allowed actions. Box actions: the policy is that of SAC with a
    learned temperature, y = r + gamma (1 - terminated) min_i Q'_i(s', a') with a' ~ pi, and the sum over actions is an
    integral, estimated by importance sampling from uniform actions, pi(.|s) and pi(.|s'). Q' <- (1 - tau) Q' + tau Q.
    Source: Kumar et al. (2020, arXiv 2006.04779).

    Metrics:
        loss/critic: the first term of L_Q.
        loss/conservative: the second term without its weight.
        loss/actor: SAC's loss of the actor (Box actions).
        value/q: mean Q over the batch and both critics.
        policy/temperature: SAC's temperature (Box actions).
    """

    Config = CQLConfig
    config: CQLConfig

    # ------------------------------------------------------------------ critics

    def target_values(self, batch: Batch) -> Tensor:
        """Compute y (N,)."""
        if self.actions.discrete:
            next_q = reduce_critics(self.target(batch.next_observation), "min")
            next_value = self.masks.restrict(next_q, batch.next_observation).amax(dim=-1)
        else:
            action, _ = self.actor.sample(batch.next_observation, self.streams.torch("policy-noise"))
            next_value = reduce_critics(self.target(batch.next_observation, action), "min")
        return td_target(batch.reward, batch.terminated, next_value, self.config.gamma)

    @torch.no_grad()
    def sample_actions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sample Box actions for the integral over actions.

        With K actions from each of three densities rho_j, each Q - log rho_j - log 3K enters a log-sum-exp, which so
        estimates the logarithm of the integral of exp Q over all actions.

        Returns:
            Sampled actions and after them the logged one, (N, 3K + 1, D), and log rho_j + log 3K, (N, 3K).
        """
        k, n, dim = self.config.sampled_actions, len(batch.reward), self.actions.dim
        noise = self.streams.torch("policy-noise")
        actions = torch.empty(n, 3 * k + 1, dim, device=self.device)
        densities = torch.full((n, 3 * k), -dim * math.log(2.0), device=self.device)
        actions[:, :k] = torch.empty(n, k, dim, device=self.device).uniform_(-1, 1, generator=noise)
        for i, observation in enumerate((batch.observation, batch.next_observation), start=1):
            mean, log_std = self.actor(observation)
            part = slice(i * k, (i + 1) * k)
            actions[:, part], densities[:, part] = sample_squashed_gaussian(
                mean[:, None].expand(n, k, dim), log_std[:, None].expand(n, k, dim), noise
            )
        actions[:, -1] = batch.action
        return actions, densities.add_(math.log(3 * k))

    def critic_loss(self, batch: Batch, target: Tensor) -> ConservativeLoss:
        """Compute L_Q, given y (N,)."""
        alpha = self.config.cql_alpha
        if not self.actions.discrete:
            actions, corrections = self.sample_actions(batch)
            features, activation = self.critics.encode(batch.observation), self.config.activation
            return conservative_loss(self.critics.net, activation, features, actions, corrections, target, alpha)
        q = self.critics(batch.observation)
        logged = q.gather(-1, batch.action.expand(TwinQ.MEMBERS, -1)[..., None])[..., 0]
        return combine(logged, self.masks.restrict(q, batch.observation), torch.zeros_like(q[0]), target, alpha)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update the critics and their target, and for Box actions the actor and the temperature."""
        with torch.no_grad():
            y = self.target_values(batch)
        result = self.critic_loss(batch, y)
        with flushed_denormals():
            self.critic_optimizer.step(result.loss)
        metrics = {"loss/critic": result.error, "loss/conservative": result.gap, "value/q": result.values.mean()}
        if not self.actions.discrete:
            metrics |= self.update_actor(batch)
        self.target.update()
        return metrics
