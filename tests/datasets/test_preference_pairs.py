"""Pairs as Minari datasets and in TRL's preference format, and learning from them."""

import json
import shutil

import minari
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.agents.evaluation import evaluate
from envzoo.agents.source import Preferences
from envzoo.datasets import load_minari, preference_pairs
from envzoo.datasets.preference_pairs import from_trl, read_pairs, to_trl, write_pairs
from envzoo.errors import DatasetError, EnvzooError
from envzoo.preference.did_table import DIDTable
from envzoo.scripts.make_dataset import make_dataset
from envzoo.scripts.training import train
from envzoo.scripts.trees import leaves

PAIRS = "envzoo/text-tiny-summary/pairs-v0"
SMALL = {
    "batch_size": 4, "sft_updates": 2, "sft_batch": 8, "model_dim": 8, "model_layers": 1, "model_heads": 2,
}  # fmt: skip
TEXTS = {"prompts": ("x", "yä"), "chosen": ("a", "bb"), "rejected": ("b\n", "中")}


def write(pairs, env_id="envzoo/TextTinySummary-v0", dataset_id="test/some-v0", **rest):
    write_pairs(dataset_id, pairs, np.zeros(len(pairs["prompts"])), env_id=env_id, **rest)
    return load_minari(dataset_id)


def same(one, other):
    for name in ("prompts", "chosen", "rejected", "margin", "label"):
        a, b = one.get(name), other.get(name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert np.array_equal(np.asarray(a), np.asarray(b)), name


def test_the_recipe_keeps_both_answers_and_the_margin():
    make_dataset(PAIRS, quiet=True, episodes=30)
    dataset = minari.load_dataset(PAIRS)
    env = dataset.recover_environment()
    definition = env.unwrapped.definition
    drawn = definition.preference_pairs(30, 0)
    same(read_pairs(dataset), drawn | {"label": None})
    quality = definition.task.verify_text
    for episode, margin in zip(dataset.iterate_episodes(), drawn["margin"], strict=True):
        post, answer, other = episode.observations[0], episode.actions[0], episode.infos["rejected"][0].decode()
        assert episode.rewards[0] == quality([post], [answer])[0]
        assert abs(episode.rewards[0] - quality([post], [other])[0]) == pytest.approx(margin, abs=1e-6)
        assert episode.observations[1] == post + answer
        assert episode.terminations.tolist() == [True]
    metadata = dataset.storage.metadata
    assert metadata["ref_max_score"] == 4.5
    assert -2 <= metadata["ref_min_score"] < 0


@pytest.mark.parametrize("more", [{}, {"margin": [0.0, 2.5], "label": [1.0, 0.25]}])
def test_texts_and_numbers_come_back(more):
    pairs = TEXTS | {name: np.array(values) for name, values in more.items()}
    same(read_pairs(write(pairs)), pairs)
    numbers = DIDTable(4).preference_pairs(5)
    same(read_pairs(write(numbers, "envzoo/DIDTable-v0", "test/numbers-v0")), numbers)


@pytest.mark.parametrize("name", ["DPO", "DPODegree"])
def test_a_run_that_was_killed_is_resumed_exactly(name, tmp_path):
    make_dataset(PAIRS, quiet=True, episodes=12)
    options = {"timesteps": 24, "eval_episodes": 2, "checkpoint_every": 8, "device": "cpu", "progress": False}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(name, PAIRS, SMALL, run_dir=str(whole), **options)
    shutil.copytree(whole, killed, copy_function=shutil.copy2)
    for file in ("agent.zip", "results.json", "checkpoints/checkpoint-24.zip"):  # as after kill -9 in the last pass
        (killed / file).unlink()
    train(name, PAIRS, run_dir=str(killed), resume=True, progress=False)
    trees = [dict(leaves(checkpoint.read(folder / "agent.zip")[1])) for folder in (whole, killed)]
    assert trees[0].keys() == trees[1].keys()
    assert all(np.array_equal(trees[0][path], trees[1][path]) for path in trees[0])
    rows = [
        [{k: v for k, v in row.items() if not k.startswith("time/")} for row in read_metrics(folder / "metrics.jsonl")]
        for folder in (whole, killed)
    ]
    assert rows[0] == rows[1]
    assert json.loads((whole / "results.json").read_text()) == json.loads((killed / "results.json").read_text())


def test_learning_from_the_dataset_is_learning_from_its_pairs():
    make_dataset(PAIRS, quiet=True, episodes=12)
    of_dataset = agents.make("DPO", PAIRS, device="cpu", seed=3, **SMALL)
    assert of_dataset.source.kind == "preferences"
    assert of_dataset.task.name == "TextTinySummary"
    result = evaluate(of_dataset.learn(8), episodes=3)  # in the environment that the dataset names
    assert result.returns.shape == (3,)
    assert agents.make("DPODegree", PAIRS, device="cpu", extractor="known", **SMALL).valid.any()
    table = write(
        DIDTable(4).preference_pairs(50), "envzoo/DIDTable-v0", "test/numbers-v0", env_kwargs={"responses": 4}
    )
    learner = agents.make("DPO", "test/numbers-v0", device="cpu", batch_size=8).learn(16)
    given = agents.make("DPO", Preferences(**read_pairs(table)), device="cpu", batch_size=8).learn(16)
    assert np.array_equal(learner.policy.logits.detach(), given.policy.logits.detach())


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(texts, texts, texts, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4))
def test_trl_format_and_back(rows):
    columns = list(zip(*rows, strict=True))
    pairs = dict(zip(("prompts", "chosen", "rejected"), columns, strict=False))
    pairs |= {"margin": np.array(columns[3]), "label": np.array(columns[4])}
    same(from_trl(to_trl(pairs)), pairs)
    given = Preferences(**pairs)
    same(from_trl(to_trl(given)), vars(given))


