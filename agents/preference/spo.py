"""Self-play preference optimisation (SPO): an episode's reward is the share of recent own episodes that it beats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from envzoo.agents.loops.acting import choose_actions
from envzoo.agents.preference.mixture import LastPolicy, PolicyMixture
from envzoo.agents.preference.trajectories import TrajectoryAgent, TrajectoryConfig, spread
from envzoo.agents.spec import require
from envzoo.preference.preferences import Trajectories


@dataclass(frozen=True)
class SPOConfig(TrajectoryConfig):
    """Hyperparameters of SPO."""

    placement: Literal["auto", "steps", "last"] = "auto"
    """steps: equal parts of the score on all steps (the paper); last: all of it on the last step; auto: steps if all
    episodes of a batch have one length, otherwise last."""
    mixture: int = 32
    """Number of past policies that the returned policy mixes, spread evenly over training; 1 returns the last policy
    alone."""

    def __post_init__(self):
        super().__post_init__()
        require(self.mixture >= 1, f"mixture of SPO is at least 1, got {self.mixture}")


class SPO(TrajectoryAgent):
    """Self-play preference optimisation: learn from comparisons of whole episodes, without a reward model.

    An episode xi is compared with the last `queue` episodes of the same learner, and its score

        s(xi) = mean over q in queue of P(xi beats q),    r_h = s(xi) / H on each of its H steps,

    is maximised by PPO. If preferences have a minimax winner (they need not come from any reward, and may be cyclic),
    the average of the policies of no-regret self-play approaches it. So the agent keeps `mixture` past policies, and
    `predict` draws one of them for each episode; `last_policy()` gives the last one alone. The preference function is
    the attribute `preference` of the environment, such as `envzoo.wrappers.PreferenceWrapper` adds; the environment's
    reward is ignored, unless the preference function reads it.

    Source: Swamy et al. 2024 (arXiv 2401.04056), algorithm 2, with PPO in place of SAC and a queue of the last batches.

    Metrics:
        preference/score: Mean share of the queue that an episode beats; 1/2 if nothing changes.
        preference/score_std: Standard deviation of the scores within the batch.
        And those of PPO.
    """

    Config = SPOConfig
    config: SPOConfig

    def build(self) -> None:
        """Create the optimizer and the mixture."""
        super().build()
        self.mixture = self.register("mixture", PolicyMixture(self.policy, self.config.mixture))

    def judge(self, trajectories: Trajectories, features: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Compute the score of each episode against the queue, spread over its steps."""
        score = self.compare(features).mean(1)
        length = trajectories.length
        placement = self.config.placement
        last = placement == "last" or (placement == "auto" and int(length.min()) != int(length.max()))
        reward = spread(score, length, len(trajectories.action), last)
        return reward, {"preference/score": float(score.mean()), "preference/score_std": float(score.std())}

    def iterate(self) -> dict[str, float]:
        """Play, compare, update, and keep a copy of the policy for the mixture."""
        metrics = super().iterate()
        self.mixture.add(self.policy)
        return metrics

    def last_policy(self) -> Any:
        """Return an object with `predict` that acts by the last policy alone."""
        return LastPolicy(self, SPO)

    @torch.no_grad()
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
        action_mask: np.ndarray | None = None,
    ) -> tuple[Any, Any]:
        """Choose actions by a past policy that is drawn for each episode; see `Agent.predict`.

        With `deterministic`, each episode of a batch has a fixed past policy, whose mode is taken.
        """
        if len(self.mixture) < 2:
            return super().predict(observation, None, episode_start, deterministic, action_mask)
        drawn = self.mixture.draw(self, observation, state, episode_start, deterministic)
        generator = self.streams.torch("predict")

        def act(x: torch.Tensor) -> torch.Tensor:
            def by(policy: Any, rows: torch.Tensor) -> torch.Tensor:
                begins = torch.ones(len(rows), dtype=torch.bool, device=x.device)
                return policy.act(rows, policy.initial_state(len(rows)), begins, generator, deterministic).action

            return self.mixture.act(x, drawn, by)

        return choose_actions(self, observation, act, action_mask), drawn
