"""Implement `envzoo make-dataset ID`: build a Minari dataset from its recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console

from envzoo import agents
from envzoo.agents.agent import Agent
from envzoo.agents.evaluation import EVALUATION_SEED, evaluate
from envzoo.agents.planners.beam_search import planned_returns
from envzoo.datasets import recipe as find_recipe
from envzoo.datasets.collector import Predict, check_free, collect, returns, write
from envzoo.datasets.demonstrations import Demonstrator
from envzoo.datasets.histories import play_histories
from envzoo.datasets.hosted import hosted_references
from envzoo.datasets.preference_pairs import write_pairs
from envzoo.datasets.recipes import (
    BeamReference,
    Demonstrations,
    DrawnPairs,
    HostedReference,
    LearningHistories,
    LongTraining,
    ModelReference,
    PolicyReference,
    Recipe,
    ScriptedPolicy,
)
from envzoo.errors import EnvzooError
from envzoo.offline.planning import optimal_return, policy_return
from envzoo.scripts.long_training import gather, run_folder
from envzoo.specs import load
from envzoo.tabular import find_model
from envzoo.version import __version__

REFERENCE_EPISODES = 1000
QUICK_EPISODES = 5


def make_dataset(
    dataset_id: str, overwrite: bool = False, quiet: bool = False, episodes: int | None = None, quick: bool = False
) -> Path:
    """Build a dataset from its recipe, so that `minari.load_dataset(dataset_id)` can load it.

    On one machine, a recipe gives the same arrays in every run.

    Args:
        dataset_id: Id of a recipe, such as envzoo/grid-coverage/expert-v0.
        overwrite: Replace the dataset if it exists.
        quiet: Print nothing.
        episodes: Number of episodes instead of the recipe's, for a quick trial.
        quick: For a recipe that learns for hours: a trial of it with little learning and 5 episodes, under an id whose
            quality ends in "-quick".

    Returns:
        The dataset's folder, below MINARI_DATASETS_PATH or ~/.minari/datasets.

    Raises:
        UnknownNameError: There is no such recipe; the message names the nearest.
        DatasetError: The dataset exists and `overwrite` is False.
    """
    recipe = find_recipe(dataset_id)
    long = isinstance(recipe.policy, LongTraining)
    if quick:
        if not long:
            raise EnvzooError(f"{dataset_id} takes seconds; --quick is for recipes that learn for hours")
        name, _, version = dataset_id.rpartition("-")
        dataset_id, episodes = f"{name}-quick-{version}", QUICK_EPISODES if episodes is None else episodes
    check_free(dataset_id, overwrite)
    count = recipe.episodes if episodes is None else episodes
    # Plain lines, so that a path can be copied: it is neither wrapped nor read as markup.
    say = partial(Console(stderr=True, quiet=quiet).print, soft_wrap=True, highlight=False, markup=False)
    if isinstance(recipe.policy, DrawnPairs):
        return _make_pairs(recipe, count, overwrite, say)
    # Rounding of sums depends on the number of threads, which differs between machines.
    with _one_thread():
        timesteps = getattr(recipe.policy, "quick_timesteps" if quick else "timesteps", 0)
        learning = f" after {timesteps} steps of learning" if timesteps else ""
        say(f"{count} episodes of {recipe.policy.agent}{learning} in {recipe.env_id}")
        if long:
            say(f"the run is in {run_folder(recipe, quick)}; interrupt it with Ctrl-C, repeat the command to continue")
            if not quick:
                say(f"all of it takes about {recipe.policy.hours:g} hours on one core")
        buffers = gather(recipe, count, quick) if long else play(recipe, count)
        low, high = reference_scores(recipe)
    mean = float(returns(buffers).mean())
    say(f"mean return {mean:.2f} (random {low:.2f}, planned {high:.2f})")
    path = write(
        dataset_id,
        buffers,
        env_id=recipe.env_id,
        env_kwargs=recipe.env_kwargs,
        description=recipe.description,
        algorithm=recipe.policy.agent,
        ref_min_score=low,
        ref_max_score=high,
        facts={
            "mean_return": mean,
            "num_episodes_average_score": REFERENCE_EPISODES,
            "envzoo_version": __version__,
            "behaviour_policy": _facts(recipe.policy),
            "collection_seed": recipe.seed,
            "collection_kwargs": dict(recipe.collection_kwargs),
        },
        overwrite=overwrite,
    )
    say(f"written to {path}; load it with minari.load_dataset({dataset_id!r})")
    return path


def _make_pairs(recipe: Recipe, count: int, overwrite: bool, say: Callable[[str], None]) -> Path:
    """Draw the pairs of a recipe, and write them with the rewards of the chosen answers."""
    env = gym.make(recipe.env_id, disable_env_checker=True, **recipe.env_kwargs)
    definition = env.unwrapped.definition
    env.close()
    say(f"{count} pairs of {recipe.env_id}")
    pairs, task = definition.preference_pairs(count, recipe.policy.seed), definition.task
    answers = np.stack([task.answer_ids(text) for text in pairs["chosen"]])
    rewards = task.verify(task.prompt_ids(pairs["prompts"]), answers)
    # The uniformly random policy writes token by token.
    prompts = task.sample(REFERENCE_EPISODES, definition.split)
    random = np.random.default_rng(0).integers(task.vocab_size, size=(REFERENCE_EPISODES, task.answer_length))
    low, high = float(task.verify(prompts, random).mean()), float(recipe.reference)
    say(f"mean reward of chosen answers {rewards.mean():.2f} (random {low:.2f}, best {high:.2f})")
    path = write_pairs(
        recipe.id,
        pairs,
        rewards,
        env_id=recipe.env_id,
        env_kwargs=recipe.env_kwargs,
        description=recipe.description,
        algorithm=recipe.policy.agent,
        ref_min_score=low,
        ref_max_score=high,
        facts={
            "mean_return": float(rewards.mean()),
            "num_episodes_average_score": REFERENCE_EPISODES,
            "envzoo_version": __version__,
            "behaviour_policy": _facts(recipe.policy),
        },
        overwrite=overwrite,
    )
    say(f"written to {path}; learn from it with `envzoo train DPO {recipe.id}`")
    return path


def play(recipe: Recipe, count: int) -> list[Any]:
    """Play the episodes of a recipe, after its policy has learned."""
    policy = recipe.policy
    if isinstance(policy, LearningHistories):
        keywords = {"episodes": policy.episodes, "noise": policy.noise, "seed": policy.seed}
        histories = -(-count // len(policy.tasks)) if count < len(policy.tasks) * policy.histories else policy.histories
        played = play_histories(
            recipe.env_id, policy.tasks[:count], histories=histories, env_kwargs=recipe.env_kwargs, **keywords
        )
        return played[:count]
    player = train(recipe)
    return collect(
        recipe.env_id,
        player.predict,
        episodes=count,
        seed=recipe.seed,
        env_kwargs={**recipe.env_kwargs, **recipe.collection_kwargs},
        deterministic=getattr(policy, "deterministic", False),
        prepare=getattr(player, "set_env", None),
    )


def _facts(policy: Any) -> dict[str, Any]:
    """Return the fields of a policy as plain JSON values."""
    values = {field.name: getattr(policy, field.name) for field in fields(policy)}
    if isinstance(policy, LearningHistories):
        values["tasks"] = [dict(task) for task in policy.tasks]
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


@dataclass(frozen=True)
class Script:
    """A scripted policy, with the `predict` that collectors and evaluations ask for."""

    predict: Predict


def make_script(policy: ScriptedPolicy, env_id: str, env_kwargs: Mapping[str, Any]) -> Script:
    """Make a scripted policy for an environment."""
    env = gym.make(env_id, disable_env_checker=True, **env_kwargs)
    definition = env.unwrapped.definition
    env.close()
    return Script(load(policy.policy)(definition, policy.seed, **policy.settings))


def train(recipe: Recipe) -> Agent | Demonstrator | Script:
    """Train the behaviour policy of a recipe."""
    policy = recipe.policy
    if isinstance(policy, ScriptedPolicy):
        return make_script(policy, recipe.env_id, recipe.env_kwargs)
    if isinstance(policy, Demonstrations):
        task = gym.make(recipe.env_id, **recipe.env_kwargs).unwrapped.definition.task
        return Demonstrator(task, policy.noise, policy.seed)
    agent = agents.make(
        policy.agent,
        recipe.env_id,
        seed=policy.seed,
        device="cpu",
        env_kwargs=recipe.env_kwargs,
        threads=1,
        **policy.hyperparameters,
    )
    return agent.learn(policy.timesteps) if policy.timesteps else agent


def reference_scores(recipe: Recipe) -> tuple[float, float]:
    """Compute the mean returns of the random policy and of the planner, over 1000 episodes with a fixed seed.

    In a finite world both are exact.
    """
    if isinstance(recipe.reference, HostedReference):
        return hosted_references(recipe.reference.hosted_id)
    if isinstance(recipe.reference, ModelReference):
        env = gym.make(recipe.env_id, disable_env_checker=True, **recipe.env_kwargs)
        model, horizon = find_model(env), recipe.reference.horizon
        uniform = model.available / model.available.sum(axis=1, keepdims=True)
        return policy_return(model, uniform, horizon), optimal_return(model, horizon)
    random = agents.make("Random", recipe.env_id, seed=0, device="cpu", env_kwargs=recipe.env_kwargs)
    low = evaluate(random, episodes=REFERENCE_EPISODES).returns.mean()
    if isinstance(recipe.reference, PolicyReference):
        best = make_script(recipe.reference.policy, recipe.env_id, recipe.env_kwargs)
        played = collect(
            recipe.env_id,
            best.predict,
            episodes=REFERENCE_EPISODES,
            seed=EVALUATION_SEED,
            env_kwargs=recipe.env_kwargs,
            deterministic=True,
        )
        return float(low), float(returns(played).mean())
    if not isinstance(recipe.reference, BeamReference):
        return float(low), recipe.reference
    high = planned_returns(
        recipe.env_id, recipe.env_kwargs, episodes=REFERENCE_EPISODES, seed=EVALUATION_SEED, **asdict(recipe.reference)
    ).mean()
    return float(low), float(high)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class MakeDatasetOptions:
    """Build an offline dataset in Minari format from its recipe, so that `minari.load_dataset` can load it."""

    overwrite: bool = False
    """Replace the dataset if it exists."""
    quiet: bool = False
    """Print nothing."""
    quick: bool = False
    """For a recipe that learns for hours: a trial with little learning, whose id ends in -quick."""


def command(argv: list[str]) -> int:
    """Run `envzoo make-dataset` with the given arguments; return the exit code."""
    from envzoo.scripts.cli import parse, split_positional

    positional, flags = split_positional(argv)
    options, _ = parse(MakeDatasetOptions, flags, prog="envzoo make-dataset DATASET_ID")
    if len(positional) != 1:
        raise EnvzooError("envzoo make-dataset takes one dataset id; `envzoo list datasets` shows them")
    make_dataset(positional[0], options.overwrite, options.quiet, quick=options.quick)
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["make-dataset", *sys.argv[1:]]))
