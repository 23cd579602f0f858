"""Bad input gets one clear sentence: a table of inputs, the errors they meet, and a part of the sentence."""

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401  (registers the environments)
from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.datasets import TransitionTable, load_minari
from envzoo.datasets.collector import collect
from envzoo.errors import (
    CheckpointError,
    DatasetError,
    EnvzooError,
    InvalidActionError,
    UnknownNameError,
    UnsupportedSpaceError,
)
from envzoo.games import make_game
from envzoo.scripts import cli

pytestmark = pytest.mark.any_arithmetic

GRID, PLANE = "envzoo/GridCoverage-v0", "envzoo/PointMultiGoal-v0"
SMALL = {"rows": 3, "columns": 3, "horizon": 4}
PPO = {"num_envs": 2, "num_steps": 8, "hidden": (8,)}
NAN, INF, HUGE = float("nan"), float("inf"), 2**70


def single():
    return gym.make(GRID, **SMALL).unwrapped


def vector(**more):
    return gym.make_vec(GRID, num_envs=2, **SMALL, **more)


def agent(name="PPO", source=PLANE, **more):
    return agents.make(name, source, seed=0, device="cpu", **({**PPO, **more} if name == "PPO" else more))


def on_grid():
    return agents.make("PPO", GRID, seed=0, device="cpu", env_kwargs=SMALL, **PPO)


def texts():
    tiny = {"model_dim": 8, "model_layers": 1, "model_heads": 2, "warm_up_updates": 0, "num_prompts": 2}
    return agents.make("GRPO", "envzoo/TextSumTo-Tokens-v0", seed=0, device="cpu", env_kwargs={"terms": 2}, **tiny)


def recurrent():
    return agent(encoder="gru")


def with_state(part, value, name="PPO"):
    """Load an agent whose saved state holds `value` at the keys `part`."""
    made = agent(name) if name == "PPO" else agents.make(name, PLANE, seed=0, device="cpu", hidden=(8,))
    state = made.state_dict()
    tree = state
    for key in part[:-1]:
        tree = tree[key]
    tree[part[-1]] = value
    made.restore(state, made.header(), "agent.zip")


def ground(observation, state, start, deterministic):
    return np.zeros(len(start), np.int64), None


EPISODE = (np.zeros((3, 2), np.float32), np.zeros(2, int), np.ones(2), np.array([0, 1], bool), np.zeros(2, bool))


def table():
    return TransitionTable.from_episodes([EPISODE, EPISODE])


def game_step(actions):
    game = make_game("envzoo/coding_grid_small_v0")
    game.reset(seed=0)
    return game.step(actions)


