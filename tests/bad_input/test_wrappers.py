"""Every wrapper works with bad arguments, or refuses them in one sentence; so do resets, states and steps behind it."""

import inspect

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401  (registers the environments)
from envzoo import wrappers
from envzoo.coverage.set_functions import Coverage
from envzoo.errors import EnvzooError, ResetNeededError, UnknownNameError, UnsupportedSpaceError
from envzoo.wrappers import GridDiscretiser, adversarial_surprise_v0

pytestmark = pytest.mark.any_arithmetic

NAN, INF = float("nan"), float("inf")
VALUES = (-1, 0, NAN, INF, 1e30, "x", True, None, [], {}, 0.5, 2**70, b"x", (1,), (-1,), ("x",), object())
GRID = {"rows": 3, "columns": 3, "horizon": 6}
ROUNDS = {"rounds": 2, "round_length": 3}
# What each wrapper cannot do without here; a new wrapper that needs something adds its line.
NEEDS = {
    "AdversarialRounds": ROUNDS,
    "HistoryObservation": {"length": 3, "key": 0},
    "LossSchedule": {"weights": [[1.0], [0.5]], "key": "coverage"},
    "MultiReward": {"weights": [1.0], "key": "coverage"},
    "RewardPerturbation": {"eps": 0.1, "direction": np.ones(10), "key": "coverage"},
    "RoundSwitcher": ROUNDS,
    "SubmodularReward": {"set_function": Coverage.on_grid(3, 3, radius=1), "key": 0},
    "TimeInObservation": {"horizon": 6},
    "VisitationMask": {"key": 0},
}
NAMES = [name for name in wrappers.__all__ if hasattr(getattr(wrappers, name), "tracker_class")]
each_wrapper = pytest.mark.parametrize("name", NAMES)


def single():
    return gym.make("envzoo/GridCoverage-v0", **GRID)


def vector():
    return gym.make_vec("envzoo/GridCoverage-v0", num_envs=2, **GRID)


def parts(name):
    """Class, a maker of what it wraps, a maker of what it does not, the arguments it needs, and an action."""
    needs = NEEDS.get(name.removeprefix("Vector"), {})
    if name.startswith("Vector"):
        return getattr(wrappers, name), vector, single, needs, np.zeros(2, int)
    return getattr(wrappers, name), single, vector, needs, 0


def sentence(function, *args, **kwargs):
    """The sentence with which a call is refused, or None when it works."""
    try:
        function(*args, **kwargs)
        return None
    except (EnvzooError, gym.error.Error) as error:
        text = str(error)
    assert "\n" not in text, (args, kwargs)
    assert 10 < len(text) < 600, (args, kwargs)
    return text


def play(cls, make, action, **given):
    env = cls(make(), **given)
    env.reset(seed=0)
    for _ in range(5):  # one less than an episode
        env.step(action)


def test_all_wrappers_are_here():
    assert len(NAMES) >= 18
    assert {name.removeprefix("Vector") for name in NAMES} == {name for name in NAMES if not name.startswith("Vector")}


@each_wrapper
def test_arguments(name):
    cls, make, _, needs, action = parts(name)
    assert sentence(play, cls, make, action, **needs) is None
    for argument in list(inspect.signature(cls.tracker_class).parameters)[2:]:
        for value in VALUES:
            sentence(play, cls, make, action, **{**needs, argument: value})


@each_wrapper
def test_what_it_wraps(name):
    cls, make, other, needs, _ = parts(name)
    for wrong in (5, None, "CartPole-v1", [], other()):
        with pytest.raises(UnsupportedSpaceError, match=f"{name} wraps a gymnasium"):
            cls(wrong, **needs)
    with pytest.raises(UnsupportedSpaceError, match=r"wraps a (vector|single) environment$"):
        cls(other(), **needs)
    with pytest.raises(UnknownNameError, match=f"unknown argument of {name} 'nonsense'"):
        cls(make(), **needs, nonsense=1)
    assert "takes the arguments" in sentence(cls, make(), *range(20))


@each_wrapper
def test_order_states_and_resets(name):
    cls, make, _, needs, action = parts(name)
    env = cls(make(), **needs)
    with pytest.raises((ResetNeededError, gym.error.ResetNeeded)):
        env.step(action)
    assert "expected a dict" in sentence(env.reset, options=5)
    assert "seed -1" in sentence(env.reset, seed=-1)
    env.reset(seed=0)
    state = env.get_state()
    for wrong in (5, None, "x", [], {}, {"x": np.zeros(1)}, {**state, "x": 5}, {**state, "position": "x"}):
        assert sentence(env.set_state, wrong) is not None
    for field in state:
        assert sentence(env.set_state, {key: array for key, array in state.items() if key != field}) is not None
        assert sentence(env.set_state, {**state, field: np.zeros((1, 7, 7, 7, 7))}) is not None
    assert all(np.array_equal(env.get_state()[field], state[field]) for field in state)
    assert sentence(env.step, "x") is not None
    if name.startswith("Vector"):
        for indices in (5, -7, "x", 1.5, [[0]]):
            assert "episode numbers" in sentence(env.get_state, indices)
        for mask in (5, "x", [True, False], np.ones(3, bool), np.zeros(2, bool)):
            assert "reset_mask" in sentence(env.reset, options={"reset_mask": mask})


