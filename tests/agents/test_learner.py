"""Learners that choose no actions: made, trained, saved, resumed, and refused where episodes would be played."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.agent import Agent
from envzoo.agents.callbacks import PeriodicEvaluation
from envzoo.agents.evaluation import evaluate
from envzoo.agents.learner import Learner
from envzoo.agents.optim import make_optimizer
from envzoo.agents.registry import unregister
from envzoo.agents.source import Pairs
from envzoo.agents.spec import require
from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError
from envzoo.scripts.cli import main

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
PAIRS = Pairs(X, X + 0.1, np.arange(20) % 2)


@dataclass(frozen=True)
class LinearAutoencoderConfig:
    """Hyperparameters of LinearAutoencoder."""

    width: int = 2
    """Numbers in a code."""
    batch_size: int = 4
    """Pairs per gradient step."""
    learning_rate: float = 0.01
    """Adam's learning rate."""

    def __post_init__(self):
        require(self.width >= 1, f"width of LinearAutoencoder is at least 1, got {self.width}")


class LinearAutoencoder(Learner):
    """Codes an observation linearly, so that its positive can be decoded from the code."""

    Config = LinearAutoencoderConfig

    def __init__(self, source, config, *, seed=0, device="auto"):
        super().__init__(source, config, seed=seed, device=device)
        x, positive = (
            torch.tensor(rows.reshape(len(rows), -1), dtype=torch.float32, device=self.device)
            for rows in (source.given.x, source.given.positive)
        )
        self.x, self.positive = x, positive
        generator = self.streams.torch("weights", "cpu")
        self.net = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], config.width), torch.nn.Linear(config.width, x.shape[1])
        )
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        self.register("net", self.net.to(self.device))
        self.optimizer = self.register("optimizer", make_optimizer(self.net, "adam", lr=config.learning_rate))

    def iterate(self):
        """Take one gradient step."""
        rows = torch.randint(
            len(self.x), (self.config.batch_size,), generator=self.streams.torch("minibatches"), device=self.device
        )
        loss = (self.net(self.x[rows]) - self.positive[rows]).square().mean()
        self.optimizer.step(loss)
        self.num_timesteps += 1
        return {"loss/reconstruction": float(loss.detach())}

    @torch.no_grad()
    def encode(self, x):
        """Code observations, (N, ...) -> (N, width)."""
        rows = np.asarray(x, np.float32).reshape(len(x), -1)
        return self.net[0](torch.from_numpy(rows).to(self.device)).cpu().numpy()


@pytest.fixture(autouse=True)
def registered():
    agents.register("LinearAutoencoder", LinearAutoencoder, sources=("pairs",))
    yield
    unregister("LinearAutoencoder")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """The id of a dataset of one episode of CartPole."""
    import warnings

    import gymnasium as gym
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    observations, ends = [observation], []
    while not ends or not ends[-1]:
        observation, _, terminated, truncated, _ = env.step(1)
        observations.append(observation)
        ends.append(terminated or truncated)
    steps = len(ends)
    buffer = minari.data_collector.EpisodeBuffer(
        id=0,
        seed=0,
        observations=np.array(observations),
        actions=np.ones(steps, np.int64),
        rewards=[1.0] * steps,
        terminations=ends,
        truncations=[False] * steps,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about an author, a link and so on
        minari.create_dataset_from_buffers("test/cart-v0", [buffer], env=env)
    return "test/cart-v0"


def weights(learner):
    return torch.cat([p.detach().flatten() for p in learner.net.parameters()])


def test_every_agent_is_a_learner_and_a_learner_is_no_agent():
    assert issubclass(Agent, Learner)
    assert not issubclass(LinearAutoencoder, Agent)
    learner = agents.make("LinearAutoencoder", PAIRS, device="cpu")
    assert not hasattr(learner, "predict")
    assert not hasattr(learner, "set_env")


def test_it_learns_and_reports():
    seen = []
    learner = agents.make("LinearAutoencoder", PAIRS, device="cpu", width=3, learning_rate=0.05)
    learner.learn(400, lambda _, metrics: seen.append(metrics["loss/reconstruction"]))
    assert len(seen) == 400
    assert np.mean(seen[-50:]) < 0.5 * np.mean(seen[:50])
    assert learner.encode(X).shape == (20, 3)


def test_a_resumed_learner_goes_on_exactly(tmp_path):
    whole = agents.make("LinearAutoencoder", PAIRS, seed=4, device="cpu").learn(30)
    part = agents.make("LinearAutoencoder", PAIRS, seed=4, device="cpu").learn(11)
    part.save(tmp_path / "part.zip")
    again = agents.load(tmp_path / "part.zip", PAIRS, device="cpu")
    assert again.num_timesteps == 11
    again.learn(19)
    assert torch.equal(weights(again), weights(whole))
    np.testing.assert_array_equal(again.encode(X), whole.encode(X))


def test_a_file_of_arrays_needs_them_again(tmp_path):
    agents.make("LinearAutoencoder", PAIRS, device="cpu").learn(1).save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="was trained on an object without an id; give the source"):
        agents.load(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="was trained with the observation space"):
        agents.load(tmp_path / "a.zip", Pairs(np.ones((4, 7)), np.ones((4, 7))))


