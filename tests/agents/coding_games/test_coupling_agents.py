"""Coupling agents: covertness, a receiver that sees states and actions, single and vector play, clear refusals."""

import math
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers import refused

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.planners.coupling import ebim, mec_bottleneck
from envzoo.coding_games import coding_grid_v0
from envzoo.coding_games.coding_grid import CodingGrid
from envzoo.errors import EnvzooError, UnsupportedSpaceError

GRID, SMALL = "envzoo/CodingGrid-v0", "envzoo/CodingGridSmall-v0"
WARM = math.exp(-4)
BOTH = {"receiver": "player", "convention": "none"}


def make(name="MECB", source=GRID, env_kwargs=None, **hyperparameters):
    return agents.make(name, source, device="cpu", env_kwargs=env_kwargs, **hyperparameters)


def play(agent, env, moves, seed=0, state=None):
    """Observations, actions, states of `predict` and starts of so many sampled steps."""
    observation, _ = env.reset(seed=seed)
    start, rows = np.ones(env.num_envs, bool), []
    for _ in range(moves):
        action, state = agent.predict(observation, state, start, deterministic=False)
        rows.append((observation, action, state, start))
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
    return rows


# ---------------------------------------------------------------------------- covertness


@pytest.mark.parametrize("encoder", ["ebim", "quantizer", "none"])
@pytest.mark.parametrize("rate", [1.0, 0.5, 0.0])
def test_actions_are_the_policy_averaged_over_messages(encoder, rate):
    agent = make(env_kwargs={"rate": rate, "encoder": encoder, "temperature": WARM})
    evaluate(agent, episodes=40, deterministic=False)
    assert 0 < agent.largest_gap < 1e-12


def test_actions_of_all_messages_together_have_the_frequencies_of_the_policy():
    # One episode for each message, in the same state: the counts are those of the coupling, message by message.
    messages, count = 16, 400
    env = gym.make_vec(GRID, num_envs=messages * count, num_messages=messages, temperature=WARM)
    agent = make(env_kwargs={"num_messages": messages, "temperature": WARM}, rate=1.0)
    observation, _ = env.reset(seed=0, options={"message": np.tile(np.arange(messages), count)})
    action, _ = agent.predict(observation, deterministic=False)
    policy = agent.carrier.policy[observation["state"][0]]
    frequency = np.bincount(action, minlength=4) / len(action)
    # Given the message an action has less variance than the policy has.
    assert np.abs(frequency - policy).max() < 5 * np.sqrt(policy * (1 - policy) / len(action)).max()
    joint = mec_bottleneck(np.full(messages, 1 / messages), policy, np.inf)
    for message in range(messages):
        taken = np.unique(action[observation["message"] == message])
        assert (joint[message, taken] > 0).all()


def test_return_is_that_of_the_policy_and_hidden_messages_arrive():
    agent = make(env_kwargs={"temperature": WARM, "rate": 0.5})
    result = evaluate(agent, episodes=300, deterministic=False)
    definition = agent.definition
    exact = definition.mdp.policy_return(definition.parameters.policy, 200)
    found = result.infos["discounted_return"]
    assert abs(found.mean() - exact) < 4 * found.std() / math.sqrt(300)
    assert result.infos["correct"].mean() > 0.95


def test_a_rate_of_nothing_tells_nothing():
    agent = make(env_kwargs={"temperature": WARM, "rate": 0.0})
    result = evaluate(agent, episodes=50, deterministic=False)
    np.testing.assert_allclose(result.infos["belief_entropy"], 6.0, atol=1e-9)


def test_the_quantizer_does_not_part_the_messages_of_a_block():
    agent = make(env_kwargs={"temperature": WARM, "rate": 0.5, "encoder": "quantizer"})
    result = evaluate(agent, episodes=60, deterministic=False)
    # 8 blocks of 8 messages: of the 6 bits 3 stay untold.
    assert (result.infos["belief_entropy"] >= 3 - 1e-9).all()
    assert (result.infos["guess"] % 8 == 0).all()


# ---------------------------------------------------------------------------- the receiver


