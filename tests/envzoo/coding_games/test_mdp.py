"""Finite decision processes: transition tables by hand, exact returns, Gymnasium's tables, refusals."""

import math

import gymnasium as gym
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from envzoo.coding_games.carrier import carrier_policy
from envzoo.coding_games.coding_grid import CodingGrid
from envzoo.coding_games.grid import NOISY_GRID, SMALL_GRID, GridLayout, grid_mdp
from envzoo.coding_games.mdp import FiniteMDP, from_gymnasium
from envzoo.errors import EnvzooError

UP, RIGHT, DOWN, LEFT = range(4)


def successors(mdp, state, action):
    return {int(s): round(float(p), 12) for s, p in enumerate(mdp.transition[state, action]) if p > 0}


def cell(row, column):
    return 8 * row + column


def test_moves_of_the_noisy_grid_by_hand():
    mdp = grid_mdp(NOISY_GRID, noise=0.1)
    # In the open, row 5 and column 2: nothing stands in the way.
    assert successors(mdp, cell(5, 2), UP) == {cell(4, 2): 0.8, cell(5, 3): 0.1, cell(5, 1): 0.1}
    assert successors(mdp, cell(5, 2), LEFT) == {cell(5, 1): 0.8, cell(4, 2): 0.1, cell(6, 2): 0.1}
    # The start (5, 4): obstacles above it at (4, 4) and to its right at (5, 5).
    assert successors(mdp, cell(5, 4), UP) == {cell(5, 4): 0.9, cell(5, 3): 0.1}
    assert successors(mdp, cell(5, 4), RIGHT) == {cell(5, 4): 0.9, cell(6, 4): 0.1}
    assert successors(mdp, cell(5, 4), DOWN) == {cell(6, 4): 0.8, cell(5, 4): 0.1, cell(5, 3): 0.1}
    # The upper left corner: both walls.
    assert successors(mdp, cell(0, 0), UP) == {cell(0, 0): 0.9, cell(0, 1): 0.1}
    # Beside the goal: a step right leads into it, or slips up against the wall, or down.
    assert successors(mdp, cell(0, 6), RIGHT) == {cell(0, 7): 0.8, cell(0, 6): 0.1, cell(1, 6): 0.1}
    assert mdp.start[cell(5, 4)] == 1
    assert np.flatnonzero(mdp.terminal).tolist() == [cell(0, 7), cell(1, 7)]
    assert mdp.expected_reward[cell(0, 6), RIGHT] == pytest.approx(0.8)
    assert mdp.expected_reward[cell(1, 6), RIGHT] == pytest.approx(-0.8)
    assert mdp.expected_reward[cell(2, 7), RIGHT] == pytest.approx(-0.1)
    assert mdp.available.all()


def test_moves_of_the_small_grid_by_hand():
    mdp = grid_mdp(SMALL_GRID, walls_available=False)
    assert successors(mdp, 0, RIGHT) == {1: 1}
    assert successors(mdp, 0, UP) == {0: 1}
    assert mdp.available[0].tolist() == [False, True, True, False]
    assert mdp.available[5].all()
    assert mdp.available[14].tolist() == [True, True, False, True]
    # The carrier never takes what is not available, and knows no way but shortest ones when it is greedy.
    policy = carrier_policy(mdp, 0.5)
    assert (policy[~mdp.available & ~mdp.terminal[:, None]] == 0).all()
    assert (policy[mdp.available & ~mdp.terminal[:, None]] > 0).all()
    greedy = carrier_policy(mdp, 0)
    assert greedy[0].tolist() == [0, 0.5, 0.5, 0]
    assert mdp.policy_return(greedy, 8) == pytest.approx(0.95**6)
    assert mdp.policy_return(greedy, 5) == 0


def corridor(**changes):
    """States 0, 1, 2: action 0 stays, action 1 goes on; the end is worth 1."""
    transition = np.zeros((3, 2, 3))
    transition[[0, 1], 0, [0, 1]] = transition[[0, 1], 1, [1, 2]] = 1
    given = {
        "transition": transition,
        "reward": np.array([0.0, 0.0, 1.0]),
        "terminal": np.array([False, False, True]),
        "start": 0,
        "discount": 0.5,
    }
    return FiniteMDP(**{**given, **changes})


