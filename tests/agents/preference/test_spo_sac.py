"""Self-play with soft actor-critic."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.errors import EnvzooError

SMALL = {
    "hidden": (8,), "queue": 6, "mixture": 3, "num_envs": 2, "batch_size": 8, "learning_starts": 9,
    "steps_per_iteration": 8, "buffer_size": 64,
}  # fmt: skip


def make(kind="cyclic", seed=3, **changes):
    world = {"kind": kind, "horizon": 3}
    settings = {**SMALL, **changes}
    return agents.make("SPOSAC", "envzoo/PrefPoint-v0", seed=seed, device="cpu", env_kwargs=world, **settings)


def rows(agent):
    return {name: array[: len(agent.buffer)] for name, array in agent.buffer._arrays._asdict().items()}


@pytest.mark.parametrize("placement", ["steps", "last"])
def test_rewards_are_the_shares_of_the_queue_that_an_episode_beats(placement):
    agent = make("max", placement=placement).learn(30)
    found = rows(agent)
    whole = len(found["reward"]) // 3
    assert whole == 10
    ends = found["terminated"].reshape(whole, 3)
    assert torch.equal(ends, torch.tensor([0.0, 0.0, 1.0]).expand(whole, 3))
    # By hand: the return of an episode against those of up to six before it.
    place = found["next_observation"].reshape(whole, 3, -1)[..., :2]
    returns = -torch.linalg.vector_norm(place.double() - torch.tensor([1.0, 0.0]), dim=-1).sum(1).numpy()
    queue, expected = [returns[0]], []
    for value in returns:
        expected.append(np.mean([0.5 + 0.5 * np.sign(np.round(value - q, 6)) for q in queue]))
        queue = [*queue, value][-6:]
    reward = found["reward"].reshape(whole, 3).numpy()
    assert reward.sum(1) == pytest.approx(expected, abs=1e-6)
    if placement == "last":
        assert not reward[:, :2].any()
    else:
        assert np.ptp(reward, axis=1) == pytest.approx(0, abs=1e-6)


def test_the_transitions_of_an_episode_follow_each_other():
    found = rows(make().learn(30))
    seen, after = found["observation"], found["next_observation"]
    inner = found["terminated"][:-1] == 0
    assert torch.equal(seen[1:][inner], after[:-1][inner])
    assert torch.equal(seen[0::3][:, :4], torch.zeros(10, 4))


def test_resumed_in_the_middle_of_episodes_it_is_the_same(tmp_path):
    whole = make().learn(32)
    half = make().learn(16)
    half.save(tmp_path / "a.zip")
    other = agents.load(tmp_path / "a.zip").learn(16)
    assert any(half.running.rows)  # of 16 steps by two environments, 2 belong to no whole episode
    for name in ("actor", "critics"):
        pairs = zip(getattr(whole, name).parameters(), getattr(other, name).parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert np.array_equal(whole.queue.features, other.queue.features)


def test_learning_waits_for_the_first_episode():
    agent = make(learning_starts=0, steps_per_iteration=2).learn(8)
    assert len(agent.buffer) == 6
    assert agent.pace.updates > 0


def test_it_plays_past_policies_and_the_last_one():
    agent = make().learn(48)
    assert len(agent.mixture) == 3
    seen = np.zeros((6, 5), np.float32)
    actions, drawn = agent.predict(seen)
    assert drawn.tolist() == [0, 0, 1, 1, 2, 2]
    again, same = agent.predict(seen, drawn, np.zeros(6, bool))
    assert np.array_equal(actions, again)
    assert np.array_equal(drawn, same)
    last, _ = agent.last_policy().predict(seen)
    assert np.array_equal(last, np.repeat(last[:1], 6, axis=0))
    assert np.array_equal(make(mixture=1).learn(48).predict(seen)[0], last)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"queue": 0}, "queue of SPOSAC is at least 1, got 0"),
        ({"mixture": 0}, "mixture of SPOSAC is at least 1, got 0"),
        ({"placement": "first"}, "placement"),
    ],
)
def test_refusals(changes, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        make(**changes)