def test_agents_refuse_pairs_and_learners_refuse_environments():
    with pytest.raises(UnsupportedSpaceError, match="PPO takes an environment, but 20 pairs are pairs"):
        agents.make("PPO", PAIRS)
    with pytest.raises(
        UnsupportedSpaceError, match="LinearAutoencoder takes pairs of observations, but CartPole-v1 is an environment"
    ):
        agents.make("LinearAutoencoder", "CartPole-v1")


def test_playing_episodes_is_refused():
    learner = agents.make("LinearAutoencoder", PAIRS, device="cpu")
    with pytest.raises(EnvzooError, match="LinearAutoencoder chooses no actions"):
        evaluate(learner)
    with pytest.raises(EnvzooError, match="LinearAutoencoder chooses no actions"):
        learner.learn(3, PeriodicEvaluation(1))


def test_a_dataset_gives_pairs_of_consecutive_observations(recorded, tmp_path):
    learner = agents.make("LinearAutoencoder", recorded, device="cpu").learn(3)
    pairs = learner.source.given
    np.testing.assert_array_equal(pairs.x[1:], pairs.positive[:-1])  # of one episode
    learner.save(tmp_path / "a.zip")
    again = agents.load(tmp_path / "a.zip", device="cpu")
    assert torch.equal(weights(again), weights(learner))


def test_the_command_line_trains_it_and_evaluates_nothing(recorded, tmp_path, capsys):
    run = tmp_path / "run"
    flags = ["--timesteps", "20", "--run-dir", str(run), "--no-progress", "--device", "cpu", "--width", "3"]
    assert main(["train", "LinearAutoencoder", recorded, *flags]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "not evaluated" in line]
    assert notes == ["note: LinearAutoencoder chooses no actions, so it is not evaluated"]
    assert json.loads((run / "results.json").read_text()) == {}
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 20
    assert not any(name.startswith("eval/") for row in rows for name in row)
    assert main(["train", "LinearAutoencoder", recorded, "--run-dir", str(run), "--resume", "--timesteps", "30"]) == 0
    whole = agents.make("LinearAutoencoder", recorded, device="cpu", width=3)
    whole.learn(30)
    assert torch.equal(weights(agents.load(run / "agent.zip", device="cpu")), weights(whole))
    capsys.readouterr()
    assert main(["evaluate", str(run)]) != 0
    err = capsys.readouterr().err.strip()
    assert err == "envzoo: error: LinearAutoencoder chooses no actions, so there are no episodes to evaluate it in"


def test_stopping_at_a_return_is_refused(recorded, tmp_path, capsys):
    flags = ["--run-dir", str(tmp_path / "run"), "--stop-at", "1"]
    assert main(["train", "LinearAutoencoder", recorded, *flags]) != 0
    assert "LinearAutoencoder is not evaluated, so stop_at cannot be used" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
