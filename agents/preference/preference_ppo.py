"""Reinforcement learning from human feedback as it is classically done: a reward model, then PPO with a KL penalty."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.losses.advantages import generalized_advantages
from envzoo.agents.networks.layers import linear
from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.losses import logistic_loss
from envzoo.agents.preference.pair_learner import PairConfig, PairLearner
from envzoo.agents.preference.passes import Passes
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import masked_mean, masked_whiten
from envzoo.errors import UnsupportedSpaceError
from envzoo.sizes import check_bytes


@dataclass(frozen=True)
class PreferencePPOConfig(PairConfig):
    """Hyperparameters of PreferencePPO."""

    reward_updates: int = 300
    """Gradient steps on the reward model, of `batch_size` pairs each, before PPO."""
    reward_learning_rate: float = 1e-3
    """AdamW's learning rate of the reward model."""
    reward_weight_decay: float = 1e-2
    """Weight decay of the reward model."""
    num_answers: int = 128
    """Answers per update, to as many prompts."""
    num_epochs: int = 2
    """Number of epochs per update."""
    minibatch_size: int = 64
    """Answers per gradient step of PPO."""
    kl_coefficient: float = 0.05
    """Weight of the KL divergence from the reference, per token."""
    clip_range: float = 0.2
    """Clip range of the probability ratio."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation (GAE)."""
    critic_learning_rate: float = 1e-3
    """Adam's learning rate of the critic."""

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__.removesuffix("Config")
        for field in ("reward_updates", "num_answers", "num_epochs", "minibatch_size"):
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")
        for field in ("reward_learning_rate", "clip_range", "critic_learning_rate"):
            require(getattr(self, field) > 0, f"{field} of {name} is positive, got {getattr(self, field)}")
        for field in ("reward_weight_decay", "kl_coefficient"):
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
        require(0 <= self.gae_lambda <= 1, f"gae_lambda of {name} lies in [0, 1], got {self.gae_lambda}")


class Answers(NamedTuple):
    """B sampled answers of at most T tokens.

    Attributes:
        prompts: (B, P).
        tokens: (B, T), padded.
        mask: (B, T), 1 on tokens.
        log_prob: (B, T), under the policy that wrote them.
        advantage, target: (B, T), of PPO, and of the critic.
    """

    prompts: Tensor
    tokens: Tensor
    mask: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor


