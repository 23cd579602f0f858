"""RLOO (arXiv 2402.14740): REINFORCE with a leave-one-out baseline."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.text.losses.policy import reinforce
from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.trainer import TextAgent, TextConfig


@dataclass(frozen=True)
class RLOOConfig(TextConfig):
    """Hyperparameters of RLOO."""

    advantage: str = "rloo"
    """Advantage estimator; "rloo" is the reward minus the mean reward of the other answers to the prompt."""
    aggregation: str = "seq_mean_token_sum"
    """Aggregation of the loss per token; the log-probability of an answer is the sum over its tokens."""


class RLOOMethod(Method):
    """REINFORCE."""

    vectorizes = True

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute -A log pi."""
        return reinforce(logp, batch.advantage), {}


class RLOO(TextAgent):
    """REINFORCE with the mean reward of the other answers as baseline, and without importance weights.

    Minimizes the mean over answers i of a group of G of

        -A_i sum_t log pi(token t of answer i),    A_i = R_i - 1 / (G - 1) sum over j != i of R_j.

    Source: Ahmadian et al. 2024 (arXiv 2402.14740), section 3.2.

    Metrics:
        None besides those of `TextAgent`.
    """

    Method = RLOOMethod
    Config = RLOOConfig
