"""Recipes of datasets on the worlds of offline learning."""

from envzoo.datasets.recipes import (
    BehaviourPolicy,
    LearningHistories,
    ModelReference,
    PolicyReference,
    Recipe,
    ScriptedPolicy,
)

_LINE, _MAZE, _TWO = "envzoo/LineWorld-v0", "envzoo/PointMazeStitch-v0", "envzoo/TwoStateRealizable-v0"
_RIGHT = ScriptedPolicy("envzoo.datasets.behaviours:drift", {"mean": 1.0, "spread": 0.0}, agent="Right")
_BY_STRETCH = "envzoo.datasets.behaviours:stretches"
_STEER = "envzoo.datasets.behaviours:steer"
_PATHS = "envzoo.datasets.behaviours:follow_paths"
_DIRECT = ScriptedPolicy(_PATHS, {"noise": 0.0, "direct": True}, agent="Waypoints")


def _line(quality: str, text: str, namespace: str = "") -> Recipe:
    """Make a recipe of single steps from places all over the corridor."""
    return Recipe(
        f"envzoo/line-world/{quality}-v0",
        _LINE,
        ScriptedPolicy(_BY_STRETCH, {"style": quality}, agent="Stretches"),
        PolicyReference(_RIGHT),
        f"4000 single steps from places uniform over the corridor, {text}.",
        episodes=4000,
        namespace=namespace,
        collection_kwargs={"start": "anywhere", "max_episode_steps": 1},
    )


# Goals of a room of 5 x 5 cells; those of HELD_OUT are in no dataset.
HELD_OUT = ((0, 3), (1, 0), (2, 4), (3, 1), (4, 2))
GOALS = tuple((row, column) for row in range(5) for column in range(5) if (row, column) not in HELD_OUT)


def _histories(name: str, noise: float, text: str) -> Recipe:
    """Make a recipe of learning histories in a small dark room."""
    tasks = tuple({"goal": list(goal)} for goal in GOALS)
    return Recipe(
        f"envzoo/darkroom/{name}-v0",
        "envzoo/Darkroom-v0",
        LearningHistories(tasks, histories=20, episodes=40, noise=noise),
        17.0,  # 20 + 1 steps less the 4 to the goal
        f"20 goals in a room of 5 x 5 cells, 20 learning histories of 40 episodes of each, {text}. An episode of this "
        "dataset is a whole history.",
        env_kwargs={"size": 5, "goal": [4, 4]},
        episodes=20 * len(GOALS),
    )


