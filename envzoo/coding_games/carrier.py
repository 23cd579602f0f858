"""Carrier policies: what an agent would do if it had no message to hide; the maximum-entropy policy of a finite MDP."""

from __future__ import annotations

import math

import numpy as np

from envzoo.coding_games.mdp import FiniteMDP
from envzoo.errors import EnvzooError
from envzoo.tabular import soft_backup, soft_iteration, soft_maximum, soft_policy

__all__ = ["carrier_policy", "soft_backup", "soft_iteration", "soft_maximum", "soft_policy"]  # four moved from here


OFFICIAL_BACKUPS = 100


def _official_values(mdp: FiniteMDP, rewards: np.ndarray, alpha: float) -> np.ndarray:
    """Compute the action values (S, A) after the backups of the released code of arXiv 2410.21666.

    It keeps a value for each action of a terminal state too, all equal to the state's reward, so that their soft
    maximum is larger than that by alpha log A. All action values begin at 0, those of terminal states as well: the
    rewards enter with the second backup.
    """
    moves = mdp.transition * ~mdp.terminal[:, None, None]
    q = np.where(np.isfinite(rewards), 0.0, -np.inf)
    entered = np.zeros_like(rewards)
    for _ in range(OFFICIAL_BACKUPS):
        v = np.array([soft_maximum(row, alpha) for row in q])
        q = np.where(np.isfinite(rewards), entered + mdp.discount * moves @ v, -np.inf)
        q[mdp.terminal] = 0.0
        entered = rewards
    return q


def carrier_policy(mdp: FiniteMDP, temperature: float, official: bool = False) -> np.ndarray:
    """Compute the maximum-entropy policy of a decision process, with which the games' messages are hidden.

    It maximises E sum_t discount^t (discount * reward of move t + temperature * entropy of the policy in nats): as in
    `FiniteMDP`, a reward belongs to the state that is entered, and so is discounted once more than the choice that led
    there. No entropy is earned after the end.

    Args:
        mdp: The process; its discount is below 1.
        temperature: At least 0; 0 gives the greedy policy, even among the best actions.
        official: Compute it as the released code of arXiv 2410.21666 does: 100 backups, whether or not they converge,
            and temperature * log(A) nats of entropy earned for entering a terminal state of A actions. The end is worth
            more then, and the walk shorter.

    Returns:
        (S, A) probabilities, 0 for actions that are not available; uniform in terminal states.

    Raises:
        EnvzooError: A temperature that is negative or not finite, or a discount of 1.
    """
    number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
    if not number or not (0 <= temperature < math.inf):
        raise EnvzooError(f"temperature is {temperature!r}; expected a finite number of at least 0")
    if mdp.discount >= 1:
        raise EnvzooError("the discount is 1; expected less, or the carrier policy is not determined")
    if official:
        rewards = np.where(mdp.available | mdp.terminal[:, None], mdp.discount * mdp.expected_reward, -np.inf)
        return soft_policy(_official_values(mdp, rewards, float(temperature)), temperature)
    model = mdp.tabular()
    _, q, _ = soft_iteration(model.p, model.r, model.gamma, float(temperature), 1e-12, 10_000_000)
    return soft_policy(q, temperature)
