"""Pages of datasets: what a recipe gathers, the returns, and where the data lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from envzoo.datasets.histories import read_infos
from envzoo.datasets.recipes import Demonstrations, DrawnPairs, LearningHistories, Recipe, own_recipes
from envzoo.datasets.scores import NAMES, reference_returns
from envzoo.datasets.table import TransitionTable
from envzoo.errors import EnvzooError
from envzoo.files import write_bytes, write_text
from envzoo.scripts.docs.dataset_pictures import draw_actions, draw_coverage, draw_panels, draw_returns
from envzoo.scripts.docs.links import GENERATED
from envzoo.scripts.docs.pair_datasets import QUANTILES, draw_pairs, pair_facts, rewards_of_pairs
from envzoo.scripts.markdown import blocks, code, slug, table

FACTS, PICTURE = "facts.json", "picture.png"


def folder_of(dataset_id: str) -> str:
    """Return the folder of a dataset's page, below docs/."""
    return f"datasets/{slug(dataset_id.removeprefix('envzoo/'))}"


def _references(dataset: Any) -> tuple[float, float]:
    """Read the returns of the random policy and of the reference, which are equal where all policies earn the same."""
    found = [dataset.storage.metadata.get(name) for name in NAMES]
    if None not in found and found[0] == found[1]:
        return float(found[0]), float(found[1])
    return reference_returns(dataset)


def _holds_histories(dataset: Any) -> bool:
    """Return whether the episodes of a dataset are whole learning histories, of many episodes of the environment."""
    recipe = own_recipes().get(dataset.id)
    return recipe is not None and isinstance(recipe.policy, LearningHistories)


def _returns(dataset: Any, data: TransitionTable) -> np.ndarray:
    """Return the returns of the episodes of the environment, to which the references belong."""
    return np.concatenate(read_infos(dataset).returns) if _holds_histories(dataset) else data.episode_returns()


def gather_facts(dataset: Any, data: TransitionTable) -> dict[str, Any]:
    """Compute the numbers of a dataset's page."""
    returns, lengths = _returns(dataset, data), np.diff(np.append(data.episode_starts, len(data)))
    low, high = _references(dataset)
    return {
        "id": dataset.id,
        **({"episodes_of_histories": len(returns)} if _holds_histories(dataset) else {}),
        "episodes": data.num_episodes,
        "transitions": len(data),
        "mean_length": float(lengths.mean()),
        "terminated": float(data.terminals.sum() / data.num_episodes),
        "returns": [float(value) for value in np.percentile(returns, QUANTILES)],
        "mean_return": float(returns.mean()),
        "random": low,
        "reference": high,
    }


def draw_picture(dataset: Any, data: TransitionTable) -> bytes:
    """Draw the histogram of returns, and the coverage of the data; returns a PNG."""

    def draw(left: Any, right: Any) -> None:
        histories = " within the histories" if _holds_histories(dataset) else ""
        draw_returns(left, _returns(dataset, data), _references(dataset), f"Returns of the episodes{histories}")
        recipe = own_recipes().get(dataset.id)
        if recipe is not None and isinstance(recipe.policy, Demonstrations):
            draw_actions(right, data.actions, "Tokens written", "token")
        else:
            draw_coverage(right, dataset.observation_space, data)

    return draw_panels(draw)


def write_facts(root: Path, dataset_id: str) -> None:
    """Write the numbers and the picture of a dataset that has been made.

    Raises:
        DatasetError: It has not been made.
    """
    from envzoo.datasets.store import load_minari

    dataset = load_minari(dataset_id)
    recipe = own_recipes()[dataset_id]
    if isinstance(recipe.policy, DrawnPairs):
        rewards, references = rewards_of_pairs(dataset, recipe.env_id), _references(dataset)
        facts, picture = pair_facts(dataset_id, *rewards, references), draw_pairs(*rewards, references)
    else:
        data = TransitionTable.from_minari(dataset)
        facts, picture = gather_facts(dataset, data), draw_picture(dataset, data)
    folder = root / "docs" / folder_of(dataset_id)
    write_bytes(folder / PICTURE, picture)
    write_text(folder / FACTS, json.dumps(facts, indent=1) + "\n")


