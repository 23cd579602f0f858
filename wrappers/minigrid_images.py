"""MiniGrid's worlds as images, for agents that cannot read the text of a mission.

Importing this module registers `MiniGridImage-...` for each id `MiniGrid-...`, with the wrapper `ImgObsWrapper` of
MiniGrid around it. As Gymnasium imports the module that an id names, nothing else is needed:

```sh
envzoo train PPO envzoo.wrappers.minigrid_images:MiniGridImage-Empty-5x5-v0
```

The observation is the agent's view, (7, 7, 3). Where the mission changes from episode to episode (GoToObject, Fetch),
no policy can know it from the view; such worlds are registered all the same.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from envzoo.errors import missing_extra, unknown

try:
    import minigrid
    from minigrid.wrappers import ImgObsWrapper
except ImportError as error:
    raise missing_extra("worlds of MiniGrid", "minigrid", "foreign") from error

PREFIX, IMAGE = "MiniGrid-", "MiniGridImage-"


def make_image_world(world: str, **keywords: Any) -> gym.Env:
    """Make a world of MiniGrid whose observation is the image alone.

    Args:
        world: Id without the prefix, such as "Empty-5x5-v0".
        **keywords: Keywords of the world.

    Raises:
        UnknownNameError: MiniGrid has no such world.
    """
    if PREFIX + world not in gym.registry:  # `gym.make` would import a module that the name of a world contains
        raise unknown("world of MiniGrid", world, worlds())
    return ImgObsWrapper(gym.make(PREFIX + world, **keywords))


def worlds() -> list[str]:
    """List the ids of MiniGrid without their prefix."""
    return [name.removeprefix(PREFIX) for name in gym.registry if name.startswith(PREFIX)]


def register_image_worlds() -> None:
    """Register all worlds of MiniGrid that are not registered as images yet."""
    if not worlds():
        gym.register_envs(minigrid)
    for world in worlds():
        if IMAGE + world not in gym.registry:
            gym.register(IMAGE + world, f"{__name__}:make_image_world", kwargs={"world": world})


register_image_worlds()
