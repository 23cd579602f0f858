"""`envzoo convert sb3`: agents of Stable-Baselines3 act alike as agents of envzoo."""

import base64
import io
import json
import os
import pickle
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch

import envzoo  # noqa: F401
from envzoo import agents
from envzoo.errors import CheckpointError, EnvzooError
from envzoo.scripts.cli import main
from envzoo.scripts.convert import convert_sb3

sb3 = pytest.importorskip("stable_baselines3")

GRID = "envzoo/GridCoverage-v0"
SMALL = {"rows": 4, "columns": 4, "horizon": 5}
NETS = {"net_arch": [16, 8], "activation_fn": torch.nn.ReLU}
CASES = {
    "ppo discrete": ("PPO", "CartPole-v1", {}, {}),
    "ppo own net_arch and ReLU": ("PPO", "CartPole-v1", {}, {"policy_kwargs": NETS}),
    "ppo continuous": ("PPO", "Pendulum-v1", {}, {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [8]}}}),
    "ppo one-hot": ("PPO", GRID, SMALL, {"gamma": 0.5, "n_steps": 64}),
    "ppo no layers": ("PPO", "CartPole-v1", {}, {"policy_kwargs": {"net_arch": []}}),
    "sac": ("SAC", "Pendulum-v1", {}, {}),
    "sac own net_arch and tanh": (
        *("SAC", "Pendulum-v1", {}),
        {"policy_kwargs": {"net_arch": [8, 8], "activation_fn": torch.nn.Tanh}, "ent_coef": 0.3},
    ),
}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """`make(case)` gives a model with random weights, and the file that it saved."""

    def build(case):
        algorithm, env_id, env_kwargs, settings = CASES[case]
        env = gym.make(env_id, **env_kwargs)
        model = getattr(sb3, algorithm)("MlpPolicy", env, seed=1, device="cpu", **settings)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.policy.parameters():  # the first heads are nearly zero
                # By the number of inputs, so that activations stay near 1, and with them the rounding of their sums.
                bound = 1.5 / parameter.shape[1] ** 0.5 if parameter.dim() > 1 else 0.5
                parameter.uniform_(-bound, bound, generator=generator)
        path = tmp_path_factory.mktemp("sb3") / "agent.zip"
        model.save(path)
        return model, path, env

    return build


@pytest.mark.parametrize("case", CASES)
def test_deterministic_actions_are_the_same(case, make, tmp_path):
    model, path, env = make(case)
    _, env_id, env_kwargs, _ = CASES[case]
    agent = convert_sb3(path, env_id, env_kwargs)
    env.observation_space.seed(0)
    if isinstance(env.observation_space, gym.spaces.Box):
        observations = np.random.default_rng(0).normal(size=(1000, *env.observation_space.shape)).astype(np.float32)
    else:
        observations = np.stack([env.observation_space.sample() for _ in range(1000)])
    theirs, _ = model.predict(observations, deterministic=True)
    agent.save(tmp_path / "ours.zip")
    for ours in (agent, agents.load(tmp_path / "ours.zip", device="cpu")):
        actions, _ = ours.predict(observations, deterministic=True)
        np.testing.assert_allclose(actions, theirs, rtol=0, atol=1e-6 * (1 + np.abs(theirs).max()))
    assert len(np.unique(np.round(theirs, 3))) > 1


def test_values_temperature_and_hyperparameters_are_those_of_the_file(make):
    model, path, _ = make("ppo own net_arch and ReLU")
    agent = convert_sb3(path, "CartPole-v1")
    observations = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = model.policy.predict_values(observations).squeeze(-1)
        ours = agent.policy.critic_head(agent.policy.critic_encoder.features(observations)).squeeze(-1)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert (agent.config.hidden, agent.config.activation, agent.config.num_steps) == ((16, 8), "relu", 2048)
    assert convert_sb3(make("ppo one-hot")[1], GRID, SMALL).config.gamma == 0.5
    model, path, _ = make("sac")
    with torch.no_grad():
        model.log_ent_coef.fill_(-1.5)
    model.save(path)
    agent = convert_sb3(path, "Pendulum-v1")
    assert float(agent.temperature.log_value.detach()) == -1.5
    action = torch.rand(50, 1, generator=torch.Generator().manual_seed(1)) * 2 - 1
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(2))
    for ours, theirs in ((agent.critics, model.critic), (agent.target.network, model.critic_target)):
        with torch.no_grad():
            expected = torch.cat(theirs(x, action), dim=1).T
            assert torch.allclose(ours(x, action), expected, atol=1e-5)
    fixed = convert_sb3(make("sac own net_arch and tanh")[1], "Pendulum-v1")
    assert fixed.config.temperature == 0.3


def test_a_converted_agent_learns_on(make):
    agent = convert_sb3(make("ppo one-hot")[1], GRID, SMALL)
    before = [p.clone() for p in agent.policy.parameters()]
    agent.learn(64)
    assert any(not torch.equal(a, b) for a, b in zip(before, agent.policy.parameters(), strict=True))


