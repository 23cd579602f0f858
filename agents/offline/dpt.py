"""DPT (Lee et al., 2023): a transformer that predicts the best action from what it has seen of the task."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.offline.in_context import InContextAgent, InContextConfig
from envzoo.agents.offline.sequence_agent import Windows


@dataclass(frozen=True)
class DPTConfig(InContextConfig):
    """Hyperparameters of the decision-pretrained transformer."""


class DPT(InContextAgent):
    """The decision-pretrained transformer: it predicts an optimal action at the present observation.

    Minimises L = -E[log pi(a*_t | s_{t-n}, a_{t-n}, r_{t-n}, ..., s_t)] at every length of the context, with a* an
    optimal action of the task, which the dataset tells. A good model is uncertain exactly where the goal is, so that
    its samples explore like posterior sampling. Here the query is the last observation of the context. Source: Lee et
    al. (2023, arXiv 2306.14892).

    Acting needs the rewards of the steps before: call `set_env(env)` before the first step, as evaluations do, or
    `state = agent.observe_rewards(state, rewards, done)` after each step. Play with samples (`deterministic=False`),
    because modes explore too little to improve.

    Metrics:
        loss/policy: L on the minibatch.
    """

    Config = DPTConfig
    config: DPTConfig

    def labels(self, batch: Windows) -> Tensor:
        """Return the optimal actions, (B, L)."""
        return self.best_action[batch.index]
