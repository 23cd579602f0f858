"""The agent contract, for every registered agent: make, learn, predict, save, load, determinism, and clear refusals."""

import copy
import dataclasses
import random
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo import ParallelEnv

from envzoo import agents
from envzoo.agents.agent import Agent
from envzoo.agents.registry import agent_class
from envzoo.agents.seeding import Streams
from envzoo.agents.source import resolve
from envzoo.datasets import recipes
from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError
from envzoo.games import games

GRID = ("envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"})
LEARNERS = (
    *("PPO", "SAC", "SACDiscrete", "SubPO", "ModPO", "SubPOActorCritic", "ModPOActorCritic", "BC"),
    *("LSDExploreCommit", "LSDUCB", "CombUCB1", "ISICombUCB1"),
    *("UCBVI", "UCB1", "CollisionETC", "PolicyUCB", "OMLE"),
    *("LMDPValueOptimistic", "LMDPModelOptimistic", "LMDPHoeffding", "MemorylessUCBVI"),
)
each_agent = pytest.mark.parametrize("name", agents.specs())


def example(name):
    """What an agent learns from here, as its row says; a row without one fails the test."""
    row = agents.spec(name)
    if row.example is None:
        pytest.fail(f"{name} has no example: its row names something small that it learns from in a second")
    return row.example


def is_dataset(name):
    """Whether the example of an agent is a dataset, for which the fixture `dataset` stands in."""
    return example(name).source in recipes()