def test_trl_reads_our_rows_as_preferences():
    trl_data = pytest.importorskip("trl.data_utils")
    from datasets import Dataset

    rows = to_trl(TEXTS | {"margin": np.array([1.0, 2.0])})
    data = Dataset.from_list(rows)
    assert data.column_names == ["prompt", "chosen", "rejected", "margin"]
    assert not trl_data.is_conversational(data[0])
    same(from_trl(data), TEXTS | {"margin": np.array([1.0, 2.0]), "label": None})
    # Implicit prompts, and conversations, as TRL's own functions split them.
    implicit = {"chosen": "The sky is blue.", "rejected": "The sky is green."}
    theirs = trl_data.extract_prompt(implicit)
    assert from_trl([implicit])["prompts"] == (theirs["prompt"],)
    assert from_trl([implicit])["chosen"] == (theirs["chosen"],)
    talks = {
        name: [{"role": "user", "content": "Sky?"}, {"role": "assistant", "content": answer}]
        for name, answer in (("chosen", "blue"), ("rejected", "green"))
    }
    for row in (talks, trl_data.extract_prompt(talks)):
        found = from_trl([row])
        assert (found["prompts"], found["chosen"], found["rejected"]) == (("Sky?",), ("blue",), ("green",))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: write(TEXTS | {"chosen": ("a",)}), EnvzooError, "chosen has 1 rows, expected 2"),
        (lambda: write(TEXTS | {"chosen": (1.5, 2.5)}), EnvzooError, "pair 0 holds a float; expected texts or whole"),
        (lambda: write(TEXTS | {"rejected": TEXTS["chosen"]}), EnvzooError, "pair 0 has the answer .* twice"),
        (lambda: write(TEXTS | {"rejected": (TEXTS["rejected"][0], "")}), EnvzooError, "pair 1 has an empty rejected"),
        (lambda: write(TEXTS | {"label": (0.5, 1.5)}), EnvzooError, "pair 1 has the label 1.5; expected a probab"),
        (lambda: write(TEXTS | {"label": (np.nan, 0.5)}), EnvzooError, "pair 0 has the label nan"),
        (lambda: to_trl(DIDTable(4).preference_pairs(3)), EnvzooError, "prompt of TRL's preference format holds texts"),
        (lambda: from_trl([{"prompt": "a"}]), EnvzooError, "row 0 lacks 'chosen' or 'rejected'"),
        (lambda: from_trl([]), EnvzooError, "there are no rows"),
        (
            lambda: from_trl([{"prompt": "a", "chosen": "b", "rejected": "c", "margin": "much"}]),
            EnvzooError,
            "row 0 has the margin 'much'; expected a number",
        ),
        (
            lambda: write_pairs(
                "test/none-v0", {"prompts": (), "chosen": (), "rejected": ()}, [], env_id="CartPole-v1"
            ),
            EnvzooError,
            r"rewards have the shape \(0,\); expected one finite number for each pair",
        ),
        (lambda: from_trl([{"prompt": 3, "chosen": "a", "rejected": "b"}]), EnvzooError, "row 0 holds something else"),
        (lambda: from_trl([{"chosen": [], "rejected": []}]), EnvzooError, "row 0 has no common prompt"),
        (
            lambda: from_trl([{"prompt": "a", "chosen": "b", "rejected": "c", "margin": 1.0}, TEXTS | {"prompt": "a"}]),
            EnvzooError,
            "1 of 2 rows have a margin|row 1 holds",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_other_datasets_and_mixed_ones_are_refused(monkeypatch):
    make_dataset("envzoo/text-sum-to/demonstrations-v0", quiet=True, episodes=3)
    with pytest.raises(DatasetError, match="episode 0 of dataset envzoo/text-sum-to/demonstrations-v0 is no pair"):
        agents.make("DPO", "envzoo/text-sum-to/demonstrations-v0")
    monkeypatch.setattr(preference_pairs, "_check_pair", lambda *pair: None)  # a dataset that others wrote
    write(TEXTS | {"chosen": ("a", "")})
    with pytest.raises(EnvzooError, match="pair 1 has an empty chosen answer"):
        agents.make("DPO", "test/some-v0")
