"""Wrong sources, spaces and hyperparameters of agents get one clear sentence."""

import numpy as np
import pytest
from agent_worlds import OBSERVATIONS, Corridor, Game
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.errors import EnvzooError, UnsupportedSpaceError

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
        ["learning_rate of PPO expects float or str, got inf"],
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


def test_predict_refuses_observations_of_another_shape():
    agent = agents.make("PPO", "CartPole-v1")
    with pytest.raises(
        UnsupportedSpaceError, match=r"expected an observation of shape \(4,\) or \(batch, .*got shape \(5,\)"
    ):
        agent.predict(np.zeros(5, np.float32))
    agent = agents.make("PPO", Corridor(OBSERVATIONS["dict"]))
    with pytest.raises(UnsupportedSpaceError, match="expected a dict observation with the keys"):
        agent.predict(np.zeros(5, np.float32))