def test_the_receiver_follows_from_states_and_actions_alone():
    sender = make(source="envzoo/coding_grid_v0", env_kwargs={"temperature": WARM}, rate=0.5)
    receiver = make(source="envzoo/coding_grid_v0", env_kwargs={"temperature": WARM}, rate=0.5, seed=99)
    game = coding_grid_v0.parallel_env(temperature=WARM)
    right = 0
    for seed in range(12):
        observations, _ = game.reset(seed=seed)
        message = int(observations["sender"]["message"])
        mine = heard = None
        before, moves = [], 0
        while game.agents:
            said, mine = sender.predict({"sender": observations["sender"]}, mine, deterministic=False)
            assert set(observations["receiver"]) == {"previous", "action", "state", "guessing"}
            public = {key: observations["receiver"][key] for key in ("previous", "action", "state", "guessing")}
            guessed, heard = receiver.predict({"receiver": public}, heard)
            if moves:  # what the receiver believes is what the sender believed it would, to the last bit
                np.testing.assert_array_equal(heard["receiver"].belief, before[-1])
            before.append(mine["sender"].belief)
            observations, _, _, _, infos = game.step({**said, **guessed})
            moves += 1
        assert infos["receiver"]["guess"] == int(np.argmax(heard["receiver"].belief))
        right += infos["receiver"]["correct"]
        assert infos["receiver"]["correct"] == (infos["receiver"]["guess"] == message)
    assert right >= 10


def test_beliefs_are_those_of_the_listening_receiver_of_the_game():
    agent = make(env_kwargs={"rate": 0.5, "temperature": WARM})
    env = gym.make_vec(GRID, num_envs=5, rate=0.5, temperature=WARM, belief=True)
    agent = make(source=env)
    rows = play(agent, env, 12)
    for (_, _, state, _), (observation, _, _, start) in pairwise(rows):
        np.testing.assert_array_equal(observation["belief"][~start], state.belief[~start])


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_beliefs_start_anew_with_every_episode(mode):
    env = gym.make_vec(SMALL, num_envs=6, temperature=0.3, autoreset_mode=mode, belief=True)
    agent = make(source=env)
    observation, _ = env.reset(seed=3)
    state, start, resetting, starts = None, np.ones(6, bool), np.zeros(6, bool), 0
    for _ in range(40):
        action, state = agent.predict(observation, state, start, deterministic=False)
        observation, _, terminated, _, _ = env.step(action)
        start, resetting = (terminated, resetting) if mode is AutoresetMode.SAME_STEP else (resetting, terminated)
        starts += int(start.sum())
        np.testing.assert_allclose(observation["belief"][start], 1 / 16)
        going = ~start
        np.testing.assert_array_equal(observation["belief"][going], state.belief[going])
    assert starts > 12


def test_both_players_of_the_vector_face():
    agent = make(env_kwargs={**BOTH, "temperature": WARM}, rate=0.75)
    result = evaluate(agent, episodes=100, deterministic=False)
    assert result.infos["correct"].mean() > 0.95
    silent = evaluate(make(env_kwargs={**BOTH, "temperature": WARM}, rate=0.0), episodes=100, deterministic=False)
    assert silent.infos["correct"].mean() < 0.1


def test_faces_agree():
    # One episode as a vector of one, and in PettingZoo's form: the same stream of uniform numbers, the same walk.
    vector = make(env_kwargs={**BOTH, "temperature": WARM}, seed=5)
    env = vector.source.evaluation_env(1)
    rows = play(vector, env, 15, seed=7)
    game = coding_grid_v0.parallel_env(temperature=WARM)
    agent = make(source=game, seed=5)
    observations, _ = game.reset(seed=7)
    state = None
    for observation, action, _, _ in rows:
        actions, state = agent.predict(observations, state, deterministic=False)
        assert observations["sender"]["state"] == observation["state"][0]
        assert actions["sender"] == action[0, 0]
        observations, *_ = game.step(actions)


def test_the_most_likely_action_when_asked_for():
    agent = make(env_kwargs={"temperature": WARM}, rate=1.0)
    observation, _ = agent.source.evaluation_env(64).reset(seed=0)
    action, _ = agent.predict(observation, deterministic=True)
    policy = agent.carrier.policy[observation["state"][0]]
    joint = mec_bottleneck(np.full(64, 1 / 64), policy, np.inf)
    np.testing.assert_array_equal(action, joint[observation["message"]].argmax(axis=1))


