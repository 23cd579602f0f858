"""Recipes of the usual qualities on the worlds of offline learning, as far as the module `offline` has not its own."""

from collections.abc import Iterator
from typing import Any

from envzoo.datasets.recipes import BehaviourPolicy, ModelReference, PolicyReference, Recipe, ScriptedPolicy

_EXPLORE = "envzoo.datasets.behaviours:explore"
# Share of random steps: lowest and highest, and whether an episode has one of both or any between them.
SHARES = {
    "expert": (0.0, 0.0, False),
    "noisy": (0.25, 0.25, False),
    "medium": (0.5, 0.5, False),
    "medium-replay": (0.5, 1.0, False),
    "mixed": (0.0, 1.0, True),
}
TEXTS = {
    "random": "Uniformly random actions.",
    "expert": "The best policy.",
    "noisy": "The best policy, with a uniformly random action in a quarter of the steps.",
    "medium": "The best policy, with a uniformly random action in half of the steps.",
    "medium-replay": "The best policy, with uniformly random actions in a share of the steps that each episode draws "
    "from one half to all, as in the memory of a learner that has come half of the way.",
    "mixed": "Episodes of the best policy and of uniformly random actions, half of each.",
}
# World -> environment, expert, reference, episodes, and the qualities.
ALL = ("random", "medium", "expert", "medium-replay", "mixed", "noisy")
WORLDS = {
    "line-world": ("envzoo/LineWorld-v0", "right", None, 100, ("medium-replay", "mixed", "noisy")),
    "point-maze-stitch": ("envzoo/PointMazeStitch-v0", "waypoints", None, 300, ("medium-replay", "noisy")),
    "windy-point": (
        "envzoo/WindyPoint-v0", "wind", None, 100, ("random", "medium", "expert", "medium-replay", "noisy"),
    ),
    "lucky-bandit": ("envzoo/LuckyBandit-v0", "model", 1, 1000, ALL),
    "lucky-tree": (
        "envzoo/LuckyTree-v0", "model", 3, 1000, ("medium", "expert", "medium-replay", "mixed", "noisy"),
    ),
    "slip-lake": ("envzoo/SlipLake-v0", "model", 50, 500, ALL),
    "slip-lake-8x8": ("envzoo/SlipLake-8x8-v0", "model", 50, 500, ALL),
    "darkroom": ("envzoo/Darkroom-v0", "goal", 13.0, 500, ("medium", "expert", "medium-replay", "mixed", "noisy")),
    # 50 + 1 steps less those to the goal: 16, and 12.
    "darkroom-permuted": ("envzoo/Darkroom-Permuted-v0", "goal", 35.0, 500, ALL),
    "darkroom-large": ("envzoo/Darkroom-Large-v0", "goal", 39.0, 500, ALL),
    "dark-key-to-door": ("envzoo/DarkKeyToDoor-v0", "key", 2.0, 500, ALL),
    "random-feature-mdp": ("envzoo/RandomFeatureMDP-v0", "model", 50, 200, ALL),
}  # fmt: skip
# Keywords of the environment; a room's goal and order of actions are its task.
KEYWORDS: dict[str, dict[str, Any]] = {
    "darkroom-permuted": {"permutation": [1, 3, 4, 0, 2]},
    "darkroom-large": {"goal": [13, 1]},
    # 16 steps to the key and 14 to the door, so that wandering costs the door.
    "dark-key-to-door": {"start": [0, 0], "key": [8, 8], "door": [0, 2]},
}
NAMESPACES = {
    "slip-lake-8x8": "Walks on a slippery lake of 64 cells (envzoo/SlipLake-8x8-v0).",
    "darkroom-permuted": "Walks in a dark room whose actions have an order of their own (envzoo/Darkroom-Permuted-v0).",
    "darkroom-large": "Walks in a dark room of 225 cells (envzoo/Darkroom-Large-v0).",
    "dark-key-to-door": "Walks in a dark room with a key and a door (envzoo/DarkKeyToDoor-v0).",
    "random-feature-mdp": "Walks in a random finite world with random features (envzoo/RandomFeatureMDP-v0).",
}


def _recipes() -> Iterator[Recipe]:
    for world, (env_id, expert, reference, episodes, qualities) in WORLDS.items():
        model = {"horizon": reference} if expert == "model" else {}
        best = ScriptedPolicy(_EXPLORE, {"expert": expert, "low": 0.0, "high": 0.0, **model}, agent="Expert")
        if isinstance(reference, int):
            judged = ModelReference(horizon=reference)
        else:
            judged = PolicyReference(best) if reference is None else reference
        for quality in qualities:
            policy = BehaviourPolicy("Random")
            if quality in SHARES:
                low, high, either = SHARES[quality]
                settings = {"expert": expert, "low": low, "high": high, "either": either, **model}
                policy = ScriptedPolicy(_EXPLORE, settings, agent="Expert with random actions" if high else "Expert")
            yield Recipe(
                f"envzoo/{world}/{quality}-v0",
                env_id,
                policy,
                judged,
                TEXTS[quality],
                env_kwargs=KEYWORDS.get(world, {}),
                episodes=episodes,
                namespace=NAMESPACES.get(world, "") if quality == "random" else "",
            )


DATASETS = tuple(_recipes())
