"""Pages of datasets: numbers by hand, a picture for each kind of observation, and pages made from them."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from envzoo.datasets import TransitionTable, recipes
from envzoo.datasets.recipes import own_recipes
from envzoo.errors import EnvzooError
from envzoo.scripts.docs import dataset_pictures, pair_datasets
from envzoo.scripts.docs import datasets as pages

STRIPED = "envzoo/line-world/striped-v0"


def stand_in(space, observations, actions):
    """A dataset of two episodes of 2 and 3 steps, and its table."""
    episodes, at = [], 0
    for steps, terminated in ((2, True), (3, False)):
        ends = np.zeros(steps, bool)
        ends[-1] = terminated
        rewards = np.arange(1.0, steps + 1)
        rows = slice(at, at + steps + 1)
        episodes.append((observations[rows], actions[at : at + steps], rewards, ends, ~ends & False))
        at += steps + 1
    metadata = {"ref_min_score": 0.0, "ref_max_score": 12.0}
    dataset = SimpleNamespace(id=STRIPED, observation_space=space, storage=SimpleNamespace(metadata=metadata))
    return dataset, TransitionTable.from_episodes(episodes)


FORMS = {
    "states": (spaces.Discrete(7), np.arange(7), np.arange(7) % 2),
    "line": (spaces.Box(0, 1, (1,)), np.linspace(0, 1, 7)[:, None], np.linspace(-1, 1, 7)[:, None]),
    "plane": (spaces.Box(0, 1, (3,)), np.linspace(0, 1, 21).reshape(7, 3), np.arange(7) % 2),
    "cells": (spaces.MultiDiscrete([8, 9]), np.stack([np.arange(7), np.arange(7) + 1], 1), np.arange(7) % 2),
    "other": (spaces.MultiBinary(2), np.zeros((7, 2), np.int8), np.arange(7) % 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_for_every_kind_of_observation(form):
    dataset, data = stand_in(*FORMS[form])
    picture = pages.draw_picture(dataset, data)
    image = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    assert image.shape[1] >= 800
    assert (image < 200).mean() > 0.01
    assert pages.draw_picture(dataset, data) == picture


@pytest.mark.parametrize("sides", [(3, 4), (30, 40)], ids=["few", "many"])
def test_cells_are_counted_one_by_one(sides):
    from matplotlib.figure import Figure

    cells = np.array([[0, 1], [0, 1], [2, 0], [2, 0], [0, 1], [1, 2], [1, 2]])
    _, data = stand_in(spaces.MultiDiscrete(sides), cells, np.arange(7) % 2)
    axes = Figure().subplots()
    dataset_pictures.draw_coverage(axes, spaces.MultiDiscrete(sides), data)
    (mesh,) = axes.collections
    drawn = mesh.get_array().reshape(sides[1], sides[0])  # [second, first]
    expected = np.zeros(drawn.shape)
    np.add.at(expected, (data.observations[:, 1], data.observations[:, 0]), 1)
    if sides == (3, 4):
        np.testing.assert_allclose(drawn, expected / len(data.observations))
        assert {text.get_position(): text.get_text() for text in axes.texts} == {
            (column, line): f"{drawn[line, column]:.1%}" for line, column in np.ndindex(4, 3)
        }
    else:
        np.testing.assert_allclose(np.expm1(drawn.filled(0)), expected)
        assert not axes.texts
    assert tuple(axes.get_xlim()) == (-0.5, sides[0] - 0.5)


def test_facts_by_hand():
    facts = pages.gather_facts(*stand_in(*FORMS["states"]))
    assert facts["returns"] == [3.0, 3.75, 4.5, 5.25, 6.0]
    assert (facts["episodes"], facts["transitions"], facts["mean_length"], facts["terminated"]) == (2, 5, 2.5, 0.5)
    page = pages.dataset_page(recipes()[STRIPED], facts)
    assert "2 episodes with 5 transitions" in page
    assert "| median | 4.500 | 37.5 |" in page
    assert "50% of the episodes terminate" in page


def test_histories_have_the_returns_of_their_episodes():
    """Two histories of two episodes each: the references are of one episode, so the returns must be, too."""
    rewards = ([1.0, 0.0, 2.0, 3.0], [0.0, 0.0, 0.0, 4.0])
    cells, flags = np.zeros((5, 2), np.int64), np.zeros(4, bool)
    infos = {
        "task": np.zeros(5),
        "episode": np.array([0, 0, 1, 1, 2]),
        "best_action": np.zeros(5),
        "best_return": [4.0],
    }
    dataset = SimpleNamespace(
        id="envzoo/darkroom/histories-v0",
        observation_space=spaces.MultiDiscrete([3, 3]),
        storage=SimpleNamespace(metadata={"ref_min_score": 0.0, "ref_max_score": 5.0}),
        iterate_episodes=lambda: [SimpleNamespace(rewards=row, infos=infos) for row in rewards],
    )
    data = TransitionTable.from_episodes(
        [(cells, np.zeros(4, np.int64), np.array(row), flags, flags) for row in rewards]
    )
    facts = pages.gather_facts(dataset, data)
    assert (facts["episodes"], facts["transitions"], facts["episodes_of_histories"]) == (2, 8, 4)
    assert facts["returns"] == [0.0, 0.75, 2.5, 4.25, 5.0]  # of 0, 1, 4 and 5
    page = pages.dataset_page(recipes()[dataset.id], facts)
    assert "2 histories with 8 transitions of `envzoo/Darkroom-v0`. Returns are those of their 4 episodes." in page
    assert "| highest | 5.000 | 100.0 |" in page
    dataset.id = STRIPED
    assert pages.gather_facts(dataset, data)["returns"][-1] == 6.0
    assert pages.draw_picture(dataset, data)


def test_pages_are_made_from_the_stored_facts(tmp_path):
    assert pages.dataset_pages(tmp_path) == {}
    folder = tmp_path / "docs" / "datasets" / "line-world-striped-v0"
    folder.mkdir(parents=True)
    facts = pages.gather_facts(*stand_in(*FORMS["states"]))
    (folder / "facts.json").write_text(json.dumps(facts))
    found = pages.dataset_pages(tmp_path)
    assert list(found) == ["docs/datasets/line-world-striped-v0/README.md", "docs/datasets/README.md"]
    row = "| [envzoo/line-world/striped-v0](line-world-striped-v0/README.md) | `envzoo/LineWorld-v0` | 2 | 5 | 38 |"
    assert row in found["docs/datasets/README.md"]
    for damaged in (json.dumps(facts | {"id": "another"}), "{", "[]", "{}"):
        (folder / "facts.json").write_text(damaged)
        with pytest.raises(EnvzooError, match="is damaged"):
            pages.dataset_pages(tmp_path)


def test_every_dataset_has_a_folder_of_its_own():
    folders = [pages.folder_of(dataset_id) for dataset_id in recipes()]
    assert len(set(folders)) == len(folders)


def test_a_world_in_which_all_policies_earn_the_same_has_no_scores():
    dataset, data = stand_in(*FORMS["states"])
    dataset.storage.metadata["ref_min_score"] = dataset.storage.metadata["ref_max_score"] = 5.9
    facts = pages.gather_facts(dataset, data)
    page = pages.dataset_page(recipes()[STRIPED], facts)
    assert "Every policy earns 5.900 on average, so there are no scores." in page
    assert "| median | 4.500 | - |" in page
    assert pages.draw_picture(dataset, data)


def test_a_page_of_pairs_by_hand():
    """The chosen answer earns more in two pairs of four."""
    rewards = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 2.0, 3.5, 2.0])
    facts = pair_datasets.pair_facts("envzoo/text-tiny-summary/pairs-v0", *rewards, (-1.0, 4.0))
    assert (facts["pairs"], facts["right"], facts["rejected"], facts["mean_return"]) == (4, 0.5, 2.0, 2.5)
    page = pages.dataset_page(recipes()[facts["id"]], facts)
    assert "4 pairs of answers" in page
    assert "in 50% of them the chosen answer earns more. The rejected ones earn 2.000 on average" in page
    assert "| highest | 4.000 | 100.0 |" in page
    image = np.asarray(Image.open(io.BytesIO(pair_datasets.draw_pairs(*rewards, (-1.0, 4.0)))).convert("L"))
    assert (image < 200).mean() > 0.01


def test_rewards_of_pairs_differ_by_the_margins():
    """The environment's definition draws the margins from the qualities, without the answers' tokens."""
    env = gym.make("envzoo/TextTinySummary-v0", disable_env_checker=True)
    definition = env.unwrapped.definition
    pairs, task = definition.preference_pairs(50, 1), definition.task
    rewards = task.verify(task.prompt_ids(pairs["prompts"]), np.stack([task.answer_ids(a) for a in pairs["chosen"]]))
    rows = zip(pairs["prompts"], pairs["chosen"], pairs["rejected"], rewards, strict=True)
    episodes = [
        SimpleNamespace(observations=[prompt], actions=[chosen], rewards=[reward], infos={"rejected": [rejected] * 2})
        for prompt, chosen, rejected, reward in rows
    ]
    dataset = SimpleNamespace(id="pairs", iterate_episodes=lambda: episodes)
    chosen, rejected = pair_datasets.rewards_of_pairs(dataset, "envzoo/TextTinySummary-v0")
    np.testing.assert_array_equal(chosen, rewards)
    np.testing.assert_allclose(np.abs(chosen - rejected), pairs["margin"])
    assert (chosen > rejected).any()
    assert (chosen < rejected).any()


def test_tokens_and_worlds_with_one_state_show_their_actions():
    from matplotlib.figure import Figure

    _, data = stand_in(spaces.Discrete(1), np.zeros(7, np.int64), np.arange(7) % 2)
    axes = Figure().subplots()
    dataset_pictures.draw_coverage(axes, spaces.Discrete(1), data)
    assert axes.get_title() == "Actions"
    dataset_pictures.draw_actions(axes, np.array([0, 2, 2]), "Tokens written", "token")
    assert [bar.get_height() for bar in axes.patches[-3:]] == [1.0, 0.0, 2.0]


def test_every_dataset_has_a_page():
    paged = pages.dataset_list(Path(__file__).resolve().parents[2])
    assert not [name for name in own_recipes() if name not in paged]
