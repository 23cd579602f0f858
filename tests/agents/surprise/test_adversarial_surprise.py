"""Adversarial Surprise: who is paid what, on which steps each player learns, and the entropies it plays for."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.surprise.adversarial_surprise import explore_rewards, own_steps
from envzoo.errors import EnvzooError, UnknownNameError

SETTINGS = {"num_envs": 4, "hidden": (8,), "minibatch_size": 64, "num_epochs": 1}


def make(env="envzoo/BlockChain-v0", **changes):
    return agents.make("AdversarialSurprise", env, seed=0, device="cpu", **{**SETTINGS, **changes})


def test_the_game_is_zero_sum_in_every_episode():
    agent = make()
    rollout = agent.collect()
    explore, control = agent.split(rollout)
    assert np.allclose(explore.reward.sum(axis=0), -control.reward.sum(axis=0), atol=1e-6)
    assert (control.reward.sum(axis=0) < 0).all()
    nonzero = np.flatnonzero(explore.reward.any(axis=1))
    assert set(nonzero) <= {15, 31}  # the last step of each of Explore's rounds


@pytest.mark.parametrize("rounds", [2, 3, 4])
def test_with_control_first_its_first_round_is_on_nobodys_account(rounds):
    agent = make(explore_first=False, rounds=rounds, round_length=8)
    explore, control = agent.split(agent.collect())
    assert (control.reward[:8].sum(axis=0) < 0).all()
    assert np.allclose(explore.reward.sum(axis=0), -control.reward[8:].sum(axis=0), atol=1e-5)


def test_control_is_not_paid_in_its_warm_up():
    control = make().split(make().collect())[1].reward.reshape(2, 16, -1)
    assert not control[:, :8].any()
    assert control[:, 8].all()


def test_players_learn_from_their_own_steps_end_to_end():
    agent = make()
    rollout = agent.collect()
    explore, control = agent.split(rollout)
    assert torch.equal(explore.observation[16:], rollout.observation[32:48])
    assert torch.equal(control.action[:16], rollout.action[16:32])
    # Explore's last step of a round is followed by the first of its next round, the last of all by nothing.
    assert np.array_equal(explore.next_value[15], rollout.value[32])
    assert explore.done[31].all()
    assert explore.done.sum() == control.done.sum() == 4


def test_rewards_of_explore_by_hand():
    reward = np.array([[0, 0], [0, 0], [-1, -2], [-3, 0], [0, 0], [0, 0], [-5, 0], [0, 0]], np.float32)
    valid = np.ones((8, 2), bool)
    valid[5:, 1] = False  # the second episode ends in Explore's second round
    rounds = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = explore_rewards(reward, valid, rounds, rounds % 2)
    assert found.tolist() == [[0, 0], [4, 2], [0, 0], [0, 0], [0, 0], [5, 0], [0, 0], [0, 0]]


def test_an_early_end_is_the_last_own_step():
    agent = make("CartPole-v1", round_length=4)
    rollout = agent.collect()
    for part in agent.split(rollout):
        ends = part.done & part.valid
        assert np.array_equal(ends.sum(axis=0), part.valid.any(axis=0))
        for b in range(4):
            own = np.flatnonzero(part.valid[:, b])
            assert not len(own) or ends[own[-1], b]
    empty = own_steps(rollout, rollout.reward, np.zeros(len(rollout.reward), bool))
    assert len(empty.reward) == 0


def test_one_player_alone():
    agent = make()
    observation = np.array([0, 0, 0, 0, 0])
    explore, control = agent.as_player("explore"), agent.as_player("control")
    with torch.no_grad():
        agent.policy.minds[0].actor_head.bias[:] = torch.tensor([0.0, 9, 0, 0])
        agent.policy.minds[1].actor_head.bias[:] = torch.tensor([0.0, 0, 0, 9])
    assert explore.predict(observation)[0] == 1
    assert control.predict(observation)[0] == 3
    assert agent.predict(observation)[0] == 1  # Explore has the first round
    state, played = None, []
    for _ in range(20):
        action, state = agent.predict(observation, state)
        played.append(int(action))
    assert played == [1] * 16 + [3] * 4
    with pytest.raises(UnknownNameError, match="unknown player 'controll'"):
        agent.as_player("controll")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 3}, "expected an even number such as 4"),
        ({"warm_up": 1.0}, r"in \[0, 1\)"),
        ({"encoder": "gru"}, "memoryless"),
        ({"density": "normal"}, "unknown density 'normal'"),
    ],
)
def test_wrong_input(changes, words):
    with pytest.raises(EnvzooError, match=words):
        make(**changes)
