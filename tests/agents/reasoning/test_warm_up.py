"""The warm-up on demonstrations, and the cache of its models."""

import re
import warnings

import pytest
import torch
from reasoning_training import SUM, make, weights
from safetensors.torch import load_file, save_file

from envzoo.agents.text import warm_up
from envzoo.agents.text.models.language import answer_log_probs


def demonstration_loss(agent):
    """Cross-entropy per token of right answers to puzzles that are not learned from."""
    prompts = agent.task.sample(64, "evaluation", seed=5)
    answers, mask = (torch.as_tensor(part) for part in agent.codec.demonstrations(prompts, agent.task.solve(prompts)))
    with torch.no_grad():
        logp, _ = answer_log_probs(agent.policy, torch.as_tensor(agent.codec.encode(prompts)), answers)
    return -logp[mask].mean().item()


def test_the_warm_up_imitates_and_is_shared_by_all_methods(monkeypatch):
    calls = []
    imitate = warm_up.imitate
    monkeypatch.setattr(warm_up, "imitate", lambda *a, **k: calls.append(1) or imitate(*a, **k))
    settings = {"warm_up_noise": 0.0}
    first, second = make("GRPO", **settings), make("KLCov", **settings)
    before = weights(first)
    assert torch.equal(before, weights(second))
    first._warm_up()
    second._warm_up()
    assert len(calls) == 1
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), before)
    # From about log 14 = 2.6 nats per token of a right answer, where all tokens are equally likely, to about 1.1.
    assert demonstration_loss(first) < demonstration_loss(make(warm_up_updates=0)) - 0.8
    for changes in ({"seed": 1}, {"warm_up_updates": 101}, {"warm_up_noise": 0.1}, {"source": (SUM[0], {"terms": 3})}):
        make(**{**settings, **changes})._warm_up()
    assert len(calls) == 5
    fresh = make(**settings, warm_up_cache=False)
    fresh._warm_up()
    assert torch.equal(weights(fresh), weights(first))


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    file, before = kept_model(tmp_path, monkeypatch)
    file.write_bytes(b"no model")
    again = make(warm_up_updates=3)
    with pytest.warns(UserWarning, match=r"warm_up/\w+\.safetensors cannot be read \(.+\); it is made again$"):
        again._warm_up()
    assert torch.equal(before, weights(again))


def kept_model(folder, monkeypatch):
    """The file of a warm-up in a cache of its own, and the weights that came out."""
    monkeypatch.setenv("ENVZOO_CACHE", str(folder))
    agent = make(warm_up_updates=3)
    agent._warm_up()
    return next(warm_up.cache_folder().iterdir()), weights(agent)


def first_name(arrays):
    return sorted(name for name, array in arrays.items() if array.ndim == 2)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: arrays.pop(first_name(arrays)), "it lacks '"),
        (lambda arrays: arrays.update(more=torch.zeros(3)), "it holds a strange 'more'"),
        (
            lambda arrays: arrays.update({first_name(arrays): torch.zeros(2, 3)}),
            r"is \(2, 3\) of torch.float32, expected",
        ),
        (lambda arrays: arrays.update({k: v.double() for k, v in arrays.items()}), "of torch.float64, expected"),
    ],
)
def test_a_cache_with_other_arrays_is_made_again(tmp_path, monkeypatch, change, words):
    file, expected = kept_model(tmp_path, monkeypatch)
    whole, arrays = file.read_bytes(), load_file(file)
    change(arrays)
    save_file(arrays, file)
    again = make(warm_up_updates=3)
    with pytest.warns(UserWarning, match=rf"safetensors cannot be read \(.*{words}.*\); it is made again$"):
        again._warm_up()
    assert torch.equal(weights(again), expected)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_noticed_before_the_work(tmp_path, monkeypatch):
    _, expected = kept_model(tmp_path / "good", monkeypatch)
    (tmp_path / "file").write_text("precious")
    monkeypatch.setenv("ENVZOO_CACHE", str(tmp_path / "file"))
    agent, imitate = make(warm_up_updates=3), warm_up.imitate
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = []
        monkeypatch.setattr(warm_up, "imitate", lambda *a, **k: seen.append(len(caught)) or imitate(*a, **k))
        agent._warm_up()
    sentences = [str(warning.message) for warning in caught]
    assert len(sentences) == 1
    expected_words = r"the warmed-up model cannot be kept, because .*file cannot be written \(.+\); set ENVZOO_CACHE"
    assert re.match(expected_words, sentences[0])
    assert seen == [1]
    assert torch.equal(weights(agent), expected)


def test_warm_ups_of_several_threads_are_kept_apart(tmp_path, monkeypatch):
    kept_model(tmp_path, monkeypatch)
    agent = make(warm_up_updates=3)
    agent.threads = 2
    agent._warm_up()
    assert len(list(warm_up.cache_folder().iterdir())) == 2
