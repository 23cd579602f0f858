"""Access modes refuse what they forbid, and start episodes where they should."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo import wrappers
from envzoo.errors import EnvzooError, UnsupportedSpaceError

WORLD = {"id": "envzoo/PSDPTrap-v0", "gadgets": 2}
MU = np.array([[1.0, 0, 0, 0, 0, 0], [0, 0.25, 0.75, 0, 0, 0], [0, 0, 0, 1.0, 0, 0], [0, 0, 0, 0, 1.0, 0]])  # (H, S)
MODES = {"Online": (), "Generative": (), "LocalSimulator": (), "MuReset": (MU,), "Hybrid": (MU,)}


def single(mode):
    return getattr(wrappers, f"{mode}Access")(gym.make(**WORLD), *MODES[mode])


def vector(mode, count=3):
    return getattr(wrappers, f"Vector{mode}Access")(gym.make_vec(**WORLD, num_envs=count), *MODES[mode])


ALLOWED = {"Online": [], "Generative": ["state"], "LocalSimulator": ["state"], "MuReset": ["layer"]}
ALLOWED["Hybrid"] = ["state", "layer"]


@pytest.mark.parametrize("make", [single, vector])
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_refuses_what_it_forbids_and_allows_the_rest(mode, make):
    env = make(mode)
    env.reset(seed=0)
    for option in ("state", "layer", "other"):
        if option in ALLOWED[mode]:
            observation, _ = env.reset(options={option: 0})
            assert (np.asarray(observation) == 0).all()
            continue
        expected = " or ".join(repr(name) for name in ALLOWED[mode])
        sentence = (
            f"forbids the reset option '{option}'; expected {f'only {expected}' if expected else 'episodes from'}"
        )
        with pytest.raises(EnvzooError, match=sentence):
            env.reset(options={option: 0})
    assert (np.asarray(env.reset(options={})[0]) == 0).all()


@pytest.mark.parametrize("mode", ["LocalSimulator", "Hybrid"])
def test_a_local_simulator_returns_to_what_was_seen_only(mode):
    env = single(mode)
    env.reset(seed=0)
    with pytest.raises(EnvzooError, match="forbids a reset to state 1, which was never observed"):
        env.reset(options={"state": 1})
    env.step(0)
    assert env.reset(options={"state": 1})[0] == 1
    several = vector(mode)
    several.reset(seed=0)
    several.step(np.array([0, 1, 1]))
    assert several.reset(options={"state": np.array([2, 1, 0])})[0].tolist() == [2, 1, 0]
    with pytest.raises(EnvzooError, match="forbids a reset to state 3"):
        several.reset(options={"state": np.array([0, 3, 0])})


def test_the_last_state_of_an_episode_was_seen():
    made = gym.make_vec("envzoo/RandomMDP-v0", num_envs=64, states=50, horizon=1, autoreset_mode="SameStep")
    env = wrappers.VectorLocalSimulatorAccess(made)
    env.reset(seed=0)
    observation, _, terminated, _, infos = env.step(np.zeros(64, int))
    assert terminated.all()
    assert (observation == 0).all()
    last = np.array([int(final) for final in infos["final_obs"]])
    assert (last != 0).any()
    assert env.reset(options={"state": last})[0].tolist() == last.tolist()


def test_mu_resets_follow_their_law_and_their_seed():
    env = vector("MuReset", 4_000)
    first, _ = env.reset(seed=5, options={"layer": 1})
    again, _ = env.reset(seed=5, options={"layer": 1})
    other, _ = env.reset(options={"layer": 1})
    assert (first == again).all()
    assert (first != other).any()
    share = (first == 1).mean()
    assert set(first.tolist()) == {1, 2}
    assert abs(share - 0.25) < 6 * np.sqrt(0.25 * 0.75 / 4_000)
    mixed, _ = env.reset(options={"layer": np.arange(4_000) % 4})
    np.testing.assert_array_equal(np.array([0, 1, 1, 2, 3, 3])[mixed], [0, 1, 2, 3] * 1_000)


REFUSED = {
    "space": (lambda: wrappers.OnlineAccess(gym.make("CartPole-v1")), "OnlineAccess takes Discrete observations"),
    "shape": (lambda: wrappers.MuResetAccess(gym.make(**WORLD), np.ones((2, 2))), r"mu has the shape \(2, 2\)"),
    "law": (lambda: wrappers.MuResetAccess(gym.make(**WORLD), np.ones((2, 6))), r"row 0 of mu sums to 6"),
    "layer": (
        lambda: single("MuReset").reset(seed=0, options={"layer": 4}),
        "layer is 4; expected a layer from 0 to 3",
    ),
    "layers": (lambda: vector("MuReset").reset(seed=0, options={"layer": [0, 1]}), "expected a layer from 0 to 3"),
    "both": (lambda: single("Hybrid").reset(seed=0, options={"layer": 0, "state": 0}), "both given; expected one"),
    "range": (lambda: single("Generative").reset(seed=0, options={"state": 6}), "expected a state from 0 to 5"),
    "options": (lambda: single("Online").reset(seed=0, options=3), "options is 3; expected a dict"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    make, sentence = REFUSED[case]
    with pytest.raises((EnvzooError, UnsupportedSpaceError), match=sentence):
        make()
