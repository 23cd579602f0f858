"""Helpers of the tests of the text trainer: settings of a tiny run, a few iterations of it, and its weights."""

import torch

from envzoo import agents
from envzoo.agents.agent import Callback

SMALL = {
    "model_dim": 16,
    "model_layers": 1,
    "model_heads": 2,
    "warm_up_batch": 64,
    "warm_up_learning_rate": 2e-2,
    "warm_up_noise": 0.3,
    "num_prompts": 4,
    "group_size": 8,
    "num_minibatches": 2,
    "learning_rate": 1e-2,
}
SUM = ("envzoo/TextSumTo-Tokens-v0", {"terms": 2})


def make(name="GRPO", source=SUM, seed=0, **changes):
    env_id, env_kwargs = source
    settings = {**SMALL, "warm_up_updates": 100, **changes}
    return agents.make(name, env_id, seed=seed, device="cpu", env_kwargs=env_kwargs, **settings)


class Record(Callback):
    """Keeps the metrics of so many iterations, then stops."""

    def __init__(self, iterations):
        self.iterations, self.rows = iterations, []

    def on_iteration(self, agent, metrics):
        self.rows.append(dict(metrics))
        return len(self.rows) < self.iterations


def train(agent, iterations=3):
    record = Record(iterations)
    agent.learn(10**6, record)
    return record.rows


def weights(agent):
    return torch.cat([p.detach().flatten() for p in agent.policy.parameters()])
