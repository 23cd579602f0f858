"""The methods in TRL's trainer: the same losses as here and as there, short runs of all, puzzles, and bad input."""

import json
import logging
import warnings

import pytest
import torch

pytest.importorskip("trl")

from trl import GRPOConfig

from envzoo.agents.reasoning.trl import MethodTrainer, Puzzles, as_batch
from envzoo.agents.text.losses.advantages import ADVANTAGES
from envzoo.agents.text.method import make_method, method_names
from envzoo.agents.text.rollouts import answers
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.bench.text_trl import character_tokenizer, tiny_llama

LENGTH = 4
PRINTABLE = "".join(map(chr, range(32, 127))) + "\n"
METHODS = [name for name in method_names() if name != "AEPOArbitrary"]


@pytest.fixture(scope="module")
def puzzles():
    return Puzzles("envzoo/TextSumTo-v0", terms=2)


def config(folder, **changes):
    settings = {
        "use_cpu": True, "bf16": False, "activation_checkpointing": False, "report_to": "none", "save_strategy": "no",
        "logging_strategy": "no", "disable_tqdm": True, "per_device_train_batch_size": 8, "steps_per_generation": 2,
        "gradient_accumulation_steps": 1, "num_generations": 4, "max_completion_length": LENGTH, "max_steps": 4,
        "learning_rate": 1e-2, "dataloader_pin_memory": False,
    }  # fmt: skip
    return GRPOConfig(str(folder), **settings | changes)


def spread(completions, completion_ids, **_):
    """Rewards that differ within every group."""
    return [float(sum(ids) % 3) for ids in completion_ids]


def make(puzzles, folder, method="GRPO", reward=spread, settings=None, **changes):
    logging.getLogger("trl").setLevel(logging.ERROR)
    tokenizer = character_tokenizer(PRINTABLE)
    task_prompts = puzzles.dataset(16, conversational=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MethodTrainer(
            tiny_llama(len(tokenizer), 256, 16, 1, 2), reward, config(folder, **changes), task_prompts,
            processing_class=tokenizer, method=method, settings=settings,
        )  # fmt: skip


def some_inputs(generator, rows=8, ratio=0.3):
    """A minibatch as TRL makes it, with stale log-probabilities and answers of unequal length."""
    ids = torch.randint(2, 90, (rows, 3 + LENGTH), generator=generator)
    lengths = torch.randint(1, LENGTH + 1, (rows, 1), generator=generator)
    mask = (torch.arange(LENGTH) < lengths).long()
    return {
        "prompt_ids": ids[:, :3], "prompt_mask": torch.ones(rows, 3, dtype=torch.long), "completion_ids": ids[:, 3:],
        "completion_mask": mask, "advantages": torch.randn(rows, generator=generator),
        "old_per_token_logps": -4.6 + ratio * torch.randn(rows, LENGTH, generator=generator),
        "num_items_in_batch": mask.sum(),
    }  # fmt: skip


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def loss_and_gradient(trainer, inputs, compute):
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.zero_grad()
    loss = compute(trainer, trainer.model, dict(inputs))
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


# --------------------------------------------------------------------- against TRL and against the pure functions


@pytest.mark.parametrize(
    ("method", "settings", "theirs"),
    [
        ("GRPO", {}, {"loss_type": "bnpo"}),
        ("GRPO", {"aggregation": "seq_mean_token_mean"}, {"loss_type": "grpo"}),
        ("DrGRPO", {}, {"loss_type": "dr_grpo"}),
        ("ClipHigher", {}, {"loss_type": "bnpo", "epsilon_high": 0.28}),
        ("EntropyBonus", {}, {"loss_type": "bnpo", "entropy_coef": 0.02}),
        ("CISPO", {}, {"loss_type": "cispo", "epsilon_high": 5.0}),
    ],
)
def test_losses_and_gradients_are_those_of_trl(puzzles, tmp_path, generator, method, settings, theirs):
    ours = make(puzzles, tmp_path, method, settings=settings)
    reference = make(puzzles, tmp_path)
    from trl import GRPOTrainer

    plain = GRPOTrainer(
        reference.model, spread, config(tmp_path, steps_per_generation=1, **theirs), puzzles.dataset(16),
        processing_class=reference.processing_class,
    )  # fmt: skip
    inputs = some_inputs(generator)
    one = loss_and_gradient(ours, inputs, MethodTrainer._compute_loss)
    two = loss_and_gradient(plain, inputs, GRPOTrainer._compute_loss)
    torch.testing.assert_close(one[0], two[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one[1], two[1], atol=1e-5, rtol=1e-4)
    assert two[1].abs().max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_of_each_method_is_its_pure_function(puzzles, tmp_path, generator, method):
    trainer, inputs = make(puzzles, tmp_path, method), some_inputs(generator)
    with torch.no_grad():  # entropies that differ, so that what ranks or scales them is not decided by rounding
        for parameter in trainer.model.parameters():
            parameter.mul_(10.0 if parameter.dim() > 1 else 1.0)
    inputs["old_entropy"] = torch.rand(8, LENGTH, generator=generator)
    inputs["proxy_logp"] = inputs["old_per_token_logps"] + 0.5
    loss, _ = loss_and_gradient(trainer, inputs, MethodTrainer._compute_loss)
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    with torch.no_grad():
        log_prob = trainer.model(input_ids=ids).logits[:, 2:-1].log_softmax(-1)
        logp = log_prob.gather(-1, inputs["completion_ids"][..., None]).squeeze(-1)
        entropy = -(log_prob.exp() * log_prob).sum(-1)
        batch, logp = as_batch(inputs, logp, entropy, trainer.method.records)
        again = make_method(method, LENGTH, seed=trainer.args.seed, **shared(method))
        expected, _ = again.objective(logp, torch.where(batch.mask > 0, entropy, 0.0), batch)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)


def shared(method):
    extra = {"adaptive_temperature": False} if method == "HAPO" else {}
    return {"num_prompts": 4, "group_size": 4, "num_minibatches": 1, **extra}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(puzzles, tmp_path, method):
    trainer = make(puzzles, tmp_path, method, max_steps=2)
    before = torch.cat([p.detach().flatten().clone() for p in trainer.model.parameters()])
    trainer.train()
    after = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


def test_advantages_are_those_of_the_method(puzzles, tmp_path):
    for method, name in (("GRPO", "grpo"), ("RLOO", "rloo"), ("ReinforcePlusPlus", "reinforce_plus_plus")):
        trainer = make(puzzles, tmp_path, method)
        trainer.model.train()
        rows = [row for row in puzzles.dataset(4, conversational=False) for _ in range(4)]
        output = trainer._generate_and_score_completions(rows)
        mask = output["completion_mask"].float()
        reward, group = trainer._scores[:, 0], torch.arange(16) // 4
        torch.testing.assert_close(output["advantages"], ADVANTAGES[name](reward, group, mask))


def test_answers_that_nobody_judged_do_not_count(puzzles, tmp_path):
    trainer = make(puzzles, tmp_path)
    nan = float("nan")
    trainer._scores = torch.tensor([[1.0], [0.0], [nan], [1.0]])
    found, _ = trainer._advantages(torch.ones(4, LENGTH))
    assert (found[2] == 0).all()
    assert found[0, 0] == found[3, 0] > 0 > found[1, 0]


def test_d3s_learns_from_a_part(puzzles, tmp_path):
    trainer = make(puzzles, tmp_path, "D3S")
    trainer.model.train()
    rows = [row for row in puzzles.dataset(4, conversational=False) for _ in range(4)]
    output = trainer._generate_and_score_completions(rows)
    learned, mask = output["learned"], output["completion_mask"]
    assert (learned <= mask).all()
    assert 0 < learned.sum() < 0.5 * mask.sum()
    assert (learned.sum(1) > 0).sum() <= 4


def test_selection_keeps_rows_apart():
    method = make_method("GRPO", LENGTH, group_size=2, num_prompts=2)
    mask = torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]])
    kept, _ = method.select_mask(answers(mask))
    assert torch.equal(kept, mask)


