"""Early stopping on a metric threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.errors import EnvzooError

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


class EarlyStop(Callback):
    """Stop training when a metric has reached a threshold several times in a row.

    Args:
        metric: Name of the metric, such as "eval/return_mean"; iterations without it are ignored.
        threshold: Value to reach.
        patience: Number of consecutive times.
        maximize: Whether larger values are better.
    """

    name = "early_stop"

    def __init__(self, metric: str, threshold: float, patience: int = 1, maximize: bool = True):
        if patience < 1:
            raise EnvzooError(f"patience is at least 1, got {patience}")
        self.metric, self.threshold, self.patience, self.maximize = metric, threshold, patience, maximize
        self._streak = 0

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> bool | None:
        """Update the streak; return False when it is long enough."""
        if self.metric not in metrics:
            return None
        value = metrics[self.metric]
        reached = value >= self.threshold if self.maximize else value <= self.threshold
        self._streak = self._streak + 1 if reached else 0
        return self._streak < self.patience

    def state_dict(self) -> dict[str, Any]:
        """Return the current streak."""
        return {"streak": self._streak}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the streak."""
        self._streak = state["streak"]
