"""Plain PyTorch loops of TD3+BC and IQL, as a single file would have them; the peers of `envzoo bench offline`."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def mlp(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """Make a network with two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


def average(target: nn.Module, online: nn.Module, tau: float = 0.005) -> None:
    """Update a target network by Polyak averaging."""
    with torch.no_grad():
        for old, new in zip(target.parameters(), online.parameters(), strict=True):
            old.mul_(1 - tau).add_(new, alpha=tau)


class PlainTD3BC:
    """TD3+BC with separate critics; `data` holds observation, action, reward, terminated and next_observation."""

    def __init__(self, data: tuple[Tensor, ...], width: int, batch_size: int):
        self.data, self.batch_size, self.steps = data, batch_size, 0
        s, a = data[0].shape[1], data[1].shape[1]
        self.actor = nn.Sequential(mlp(s, a, width), nn.Tanh())
        self.q1, self.q2 = mlp(s + a, 1, width), mlp(s + a, 1, width)
        self.targets = [copy.deepcopy(net) for net in (self.actor, self.q1, self.q2)]
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.critic_optimizer = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=3e-4)

    def update(self) -> None:
        """Take one step of the critics, and every other time of the actor."""
        index = torch.randint(len(self.data[2]), (self.batch_size,))
        s, a, r, d, s2 = (column[index] for column in self.data)
        with torch.no_grad():
            a2 = self.targets[0](s2)
            a2 = (a2 + (0.2 * torch.randn_like(a2)).clamp(-0.5, 0.5)).clamp(-1, 1)
            x2 = torch.cat([s2, a2], 1)
            y = r[:, None] + 0.99 * (1 - d[:, None]) * torch.min(self.targets[1](x2), self.targets[2](x2))
        x = torch.cat([s, a], 1)
        loss = nn.functional.mse_loss(self.q1(x), y) + nn.functional.mse_loss(self.q2(x), y)
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        self.steps += 1
        if self.steps % 2 == 0:
            pi = self.actor(s)
            q = self.q1(torch.cat([s, pi], 1))
            actor_loss = -2.5 / q.abs().mean().detach() * q.mean() + nn.functional.mse_loss(pi, a)
            self.actor_optimizer.zero_grad()
            actor_loss.backward()
            self.actor_optimizer.step()
            for target, online in zip(self.targets, (self.actor, self.q1, self.q2), strict=True):
                average(target, online)


class PlainIQL:
    """IQL with separate critics; `data` as in `PlainTD3BC`."""

    def __init__(self, data: tuple[Tensor, ...], width: int, batch_size: int):
        self.data, self.batch_size = data, batch_size
        s, a = data[0].shape[1], data[1].shape[1]
        self.policy, self.log_std = mlp(s, a, width), nn.Parameter(torch.zeros(a))
        self.q1, self.q2, self.v = mlp(s + a, 1, width), mlp(s + a, 1, width), mlp(s, 1, width)
        self.targets = [copy.deepcopy(net) for net in (self.q1, self.q2)]
        self.policy_optimizer = torch.optim.Adam([*self.policy.parameters(), self.log_std], lr=3e-4)
        self.critic_optimizer = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=3e-4)
        self.value_optimizer = torch.optim.Adam(self.v.parameters(), lr=3e-4)

    def update(self) -> None:
        """Take one step of V, of the critics and of the policy."""
        index = torch.randint(len(self.data[2]), (self.batch_size,))
        s, a, r, d, s2 = (column[index] for column in self.data)
        x = torch.cat([s, a], 1)
        with torch.no_grad():
            target = torch.min(self.targets[0](x), self.targets[1](x))
            next_v = self.v(s2)
        u = target - self.v(s)
        value_loss = ((0.7 - (u < 0).float()).abs() * u**2).mean()
        self.value_optimizer.zero_grad()
        value_loss.backward()
        self.value_optimizer.step()
        y = r[:, None] + 0.99 * (1 - d[:, None]) * next_v
        critic_loss = nn.functional.mse_loss(self.q1(x), y) + nn.functional.mse_loss(self.q2(x), y)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.critic_optimizer.step()
        for network, online in zip(self.targets, (self.q1, self.q2), strict=True):
            average(network, online)
        weight = (3 * u.detach()).exp().clamp(max=100)
        law = torch.distributions.Normal(torch.tanh(self.policy(s)), self.log_std.clamp(-20, 2).exp())
        policy_loss = -(weight * law.log_prob(a).sum(1, keepdim=True)).mean()
        self.policy_optimizer.zero_grad()
        policy_loss.backward()
        self.policy_optimizer.step()
