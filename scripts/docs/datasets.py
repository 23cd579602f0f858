"""Pages of datasets: what a recipe gathers, the returns, and where the data lie."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.datasets.histories import read_infos
from envzoo.datasets.preference_pairs import read_pairs
from envzoo.datasets.recipes import Demonstrations, DrawnPairs, LearningHistories, Recipe, own_recipes
from envzoo.datasets.scores import NAMES, reference_returns
from envzoo.datasets.table import TransitionTable
from envzoo.errors import EnvzooError
from envzoo.files import write_bytes, write_text
from envzoo.scripts.docs.links import GENERATED
from envzoo.scripts.markdown import blocks, code, slug, table

FACTS, PICTURE = "facts.json", "picture.png"
SHARES = (0, 25, 50, 75, 100)
MOST_STATES = 400  # values of a Discrete observation that are drawn one by one
FEW_CELLS = 36  # cells in which their share of the transitions is written
BINS = 60


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
        "returns": [float(value) for value in np.percentile(returns, SHARES)],
        "mean_return": float(returns.mean()),
        "random": low,
        "reference": high,
    }


def draw_picture(dataset: Any, data: TransitionTable) -> bytes:
    """Draw the histogram of returns, and the coverage of the data; returns a PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.core.figures import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        histories = " within the histories" if _holds_histories(dataset) else ""
        draw_returns(left, _returns(dataset, data), _references(dataset), f"Returns of the episodes{histories}")
        recipe = own_recipes().get(dataset.id)
        if recipe is not None and isinstance(recipe.policy, Demonstrations):
            draw_actions(right, data.actions, "Tokens written", "token")
        else:
            draw_coverage(right, dataset.observation_space, data)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_returns(axes: Any, returns: np.ndarray, references: tuple[float, float], title: str) -> None:
    """Draw the histogram of returns, and the returns of the random policy and of the reference."""
    from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE

    low, high = references
    # The bins reach to the references, so that a bar is wide enough to be seen where all returns are equal.
    axes.hist(returns, bins=40, range=(min(returns.min(), low, high), max(returns.max(), low, high)), color=BLUE)
    top = axes.get_ylim()[1]
    for value, words, colour in ((low, "random", GREY), (high, "reference", ORANGE)):
        axes.axvline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.annotate(
            words,
            (value, top),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            rotation=90,
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    axes.set(title=title, xlabel="return", ylabel="episodes")


def draw_actions(axes: Any, actions: np.ndarray, title: str = "Actions", label: str = "action") -> None:
    """Draw how often each action was taken, (N,), or the histogram of the first number of (N, ...)."""
    from envzoo.scripts.experiments.core.figures import BLUE

    actions = actions.reshape(len(actions), -1)[:, 0]
    discrete = actions.dtype.kind in "iu"
    bins = np.arange(actions.min(), actions.max() + 2) - 0.5 if discrete else 40
    axes.hist(actions, bins=bins, color=BLUE, rwidth=0.9)
    if discrete:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(title=title, xlabel=label, ylabel="transitions")


def draw_coverage(axes: Any, space: spaces.Space, data: TransitionTable) -> None:
    """Draw how often what was observed: cells, columns of the observation, or else the actions."""
    from envzoo.scripts.experiments.core.figures import BLUE

    rows = data.observations
    if isinstance(space, spaces.Discrete) and 1 < space.n <= MOST_STATES:
        counts = np.bincount(rows.astype(np.int64) - int(space.start), minlength=int(space.n))
        axes.bar(np.arange(len(counts)), counts, color=BLUE, width=1)
        axes.set(title="Visits of the states", xlabel="state", ylabel="transitions")
        return
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and space.nvec.size > 1:
        columns, lines = (np.arange(n + 1) + start - 0.5 for n, start in zip(space.nvec[:2], space.start, strict=False))
        draw = _shares if np.prod(space.nvec[:2]) <= FEW_CELLS else _density
        draw(axes, rows[:, 0], rows[:, 1], bins=(columns, lines))
        axes.set(title="Cells visited", xlabel="first column of the observation", ylabel="second column")
        axes.set_aspect("equal")
        return
    flat = isinstance(space, spaces.Box) and rows.ndim == 2 and rows.shape[1] > 0
    if flat and rows.shape[1] == 1 and data.actions.ndim == 2:
        _density(axes, rows[:, 0], data.actions[:, 0])
        axes.set(title="Observations and actions", xlabel="observation", ylabel="action")
    elif flat and rows.shape[1] > 1:
        _density(axes, rows[:, 0], rows[:, 1])
        axes.set(title="Places visited", xlabel="first column of the observation", ylabel="second column")
    else:
        draw_actions(axes, data.actions)


def _density(axes: Any, x: np.ndarray, y: np.ndarray, bins: Any = BINS) -> None:
    counts, columns, lines = np.histogram2d(x, y, bins=bins)
    axes.pcolormesh(columns, lines, np.where(counts > 0, np.log1p(counts), np.nan).T, cmap="Blues", vmin=-1)
    axes.grid(False)


def _shares(axes: Any, x: np.ndarray, y: np.ndarray, bins: Any) -> None:
    """Colour each cell by its share of the transitions, and write the share into it."""
    counts, columns, lines = np.histogram2d(x, y, bins=bins)
    shares = counts / counts.sum()
    axes.pcolormesh(columns, lines, shares.T, cmap="Blues", vmin=0)
    for (column, line), share in np.ndenumerate(shares):
        axes.text(
            columns[column] + 0.5,
            lines[line] + 0.5,
            f"{share:.1%}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share > shares.max() / 2 else "black",
        )
    axes.grid(False)


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


def pair_facts(id: str, chosen: np.ndarray, rejected: np.ndarray, references: tuple[float, float]) -> dict[str, Any]:
    """Compute the numbers of the page of a dataset of pairs from the rewards of their answers, (N,) each."""
    return {
        "id": id,
        "pairs": len(chosen),
        "right": float((chosen > rejected).mean()),
        "rejected": float(rejected.mean()),
        "returns": [float(value) for value in np.percentile(chosen, SHARES)],
        "mean_return": float(chosen.mean()),
        "random": references[0],
        "reference": references[1],
    }


def draw_pairs(chosen: np.ndarray, rejected: np.ndarray, references: tuple[float, float]) -> bytes:
    """Draw the rewards of the chosen answers, and by how much they exceed those of the rejected ones; returns a PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.core.figures import BLUE, GREY, STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_returns(left, chosen, references, "Rewards of the chosen answers")
        left.set(xlabel="reward", ylabel="pairs")
        right.hist(chosen - rejected, bins=40, color=BLUE)
        right.axvline(0, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2)
        right.set(title="Chosen less rejected", xlabel="difference of rewards", ylabel="pairs")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def rewards_of_pairs(dataset: Any, env_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rewards of the chosen answers and of the rejected ones, which the environment computes; (N,) each."""
    import gymnasium as gym

    env = gym.make(env_id, disable_env_checker=True)
    task = env.unwrapped.definition.task
    env.close()
    pairs = read_pairs(dataset)
    answers = np.stack([task.answer_ids(text) for text in pairs["rejected"]])
    chosen = np.array([episode.rewards[0] for episode in dataset.iterate_episodes()])
    return chosen, task.verify(task.prompt_ids(pairs["prompts"]), answers)


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
        "`envzoo make-dataset ID` makes each of them, most in a few seconds and those on MuJoCo in up to half an hour; "
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
