"""Mixtures of past policies, which self-play returns: copies of weights, and acting by one of them per episode."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor


class PolicyMixture:
    """Copies of past policies, spread evenly over training.

    Every `stride`-th policy is kept. When there are more than `size`, every second one is dropped and the stride
    doubled, so that at any time the copies are evenly spaced and go back to the first policy.

    Args:
        policy: The network.
        size: Maximum number of copies.
    """

    def __init__(self, policy: torch.nn.Module, size: int):
        self.size, self.stride, self.seen = size, 1, 0
        self.copies: list[dict[str, torch.Tensor]] = []
        self.network = deepcopy(policy).requires_grad_(False)
        self._loaded = -1

    def __len__(self) -> int:
        return len(self.copies)

    def add(self, policy: torch.nn.Module) -> None:
        """Count one more policy, and keep a copy if it is its turn."""
        self._loaded = -1
        if self.size == 1:
            return
        if self.seen % self.stride == 0:
            state = {name: value.detach().cpu().clone() for name, value in policy.state_dict().items()}
            self.copies.append(state)
            if len(self.copies) > self.size:
                self.copies, self.stride = self.copies[::2], 2 * self.stride
        self.seen += 1

    def policy(self, number: int) -> torch.nn.Module:
        """Return the network with the weights of a copy."""
        if number != self._loaded:
            self.network.load_state_dict(self.copies[number])
            self._loaded = number
        return self.network

    def draw(
        self, agent: Any, observation: Any, state: Any, episode_start: np.ndarray | None, deterministic: bool
    ) -> np.ndarray:
        """Draw the number of a copy for each episode that begins, and keep those of the others, (B,).

        Args:
            agent: The agent that acts, for its codec and its random numbers.
            observation: One observation, or a batch.
            state: What the last call returned, or None.
            episode_start: (B,) bool, or None.
            deterministic: Spread the copies evenly over the batch, rather than draw them.
        """
        batched = agent.codec.is_batched(observation)
        count = len(agent.codec.pack(observation)) if batched else 1
        drawn = np.full(count, -1) if state is None or len(state) != count else np.array(state)
        if episode_start is not None:
            drawn = np.where(np.asarray(episode_start, bool).reshape(-1), -1, drawn)
        fresh = drawn < 0
        if fresh.any():
            if deterministic:
                sample = np.arange(count) * len(self) // max(count, 1)
            else:
                sample = agent.streams.numpy("mixture").integers(len(self), size=count)
            drawn = np.where(fresh, sample, drawn)
        return drawn

    def act(self, x: Tensor, drawn: np.ndarray, by: Callable[[Any, Tensor], Tensor]) -> Tensor:
        """Choose actions for packed observations x (B, P) by the copies with numbers `drawn` (B,).

        Args:
            x: The observations.
            drawn: Number of a copy for each.
            by: Function of a network and some of the observations that returns actions.
        """
        chosen: list[Any] = [None] * len(drawn)
        for number in np.unique(drawn):
            rows = np.flatnonzero(drawn == number)
            for row, one in zip(rows, by(self.policy(int(number)), x[rows]), strict=True):
                chosen[row] = one
        return torch.stack(chosen)

    def state_dict(self) -> dict[str, Any]:
        """Return the copies."""
        return {"stride": self.stride, "seen": self.seen, "copies": self.copies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over copies."""
        copies = [dict(copy) for copy in state["copies"]]
        if len(copies) > self.size:
            raise ValueError(f"the mixture has {len(copies)} policies")
        for copy in copies:
            self.network.load_state_dict(copy)  # raises if it does not fit
        self.stride, self.seen, self.copies, self._loaded = int(state["stride"]), int(state["seen"]), copies, -1


class LastPolicy:
    """The last policy of an agent whose `predict` plays a mixture, as an object that acts.

    Args:
        agent: The agent.
        mixing: The class whose `predict` is passed over.
    """

    def __init__(self, agent: Any, mixing: type):
        self.agent, self.mixing, self.source, self.spec = agent, mixing, agent.source, agent.spec

    def set_env(self, env: Any) -> None:
        """Ignore the environment."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        """Choose actions; see `Agent.predict`."""
        return super(self.mixing, self.agent).predict(observation, None, episode_start, deterministic)
