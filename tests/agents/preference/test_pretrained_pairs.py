"""Learning from pairs with models of Hugging Face, built in place."""

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from envzoo import agents
from envzoo.agents.source import Preferences
from envzoo.errors import EnvzooError
from envzoo.scripts.bench.text_trl import character_tokenizer, tiny_llama

DATA = Preferences(("12", "say 3", "x"), ("34", "3", "yes"), ("43", "33", "no"), label=np.array([1.0, 0.8, 1.0]))
SIGNS = "0123456789 abcdefghijklmnopqrstuvwxyzAT,."
SMALL = {"batch_size": 2, "sft_updates": 1, "sft_batch": 3, "device": "cpu", "seed": 4}


def folder(path, signs=SIGNS, template=None, places=64):
    tokenizer = character_tokenizer(signs)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(path)
    tiny_llama(len(tokenizer), places, 16, 1, 2).save_pretrained(path)
    return str(path)


@pytest.fixture
def model(tmp_path):
    return folder(tmp_path / "model")


def test_log_probs_are_those_of_the_model_alone(model):
    agent = agents.make("DPO", DATA, model=model, **SMALL)
    network, tokenizer = agent.policy.network.model, agent.policy.tokenizer
    found = agent.policy.log_probs(agent.prompts, agent.answers)
    states = agent.policy.final_states(agent.prompts, agent.answers)
    before = agent.policy.states(agent.prompts, agent.answers[:, 0])
    for i in range(3):
        for j, texts in enumerate((DATA.chosen, DATA.rejected)):
            asked, told = (tokenizer(text)["input_ids"] for text in (DATA.prompts[i], texts[i]))
            ids = torch.tensor([asked + told + [tokenizer.eos_token_id]])
            outputs = network(input_ids=ids, output_hidden_states=True)
            logp = torch.log_softmax(outputs.logits[0, len(asked) - 1 : -1], -1)
            each = logp.gather(1, ids[0, len(asked) :, None]).sum()
            assert torch.allclose(found[i, j], each, atol=1e-4)
            assert torch.allclose(states[i, j], outputs.hidden_states[-1][0, -1], atol=1e-5)
            if j == 0:
                seen = outputs.hidden_states[-1][0, len(asked) - 1 : -1]
                assert torch.allclose(before[i, : len(seen)], seen, atol=1e-5)
    assert agent.lengths.tolist() == [[3, 3], [2, 3], [4, 3]]


@pytest.mark.parametrize("name", ["DPO", "KTO", "DPODegree", "PreferencePPO"])
def test_every_kind_learns_and_continues_without_the_folder(name, model, tmp_path):
    more = {"reward_updates": 1, "num_answers": 3, "minibatch_size": 3} if name == "PreferencePPO" else {}
    whole = agents.make(name, DATA, model=model, **SMALL, **more).learn(9)
    half = agents.make(name, DATA, model=model, **SMALL, **more).learn(3)
    half.save(tmp_path / "a.zip")
    (tmp_path / "model").rename(tmp_path / "gone")
    other = agents.load(tmp_path / "a.zip", DATA).learn(6)
    assert all(torch.equal(a, b) for a, b in zip(whole.policy.parameters(), other.policy.parameters(), strict=True))
    answers, _ = other.predict(np.array(["12", "x"], object), deterministic=False)
    assert len(answers) == 2
    assert other.implicit_reward(["12"], ["34"]).shape == (1,) if name != "PreferencePPO" else True


def test_a_template_of_chats_is_used(tmp_path):
    template = "{% for m in messages %}A {{ m['content'] }}. {% endfor %}{% if add_generation_prompt %}T{% endif %}"
    agent = agents.make("DPO", DATA, model=folder(tmp_path / "m", template=template), **SMALL)
    row = agent.prompts[0][agent.prompts[0] >= 0].tolist()
    assert agent.policy.tokenizer.decode(row) == "A 12. T"


def test_another_reference_is_kept_through_imitation_and_saved(tmp_path, model):
    other = folder(tmp_path / "other")
    with torch.no_grad():
        from transformers import AutoModelForCausalLM

        changed = AutoModelForCausalLM.from_pretrained(other)
        changed.lm_head.weight.add_(0.5 * torch.arange(16))
        changed.save_pretrained(other)
    agent = agents.make("DPO", DATA, model=model, reference_model=other, **SMALL).learn(3)
    weight = agent.reference.network.model.lm_head.weight
    assert torch.equal(weight, changed.lm_head.weight)
    agent.save(tmp_path / "a.zip")
    for path in (tmp_path / "model", tmp_path / "other"):
        path.rename(path.with_suffix(".gone"))
    again = agents.load(tmp_path / "a.zip", DATA)
    assert torch.equal(again.reference.network.model.lm_head.weight, weight)


def test_a_reference_with_another_tokenizer_is_refused(tmp_path, model):
    other = folder(tmp_path / "other", signs=SIGNS[::-1])
    with pytest.raises(EnvzooError, match=r"has another tokenizer than .*: ' ' is .* there and .* here"):
        agents.make("DPO", DATA, model=model, reference_model=other, **SMALL)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reference_model": "some/model"}, "reference_model of DPO goes with a model of Hugging Face"),
        ({"model": "/no/such/folder"}, "there is no folder"),
    ],
)
def test_refusals(changes, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        agents.make("DPO", DATA, **SMALL, **changes)


def test_pairs_that_are_too_long_and_windows_are_refused(tmp_path):
    with pytest.raises(EnvzooError, match=r"the pairs take up to 9 tokens, but .* reads 8"):
        agents.make("DPO", DATA, model=folder(tmp_path / "short", places=8), **SMALL)
    agent = agents.make("DPO", DATA, model=folder(tmp_path / "m"), **SMALL)
    with pytest.raises(EnvzooError, match="answers texts, not windows of token ids"):
        agent.predict(np.zeros(5, np.int64))
    with pytest.raises(EnvzooError, match="has 99 tokens; the model takes at most"):
        agent.implicit_reward(["1" * 99], ["2"])