# ---------------------------------------------------------------------------- blocks


def test_messages_too_many_to_list():
    blocks = [1024] * 4
    agent = make("FIMEC", env_kwargs={"num_messages": blocks, "temperature": WARM})
    result = evaluate(agent, episodes=20, deterministic=False)
    assert agent.largest_gap < 1e-12
    assert result.infos["belief_entropy"].mean() < 8  # of 40 bits
    assert result.infos["correct"].mean() > 0.5


def test_one_message_split_into_blocks():
    agent = make("FIMEC", env_kwargs={**BOTH, "temperature": WARM}, blocks=(4, 2, 8))
    assert evaluate(agent, episodes=60, deterministic=False).infos["correct"].mean() > 0.9
    numbers = np.arange(64)
    digits = agent.digits(numbers)
    np.testing.assert_array_equal(digits @ [16, 8, 1], numbers)
    np.testing.assert_array_equal(agent.number(digits)[:, 0], numbers)


def test_blocks_in_pettingzoo_form():
    agent = make("FIMEC", "envzoo/coding_grid_v0", {"num_messages": [16, 16], "temperature": WARM})
    assert evaluate(agent, episodes=15, deterministic=False).infos["correct"].mean() > 0.8


# ---------------------------------------------------------------------------- carriers


def test_a_learned_carrier_hides_messages_in_its_own_actions():
    agent = make(source=SMALL, env_kwargs=BOTH, carrier="PPO").learn(3000)
    carrier = agent.learner
    assert carrier.num_timesteps == agent.num_timesteps >= 3000
    states = np.arange(16)
    probabilities, _ = agent.carrier.probabilities(states, None, np.ones(16, bool))
    _, counts = probabilities.sum(axis=1), np.zeros((16, 4))
    actions = np.stack([carrier.predict(states, deterministic=False)[0] for _ in range(2000)])
    for action in range(4):
        counts[:, action] = (actions == action).mean(axis=0)
    assert np.abs(counts - probabilities).max() < 5 * 0.5 / math.sqrt(2000)
    result = evaluate(agent, episodes=200, deterministic=False)
    assert agent.largest_gap < 1e-9
    assert result.infos["correct"].mean() > 0.15  # of 16 messages


def test_probabilities_do_not_depend_on_how_many_are_asked_for_at_once():
    agent = make(source=SMALL, env_kwargs=BOTH, carrier="PPO")
    states = np.arange(16)
    together, _ = agent.carrier.probabilities(states, None, np.ones(16, bool))
    alone = [agent.carrier.probabilities(states[i : i + 1], None, np.ones(1, bool))[0][0] for i in range(16)]
    np.testing.assert_array_equal(together, alone)


def tell(game, observations, sender, listener):
    """Play a game to its end, checking that both sides hold the same belief; returns the last infos."""
    mine = heard = infos = None
    while game.agents:
        before = None if mine is None else mine["sender"].belief
        said, mine = sender.predict({"sender": observations["sender"]}, mine, deterministic=False)
        guessed, heard = listener.predict({"receiver": observations["receiver"]}, heard)
        if before is not None:
            np.testing.assert_array_equal(heard["receiver"].belief, before)
        observations, _, _, _, infos = game.step({**said, **guessed})
    return infos


@pytest.mark.parametrize(
    ("name", "encoder"), [("SubPO", None), ("SACDiscrete", None), ("SACDiscrete", "s4d"), ("PPO", "gru")]
)
def test_agents_of_other_kinds_carry(name, encoder):
    hyperparameters = {} if encoder is None else {"encoder": encoder, "hidden": (8,)}
    trained = agents.make(name, "FrozenLake-v1", device="cpu", **hyperparameters)
    sender, listener = (
        make("MEME", "envzoo/coding_grid_small_v0", {"num_messages": 4}).hide_in(trained) for _ in range(2)
    )
    from envzoo.coding_games import coding_grid_small_v0

    game = coding_grid_small_v0.parallel_env(num_messages=4)
    observations, _ = game.reset(seed=0)
    tell(game, observations, sender, listener)


