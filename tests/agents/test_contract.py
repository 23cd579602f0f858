"""The agent contract, for every registered agent: make, learn, predict, save, load, determinism, and clear refusals."""

import copy
import dataclasses
import random
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.agent import Agent
from envzoo.agents.registry import agent_class
from envzoo.agents.source import resolve
from envzoo.datasets import collect, load_minari, recipes
from envzoo.datasets.collector import write
from envzoo.datasets.histories import play_histories
from envzoo.datasets.recipes import LearningHistories
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.games import games

GRID = ("envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"})
LEARNERS = (
    *("PPO", "SAC", "SACDiscrete", "SubPO", "ModPO", "SubPOActorCritic", "ModPOActorCritic", "BC"),
    *("LSDExploreCommit", "LSDUCB", "CombUCB1", "ISICombUCB1"),
    *("UCBVI", "UCB1", "CollisionETC", "PolicyUCB", "OMLE"),
    *("POPLER", "TrajectoryTree", "PSDP", "CPI", "PolicyEmulator"),
    *("LMDPValueOptimistic", "LMDPModelOptimistic", "LMDPHoeffding", "MemorylessUCBVI"),
)
each_agent = pytest.mark.parametrize("name", agents.specs())


def example(name):
    """Return the example source of an agent's spec; a spec without one fails the test."""
    row = agents.spec(name)
    if row.example is None:
        pytest.fail(f"{name} has no example: its row names something small that it learns from in a second")
    return row.example


def is_dataset(name):
    """Whether the example of an agent is a dataset, which the fixture `dataset` replaces."""
    return example(name).source in recipes()


def stand_in(name, dataset):
    """The part of the fixture `dataset` that an agent takes in place of the dataset of its example."""
    if isinstance(recipes()[example(name).source].policy, LearningHistories):
        return dataset["histories"]
    return dataset["discrete" if "discrete" in agents.spec(name).actions else "continuous"]


def make_example(name, dataset=None, seed=0, **changes):
    """Make an agent for its example; `dataset` replaces the one that a recipe would make."""
    small = example(name)
    source = stand_in(name, dataset) if is_dataset(name) else small.source
    hyperparameters = {**small.hyperparameters, **changes}
    return agents.make(name, source, seed=seed, device="cpu", env_kwargs=small.env_kwargs, **hyperparameters)


def small_datasets():
    """Make Minari datasets of a few random episodes on the grid ("discrete") and in a corridor ("continuous")."""
    import minari

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
    buffers = collect(agents.make("Random", "envzoo/LineWorld-v0"), "envzoo/LineWorld-v0", 4)
    facts = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write("test/line-v0", buffers, env_id="envzoo/LineWorld-v0", **facts)
    kwargs = {"size": 3, "goal": [2, 2]}
    short = {"histories": 3, "episodes": 2, "noise": 0.3, "seed": 0, "env_kwargs": kwargs}
    buffers = play_histories("envzoo/Darkroom-v0", ({"goal": [0, 0]}, {"goal": [0, 1]}), **short)
    write("test/histories-v0", buffers, env_id="envzoo/Darkroom-v0", env_kwargs=kwargs, **facts)
    loaded = {name: load_minari(f"test/{part}-v0") for name, part in (("continuous", "line"), ("histories",) * 2)}
    return {"discrete": found, **loaded}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """The datasets of `small_datasets` under a root of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        yield small_datasets()


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
