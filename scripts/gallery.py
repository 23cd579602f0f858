"""Film the environments for the gallery (`make gallery`): docs/gallery/README.md with its GIFs and transcripts.

An environment with a pretrained agent is played by that agent, the others by a random policy; the captions say so.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro

from envzoo.agents import make, pretrained
from envzoo.agents.trained import find_recipe, scores
from envzoo.agents.trained.recipes import RECIPES
from envzoo.errors import EnvzooError
from envzoo.files import write_text
from envzoo.scripts.docs.builder import check_root
from envzoo.scripts.docs.links import Environment, environments
from envzoo.scripts.evaluate import film
from envzoo.scripts.markdown import blocks, code
from envzoo.scripts.site.navigation import title

FRAMES, SEED, MOST_BYTES = 40, 3, 10_000_000
MARK = "<!-- Made by `make gallery`. -->"


@dataclass(frozen=True)
class GalleryOptions:
    """Film the environments anew."""

    root: Path = Path()
    """Root of envzoo's repository."""
    missing: bool = False
    """Film only environments without a GIF."""


def player(environment: Environment) -> tuple[str, str]:
    """Choose who plays an environment: the agent and the id, those of a pretrained agent if there is one."""
    ids = [row.id for row in environment.specs]
    for recipe in RECIPES:
        if recipe.source in ids:
            return recipe.agent, recipe.source
    return "Random", ids[0]


def caption(agent: str, env_id: str) -> str:
    """Say who plays."""
    if agent == "Random":
        return f"`{env_id}`, a random policy"
    score = scores()[find_recipe(agent, env_id).file]
    return (
        f"`{env_id}`, pretrained {agent}: mean return {score['return_mean']:.3g} in {score['episodes']} episodes"
        f" (random policy {score['random']:.3g})"
    )


def modes(env_id: str) -> list[str]:
    """Return the render modes of an environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = gym.make(env_id, disable_env_checker=True)
    try:
        return list(env.metadata.get("render_modes") or [])
    finally:
        env.close()


def transcript(env_id: str, agent: str) -> str:
    """Play one episode, and return its last state as text."""
    env = gym.make(env_id, render_mode="ansi", disable_env_checker=True)
    learner = make(agent, env_id, seed=SEED)
    observation, _ = env.reset(seed=SEED)
    state, done, shown = None, False, env.render()
    for _ in range(FRAMES):
        action, state = learner.predict(observation, state)
        observation, _, terminated, truncated, _ = env.step(action)
        shown, done = env.render(), terminated or truncated
        if done:
            break
    env.close()
    return str(shown)


def entry(environment: Environment, folder: Path, missing: bool = False) -> str:
    """Film or transcribe an environment, unless its GIF is there and kept; "" when it cannot be shown."""
    agent, env_id = player(environment)
    heading = f"### [{environment.name}](../{environment.page})"
    available = modes(env_id)
    if "rgb_array" in available:
        file = f"{environment.name}.gif"
        if missing and (folder / file).exists():
            return blocks(heading, f"![{env_id}]({file})", f"{caption(agent, env_id)}.")
        learner = make("Random", env_id, seed=SEED) if agent == "Random" else pretrained(agent, env_id)
        sampled = agent != "Random" and not find_recipe(agent, env_id).deterministic
        try:
            film(learner, env_id, folder / file, seed=SEED, deterministic=not sampled, max_frames=FRAMES)
        except EnvzooError as error:
            print(f"{env_id}: {error}", file=sys.stderr)
            return ""
        return blocks(heading, f"![{env_id}]({file})", f"{caption(agent, env_id)}.")
    if "ansi" in available:
        return blocks(heading, code("text", transcript(env_id, "Random")), f"{caption('Random', env_id)}.")
    return ""


def gallery(root: Path = Path(), missing: bool = False) -> int:
    """Film all environments, or those without a GIF, and write the page.

    Returns:
        The number of bytes of all GIFs.

    Raises:
        EnvzooError: They take more than 10 MB.
    """
    folder = root / "docs" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for old in () if missing else folder.glob("*.gif"):
        old.unlink()
    parts, family = [], ""
    for environment in environments():
        try:
            shown = entry(environment, folder, missing)
        except (EnvzooError, gym.error.Error, ImportError) as error:
            print(f"{environment.name}: {error}", file=sys.stderr)
            continue
        if shown:
            if environment.specs[0].family != family:
                family = environment.specs[0].family
                parts.append(f"## {title(family)}")
            parts.append(shown)
    size = sum(file.stat().st_size for file in folder.glob("*.gif"))
    if size > MOST_BYTES:
        raise EnvzooError(f"the GIFs take {size / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.0f} MB are committed")
    intro = "Each environment that can draw itself, for at most 40 steps. Captions say who plays."
    write_text(folder / "README.md", blocks("# Gallery", MARK, intro, *parts))
    return size


def main() -> int:
    """Run the command; returns the exit status."""
    try:
        options = tyro.cli(GalleryOptions, prog="gallery")
        check_root(options.root)
        print(f"{gallery(options.root, options.missing) / 1e6:.2f} MB of GIFs")
    except (EnvzooError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
