"""DecisionTransformer (Chen et al., 2021): a transformer that is told the return it should still collect."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from envzoo.agents.losses.distributions import categorical_log_prob
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.sequence.closed import CausalTransformer
from envzoo.agents.offline.memory import Memory
from envzoo.agents.offline.sequence_agent import SequenceAgent, SequenceConfig, Windows
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.errors import DatasetError, EnvzooError


@dataclass(frozen=True)
class DecisionTransformerConfig(SequenceConfig):
    """Hyperparameters of the Decision Transformer; the paper has 10,000 warmup_steps of 100,000."""

    target_return: float | None = None
    """Return that the policy is asked for when it acts; None asks for the largest one of the dataset."""
    longest_episode: int | None = None
    """Number of time steps that have an embedding; None takes the longest episode of the dataset or the time limit of
    its environment, whichever is larger."""

    def __post_init__(self):
        super().__post_init__()
        if self.longest_episode is not None:
            require(
                self.longest_episode >= 1,
                f"longest_episode of DecisionTransformer is at least 1, got {self.longest_episode}",
            )


class ReturnTransformer(nn.Module):
    """Policy pi(a_t | R_1, s_1, a_1, ..., R_t, s_t), three tokens a step.

    Args:
        observation_dim: Features of an observation.
        action_dim: A for discrete actions, D for Box ones.
        discrete: Which of them.
        config: Sizes.
        times: Number of time steps that have an embedding.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        discrete: bool,
        config: SequenceConfig,
        times: int,
        generator: torch.Generator,
    ):
        super().__init__()
        width, self.discrete, self.action_dim = config.width, discrete, action_dim
        self.read_return = linear(1, width, generator, gain=None)
        self.read_observation = linear(observation_dim, width, generator, gain=None)
        self.read_action = linear(action_dim, width, generator, gain=None)
        self.time = nn.Parameter(torch.randn(times, width, generator=generator) * 0.02)
        self.body = CausalTransformer(width, config.layers, config.heads, config.context, 3, generator)
        self.head = linear(width, action_dim, generator, gain=0.01)

    def forward(self, to_go: Tensor, observation: Tensor, action: Tensor, step: Tensor, mask: Tensor) -> Tensor:
        """Compute logits (B, L, A), or means (B, L, D) in [-1, 1]; the action of a step does not change its own output.

        Args:
            to_go: (B, L) scaled returns to go.
            observation: (B, L, observation_dim).
            action: (B, L) int64, or (B, L, D).
            step: (B, L) int64.
            mask: (B, L) bool, False on padding.
        """
        acted = nn.functional.one_hot(action, self.action_dim).float() if self.discrete else action
        tokens = torch.stack(
            [self.read_return(to_go[..., None]), self.read_observation(observation), self.read_action(acted)], dim=2
        )
        features = self.body(tokens + self.time[step][:, :, None], mask)
        output = self.head(features[:, :, 1])
        return output if self.discrete else torch.tanh(output)


class DecisionTransformer(SequenceAgent):
    """A causal transformer over (return to go, observation, action), trained to continue the logged trajectories.

    Minimises over windows of `context` steps of the data

        L = -E[log pi(a_t | R_1, s_1, a_1, ..., R_t, s_t)]        (Discrete actions)
        L = E[|pi(R_1, s_1, a_1, ..., R_t, s_t) - a_t|^2 / D]     (Box actions scaled to [-1, 1])

    with R_t the sum of the rewards from step t to the end of the episode, and acts with R_1 = `target_return`, from
    which it subtracts the rewards that it receives. Where returns depend on luck it imitates the lucky, like `RCSL`.
    Differences from the paper's code: no dropout, attention also sees how long ago a token was. Source: Chen et al.
    (2021, arXiv 2106.01345).

    Acting needs the rewards of the steps before: call `set_env(env)` before the first step, as evaluations do, or
    `state = agent.observe_rewards(state, rewards, done)` after each step.

    Metrics:
        loss/policy: L on the minibatch.
    """

    Config = DecisionTransformerConfig
    config: DecisionTransformerConfig

    def build(self) -> None:
        """Create the transformer, its optimizer, and the scale of returns."""
        c = self.config
        self.times = self._count_times()
        network = ReturnTransformer(
            self.codec.vector_dim,
            self.actions.n if self.actions.discrete else self.actions.dim,
            self.actions.discrete,
            c,
            self.times,
            self.streams.torch("weights", "cpu"),
        )
        self.policy = self.register("policy", network.to(self.device))
        settings = {"lr": c.learning_rate, "weight_decay": c.weight_decay, "max_grad_norm": c.max_grad_norm}
        self.optimizer = self.register("optimizer", make_optimizer(self.policy, c.optimizer, **settings))
        returns = self.to_go[self.step_of == 0]
        target = float(returns.max()) if c.target_return is None else c.target_return
        largest = float(self.to_go.abs().max())
        self.scale = self.register(
            "scale", StateHolder(target=target, unit=largest if largest > 0 else 1.0, updates=0, times=self.times)
        )

    def _count_times(self) -> int:
        longest, asked = int(self.step_of.max()) + 1, self.config.longest_episode
        if asked is None:
            known = getattr(self.source.given, "env_spec", None)
            return max(longest, getattr(known, "max_episode_steps", None) or 0)
        if asked < longest:
            raise DatasetError(
                f"dataset {self.source.name} has an episode of {longest} steps, more than the {asked} of "
                "longest_episode"
            )
        return asked

    def update(self, batch: Windows) -> dict[str, Tensor]:
        """Take one AdamW step on L."""
        c, self.scale.updates = self.config, self.scale.updates + 1
        self.optimizer.lr = c.learning_rate * min(1.0, self.scale.updates / max(1, c.warmup_steps))
        loss = self.loss(batch)
        self.optimizer.step(loss)
        return {"loss/policy": loss.detach()}

    def loss(self, batch: Windows) -> Tensor:
        """Compute L, the mean over all steps of the windows that are not padding."""
        output = self.policy(
            batch.to_go / self.scale.unit, self.codec.vector(batch.rows), batch.action, batch.step, batch.mask
        )
        if self.actions.discrete:
            each = -categorical_log_prob(self.masks.restrict(output, batch.rows), batch.action)
        else:
            each = (output - batch.action).square().mean(dim=-1)
        return each[batch.mask].mean()

    def choose(self, memory: Memory, generator: torch.Generator, deterministic: bool) -> tuple[Tensor, Memory]:
        """Choose the actions under the return that is left of the target: the mode, or samples."""
        steps = int(memory.step.max()) + 1
        if steps > self.times:
            raise EnvzooError(
                f"an episode of more than {self.times} steps is longer than DecisionTransformer has embeddings of time "
                f"for; train it with longest_episode={steps} or more"
            )
        to_go = (self.scale.target - memory.earned) / self.scale.unit
        output = self.policy(to_go, self.codec.vector(memory.rows), memory.action, memory.step, memory.mask)
        return self.draw(output[:, -1], memory.rows[:, -1], generator, deterministic), memory
