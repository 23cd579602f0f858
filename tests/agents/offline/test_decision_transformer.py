"""DecisionTransformer: windows, the loss by hand, the return that is left, and bad inputs."""

import warnings

import gymnasium as gym
import minari
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.offline.heard_rewards import listen
from envzoo.datasets import collect, load_minari
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.scripts.make_dataset import make_dataset

LUCKY, LINE = "envzoo/lucky-bandit/p10-v0", "envzoo/line-world/striped-v0"
SMALL = {"context": 3, "width": 8, "layers": 1, "heads": 2, "batch_size": 16, "steps_per_iteration": 10}


class Steps(gym.Env):
    """Episodes of five steps; rewards 1, 2, 3, 4, 5; observations from -2 count the steps."""

    observation_space = spaces.Discrete(6, start=-2)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return -2, {}

    def step(self, action):
        self.time += 1
        return self.time - 2, float(self.time), self.time == 5, False, {}


@pytest.fixture(scope="module", autouse=True)
def steps(root):
    gym.register("test/Steps-v0", Steps)
    make_dataset(LUCKY, quiet=True)
    played = collect(agents.make("Random", Steps()), "test/Steps-v0", 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about an author, a link and so on
        spaces_of = {"observation_space": Steps.observation_space, "action_space": Steps.action_space}
        minari.create_dataset_from_buffers("test/steps-v0", played, **spaces_of)
    yield
    del gym.registry["test/Steps-v0"]


def make(source="test/steps-v0", **changes):
    source = load_minari(source) if source.startswith("test/") else source
    return agents.make("DecisionTransformer", source, device="cpu", **{**SMALL, **changes})


def copies(mode=AutoresetMode.SAME_STEP, count=2):
    return SyncVectorEnv([Steps] * count, autoreset_mode=mode)


def test_windows_by_hand():
    agent = make()
    window = agent.windows(torch.tensor([1, 4, 5]))
    assert window.mask.tolist() == [[False, True, True], [True] * 3, [False, False, True]]
    assert window.step[1].tolist() == [2, 3, 4]
    assert window.reward[1].tolist() == [3, 4, 5]
    assert window.to_go[1].tolist() == [12, 9, 5]
    assert window.to_go[0, 1:].tolist() == [15, 14]
    assert window.rows[1, :, 0].tolist() == [0, 1, 2]


def test_the_loss_by_hand():
    agent = make()
    batch = agent.windows(torch.tensor([1, 4]))
    scaled = (batch.to_go / 15, agent.codec.vector(batch.rows), batch.action, batch.step, batch.mask)
    logits = agent.policy(*scaled)
    expected = [
        torch.nn.functional.cross_entropy(logits[i, t], batch.action[i, t])
        for i in range(2)
        for t in range(3)
        if batch.mask[i, t]
    ]
    assert len(expected) == 5
    assert float(agent.loss(batch).detach()) == pytest.approx(float(torch.stack(expected).mean().detach()), rel=1e-5)


def test_an_action_does_not_show_in_its_own_output():
    agent = make()
    batch = agent.windows(torch.tensor([4]))
    arguments = [batch.to_go, agent.codec.vector(batch.rows), batch.action, batch.step, batch.mask]
    before = agent.policy(*arguments)
    arguments[2] = (batch.action + torch.tensor([0, 1, 0])) % 3
    after = agent.policy(*arguments)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2], after[:, 2])


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_what_it_receives_is_subtracted_from_the_target(mode):
    agent, env = make(target_return=20.0), copies(mode)
    agent.set_env(env)
    observation, _ = env.reset(seed=0)
    state, start, resetting, left, seen = None, np.ones(2, bool), np.zeros(2, bool), [], []
    for _ in range(12):
        action, state = agent.predict(observation, state, start)
        left.append(float(agent.scale.target - state.earned[0, -1]))
        seen.append(int(state.mask[0].sum()))
        observation, _, done, _, _ = env.step(action)
        start, resetting = (done, resetting) if mode == AutoresetMode.SAME_STEP else (resetting, done)
    episode = [20, 19, 17, 14, 10] + ([] if mode == AutoresetMode.SAME_STEP else [5])
    assert left == (episode * 3)[:12]
    looked_at = [1, 2, 3, 3, 3] + ([] if mode == AutoresetMode.SAME_STEP else [3])
    assert seen == (looked_at * 3)[:12]


def test_acting_is_the_model_on_the_last_steps():
    agent, env = make(target_return=15.0).learn(30), copies(count=1)
    agent.set_env(env)
    observation, _ = env.reset(seed=0)
    state, taken = None, []
    for _ in range(4):
        action, state = agent.predict(observation, state, np.array([not taken]))
        observation, *_ = env.step(action)
        taken.append(int(action[0]))
    to_go = torch.tensor([[14.0, 12.0, 9.0]]) / 15
    rows = agent.codec.vector(torch.tensor([[[-1], [0], [1]]]))
    logits = agent.policy(
        to_go, rows, torch.tensor([[*taken[1:3], 0]]), torch.tensor([[1, 2, 3]]), torch.ones(1, 3) > 0
    )
    assert int(logits[0, -1].argmax()) == taken[-1]
    # The state that was given is not changed, so a state can be asked twice.
    assert state.mask.sum() == 3