def test_return_counts_the_entered_state_discounted_once_more():
    mdp = corridor()
    go = np.array([[0.0, 1.0]] * 3)
    assert mdp.policy_return(go, 10) == 0.25  # the second move, t = 1: 0.5 ** 2
    half = np.full((3, 2), 0.5)
    # P(end with move t) = t / 2 ** (t + 1): the sum of 0.5 ** (t + 1) t 0.5 ** (t + 1) is (1/16) / (1 - 1/4) ** 2.
    assert mdp.policy_return(half, 200) == pytest.approx(1 / 9, abs=1e-12)
    assert mdp.policy_return(half, 2) == 0.0625


@pytest.mark.parametrize("log_temperature", [-6, -4, -2])
def test_the_official_carrier_is_that_of_the_released_recursion(log_temperature):
    """Action values of all states, terminal ones too, from 0, a hundred times; the reward belongs to the state."""
    mdp, alpha = grid_mdp(NOISY_GRID, 0.1, 0.95), math.exp(log_temperature)
    reward = np.zeros(64)
    for place, value in NOISY_GRID.rewards.items():
        reward[NOISY_GRID.index(place)] = value
    q = np.zeros((64, 4))
    for _ in range(100):
        v = alpha * logsumexp(q / alpha, axis=1)
        q = np.where(mdp.terminal[:, None], reward[:, None], reward[:, None] + 0.95 * mdp.transition @ v)
    going = ~mdp.terminal
    np.testing.assert_allclose(carrier_policy(mdp, alpha, official=True)[going], softmax(q / alpha, axis=1)[going])


def test_returns_of_both_carriers_on_the_page():
    mdp = grid_mdp(NOISY_GRID, 0.1, 0.95)
    returns = [[mdp.policy_return(carrier_policy(mdp, math.exp(t), o), 200) for o in (False, True)] for t in (-4, -6)]
    assert returns[0] == pytest.approx([0.082, 0.092], abs=6e-4)
    assert returns[1][0] == pytest.approx(returns[1][1], abs=5e-5)


def test_the_official_carrier_by_keyword():
    mdp = grid_mdp(NOISY_GRID, 0.1, 0.95)
    official = carrier_policy(mdp, 0.05, official=True)
    game = CodingGrid(temperature=0.05, official_carrier=True)
    assert np.array_equal(game.parameters.policy, official)
    assert not np.array_equal(CodingGrid(temperature=0.05).parameters.policy, official)
    small = carrier_policy(grid_mdp(SMALL_GRID, walls_available=False), 0.5, official=True)
    assert (small[0] > 0).tolist() == [False, True, True, False]
    assert np.array_equal(carrier_policy(mdp, 0.0, official=True)[0] > 0, carrier_policy(mdp, 0.0)[0] > 0)
    with pytest.raises(EnvzooError, match="official_carrier computes the carrier, and policy gives one"):
        CodingGrid(policy=official, official_carrier=True)


def test_carrier_policy_in_closed_form():
    # In state 1: q(go) = 0.5 * 1 (entered, so discounted), q(stay) = 0.5 v, v = alpha log(e^(q0/alpha) + e^(q1/alpha)).
    alpha = 0.3
    policy = carrier_policy(corridor(), alpha)
    v = 0.0
    for _ in range(200):
        v = alpha * math.log(math.exp(0.5 * v / alpha) + math.exp(0.5 / alpha))
    assert policy[1, 1] == pytest.approx(1 / (1 + math.exp((0.5 * v - 0.5) / alpha)), abs=1e-10)
    assert carrier_policy(corridor(), 0)[:2].tolist() == [[0, 1], [0, 1]]
    with pytest.raises(EnvzooError, match="temperature is -1; expected a finite number of at least 0"):
        carrier_policy(corridor(), -1)
    with pytest.raises(EnvzooError, match="discount is 1; expected less"):
        carrier_policy(corridor(discount=1.0), 0.1)


def test_rewards_come_in_three_shapes():
    by_state, by_action = corridor(), corridor(reward=np.array([[0, 0], [0, 1.0], [0, 0]]))
    full = corridor(reward=np.broadcast_to(np.array([0, 0, 1.0]), (3, 2, 3)))
    half = np.full((3, 2), 0.5)
    assert by_state.policy_return(half, 9) == by_action.policy_return(half, 9) == full.policy_return(half, 9)


@pytest.mark.parametrize(("name", "ends"), [("FrozenLake-v1", [5, 7, 11, 12, 15]), ("CliffWalking-v1", [47])])
def test_gymnasium_tables(name, ends):
    mdp = from_gymnasium(name)
    assert np.flatnonzero(mdp.terminal).tolist() == ends
    table = gym.make(name).unwrapped.P
    for state in np.flatnonzero(~mdp.terminal).tolist():
        for action, moves in table[state].items():
            for there in {int(move[1]) for move in moves}:
                given = [move for move in moves if move[1] == there]
                assert mdp.transition[state, action, there] == pytest.approx(sum(m[0] for m in given))
                mean = sum(m[0] * m[2] for m in given) / sum(m[0] for m in given)
                assert mdp.reward[state, action, there] == pytest.approx(mean)


