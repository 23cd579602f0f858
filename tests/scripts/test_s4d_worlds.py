"""The worlds of paper 34: what a policy without memory can reach, exactly."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401  (registers the environments)
from envzoo.agents.evaluation import EvaluationResult
from envzoo.memory.tmaze import CUE_DOWN, CUE_UP
from envzoo.scripts.experiments.p34_s4d import worlds

SUITS = 4


def play_tmaze(env, choose, cue):
    """Return the return of an episode with a given cue; `choose` maps observation and cue to an action."""
    observation, _ = env.reset(seed=0, options={"cue": cue})
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(choose(int(observation), cue))
        total, over = total + reward, terminated or truncated
    return total


def test_no_policy_without_memory_beats_chance_in_tmaze():
    env = gym.make("envzoo/TMaze-v0", length=3)
    found = [
        np.mean([play_tmaze(env, lambda seen, _, table=table: table[seen], cue) for cue in (CUE_UP, CUE_DOWN)])
        for table in itertools.product(range(3), repeat=4)
    ]
    assert max(found) == pytest.approx(worlds.tmaze_chance(), abs=1e-12) == 1.95


def test_the_cue_gives_the_optimum_of_tmaze():
    env = gym.make("envzoo/TMaze-v0", length=worlds.CORRIDOR)
    for cue in (CUE_UP, CUE_DOWN):
        assert play_tmaze(env, lambda seen, cue: cue if seen == 3 else 0, cue) == worlds.RIGHT_ARM


def test_chance_of_repeat_previous_is_that_of_all_pairs_of_cards():
    suits = np.arange(52) % SUITS
    now, asked = (side.ravel() for side in np.meshgrid(suits, suits))
    distinct = ~np.eye(52, dtype=bool).ravel()
    right = [
        np.mean(np.array(table)[now[distinct]] == asked[distinct])
        for table in itertools.product(range(SUITS), repeat=SUITS)
    ]
    assert 2 * max(right) - 1 == pytest.approx(worlds.repeat_chance(), abs=1e-12)
    assert worlds.repeat_chance() == pytest.approx(-25 / 51)


def test_naming_another_suit_earns_chance_in_repeat_previous():
    episodes = 4000
    env = gym.make_vec("envzoo/RepeatPrevious-v0", num_envs=episodes, k=worlds.LAG)
    observation, _ = env.reset(seed=7)
    total = np.zeros(episodes)
    for _ in range(51):
        observation, reward, terminated, _, _ = env.step((observation + 1) % SUITS)
        total += reward
    assert terminated.all()
    spread = total.std() / np.sqrt(episodes)
    assert abs(total.mean() - worlds.repeat_chance()) < 4 * spread
    assert abs(total.mean() + 0.5) > spread  # a suit that does not depend on the card earns less


@pytest.mark.parametrize(
    ("measure", "chance", "optimum"),
    [(worlds.reach_in_tmaze, 1.95, 4.0), (worlds.reach_in_repeat, -25 / 51, 1.0)],
)
def test_the_share_of_the_way(measure, chance, optimum):
    for mean, share in ((chance, 0.0), (optimum, 1.0), ((chance + optimum) / 2, 0.5)):
        result = EvaluationResult(np.array([mean - 0.1, mean + 0.1]), np.array([1, 1]), {})
        assert measure(result)[worlds.REACHED] == pytest.approx(share, abs=1e-12)


def test_the_discount_reaches_through_the_corridor():
    for arm in worlds.ARMS:
        if "TMaze" in arm.env:
            assert arm.env_kwargs["length"] == worlds.CORRIDOR
            assert arm.hyperparameters["gamma"] >= 1 - 1 / worlds.CORRIDOR