def test_rewards_may_be_told_instead():
    listening, told = make(), make()
    env = copies(count=1)
    observation, _ = env.reset(seed=0)
    _, state = told.predict(observation)
    with pytest.raises(EnvzooError, match=r"was not told the rewards of its last actions: call agent.set_env\(env\)"):
        told.predict(observation, state, np.zeros(1, bool))
    listening.set_env(env)
    _, other = listening.predict(observation)
    observation, reward, *_ = env.step(np.zeros(1, np.int64))
    state = told.observe_rewards(state, reward)
    results = [agent.predict(observation, s, np.zeros(1, bool)) for agent, s in ((told, state), (listening, other))]
    assert torch.equal(results[0][1].earned, results[1][1].earned)
    with pytest.raises(EnvzooError, match="was told NaN or infinite rewards"):
        told.predict(observation, told.observe_rewards(state, [np.nan]), np.zeros(1, bool))
    with pytest.raises(EnvzooError, match=r"rewards of the shape \(2,\); expected one for each of 1 episodes"):
        told.predict(observation, told.observe_rewards(state, [1, 2]), np.zeros(1, bool))


def test_listening_leaves_the_environment_as_it_was():
    env, plain = copies(), copies()
    first = listen(env)
    assert listen(env) is first
    for one in (env, plain):
        one.reset(seed=0)
    for _ in range(6):
        mine, theirs = env.step(np.zeros(2, np.int64)), plain.step(np.zeros(2, np.int64))
        assert all(np.array_equal(a, b) for a, b in zip(mine[:4], theirs[:4], strict=True))
    assert first.steps == 6
    assert first.rewards.tolist() == [1, 1]
    assert listen(object()) is None


def test_it_learns_the_share_of_the_good_arm_among_rewarded_pulls():
    """The closed form: one half of the rewarded pulls are of each arm, whatever p is."""
    agent = make(LUCKY, batch_size=256, learning_rate=3e-3, warmup_steps=1, context=1, steps_per_iteration=50)
    agent.learn(300)
    action, reward = agent.data.action, agent.data.reward
    for asked in (0.0, 1.0):
        agent.scale.target = asked
        start = torch.ones(1, 1, dtype=torch.bool)
        rows = agent.codec.vector(agent.data.observation[:1][None])
        nothing = torch.zeros(1, 1, dtype=torch.int64)
        logits = agent.policy(torch.tensor([[asked]]), rows, nothing, nothing, start)
        found = float(logits[0, 0].softmax(dim=-1)[1].detach())
        assert found == pytest.approx(float(action[reward == asked].float().mean()), abs=0.12)
    assert 0.3 < evaluate(agent, episodes=400, deterministic=False).returns.mean() < 0.7


def test_box_actions_and_exact_evaluation():
    agent = make(LINE, context=2).learn(20)
    batch = agent.windows(torch.tensor([0, 3]))
    output = agent.policy(
        batch.to_go / agent.scale.unit, agent.codec.vector(batch.rows), batch.action, batch.step, batch.mask
    )
    expected = ((output - batch.action) ** 2)[batch.mask].mean()
    assert float(agent.loss(batch).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    first, again = (evaluate(agent, episodes=4, seed=3).returns for _ in range(2))
    assert np.array_equal(first, again)


def test_bad_inputs():
    for settings, sentence in (
        ({"context": 0}, "context of DecisionTransformer is at least 1, got 0"),
        ({"heads": 3}, "heads of DecisionTransformer divides width, got heads 3 and width 8"),
        ({"longest_episode": 0}, "longest_episode of DecisionTransformer is at least 1, got 0"),
        ({"longest_episode": 4}, "has an episode of 5 steps, more than the 4 of longest_episode"),
        ({"warmup_steps": -1}, "warmup_steps of DecisionTransformer is at least 0, got -1"),
    ):
        with pytest.raises(EnvzooError, match=sentence):
            make(**settings)
    agent, env = make(), copies(count=1)
    observation, _ = env.reset(seed=0)
    with pytest.raises(EnvzooError, match="the state of DecisionTransformer is what its predict returned, or None"):
        agent.predict(observation, "nothing")
    _, state = agent.predict(observation)
    with pytest.raises(EnvzooError, match="is of 1 episodes, but there are 2 observations"):
        agent.predict(np.array([-2, -2]), state, np.zeros(2, bool))
    for _ in range(4):
        _, state = agent.predict(observation, agent.observe_rewards(state, [0.0]), np.zeros(1, bool))
    with pytest.raises(EnvzooError, match="an episode of more than 5 steps is longer than DecisionTransformer has"):
        agent.predict(observation, agent.observe_rewards(state, [0.0]), np.zeros(1, bool))


def test_images_are_refused():
    from envzoo.agents.networks.observation import ObservationCodec
    from envzoo.agents.offline.sequence_agent import SequenceAgent

    agent = make()
    agent.codec = ObservationCodec(spaces.Box(0, 255, (16, 16, 3), np.uint8))
    with pytest.raises(UnsupportedSpaceError, match="DecisionTransformer takes observations without images"):
        SequenceAgent.build_actions(agent)
