"""One encoder on one corridor: clone the best walks of TMaze, then walk."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.encoders import make_encoder
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.threads import using_threads
from envzoo.memory.tmaze import FORWARD

WIDTH, LEARNING_RATE = 64, 3e-3
CUES = np.array([1, 2])  # each is also the action that enters the arm which it shows


class Walker(nn.Module):
    """A policy: an encoder of the zoo and a linear layer on its features."""

    def __init__(self, encoder: str, env: gym.vector.VectorEnv, generator: torch.Generator):
        super().__init__()
        self.codec = ObservationCodec(env.single_observation_space)
        self.encoder = make_encoder(encoder, self.codec, (WIDTH,), "relu", generator)
        self.head = linear(self.encoder.out_dim, int(env.single_action_space.n), generator, gain=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (T, B, 3) of whole walks x (T, B, packed_dim)."""
        return self.head(self.encoder(x)[0] if self.encoder.recurrent else self.encoder.features(x))

    def pack(self, observation: np.ndarray) -> Tensor:
        """Return the packed observations (B, packed_dim)."""
        return torch.as_tensor(self.codec.pack(observation))

    @torch.no_grad()
    def play(self, env: gym.vector.VectorEnv) -> float:
        """Take the likeliest actions, step by step, after either cue; returns the mean return."""
        observation, _ = env.reset(seed=0, options={"cue": CUES})
        state = self.encoder.initial_state(len(CUES)) if self.encoder.recurrent else None
        returns, running = np.zeros(len(CUES)), np.ones(len(CUES), bool)
        while running.any():
            x = self.pack(observation)
            if state is None:
                features = self.encoder.features(x)
            else:
                features, state = self.encoder.step(x, state, None)
            observation, reward, terminated, _, _ = env.step(self.head(features).argmax(-1).numpy())
            returns += reward * running
            running &= ~terminated
        return float(returns.mean())


def walk(seed: int, budget: int, quick: bool, encoder: str, length: int) -> dict[str, Any]:
    """Clone the best walk after either cue with `budget` updates, and score the mean return of the cloned policy.

    The best walk goes forward to the junction and enters the arm that the cue has shown; every update takes both whole
    walks. Nothing has to be explored, so that the memory alone decides.
    """
    with using_threads(1):
        env = gym.make_vec("envzoo/TMaze-v0", num_envs=len(CUES), length=length)
        walker = Walker(encoder, env, torch.Generator().manual_seed(seed))
        actions = np.full((length + 1, len(CUES)), FORWARD)
        actions[-1] = CUES
        observation, _ = env.reset(seed=0, options={"cue": CUES})
        seen = []
        for action in actions:
            seen.append(walker.pack(observation))
            observation = env.step(action)[0]
        x, targets = torch.stack(seen), torch.as_tensor(actions).flatten()
        optimizer = torch.optim.Adam(walker.parameters(), LEARNING_RATE)
        for _ in range(budget):
            loss = nn.functional.cross_entropy(walker(x).flatten(0, 1), targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(walker.parameters(), 1.0)
            optimizer.step()
        return {"scores": {"return": walker.play(env)}}
