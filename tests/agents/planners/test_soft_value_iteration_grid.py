"""Soft value iteration with rewards on states, as on the grids of the coding games, at any temperature."""

import math

import numpy as np
import pytest

from envzoo.agents.planners.soft_value_iteration import soft_value_iteration
from envzoo.coding_games.carrier import carrier_policy
from envzoo.coding_games.coding_grid import CodingGrid

GAMMA = 0.95
MDP = CodingGrid(discount=GAMMA).mdp
STATES, ACTIONS = MDP.num_states, MDP.num_actions
# Reward of each state, read off the moves that enter it.
ON_STATES = MDP.reward[0, 0]


def by_hand(alpha, iterations=600):
    """Q(s, a) = r(s) + gamma sum_s' P(s'|s, a) alpha logsumexp(Q(s', .) / alpha), and Q = r(s) in terminal states."""
    going = ~MDP.terminal
    q = np.repeat(ON_STATES[:, None], ACTIONS, axis=1)
    for _ in range(iterations):
        top = q.max(axis=1)
        v = top if alpha == 0 else top + alpha * np.log(np.exp((q - top[:, None]) / alpha).sum(axis=1))
        q = np.where(going[:, None], ON_STATES[:, None] + GAMMA * MDP.transition @ v, ON_STATES[:, None])
    return q


@pytest.mark.parametrize("alpha", [0.0, math.exp(-7), math.exp(-4), 1.0])
def test_rewards_on_states(alpha):
    assert (np.broadcast_to(ON_STATES, MDP.reward.shape) == MDP.reward).all()
    p = MDP.transition * ~MDP.terminal[:, None, None]
    found = soft_value_iteration(p, np.repeat(ON_STATES[:, None], ACTIONS, axis=1), GAMMA, alpha)
    expected = by_hand(alpha)
    np.testing.assert_allclose(found.q, expected, atol=1e-9)
    if alpha == 0:
        greedy = np.isclose(expected, expected.max(axis=1, keepdims=True), atol=1e-12)
        assert (greedy[found.policy > 0]).all()
    np.testing.assert_allclose(found.policy.sum(axis=1), 1.0)


@pytest.mark.parametrize("alpha", [0.0, math.exp(-6), math.exp(-4)])
def test_the_carrier_of_the_games_is_the_same_policy(alpha):
    # Rewards on entering, and none of the entropy that a terminal state would earn: the values differ, by what is the
    # same for all actions of a state.
    rewards = GAMMA * MDP.expected_reward
    found = soft_value_iteration(MDP.continuing, rewards, GAMMA, alpha, tolerance=1e-12)
    going = ~MDP.terminal
    np.testing.assert_allclose(found.policy[going], carrier_policy(MDP, alpha)[going], atol=1e-7)