ARGUMENTS = [
    ("rounds-text", "RoundSwitcher", {"rounds": "x"}, "rounds is 'x'"),
    ("rounds-huge", "RoundSwitcher", {"rounds": 2**70}, "rounds is"),
    ("warm-up-text", "RoundSwitcher", {"warm_up": "x"}, "warm_up is 'x'"),
    ("warm-up-bool", "RoundSwitcher", {"warm_up": False}, "warm_up is False"),
    ("entry", "RoundSwitcher", {"entry": []}, r"entry is \[\]"),
    ("density", "SurpriseReward", {"density": []}, "unknown density"),
    ("memory", "SurpriseReward", {"memory": []}, "unknown memory"),
    ("clip", "SurpriseReward", {"clip": "x"}, "clip is 'x'"),
    ("gamma", "ReturnNormalizer", {"gamma": "x"}, "gamma is 'x'; expected a discount factor"),
    ("gamma-nan", "ReturnNormalizer", {"gamma": NAN}, "gamma is nan"),
    ("epsilon", "ReturnNormalizer", {"epsilon": None}, "epsilon is None; expected a positive number$"),
    ("size", "HistoryObservation", {"size": "x"}, "size is 'x'"),
    ("size-nan", "VisitationMask", {"size": NAN}, "size is nan"),
    ("shape", "VisitationMask", {"shape": 5}, "shape is 5; expected a sequence"),
    ("shape-negative", "VisitationMask", {"shape": (-1, -9)}, r"shape\[0\] is -1"),
    ("key", "VisitationMask", {"key": True}, "no components"),
    ("discretiser", "VisitationMask", {"discretiser": 5}, "discretiser is a int"),
    ("length", "HistoryObservation", {"length": 2**70}, "length is"),
    ("skills", "SkillObservation", {"skills": 2**70}, "skills is"),
    ("skill-seed", "SkillObservation", {"seed": -1}, "seed is -1"),
    ("horizon", "TimeInObservation", {"horizon": True}, "horizon is True"),
    ("function", "SubmodularReward", {"set_function": 5}, "set_function is a int"),
]


@pytest.mark.parametrize("face", ["", "Vector"])
@pytest.mark.parametrize(("name", "given", "match"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS])
def test_sentences(face, name, given, match):
    cls, make, _, needs, _ = parts(face + name)
    with pytest.raises(EnvzooError, match=match):
        cls(make(), **{**needs, **given})


def test_a_required_argument_is_named():
    with pytest.raises(EnvzooError, match=r"takes the arguments env, length.*missing a required argument: 'length'"):
        wrappers.HistoryObservation(single())


@pytest.mark.parametrize("seed", [2**64 - 1, 2**70])
def test_any_seed_of_skills_is_one(seed):
    env = wrappers.VectorSkillObservation(vector(), seed=seed)
    env.reset(seed=0)
    assert set(env.get_state()) >= {"SkillObservation/skill"}


def test_grid_discretiser():
    for low, high, shape in (
        *((5, 5, 5), ("x", "y", "z"), ([], [], []), (None, None, [1]), ([0], [NAN], [1]), ([0, 0], [1, 1], [3])),
        *(([0], [1], wrong) for wrong in (["x"], [0.5], [2**70], None, [True], [-1], [0], "3")),
    ):
        assert sentence(GridDiscretiser, low, high, shape) is not None, (low, high, shape)
    for outside in (5, [], None):
        assert "value of outside" in sentence(GridDiscretiser, [0], [1], [2], outside=outside)
    cells = GridDiscretiser([0], [1], [2])
    for wrong in (5, NAN, "x", None, [], {}, object(), [NAN], [[1, 2]]):
        assert sentence(cells, wrong) is not None, wrong


def test_the_game_of_adversarial_surprise():
    def game(**given):
        return adversarial_surprise_v0.parallel_env("envzoo/BlockChain-v0", **{"rounds": 4, **given})

    for source in VALUES:
        assert sentence(adversarial_surprise_v0.parallel_env, source, **ROUNDS) is not None
    for given in ({"rounds": "x"}, {"render_mode": "x"}, {"render_mode": 5}, {"nonsense": 1}):
        assert sentence(game, **given) is not None
    with pytest.raises((ResetNeededError, gym.error.ResetNeeded)):
        game().step({"explore": 0, "control": 0})
    for actions in (5, None, [], {}, {"explore": 99, "control": 99}, {"explore": "x", "control": "x"}):
        made = game()
        made.reset(seed=0)
        assert sentence(made.step, actions) is not None, actions
    for player in ("x", 5, "speaker"):
        assert "unknown player" in sentence(game().observation_space, player)
        assert "unknown player" in sentence(game().action_space, player)
    assert "expected a dict" in sentence(game().reset, options=5)
    assert "seed -1" in sentence(game().reset, seed=-1)


def test_capturable():
    assert "env is a int" in sentence(wrappers.capturable, 5)