def rewritten(path, out, **members):
    """A copy of a zip file with members replaced; None removes one."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            data = members.get(name, source.read(name))
            if data is not None:
                target.writestr(name, data)
    return out


def saved(tensors):
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-was-here",)


def test_what_cannot_be_converted_gets_one_sentence(make, tmp_path):
    _, path, _ = make("ppo discrete")
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
        tensors = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)

    def with_data(**changes):
        return rewritten(path, tmp_path / "changed.zip", data=json.dumps(data | changes))

    def with_tensors(**changes):
        return rewritten(path, tmp_path / "changed.zip", **{"policy.pth": saved(tensors | changes)})

    cases = [
        (lambda: path, "Pendulum-v1", EnvzooError, "does not fit the environment"),
        (lambda: path, "Acrobot-v1", EnvzooError, r"actor_encoder.net.layers.0.weight has the shape \(64, 6\)"),
        (lambda: tmp_path / "none.zip", "CartPole-v1", CheckpointError, "does not exist"),
        (lambda: with_data(use_sde=True), "CartPole-v1", EnvzooError, "state-dependent exploration"),
        (
            lambda: with_data(policy_kwargs={"activation_fn": "<class 'evil.Activation'>"}),
            *("CartPole-v1", EnvzooError, "unknown activation function of a file \"<class 'evil.Activation'>\""),
        ),
        (
            lambda: with_tensors(**{"features_extractor.cnn.0.weight": torch.zeros(1)}),
            *("CartPole-v1", EnvzooError, "convolutional or custom feature extractor"),
        ),
        (
            lambda: with_tensors(**{"features_extractor.extractors.a.weight": torch.zeros(1)}),
            *("CartPole-v1", EnvzooError, "trained on a Dict space"),
        ),
        (
            lambda: (
                with_tensors(**{"mlp_extractor.value_net.2.weight": torch.zeros(3, 64)})
                and with_tensors(**{"mlp_extractor.value_net.2.bias": torch.zeros(3)})
            ),
            *("CartPole-v1", EnvzooError, r"layers of actor \[64, 64\] and critic \[64, 3\] differ"),
        ),
        (
            lambda: rewritten(path, tmp_path / "changed.zip", **{"policy.pth": saved({"a": torch.zeros(1)})}),
            *("CartPole-v1", EnvzooError, "holds neither PPO nor SAC"),
        ),
        (
            lambda: rewritten(path, tmp_path / "changed.zip", data="[]"),
            "CartPole-v1",
            CheckpointError,
            "no JSON object",
        ),
        (
            lambda: rewritten(path, tmp_path / "changed.zip", data="{"),
            "CartPole-v1",
            CheckpointError,
            "is no zip file of",
        ),
        (
            lambda: rewritten(path, tmp_path / "changed.zip", **{"policy.pth": pickle.dumps(Evil())}),
            *("CartPole-v1", CheckpointError, "policy.pth of .* cannot be read as tensors"),
        ),
        (
            lambda: rewritten(path, tmp_path / "changed.zip", **{"policy.pth": saved({"a": Evil()})}),
            *("CartPole-v1", CheckpointError, "policy.pth of .* cannot be read as tensors"),
        ),
    ]
    for build, env_id, kind, sentence in cases:
        with pytest.raises(kind, match=sentence) as error:
            convert_sb3(build(), env_id)
        assert len(str(error.value).splitlines()) == 1
    assert not os.path.exists("evil-was-here")


def test_the_pickles_of_the_description_are_never_decoded(make, tmp_path, monkeypatch):
    _, path, _ = make("ppo discrete")
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    evil = base64.b64encode(pickle.dumps(Evil())).decode()
    replaced = 0
    for value in data.values():
        if isinstance(value, dict) and ":serialized:" in value:
            value[":serialized:"] = evil
            replaced += 1
    assert replaced > 3
    monkeypatch.chdir(tmp_path)
    convert_sb3(rewritten(path, tmp_path / "evil.zip", data=json.dumps(data)), "CartPole-v1")
    assert not os.path.exists("evil-was-here")


def test_the_command(make, tmp_path, capsys):
    _, path, _ = make("ppo one-hot")
    out = tmp_path / "ours.zip"
    settings = [f"{name}={value}" for name, value in SMALL.items()]
    assert main(["convert", "sb3", str(path), "--env", GRID, "--env-kwargs", *settings, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert f"{out}: PPO on {GRID}" in text
    assert "statistics of VecNormalize are not part of the file" in text
    assert agents.load(out, device="cpu").spec.name == "PPO"
    for arguments, sentence in (
        (["sb3", str(path)], "needs the environment"),
        (["sb"], "takes a format and a file"),
        (["sb", str(path), "--env", GRID], "unknown format 'sb'; expected one of sb3"),
    ):
        assert main(["convert", *arguments]) == 2
        assert sentence in capsys.readouterr().err
