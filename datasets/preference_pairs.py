"""Pairs of a chosen and a rejected answer as Minari datasets: written, and read back.

An episode is a pair. It has one step, in which the chosen answer is the action; the infos hold the rejected answer
(`rejected`), and where they are known by how much the chosen one is better (`margin`) and the probability that it is
the better one (`label`). Prompts and answers are texts, or whole numbers for environments with Discrete spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.datasets.collector import write
from envzoo.datasets.store import damaged
from envzoo.errors import DatasetError, EnvzooError

if TYPE_CHECKING:
    from minari import MinariDataset
    from minari.data_collector import EpisodeBuffer

REJECTED, MARGIN, LABEL = "rejected", "margin", "label"  # infos


def write_pairs(
    dataset_id: str,
    pairs: Mapping[str, Any],
    rewards: Sequence[float] | np.ndarray,
    *,
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    description: str = "Pairs of a chosen and a rejected answer.",
    algorithm: str = "pairs",
    ref_min_score: float | None = None,
    ref_max_score: float | None = None,
    facts: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write N pairs to a dataset in the Minari root, atomically.

    Args:
        dataset_id: `(namespace/)*name-vN`.
        pairs: `prompts`, `chosen` and `rejected`, N each, and optionally `margin` and `label`, as for
            `envzoo.agents.source.Preferences`.
        rewards: (N,), the environment's rewards of the chosen answers.
        env_id: Environment in which the chosen answers are actions.
        env_kwargs: Its keyword arguments.
        description: Description of the dataset, for readers.
        algorithm: Where the answers come from.
        ref_min_score, ref_max_score: Mean returns of a random and of a near-optimal policy; None for the lowest and
            the highest of `rewards`.
        facts: Further metadata, JSON-serialisable.
        overwrite: Replace an existing dataset of the same id.

    Returns:
        The dataset's folder.

    Raises:
        EnvzooError: Numbers of rows differ, prompts and answers are neither texts nor whole numbers, an answer is empty
            or both are the same, or a label is no probability.
        DatasetError: The id is malformed, or the dataset exists and `overwrite` is False.
    """
    rewards = np.asarray(rewards, np.float64)
    if rewards.ndim != 1 or not rewards.size or not np.isfinite(rewards).all():
        raise EnvzooError(f"rewards have the shape {rewards.shape}; expected one finite number for each pair, (N,)")
    buffers = _episodes(pairs, rewards)
    return write(
        dataset_id,
        buffers,
        env_id=env_id,
        env_kwargs=env_kwargs,
        description=description,
        algorithm=algorithm,
        ref_min_score=float(rewards.min()) if ref_min_score is None else ref_min_score,
        ref_max_score=float(rewards.max()) if ref_max_score is None else ref_max_score,
        facts=facts,
        overwrite=overwrite,
    )


def _episodes(pairs: Mapping[str, Any], rewards: np.ndarray) -> list[EpisodeBuffer]:
    from minari.data_collector import EpisodeBuffer

    prompts, chosen, rejected = (pairs[name] for name in ("prompts", "chosen", REJECTED))
    margin, label = pairs.get(MARGIN), pairs.get(LABEL)
    for name, values in (("chosen", chosen), (REJECTED, rejected), ("rewards", rewards)):
        if len(values) != len(prompts):
            raise EnvzooError(f"{name} has {len(values)} rows, expected {len(prompts)}, one for each of the prompts")
    buffers = []
    for k in range(len(prompts)):
        asked, answer, other = (_item(values[k], k) for values in (prompts, chosen, rejected))
        _check_pair(k, answer, other, None if label is None else label[k])
        texts = isinstance(asked, str)
        infos: dict[str, Any] = {REJECTED: [other, other] if texts else np.array([other, other])}
        for name, values in ((MARGIN, margin), (LABEL, label)):
            if values is not None:
                infos[name] = np.full(2, values[k], np.float64)
        buffers.append(
            EpisodeBuffer(
                observations=[asked, asked + answer] if texts else np.array([asked, asked]),
                actions=[answer] if texts else np.array([answer]),
                rewards=rewards[k : k + 1],
                terminations=np.ones(1, bool),
                truncations=np.zeros(1, bool),
                infos=infos,
            )
        )
    return buffers