ROWS = [
    # Environments.
    ("options-number", lambda: single().reset(options=5), EnvzooError, "options is 5; expected a dict"),
    ("options-number-vector", lambda: vector().reset(options=5), EnvzooError, "options is 5; expected a dict"),
    ("options-list", lambda: vector().reset(options=[1]), EnvzooError, "expected a dict"),
    ("options-pairs", lambda: vector().reset(options=[("start", 1)]), EnvzooError, "expected a dict"),
    ("option-ragged", lambda: single().reset(options={"start": [[1], [1, 2]]}), EnvzooError, "rows of one length"),
    ("option-none", lambda: single().reset(options={"start": None}), EnvzooError, "start is None"),
    ("option-bool", lambda: single().reset(options={"start": True}), EnvzooError, "start is True"),
    ("seed-bool", lambda: single().reset(seed=True), EnvzooError, "seed True is not usable"),
    ("seed-bool-vector", lambda: vector().reset(seed=True), EnvzooError, "seed True is not usable"),
    ("seed-float-vector", lambda: vector().reset(seed=1.5), EnvzooError, "seed 1.5 is not usable"),
    ("seed-scalar-array", lambda: vector().reset(seed=np.array(3)), EnvzooError, "list of 2"),
    ("seed-string", lambda: vector().reset(seed="12"), EnvzooError, "list of 2"),
    ("seed-list-bool", lambda: vector().reset(seed=[True, 1]), EnvzooError, "seed True"),
    ("seed-ragged", lambda: vector().reset(seed=[[1], [1, 2]]), EnvzooError, "cannot be read"),
    ("limit-0", lambda: vector(max_episode_steps=0), EnvzooError, "max_episode_steps is 0"),
    ("limit-0-single", lambda: type(single())(max_episode_steps=0), EnvzooError, "max_episode_steps is 0"),
    (
        "limit-0-agent",
        lambda: agents.make("PPO", GRID, env_kwargs={"max_episode_steps": 0}),
        EnvzooError,
        "cannot be made with the keywords",
    ),
    ("limit-huge", lambda: vector(max_episode_steps=HUGE), EnvzooError, "max_episode_steps is"),
    ("rows-huge", lambda: gym.make(GRID, rows=HUGE), EnvzooError, "rows is"),
    ("radius-huge", lambda: gym.make(GRID, radius=HUGE), EnvzooError, "radius is"),
    ("tiles-text", lambda: vector(render_tiles="x"), EnvzooError, "render_tiles is 'x'"),
    ("render-mode-list", lambda: type(single())(render_mode=[]), UnknownNameError, "render mode"),
    ("mode-list", lambda: vector(autoreset_mode=[]), UnknownNameError, "autoreset mode"),
    ("encoder-list", lambda: gym.make("envzoo/CodingGrid-v0", encoder=[]), UnknownNameError, "encoder"),
    ("actions-dict", lambda: gym.make("envzoo/SurpriseRooms-v0", actions={}), UnknownNameError, "actions|action"),
    ("instance-list", lambda: gym.make("envzoo/LSDBandit-v0", instance=[]), UnknownNameError, "instance"),
    ("state-number", lambda: single().set_state(5), EnvzooError, "expected the dict"),
    ("action-ragged", lambda: started(vector()).step([[1], [1, 2]]), InvalidActionError, "different lengths"),
    ("action-text", lambda: started(single()).step("x"), InvalidActionError, "integers"),
    ("action-none", lambda: started(single()).step(None), InvalidActionError, "integers"),
    # Games.
    ("game-list", lambda: make_game([]), UnknownNameError, "unknown game"),
    ("game-actions", lambda: game_step(5), InvalidActionError, "dict from player to action"),
    ("game-no-action", lambda: game_step({}), InvalidActionError, "sender is missing"),
    ("game-options", lambda: make_game("envzoo/coding_grid_v0").reset(options=5), EnvzooError, "expected a dict"),
    ("game-player", lambda: make_game("envzoo/coding_grid_v0").observation_space([]), UnknownNameError, "player"),
    # Agents: making them.
    ("agent-list", lambda: agents.make([], PLANE), UnknownNameError, "unknown agent"),
    ("env-kwargs", lambda: agents.make("PPO", PLANE, env_kwargs=5), EnvzooError, "env_kwargs is 5"),
    ("agent-seed-bool", lambda: agents.make("PPO", PLANE, seed=True), EnvzooError, "non-negative integer, got True"),
    ("source-list", lambda: agents.make("PPO", []), UnsupportedSpaceError, "list is no source"),
    ("gradient-steps", lambda: agent("SAC", gradient_steps=0), EnvzooError, "gradient_steps is at least 1"),
    ("log-std", lambda: agent(initial_log_std=1e9), EnvzooError, r"initial_log_std of PPO lies in \[-20, 20\]"),
    ("num-envs-huge", lambda: agent(num_envs=HUGE), EnvzooError, "num_envs of PPO is"),
    ("hidden-zero", lambda: agent(hidden=(8, 0)), EnvzooError, "widths of at least 1|positive widths"),
    ("hidden-sac", lambda: agent("SAC", hidden=(-1,)), EnvzooError, "widths of at least 1"),
    ("feature-dim", lambda: agent("RND", feature_dim=-1), EnvzooError, "feature_dim of the intrinsic reward"),
    ("neighbours", lambda: agent("APT", neighbours=0), EnvzooError, "neighbours of the intrinsic reward"),
    ("intrinsic-rate", lambda: agent("ICM", intrinsic_learning_rate=-1.0), EnvzooError, "is positive, got -1"),
    (
        "bapo-ladder",
        lambda: agents.make("BAPO", "envzoo/TextSumTo-Tokens-v0", high_last=1e30),
        EnvzooError,
        "steps; expected at most",
    ),
    # Learning.
    ("callback-number", lambda: agent().learn(16, callback=5), EnvzooError, "a callback is a int"),
    ("callback-list", lambda: agent().learn(16, callback=[5]), EnvzooError, "a callback is a int"),
    ("callback-dict", lambda: agent().learn(16, callback={1: 2}), EnvzooError, "a callback is a dict"),
    ("callback-class", lambda: agent().learn(16, callback=object), EnvzooError, "the class object"),
    ("learn-bool", lambda: agent().learn(True), EnvzooError, "positive integer, got True"),
    ("learn-huge", lambda: agent().learn(HUGE), EnvzooError, "at most 2"),
    # Acting.
    ("predict-empty", lambda: agent().predict(np.zeros((0, 2))), EnvzooError, "batch of observations is empty"),
    ("predict-nan", lambda: agent().predict(np.array([NAN, 0.0])), EnvzooError, "NaN or infinite"),
    ("predict-inf", lambda: agent().predict(np.array([[0.0, 0], [INF, 0]])), EnvzooError, "NaN or infinite"),
    ("predict-text", lambda: agent().predict(np.array(["a", "b"])), EnvzooError, "expected numbers"),
    ("predict-objects", lambda: agent().predict(np.array([None, None])), EnvzooError, "expected numbers"),
    ("predict-complex", lambda: agent().predict(np.array([1j, 0])), EnvzooError, "expected numbers"),
    ("predict-ragged", lambda: agent().predict([[0], [0, 0]]), UnsupportedSpaceError, "different lengths"),
    ("predict-none", lambda: agent().predict(None), UnsupportedSpaceError, "got shape"),
    ("predict-outside", lambda: on_grid().predict(np.array([9, 0])), EnvzooError, "holds 9, .* expected 0 to 8"),
    ("predict-negative", lambda: on_grid().predict(np.array([-1, 0])), EnvzooError, "holds -1"),
    ("predict-floats", lambda: on_grid().predict(np.array([0.5, 0])), EnvzooError, "expected integers"),
    ("predict-grid-empty", lambda: on_grid().predict(np.zeros((0, 2), int)), EnvzooError, "is empty"),
    ("predict-sac-nan", lambda: agent("SAC").predict(np.array([NAN, 0.0])), EnvzooError, "NaN or infinite"),
    ("predict-random", lambda: agent("Random").predict(np.zeros((0, 2))), EnvzooError, "is empty"),
    ("predict-text-nan", lambda: texts().predict(np.full((1, 9), NAN)), EnvzooError, "expected windows of ids"),
    ("predict-text-empty", lambda: texts().predict(np.zeros((0, 9), int)), EnvzooError, "is empty"),
    ("predict-text-ids", lambda: texts().predict(np.full((1, 9), 99)), EnvzooError, "ids that TextSumTo does not have"),
    ("predict-state", lambda: recurrent().predict(np.zeros(2), "x"), EnvzooError, "the state is a str"),
    (
        "predict-start",
        lambda: recurrent().predict(np.zeros(2), episode_start=np.ones(5, bool)),
        EnvzooError,
        "expected 1 booleans",
    ),
    # Evaluation.
    ("evaluate-seed", lambda: evaluate(agent(), episodes=1, seed=-1), EnvzooError, "seed -1 is not usable"),
    ("evaluate-seed-bool", lambda: evaluate(agent(), episodes=1, seed=True), EnvzooError, "seed True"),
    ("evaluate-seed-none", lambda: evaluate(agent(), episodes=1, seed=None), EnvzooError, "seed None"),
    ("evaluate-episodes", lambda: evaluate(agent(), episodes="x"), EnvzooError, "at least 1 episode, got 'x'"),
    ("evaluate-episodes-float", lambda: evaluate(agent(), episodes=1.5), EnvzooError, "at least 1 episode"),
    ("evaluate-number", lambda: evaluate(5), EnvzooError, "evaluation is of an agent"),
    ("evaluate-env", lambda: evaluate(agent(), PLANE), EnvzooError, "plays in a vector environment or a game"),
    ("evaluate-single", lambda: evaluate(agent(), gym.make(PLANE)), EnvzooError, "plays in a vector environment"),
    # Files of agents.
    ("load-none", lambda: agents.load(None), CheckpointError, "expected the path of a checkpoint file, got None"),
    ("load-number", lambda: agents.load(5), CheckpointError, "expected the path of a checkpoint file, got 5"),
    ("load-bytes", lambda: agents.load(b"x"), CheckpointError, "expected the path of a checkpoint file"),
    ("load-empty", lambda: agents.load(""), CheckpointError, "expected the path of a checkpoint file"),
    ("save-none", lambda: agent().save(None), CheckpointError, "expected the path of a checkpoint file, got None"),
    ("save-empty", lambda: agent().save(""), CheckpointError, "expected the path of a checkpoint file"),
    ("state-lr", lambda: with_state(("parts", "optimizer", "lr"), "x"), CheckpointError, "learning rate is 'x'"),
    ("state-lr-nan", lambda: with_state(("parts", "optimizer", "lr"), NAN), CheckpointError, "learning rate is nan"),
    (
        "state-target",
        lambda: with_state(("progress", "target_timesteps"), HUGE),
        CheckpointError,
        "target_timesteps is",
    ),
    ("state-negative", lambda: with_state(("progress", "iteration"), -1), CheckpointError, "iteration is -1"),
    ("state-bool", lambda: with_state(("progress", "iteration"), True), CheckpointError, "iteration is True"),
    ("state-pace", lambda: with_state(("parts", "pace", "owed"), "x", "SAC"), CheckpointError, "owed is 'x'"),
    # Datasets.
    ("minari-number", lambda: load_minari(5), DatasetError, "5 is not the id of a dataset"),
    ("table-number", lambda: TransitionTable.from_minari(5), DatasetError, "got a int"),
    ("table-episodes", lambda: TransitionTable.from_episodes(5), DatasetError, "list of episodes"),
    ("table-episode", lambda: TransitionTable.from_episodes([5]), DatasetError, "episode 0 is not a tuple"),
    ("table-part", lambda: TransitionTable.from_episodes([(5, *EPISODE[1:])]), DatasetError, "in place of an array"),
    ("table-gamma", lambda: TransitionTable.from_episodes([EPISODE], gamma="x"), EnvzooError, "got 'x'"),
    ("table-gamma-nan", lambda: TransitionTable.from_episodes([EPISODE], gamma=NAN), EnvzooError, "got nan"),
    ("table-chosen", lambda: table().select_episodes("x"), EnvzooError, "episode numbers are not usable"),
    ("table-chosen-far", lambda: table().select_episodes([7]), EnvzooError, "episode numbers are not usable"),
    ("table-rows", lambda: table().rows([0.5]), EnvzooError, "rows are not usable"),
    ("table-map", lambda: table().map_rewards(5), EnvzooError, "function of rewards"),
    ("table-shift", lambda: table().shift_rewards(NAN), EnvzooError, "constant is nan"),
    ("table-top", lambda: table().top_episodes(None), EnvzooError, "got None"),
    ("table-sample", lambda: table().sample(-1, np.random.default_rng(0)), EnvzooError, "batch_size is -1"),
    ("table-generator", lambda: table().sample(1, 5), EnvzooError, "generator is a int"),
    ("table-weights", lambda: table().sample(1, np.random.default_rng(0), "x"), EnvzooError, "sampling weights"),
    ("table-window", lambda: table().sample_windows(1, NAN, np.random.default_rng(0)), EnvzooError, "got nan"),
    ("collect-episodes", lambda: collect(GRID, ground, episodes="x", seed=0), EnvzooError, "at least 1 episode"),
    ("collect-many", lambda: collect(GRID, ground, episodes=HUGE, seed=0), EnvzooError, "at most 1"),
    ("collect-seed", lambda: collect(GRID, ground, episodes=1, seed=-1), EnvzooError, "seed -1"),
    ("collect-policy", lambda: collect(GRID, 5, episodes=1, seed=0), EnvzooError, "predict is a int"),
    ("collect-env", lambda: collect(5, ground, episodes=1, seed=0), UnknownNameError, "unknown environment"),
    (
        "collect-keywords",
        lambda: collect(GRID, ground, episodes=1, seed=0, env_kwargs=5),
        EnvzooError,
        "env_kwargs is 5",
    ),
]


