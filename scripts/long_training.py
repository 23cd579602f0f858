"""Datasets of agents that learn for hours: a run that is continued until it is finished, and its episodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from envzoo import agents
from envzoo.datasets.collector import collect
from envzoo.datasets.recipes import LongTraining, Recipe
from envzoo.errors import DatasetError
from envzoo.scripts.run_directory import RunDirectory
from envzoo.scripts.training import train

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

    from envzoo.agents.agent import Agent

RUNS = "runs/datasets"
CHECKPOINTS = 20  # of a run


def run_folder(recipe: Recipe, quick: bool) -> Path:
    """Return the folder of a recipe's run; datasets of one agent on one environment share it."""
    policy = recipe.policy
    form = "-quick" if quick else ""
    return Path(RUNS) / f"{policy.agent}-{recipe.env_id.replace('/', '-')}-seed{policy.seed}{form}"


def learn(recipe: Recipe, quick: bool = False, folder: Path | None = None) -> Agent:
    """Train the agent of a recipe, or continue its run, and return it with its replay buffer.

    Args:
        recipe: A recipe with a `LongTraining`.
        quick: Train for `quick_timesteps` only, in a run of its own.
        folder: Folder of the run; None uses `run_folder`.

    Raises:
        DatasetError: Ctrl-C stopped the run; repeating the command continues it.
        EnvzooError: The folder holds another run.
    """
    policy: LongTraining = recipe.policy
    folder = run_folder(recipe, quick) if folder is None else folder
    steps = policy.quick_timesteps if quick else policy.timesteps
    settings: dict[str, Any] = {"timesteps": steps, "checkpoint_every": max(1, steps // CHECKPOINTS)}
    if RunDirectory(folder).exists:
        result = train(policy.agent, recipe.env_id, dict(policy.hyperparameters), run_dir=str(folder), resume=True)
    else:
        settings |= {"seed": policy.seed, "device": "cpu", "threads": 1, "eval_every": 0, "eval_episodes": 1}
        settings["env_kwargs"] = dict(recipe.env_kwargs)
        result = train(policy.agent, recipe.env_id, dict(policy.hyperparameters), run_dir=str(folder), **settings)
    if not result["finished"]:
        raise DatasetError(
            f"the learning for {recipe.id} was stopped after {result['timesteps']} of {steps} steps; the same command "
            "continues it"
        )
    return agents.load(RunDirectory(folder).agent, recipe.env_id)


def replayed_episodes(agent: Agent) -> list[EpisodeBuffer]:
    """Read the finished episodes of the learning from a replay buffer that has held all steps of one environment.

    Observations and rewards have the precision of the buffer, float32.

    Raises:
        DatasetError: The buffer has lost steps, holds those of several environments, or no Box observations.
    """
    from minari.data_collector import EpisodeBuffer

    state = agent.buffer.state_dict()
    if agent.config.num_envs != 1 or state["size"] < agent.num_timesteps:
        raise DatasetError(
            f"the replay buffer of {agent.spec.name} holds {state['size']} of {agent.num_timesteps} steps in "
            f"{agent.config.num_envs} environments; expected all steps of one"
        )
    space = agent.codec.space
    if not isinstance(space, spaces.Box):
        raise DatasetError(f"episodes are read from replay buffers of Box observations, but those are of {space}")
    rows = {name: array.cpu().numpy() for name, array in state["rows"].items()}
    terminated = rows["terminated"] > 0
    following = (rows["next_observation"][:-1] == rows["observation"][1:]).all(axis=1)
    ends = np.flatnonzero(terminated[:-1] | ~following)
    if terminated[-1]:
        ends = np.append(ends, len(terminated) - 1)
    observations, last = (
        rows[name].reshape(-1, *space.shape).astype(space.dtype) for name in ("observation", "next_observation")
    )
    actions = agent.actions.to_environment(rows["action"])
    buffers, begin = [], 0
    for number, end in enumerate(ends.tolist()):
        part = slice(begin, end + 1)
        length = end + 1 - begin
        flags = np.zeros(length, bool)
        stop, cut = flags.copy(), flags.copy()
        stop[-1], cut[-1] = terminated[end], not terminated[end]
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=np.concatenate([observations[part], last[end : end + 1]]),
                actions=actions[part],
                rewards=rows["reward"][part].astype(np.float64),
                terminations=stop,
                truncations=cut,
                infos={"step": np.arange(length + 1)},
            )
        )
        begin = end + 1
    return buffers


def gather(recipe: Recipe, count: int, quick: bool = False, folder: Path | None = None) -> list[EpisodeBuffer]:
    """Return the episodes of a recipe: `count` of the final policy, or all that were finished while it learned."""
    agent = learn(recipe, quick, folder)
    if recipe.policy.replay:
        episodes = replayed_episodes(agent)
        if not episodes:
            raise DatasetError(f"no episode of {recipe.env_id} was finished in {agent.num_timesteps} steps")
        return episodes
    return collect(
        recipe.env_id,
        agent.predict,
        episodes=count,
        seed=recipe.seed,
        env_kwargs=dict(recipe.env_kwargs),
        deterministic=recipe.policy.deterministic,
        prepare=agent.set_env,
    )
