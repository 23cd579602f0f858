"""A policy for two players who take turns in one environment."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from envzoo.agents.networks.policy import Acting, Evaluation, Policy
from envzoo.moved import former_names


class TwoPlayerPolicy(nn.Module):
    """Two memoryless actor-critic policies; a column of the packed observation gives the player to act.

    Args:
        explore: Policy of player 0.
        control: Policy of player 1.
        column: Column of the packed observation that contains the player.

    Attributes:
        only: Player who acts regardless of the observation, or None.
    """

    recurrent = False
    has_critic = True
    state_dim = 0

    def __init__(self, explore: Policy, control: Policy, column: int):
        super().__init__()
        self.minds = nn.ModuleList([explore, control])
        self.column = column
        self.only: int | None = None

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the empty memory, (num_envs, 0)."""
        return self.minds[0].initial_state(num_envs)

    def player(self, x: Tensor) -> Tensor:
        """Return the player to act for packed observations (..., P), bool (...): True for player 1."""
        if self.only is not None:
            return torch.full(x.shape[:-1], bool(self.only), device=x.device)
        return x[..., self.column] > 0.5

    def act(
        self, x: Tensor, state: Tensor, start: Tensor | None, generator: Generator | None, deterministic: bool = False
    ) -> Acting:
        """Choose actions for packed observations x (B, P)."""
        player = self.player(x)
        if player.all() or not player.any():
            return self.minds[int(player[0])].act(x, state, start, generator, deterministic)
        first, second = (mind.act(x, state, start, generator, deterministic) for mind in self.minds)
        chosen = player if first.action.dim() == 1 else player[:, None]
        return Acting(
            torch.where(chosen, second.action, first.action),
            torch.where(player, second.log_prob, first.log_prob),
            torch.where(player, second.value, first.value),
            state,
        )

    def choose(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Sample actions only, without log_prob and value."""
        player = self.player(x)
        if player.all() or not player.any():
            return self.minds[int(player[0])].choose(x, generator)
        first, second = (mind.choose(x, generator) for mind in self.minds)
        return torch.where(player if first.dim() == 1 else player[:, None], second, first)

    def value(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> Tensor:
        """Compute the value of packed observations x (..., P) by the critic of the player to act, (...)."""
        player = self.player(x)
        result = torch.empty(player.shape, device=x.device)
        for number, mind in enumerate(self.minds):
            where = player == bool(number)
            if where.any():
                result[where] = mind.value(x[where], state, start)
        return result

    def evaluate(
        self, x: Tensor, action: Tensor, state: Tensor | None = None, start: Tensor | None = None
    ) -> Evaluation:
        """Compute log_prob, entropy and value under the policy of the player who acted; leading dimensions are free."""
        player = self.player(x)
        result = Evaluation(*(torch.empty(player.shape, device=x.device) for _ in range(3)))
        for number, mind in enumerate(self.minds):
            where = player == bool(number)
            if where.any():
                for whole, part in zip(result, mind.evaluate(x[where], action[where]), strict=True):
                    whole[where] = part
        return result


__getattr__ = former_names(__name__, {"TwoMinds": f"{__name__}:TwoPlayerPolicy"})
