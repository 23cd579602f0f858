"""The updates of a policy on a rollout: minibatches, micro-batches, and the check of log-probabilities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from envzoo.agents.seeding import Streams
from envzoo.agents.text.codec import Codec
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.losses.kl import k3
from envzoo.agents.text.losses.tokens import entropy_of_log_probs, masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.models.language import LanguageModel, answer_log_probs
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.scores import EXACT, REDUCED, RolloutCheck
from envzoo.reasoning.task import Task

FEW = 64  # answers of the tiny model that fit any memory, so that they are scored in one forward pass


class PolicyUpdates:
    """Mixin of `TextAgent` with the updates on a rollout.

    Attributes:
        config: Hyperparameters.
        method: The algorithm.
        task: The puzzles.
        codec: The mapping between the tokens of the model and those of the task.
        policy: The language model.
        reference_policy: A copy of the initial policy, or None.
        optimizer: The optimizer of the policy.
        streams: Named random generators.
        device: Device of the policy.
    """

    config: TextConfig
    method: Method
    task: Task
    codec: Codec
    policy: LanguageModel
    reference_policy: LanguageModel | None
    optimizer: Any
    streams: Streams
    device: torch.device

    def _changes(self) -> int:
        """Return the number of updates of the policy's weights, which identifies a policy."""
        first = self.optimizer.parameters[0] if self.optimizer.by_tensor else self.optimizer.flat
        return int(self.optimizer.optimizer.state.get(first, {}).get("step", 0))

    def _log_probs(self, model: LanguageModel, batch: TextRollout) -> tuple[Tensor, Tensor]:
        """Compute the log-probabilities (B, T) of the tokens of the answers, and (B, T, V) of the whole vocabulary."""
        width = int(batch.mask.sum(0).nonzero().max()) + 1 if batch.mask.any() else 1
        asked, which = batch.distinct_prompts()
        prompts = torch.as_tensor(self.codec.encode(asked.cpu().numpy()), device=self.device)
        logp, every = answer_log_probs(model, prompts, batch.tokens[:, :width], self.config.temperature, which)
        missing = batch.tokens.shape[1] - width
        if missing:
            logp = torch.nn.functional.pad(logp, (0, missing))
            every = torch.nn.functional.pad(every, (0, 0, 0, missing))
        return torch.where(batch.mask > 0, logp, 0.0), every

    def _forward(self, model: LanguageModel, batch: TextRollout) -> tuple[Tensor, Tensor]:
        """Compute the log-probabilities (B, T) and the entropies, with gradient only if there is an entropy bonus."""
        logp, every = self._log_probs(model, batch)
        with torch.set_grad_enabled(torch.is_grad_enabled() and bool(self.config.entropy_coefficient)):
            entropy = torch.where(batch.mask > 0, entropy_of_log_probs(every), 0.0)
        return logp, entropy

    def _pieces(self, batch: TextRollout) -> list[TextRollout]:
        """Split answers into micro-batches."""
        size = self.config.micro_batch or len(batch)
        return [batch.rows(rows) for rows in torch.arange(len(batch), device=self.device).split(size)]

    @torch.no_grad()
    def _measure(self, model: LanguageModel, batch: TextRollout) -> tuple[Tensor, Tensor]:
        """Compute the results of `_forward` without gradient, one micro-batch at a time."""
        logps, entropies = zip(*(self._forward(model, piece) for piece in self._pieces(batch)), strict=True)
        return torch.cat(logps), torch.cat(entropies)

    def _update(self, rollout: TextRollout) -> dict[str, float]:
        c, totals, steps = self.config, {}, 0
        shuffle = self.streams.numpy("minibatches")
        size = len(rollout) // c.num_minibatches
        trained = 0
        for _ in range(c.num_epochs):
            order = torch.as_tensor(shuffle.permutation(len(rollout)), device=self.device)
            check = None if steps else self._check(rollout, order, size)
            for start in range(0, size * c.num_minibatches, size):
                batch = rollout.rows(order[start : start + size])
                found = self._minibatch(batch, steps == 0, check if start == 0 else None)
                trained += int(batch.mask.sum())
                steps += 1
                for name, value in found.items():
                    totals.setdefault(name, []).append(torch.as_tensor(value, device=self.device).detach())
        metrics = {f"policy/{name}": float(torch.stack(values).float().mean()) for name, values in totals.items()}
        return metrics | {"policy/trained_tokens": float(trained)}

    def _check(self, rollout: TextRollout, order: Tensor, size: int) -> RolloutCheck:
        """Check a rollout before the first update; minibatches of `size` rows will follow in `order`."""
        c = self.config
        limit = EXACT if c.model_dtype == c.compute_dtype == "float32" else REDUCED
        # A low temperature divides the logits, and their rounding errors with them.
        limit /= min(1.0, c.temperature)
        most = min(size, c.micro_batch or size)
        if c.micro_batch is None and not c.pretrained:
            most = max(size, FEW)
        return RolloutCheck(
            rollout, order, size, most, lambda rows: self._log_probs(self.policy, rows)[0], self._changes(),
            limit, lambda prompt: self.task.text(prompt.cpu().numpy()),
        )  # fmt: skip

    def _minibatch(self, batch: TextRollout, first: bool, check: RolloutCheck | None = None) -> dict[str, Any]:
        with self.policy.derived_from(self.optimizer) as leaves:
            return self._learn(batch, first, check, leaves)

    def _learn(
        self, batch: TextRollout, first: bool, check: RolloutCheck | None, leaves: list[Tensor]
    ) -> dict[str, Any]:
        c = self.config
        split = c.micro_batch is not None and c.micro_batch < len(batch)
        if split:
            # Losses need statistics of the whole minibatch. So they are differentiated with respect to the
            # log-probabilities and entropies of all its tokens first; these are differentiated by micro-batches.
            logp, entropy = self._measure(self.policy, batch)
            logp.requires_grad_()
            entropy.requires_grad_(bool(c.entropy_coefficient))
        else:
            logp, entropy = self._forward(self.policy, batch)
        scored = {} if check is None else check(logp.detach())
        total, metrics = self.method.objective(logp, entropy, batch)
        if first:
            metrics |= scored | self._divergence(batch)
        # Without anything to learn, Adam's momentum would still move the weights.
        if bool((batch.advantage * batch.mask).any()) or c.kl_coefficient or c.entropy_coefficient:
            gradient = self.optimizer.flat.grad
            gradient.zero_()
            if split:
                self._backward(total, logp, entropy, batch, leaves)
            else:
                total.backward(inputs=leaves)
            metrics["grad_norm"] = torch.linalg.vector_norm(gradient)
            self.optimizer.apply()
        else:
            metrics["grad_norm"] = 0.0
        return metrics | {"loss": total.detach(), "entropy": masked_mean(entropy.detach(), batch.mask)}

    def _backward(self, total: Tensor, logp: Tensor, entropy: Tensor, batch: TextRollout, leaves: list[Tensor]) -> None:
        """Backpropagate through the log-probabilities and entropies of a minibatch, one micro-batch at a time."""
        slopes = torch.autograd.grad(total, [outcome for outcome in (logp, entropy) if outcome.requires_grad])
        size = self.config.micro_batch
        for piece, *parts in zip(self._pieces(batch), *(slope.split(size) for slope in slopes), strict=True):
            outputs = self._forward(self.policy, piece)[: len(parts)]
            torch.autograd.backward(outputs, parts, inputs=leaves)

    @torch.no_grad()
    def _divergence(self, batch: TextRollout) -> dict[str, Tensor]:
        """Estimate the divergence from the reference policy on at most 64 answers."""
        if self.reference_policy is None:
            return {}
        few = batch.rows(torch.arange(min(64, len(batch)), device=self.device))
        divergence = k3(self._measure(self.policy, few)[0], self._measure(self.reference_policy, few)[0])
        return {"kl_to_start": masked_mean(divergence, few.mask)}