def make_example(name, dataset=None, seed=0, **changes):
    """Make an agent as its example says; `dataset` stands in for the one that a recipe would make."""
    small = example(name)
    source = dataset if is_dataset(name) else small.source
    hyperparameters = {**small.hyperparameters, **changes}
    return agents.make(name, source, seed=seed, device="cpu", env_kwargs=small.env_kwargs, **hyperparameters)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A Minari dataset of a few random episodes on the grid."""
    import minari

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        env = gym.make(GRID[0], **GRID[1])
        env.action_space.seed(0)
        buffers = []
        for number in range(6):
            observation, _ = env.reset(seed=number)
            observations, actions, rewards, ends = [observation], [], [], []
            while not ends or not (ends[-1][0] or ends[-1][1]):
                actions.append(env.action_space.sample())
                observation, reward, terminated, truncated, _ = env.step(actions[-1])
                observations.append(observation)
                rewards.append(float(reward))
                ends.append((terminated, truncated))
            terminations, truncations = map(list, zip(*ends, strict=True))
            buffers.append(
                minari.data_collector.EpisodeBuffer(
                    id=number,
                    seed=number,
                    observations=np.array(observations),
                    actions=np.array(actions),
                    rewards=rewards,
                    terminations=terminations,
                    truncations=truncations,
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an author, a link and so on
            found = minari.create_dataset_from_buffers("test/grid-v0", buffers, env=env)
        yield found


@pytest.fixture
def build(request):
    """`build(name, seed=0, **changes)` makes an agent as its example says."""

    def make(name, seed=0, **changes):
        return make_example(name, request.getfixturevalue("dataset") if is_dataset(name) else None, seed, **changes)

    return make


def budget(name):
    return example(name).timesteps


def flat(state, path=""):
    """The leaves of a state_dict as bytes or values, by path."""
    if isinstance(state, dict):
        return {k: v for key, child in state.items() for k, v in flat(child, f"{path}/{key}").items()}
    if isinstance(state, list | tuple):
        return {k: v for key, child in enumerate(state) for k, v in flat(child, f"{path}/{key}").items()}
    if isinstance(state, torch.Tensor):
        return {path: (str(state.dtype), tuple(state.shape), state.detach().cpu().numpy().tobytes())}
    if isinstance(state, np.ndarray):
        return {path: (str(state.dtype), state.shape, state.tobytes())}
    return {path: state}


def play(agent, steps=4, deterministic=True):
    """Actions of an agent in three episodes side by side; codes or probabilities of a learner that does not act."""
    if not isinstance(agent, Agent):
        show = agent.encode if hasattr(agent, "encode") else agent.predict_proba
        return np.asarray(show(agent.source.given.x))
    env = agent.source.evaluation_env(3)
    agent.set_env(env)
    observation, _ = env.reset(seed=5)
    state, start, actions = None, np.ones(3, bool), []
    for _ in range(steps):
        action, state = agent.predict(observation, state, start, deterministic)
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
        actions.append(action)
    env.close()
    return np.array(actions)


# ---------------------------------------------------------------------------- every agent


@each_agent
def test_every_agent_has_an_example_that_it_takes(name):
    small = example(name)
    assert small.timesteps > 0
    row = agents.spec(name)
    kind = "dataset" if is_dataset(name) else resolve(small.source, row, dict(small.env_kwargs)).kind
    assert kind in row.sources
    assert small.shown is None or small.shown in (*gym.registry, *games(), *recipes())


def test_an_agent_without_an_example_fails_by_name(monkeypatch):
    without = dataclasses.replace(agents.spec("PPO"), example=None)
    monkeypatch.setattr(agents, "spec", lambda name: without)
    with pytest.raises(pytest.fail.Exception, match="PPO has no example"):
        example("PPO")


@each_agent
def test_learn_goes_on_where_it_stopped(name, build):
    agent = build(name)
    assert agent.num_timesteps == 0
    assert agent.learn(budget(name)) is agent
    first = agent.num_timesteps
    assert first >= budget(name)
    iterations = agent.iteration
    agent.learn(budget(name))
    assert agent.num_timesteps >= first + budget(name)
    assert agent.iteration > iterations
    assert agent.progress() == 1.0


@each_agent
def test_predict_gives_actions_of_the_space(name, build):
    agent = build(name)
    if not isinstance(agent, Agent):
        assert hasattr(agent, "encode") or hasattr(agent, "predict_proba")
        pytest.skip(f"{name} chooses no actions")
    space = agent.source.action_space
    for deterministic in (True, False):
        env = agent.source.evaluation_env(1)
        agent.set_env(env)
        observation, _ = env.reset(seed=1)
        action, _ = agent.predict(observation, deterministic=deterministic)
        assert np.shape(action) == (1, *space.shape)
        assert action.dtype == space.dtype
        assert action[0] in space
        single = {k: v[0] for k, v in observation.items()} if isinstance(observation, dict) else observation[0]
        action, _ = agent.predict(single, deterministic=deterministic)
        assert np.shape(action) == space.shape
        assert np.asarray(action).dtype == space.dtype
        assert action in space
        env.close()
    batch = play(agent)
    assert batch.shape == (4, 3, *space.shape)
    assert all(action in space for row in batch for action in row)


@each_agent
def test_deterministic_predict_is_deterministic(name, build):
    if name == "Random":
        pytest.skip("Random has no mode")
    agent = build(name, **({"ties": "first"} if name == "GreedyMarginal" else {})).learn(budget(name))
    assert np.array_equal(play(agent), play(agent))


@each_agent
def test_save_and_load(name, build, tmp_path):
    agent = build(name).learn(budget(name))
    agent.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip", agent.source.given, device="cpu")
    assert type(loaded) is type(agent)
    assert loaded.config == agent.config
    assert loaded.seed == agent.seed
    assert flat(loaded.state_dict()) == flat(agent.state_dict())
    assert np.array_equal(play(agent), play(loaded))
    assert np.array_equal(play(agent, deterministic=False), play(loaded, deterministic=False))
    loaded.save(tmp_path / "again.zip")
    agent.save(tmp_path / "agent.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "agent.zip").read_bytes()


@each_agent
def test_a_loaded_agent_learns_on_as_if_nothing_had_happened(name, build, tmp_path):
    whole = build(name).learn(budget(name))
    whole.save(tmp_path / "agent.zip")
    resumed = agents.load(tmp_path / "agent.zip", whole.source.given, device="cpu")
    for agent in (whole, resumed):
        agent.learn(budget(name))
    assert flat(resumed.state_dict()) == flat(whole.state_dict())
    assert resumed.notices == []


@each_agent
def test_one_seed_gives_the_same_bits_and_another_seed_others(name, build):
    first, again, other = (build(name, seed).learn(budget(name)) for seed in (3, 3, 4))
    assert flat(first.state_dict()) == flat(again.state_dict())
    assert np.array_equal(play(first, deterministic=False), play(again, deterministic=False))
    if name in LEARNERS:
        different = {
            key: value for key, value in flat(other.state_dict()).items() if flat(first.state_dict())[key] != value
        }
        assert any("/parts/policy" in key or "/parts/actor" in key or "/parts/networks" in key for key in different)
    else:
        assert not np.array_equal(play(first, 12, False), play(other, 12, False))


@each_agent
def test_global_generators_are_left_alone(name, build):
    build(name)  # what is imported and compiled on the first use is no concern of this test
    before = (torch.get_rng_state(), copy.deepcopy(np.random.get_state()), random.getstate())  # noqa: NPY002
    play(build(name).learn(budget(name)), deterministic=False)
    assert torch.equal(torch.get_rng_state(), before[0])
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(after, before[1], strict=True))
    assert random.getstate() == before[2]


@each_agent
def test_wrong_budgets_hyperparameters_and_seeds(name, build):
    for wrong in (0, -1, 2.5, True, "many", float("nan"), float("inf"), [1]):
        with pytest.raises(EnvzooError, match="total_timesteps is a positive integer, got"):
            build(name).learn(wrong)
    for wrong in (-1, 1.5, "1", None, True):
        with pytest.raises(EnvzooError, match="a seed is a non-negative integer, got"):
            build(name, seed=wrong)
    with pytest.raises(UnknownNameError, match=f"unknown hyperparameter of {name} 'learning_rat'"):
        build(name, learning_rat=1.0)


def test_a_class_knows_its_row_without_make(tmp_path):
    PPO = agent_class("PPO")
    agent = PPO(resolve("CartPole-v1", PPO.spec), PPO.Config(num_envs=2, num_steps=4, hidden=(4,)), device="cpu")
    assert agent.spec is PPO.spec is agents.spec("PPO")
    agent.learn(8).save(tmp_path / "agent.zip")
    assert type(agents.load(tmp_path / "agent.zip", device="cpu")) is PPO


def test_learn_without_a_budget_finishes_the_interrupted_one(build):
    class Stop(agents.agent.Callback):
        def on_iteration(self, agent, metrics):
            return False

    agent = build("PPO").learn(100, Stop())
    assert agent.num_timesteps == 12
    assert agent.progress() == 0.12
    assert agent.learn().num_timesteps == 108
    assert agent.learn().num_timesteps == 108


# ---------------------------------------------------------------------------- refusals

SENTENCES = {
    "agent": (lambda: agents.make("PPOO", "CartPole-v1"), ["unknown agent 'PPOO'", "did you mean 'PPO'?"]),
    "unhashable-agent": (lambda: agents.make(["PPO"], "CartPole-v1"), ["unknown agent \"['PPO']\""]),
    "unhashable-spec": (lambda: agents.spec(["PPO"]), ["unknown agent \"['PPO']\""]),
    "no-agent": (lambda: agents.spec(None), ["unknown agent 'None'"]),
    "source": (lambda: agents.make("PPO", "CartPol-v1"), ["unknown source 'CartPol-v1'", "did you mean 'CartPole-v"]),
    "our-source": (
        lambda: agents.make("PPO", "envzoo/GridCoverge-v0"),
        ["unknown source 'envzoo/GridCoverge-v0'", "did you mean 'envzoo/GridCoverage-v0'?"],
    ),
    "module": (lambda: agents.make("PPO", "no_such_module:Env-v0"), ["no_such_module:Env-v0 cannot be made"]),
    "no-source": (lambda: agents.make("PPO", 3), ["a int is no source", "expected an environment id"]),
    "kind-of-source": (
        lambda: agents.make("BC", "CartPole-v1"),
        ["BC takes a dataset", "CartPole-v1 is an environment"],
    ),
    "game": (lambda: agents.make("PPO", Game()), ["PPO takes an environment", "is a game"]),
    "keywords": (
        lambda: agents.make("PPO", "CartPole-v1", env_kwargs={"gravity": 3}),
        ["CartPole-v1 cannot be made with the keywords {'gravity': 3}"],
    ),
    "values-of-keywords": (
        lambda: agents.make("Random", "FrozenLake-v1", env_kwargs={"map_name": "9x9"}),
        ["FrozenLake-v1 cannot be made with the keywords {'map_name': '9x9'}"],
    ),
    "keywords-of-an-object": (
        lambda: agents.make("PPO", Corridor(), env_kwargs={"size": 3}),
        ["env_kwargs go with an environment id, not with a Corridor object"],
    ),
    "hyperparameter": (
        lambda: agents.make("PPO", "CartPole-v1", gama=0.9),
        ["unknown hyperparameter of PPO 'gama'", "did you mean 'gamma'?"],
    ),
    "type": (lambda: agents.make("PPO", "CartPole-v1", gamma="0.9"), ["gamma of PPO expects float, got '0.9'"]),
    "integer": (lambda: agents.make("PPO", "CartPole-v1", num_envs=2.5), ["num_envs of PPO expects int, got 2.5"]),
    "flag-for-integer": (lambda: agents.make("PPO", "CartPole-v1", num_envs=True), ["num_envs of PPO expects int"]),
    "nan": (lambda: agents.make("PPO", "CartPole-v1", gamma=float("nan")), ["gamma of PPO expects float, got nan"]),
    "infinite": (
        lambda: agents.make("PPO", "CartPole-v1", learning_rate=float("inf")),
        ["learning_rate of PPO expects float, got inf"],
    ),
    "choice": (
        lambda: agents.make("PPO", "CartPole-v1", anneal="all"),
        ["anneal of PPO expects one of 'none', 'learning_rate', 'both', got 'all'"],
    ),
    "widths": (
        lambda: agents.make("PPO", "CartPole-v1", hidden="64"),
        ["hidden of PPO expects tuple[int, ...], got '64'"],
    ),
    "gamma": (lambda: agents.make("PPO", "CartPole-v1", gamma=1.5), ["gamma of PPO lies in [0, 1], got 1.5"]),
    "lambda": (
        lambda: agents.make("PPO", "CartPole-v1", gae_lambda=-1),
        ["gae_lambda of PPO lies in [0, 1], got -1.0"],
    ),
    "rate": (lambda: agents.make("PPO", "CartPole-v1", learning_rate=0), ["learning_rate of PPO is positive, got 0.0"]),
    "clip": (lambda: agents.make("PPO", "CartPole-v1", clip_range=0), ["clip_range of PPO is positive, got 0.0"]),
    "norm": (
        lambda: agents.make("PPO", "CartPole-v1", max_grad_norm=-1),
        ["max_grad_norm of PPO is positive, got -1.0"],
    ),
    "entropy": (
        lambda: agents.make("PPO", "CartPole-v1", entropy_coefficient=-0.1),
        ["entropy_coefficient of PPO is not negative, got -0.1"],
    ),
    "kl": (lambda: agents.make("PPO", "CartPole-v1", target_kl=0), ["target_kl of PPO is positive, got 0.0"]),
    "width": (
        lambda: agents.make("PPO", "CartPole-v1", hidden=(0,)),
        ["hidden of PPO holds positive widths, got (0,)"],
    ),
    "steps": (lambda: agents.make("PPO", "CartPole-v1", num_steps=0), ["num_steps of PPO is at least 1, got 0"]),
    "encoder": (
        lambda: agents.make("PPO", "CartPole-v1", encoder="mpl"),
        ["unknown encoder 'mpl'", "auto", "did you mean 'mlp'?"],
    ),
    "images": (lambda: agents.make("PPO", "CartPole-v1", encoder="cnn"), ["the cnn encoder needs an image", "'mlp'"]),
    "no-images": (
        lambda: agents.make("PPO", Corridor(OBSERVATIONS["image"]), encoder="mlp"),
        ["the mlp encoder takes no images", "'cnn'"],
    ),
    "activation": (
        lambda: agents.make("PPO", "CartPole-v1", activation="tan"),
        ["unknown activation 'tan'", "did you mean 'tanh'?"],
    ),
    "optimizer": (
        lambda: agents.make("PPO", "CartPole-v1", optimizer="adma"),
        ["unknown optimizer 'adma'", "did you mean 'adam'?"],
    ),
    "device": (lambda: agents.make("PPO", "CartPole-v1", device="gpu"), ["device 'gpu' is not available", "'cpu'"]),
    "absent-device": (
        lambda: agents.make("PPO", "CartPole-v1", device="cuda:99"),
        ["device 'cuda:99' is not available"],
    ),
    "numberless-device": (lambda: agents.make("PPO", "CartPole-v1", device="meta"), ["device 'meta' is not available"]),
    "no-device": (lambda: agents.make("PPO", "CartPole-v1", device=None), ["device None is not available"]),
    "discrete-only": (
        lambda: agents.make("SubPO", Corridor(actions=spaces.Box(-1, 1, (2,)))),
        ["SubPO takes Discrete actions, but the action space is Box(-1.0, 1.0, (2,), float32)"],
    ),
    "actions": (
        lambda: agents.make("PPO", Corridor(actions=spaces.MultiDiscrete([2, 2]))),
        ["PPO takes Discrete or Box actions, but the action space is MultiDiscrete([2 2])"],
    ),
    "integer-box": (
        lambda: agents.make("PPO", Corridor(actions=spaces.Box(0, 3, (2,), np.int32))),
        ["PPO takes Box actions of a float dtype"],
    ),
    "no-actions": (
        lambda: agents.make("Random", Corridor(actions=spaces.Text(3))),
        ["Random takes Discrete, MultiDiscrete, MultiBinary or Box actions, got Text"],
    ),
    "observations": (
        lambda: agents.make("PPO", Corridor(spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(3)))),
        ["agents take Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these", "b is a Text space"],
    ),
    "tuple": (
        lambda: agents.make("PPO", Corridor(spaces.Tuple([spaces.Discrete(2)]))),
        ["observation is a Tuple space"],
    ),
    "table": (
        lambda: agents.make("SubPO", Corridor(spaces.Box(-1, 1, (2,)))),
        ["a tabular policy needs Discrete or MultiDiscrete observations", "policy='mlp'"],
    ),
    "large-table": (
        lambda: agents.make("SubPO", Corridor(spaces.MultiDiscrete([2**16] * 4))),
        [f"a tabular policy for {2**64} observations would not fit", "policy='mlp'"],
    ),
    "autoreset": (
        lambda: agents.make("PPO", SyncVectorEnv([Corridor], autoreset_mode=AutoresetMode.DISABLED)),
        ["autoreset disabled", "SAME_STEP or NEXT_STEP"],
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_wrong_input_gives_one_clear_sentence(case):
    call, expected = SENTENCES[case]
    with pytest.raises(EnvzooError) as error:
        call()
    text = str(error.value)
    assert len(text.splitlines()) == 1
    for words in expected:
        assert words in text


def test_numpy_numbers_are_numbers():
    agent = agents.make("PPO", "CartPole-v1", num_envs=np.int64(2), gamma=np.float32(0.5), hidden=np.array([4, 4]))
    assert (agent.config.num_envs, agent.config.gamma, agent.config.hidden) == (2, 0.5, (4, 4))
    assert type(agent.config.num_envs) is int
    assert agent.learn(np.int64(1)).num_timesteps > 0


def test_predict_refuses_observations_of_another_shape(build):
    agent = agents.make("PPO", "CartPole-v1")
    with pytest.raises(
        UnsupportedSpaceError, match=r"expected an observation of shape \(4,\) or \(batch, .*got shape \(5,\)"
    ):
        agent.predict(np.zeros(5, np.float32))
    agent = agents.make("PPO", Corridor(OBSERVATIONS["dict"]))
    with pytest.raises(UnsupportedSpaceError, match="expected a dict observation with the keys"):
        agent.predict(np.zeros(5, np.float32))


# ---------------------------------------------------------------------------- spaces and kinds of sources


class Corridor(gym.Env):
    """Three steps to the end; observations are samples of any space, the reward counts the steps."""

    def __init__(self, observations=spaces.Box(-1, 1, (3,)), actions=spaces.Discrete(2)):  # noqa: B008
        self.observation_space, self.action_space = copy.deepcopy(observations), copy.deepcopy(actions)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert action in self.action_space, f"{action!r} is not in {self.action_space}"
        self.time += 1
        return self.observation_space.sample(), float(self.time), self.time == 3, False, {}


OBSERVATIONS = {
    "box": spaces.Box(-1, 1, (3,)),
    "unbounded-matrix": spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
    "number": spaces.Box(-1, 1, ()),
    "image": spaces.Box(0, 255, (12, 10, 3), np.uint8),
    "channels-first-image": spaces.Box(0, 255, (1, 40, 36), np.uint8),
    "discrete": spaces.Discrete(5),
    "discrete-from": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 70, 2], start=[1, 0, -1]),
    "multi-discrete-matrix": spaces.MultiDiscrete([[3, 4], [5, 6]]),
    "multi-binary": spaces.MultiBinary((2, 3)),
    "dict": spaces.Dict(
        a=spaces.Box(-1, 1, (2,)),
        b=spaces.Discrete(3, start=1),
        c=spaces.Dict(d=spaces.MultiBinary(2)),
        e=spaces.MultiDiscrete([2]),
    ),
    "dict-with-image": spaces.Dict(eye=spaces.Box(0, 255, (8, 8, 1), np.uint8), speed=spaces.Box(-1, 1, (1,))),
}
ACTIONS = {
    "discrete": spaces.Discrete(3),
    "discrete-from": spaces.Discrete(3, start=-1),
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 0.25], np.float32)),
    "unbounded-box": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
    "number": spaces.Box(0, 1, ()),
}
SMALL = {"num_envs": 2, "num_steps": 7, "num_epochs": 2, "minibatch_size": 5, "hidden": (6,), "device": "cpu"}


def check_ppo(source, **changes):
    agent = agents.make("PPO", source, **{**SMALL, **changes})
    agent.learn(15)
    assert all(torch.isfinite(parameter).all() for parameter in agent.policy.parameters())
    observation = agent.source.observation_space.sample()
    for deterministic in (True, False):
        action, state = agent.predict(observation, deterministic=deterministic)
        assert action in agent.source.action_space
        assert agent.predict(observation, state, deterministic=deterministic)[0] in agent.source.action_space
    batch = gym.vector.utils.batch_space(agent.source.observation_space, 3).sample()
    actions, _ = agent.predict(batch)
    assert actions in gym.vector.utils.batch_space(agent.source.action_space, 3)
    return agent


@pytest.mark.parametrize("encoder", ["auto", "gru"])
@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_ppo_learns_from_every_kind_of_observation(kind, encoder):
    check_ppo(Corridor(OBSERVATIONS[kind]), encoder=encoder)


@pytest.mark.parametrize("kind", ACTIONS)
def test_ppo_learns_with_every_kind_of_action(kind):
    check_ppo(Corridor(actions=ACTIONS[kind]))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_ppo_with_shared_encoders(encoder, shared):
    check_ppo(Corridor(), encoder=encoder, share_encoder=shared)


@pytest.mark.parametrize("kind", ["dict", "image", "discrete-from", "box"])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_ppo_learns_from_vector_environments(mode, kind):
    envs = SyncVectorEnv([lambda: Corridor(OBSERVATIONS[kind])] * 3, autoreset_mode=mode)
    agent = check_ppo(envs)
    # 7 steps of 3 environments; where resetting takes a step, the fourth does not count.
    assert agent.num_timesteps == (21 if mode == AutoresetMode.SAME_STEP else 18)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "envzoo/GridCoverage-v0", "FrozenLake-v1"])
def test_ppo_learns_from_ids(env_id):
    agent = check_ppo(env_id)
    assert agent.source.id == env_id


def test_keywords_of_objects_are_kept_for_their_copies():
    made = gym.make("MountainCar-v0", max_episode_steps=7, goal_velocity=0.01)
    source = agents.make("Random", made).source
    assert source.id == "MountainCar-v0"
    copies = source.evaluation_env(2)
    assert copies.envs[0].unwrapped.goal_velocity == 0.01
    copies.reset(seed=0)
    assert [bool(copies.step(np.zeros(2, int))[3].all()) for _ in range(7)] == [False] * 6 + [True]
    vector = gym.make_vec("envzoo/GridCoverage-v0", num_envs=4, rows=3, columns=5)
    source = agents.make("Random", vector).source
    assert source.evaluation_env(2).single_observation_space == vector.single_observation_space


def test_vector_implementations_keep_the_time_limit_of_their_id():
    for env_id, limit, kwargs in (("CartPole-v0", 200, {}), ("CartPole-v1", 6, {"max_episode_steps": 6})):
        env = agents.make("Random", env_id, env_kwargs=kwargs).source.evaluation_env(2)
        env.reset(seed=0)
        env.unwrapped.theta_threshold_radians = env.unwrapped.x_threshold = np.inf  # no other end
        ended = [env.step(np.arange(2) % 2)[3].any() for _ in range(limit)]
        assert ended == [False] * (limit - 1) + [True]


def test_wrapped_objects_have_no_id_to_copy_from():
    wrapped = gym.wrappers.RescaleObservation(gym.make("MountainCarContinuous-v0"), np.float32(-1), np.float32(1))
    vector = gym.wrappers.vector.RecordEpisodeStatistics(gym.make_vec("CartPole-v1", num_envs=2))
    for source in (wrapped, vector):
        agent = agents.make("Random", source)
        with pytest.raises(
            EnvzooError, match="has no registered id to make copies from; give an evaluation environment"
        ):
            agent.source.evaluation_env(1)


# ---------------------------------------------------------------------------- Random


class Game(ParallelEnv):
    """Matching pennies, twice; the second player leaves after the first round."""

    metadata = {"name": "game"}  # noqa: RUF012
    possible_agents = ["even", "odd"]  # noqa: RUF012

    def observation_space(self, agent):
        return spaces.Discrete(2)

    def action_space(self, agent):
        return spaces.Discrete(2) if agent == "even" else spaces.Box(-1, 1, (2,))

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return dict.fromkeys(self.agents, 0), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        assert all(actions[agent] in self.action_space(agent) for agent in self.agents)
        ended = {"even": len(self.agents) == 1, "odd": True}
        now, self.agents = self.agents, [agent for agent in self.agents if not ended[agent]]
        each = {agent: ended[agent] for agent in now}
        return dict.fromkeys(now, 1), dict.fromkeys(now, 0.0), each, dict.fromkeys(now, False), {a: {} for a in now}


def test_random_plays_games(tmp_path):
    game = Game()
    agent = agents.make("Random", game).learn(10)
    observations, _ = game.reset(seed=0)
    rounds = 0
    while game.agents:
        actions, _ = agent.predict({player: observations[player] for player in game.agents})
        observations, *_ = game.step(actions)
        rounds += 1
    assert rounds == 2
    agent.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip", game)
    assert loaded.predict({"even": 0})[0] == agent.predict({"even": 0})[0]


RANDOM_ACTIONS = {
    **ACTIONS,
    "multi-discrete": spaces.MultiDiscrete([2, 3], start=[-1, 4]),
    "multi-binary": spaces.MultiBinary((2, 2)),
    "half-bounded": spaces.Box(np.array([0, -np.inf], np.float32), np.array([np.inf, 0], np.float32)),
    "integers": spaces.Box(np.array([0, 250], np.uint8), np.array([1, 255], np.uint8), dtype=np.uint8),
}


@pytest.mark.parametrize("kind", RANDOM_ACTIONS)
def test_random_takes_every_kind_of_action(kind):
    agent = agents.make("Random", Corridor(actions=RANDOM_ACTIONS[kind]))
    space = agent.source.action_space
    actions, _ = agent.predict(np.zeros((200, 3), np.float32))
    assert actions.shape == (200, *space.shape)
    assert all(action in space for action in actions)
    assert agent.predict(np.zeros(3, np.float32))[0] in space
    if isinstance(space, spaces.Discrete):
        assert set(actions.tolist()) == {space.start + i for i in range(space.n)}


@pytest.mark.parametrize(
    "space", [spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2,))]), spaces.Text(5)], ids=str
)
def test_random_takes_observations_that_networks_cannot_read(space):
    env = Corridor(space)
    env.observation_space.seed(0)
    agent = agents.make("Random", env).learn(5)
    observation, _ = env.reset(seed=0)
    assert agent.predict(observation)[0] in env.action_space
    vector = SyncVectorEnv([lambda: Corridor(space)] * 3)
    observation, _ = vector.reset(seed=0)
    actions, _ = agent.predict(observation, None, np.ones(3, bool))
    assert actions.shape == (3,)


# ---------------------------------------------------------------------------- random streams


def test_streams_are_independent_of_each_other_and_of_order():
    one, two = Streams(3), Streams(3)
    first = one.numpy("a").random(3)
    two.numpy("b").random(5)
    two.torch("c")
    assert np.array_equal(two.numpy("a").random(3), first)
    assert not np.array_equal(one.numpy("b").random(3), first)
    assert not np.array_equal(Streams(4).numpy("a").random(3), first)
    assert one.numpy("a") is one.numpy("a")
    assert 0 <= one.integer("environment") < 2**31
    assert one.integer("environment") == two.integer("environment") != one.integer("other")


def test_streams_go_on_where_they_were_captured():
    streams = Streams(3)
    streams.numpy("a").random(3)
    torch.rand(3, generator=streams.torch("b"))
    state = copy.deepcopy(streams.state_dict())
    expected = (streams.numpy("a").random(3), torch.rand(3, generator=streams.torch("b")))
    again = Streams(3)
    again.load_state_dict(state)
    assert np.array_equal(again.numpy("a").random(3), expected[0])
    assert torch.equal(torch.rand(3, generator=again.torch("b")), expected[1])
