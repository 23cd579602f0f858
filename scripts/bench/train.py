"""Training speed of PPO and SAC against Stable-Baselines3 and a single-file PPO, with equal hyperparameters."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import envzoo.agents
from envzoo.scripts.bench.report import Row, measure
from envzoo.scripts.bench.single_file_ppo import SingleFilePPO

DESCRIPTION = "training speed of PPO and SAC on one thread against Stable-Baselines3 and a single-file PPO"

EVALUATION_EPISODES = 20
PPO_ENV, PPO_ENVS, PPO_STEPS = "CartPole-v1", 8, 128
PPO_RATE, PPO_BATCH, PPO_EPOCHS = 3e-4, 256, 10
ADAPTER_ENV, ADAPTER_ENVS = "envzoo/GridCoverage-v0", 64
SAC_WARM_UP = 500


@dataclass(frozen=True)
class _Peers:
    """One comparison.

    Attributes:
        title: Title of the comparison.
        env_id: The environment.
        ours: Our agent.
        theirs: The agent that it is compared with.
        unit: Unit of the speed.
        target: The smallest ratio that counts as a pass, if there is one.
        peer: Name of the other implementation.
        name: Name of ours.
    """

    title: str
    env_id: str
    ours: Any
    theirs: Any
    unit: str
    target: float | None
    peer: str = "Stable-Baselines3"
    name: str = "envzoo"


def run(quick: bool = False) -> list[Row]:
    """Measure, and return one row for our agent and one for Stable-Baselines3's, with their returns after training.

    Args:
        quick: Use fewer and shorter rounds, which are too short to learn the task.

    Returns:
        Rows in environment steps per second (PPO) and updates per second (SAC); `ratio` is our speed over
        theirs, from the medians of interleaved rounds.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rounds = (4, 2 * PPO_ENVS * PPO_STEPS) if quick else (12, 8 * PPO_ENVS * PPO_STEPS)
        rows = _compare(_single_file(), *rounds)
        if not find_spec("stable_baselines3"):
            note = "not compared: stable_baselines3 is not installed; it is in the extra `bench`"
            return [*rows, Row("Stable-Baselines3", math.nan, "steps/s", note=note)]
        rows += _compare(_ppo(), *rounds)
        rows += _compare(_adapter(), rounds[0], rounds[1] * ADAPTER_ENVS // PPO_ENVS)
        for width in (64, 256):
            # The wider network only measures speed: its rounds are too short to learn the task.
            repeats, steps = (4, 100) if quick else (20, 500) if width == 64 else (12, 150)
            rows += _compare(_sac(width), repeats, steps)
        return rows
    finally:
        torch.set_num_threads(threads)


def _compare(peers: _Peers, repeats: int, steps: int) -> list[Row]:
    taken: dict[str, list[int]] = {"ours": [], "theirs": []}

    def ours() -> None:
        before = peers.ours.num_timesteps
        _learn(peers.ours, steps)
        taken["ours"].append(peers.ours.num_timesteps - before)  # may exceed `steps`, because rollouts are complete

    def theirs() -> None:
        before = peers.theirs.num_timesteps
        _learn(peers.theirs, steps)
        taken["theirs"].append(peers.theirs.num_timesteps - before)

    timings = measure({"ours": ours, "theirs": theirs}, repeats)
    # `measure` does not time its first round.
    speed = {name: np.array(taken[name][1:]) / np.array(timing.seconds) for name, timing in timings.items()}

    def row(name: str, key: str, agent: Any, **extra: Any) -> Row:
        result = _mean_return(peers.env_id, agent)
        note = (
            f"mean return {result:.0f} of {EVALUATION_EPISODES} deterministic episodes, {agent.num_timesteps:,} steps"
        )
        return Row(f"{peers.title}, {name}", float(np.median(speed[key])), peers.unit, note=note, **extra)

    # Each round measures a pair back to back, so slow periods of the machine do not affect the ratio.
    ratio = float(np.median(speed["ours"] / speed["theirs"]))
    return [
        row(peers.name, "ours", peers.ours),
        row(peers.peer, "theirs", peers.theirs, ratio=ratio, target=peers.target),
    ]


def _learn(agent: Any, steps: int) -> None:
    if not type(agent).__module__.startswith("stable_baselines3."):
        agent.learn(steps)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent.learn(steps, reset_num_timesteps=False)


def _our_ppo() -> Any:
    return envzoo.agents.make(
        "PPO",
        PPO_ENV,
        device="cpu",
        num_envs=PPO_ENVS,
        num_steps=PPO_STEPS,
        minibatch_size=PPO_BATCH,
        num_epochs=PPO_EPOCHS,
        learning_rate=PPO_RATE,
        anneal="none",
        hidden=(64, 64),
        activation="tanh",
    )


def _ppo() -> _Peers:
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    theirs = PPO(
        "MlpPolicy",
        make_vec_env(PPO_ENV, PPO_ENVS, seed=0),
        n_steps=PPO_STEPS,
        batch_size=PPO_BATCH,
        n_epochs=PPO_EPOCHS,
        learning_rate=PPO_RATE,
        gae_lambda=0.95,
        ent_coef=0.0,
        policy_kwargs={"net_arch": [64, 64]},
        seed=0,
        device="cpu",
    )
    return _Peers(f"PPO on {PPO_ENV}, {PPO_ENVS} environments, 64-64", PPO_ENV, _our_ppo(), theirs, "steps/s", 3.0)


def _adapter() -> _Peers:
    """Compare Stable-Baselines3's PPO on our kernel with the same on one environment after the other."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    from envzoo.wrappers import StableBaselines3VecEnv

    batched = StableBaselines3VecEnv(ADAPTER_ENV, ADAPTER_ENVS)
    ours, theirs = (
        PPO("MlpPolicy", env, n_steps=PPO_STEPS, batch_size=8 * PPO_BATCH, n_epochs=PPO_EPOCHS, seed=0, device="cpu")
        for env in (batched, make_vec_env(ADAPTER_ENV, ADAPTER_ENVS, seed=0))
    )
    title = f"Stable-Baselines3's PPO on GridCoverage-v0, {ADAPTER_ENVS} environments"
    name = "through StableBaselines3VecEnv"
    return _Peers(title, ADAPTER_ENV, ours, theirs, "steps/s", None, "through DummyVecEnv", name)


def _single_file() -> _Peers:
    theirs = SingleFilePPO(
        PPO_ENV,
        num_envs=PPO_ENVS,
        num_steps=PPO_STEPS,
        minibatch_size=PPO_BATCH,
        num_epochs=PPO_EPOCHS,
        learning_rate=PPO_RATE,
    )
    title = f"PPO on {PPO_ENV}, {PPO_ENVS} environments, 64-64 (against a single file)"
    return _Peers(title, PPO_ENV, _our_ppo(), theirs, "steps/s", None, peer="single-file PPO in the style of CleanRL")


def _sac(width: int) -> _Peers:
    from stable_baselines3 import SAC

    env_id, lr, batch, capacity = "Pendulum-v1", 1e-3, 256, 100_000
    ours = envzoo.agents.make(
        "SAC",
        env_id,
        device="cpu",
        hidden=(width, width),
        learning_rate=lr,
        batch_size=batch,
        buffer_size=capacity,
        learning_starts=SAC_WARM_UP,
    )
    theirs = SAC(
        "MlpPolicy",
        env_id,
        learning_rate=lr,
        batch_size=batch,
        buffer_size=capacity,
        learning_starts=SAC_WARM_UP,
        policy_kwargs={"net_arch": [width, width]},
        seed=0,
        device="cpu",
    )
    for agent in (ours, theirs):
        _learn(agent, SAC_WARM_UP)  # there are no updates during warm-up; afterwards each step is one update
    return _Peers(f"SAC on {env_id}, {width}-{width}", env_id, ours, theirs, "updates/s", 1.5)


def _mean_return(env_id: str, agent: Any) -> float:
    """Compute the mean return of deterministic episodes; both libraries' agents have the same `predict`."""
    env = gym.make(env_id)
    total = 0.0
    for episode in range(EVALUATION_EPISODES):
        observation, _ = env.reset(seed=10_000 + episode)
        done = False
        while not done:
            action, _ = agent.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
    env.close()
    return total / EVALUATION_EPISODES