def _item(value: Any, number: int) -> str | int:
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise EnvzooError(f"pair {number} holds a {type(value).__name__}; expected texts or whole numbers")


def _check_pair(number: int, answer: str | int, other: str | int, label: Any) -> None:
    """Raise EnvzooError for a pair from which no agent learns, before anything is written."""
    for name, text in (("chosen", answer), (REJECTED, other)):
        if text == "":
            raise EnvzooError(f"pair {number} has an empty {name} answer; expected a text")
    if answer == other:
        shown = answer[:60] if isinstance(answer, str) else answer
        raise EnvzooError(f"pair {number} has the answer {shown!r} twice; expected two different answers")
    if label is not None and not 0 <= float(label) <= 1:  # NaN, too
        raise EnvzooError(f"pair {number} has the label {float(label):g}; expected a probability, in [0, 1]")


def read_pairs(dataset: MinariDataset) -> dict[str, Any]:
    """Read all pairs of a dataset; this takes about a millisecond per pair.

    Returns:
        Keyword arguments of `envzoo.agents.source.Preferences`.

    Raises:
        DatasetError: The dataset is empty, is damaged, or has an episode that is no pair.
    """
    try:
        episodes = list(dataset.iterate_episodes())
    except (OSError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise damaged(dataset.id, error) from error
    if not episodes:
        raise DatasetError(f"dataset {dataset.id} holds no pairs")
    found: dict[str, list[Any]] = {"prompts": [], "chosen": [], REJECTED: [], MARGIN: [], LABEL: []}
    for number, episode in enumerate(episodes):
        infos = episode.infos or {}
        if REJECTED not in infos or len(episode.rewards) != 1 or len(infos[REJECTED]) != 2:
            raise DatasetError(
                f"episode {number} of dataset {dataset.id} is no pair; expected one step, with the rejected answer in "
                f"the info {REJECTED!r}"
            )
        found["prompts"].append(_plain(episode.observations[0], dataset.id))
        found["chosen"].append(_plain(episode.actions[0], dataset.id))
        found[REJECTED].append(_plain(infos[REJECTED][0], dataset.id))
        for name in (MARGIN, LABEL):
            if name in infos:
                try:
                    found[name].append(float(infos[name][0]))
                except (TypeError, ValueError, IndexError) as error:
                    raise damaged(dataset.id, error) from error
    result: dict[str, Any] = {}
    for name in ("prompts", "chosen", REJECTED):
        values = found[name]
        texts = [isinstance(value, str) for value in values]
        if any(texts) != all(texts):
            raise DatasetError(f"dataset {dataset.id} mixes texts and numbers in its {name}; expected one kind")
        result[name] = tuple(values) if all(texts) else np.array(values)
    for name in (MARGIN, LABEL):
        if len(found[name]) not in (0, len(episodes)):
            raise DatasetError(f"dataset {dataset.id} has a {name} for {len(found[name])} of {len(episodes)} pairs")
        result[name] = np.array(found[name]) if found[name] else None
    return result


def _plain(value: Any, name: str) -> str | int:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise damaged(name, error) from error
    if isinstance(value, str):
        return str(value)
    array = np.asarray(value)
    if array.shape == () and array.dtype.kind in "iu":
        return int(array)
    raise DatasetError(f"dataset {name} holds pairs of {array.dtype}, {array.shape}; expected texts or whole numbers")


# ---------------------------------------------------------------------------- TRL's preference format


def to_trl(pairs: Any) -> list[dict[str, Any]]:
    """Convert pairs of texts to rows of TRL's preference format with explicit prompts.

    `datasets.Dataset.from_list(rows)` is the `train_dataset` of TRL's trainers; columns that they do not know, such as
    `label`, are ignored by them. TRL's RewardTrainer uses `margin`.

    Args:
        pairs: `Preferences`, or a mapping with its fields.

    Raises:
        EnvzooError: Prompts and answers are no texts.
    """
    get = pairs.get if isinstance(pairs, Mapping) else lambda name: getattr(pairs, name, None)
    columns = {"prompt": get("prompts"), "chosen": get("chosen"), REJECTED: get(REJECTED)}
    for name, values in columns.items():
        if values is None or not all(isinstance(value, str) for value in values):
            raise EnvzooError(f"the column {name} of TRL's preference format holds texts; these pairs have numbers")
    for name in (MARGIN, LABEL):
        if get(name) is not None:
            columns[name] = [float(value) for value in get(name)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def from_trl(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Convert rows of TRL's preference format to keyword arguments of `envzoo.agents.source.Preferences`.

    Rows have texts, or conversations with one message of the user as the prompt and one of the assistant as an answer.
    Without the column `prompt`, the prompt is what both answers begin with, as in TRL.

    Args:
        rows: A `datasets.Dataset`, or a list of dicts.

    Raises:
        EnvzooError: A row lacks an answer, or holds a longer conversation.
    """
    found: dict[str, list[Any]] = {"prompts": [], "chosen": [], REJECTED: [], MARGIN: [], LABEL: []}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or "chosen" not in row or REJECTED not in row:
            raise EnvzooError(f"row {number} lacks 'chosen' or 'rejected'; expected TRL's preference format")
        if "prompt" in row:
            asked = _message(row["prompt"], "user", number)
            answers = [_message(row[name], "assistant", number) for name in ("chosen", REJECTED)]
        else:
            asked, *answers = _split_prompt(row["chosen"], row[REJECTED], number)
        for name, value in zip(("prompts", "chosen", REJECTED), (asked, *answers), strict=True):
            found[name].append(value)
        for name in (MARGIN, LABEL):
            value = row.get(name)
            if value is not None and not isinstance(value, int | float | np.number):
                raise EnvzooError(f"row {number} has the {name} {value!r:.60}; expected a number")
            if value is not None:
                found[name].append(float(value))
    count = len(found["prompts"])
    if not count:
        raise EnvzooError("there are no rows; expected TRL's preference format, with at least one pair")
    for name in (MARGIN, LABEL):
        if len(found[name]) not in (0, count):
            raise EnvzooError(f"{len(found[name])} of {count} rows have a {name}; expected all of them, or none")
    texts = {name: tuple(found[name]) for name in ("prompts", "chosen", REJECTED)}
    return texts | {name: np.array(found[name]) if found[name] else None for name in (MARGIN, LABEL)}


def _message(value: Any, role: str, number: int) -> str:
    if isinstance(value, str):
        return value
    one = isinstance(value, Sequence) and len(value) == 1 and isinstance(value[0], Mapping)
    if one and value[0].get("role") == role and isinstance(value[0].get("content"), str):
        return value[0]["content"]
    raise EnvzooError(f"row {number} holds something else than a text, or one message of the {role}")


def _split_prompt(chosen: Any, rejected: Any, number: int) -> tuple[str, str, str]:
    if isinstance(chosen, str) and isinstance(rejected, str):
        differ = (k for k, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b)
        common = next(differ, min(len(chosen), len(rejected)))
        # As TRL does: a space before the answers belongs to them.
        if common and chosen[common - 1] == " ":
            common -= 1
        return chosen[:common], chosen[common:], rejected[common:]
    both = isinstance(chosen, Sequence) and isinstance(rejected, Sequence)
    if both and len(chosen) == len(rejected) == 2 and chosen[0] == rejected[0]:
        answers = (_message(talk[1:], "assistant", number) for talk in (chosen, rejected))
        return _message(chosen[:1], "user", number), *answers
    raise EnvzooError(f"row {number} has no common prompt of its answers, or a conversation of several turns")
