"""Coding games on the kernels: moves follow the table, the belief follows Bayes, rewards and ends are the manual's."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.coding_games import coupling_kernels as couplings
from envzoo.coding_games.coding_cart import CodingCart
from envzoo.coding_games.coding_game import CodingGameEnv, CodingGameVectorEnv
from envzoo.coding_games.mdp import FiniteMDP
from envzoo.errors import EnvzooError, UnknownNameError

UP, RIGHT, DOWN, LEFT = range(4)
IDS = ("envzoo/CodingGrid-v0", "envzoo/CodingGridSmall-v0", "envzoo/CodingCart-v0")


def corridor(length=3, discount=0.5):
    """States 0 to length: action 0 goes back to 0 and costs 1, action 1 goes on; the end is worth 4."""
    transition, reward = np.zeros((length + 1, 2, length + 1)), np.zeros((length + 1, 2, length + 1))
    for s in range(length):
        transition[s, 0, 0] = transition[s, 1, s + 1] = 1
        reward[s, 0, 0] = -1
    reward[length - 1, 1, length] = 4
    return FiniteMDP(transition, reward, np.arange(length + 1) == length, 0, discount)


# ---------------------------------------------------------------------------- the walk


def test_frequencies_of_moves_are_those_of_the_table():
    env = gym.make_vec("envzoo/CodingGrid-v0", num_envs=2000, receiver="player", convention="none")
    mdp = env.unwrapped.definition.mdp
    env.reset(seed=0, options={"state": 8 * 6 + 1})
    counts = np.zeros(64)
    trials = 0
    for _ in range(4):
        observation, *_ = env.step(np.tile([RIGHT, 0], (2000, 1)))
        here = observation["previous"] == 8 * 6 + 1
        np.add.at(counts, observation["state"][here], 1)
        trials += here.sum()
    expected = mdp.transition[8 * 6 + 1, RIGHT]
    assert set(np.flatnonzero(counts)) == set(np.flatnonzero(expected))
    sigma = np.sqrt(expected * (1 - expected) / trials)
    assert (np.abs(counts / trials - expected) <= 5 * sigma).all()


def test_messages_and_starts_are_drawn_from_their_distributions():
    prior, start = np.array([0.5, 0.0, 0.3, 0.2]), np.array([0.25, 0.75, 0.0, 0.0])
    mdp = corridor()
    env = CodingGameVectorEnv(5000, mdp=FiniteMDP(mdp.transition, mdp.reward, mdp.terminal, start), num_messages=4,
                              prior=prior)  # fmt: skip
    observation, infos = env.reset(seed=3)
    for drawn, expected in ((observation["message"], prior), (observation["state"], start)):
        share = np.bincount(drawn, minlength=4) / 5000
        assert (np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / 5000)).all()
    assert np.allclose(infos["belief_entropy"], 1.4854752972)  # of the prior, by hand
    assert (infos["guess"] == 0).all()


def test_rewards_returns_and_the_end_by_hand():
    # A table that tells: message 0 turns back, message 1 goes on.
    table = np.broadcast_to(np.eye(2), (4, 2, 2))
    env = CodingGameEnv(mdp=corridor(), num_messages=2, message_priority=10, convention=table)
    env.reset(seed=0, options={"message": 1})
    seen = [env.step(1) for _ in range(3)]
    assert [reward for _, reward, *_ in seen] == [0, 0, 14]
    assert [terminated for _, _, terminated, *_ in seen] == [False, False, True]
    assert not any(truncated for *_, truncated, _ in seen)
    info = seen[-1][-1]
    assert info["discounted_return"] == 4 * 0.5**3  # the third move, t = 2
    assert (info["correct"], info["guess"], info["belief_entropy"]) == (True, 1, 0)
    # Turning back first costs 1, discounted once, and convinces the receiver of message 0 for good.
    env.reset(options={"message": 1})
    seen = [env.step(action) for action in (0, 1, 1, 1)]
    assert [reward for _, reward, *_ in seen] == [-1, 0, 0, 4]
    info = seen[-1][-1]
    assert info["discounted_return"] == -0.5 + 4 * 0.5**4
    assert (info["correct"], info["guess"]) == (False, 0)  # impossible actions leave the belief as it is


def test_the_horizon_ends_the_game_with_the_guess():
    env = CodingGameEnv(mdp=corridor(), num_messages=2, horizon=2, prior=[0.1, 0.9], message_priority=3.0)
    env.reset(seed=0, options={"message": 1})
    assert env.step(0)[1:3] == (-1, False)
    _, reward, terminated, truncated, info = env.step(0)
    assert terminated
    assert not truncated
    assert reward == -1 + 3.0 * info["correct"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_rewards_add_up_to_the_discounted_return(actions, seed):
    env = gym.make("envzoo/CodingGrid-v0", noise=0.2, message_priority=0.0, num_messages=5).unwrapped
    env.reset(seed=seed, options={"state": 8 * 1 + 6})
    total = 0.0
    for time, action in enumerate(actions):
        _, reward, terminated, _, info = env.step(action)
        total += 0.95 ** (time + 1) * reward
        assert info["discounted_return"] == pytest.approx(total, abs=1e-12)
        if terminated:
            break


# ---------------------------------------------------------------------------- the receiver


@pytest.mark.parametrize(("rate", "encoder"), [(1.0, "ebim"), (0.5, "ebim"), (0.5, "quantizer"), (0.75, "none")])
def test_the_belief_follows_the_coupling_convention(rate, encoder):
    """Recomputed from states and actions alone, with the couplings as the only common ground."""
    kwargs = {"temperature": 0.02, "rate": rate, "encoder": encoder, "num_messages": 12, "belief": True}
    env = gym.make("envzoo/CodingGrid-v0", **kwargs).unwrapped
    policy = env.definition.parameters.policy
    observation, info = env.reset(seed=1)
    belief = np.full(12, 1 / 12)
    assert info["rate_limit"] == pytest.approx(rate * np.log2(12))
    generator = np.random.default_rng(0)
    for _ in range(30):
        state, action = int(observation["state"]), int(generator.choice(4, p=policy[observation["state"]]))
        code = couplings.NONE if rate == 1 else couplings.ENCODERS[encoder]
        labels, channel = couplings.message_policy(belief, policy[state], rate * np.log2(12), code)
        # Averaged over the belief, the messages' policies are the carrier's.
        average = sum(belief[m] * channel[labels[m]] for m in range(12) if labels[m] >= 0)
        np.testing.assert_allclose(average, policy[state], atol=1e-9)
        likelihood = np.array([channel[labels[m], action] if labels[m] >= 0 else 0.0 for m in range(12)])
        belief = belief * likelihood / (belief @ likelihood)
        observation, _, terminated, _, info = env.step(action)
        np.testing.assert_allclose(observation["belief"], belief, atol=1e-12)
        assert info["guess"] == np.argmax(observation["belief"])
        assert info["belief_entropy"] == pytest.approx(couplings.entropy(belief), abs=1e-9)
        if terminated:
            break


def test_a_likelihood_table_is_bayes_rule_by_hand():
    table = np.zeros((4, 3, 2))
    table[:, :, 1] = [0.5, 0.2, 0.8]
    table[:, :, 0] = 1 - table[:, :, 1]
    env = CodingGameEnv(mdp=corridor(9), num_messages=3, convention=np.resize(table, (10, 3, 2)), belief=True)
    env.reset(seed=0)
    belief = env.step(1)[0]["belief"]
    np.testing.assert_allclose(belief, np.array([0.5, 0.2, 0.8]) / 1.5)
    belief = env.step(0)[0]["belief"]
    np.testing.assert_allclose(belief, np.array([0.25, 0.16, 0.16]) / 0.57)


def test_an_action_that_the_convention_rules_out_changes_nothing():
    # A carrier that always goes on, whatever the message.
    env = CodingGameEnv(mdp=corridor(), num_messages=4, policy=np.tile([0.0, 1.0], (4, 1)), belief=True)
    env.reset(seed=0)
    for action in (1, 0, 0, 1):
        observation, *_, info = env.step(action)
        assert (observation["belief"] == 0.25).all()
        assert info["belief_entropy"] == 2


def test_blocks_are_told_one_at_a_time():
    env = CodingGameEnv(mdp=corridor(9), num_messages=[2, 4], policy=np.full((10, 2), 0.5), belief=True)
    assert env.observation_space["message"] == gym.spaces.MultiDiscrete([2, 4])
    observation, info = env.reset(seed=0, options={"message": [1, 3]})
    assert observation["message"].tolist() == [1, 3]
    assert info["belief_entropy"] == 3  # 1 + 2 bits
    entropies = []
    for action in (0, 0, 1):
        observation, *_ = env.step(action)
        belief = observation["belief"]
        entropies.append((couplings.entropy(belief[:2].copy()), couplings.entropy(belief[2:].copy())))
    # A fair coin tells a bit: first the larger block, then, of equals, the first.
    assert entropies == [(1, 1), (0, 1), (0, 0)]
    assert env.get_state()["guess"].shape == (1, 2)


def test_a_playing_receiver_guesses_after_the_last_move():
    env = CodingGameEnv(mdp=corridor(), num_messages=5, receiver="player", message_priority=2.0)
    observation, _ = env.reset(seed=0, options={"message": 3})
    assert env.action_space == gym.spaces.MultiDiscrete([2, 5])
    assert (observation["action"], observation["guessing"]) == (2, 0)
    for action, guess in ((1, 3), (1, 3), (1, 3)):
        observation, reward, terminated, _, info = env.step([action, guess])
        assert not terminated
    assert (observation["previous"], observation["action"], observation["state"]) == (2, 1, 3)
    assert (reward, observation["guessing"], info["correct"]) == (4, 1, True)
    before = env.get_state()
    assert env.step([0, 3])[1:3] == (2.0, True)
    assert env.get_state()["position"] == 3  # the move was ignored
    env.set_state(before)
    assert env.step([0, 4])[1:3] == (0.0, True)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("kwargs", [{}, {"receiver": "player", "belief": True}, {"num_messages": [3, 4]}])
@pytest.mark.filterwarnings("ignore:.*Box observation space:UserWarning", "ignore:.*Box observation")
def test_gymnasium_accepts_the_games(name, kwargs):
    env = gym.make(name, **kwargs)
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("name", IDS)
def test_pictures(name):
    image, text = (gym.make(name, render_mode=mode, num_messages=500) for mode in ("rgb_array", "ansi"))
    for env in (image, text):
        env.reset(seed=0, options={"message": 37})
    first = image.render()
    assert first.shape == (320, 680, 3)
    assert "message 37" in text.render()
    for env in (image, text):
        env.step(1)
    assert (image.render() != first).any()
    assert "move 1 of at most" in text.render()


def test_picture_of_a_process_without_a_layout():
    env = CodingGameEnv(mdp=corridor(), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (320, 680, 3)
    env.render_mode = "ansi"
    assert env.render().startswith("state 0\n")


def test_the_grid_as_text():
    env = gym.make("envzoo/CodingGridSmall-v0", render_mode="ansi", num_messages=2)
    env.reset(seed=0)
    env.step(RIGHT)
    env.step(DOWN)
    assert env.render().splitlines()[:5] == ["S o . .", ". A . .", ". . . .", ". . . G", "last move v"]


def test_unavailable_moves_are_masked_and_harmless():
    env = gym.make("envzoo/CodingGridSmall-v0").unwrapped
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [0, 1, 1, 0]
    observation, *_, info = env.step(UP)
    assert observation["state"] == 0
    observation, *_, info = env.step(RIGHT)
    assert info["action_mask"].tolist() == [0, 1, 1, 1]


# ---------------------------------------------------------------------------- the cart


def test_two_forces_are_cart_pole():
    env, peer = gym.make("envzoo/CodingCart-v0", horizon=500).unwrapped, gym.make("CartPole-v1").unwrapped
    generator = np.random.default_rng(0)
    for episode in range(5):
        start = generator.uniform(-0.05, 0.05, 4)
        observation, _ = env.reset(seed=episode, options={"state": start})
        peer.reset(seed=episode)
        peer.state = start
        terminated = False
        while not terminated:
            action = int(generator.integers(2))
            observation, _, terminated, *_ = env.step(action)
            theirs, _, ended, *_ = peer.step(action)
            np.testing.assert_allclose(observation["state"], theirs, rtol=1e-6, atol=1e-7)
            assert terminated == ended


def test_more_forces_lie_evenly_between():
    assert CodingCart(num_actions=5).parameters.forces.tolist() == [-10, -5, 0, 5, 10]
    # The default carrier: -(F - u)^2 / (2 spread^2), u the regulator's force.
    from envzoo.coding_games.coding_cart import balancing_gains

    cart, state = CodingCart(num_actions=5, spread=4.0), np.float32([0.1, -0.2, 0.05, 0.3])
    force = -balancing_gains() @ state.astype(float)
    weights = np.exp(-((np.linspace(-10, 10, 5) - force) ** 2) / 32)
    np.testing.assert_allclose(cart.carrier(state[None])[0], weights / weights.sum(), atol=1e-12)


@pytest.mark.parametrize("actions", [2, 8])
def test_the_default_carrier_balances_the_pole(actions):
    env = gym.make_vec("envzoo/CodingCart-v0", num_envs=16, num_actions=actions, num_messages=2)
    definition = env.unwrapped.definition
    observation, _ = env.reset(seed=0)
    generator = np.random.default_rng(0)
    for time in range(200):
        chosen = definition.carrier(observation["state"]).cumsum(axis=1) < generator.random((16, 1))
        observation, _, terminated, *_ = env.step(np.minimum(chosen.sum(axis=1), actions - 1))
        assert terminated.all() == (time == 199)
        assert terminated.any() == (time == 199)


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"num_messages": 1}, "num_messages is 1; expected a whole number of at least 2"),
        ({"num_messages": 2.5}, "num_messages is 2.5; expected a whole number"),
        ({"num_messages": []}, "num_messages is empty"),
        ({"message_priority": -1}, "message_priority is -1; expected a finite number of at least 0"),
        ({"rate": -0.5}, "rate is -0.5; expected a finite number of at least 0"),
        ({"rate": float("nan")}, "rate is nan; expected a finite number"),
        ({"horizon": 0}, "horizon is 0; expected a whole number of at least 1"),
        ({"encoder": "ebmi"}, "unknown encoder 'ebmi'.*did you mean 'ebim'"),
        ({"receiver": "players"}, "unknown receiver 'players'.*did you mean 'player'"),
        ({"convention": "none"}, "receiver 'bayes' needs a convention to update its belief"),
        ({"convention": "copling"}, "unknown convention 'copling'"),
        ({"num_messages": 64, "prior": np.ones(64)}, "prior is not usable; expected 64 probabilities that sum to 1"),
        ({"num_messages": 2, "prior": [1.5, -0.5]}, "prior is not usable; expected 2 probabilities"),
        ({"num_messages": 2, "prior": [np.nan, 1.0]}, "prior is not usable; expected 2 probabilities"),
        ({"num_messages": [2, 3], "prior": [[0.5, 0.5]]}, "prior has 1 blocks; expected 2"),
    ],
)
def test_wrong_arguments(name, kwargs, words):
    with pytest.raises(EnvzooError, match=words):
        gym.make(name, **kwargs)


def test_wrong_arguments_of_single_games():
    grid, cart = "envzoo/CodingGrid-v0", "envzoo/CodingCart-v0"
    for kwargs, words in (
        ({"policy": np.zeros((64, 4))}, r"policy is not usable; expected probabilities of actions of the shape"),
        ({"convention": np.zeros((64, 64, 4))}, "convention is not usable; expected 'coupling', 'none', or"),
        ({"temperature": -1.0}, "temperature is -1.0; expected a finite number of at least 0"),
        ({"noise": 0.7}, "noise is 0.7; expected a probability"),
        ({"discount": 1.0}, "the discount is 1; expected less"),
        ({"num_mesages": 3}, "unknown argument of CodingGrid 'num_mesages'.*did you mean 'num_messages'"),
    ):
        with pytest.raises(EnvzooError, match=words):
            gym.make(grid, **kwargs)
    for kwargs, words in (
        ({"num_actions": 1}, "num_actions is 1; expected a whole number of at least 2"),
        ({"spread": 0}, "spread is 0; expected a positive number"),
        ({"discount": 1.5}, "discount is 1.5; expected a positive number of at most 1"),
        ({"carrier": (np.zeros((2, 3)), np.zeros(2))}, "carrier is not usable; expected weights and biases"),
        ({"convention": np.zeros((1, 64, 2))}, "a table of likelihoods needs countable states"),
    ):
        with pytest.raises(EnvzooError, match=words):
            gym.make(cart, **kwargs)
    with pytest.raises(EnvzooError, match="mdp is a int; expected a FiniteMDP"):
        CodingGameEnv(mdp=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"message": 64}, "message 64 is out of range; expected 0 to 63"),
        ({"message": -1}, "message -1 is out of range; expected 0 to 63"),
        ({"message": 0.5}, "reset option message is 0.5; expected a whole number"),
        ({"state": 64}, "reset option state is 64; expected states from 0 to 63 that are not terminal"),
        ({"state": 7}, "reset option state is 7; expected states from 0 to 63 that are not terminal"),
    ],
)
def test_wrong_options(options, words):
    env = gym.make("envzoo/CodingGrid-v0").unwrapped
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(EnvzooError, match=words):
        env.reset(options=options)
    for name, array in env.get_state().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(UnknownNameError, match="unknown reset option 'mesage'"):
        env.reset(options={"mesage": 3})
    with pytest.raises(EnvzooError, match=r"reset option state is .*; expected place"):
        gym.make("envzoo/CodingCart-v0").reset(options={"state": [9.0, 0, 0, 0]})


def test_a_state_at_the_horizon_never_writes_behind_the_path():
    env = CodingGameEnv(mdp=corridor(), num_messages=2, receiver="player", horizon=3)
    env.reset(seed=0)
    state = env.get_state()
    state["time"][:] = 3  # over, whatever the flag says: the guess is due
    env.set_state(state)
    assert env.step([0, 0])[2]