def started(env):
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(("call", "error", "fragment"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_one_clear_sentence(call, error, fragment):
    with pytest.raises(error, match=fragment) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400


def test_ids_of_the_table_are_distinct():
    assert len({row[0] for row in ROWS}) == len(ROWS)


COMMANDS = [
    ("nothing", ["evaluate"], "takes one run directory"),
    ("two", ["evaluate", "a", "b"], "takes one run directory"),
    ("missing", ["evaluate", "no-such-run"], "no-such-run"),
    ("flag", ["evaluate", "run", "--nonsense"], "unknown option 'nonsense'"),
    ("episodes-text", ["evaluate", "run", "--episodes", "x"], "--episodes takes a whole number, got 'x'"),
    ("episodes-none", ["evaluate", "run", "--episodes"], "'--episodes'"),
    ("episodes-0", ["evaluate", "run", "--episodes", "0"], "--episodes must be at least 1"),
    ("seed", ["evaluate", "run", "--seed", "-1"], "--seed must be a non-negative integer"),
    ("fps-nan", ["evaluate", "run", "--fps", "nan"], "--fps must be in"),
    ("video", ["evaluate", "run", "--video", "x.png"], "written as .gif"),
    ("keywords", ["evaluate", "run", "--env-kwargs", "a=1"], "requires an environment, given with --env"),
    ("plot", ["plot"], "one or more run directories"),
    ("plot-missing", ["plot", "no-such-run"], "holds no run"),
    ("plot-title", ["plot", "run", "--title"], "'--title'"),
    ("list", ["list", "env"], "did you mean 'envs'"),
    ("list-flag", ["list", "--nonsense"], "unknown kind of list"),
    ("dataset", ["make-dataset"], "takes one dataset id"),
    ("dataset-unknown", ["make-dataset", "envzoo/grid-coverage/exprt-v0"], "did you mean"),
    ("dataset-path", ["make-dataset", "../x-v0"], "unknown dataset"),
    ("dataset-flag", ["make-dataset", "x", "--quite"], "did you mean 'quiet'"),
    ("tune", ["tune", "PPO"], "takes an agent and one source"),
    ("tune-agent", ["tune", "Random", "CartPole-v1"], "expected one of DQN, PPO, SAC, SACDiscrete"),
    ("tune-source", ["tune", "PPO", "CartPol-v1"], "did you mean 'CartPole-v1'"),
    ("tune-spaces", ["tune", "DQN", "Pendulum-v1"], "Box"),
    ("tune-trials", ["tune", "PPO", "CartPole-v1", "--trials", "0"], "trials is at least 1"),
    ("preset", ["train", "PPO", "Pendulum-v1", "--preset"], "there is no preset of PPO for Pendulum-v1"),
    ("command", ["trian"], "did you mean 'train'"),
]


@pytest.mark.parametrize(("argv", "fragment"), [row[1:] for row in COMMANDS], ids=[row[0] for row in COMMANDS])
def test_one_line_of_the_command(argv, fragment, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("envzoo: error: ")
    assert err.count("\n") == 1
    assert fragment in err
    assert "----" not in err
    assert not list(tmp_path.iterdir())


def test_a_function_is_a_callback():
    seen = []

    def watch(learner, metrics):
        seen.append((learner, learner.iteration, dict(metrics)))

    made = agent().learn(48, callback=watch)
    assert [(learner is made, number) for learner, number, _ in seen] == [(True, 1), (True, 2), (True, 3)]
    assert all("loss/policy" in metrics for *_, metrics in seen)


def test_a_function_that_returns_false_stops_learning():
    made = agent().learn(48, callback=[lambda learner, metrics: None, lambda learner, metrics: learner.iteration < 2])
    assert made.num_timesteps == 32


def test_a_memoryless_agent_takes_whatever_state_it_gave():
    made = agent()
    action, state = made.predict(np.zeros((2, 2)), episode_start=np.ones(2, bool))
    again, _ = made.predict(np.zeros((2, 2)), state, episode_start=np.zeros(2, bool))
    assert np.array_equal(action, again)


def test_numpy_seeds_are_seeds():
    assert single().reset(seed=np.int64(3))[0].tolist() == single().reset(seed=3)[0].tolist()
    assert vector().reset(seed=np.int64(3))[0].tolist() == vector().reset(seed=3)[0].tolist()
