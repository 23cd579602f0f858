"""The last steps of each episode, which a model of sequences looks at when it acts: `state` of its `predict`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.offline.heard_rewards import RewardListener, not_told
from envzoo.errors import EnvzooError


@dataclass(frozen=True)
class Memory:
    """The last K steps of B episodes side by side, the most recent one last; B and K are the leading dimensions.

    Attributes:
        rows: (B, K, P) packed and normalised observations, with action masks behind them if there are any.
        action: (B, K) int64 or (B, K, D); 0 in the last place until it is chosen.
        reward: (B, K) that followed each action; 0 in the last place.
        step: (B, K) int64 time step within its episode.
        earned: (B, K) sum of the rewards of the episode before each step.
        mask: (B, K) bool, False where nothing happened yet.
        listener: Where rewards come from, or None.
        heard: Steps of the listener when the last action was chosen.
        told: (B,) rewards of the last step, if `observe_rewards` gave them.
        ended: (B,) bool, whether that step ended the episode, if it was told.
        over: (B,) bool, whether the last observation is the final one of an ended episode, or None.
        plan: (B, ...) what the agent has decided for some steps, if it does that.
    """

    rows: Tensor
    action: Tensor
    reward: Tensor
    step: Tensor
    earned: Tensor
    mask: Tensor
    listener: RewardListener | None = None
    heard: int = 0
    told: np.ndarray | None = None
    ended: np.ndarray | None = None
    over: Tensor | None = None
    plan: Tensor | None = None

    @classmethod
    def empty(cls, x: Tensor, context: int, action_dim: int | None, listener: RewardListener | None) -> Memory:
        """Make the memory of episodes that begin at x (B, P), which also fills the places that are masked."""
        batch, device = len(x), x.device
        numbers = torch.zeros(batch, context, device=device)
        shape = (batch, context) if action_dim is None else (batch, context, action_dim)
        return cls(
            rows=x[:, None].repeat(1, context, 1),
            action=torch.zeros(shape, dtype=torch.int64 if action_dim is None else torch.float32, device=device),
            reward=numbers,
            step=torch.zeros(batch, context, dtype=torch.int64, device=device),
            earned=numbers,
            mask=torch.zeros(batch, context, dtype=torch.bool, device=device),
            listener=listener,
            heard=0 if listener is None else listener.steps,
        )

    def latest_rewards(self, agent: str) -> Tensor:
        """Return the rewards of the last actions, (B,).

        Raises:
            EnvzooError: Nobody told them, or they are not one finite number for each episode.
        """
        rewards = self.told
        if rewards is None:
            if self.listener is None or self.listener.steps != self.heard + 1:
                raise not_told(agent)
            rewards = self.listener.rewards
        if rewards.shape != (len(self.mask),):
            raise EnvzooError(
                f"{agent} was told rewards of the shape {rewards.shape}; expected one for each of {len(self.mask)} "
                "episodes"
            )
        if not np.isfinite(rewards).all():
            raise EnvzooError(f"{agent} was told NaN or infinite rewards; expected finite ones")
        return torch.as_tensor(rewards, device=self.mask.device)

    def with_rewards(self, rewards: Tensor) -> Memory:
        """Return the memory with the rewards (B,) of its last step."""
        filled = self.reward.clone()
        filled[:, -1] = rewards
        return replace(self, reward=filled, told=None)

    def without_last(self, gone: Tensor) -> Memory:
        """Return the memory without its last step where `gone` (B,) is true."""
        if not gone.any():
            return self

        def back(part: Tensor) -> Tensor:
            earlier = torch.cat([part[:, :1], part[:, :-1]], dim=1)
            return torch.where(gone.reshape(-1, *[1] * (part.dim() - 1)), earlier, part)

        names = ("rows", "action", "reward", "step", "earned", "mask")
        shifted = replace(self, **{name: back(getattr(self, name)) for name in names})
        shifted.mask[:, 0] &= ~gone
        return shifted

    def cleared(self, where: Tensor) -> Memory:
        """Return the memory with nothing in it where `where` (B,) is true; masked places keep their numbers."""
        return replace(self, mask=self.mask & ~where[:, None])

    def is_over(self, start: Tensor) -> Tensor:
        """Return whether the present observation is the last one of an ended episode, whose action is ignored, (B,)."""
        if self.ended is not None:
            return torch.as_tensor(self.ended, device=self.mask.device) & ~start
        if self.listener is None or not self.listener.resets_later or self.listener.ended is None:
            return torch.zeros_like(self.mask[:, -1])
        return torch.as_tensor(self.listener.ended, device=self.mask.device)

    def next_step(self, x: Tensor, start: Tensor) -> Memory:
        """Return the memory with a further step at the packed observations x (B, P); `start` (B,) bool begins anew."""
        over = self.is_over(start)
        step = torch.where(start, 0, self.step[:, -1] + ~over)
        earned = torch.where(start, 0.0, self.earned[:, -1] + self.reward[:, -1])
        if x.shape[1] != self.rows.shape[2]:
            raise EnvzooError("action masks are given for some steps of an episode only; expected all or none")
        new = {
            "rows": x,
            "action": torch.zeros_like(self.action[:, 0]),
            "reward": torch.zeros_like(self.reward[:, 0]),
            "step": step,
            "earned": earned,
            "mask": torch.ones_like(start),
        }
        moved = {name: torch.cat([getattr(self, name)[:, 1:], row[:, None]], dim=1) for name, row in new.items()}
        return replace(self, told=None, ended=None, over=over, **moved)

    def with_actions(self, action: Tensor) -> Memory:
        """Return the memory with the chosen actions (B,) or (B, D) of its last step."""
        filled = self.action.clone()
        filled[:, -1] = action
        heard = 0 if self.listener is None else self.listener.steps
        return replace(self, action=filled, heard=heard)
