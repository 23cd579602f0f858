"""Evaluate every so many timesteps while learning."""

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
    """Adds `eval/...` metrics after each `every` timesteps, and at the end of the budget.

    Args:
        every: Timesteps between evaluations.
        episodes: Episodes of each.
        env: Vector environment or game to play in; None makes copies of the agent's source.
        deterministic: Play the mode of the policy.
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
        """Refuse at once what could not be evaluated later."""
        if not can_play(agent):
            raise EnvzooError(f"{agent.spec.name} chooses no actions, so it cannot be evaluated while it learns")
        if self.env is None and agent.num_timesteps < agent.target_timesteps:
            source = agent.source
            (source.evaluation_game() if source.kind == "game" else source.evaluation_env(1)).close()

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Evaluate when it is time."""
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
        """When the next evaluation is due."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the schedule."""
        self._next = state["next"]