class Scale(nn.Module):
    """Mean and standard deviation of the reward model over the answers of the data, for rewards of one scale."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))


class PreferencePPO(PairLearner):
    """Classical learning from preferences on texts: a Bradley-Terry reward model, and PPO that maximises it.

    Imitates the chosen answers, and fits a reward model r, the imitated language model with a linear head at the end of
    an answer, by

        -E[p log sigmoid(r(x, chosen) - r(x, rejected)) + (1 - p) log sigmoid(r(x, rejected) - r(x, chosen))],

    where p is the label. Then writes answers y to the prompts x of the data, with the rewards

        r_t = -kl_coefficient log(pi / ref)(y_t | x, y_<t) + [t is the last token] (r(x, y) - mean) / std,

    and maximises PPO's clipped surrogate with generalised advantages of a critic, which is a third copy of the model
    with a head. Mean and standard deviation of r are those over the answers of the data. This is the baseline that DPO
    does without; `OfflinePreference` has the same data, model and imitation. A timestep is an answer.

    Source: Ziegler et al. 2019 (arXiv 1909.08593), Ouyang et al. 2022 (arXiv 2203.02155).

    Metrics:
        model/accuracy: Share of the pairs of the data that the reward model orders as labelled.
        preference/reward: Mean of (r - mean) / std of the written answers.
        preference/kl: Mean of log(pi / ref) of the written answers, before the update.
        preference/length: Mean number of tokens of the written answers.
        loss/policy: Clipped surrogate loss, in the mean over the gradient steps.
        loss/value: Mean squared error of the critic, likewise.
    """

    Config = PreferencePPOConfig
    config: PreferencePPOConfig

    def __init__(self, source: Source, config: PreferencePPOConfig, **keywords: Any):
        super().__init__(source, config, **keywords)
        c = config
        if not self.texts_only:
            raise UnsupportedSpaceError(f"{self.spec.name} writes texts, but the answers are numbers")
        tokens = c.num_answers * (self.policy.prompt_length + self.policy.answer_length)
        check_bytes(tokens * (64 + 16 * self.policy.dim), f"{c.num_answers} answers per update")
        self.reward_model = self.register("reward_model", deepcopy(self.policy))
        self.critic = self.register("critic", deepcopy(self.policy))
        heads = [linear(self.policy.dim, 1, self.streams.torch(name, "cpu"), gain=0.01) for name in ("reward", "value")]
        self.reward_head, self.value_head = (head.to(self.device) for head in heads)
        self.register("reward_head", self.reward_head)
        self.register("value_head", self.value_head)
        self.scale = self.register("scale", Scale().to(self.device))
        self.critic_optimizer = self.register(
            "critic_optimizer",
            make_optimizer(
                nn.ModuleList([self.critic, self.value_head]),
                "adam",
                lr=c.critic_learning_rate,
                max_grad_norm=c.max_grad_norm,
            ),
        )
        self.turns = self.register("turns", Passes())
        self.model_accuracy = 0.0

    def rows_per_update(self) -> int:
        """Return the tokens of a gradient step of PPO."""
        return self.config.minibatch_size * (self.policy.prompt_length + self.policy.answer_length)

    def iterate(self) -> dict[str, float]:
        """Write answers, and take the steps of PPO; at first, imitate and fit the reward model."""
        if not self.turns.warm:
            if not self.progress_of_data.warm:
                self.imitate()
            self._fit_reward_model()
            self.critic.load_state_dict(self.policy.state_dict())
            self.turns.warm = True
        rows = self.turns.next(self.config.num_answers, len(self.data), self.streams.numpy("prompts"))
        answers, metrics = self.write_answers(torch.from_numpy(rows).to(self.device))
        self.num_timesteps += len(rows)
        return metrics | self.update(answers)

    def _fit_reward_model(self) -> None:
        c = self.config
        self.reward_model.load_state_dict(self.policy.state_dict())
        optimizer = make_optimizer(
            nn.ModuleList([self.reward_model, self.reward_head]),
            "adamw",
            lr=c.reward_learning_rate,
            weight_decay=c.reward_weight_decay,
            max_grad_norm=c.max_grad_norm,
        )
        draw = self.streams.numpy("reward_pairs")
        for _ in range(c.reward_updates):
            rows = torch.from_numpy(draw.integers(len(self.data), size=c.batch_size)).to(self.device)
            reward = self.rewards(self.prompts[rows], self.answers[rows])
            optimizer.step(logistic_loss(reward[:, 0] - reward[:, 1], self.label[rows]).mean())
        with torch.no_grad():
            parts = torch.arange(len(self.data), device=self.device).split(1024)
            found = torch.cat([self.rewards(self.prompts[rows], self.answers[rows]) for rows in parts])
        self.scale.mean.copy_(found.mean())
        self.scale.std.copy_(found.std().clamp_min(1e-6))
        right = (found[:, 0] > found[:, 1]) == (self.label > 0.5)
        self.model_accuracy = float(right.float().mean())

    def rewards(self, prompts: Tensor, answers: Tensor) -> Tensor:
        """Compute the reward model's values r (B, R) of answers (B, R, T) to prompts (B, P)."""
        return self.reward_head(self.reward_model.final_states(prompts, answers))[..., 0]

    @torch.no_grad()
    def write_answers(self, rows: Tensor) -> tuple[Answers, dict[str, float]]:
        """Write an answer to each prompt of `rows` (B,), and compute rewards and advantages."""
        c, prompts = self.config, self.prompts[rows]
        tokens = self.policy.answer(prompts, self.streams.torch("sampling"))
        tokens = tokens[:, : int((tokens != self.policy.pad).any(0).sum())]
        mask = (tokens != self.policy.pad).float()
        log_prob, reference = (
            model.token_log_probs(prompts, tokens[:, None])[:, 0] for model in (self.policy, self.reference)
        )
        value = self.value_head(self.critic.states(prompts, tokens))[..., 0] * mask
        score = (self.rewards(prompts, tokens[:, None])[:, 0] - self.scale.mean) / self.scale.std
        length = mask.sum(1).long()
        reward = -c.kl_coefficient * (log_prob - reference) * mask
        reward[torch.arange(len(rows)), length - 1] += score
        advantage = self._advantages(reward, value, length)
        answers = Answers(prompts, tokens, mask, log_prob, masked_whiten(advantage, mask), (advantage + value) * mask)
        metrics = {
            "model/accuracy": self.model_accuracy,
            "preference/reward": float(score.mean()),
            "preference/kl": float((log_prob - reference).sum(1).mean()),
            "preference/length": float(length.float().mean()),
        }
        return answers, metrics

    def _advantages(self, reward: Tensor, value: Tensor, length: Tensor) -> Tensor:
        """Compute generalised advantages (B, T), 0 on padding; nothing follows the last token."""
        steps = np.arange(reward.shape[1])[:, None]
        last = length.cpu().numpy() - 1
        over = steps >= last
        values = value.cpu().numpy().T.astype(np.float32)
        following = np.concatenate([values[1:], np.zeros_like(values[:1])])
        found = generalized_advantages(
            reward.cpu().numpy().T.astype(np.float32), values, following, over, over, 1.0, self.config.gae_lambda
        )
        return torch.from_numpy(np.where(steps <= last, found, np.float32(0)).T.copy()).to(self.device)

    def update(self, answers: Answers) -> dict[str, float]:
        """Take the gradient steps of PPO on written answers."""
        c, losses = self.config, []
        draw = self.streams.numpy("minibatches")
        for _ in range(c.num_epochs):
            order = torch.from_numpy(draw.permutation(len(answers.tokens))).to(self.device)
            for rows in order.split(c.minibatch_size):
                part = Answers(*(column[rows] for column in answers))
                log_prob = self.policy.token_log_probs(part.prompts, part.tokens[:, None])[:, 0]
                width = log_prob.shape[1]  # of the longest answer of the minibatch
                old, advantage, mask = part.log_prob[:, :width], part.advantage[:, :width], part.mask[:, :width]
                loss, _ = ppo_clip_per_token(log_prob, old, advantage, c.clip_range, c.clip_range)
                loss = masked_mean(loss, mask)
                self.optimizer.step(loss)
                value = self.value_head(self.critic.states(part.prompts, part.tokens))[..., 0]
                error = masked_mean((value - part.target) ** 2, part.mask)
                self.critic_optimizer.step(error)
                losses.append((float(loss.detach()), float(error.detach())))
        policy, critic = np.mean(losses, axis=0)
        return {"loss/policy": float(policy), "loss/value": float(critic)}