# ------------------------------------------------------------------------------------------------------- puzzles


def test_puzzles_are_those_of_the_environment(puzzles):
    import gymnasium as gym

    env = gym.make("envzoo/TextSumTo-v0", terms=2)
    reward = puzzles.reward(ends=[1])
    for row in puzzles.dataset(5, first=3):
        shown, _ = env.reset(options={"problem": row["number"]})
        assert row["prompt"][0]["content"] == f"{puzzles.task.instruction}\n\n{shown}"
        answer = puzzles.task.text(puzzles.task.solve(puzzles.task.prompt_ids([shown]))[0])
        known = {"number": [row["number"]] * 3}
        texts = [f" {answer}\n", answer, "no"]
        assert reward(completions=texts, completion_ids=[[5, 1], [5], [5, 1]], **known) == [1.0, 0.0, 0.0]
        chat = [[{"role": "assistant", "content": text}] for text in texts]
        assert puzzles.reward()(completions=chat, completion_ids=[[5]] * 3, **known) == [1.0, 1.0, 0.0]
        assert env.step(answer)[1] == 1.0


def test_reasoning_gym_is_among_them():
    pytest.importorskip("reasoning_gym")
    puzzles = Puzzles("envzoo/ReasoningGym-v0", size=20)
    rows = list(puzzles.dataset(5))
    assert len({row["number"] for row in rows}) == 5
    entry = puzzles._env.dataset[rows[2]["number"]]
    assert rows[2]["prompt"][0]["content"] == entry["question"]
    assert puzzles.judge([rows[2]["number"]] * 2, [entry["answer"], "no"])[0] == 1.0
    assert puzzles.judge([rows[2]["number"]], ["no"])[0] < 1.0
    episode = puzzles.environment()()
    episode.reset(**rows[2])
    assert (episode.answer(entry["answer"]), episode.get_reward()) == ("The puzzle is over.", 1.0)
    with pytest.raises(EnvzooError, match="has no 21 problems"):
        puzzles.dataset(21)


