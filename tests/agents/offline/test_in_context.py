"""AlgorithmDistillation, DPT and DICP: contexts over episodes, labels, the filter, the dynamics and the search."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.offline.dicp import DICP
from envzoo.datasets import load_minari
from envzoo.datasets.collector import write
from envzoo.datasets.histories import play_histories
from envzoo.errors import DatasetError, EnvzooError, UnsupportedSpaceError
from envzoo.offline.darkroom import MOVES
from envzoo.scripts.make_dataset import make_dataset

NAMES = ("AlgorithmDistillation", "DPT", "DICP")
SMALL = {"context": 8, "width": 8, "layers": 1, "heads": 2, "batch_size": 16, "steps_per_iteration": 10}
KWARGS = {"size": 3, "goal": [2, 2]}


@pytest.fixture(scope="module", autouse=True)
def histories(root):
    tasks = ({"goal": [0, 0]}, {"goal": [0, 1]})
    played = play_histories("envzoo/Darkroom-v0", tasks, histories=4, episodes=3, noise=0.5, seed=0, env_kwargs=KWARGS)
    facts = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write("test/rooms-v0", played, env_id="envzoo/Darkroom-v0", env_kwargs=KWARGS, **facts)


def make(name="AlgorithmDistillation", **changes):
    return agents.make(name, load_minari("test/rooms-v0"), device="cpu", **{**SMALL, **changes})


def rooms(mode=AutoresetMode.SAME_STEP, count=2):
    return gym.make_vec("envzoo/Darkroom-v0", num_envs=count, autoreset_mode=mode, max_episode_steps=5, **KWARGS)


def test_windows_reach_over_the_ends_of_episodes():
    agent = make()
    window = agent.windows(torch.tensor([22]))
    assert window.mask.all()
    assert agent.begins[window.index[0]].tolist() == [False] * 5 + [True, False, False]
    assert window.index[0].tolist() == list(range(15, 23))
    first_of_second = agent.windows(torch.tensor([60]))  # a history has 60 steps
    assert first_of_second.mask[0].tolist() == [False] * 7 + [True]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_context_goes_on_when_an_episode_ends(mode):
    agent, env = make(context=12), rooms(mode)
    agent.set_env(env)
    observation, _ = env.reset(seed=0)
    state, start, resetting, real = None, np.ones(2, bool), np.zeros(2, bool), []
    for _ in range(9):
        action, state = agent.predict(observation, state, start, deterministic=False)
        before = observation.copy()
        if not resetting[0]:
            real.append((before[0].tolist(), int(action[0])))
        observation, reward, terminated, truncated, _ = env.step(action)
        if not resetting[0]:
            real[-1] += (float(reward[0]),)
        done = terminated | truncated
        start, resetting = (done, resetting) if mode == AutoresetMode.SAME_STEP else (resetting, done)
    env.close()
    seen = state.mask[0]
    kept = [
        (row.tolist(), int(a), float(r))
        for row, a, r in zip(state.rows[0][seen], state.action[0][seen], state.reward[0][seen], strict=True)
    ]
    assert kept[:-1] == real[: len(kept) - 1]
    assert len(kept) == len(real)
    assert state.step[0][seen].tolist() == ([0, 1, 2, 3, 4] * 2)[: len(real)]


def test_what_follows_does_not_show():
    agent = make()
    batch = agent.windows(torch.tensor([30]))
    arguments = [agent.codec.vector(batch.rows), batch.action, batch.reward, agent.begins[batch.index], batch.mask]
    before = agent.policy.features(*arguments)
    for column, change in ((1, (batch.action + 1) % 5), (2, batch.reward + 1)):
        changed = list(arguments)
        changed[column] = torch.cat([arguments[column][:, :-1], change[:, -1:]], dim=1)
        assert torch.equal(agent.policy.features(*changed), before)
        changed[column] = torch.cat([change[:, :1], arguments[column][:, 1:]], dim=1)
        after = agent.policy.features(*changed)
        assert torch.equal(after[:, 0], before[:, 0])
        assert not torch.equal(after[:, 1], before[:, 1])


def test_labels():
    distilled, best = make(), make("DPT")
    batch = distilled.windows(torch.tensor([10, 70]))
    assert torch.equal(distilled.labels(batch), batch.action)
    row, column = batch.rows[..., 0], batch.rows[..., 1]
    for window, goal in ((0, (0, 0)), (1, (0, 1))):
        expected = torch.where(row[window] > goal[0], 1, torch.where(column[window] > goal[1], 3, 4))
        expected = torch.where((row[window] == goal[0]) & (column[window] < goal[1]), 2, expected)
        assert torch.equal(best.labels(batch)[window], expected)
    planner = make("DICP", backbone="dpt")
    assert torch.equal(planner.labels(batch), best.labels(batch))


def test_the_filter_decides_which_histories_are_drawn():
    agent = make(history_filter="resample")
    left_out = np.flatnonzero(agent.history_weight == 0)
    assert len(left_out) >= 2  # the worst of each task
    batch = [agent.sample(torch.Generator().manual_seed(seed)).index[:, -1] for seed in range(40)]
    history = torch.cat(batch).numpy() // 60
    assert not set(history) & set(left_out.tolist())
    shares = np.bincount(history, minlength=8) / len(history)
    assert shares == pytest.approx(agent.history_weight / 8, abs=0.1)
    assert make().history_weight.tolist() == [1] * 8
    weighted = make(history_filter="weight").history_weight
    assert weighted[::2].mean() == pytest.approx(1)
    assert weighted[1::2].mean() == pytest.approx(1)


def test_dpt_learns_the_best_actions():
    agent = make("DPT", learning_rate=1e-2, width=16, steps_per_iteration=50, context=20).learn(300)
    batch = agent.windows(torch.arange(19, 480, 7))
    logits = agent.policy.head(agent.features(batch))[:, 10:]
    assert float((logits.argmax(dim=-1) == agent.labels(batch)[:, 10:]).float().mean()) > 0.7


def test_losses_of_the_dynamics_by_hand():
    agent = make("DICP", dynamics_weight=2.0)
    batch = agent.windows(torch.tensor([22, 61]))
    features = agent.features(batch)
    reward, logits = agent.policy.predict_outcome(features, batch.action)
    errors, surprises = [], []
    for b in range(2):
        for t in range(8):
            if batch.mask[b, t]:
                errors.append(-float(reward[b, t].log_softmax(0)[int(batch.reward[b, t])].detach()))
                if t < 7 and not agent.begins[batch.index[b, t + 1]]:
                    row, column = batch.rows[b, t + 1].tolist()
                    pieces = logits[b, t].split([3, 3])
                    surprises.append(
                        -float((pieces[0].log_softmax(0)[row] + pieces[1].log_softmax(0)[column]).detach())
                    )
    losses = agent.losses(batch)
    assert len(surprises) == 6 + 1  # eight and two steps, and one end of an episode
    assert float(losses["reward"].detach()) == pytest.approx(2 * np.mean(errors), rel=1e-4)
    assert float(losses["observation"].detach()) == pytest.approx(2 * np.mean(surprises), rel=1e-4)


class Known:
    """A model of the room that is right: the reward is 1 on the goal (0, 2) of a room of 3 x 3 cells."""

    def __init__(self, agent):
        self.head = lambda features: torch.zeros(*features.shape[:-1], 5)
        self.codec = agent.codec

    def features(self, observation, action, reward, begins, mask):
        return observation

    def predict_outcome(self, features, action):
        place = torch.stack([features[..., :3].argmax(-1), features[..., 3:].argmax(-1)], dim=-1)
        moved = (place + torch.as_tensor(MOVES)[action]).clamp(0, 2)
        logits = 50 * torch.cat([torch.nn.functional.one_hot(moved[..., i], 3) for i in range(2)], dim=-1).float()
        reached = (moved == torch.tensor([0, 2])).all(-1).long()
        return torch.nn.functional.one_hot(reached, 2).float(), logits


def test_the_search_finds_the_first_action_of_the_best_plan():
    """With a model that is right and all plans kept, from every cell it goes the shortest way."""
    agent = make("DICP", beams=4000, plan_steps=4)
    known = Known(agent)
    places = torch.cartesian_prod(torch.arange(3), torch.arange(3)).int()
    memory = agent._go_on(places, None, None)
    object.__setattr__(agent, "policy", known)
    distance = (places - torch.tensor([0, 2])).abs().sum(dim=1)
    for choice in range(5):
        action = torch.full((9,), choice)
        taken = agent.search(memory, agent.encode_memory(memory)[:, -1], torch.zeros(9, 5), action)
        moved = (places + torch.as_tensor(MOVES)[taken]).clamp(0, 2)
        after = (moved - torch.tensor([0, 2])).abs().sum(dim=1)
        assert torch.equal(after, (distance - 1).clamp(min=0))


def test_one_beam_follows_the_best_next_reward_only():
    """Two steps away from the goal it does not see it with one plan of a step."""
    agent = make("DICP", beams=1, plan_steps=1)
    memory = agent._go_on(torch.tensor([[2, 2], [1, 2]], dtype=torch.int32), None, None)
    object.__setattr__(agent, "policy", Known(agent))
    action = torch.tensor([4, 4])
    assert agent.search(memory, agent.encode_memory(memory)[:, -1], torch.zeros(2, 5), action).tolist() == [4, 1]


def test_among_equals_the_search_takes_the_choice_of_the_policy():
    agent = make("DICP", plan_steps=1)
    with torch.no_grad():
        agent.policy.dynamics.weight.zero_()
    memory = agent._go_on(torch.zeros(4, 2, dtype=torch.int32), None, None)
    features, choice = agent.encode_memory(memory)[:, -1], torch.tensor([3, 0, 4, 1])
    assert torch.equal(agent.search(memory, features, torch.zeros(4, 5), choice), choice)
    barred = torch.zeros(4, 5)
    barred[0, 3] = -torch.inf
    assert int(agent.search(memory, features, barred, choice)[0]) == 0


def test_rewards_that_are_unlikely_do_not_count():
    """Where no reward is the most likely one everywhere, the policy explores, whatever the probabilities are."""
    agent = make("DICP", plan_steps=3)
    with torch.no_grad():
        agent.policy.dynamics.bias[:2] = torch.tensor([9.0, 0.0])  # rewards 0 and 1
    assert agent.reward_values.tolist() == [0, 1]
    memory = agent._go_on(torch.zeros(4, 2, dtype=torch.int32), None, None)
    features, choice = agent.encode_memory(memory)[:, -1], torch.tensor([3, 0, 4, 1])
    assert torch.equal(agent.search(memory, features, torch.zeros(4, 5), choice), choice)


def test_many_different_rewards_are_a_regression(monkeypatch):
    monkeypatch.setattr("envzoo.agents.offline.dicp.MOST_REWARDS", 1)
    agent = make("DICP", dynamics_weight=2.0)
    batch = agent.windows(torch.tensor([22, 61]))
    output, _ = agent.policy.predict_outcome(agent.features(batch), batch.action)
    assert output.shape == (2, 8, 1)
    error = (output[..., 0] - batch.reward).square()[batch.mask].mean()
    assert float(agent.losses(batch)["reward"].detach()) == pytest.approx(2 * float(error.detach()), rel=1e-5)
    assert torch.equal(agent.expected_reward(output), output[..., 0])


def test_dicp_plans_only_with_a_full_context(monkeypatch):
    agent, env, calls = make("DICP", context=4), rooms(), []
    monkeypatch.setattr(DICP, "search", lambda self, memory, features, logits, action: calls.append(1) or action)
    agent.set_env(env)
    observation, _ = env.reset(seed=0)
    state, start = None, np.ones(2, bool)
    for _ in range(6):
        action, state = agent.predict(observation, state, start, deterministic=False)
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
    env.close()
    assert len(calls) == 3


@pytest.mark.parametrize("name", NAMES)
def test_evaluations_repeat(name):
    env = rooms(count=3)
    found = [
        evaluate(make(name, **({"beams": 2} if name == "DICP" else {})), env, episodes=9, seed=1, deterministic=False)
        for _ in range(2)
    ]
    env.close()
    assert np.array_equal(found[0].returns, found[1].returns)


def test_bad_inputs():
    make_dataset("envzoo/darkroom/random-v0", quiet=True, episodes=2)
    with pytest.raises(DatasetError, match="does not hold learning histories: its infos lack task"):
        agents.make("AlgorithmDistillation", "envzoo/darkroom/random-v0", device="cpu")
    for name, settings, sentence in (
        ("DPT", {"stability_weight": -1.0}, "stability_weight of DPT is at least 0, got -1"),
        ("DPT", {"filter_temperature": 0.0}, "filter_temperature of DPT is positive, got 0"),
        ("DPT", {"history_filter": "best"}, "history_filter of DPT expects one of 'none', 'resample', 'weight'"),
        ("DICP", {"beams": 0}, "beams of DICP is at least 1, got 0"),
        ("DICP", {"dynamics_weight": -1.0}, "dynamics_weight of DICP is at least 0, got -1"),
    ):
        with pytest.raises(EnvzooError, match=sentence):
            make(name, **settings)
    with pytest.raises(UnsupportedSpaceError, match="takes Discrete actions"):
        agents.make("DPT", "envzoo/line-world/striped-v0", device="cpu")