def test_the_public_carrier_of_a_pole():
    # The game's receiver goes by exact numbers of its own, the agent by the observation: they agree all the same.
    env = gym.make_vec("envzoo/CodingCart-v0", num_envs=8, belief=True)
    agent = make("MEME", env)
    for (_, _, state, _), (observation, _, _, start) in pairwise(play(agent, env, 25)):
        np.testing.assert_array_equal(observation["belief"][~start], state.belief[~start])
    with pytest.raises(EnvzooError, match="temperature requires a finite game"):
        make("MEME", env, temperature=1.0)


def test_messages_hidden_in_an_agent_that_balances_a_pole():
    trained = agents.make("PPO", "CartPole-v1", device="cpu").learn(2000)
    sender, listener = (make("MEME", "envzoo/coding_cart_v0").hide_in(trained) for _ in range(2))
    from envzoo.coding_games import coding_cart_v0

    game = coding_cart_v0.parallel_env()
    observations, _ = game.reset(seed=0)
    infos = tell(game, observations, sender, listener)
    assert infos["receiver"]["correct"]
    assert sender.largest_gap < 1e-9


def test_a_carrier_with_a_memory_forgets_between_games():
    trained = agents.make("PPO", "FrozenLake-v1", device="cpu", encoder="gru", hidden=(8,))
    agent = make("MEME", "envzoo/coding_grid_small_v0").hide_in(trained)
    from envzoo.coding_games import coding_grid_small_v0

    game = coding_grid_small_v0.parallel_env()
    beliefs = []
    carried = None
    for _ in range(2):
        observations, _ = game.reset(seed=0)
        for move in (1, 2, 1):
            _, carried = agent.predict({"receiver": observations["receiver"]}, carried)
            observations, *_ = game.step({"sender": move, "receiver": 0})
        beliefs.append(agent.predict({"receiver": observations["receiver"]}, carried)[1]["receiver"].belief)
    np.testing.assert_array_equal(beliefs[0], beliefs[1])
    assert beliefs[0].max() > 1.01 / 16


def test_a_carrier_from_a_file(tmp_path):
    trained = agents.make("PPO", "FrozenLake-v1", device="cpu", hidden=(8,)).learn(100)
    trained.save(tmp_path / "carrier.zip")
    agent = make(source=SMALL, env_kwargs=BOTH, carrier=str(tmp_path / "carrier.zip"))
    agent.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip", device="cpu")
    observation, _ = agent.source.evaluation_env(4).reset(seed=0)
    np.testing.assert_array_equal(agent.predict(observation)[0], loaded.predict(observation)[0])


def test_a_learned_carrier_is_saved_with_its_agent(tmp_path):
    agent = make(source=SMALL, env_kwargs=BOTH, carrier="PPO").learn(1500)
    agent.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip", device="cpu")
    states = np.arange(16)
    expected, _ = agent.carrier.probabilities(states, None, np.ones(16, bool))
    np.testing.assert_array_equal(loaded.carrier.probabilities(states, None, np.ones(16, bool))[0], expected)
    assert np.ptp(expected) > 0.01


# ---------------------------------------------------------------------------- bad input

