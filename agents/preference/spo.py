"""Self-play preference optimisation (SPO): an episode's reward is the share of recent own episodes that it beats."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from envzoo.agents.loops.acting import choose_actions
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
        return _Last(self)

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
        batched = self.codec.is_batched(observation)
        count = len(self.codec.pack(observation)) if batched else 1
        drawn = np.full(count, -1) if state is None or len(state) != count else np.array(state)
        if episode_start is not None:
            drawn = np.where(np.asarray(episode_start, bool).reshape(-1), -1, drawn)
        fresh = drawn < 0
        if fresh.any():
            if deterministic:
                sample = np.arange(count) * len(self.mixture) // max(count, 1)
            else:
                sample = self.streams.numpy("mixture").integers(len(self.mixture), size=count)
            drawn = np.where(fresh, sample, drawn)
        generator = self.streams.torch("predict")

        def act(x: torch.Tensor) -> torch.Tensor:
            chosen: list[Any] = [None] * count
            for number in np.unique(drawn):
                rows = np.flatnonzero(drawn == number)
                policy, part = self.mixture.policy(int(number)), x[rows]
                start = torch.ones(len(rows), dtype=torch.bool, device=x.device)
                action = policy.act(part, policy.initial_state(len(rows)), start, generator, deterministic).action
                for row, one in zip(rows, action, strict=True):
                    chosen[row] = one
            return torch.stack(chosen)

        return choose_actions(self, observation, act, action_mask), drawn


class _Last:
    """The last policy of SPO, as an object that acts."""

    def __init__(self, agent: SPO):
        self.agent, self.source, self.spec = agent, agent.source, agent.spec

    def set_env(self, env: Any) -> None:
        """Ignore the environment."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        """Choose actions; see `Agent.predict`."""
        return super(SPO, self.agent).predict(observation, None, episode_start, deterministic)


class PolicyMixture:
    """Copies of past policies, spread evenly over training.

    Every `stride`-th policy is kept. When there are more than `size`, every second one is dropped and the stride
    doubled, so that at any time the copies are evenly spaced and go back to the first policy.

    Args:
        policy: The network.
        size: Maximum number of copies.
    """

    def __init__(self, policy: torch.nn.Module, size: int):
        self.size, self.stride, self.seen = size, 1, 0
        self.copies: list[dict[str, torch.Tensor]] = []
        self.network = deepcopy(policy).requires_grad_(False)
        self._loaded = -1

    def __len__(self) -> int:
        return len(self.copies)

    def add(self, policy: torch.nn.Module) -> None:
        """Count one more policy, and keep a copy if it is its turn."""
        self._loaded = -1
        if self.size == 1:
            return
        if self.seen % self.stride == 0:
            state = {name: value.detach().cpu().clone() for name, value in policy.state_dict().items()}
            self.copies.append(state)
            if len(self.copies) > self.size:
                self.copies, self.stride = self.copies[::2], 2 * self.stride
        self.seen += 1

    def policy(self, number: int) -> torch.nn.Module:
        """Return the network with the weights of a copy."""
        if number != self._loaded:
            self.network.load_state_dict(self.copies[number])
            self._loaded = number
        return self.network

    def state_dict(self) -> dict[str, Any]:
        """Return the copies."""
        return {"stride": self.stride, "seen": self.seen, "copies": self.copies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over copies."""
        copies = [dict(copy) for copy in state["copies"]]
        if len(copies) > self.size:
            raise ValueError(f"the mixture has {len(copies)} policies")
        for copy in copies:
            self.network.load_state_dict(copy)  # raises if it does not fit
        self.stride, self.seen, self.copies, self._loaded = int(state["stride"]), int(state["seen"]), copies, -1
