"""SubPOActorCritic takes the plain policy-gradient step, and its baseline reads the additive reward."""

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.losses.advantages import generalized_advantages
from envzoo.agents.losses.policy import score_function_loss

SMALL = {"num_envs": 4, "num_steps": 20, "hidden": (8, 8), "entropy_coefficient": 0.0, "normalize_advantage": False}


def test_one_full_batch_step_is_the_policy_gradient():
    agent = agents.make("SubPOActorCritic", "envzoo/GridCoverage-v0", optimizer="sgd", max_grad_norm=1e9, **SMALL)
    rollout = agent.collect()
    advantage = torch.from_numpy(
        generalized_advantages(
            rollout.reward, rollout.value, rollout.next_value, rollout.terminated, rollout.done, 0.99, 0.95
        )
    )
    evaluation = agent.policy.evaluate(rollout.observation, rollout.action)
    actor = [*agent.policy.actor_encoder.parameters(), *agent.policy.actor_head.parameters()]
    expected = torch.autograd.grad(score_function_loss(evaluation.log_prob, advantage), actor)
    before = [parameter.detach().clone() for parameter in actor]
    agent.update(rollout)
    for old, new, gradient in zip(before, actor, expected, strict=True):
        torch.testing.assert_close(old - agent.config.learning_rate * gradient, new.detach(), atol=1e-6, rtol=1e-4)


def test_the_baseline_learns_from_the_additive_reward():
    modular = agents.make("ModPOActorCritic", "envzoo/GridCoverage-v0", **SMALL).collect().reward
    assert modular.min() >= 4  # standing anywhere sees at least a corner's disc, again and again
    marginal = agents.make("SubPOActorCritic", "envzoo/GridCoverage-v0", **SMALL).collect().reward
    assert marginal.max() <= 3
    np.testing.assert_array_equal(marginal.shape, (20, 4))