def dataset_page(recipe: Recipe, facts: Mapping[str, Any]) -> str:
    """Write the page of a dataset."""
    span = facts["reference"] - facts["random"]

    def score(value: float) -> str:
        return f"{100 * (value - facts['random']) / span:.1f}" if span else "-"

    meaning = (
        f"Scores are 0 at the random policy's return of {facts['random']:.3f} and 100 at the reference of "
        f"{facts['reference']:.3f}."
        if span
        else f"Every policy earns {facts['random']:.3f} on average, so there are no scores."
    )
    names = ("lowest", "25%", "median", "75%", "highest")
    rows = [(name, f"{value:.3f}", score(value)) for name, value in zip(names, facts["returns"], strict=True)]
    rows.append(("mean", f"{facts['mean_return']:.3f}", score(facts["mean_return"])))
    transitions = f"{facts.get('transitions', 0):,} transitions of `{recipe.env_id}`"
    inner = facts.get("episodes_of_histories")
    if "pairs" in facts:
        size = (
            f"{facts['pairs']:,} pairs of answers in `{recipe.env_id}`; in {100 * facts['right']:.0f}% of them the "
            f"chosen answer earns more. The rejected ones earn {facts['rejected']:.3f} on average; the table is of the "
            "chosen ones."
        )
    elif inner is None:
        size = (
            f"{facts['episodes']:,} episodes with {transitions} (mean length {facts['mean_length']:.1f}); "
            f"{100 * facts['terminated']:.0f}% of the episodes terminate."
        )
    else:
        size = f"{facts['episodes']:,} histories with {transitions}. Returns are those of their {inner:,} episodes."
    return blocks(
        f"# {recipe.id}",
        GENERATED,
        recipe.description,
        code("sh", f"envzoo make-dataset {recipe.id}"),
        f"{size} {meaning}",
        f"![Returns and coverage]({PICTURE})",
        table(("", "return", "score"), rows),
    )


def dataset_list(root: Path = Path()) -> dict[str, str]:
    """Return the pages of the recipes whose numbers are in docs/datasets, relative to docs/, by id."""
    folders = {dataset_id: folder_of(dataset_id) for dataset_id in own_recipes()}
    return {
        dataset_id: f"{folder}/README.md"
        for dataset_id, folder in folders.items()
        if (root / "docs" / folder / FACTS).is_file()
    }


def world_of(recipe: Recipe) -> str:
    """Return the name of a recipe's environment, without namespace, kind of interface and version."""
    return recipe.env_id.rpartition("/")[2].rpartition("-v")[0].removesuffix("-Tokens")


def dataset_index(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the table of all datasets with a page, given the numbers of each."""
    lines = []
    for dataset_id, facts in sorted(rows.items()):
        recipe, span = own_recipes()[dataset_id], facts["reference"] - facts["random"]
        score = f"{round(100 * (facts['mean_return'] - facts['random']) / span)}" if span else "-"
        link = f"[{dataset_id}]({folder_of(dataset_id).removeprefix('datasets/')}/README.md)"
        size = f"{facts.get('episodes', facts.get('pairs')):,}"
        lines.append((link, f"`{recipe.env_id}`", size, f"{facts.get('transitions', facts.get('pairs')):,}", score))
    return blocks(
        "# Datasets",
        GENERATED,
        "`envzoo make-dataset ID` makes each of them, most in a few seconds and those on MuJoCo in about half an hour; "
        "then `minari.load_dataset(ID)` loads it. Scores are 0 at the mean return of random actions and 100 at the "
        "reference's. [Offline learning](../offline.md) shows how agents learn from them.",
        table(("dataset", "environment", "episodes", "transitions", "mean score"), lines),
    )


def dataset_pages(root: Path) -> dict[str, str]:
    """Make the pages of the recipes whose numbers are in docs/datasets, and their table.

    Raises:
        EnvzooError: Numbers that are damaged, or of another dataset.
    """
    found, rows = {}, {}
    for dataset_id, recipe in own_recipes().items():
        file = root / "docs" / folder_of(dataset_id) / FACTS
        if not file.exists():
            continue
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            if facts["id"] != dataset_id:
                raise ValueError(f"they are those of {facts['id']}")
            found[f"docs/{folder_of(dataset_id)}/README.md"] = dataset_page(recipe, facts)
            rows[dataset_id] = facts
        except (ValueError, KeyError, TypeError) as error:
            raise EnvzooError(
                f"{file} is damaged ({error}); write it again with `python -P -m envzoo.scripts.picture_datasets "
                f"{dataset_id}`"
            ) from error
    return found | ({"docs/datasets/README.md": dataset_index(rows)} if rows else {})
