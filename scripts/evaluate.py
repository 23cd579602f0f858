"""Implement `envzoo evaluate RUN_DIR`: evaluate a trained agent, and record an episode as a GIF."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.action_masks import with_masks
from envzoo.errors import DatasetError, EnvzooError
from envzoo.files import write_bytes

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


@dataclass(frozen=True)
class EvaluateOptions:
    """Evaluate a trained agent and print its returns."""

    env: str | None = None
    """Environment to evaluate in; None uses the one the agent was trained on."""
    env_kwargs: tuple[str, ...] = ()
    """Keyword arguments of the environment, as KEY=VALUE with JSON values."""
    wrapper: tuple[str, ...] = ()
    """Wrapper around the environment, as in `envzoo train`; a run remembers its own."""
    episodes: int = 100
    """Number of episodes."""
    seed: int | None = None
    """Seed of the first reset; None uses the fixed evaluation seed."""
    stochastic: bool = False
    """Sample actions instead of taking the policy's mode."""
    video: str | None = None
    """Record one episode as a GIF in this file."""
    fps: float = 4.0
    """Frames per second of the GIF."""
    offline: str | None = None
    """Dataset on which to estimate the discounted return by fitted Q evaluation, instead of playing; best one that the
    agent did not learn from."""
    pretrained: tuple[str, ...] = ()
    """Agent and environment of a pretrained agent that comes with envzoo (SubPO envzoo/GridCoverage-v0), in place of a
    run."""
    device: str = "cpu"
    """Torch device: auto, cpu, cuda, ..."""


def check_gif(path: str | Path) -> None:
    """Raise EnvzooError unless the path ends in .gif."""
    if Path(path).suffix.lower() != ".gif":
        raise EnvzooError(f"videos are written as .gif files, got {path}")


def film(
    agent: Agent,
    env_id: str,
    path: str | Path,
    *,
    env_kwargs: dict[str, Any] | None = None,
    wrappers: tuple[str, ...] = (),
    seed: int = 0,
    fps: float = 4.0,
    deterministic: bool = True,
    max_frames: int = 1000,
) -> int:
    """Record one episode as an animated GIF, written atomically.

    Returns:
        The number of frames.

    Raises:
        EnvzooError: The environment cannot be rendered as an image, or the file name does not end in .gif.
    """
    import gymnasium as gym
    from PIL import Image

    from envzoo.wrappers import add_wrappers

    check_gif(path)
    try:
        env = gym.make(env_id, render_mode="rgb_array", disable_env_checker=True, **(env_kwargs or {}))
        env = add_wrappers(env, wrappers)
        env.reset(seed=seed)
        first = env.render()
    except (TypeError, ImportError, gym.error.Error) as error:
        raise EnvzooError(f"{env_id} cannot be rendered as an image ({error})") from error
    if not isinstance(first, np.ndarray):
        raise EnvzooError(f"{env_id} cannot be rendered as an image")
    agent.set_env(env)
    ask = with_masks(agent.predict)
    observation, infos = env.reset(seed=seed)
    frames = [env.render()]
    state, start, done = None, np.ones(1, bool), False
    while not done and len(frames) < max_frames:
        action, state = ask(observation, state, start, deterministic, infos)
        observation, _, terminated, truncated, infos = env.step(action)
        frames.append(env.render())
        done, start = terminated or truncated, np.zeros(1, bool)
    env.close()
    images = [Image.fromarray(frame) for frame in frames]
    durations = [round(1000 / fps)] * len(images)
    durations[-1] = max(durations[-1], 1500)  # hold the last frame before the GIF repeats
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    write_bytes(path, buffer.getvalue())
    return len(frames)


def estimate_offline(agent: Agent, dataset_id: str, seed: int) -> np.ndarray:
    """Estimate the values (E,) of the first states of a dataset's episodes, with the agent's discount factor."""
    from envzoo.agents.offline.ope import fitted_q_evaluation
    from envzoo.datasets import load_minari

    gamma = getattr(agent.config, "gamma", 0.99)
    return fitted_q_evaluation(agent, load_minari(dataset_id), gamma=gamma, seed=seed)


def _trained(path: Path, given: Any, device: str) -> Agent:
    """Load the agent of a run or of a file.

    A run remembers its wrappers. A file does not, so that the environment that is given takes their place.
    """
    from envzoo.agents import guard, load
    from envzoo.scripts.run_directory import RunDirectory
    from envzoo.wrappers.named import WrappedMaker

    if path.is_file():
        return load(path, given if isinstance(given, WrappedMaker) else None, device=device)
    directory = RunDirectory(path)
    file, facts = directory.trained_agent(), directory.facts()
    if not facts["wrapper"]:
        return load(file, device=device)
    with guard.reading(directory.facts_file):
        guard.check_environment(facts["source"])
        guard.check_keywords(facts["source"], facts["env_kwargs"])
    maker = WrappedMaker(facts["source"], tuple(facts["wrapper"]), facts["env_kwargs"])
    return load(file, maker, device=device)


