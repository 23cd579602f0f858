"""The stages of a method without its trainer, for trainers of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.registry import agent_class, specs
from envzoo.agents.seeding import Streams
from envzoo.agents.spec import build_config
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.trainer import TextAgent, TextConfig
from envzoo.errors import unknown

_NEED_ENTROPY = ("STEER", "D3S")  # read the entropies of the policy that wrote the answers


def method_names() -> list[str]:
    """The methods that train language models, by their names as agents."""
    return [name for name, spec in specs().items() if spec.entry_point.startswith("envzoo.agents.reasoning.")]


class Stages:
    """What a method does with answers that somebody else sampled: advantages, selection, and the loss.

    All of it is the code of the agent itself, which is made here without a model, a task and an optimizer.

    Args:
        name: Name of the agent.
        longest: The longest answer in tokens, for aggregations that divide by it.
        seed: From which the method's own random numbers descend.
        device: Where the answers live.
        progress: Share of the training that is over, in [0, 1]; schedules read it.
        **settings: Hyperparameters of the agent.

    Raises:
        UnknownNameError: No such method, or hyperparameter.
        EnvzooError: A hyperparameter out of range.
    """

    def __init__(
        self,
        name: str,
        longest: int,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Callable[[], float] = lambda: 0.0,
        **settings: Any,
    ):
        if name not in method_names():
            raise unknown("method", name, method_names())
        cls = agent_class(name)
        self.name = name
        self.config: TextConfig = build_config(cls.Config, name, settings)
        self.weight: Tensor | None = None  # (B, T) or (B, 1), a factor of the next minibatch's losses
        method: TextAgent = cls.__new__(cls)
        method.config, method.seed, method.device = self.config, seed, torch.device(device)
        method.streams = Streams(seed, device)
        method.memory = method.first_memory()
        method.codec = SimpleNamespace(answer_length=longest)
        method.progress = progress
        plain = method.token_loss

        def weighted(logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
            loss, metrics = plain(logp, entropy, batch)
            return (loss if self.weight is None else loss * self.weight), metrics

        method.token_loss = weighted
        self._method = method

    @property
    def kappa(self) -> float | None:
        """Threshold of the min-p filter whose log-probabilities the loss reads, or None."""
        return self._method.kappa

    @property
    def needs_entropy(self) -> bool:
        """Whether the method reads the entropies of the policy that wrote the answers."""
        return self.name in _NEED_ENTROPY

    def advantages(self, reward: Tensor, group: Tensor, mask: Tensor) -> Tensor:
        """(B, T) from rewards (B,), the numbers of the prompts (B,) and the mask (B, T)."""
        return self._method.advantages(answers(mask, reward=reward, group=group))

    def select(self, rollout: Rollout) -> tuple[Tensor, dict[str, float]]:
        """The mask (B, T) of the tokens that are learned from, and metrics."""
        rows = torch.arange(len(rollout), device=rollout.mask.device)
        chosen, metrics = self._method.select(rollout.replace(group=rows))
        mask = torch.zeros_like(rollout.mask)
        mask[chosen.group] = chosen.mask  # the groups tell which rows were chosen
        return mask, metrics

    def objective(
        self, logp: Tensor, entropy: Tensor, batch: Rollout, weight: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """The loss of a minibatch, and metrics.

        Args:
            logp: (B, T) under the policy that learns, 0 off the mask.
            entropy: (B, T).
            batch: The answers.
            weight: Factor of the losses of tokens, such as an importance weight of another sampler; (B, T) or (B, 1).
        """
        self.weight = weight
        try:
            return self._method._objective(logp, entropy, batch)
        finally:
            self.weight = None


def answers(mask: Tensor, **fields: Tensor) -> Rollout:
    """A rollout of which only some fields are known; the others are 0."""
    none = torch.zeros_like(mask)
    rows = torch.zeros(len(mask), dtype=torch.int64, device=mask.device)
    known = {
        "prompts": rows[:, None],
        "tokens": rows[:, None].expand(mask.shape),
        "old_logp": none,
        "entropy": none,
        "proxy_logp": none,
        "reward": none[:, 0] if mask.shape[1] else mask.new_zeros(len(mask)),
        "group": rows,
        "advantage": none,
        "ref_logp": none,
    }
    return Rollout(mask=mask, **known | fields)
