"""Methods: what one algorithm for language models does with answers, independent of trainer, model and task.

`TextAgent` and TRL's `MethodTrainer` both hold a `Method`. Its functions take and return tensors, so that any other
source of answers, such as a softmax table, can use them as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from envzoo.agents.registry import agent_class, specs
from envzoo.agents.seeding import Streams
from envzoo.agents.spec import build_config
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.losses.advantages import ADVANTAGES
from envzoo.agents.text.losses.kl import KL_ESTIMATORS
from envzoo.agents.text.losses.tokens import aggregate, masked_mean
from envzoo.agents.text.rollouts import TextRollout
from envzoo.errors import unknown

FAMILY = "reasoning"


class Method:
    """Base class of methods.

    A subclass implements `token_loss` and overrides whatever else its paper changes. A trainer calls, in this order:
    `temperature` and `record` while it samples, `advantages` and `inject` once per rollout, `select` once before its
    updates, and `objective` once per minibatch, which calls `observe` and `token_loss`.

    Example:
        ```python
        class HalfMethod(Method):
            def token_loss(self, logp, entropy, batch):
                return -0.5 * batch.advantage * logp, {}

        class Half(TextAgent):
            Method = HalfMethod

        envzoo.agents.register("Half", Half)
        ```

    Args:
        config: Hyperparameters.
        streams: Named random generators.
        device: Device of the tensors.
        longest: Maximum number of tokens of an answer.
        progress: Returns the fraction of training that is done, in [0, 1].

    Attributes:
        records: Names of the extra (B, T) tensors that `record` computes during sampling.
        reads_entropy: Whether the method reads `rollout.entropy`, the entropies of the sampling policy. A trainer
            whose sampler does not provide them has to compute them.
        injects: Whether the method adds answers of its own to a rollout (see `inject`).
        vectorizes: Whether `token_loss` runs under `torch.vmap`: its control flow does not depend on the values of
            tensors, and it draws no random numbers (see `draw`). `TokenTable` then computes the losses of all seeds at
            once. A class that overrides `token_loss` has to say so again.
        state: Everything the method remembers between updates, as JSON values. It is saved with the agent.
    """

    records: ClassVar[tuple[str, ...]] = ()
    reads_entropy: ClassVar[bool] = False
    injects: ClassVar[bool] = False
    vectorizes: ClassVar[bool] = False

    def __init__(
        self,
        config: TextConfig,
        *,
        streams: Streams,
        device: torch.device | str = "cpu",
        longest: int,
        progress: Callable[[], float] = lambda: 0.0,
    ):
        self.config: Any = config
        self.streams, self.device, self.longest, self.progress = streams, torch.device(device), longest, progress
        self.state: dict[str, Any] = self.initial_state()

    def initial_state(self) -> dict[str, Any]:
        """Return the state before the first rollout."""
        return {}

    # --------------------------------------------------------------- sampling

    @property
    def varies_temperature(self) -> bool:
        """Whether `temperature` may return a function."""
        return False

    def temperature(self) -> Callable[[Tensor], Tensor] | None:
        """Return the temperatures (B,) of the next tokens as a function of the entropies (B,) of their distributions.

        None, the default, samples every token at `config.temperature`.
        """
        return None

    def record(self, log_probs: Tensor, token: Tensor) -> dict[str, Tensor]:
        """Compute the tensors that `records` names, for one token of each answer.

        Args:
            log_probs: (B, V), log-probabilities of the sampling policy at the base temperature.
            token: (B,) int64, the sampled tokens.

        Returns:
            A tensor (B,) per name; the sampler collects them in `TextRollout.extras`.
        """
        return {}

    # --------------------------------------------------------- once per rollout

    def advantages(self, rollout: TextRollout) -> tuple[Tensor, dict[str, float]]:
        """Compute the advantages (B, T) from `reward`, `group` and `mask` of a rollout, and metrics."""
        return ADVANTAGES[self.config.advantage](rollout.reward, rollout.group, rollout.mask), {}

    def inject(
        self, rollout: TextRollout, sampled: TextRollout, answer: Callable[[Tensor, float], TextRollout]
    ) -> tuple[TextRollout, int]:
        """Replace some answers of a rollout by further ones. Called only if `injects` is true.

        Args:
            rollout: The rollout, with its advantages.
            sampled: What the policy sampled first, before dynamic sampling.
            answer: Samples and verifies `group_size` answers to each of the given prompts (Q, P), at a temperature.

        Returns:
            The changed rollout, and how many answers were injected.
        """
        return rollout, 0

    def select(self, rollout: TextRollout) -> tuple[TextRollout, dict[str, float]]:
        """Select the part of a rollout to train on, by its rows and its mask, and compute metrics."""
        return rollout, {}

    def select_mask(self, rollout: TextRollout) -> tuple[Tensor, dict[str, float]]:
        """Return the selection of `select` as a mask (B, T), for trainers that cannot drop answers."""
        rows = torch.arange(len(rollout), device=rollout.mask.device)
        chosen, metrics = self.select(rollout.replace(group=rows))
        mask = torch.zeros_like(rollout.mask)
        mask[chosen.group] = chosen.mask  # the groups tell which rows were chosen
        return mask, metrics

    # ------------------------------------------------------- once per minibatch

    def observe(self, entropy: Tensor, batch: TextRollout) -> None:
        """Update `state` from the entropies (B, T) of the current policy on a minibatch, before its loss."""

    def draw(self, batch: TextRollout) -> dict[str, Tensor]:
        """Draw the random numbers (B, T) of a minibatch's loss, by name; `token_loss` finds them in `batch.extras`."""
        return {}

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss per token (B, T) of a minibatch, and metrics.

        Args:
            logp: (B, T), log-probabilities of the tokens under the current policy.
            entropy: (B, T), entropies of the current policy, without gradient.
            batch: The minibatch.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement token_loss")

    def objective(
        self, logp: Tensor, entropy: Tensor, batch: TextRollout, weight: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Compute the loss of a minibatch, with the KL penalty and the entropy bonus of the config, and metrics.

        Args:
            logp: (B, T), log-probabilities under the current policy, 0 off the mask.
            entropy: (B, T), entropies of the current policy, 0 off the mask.
            batch: The minibatch.
            weight: Factor of the loss of each token, such as an importance weight of another sampler; (B, T) or (B, 1).
        """
        self.observe(entropy.detach(), batch)
        numbers = self.draw(batch)
        batch = batch.replace(extras=batch.extras | numbers) if numbers else batch
        return self.total_loss(logp, entropy, batch, weight)

    def total_loss(
        self, logp: Tensor, entropy: Tensor, batch: TextRollout, weight: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Compute what `objective` returns, from a minibatch that was observed and has its random numbers."""
        c = self.config
        loss, metrics = self.token_loss(logp, entropy.detach(), batch)
        if weight is not None:
            loss = loss * weight
        total = aggregate(loss, batch.mask, c.aggregation, self.longest)
        if c.kl_coefficient:
            divergence = KL_ESTIMATORS[c.kl_estimator](logp, batch.ref_logp)
            total = total + c.kl_coefficient * aggregate(divergence, batch.mask, c.aggregation, self.longest)
        if c.entropy_coefficient:
            total = total - c.entropy_coefficient * masked_mean(entropy, batch.mask)
        return total, metrics


def method_names() -> list[str]:
    """Return the names of the agents that train language models with a method."""
    return [name for name, spec in specs().items() if spec.family == FAMILY]


def method_class(name: str) -> tuple[type[Method], type[TextConfig]]:
    """Return the method and the config of an agent.

    Raises:
        UnknownNameError: There is no such agent, or it has no method.
    """
    cls = agent_class(name) if isinstance(name, str) and name in specs() else None
    method = getattr(cls, "Method", None)
    if cls is None or not (isinstance(method, type) and issubclass(method, Method)):
        raise unknown("method", name, method_names())
    return method, cls.Config


def make_method(
    name: str,
    longest: int,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[], float] = lambda: 0.0,
    **settings: Any,
) -> Method:
    """Make the method of an agent without the agent, for other trainers.

    Args:
        name: Name of the agent.
        longest: Maximum number of tokens of an answer.
        seed: Seed from which the random numbers of the method descend.
        device: Device of the tensors.
        progress: Returns the fraction of training that is done, in [0, 1].
        **settings: Hyperparameters of the agent.

    Raises:
        UnknownNameError: There is no such method or hyperparameter.
        EnvzooError: A hyperparameter is out of range.
    """
    method, config = method_class(name)
    settings = build_config(config, name, settings)
    return method(settings, streams=Streams(seed, device), device=device, longest=longest, progress=progress)