DATASETS = (
    _line("easy", "all of them to the right", "Steps in a corridor whose right end is the goal (envzoo/LineWorld-v0)."),
    _line(
        "striped",
        "to the right in every other stretch of length 1.25, which contain neither the goal nor its neighbourhood, and "
        "to the left in the stretches between them",
    ),
    _line(
        "hard",
        "to the right in 90% of the steps in every other stretch of length 1.25, in 2% in those between them",
    ),
    Recipe(
        "envzoo/line-world/random-v0",
        _LINE,
        BehaviourPolicy("Random"),
        PolicyReference(_RIGHT),
        "Uniformly random actions from the left end of the corridor.",
        episodes=100,
    ),
    Recipe(
        "envzoo/line-world/medium-v0",
        _LINE,
        ScriptedPolicy("envzoo.datasets.behaviours:drift", {"mean": 0.3, "spread": 1.0}, agent="Drift"),
        PolicyReference(_RIGHT),
        "Random actions with a drift to the right: about four tenths of the way from random to the best.",
        episodes=100,
    ),
    Recipe(
        "envzoo/line-world/expert-v0",
        _LINE,
        _RIGHT,
        PolicyReference(_RIGHT),
        "Full speed to the right.",
        episodes=100,
    ),
    Recipe(
        "envzoo/point-maze-stitch/mixed-v0",
        _MAZE,
        ScriptedPolicy(_PATHS, {"noise": 0.3}, agent="Waypoints"),
        PolicyReference(_DIRECT),
        "Noisy paths from the lower left to the lower right foot of the H, and from the upper left to the goal in the "
        "upper right; none leads from the start of an episode to the goal.",
        episodes=700,
        namespace="Paths in a maze of the shape of an H (envzoo/PointMazeStitch-v0).",
        collection_kwargs={"start": "left", "max_episode_steps": 32},
    ),
    Recipe(
        "envzoo/point-maze-stitch/random-v0",
        _MAZE,
        BehaviourPolicy("Random"),
        PolicyReference(_DIRECT),
        "Uniformly random actions from the lower left.",
        episodes=300,
    ),
    Recipe(
        "envzoo/point-maze-stitch/medium-v0",
        _MAZE,
        ScriptedPolicy(_PATHS, {"noise": 1.5, "direct": True}, agent="Waypoints"),
        PolicyReference(_DIRECT),
        "The way from the start to the goal with much noise: about half of the way from random to the best.",
        episodes=300,
    ),
    Recipe(
        "envzoo/point-maze-stitch/expert-v0",
        _MAZE,
        _DIRECT,
        PolicyReference(_DIRECT),
        "The way from the start to the goal, without noise.",
        episodes=300,
    ),
    Recipe(
        "envzoo/two-state/k120-v0",
        _TWO,
        BehaviourPolicy("Random"),
        ModelReference(horizon=50),
        "2000 single steps from both states equally often; the feature of the second state is 1.2.",
        env_kwargs={"k": 1.2},
        episodes=2000,
        namespace="Steps between two states with one feature (envzoo/TwoStateRealizable-v0).",
        collection_kwargs={"max_episode_steps": 1},
    ),
    Recipe(
        "envzoo/baird-star/behaviour-v0",
        "envzoo/BairdStar-v0",
        ScriptedPolicy(
            "envzoo.datasets.behaviours:draw_actions", {"probabilities": [6 / 7, 1 / 7]}, agent="DashedOrSolid"
        ),
        ModelReference(horizon=50),
        "2000 single steps from the seven states equally often, six in seven of them along the dashed lines; the "
        "target policy takes the solid ones alone.",
        episodes=2000,
        namespace="Steps on the star on which off-policy temporal differences diverge (envzoo/BairdStar-v0).",
        collection_kwargs={"max_episode_steps": 1},
    ),
    Recipe(
        "envzoo/lucky-bandit/p10-v0",
        "envzoo/LuckyBandit-v0",
        ScriptedPolicy("envzoo.datasets.behaviours:choose_arms", {"good": 0.1}, agent="Arms"),
        ModelReference(horizon=1),
        "1000 pulls: one time in ten of the arm that pays with probability 0.9, otherwise of the one with 0.1.",
        episodes=1000,
        namespace="Pulls of a bandit whose rewards are a matter of luck (envzoo/LuckyBandit-v0).",
    ),
    Recipe(
        "envzoo/lucky-bandit/jackpot-v0",
        "envzoo/LuckyBandit-Jackpot-v0",
        BehaviourPolicy("Random"),
        ModelReference(horizon=1),
        "2000 pulls, of either arm equally often: a jackpot of 100 one time in a hundred, or 5 for certain.",
        episodes=2000,
    ),
    Recipe(
        "envzoo/lucky-tree/random-v0",
        "envzoo/LuckyTree-v0",
        BehaviourPolicy("Random"),
        ModelReference(horizon=3),
        "2000 uniformly random walks down the tree.",
        episodes=2000,
        namespace="Walks down a tree whose left half is left to chance (envzoo/LuckyTree-v0).",
    ),
    Recipe(
        "envzoo/slip-lake/eps40-v0",
        "envzoo/SlipLake-v0",
        ScriptedPolicy(
            "envzoo.datasets.behaviours:nearly_optimal", {"horizon": 50, "epsilon": 0.4}, agent="NearlyOptimal"
        ),
        ModelReference(horizon=50),
        "Walks on the lake with the best action of the exact model in six steps of ten, else a random one.",
        episodes=1000,
        namespace="Walks on a lake that slips with probability 0.6 (envzoo/SlipLake-v0).",
    ),
    *(
        Recipe(
            f"envzoo/windy-point/{quality}-v0",
            "envzoo/WindyPoint-v0",
            ScriptedPolicy(_STEER, {"area": area, "noise": 0.5}, agent="Steering"),
            PolicyReference(ScriptedPolicy(_STEER, {"area": "goal", "noise": 0.0}, agent="Steering")),
            f"100 flights of 50 steps to places drawn anew in {text}.",
            episodes=100,
            namespace="Flights of a point mass in wind (envzoo/WindyPoint-v0)." if quality == "half" else "",
        )
        for quality, area, text in (
            ("half", "left", "the left half of the arena, the right half has hardly any data"),
            ("mixed", "everywhere", "the whole arena"),
        )
    ),
    Recipe(
        "envzoo/darkroom/random-v0",
        "envzoo/Darkroom-v0",
        BehaviourPolicy("Random"),
        13.0,  # 20 + 1 steps less the 8 to the goal
        "1000 uniformly random walks in the dark room with the goal in a corner.",
        namespace="Walks in a dark room (envzoo/Darkroom-v0).",
    ),
    _histories("histories", 0.0, "all by Q-learning from nothing"),
    _histories("noisy-histories", 0.3, "14 by Q-learning from nothing and 6 uniformly random"),
)
