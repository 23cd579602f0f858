"""Recipes of learning histories on the dark rooms besides `envzoo/Darkroom-v0`, whose own are in the module `offline`.

The tasks are spread over those that the room has; the others are held out, to be played by agents that learn within
their context.
"""

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, NamedTuple

from envzoo.datasets.recipes import LearningHistories, Recipe


class Room(NamedTuple):
    """A dark room and its tasks.

    Attributes:
        env_id: Gymnasium id.
        env_kwargs: Keywords that all tasks share.
        best: Largest return of an episode.
        tasks: Keywords of each task.
        episodes: Episodes of a history.
        text: What the tasks are.
    """

    env_id: str
    env_kwargs: Mapping[str, Any]
    best: float
    tasks: tuple[Mapping[str, Any], ...]
    episodes: int
    text: str


HISTORIES = 10  # of each task
KINDS = {
    "histories": (0.0, "all by Q-learning from nothing"),
    "noisy-histories": (0.3, "7 by Q-learning from nothing and 3 uniformly random"),
}
# Every third order of the actions, goals all over the large room, and every twentieth pair of key and door.
ORDERS = tuple({"permutation": list(order)} for order in list(permutations(range(5)))[::3])
FAR_GOALS = tuple({"goal": list(divmod(number, 15))} for number in range(7, 225, 12))
PAIRS = tuple(
    {"key": list(divmod(number // 25, 5)), "door": list(divmod(number % 25, 5))} for number in range(7, 625, 21)
)
ROOMS = {
    "darkroom-permuted": Room(
        "envzoo/Darkroom-Permuted-v0",
        {"size": 5, "goal": [4, 4]},
        43.0,  # 50 + 1 steps less the 8 to the goal
        ORDERS,
        30,
        "40 of the 120 orders of the actions in a room of 5 x 5 cells",
    ),
    "darkroom-large": Room(
        "envzoo/Darkroom-Large-v0",
        {"goal": [14, 14]},
        37.0,  # 50 + 1 steps less the 14 to the goal
        FAR_GOALS,
        100,
        "19 of the 225 goals of the room",
    ),
    "dark-key-to-door": Room(
        "envzoo/DarkKeyToDoor-v0",
        {"size": 5, "key": [0, 4], "door": [4, 0]},
        2.0,
        PAIRS,
        40,
        "30 of the 625 pairs of key and door in a room of 5 x 5 cells",
    ),
}


def _recipes() -> Iterator[Recipe]:
    for world, room in ROOMS.items():
        for name, (noise, who) in KINDS.items():
            behaviour = LearningHistories(room.tasks, histories=HISTORIES, episodes=room.episodes, noise=noise)
            yield Recipe(
                f"envzoo/{world}/{name}-v0",
                room.env_id,
                behaviour,
                room.best,
                f"{room.text}, {HISTORIES} learning histories of {room.episodes} episodes of each, {who}. An episode "
                "of this dataset is a whole history.",
                env_kwargs=room.env_kwargs,
                episodes=HISTORIES * len(room.tasks),
            )


DATASETS = tuple(_recipes())
