"""Deep Q-learning (Mnih et al., 2015) with double and n-step targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.loops.experience import Step
from envzoo.agents.loops.n_step import NStepWindow
from envzoo.agents.loops.off_policy import OffPolicyAgent, OffPolicyConfig
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import td_target
from envzoo.agents.losses.td import greedy_value, huber_loss
from envzoo.agents.networks.action import MaskReader
from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.encoders import make_encoder
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.seen import Recalled, Seen, features_of, packed_of
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.optim import make_optimizer
from envzoo.agents.schedules import check_rate, first_rate, is_scheduled, rate_at
from envzoo.agents.spec import Holds, require


@dataclass(frozen=True)
class DQNConfig(OffPolicyConfig):
    """Hyperparameters of DQN; the defaults suit classic control."""

    num_envs: int = 8
    """Environments stepped side by side."""
    buffer_size: int = 100_000
    """Transitions the replay buffer keeps; its memory grows with the content."""
    batch_size: int = 128
    """Transitions per update."""
    gradient_steps: int | None = 4
    """Updates per round; None for one per environment step taken since the last round."""
    learning_rate: Annotated[float | str, Holds("schedule")] = 1e-3
    """Adam's learning rate: a number, a schedule by name ("cosine:3e-4"), or a function of the share of the budget that
    has been used (see `envzoo.agents.schedules`)."""
    anneal: bool = True
    """Decrease the learning rate linearly to zero over the timestep budget, unless it is a schedule."""
    max_grad_norm: float | None = 10.0
    """Maximum Euclidean norm of the gradient; None for no clipping."""
    gamma: float = 0.99
    """Discount factor, in (0, 1]."""
    n_steps: int | None = None
    """Number of rewards in a target before the value of the next observation; None for 3, and for 1 with a memory,
    which takes no other number."""
    double: bool = True
    """Choose the next action with the online network (double Q-learning) instead of the target network."""
    huber_delta: float | None = 1.0
    """Error above which the loss is linear; None for the squared error."""
    target_update_interval: int = 128
    """Updates between two updates of the target network."""
    tau: float = 1.0
    """Polyak coefficient of the target network; 1 copies the online network."""
    initial_epsilon: float = 1.0
    """Probability of a random action at the start."""
    final_epsilon: float = 0.04
    """Probability of a random action after `exploration_steps`."""
    exploration_steps: int = 8_000
    """Environment steps over which the probability of a random action decreases linearly."""
    encoder: Annotated[str, Holds("encoder")] = "auto"
    """Encoder of the observation: auto, mlp, cnn or efficient_vmamba; with memory gru, lstm, lru, s4d, mamba,
    transformer or hopfield; or a class or function of your own (see `envzoo.agents.networks.encoders.make_encoder`).
    auto selects cnn for images and mlp otherwise."""
    hidden: tuple[int, ...] = (256, 256)
    """Hidden layer sizes; with a memory, the last is its width."""
    activation: str = "relu"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw, sgd; with 8-bit statistics adam8bit, adamw8bit, momentum8bit or lion8bit."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("n_steps", "target_update_interval", "exploration_steps"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} of DQN is at least 1, got {value}")
        require(self.n_steps is None or self.n_steps <= 1000, f"n_steps of DQN is at most 1000, got {self.n_steps}")
        check_rate("learning_rate", "DQN", self.learning_rate)
        for name in ("max_grad_norm", "huber_delta"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} of DQN is positive, got {value}")
        for name in ("gamma", "tau"):
            require(0 < getattr(self, name) <= 1, f"{name} of DQN lies in (0, 1], got {getattr(self, name)}")
        for name in ("initial_epsilon", "final_epsilon"):
            require(0 <= getattr(self, name) <= 1, f"{name} of DQN lies in [0, 1], got {getattr(self, name)}")


class QNetwork(nn.Module):
    """Action values Q(s, .): an encoder and a linear layer.

    Args:
        codec: Observation codec.
        actions: A, number of actions.
        encoder: Name of an encoder, or one of your own.
        hidden: Hidden layer sizes.
        activation: Name of the activation function.
        generator: Generator of the initial weights.
    """

    def __init__(
        self,
        codec: ObservationCodec,
        actions: int,
        encoder: str,
        hidden: tuple[int, ...],
        activation: str,
        generator: torch.Generator,
    ):
        super().__init__()
        self.encoder = make_encoder(encoder, codec, hidden, activation, generator)
        self.head = linear(self.encoder.out_dim, actions, generator, gain=None)

    def forward(self, x: Tensor | Seen | Recalled) -> Tensor:
        """Compute the action values (N, A) of packed observations x (N, P), or of observations with a past."""
        return self.head(features_of(self.encoder, x))


class DQN(OffPolicyAgent):
    """Deep Q-learning: action values from a replay buffer and a target network, for discrete actions.

    With probability epsilon the action is random, otherwise greedy. Each update takes one gradient step on

        L = E[h(Q(s, a) - y)],   y = r_0 + gamma r_1 + ... + gamma^(n-1) r_(n-1) + gamma^n (1 - terminated) Q'(s_n, a*)

    with the Huber function h and a* = argmax_a Q(s_n, a) (double Q-learning, the default) or argmax_a Q'(s_n, a).
    Every `target_update_interval` updates the target network Q' moves towards Q by the factor `tau`; with `tau=1`, the
    default, it becomes a copy of Q, as in Mnih et al. (`target_update_interval=10000`). The learning rate falls
    linearly to zero over the budget. An episode that ends earlier has fewer rewards in y; if it was truncated, the
    value of its last observation is discounted by the number of steps. Actions that are not allowed are neither chosen
    nor maximised over. Sources: Mnih et al. (2015, Nature 518, algorithm 1), van Hasselt et al. (2016, arXiv
    1509.06461, equation 4), Sutton (1988) for n-step returns.

    Metrics:
        loss/critic: L.
        value/q: mean Q(s, a) of the actions in the batch.
        value/target: mean target y.
        policy/epsilon: probability of a random action.
    """

    Config = DQNConfig
    config: DQNConfig

    def build(self) -> None:
        """Create the network, its optimizer, the target network, and the reader of action masks."""
        c, n = self.config, self.actions.n
        network = QNetwork(self.codec, n, c.encoder, c.hidden, c.activation, self.streams.torch("weights", "cpu"))
        recurrent = network.encoder.recurrent
        self.n_steps = c.n_steps or (1 if recurrent else 3)
        require(self.n_steps == 1 or not recurrent, f"n_steps of DQN is 1 with a memory, got {c.n_steps}")
        self.network = self.register("network", network.to(self.device))
        self.optimizer = self.register(
            "optimizer",
            make_optimizer(self.network, c.optimizer, lr=first_rate(c.learning_rate), max_grad_norm=c.max_grad_norm),
        )
        self.target = self.register("target", PolyakTarget(self.network, self.optimizer.flat, c.tau))
        self.allowed = MaskReader(self.codec, n)

    def encoders(self) -> list[Encoder]:
        """Return the encoder, if it has a memory."""
        return [self.network.encoder] if self.network.encoder.recurrent else []

    def build_storage(self) -> None:
        """Create the window of the last steps, from which transitions over several steps are made."""
        gamma, observation = self.config.gamma, self.experience.observation
        if self.n_steps > 1:
            actions = np.zeros(len(observation), np.int64)
            self.window = self.register("window", NStepWindow(self.n_steps, gamma, observation, actions))

    @property
    def epsilon(self) -> float:
        """Probability of a random action at present."""
        c = self.config
        left = max(0.0, 1.0 - self.num_timesteps / c.exploration_steps)
        return c.final_epsilon + left * (c.initial_epsilon - c.final_epsilon)

    def act(self, x: Tensor | Seen, generator: torch.Generator | None, deterministic: bool = False) -> Tensor:
        """Select actions (N,): greedy, or random with probability `epsilon`."""
        rows = packed_of(x)
        greedy = self.allowed.restrict(self.network(x), rows).argmax(dim=-1)
        if deterministic:
            return greedy
        scores = torch.rand(len(rows), self.actions.n, generator=generator, device=self.device)
        explores = torch.rand(len(rows), generator=generator, device=self.device) < self.epsilon
        return torch.where(explores, self.allowed.restrict(scores, rows).argmax(dim=-1), greedy)

    def random_action(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Sample uniform actions (count,)."""
        return generator.integers(0, self.actions.n, count)

    def store(self, observation: np.ndarray, action: np.ndarray, start: np.ndarray, step: Step) -> int:
        """Add the transitions over n steps that this step completes; returns the number of environment steps."""
        if self.n_steps == 1:
            return super().store(observation, action, start, step)
        done, following = step.done, step.next_observation
        found = self.window.add(observation, action, step.reward, step.terminated, done, following, start, step.valid)
        self.buffer.add(*found)
        return int(step.valid.sum())

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Take one gradient step, and update the target network when it is due (algorithm 1)."""
        c = self.config
        if is_scheduled(c.learning_rate):
            self.optimizer.lr = rate_at(c.learning_rate, self.progress())
        elif c.anneal:
            self.optimizer.lr = c.learning_rate * (1.0 - self.progress())
        with torch.no_grad():
            following = batch.next_observation
            next_q = self.target(following)
            choosing = self.network(following) if c.double else next_q
            value = greedy_value(next_q, self.allowed.restrict(choosing, packed_of(following)))
            y = td_target(batch.reward, batch.terminated, value, c.gamma**self.n_steps)
        q = self.network(batch.observation).gather(-1, batch.action[:, None]).squeeze(-1)
        loss = huber_loss(q, y, c.huber_delta)
        self.optimizer.step(loss)
        if (self.pace.updates + 1) % c.target_update_interval == 0:
            self.target.update()
        return {
            "loss/critic": loss.detach(),
            "value/q": q.detach().mean(),
            "value/target": y.mean(),
            "policy/epsilon": torch.tensor(self.epsilon),
        }