WRONG = {
    "no game": (
        lambda: make(source="CartPole-v1"),
        "MECB requires a coding game .* but CartPole-v1 is not a coding game",
    ),
    "rate": (lambda: make(rate=-0.1), "rate of MECB is not negative, got -0.1"),
    "encoder": (lambda: make(encoder="ebin"), "encoder of MECB expects .*'ebim', 'quantizer', 'none'.* got 'ebin'"),
    "temperature": (lambda: make(temperature=-1.0), "temperature is not negative, got -1"),
    "temperature of PPO": (
        lambda: make(temperature=1.0, carrier="PPO"),
        "temperature applies only to the carrier 'planner'",
    ),
    "carrier": (lambda: make(env_kwargs=BOTH, carrier="PPOO"), "carrier is 'planner', the name of an agent, or a"),
    "convention": (lambda: make(rate=0.5), "the receiver of .* decodes with the game's own encoder, rate and carrier"),
    "other policy": (lambda: make(temperature=0.5), "the receiver of .* decodes with the game's own"),
    "blocks": (lambda: make(env_kwargs={"num_messages": [4, 4]}), "have 2 blocks; use FIMEC"),
    "product": (lambda: make("FIMEC", env_kwargs=BOTH, blocks=(4, 4)), "make 16 messages, but .* has 64"),
    "size": (lambda: make("FIMEC", env_kwargs=BOTH, blocks=(64, 1)), "blocks of FIMEC have sizes of at least 2"),
    "prior": (
        lambda: make("FIMEC", env_kwargs={**BOTH, "num_messages": 4, "prior": [0.4, 0.3, 0.2, 0.1]}, blocks=(2, 2)),
        "blocks of FIMEC require a uniform prior",
    ),
    "one player": (lambda: make("IndependentPPO"), "plays both players, .* give env_kwargs={'receiver': 'player'}"),
    "continuous carrier": (
        lambda: make("MEME", env_kwargs=BOTH).hide_in(agents.make("PPO", "Pendulum-v1", device="cpu")),
        "has no stochastic policy over discrete actions",
    ),
    "other states": (
        lambda: make("MEME", env_kwargs=BOTH).hide_in(agents.make("PPO", "FrozenLake-v1", device="cpu")),
        r"PPO maps Discrete\(16\) to Discrete\(4\), but the carrier of this game maps Discrete\(64\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gives_one_sentence(case):
    refused(*WRONG[case])


def test_a_message_out_of_range_is_refused_and_nothing_sampled():
    agent = make("FIMEC", env_kwargs={**BOTH}, blocks=(8, 8))
    observation, _ = agent.source.evaluation_env(2).reset(seed=0)
    before = agent.streams.numpy("predict").bit_generator.state
    for wrong in (64, -1):
        with pytest.raises(EnvzooError, match=r"message .* out of range"):
            agent.predict({**observation, "message": np.array([0, wrong])})
    plain = make("MEME", env_kwargs=BOTH)
    with pytest.raises(EnvzooError, match=r"message .* out of range; expected 0 to"):
        plain.predict({**observation, "message": np.array([0, 64])})
    assert agent.streams.numpy("predict").bit_generator.state == before


def test_a_policy_that_is_zero_everywhere_is_refused():
    from envzoo.agents.coding_games.carriers import TableCarrier

    with pytest.raises(EnvzooError, match="policy is zero everywhere in state 1"):
        TableCarrier(np.array([[0.5, 0.5], [0.0, 0.0]]))
    with pytest.raises(EnvzooError, match=r"a table .* of probabilities"):
        TableCarrier(np.array([[1.5, -0.5]]))


def test_a_game_of_other_players_is_refused():
    agent = make(source="envzoo/coding_grid_v0")
    with pytest.raises(EnvzooError, match="MECB plays sender and receiver, got 'judge'"):
        agent.predict({"judge": {"state": 0}})
    with pytest.raises(UnsupportedSpaceError):
        agents.make("PPO", "envzoo/coding_grid_v0")


def test_rates_and_codes_come_from_the_game_unless_given():
    agent = make(env_kwargs={"rate": 0.5, "encoder": "ebim"})
    np.testing.assert_allclose(agent.limits, [3.0])
    labels = ebim(np.full(64, 1 / 64), 3.0)
    assert len(np.unique(labels)) < 64
    assert make(env_kwargs={**BOTH, "rate": 0.5}, rate=0.25).limits[0] == pytest.approx(1.5)


def test_an_agent_takes_the_official_carrier_of_a_temperature():
    game = BOTH
    agent = make(env_kwargs=game, temperature=WARM, official_carrier=True)
    assert np.array_equal(agent.carrier.policy, CodingGrid(temperature=WARM, official_carrier=True).parameters.policy)
    own = make(env_kwargs={**game, "temperature": WARM, "official_carrier": True})
    assert np.array_equal(agent.carrier.policy, own.carrier.policy)
    with pytest.raises(EnvzooError, match="official_carrier applies only with a temperature"):
        make(official_carrier=True)
