"""The table of datasets that envzoo can make: each one is data, and `envzoo make-dataset ID` carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from envzoo.errors import unknown

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class BehaviourPolicy:
    """Who plays the episodes: an agent, and how long it learns first.

    Attributes:
        agent: Name of a registered agent.
        timesteps: Environment steps it learns for; 0 for none.
        seed: Seed of the agent, for learning and acting.
        hyperparameters: Fields of the agent's config that differ from its defaults.
        deterministic: Whether it plays the mode of its policy rather than samples.
    """

    agent: str
    timesteps: int = 0
    seed: int = 0
    hyperparameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    deterministic: bool = False


@dataclass(frozen=True)
class Demonstrations:
    """Who plays the episodes of a text puzzle: the puzzle's own generator of demonstrations.

    Attributes:
        noise: Share of flawed demonstrations; see the puzzle's manual.
        seed: Seed of the demonstrations.
        agent: How the dataset's metadata name it.
    """

    noise: float = 0.25
    seed: int = 0
    agent: str = "Demonstrations"


@dataclass(frozen=True)
class BeamReference:
    """How the score 100 is planned: `envzoo.agents.planners.beam_search` with these settings.

    Attributes:
        width: Plans kept per step.
        horizon: Steps of a plan.
        signature: State fields that decide how an episode goes on (and never how it came there).
    """

    width: int
    horizon: int
    signature: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the content of a dataset.

    Attributes:
        id: Minari id, `envzoo/<environment>/<quality>-vN`.
        env_id: Gymnasium id.
        policy: Who plays.
        reference: How the near-optimal return is found, or that return.
        description: One or two sentences for the dataset's metadata.
        env_kwargs: Keywords of the environment (numbers, strings, lists: they are stored as JSON).
        episodes: Number of episodes.
        seed: Episode i is played with the environment seed `seed + i`.
    """

    id: str
    env_id: str
    policy: BehaviourPolicy | Demonstrations
    reference: BeamReference | float
    description: str
    env_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    episodes: int = 1000
    seed: int = 0


# Folders of the text puzzles' datasets, and their environments.
_PUZZLES = {
    "text-sum-to": "envzoo/TextSumTo-Tokens-v0",
    "text-countdown": "envzoo/TextCountdown-Tokens-v0",
    "text-chain-arith": "envzoo/TextChainArith-Tokens-v0",
    "text-sort": "envzoo/TextSort-Tokens-v0",
    "text-parity": "envzoo/TextParity-Tokens-v0",
    "text-maze": "envzoo/TextMaze-Tokens-v0",
    "text-spark": "envzoo/TextSpark-Tokens-v0",
    "text-tool-puzzle": "envzoo/TextToolPuzzle-Tokens-v0",
}

# Descriptions of the namespaces, the folders of a Minari root.
NAMESPACES: Mapping[str, str] = MappingProxyType(
    {
        "envzoo": "Datasets on the environments of envzoo, made on this machine from its recipes.",
        "envzoo/block-chain-goal": "A line of dark and noisy rooms with a rewarded goal at its far end "
        "(envzoo/BlockChain-Goal-v0).",
        "envzoo/grid-coverage": "Walks that cover a grid, for a reward of one per newly covered cell "
        "(envzoo/GridCoverage-v0).",
        **{
            f"envzoo/{folder}": f"Demonstrations for a text puzzle, token by token ({env_id})."
            for folder, env_id in _PUZZLES.items()
        },
    }
)

_GRID = "envzoo/GridCoverage-v0"
# What was covered and where one stands decide the rest of a walk; the order of the visits does not.
_GRID_PLAN = BeamReference(width=1000, horizon=20, signature=("position", "covered"))
# Rewards depend on where one stands when, and never on the noise.
_CHAIN_PLAN = BeamReference(width=12, horizon=64, signature=("room",))

_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "envzoo/grid-coverage/random-v0",
        _GRID,
        BehaviourPolicy("Random"),
        _GRID_PLAN,
        "Uniformly random walks on the 10x10 grid.",
    ),
    Recipe(
        "envzoo/grid-coverage/medium-v0",
        _GRID,
        BehaviourPolicy("SubPO", timesteps=50_000),
        _GRID_PLAN,
        "Walks on the 10x10 grid sampled from a tabular SubPO policy that learned briefly: about four tenths of the "
        "way from random to planned.",
    ),
    Recipe(
        "envzoo/grid-coverage/expert-v0",
        _GRID,
        BehaviourPolicy("SubPO", timesteps=800_000),
        _GRID_PLAN,
        "Walks on the 10x10 grid sampled from a tabular SubPO policy that learned for long: about nine tenths of the "
        "way from random to planned.",
    ),
    Recipe(
        "envzoo/block-chain-goal/random-v0",
        "envzoo/BlockChain-Goal-v0",
        BehaviourPolicy("Random"),
        _CHAIN_PLAN,
        "Uniformly random walks along a line of twelve rooms, every second of which shows random colours until its "
        "button is pressed; the goal in the last room is found by few.",
    ),
    *(
        Recipe(
            f"envzoo/{folder}/demonstrations-v0",
            env_id,
            Demonstrations(),
            1.0,
            "Demonstrations of the puzzle's own generator on its training problems, a quarter of them flawed in the "
            "way that the puzzle's manual describes.",
        )
        for folder, env_id in _PUZZLES.items()
    ),
)


def recipes() -> dict[str, Recipe]:
    """All recipes by dataset id, in the order of the table."""
    return {row.id: row for row in _RECIPES}


def recipe(dataset_id: str) -> Recipe:
    """The recipe of one dataset; raises UnknownNameError with the nearest id."""
    known = recipes()
    if not isinstance(dataset_id, str) or dataset_id not in known:
        raise unknown("dataset", dataset_id, known, where="`envzoo list datasets` shows them all")
    return known[dataset_id]
