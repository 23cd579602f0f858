"""Film the environments for the gallery (`make gallery`): docs/gallery/README.md with its GIFs and transcripts.

Captions say who plays; see `envzoo.scripts.gallery_players`.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro

from envzoo.errors import EnvzooError
from envzoo.files import write_text
from envzoo.scripts.docs.builder import check_root
from envzoo.scripts.docs.links import Environment, environments
from envzoo.scripts.evaluate import film
from envzoo.scripts.gallery_players import SEED, Player, player
from envzoo.scripts.markdown import blocks, code
from envzoo.scripts.site.navigation import title

FRAMES, MOST_BYTES = 40, 10_000_000
MARK = "<!-- Made by `make gallery`. -->"


@dataclass(frozen=True)
class GalleryOptions:
    """Film the environments anew."""

    root: Path = Path()
    """Root of envzoo's repository."""
    missing: bool = False
    """Film only environments without a GIF."""


def modes(env_id: str) -> list[str]:
    """Return the render modes of an environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = gym.make(env_id, disable_env_checker=True)
    try:
        return list(env.metadata.get("render_modes") or [])
    finally:
        env.close()


def transcript(played: Player) -> str:
    """Play one episode, and return its last state as text."""
    env = gym.make(played.env_id, render_mode="ansi", disable_env_checker=True, **played.env_kwargs)
    learner = played.build()
    observation, _ = env.reset(seed=SEED)
    state, shown = None, env.render()
    for _ in range(FRAMES):
        action, state = learner.predict(observation, state)
        observation, _, terminated, truncated, _ = env.step(action)
        shown = env.render()
        if terminated or truncated:
            break
    env.close()
    return str(shown)


def entry(environment: Environment, folder: Path, missing: bool = False) -> str:
    """Film or transcribe an environment, unless its GIF is there and kept; "" when it cannot be shown."""
    played = player(environment)
    heading = f"### [{environment.name}](../{environment.page})"
    available = modes(played.env_id)
    if "rgb_array" in available:
        file = f"{environment.name}.gif"
        picture = blocks(heading, f"![{played.env_id}]({file})", played.caption)
        if missing and (folder / file).exists():
            return picture
        settings = {"env_kwargs": dict(played.env_kwargs), "deterministic": played.deterministic}
        try:
            film(played.build(), played.env_id, folder / file, seed=SEED, max_frames=FRAMES, **settings)
        except EnvzooError as error:
            print(f"{played.env_id}: {error}", file=sys.stderr)
            return ""
        return picture
    if "ansi" in available:
        return blocks(heading, code("text", transcript(played)), played.caption)
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
