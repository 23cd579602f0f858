"""PPO written from top to bottom in one function, as in CleanRL: a peer for `envzoo bench train`.

It has the structure and the details of such scripts (Huang et al., "The 37 implementation details of proximal policy
optimization", 2022): a `SyncVectorEnv` with statistics of episodes, separate networks for policy and value, tensors
filled step by step, a loop over shuffled minibatches. Nothing in it is slowed down or sped up on purpose.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import nn
from torch.distributions import Categorical


def _layer(inputs: int, outputs: int, generator: torch.Generator, gain: float = 2**0.5) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain, generator)
    nn.init.zeros_(layer.bias)
    return layer


def _network(inputs: int, hidden: int, outputs: int, generator: torch.Generator, gain: float) -> nn.Sequential:
    first, second = _layer(inputs, hidden, generator), _layer(hidden, hidden, generator)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), _layer(hidden, outputs, generator, gain))


class SingleFilePPO:
    """PPO for Discrete actions; `learn` continues the training, as in the compared libraries.

    Args:
        env_id: Id of an environment with a Box of one dimension and Discrete actions.
        num_envs: Environments.
        num_steps: Steps of a rollout.
        minibatch_size: Transitions per gradient step.
        num_epochs: Passes over a rollout.
        learning_rate: Adam's learning rate.
        hidden: Width of the two hidden layers.
        seed: Seed of the first reset, weights, actions and minibatches.
    """

    gamma, gae_lambda, clip_range, value_coefficient, max_grad_norm = 0.99, 0.95, 0.2, 0.5, 0.5

    def __init__(
        self,
        env_id: str,
        *,
        num_envs: int,
        num_steps: int,
        minibatch_size: int,
        num_epochs: int,
        learning_rate: float,
        hidden: int = 64,
        seed: int = 0,
    ):
        def make() -> gym.Env:
            return gym.wrappers.RecordEpisodeStatistics(gym.make(env_id))

        self.envs = SyncVectorEnv([make] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
        self.num_envs, self.num_steps, self.minibatch_size = num_envs, num_steps, minibatch_size
        self.num_epochs, self.num_timesteps = num_epochs, 0
        size, actions = self.envs.single_observation_space.shape[0], int(self.envs.single_action_space.n)
        self.generator = torch.Generator().manual_seed(seed)
        self.actor = _network(size, hidden, actions, self.generator, 0.01)
        self.critic = _network(size, hidden, 1, self.generator, 1.0)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=learning_rate, eps=1e-5)
        self.shuffle = np.random.default_rng(seed)
        observation, _ = self.envs.reset(seed=seed)
        self.next_obs, self.next_done = torch.Tensor(observation), torch.zeros(num_envs)

    def learn(self, total_timesteps: int) -> SingleFilePPO:
        """Train for at least this number of steps, in whole rollouts."""
        for _ in range(-(-total_timesteps // (self.num_envs * self.num_steps))):
            self._iterate()
        return self

    def _iterate(self) -> None:
        steps, envs = self.num_steps, self.num_envs
        obs = torch.zeros((steps, envs, *self.envs.single_observation_space.shape))
        actions, logprobs, rewards, dones, values = (torch.zeros((steps, envs)) for _ in range(5))
        for step in range(steps):
            obs[step], dones[step] = self.next_obs, self.next_done
            with torch.no_grad():
                distribution = Categorical(logits=self.actor(self.next_obs))
                # `distribution.sample()` of such scripts is this call, with the global generator.
                action = torch.multinomial(distribution.probs, 1, generator=self.generator).squeeze(1)
                values[step] = self.critic(self.next_obs).flatten()
            actions[step], logprobs[step] = action, distribution.log_prob(action)
            following, reward, terminated, truncated, _ = self.envs.step(action.numpy())
            rewards[step] = torch.tensor(reward, dtype=torch.float32)
            self.next_obs, self.next_done = torch.Tensor(following), torch.Tensor(terminated | truncated)
        self.num_timesteps += steps * envs

        with torch.no_grad():
            advantages, last, following = torch.zeros_like(rewards), 0.0, self.critic(self.next_obs).flatten()
            running = 1.0 - self.next_done
            for t in reversed(range(steps)):
                delta = rewards[t] + self.gamma * following * running - values[t]
                advantages[t] = last = delta + self.gamma * self.gae_lambda * running * last
                following, running = values[t], 1.0 - dones[t]
            returns = advantages + values

        flat = [x.reshape(-1, *x.shape[2:]) for x in (obs, actions, logprobs, advantages, returns)]
        for _ in range(self.num_epochs):
            order = self.shuffle.permutation(steps * envs)
            for start in range(0, len(order), self.minibatch_size):
                b_obs, b_actions, b_logprobs, b_advantages, b_returns = (
                    x[order[start : start + self.minibatch_size]] for x in flat
                )
                distribution = Categorical(logits=self.actor(b_obs))
                ratio = (distribution.log_prob(b_actions) - b_logprobs).exp()
                b_advantages = (b_advantages - b_advantages.mean()) / (b_advantages.std() + 1e-8)
                clipped = ratio.clamp(1 - self.clip_range, 1 + self.clip_range)
                policy_loss = -torch.min(b_advantages * ratio, b_advantages * clipped).mean()
                value_loss = 0.5 * (self.critic(b_obs).flatten() - b_returns).square().mean()
                loss = policy_loss + self.value_coefficient * value_loss
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
                self.optimizer.step()

    def predict(self, observation: np.ndarray, deterministic: bool = True) -> tuple[int, None]:
        """Choose the most likely action."""
        with torch.no_grad():
            return int(self.actor(torch.Tensor(observation)).argmax()), None