def test_no_answer_to_reasoning_gym_is_run(tmp_path):
    pytest.importorskip("reasoning_gym")
    puzzles = Puzzles("envzoo/ReasoningGym-v0", dataset="string_insertion", split="all", size=2)
    trace = tmp_path / "run"
    code = f"['A' for _ in [__import__('pathlib').Path({str(trace)!r}).touch()]]"
    assert puzzles.judge([0], [code]) == [0.0]
    assert puzzles.reward()(completions=[code], completion_ids=[[5]], number=[0]) == [0.0]
    episode = puzzles.environment()()
    episode.reset(number=0)
    episode.answer(code)
    assert episode.get_reward() == 0.0
    assert not trace.exists()


def test_a_tool_plays_the_turns():
    puzzles = Puzzles("envzoo/TextToolPuzzle-v0", digits=2, symbols=4, turns=4)
    row = puzzles.dataset(3)[2]
    assert "calling the tool `answer`" in row["prompt"][0]["content"]
    code = "".join(map(str, puzzles.task.codes(puzzles.task.sample(3))[2]))
    episode = puzzles.environment()()
    for _ in range(2):
        episode.reset(**row)
        assert episode.answer(f"?{code[::-1]}") == "02:"
        assert episode.answer("nonsense") == "--:"
        assert episode.get_reward() == 0.0
        assert episode.answer(f" ?{code}") == "The puzzle is over."
        assert episode.get_reward() == 1.0
        assert episode.answer("?01") == "The puzzle is over."


def test_several_turns_in_the_trainer(tmp_path):
    """The model's first words are put into its mouth: a tool call, which random weights would never write."""
    from transformers import AutoTokenizer  # noqa: F401  (a clear failure where transformers is broken)
    from trl import chat_template_utils

    puzzles = Puzzles("envzoo/TextToolPuzzle-v0", digits=1, symbols=2, turns=2)
    tokenizer = character_tokenizer(PRINTABLE)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = chat_template_utils.qwen3_chat_template
    calls = []

    class Scripted(MethodTrainer):
        def _generate_single_turn(self, prompt_ids, *rest, **keywords):
            texts = []
            for k in range(len(prompt_ids)):
                call = json.dumps({"name": "answer", "arguments": {"text": f"?{k % 2}"}})
                texts.append("done<|im_end|>" if calls else f"<tool_call>\n{call}\n</tool_call><|im_end|>")
            calls.append(len(prompt_ids))
            return [tokenizer(text)["input_ids"] for text in texts], None

    trainer = Scripted(
        tiny_llama(len(tokenizer), 2048, 16, 1, 2), None,
        config(tmp_path, max_steps=2, max_completion_length=256), puzzles.dataset(16), processing_class=tokenizer,
        environment_factory=puzzles.environment(), method="STEER",
    )  # fmt: skip
    trainer.train()
    assert len(calls) == 2
    assert trainer._scores.shape == (16, 1)
    assert set(trainer._scores.flatten().tolist()) == {0.0, 1.0}


# ----------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("method", "settings", "changes", "words"),
    [
        ("GRPO", {"learning_rate": 1.0}, {}, "learning_rate of GRPO is learning_rate of TRL's GRPOConfig"),
        ("GRPO", {"group_size": 2}, {}, "group_size of GRPO is num_generations"),
        ("GRPO", {"staleness": 2}, {}, "staleness of GRPO means nothing"),
        ("GRPO", {}, {"epsilon": 0.3}, "epsilon of TRL's GRPOConfig does not act here"),
        ("GRPO", {"eps_low": -1.0}, {}, "eps_low of GRPO is not negative"),
        ("AEPOArbitrary", {}, {}, "AEPOArbitrary replaces answers"),
    ],
)
def test_bad_settings_get_one_sentence(puzzles, tmp_path, method, settings, changes, words):
    with pytest.raises(EnvzooError, match=words):
        MethodTrainer(None, spread, config(tmp_path, **changes), method=method, settings=settings)


def test_bad_names_get_one_sentence(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown method 'STEERR'.*did you mean"):
        MethodTrainer(None, spread, config(tmp_path), method="STEERR")
    with pytest.raises(EnvzooError, match="is no reasoning environment of texts"):
        Puzzles("CartPole-v1")
    with pytest.raises(EnvzooError, match="is no reasoning environment of texts"):
        Puzzles("envzoo/TextSumTo-Tokens-v0")
    with pytest.raises(EnvzooError, match="has several turns"):
        Puzzles("envzoo/TextToolPuzzle-v0").reward()


@pytest.mark.parametrize(("method", "words"), [("HAPO", "temperatures per token"), ("DAPO", "dynamic sampling")])
def test_what_is_left_out_is_said(tmp_path, method, words):
    with pytest.warns(UserWarning, match=words), pytest.raises(AttributeError):
        MethodTrainer(None, spread, config(tmp_path), method=method)