def command(argv: list[str]) -> int:
    """Run `envzoo evaluate` with the given arguments; return the exit code."""
    from rich.console import Console
    from rich.table import Table

    from envzoo.agents import pretrained
    from envzoo.agents.evaluation import EVALUATION_SEED, can_play, evaluate
    from envzoo.agents.source import resolve
    from envzoo.datasets import normalised_scores
    from envzoo.games import games
    from envzoo.scripts.cli import parse, split_positional
    from envzoo.scripts.train import parse_keywords
    from envzoo.wrappers.named import WrappedMaker

    positional, flags = split_positional(argv)
    options, _ = parse(EvaluateOptions, flags, prog="envzoo evaluate RUN_DIR")
    if options.pretrained and (positional or len(options.pretrained) != 2):
        raise EnvzooError(
            "--pretrained takes an agent and an environment, without a run directory; for example "
            "`envzoo evaluate --pretrained SubPO envzoo/GridCoverage-v0`"
        )
    if len(positional) != 1 and not options.pretrained:
        raise EnvzooError("envzoo evaluate takes one run directory (or agent file)")
    if options.episodes < 1:
        raise EnvzooError(f"--episodes must be at least 1, got {options.episodes}")
    if options.seed is not None and options.seed < 0:
        raise EnvzooError(f"--seed must be a non-negative integer, got {options.seed}")
    if not 0 < options.fps <= 100:
        raise EnvzooError(f"--fps must be in (0, 100], got {options.fps}")
    if (options.env_kwargs or options.wrapper) and options.env is None:
        flag = "--env-kwargs" if options.env_kwargs else "--wrapper"
        raise EnvzooError(f"{flag} requires an environment, given with --env")
    if options.offline is not None and (options.env is not None or options.video is not None):
        raise EnvzooError("--offline plays no episodes, so it goes without --env and --video")
    if options.video is not None:
        check_gif(options.video)
    kwargs = parse_keywords(options.env_kwargs)
    made_from = WrappedMaker(options.env, options.wrapper, kwargs) if options.wrapper else options.env
    if options.pretrained:
        agent = pretrained(*options.pretrained, device=options.device)
    else:
        path = Path(positional[0])
        agent = _trained(path, made_from, device=options.device)
    if not can_play(agent):
        raise EnvzooError(f"{agent.spec.name} chooses no actions, so there are no episodes to evaluate it in")
    if options.offline is not None:
        values = estimate_offline(agent, options.offline, options.seed or 0)
        print(
            f"{agent.spec.name} on {options.offline}: estimated discounted return {values.mean():.3f} "
            f"(standard deviation {values.std():.3f} over {len(values)} first states)"
        )
        return 0
    if options.video is not None and (options.env or agent.source.id) in games():
        raise EnvzooError(f"--video records environments, but {options.env or agent.source.id} is a game")
    env = None
    if options.env is not None:
        other = resolve(made_from, agent.spec, {} if options.wrapper else kwargs)
        for what in ("observation_space", "action_space"):
            if getattr(other, what) != getattr(agent.source, what):
                raise EnvzooError(
                    f"the agent was trained with the {what.replace('_', ' ')} {getattr(agent.source, what)}, "
                    f"but {options.env} has {getattr(other, what)}"
                )
        game = other.kind == "game"
        env = other.evaluation_game() if game else other.evaluation_env(min(options.episodes, 128))
    seed = EVALUATION_SEED if options.seed is None else options.seed
    result = evaluate(agent, env, episodes=options.episodes, seed=seed, deterministic=not options.stochastic)
    table = Table(title=f"{agent.spec.name}, {options.episodes} episodes", box=None, header_style="dim")
    for column in ("", "mean", "std", "lowest", "highest"):
        table.add_column(column, justify="right" if column else "left")
    rows = {"return": result.returns, "length": result.lengths, **result.infos}
    if agent.source.kind == "dataset" and options.env is None:
        try:
            rows = {"normalised score": normalised_scores(agent.source.given, result.returns)} | rows
        except DatasetError as error:
            print(f"the returns are shown as they are: {error}")
    for name, values in rows.items():
        numbers = (values.mean(), values.std(), values.min(), values.max())
        table.add_row(name, *(f"{number:.3f}" for number in numbers))
    Console().print(table)
    if options.video is not None:
        maker = made_from if options.env else agent.source.factory
        if isinstance(maker, WrappedMaker):
            env_id, kwargs, wrappers = maker.env_id, maker.env_kwargs, maker.wrappers
        else:
            env_id, kwargs = (options.env, kwargs) if options.env else agent.source.environment()
            wrappers = ()
        frames = film(
            agent,
            env_id,
            options.video,
            env_kwargs=dict(kwargs),
            wrappers=wrappers,
            seed=seed,
            fps=options.fps,
            deterministic=not options.stochastic,
        )
        print(f"{frames} frames in {options.video}")
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["evaluate", *sys.argv[1:]]))