def test_the_value_of_frozen_lake_and_taxi():
    # The greedy carrier is optimal: on the lake that does not slip, the goal is six moves away.
    lake = from_gymnasium("FrozenLake-v1", discount=0.9, is_slippery=False)
    assert lake.policy_return(carrier_policy(lake, 0), 50) == pytest.approx(0.9**6)
    taxi = from_gymnasium("Taxi-v4", discount=0.99)
    assert np.flatnonzero(taxi.terminal).tolist() == [0, 85, 410, 475]
    assert taxi.start.sum() == pytest.approx(1)
    # The last move earns 20, every other one -1, and the best way has 13.1 moves on average.
    undiscounted = FiniteMDP(taxi.transition, taxi.reward, taxi.terminal, taxi.start, discount=1.0)
    assert undiscounted.policy_return(carrier_policy(taxi, 0), 200) == pytest.approx(7.93, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transition": np.zeros((2, 3))}, r"transition has the shape \(2, 3\); expected \(states, actions, states\)"),
        ({"transition": np.zeros((3, 2, 3))}, "probabilities of state 0 and action 0 sum to 0; expected 1"),
        ({"transition": "table"}, "transition is not usable; expected an array of numbers"),
        ({"transition": np.full((3, 2, 3), np.nan)}, "transition holds NaN or infinite numbers"),
        ({"transition": np.stack([np.eye(3) * 2 - 1] * 2, 1)}, "transition has negative entries"),
        ({"reward": np.zeros(2)}, r"reward has the shape \(2,\); expected \(3,\)"),
        ({"terminal": np.zeros(3)}, r"terminal is float64 of shape \(3,\); expected bool of shape \(3,\)"),
        ({"start": 3}, "start is state 3; expected 0 to 2"),
        ({"start": np.array([0.5, 0.4, 0.0])}, "start is not usable; expected a state or 3 probabilities"),
        ({"start": 2}, "start gives probability to a terminal state"),
        ({"discount": 0}, "discount is 0; expected a number above 0 and at most 1"),
        ({"available": np.array([[True, True], [False, False], [True, True]])}, "state 1 has no available action"),
    ],
)
def test_refusals(changes, words):
    with pytest.raises(EnvzooError, match=words):
        corridor(**changes)


def test_other_refusals():
    with pytest.raises(EnvzooError, match="CartPoleEnv has no table of transitions"):
        from_gymnasium("CartPole-v1")
    for noise in (-0.1, 0.6, "0.1"):
        with pytest.raises(EnvzooError, match=r"noise is .*; expected a probability from 0 to 0.5"):
            grid_mdp(SMALL_GRID, noise)
    with pytest.raises(EnvzooError, match=r"start is \(0, 1\); expected a free cell"):
        grid_mdp(GridLayout(2, 2, {}, (), ((0, 1),), (0, 1)))
    with pytest.raises(EnvzooError, match=r"policy has the shape \(2,\); expected \(3, 2\)"):
        corridor().policy_return(np.zeros(2), 3)

    class Odd(gym.Env):
        """State 1 is entered with and without ending."""

        P = {s: {0: [(0.5, 1, 0.0, True), (0.5, 1, 0.0, False)]} for s in range(2)}  # noqa: RUF012
        initial_state_distrib = np.array([1.0, 0.0])

    with pytest.raises(EnvzooError, match="a state is entered both by moves that end the episode and by others"):
        from_gymnasium(Odd())


def test_the_world_of_the_kernels_is_the_table():
    mdp = grid_mdp(NOISY_GRID, noise=0.1)
    world = mdp.world()
    again = np.zeros_like(mdp.transition)
    steps = np.diff(world.cumulative, prepend=0.0, axis=-1)
    for s, a, k in np.ndindex(*world.successors.shape):
        again[s, a, world.successors[s, a, k]] += steps[s, a, k]
    going = ~mdp.terminal
    np.testing.assert_allclose(again[going], mdp.transition[going], atol=1e-12)
    assert (world.cumulative[..., -1] == 1).all()
    assert (again[~going, 0].argmax(axis=-1) == np.flatnonzero(~going)).all()
