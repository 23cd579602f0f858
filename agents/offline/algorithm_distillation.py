"""AlgorithmDistillation (Laskin et al., 2022): a transformer that imitates a learner, and so learns in its context."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.offline.in_context import InContextAgent, InContextConfig


@dataclass(frozen=True)
class AlgorithmDistillationConfig(InContextConfig):
    """Hyperparameters of algorithm distillation."""


class AlgorithmDistillation(InContextAgent):
    """A causal transformer over whole learning histories, which predicts the next action of the learner.

    Minimises L = -E[log pi(a_t | s_{t-n}, a_{t-n}, r_{t-n}, ..., s_t)] over windows of learning histories, which reach
    over the ends of episodes. In a new task its context begins empty and its weights stay as they are; it improves from
    episode to episode because the learners that it imitates did. With `history_filter` it is trained on the histories
    that improve most (Chen et al., 2025, arXiv 2505.15143). Differences from the code of that paper: every place of a
    window is learned from, and a token does not hold the next observation, which the next token has. Source: Laskin et
    al. (2022, arXiv 2210.14215).

    Acting needs the rewards of the steps before: call `set_env(env)` before the first step, as evaluations do, or
    `state = agent.observe_rewards(state, rewards, done)` after each step. Play with samples (`deterministic=False`),
    because modes explore too little to improve.

    Metrics:
        loss/policy: L on the minibatch.
    """

    Config = AlgorithmDistillationConfig
    config: AlgorithmDistillationConfig
