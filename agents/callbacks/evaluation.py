"""Periodic evaluation during training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.agents.evaluation import EVALUATION_SEED, can_play, evaluate
from envzoo.errors import EnvzooError

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv
    from pettingzoo import ParallelEnv

    from envzoo.agents.agent import Agent


class PeriodicEvaluation(Callback):
    """Evaluate the agent every `every` timesteps and at the end of training, and add `eval/...` metrics.

    Args:
        every: Timesteps between evaluations.
        episodes: Number of episodes per evaluation.
        env: Vector environment or game for the evaluation; None creates copies of the agent's source.
        deterministic: Use the mode of the policy instead of samples.
    """

    name = "evaluation"

    def __init__(
        self, every: int, episodes: int = 100, env: VectorEnv | ParallelEnv | None = None, deterministic: bool = True
    ):
        if every < 1 or episodes < 1:
            raise EnvzooError(f"evaluation needs every >= 1 and episodes >= 1, got every={every}, episodes={episodes}")
        self.every, self.episodes, self.env, self.deterministic = every, episodes, env, deterministic
        self._next = every

    def on_start(self, agent: Agent) -> None:
        """Raise an error immediately if the agent cannot be evaluated."""
        if not can_play(agent):
            raise EnvzooError(f"{agent.spec.name} chooses no actions, so it cannot be evaluated while it learns")
        if self.env is None and agent.num_timesteps < agent.target_timesteps:
            source = agent.source
            (source.evaluation_game() if source.kind == "game" else source.evaluation_env(1)).close()

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Evaluate when due."""
        last = agent.num_timesteps >= agent.target_timesteps
        if agent.num_timesteps < self._next and not last:
            return
        while self._next <= agent.num_timesteps:
            self._next += self.every
        result = evaluate(
            agent, self.env, episodes=self.episodes, seed=EVALUATION_SEED, deterministic=self.deterministic
        )
        metrics.update(result.metrics())

    def state_dict(self) -> dict[str, Any]:
        """Return the timestep of the next evaluation."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the timestep of the next evaluation."""
        self._next = state["next"]
