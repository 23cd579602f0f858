"""Policies from Hugging Face, on models and tokenizers built in place: loading, tokens, learning, saving, bad input."""

import shutil
import socket
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from reasoning_training import train, weights

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.text.models import pretrained
from envzoo.agents.text.models.language import answer_log_probs
from envzoo.agents.text.sampling import SamplingParams, sample_answers
from envzoo.agents.text.tokenizer_codec import TokenizerCodec
from envzoo.errors import CheckpointError, EnvzooError, MissingExtraError, NonFiniteError, UnsupportedSpaceError
from envzoo.reasoning.catalogue import make_task

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

SUM, TOOL = "envzoo/TextSumTo-v0", "envzoo/TextToolPuzzle-v0"
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'][0] }}>{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SIGNS = LETTERS + "+-*=:>#?,.!()'/ \n;$_|<%"
GUESS = {"digits": 1, "symbols": 4, "turns": 3}
SETTINGS = {"num_prompts": 4, "group_size": 4, "num_minibatches": 2, "learning_rate": 1e-2}


def make_tokenizer(signs=SIGNS, template=TEMPLATE, merges=()):
    """Characters and merged pairs as tokens."""
    special = ["<end>", "<u>", "<a>"]
    tokens = special + list(dict.fromkeys(signs)) + list(merges)
    model = tokenizers.models.BPE(
        {token: k for k, token in enumerate(tokens)}, [tuple(pair) for pair in merges], fuse_unk=False
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.decoder = tokenizers.decoders.Fuse()
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", additional_special_tokens=special[1:]
    )
    if template:
        made.chat_template = template
    return made


def make_folder(folder, kind="llama", **keywords):
    """A random model and its tokenizer, as `save_pretrained` leaves them."""
    tokenizer = make_tokenizer(**keywords)
    if kind == "llama":
        config = transformers.LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, eos_token_id=0,
            bos_token_id=None, tie_word_embeddings=True, initializer_range=0.2,
        )  # fmt: skip
        model = transformers.LlamaForCausalLM
    else:
        config = transformers.GPT2Config(
            vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=512, eos_token_id=0,
            bos_token_id=None, initializer_range=0.2,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """With a chat template, tied weights and merged digits; and without any of them."""
    root = tmp_path_factory.mktemp("models")
    return {
        "llama": make_folder(root / "llama", merges=("12", "1+", "+2")),
        "gpt2": make_folder(root / "gpt2", "gpt2", template=None),
    }


def make(model, name="GRPO", env=SUM, **changes):
    env_kwargs = {"terms": 2} if "SumTo" in env else GUESS
    settings = {**SETTINGS, **changes}
    return agents.make(name, env, seed=0, device="cpu", env_kwargs=env_kwargs, model=model, **settings)


# ------------------------------------------------------------------- the model


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_padding_on_the_left_and_the_cache_change_nothing(folders, kind):
    model, _ = pretrained.load_pretrained(folders[kind])
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(3, 60, (3, 7), generator=generator)
    prompts[0, :3] = prompts[1, :1] = pretrained.NOTHING
    answers = torch.randint(3, 60, (6, 5), generator=generator)
    answers[2, 3:] = pretrained.NOTHING
    both = prompts.repeat_interleave(2, 0)
    logp, every = answer_log_probs(model, both, answers, 1.5)
    with torch.no_grad():
        logits, state = model.prefill(prompts, 2)
        steps = [logits]
        for k in range(4):
            steps.append(model.step(answers[:, k], 7 + k, state))
    cached = torch.log_softmax(torch.stack(steps, 1) / 1.5, -1)
    real = answers >= 0
    torch.testing.assert_close(cached[real], every[real], atol=1e-4, rtol=0)
    for row in range(6):  # alone, without padding
        ids = torch.cat([both[row][both[row] >= 0], answers[row][real[row]]])[None]
        length = int(real[row].sum())
        with torch.no_grad():
            alone = torch.log_softmax(model.model(ids).logits[0, -length - 1 : -1] / 1.5, -1)
        torch.testing.assert_close(every[row, :length], alone, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            logp[row, :length], alone.gather(-1, ids[0, -length:, None])[:, 0], atol=1e-4, rtol=0
        )
    logp[real].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("env", [SUM, TOOL])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_sampling_and_training_agree(folders, kind, env):
    agent = make(folders[kind], env=env, temperature=1.3)
    rollout = agent.sample(4)
    logp, entropy = agent._measure(agent.policy, rollout)
    torch.testing.assert_close(logp, rollout.old_logp, atol=1e-4, rtol=0)
    torch.testing.assert_close(entropy, rollout.entropy, atol=1e-4, rtol=0)
    assert agent.num_timesteps == rollout.mask.sum() > 0
    assert train(agent, 1)[0]["policy/logp_error"] < 1e-4


def test_global_random_state_is_left_alone(folders, tmp_path):
    before = torch.get_rng_state()
    agent = make(folders["llama"])
    agent.save(tmp_path / "agent.zip")
    agents.load(tmp_path / "agent.zip", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


# ------------------------------------------------------------------- the tokens


def test_prompts_are_messages_and_answers_texts(folders):
    codec = make(folders["llama"]).codec
    task = codec.task
    prompts = task.sample(8)
    for row, ids in zip(prompts, codec.encode(prompts), strict=True):
        said = codec.tokenizer.decode(ids[ids >= 0].tolist())
        assert said == f"<u>{task.instruction}\n\n{task.text(row)}<end>\n<a>"
    plain = make(folders["gpt2"]).codec
    ids = plain.encode(prompts)[0]
    assert plain.tokenizer.decode(ids[ids >= 0].tolist()) == f"{task.instruction}\n\n{task.text(prompts[0])}\n"

    def judged(*texts):
        rows = np.full((len(texts), codec.answer_length), codec.pad)
        for row, text in zip(rows, texts, strict=True):
            ids = codec.tokenizer(text, add_special_tokens=False)["input_ids"]
            row[: len(ids)] = ids
        return codec.reward(np.repeat(prompts[:1], len(texts), 0), rows).tolist()

    right = task.text(task.solve(prompts[:1])[0])
    assert len(codec.tokenizer("1+2", add_special_tokens=False)["input_ids"]) == 2  # not the task's characters
    assert judged(f"{right}<end>", f" {right} \n<end>", f"{right}<end>9") == [1, 1, 1]
    assert judged(right, f"{right}9<end>", f"so {right}<end>", f"<end>{right}", "<end>") == [0] * 5


@pytest.mark.parametrize("name", ["TextSumTo", "TextChainArith", "TextMaze", "TextToolPuzzle"])
@pytest.mark.parametrize("template", [TEMPLATE, None])
def test_demonstrations_are_right_answers(name, template):
    task = make_task(name)
    codec = TokenizerCodec(task, make_tokenizer(template=template, merges=("12", "U?")), [0])
    prompts = task.sample(16)
    tokens, mask = codec.demonstrations(prompts, task.solve(prompts))
    assert not mask[tokens == codec.pad].any()
    if task.multi_turn:
        assert codec.dialogue(prompts).reward(tokens).max() == 0  # a dialogue is asked place by place
        dialogue = codec.dialogue(prompts)
        following = np.stack([dialogue.following(tokens, k) for k in range(tokens.shape[1])], 1)
        assert np.array_equal(following == -1, mask | (following == -1) & (tokens == codec.pad))
        replies = following >= 0
        assert np.array_equal(following[replies], tokens[replies])
        assert dialogue.reward(tokens).all()
    else:
        assert codec.reward(prompts, tokens).all()
        assert (mask == (tokens != codec.pad)).all()


def test_a_tool_replies_in_the_next_message(folders):
    agent = make(folders["llama"], env=TOOL)
    rollout = agent.sample(2)
    for row in rollout.rows(torch.arange(8)).tokens.tolist():
        said = agent.codec.tokenizer.decode([token for token in row if token >= 0])
        turns = said.split("\n<u>")
        assert 1 < len(turns) <= 3
        assert all(turn[:3].endswith(":") and turn[3:].startswith("<end>\n<a>") for turn in turns[1:])
        assert all("<end>" in turn for turn in turns[:-1])
    written = rollout.tokens[rollout.mask == 1]
    assert (rollout.old_logp[rollout.mask == 0] == 0).all()
    assert not (written == agent.codec.tokenizer.convert_tokens_to_ids("\n")).all()


# ------------------------------------------------------------------- learning


@pytest.mark.parametrize("name", [name for name, spec in agents.specs().items() if spec.family == "reasoning"])
def test_every_method_learns(folders, name):
    agent = make(folders["llama"], name, warm_up_updates=20, warm_up_batch=16, warm_up_learning_rate=1e-2)
    agent._warm_up()
    before = weights(agent)
    agent.task._verify = lambda prompts, answers, ends: (answers[:, 0] % 2).astype(np.float32)  # something to learn
    train(agent, 1)
    assert torch.isfinite(weights(agent)).all()
    assert not torch.equal(weights(agent), before)


def test_rewards_are_learned(folders):
    settings = {"warm_up_updates": 20, "warm_up_batch": 16, "warm_up_learning_rate": 1e-2}
    agent = make(folders["llama"], num_prompts=8, learning_rate=3e-3, **settings)
    agent.task._verify = lambda prompts, answers, ends: (answers[:, 0] % 2).astype(np.float32)
    before = agent.assess(16, 4)["accuracy"]
    train(agent, 8)
    assert agent.assess(16, 4)["accuracy"] > before + 0.25  # over seeds from 0.3 - 0.5 to 0.9 - 1


def test_the_start_is_kept_where_it_is_needed(folders):
    plain, held = make(folders["llama"]), make(folders["llama"], kl_coefficient=0.1)
    assert plain.reference_policy is None
    assert held.reference_policy is not None
    assert "policy/kl_to_start" not in train(plain, 1)[0]
    assert train(held, 2)[0]["policy/kl_to_start"] == pytest.approx(0, abs=1e-6)
    assert plain.config.rate == 1e-2
    assert make(folders["llama"], learning_rate=None).config.rate == 1e-6
    assert plain.config.imitations == 0


@pytest.mark.parametrize(("name", "env"), [("GRPO", SUM), ("HAPO", SUM), ("GRPO", TOOL)])
def test_a_run_that_was_interrupted_gives_the_same_numbers(folders, name, env, tmp_path):
    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    changes = {"warm_up_updates": 10, "warm_up_batch": 16, "env": env, "kl_coefficient": 0.01}
    whole, part = (make(str(folder), name, **changes) for _ in range(2))
    train(whole, 4)
    train(part, 2)
    part.save(tmp_path / "agent.zip")
    shutil.rmtree(folder)  # the file is enough
    resumed = agents.load(tmp_path / "agent.zip", device="cpu")
    train(resumed, 2)
    assert resumed.num_timesteps == whole.num_timesteps
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.texts() == whole.texts()


def test_short_numbers_are_kept(folders, tmp_path):
    agent = make(folders["llama"], model_dtype="bfloat16")
    train(agent, 1)
    assert weights(agent).dtype == torch.bfloat16
    agent.save(tmp_path / "agent.zip")
    assert torch.equal(weights(agents.load(tmp_path / "agent.zip", device="cpu")), weights(agent))


def test_short_numbers_compute_and_long_ones_are_kept(folders):
    agent = make(folders["llama"], compute_dtype="bfloat16")
    (row,) = train(agent, 1)
    assert weights(agent).dtype == torch.float32
    assert row["policy/logp_error"] < 0.1


# ------------------------------------------------------------------- acting


def test_acting_gives_whole_answers_or_turns(folders):
    agent = make(folders["llama"], warm_up_updates=60, warm_up_batch=32, warm_up_learning_rate=1e-2)
    agent._warm_up()
    env = gym.make(SUM, terms=2)
    prompt, _ = env.reset(seed=0)
    answer, _ = agent.predict(prompt)
    assert agent.predict(np.array([prompt, prompt]))[0] == [answer, answer]
    assert env.step(answer)[2]
    with pytest.raises(EnvzooError, match=r"acts in texts, not in windows of ids; evaluate it in envzoo/TextSumTo-v0"):
        agent.predict(np.zeros((2, 9), np.int64))
    tool = make(folders["llama"], env=TOOL, warm_up_updates=30, warm_up_batch=16, warm_up_learning_rate=1e-2)
    tool._warm_up()
    env = gym.make(TOOL, **GUESS)
    for problem in range(3):
        observation, _ = env.reset(options={"problem": problem})
        done, turns = False, []
        while not done:
            turns.append(tool.predict(observation)[0])
            observation, reward, done, _, _ = env.step(turns[-1])
        # The same as the whole dialogue that is learned from.
        greedy = sample_answers(tool.policy, tool.codec, tool.task.sample(problem + 1)[problem:], 1, SamplingParams())
        said = tool.codec.tokenizer.decode([token for token in greedy.tokens[0].tolist() if token >= 0])
        assert [part.split("<a>")[-1].split("<end>")[0].strip() for part in said.split("\n<u>")] == turns
        assert reward == greedy.reward[0]


# ------------------------------------------------------------------- bad input


def test_folders_that_hold_no_model_get_one_sentence(folders, tmp_path):
    with pytest.raises(EnvzooError, match="there is no folder"):
        make(str(tmp_path / "nowhere"))
    with pytest.raises(EnvzooError, match=r"holds no model: there is no config\.json"):
        make(str(tmp_path))
    folder = shutil.copytree(folders["llama"], tmp_path / "bin")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EnvzooError, match=r"in pytorch_model\.bin, a format that can run code"):
        make(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(EnvzooError, match="it holds no weights"):
        make(str(folder))
    folder = shutil.copytree(folders["llama"], tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EnvzooError, match="cannot be loaded"):
        make(str(folder))
    folder = shutil.copytree(folders["llama"], tmp_path / "headless")
    config = transformers.LlamaConfig.from_pretrained(folder)
    config.tie_word_embeddings = False
    config.save_pretrained(folder)
    with pytest.raises(EnvzooError, match=r"lacks weights such as lm_head\.weight"):
        make(str(folder))


def test_a_hub_id_that_cannot_be_reached_gets_one_sentence(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **settings: asked.append(host))
    with pytest.raises(EnvzooError, match=r"'nobody/nothing-at-all' cannot be had from the Hugging Face hub") as caught:
        make("nobody/nothing-at-all")
    assert "\n" not in str(caught.value)
    assert asked == []  # no waiting for a network that the user has switched off


def test_models_without_a_cache_of_keys_get_one_sentence():
    config = transformers.MambaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1)
    with torch.random.fork_rng(), pytest.raises(EnvzooError, match="MambaForCausalLM keeps no cache of keys"):
        pretrained.PretrainedModel(transformers.MambaForCausalLM(config))


def test_tokenizers_that_do_not_fit_get_one_sentence(tmp_path):
    lacking = make_folder(tmp_path / "lacking", signs=LETTERS + "=: \n.")
    with pytest.raises(EnvzooError, match=r"lacks characters that TextSumTo needs: \+"):
        make(lacking)
    strange = make_folder(tmp_path / "strange")
    make_tokenizer(signs=SIGNS + "&@~").save_pretrained(strange)
    with pytest.raises(EnvzooError, match="they do not belong together"):
        make(strange)
    with pytest.raises(EnvzooError, match="no end-of-sequence token"):
        TokenizerCodec(make_task("TextSumTo"), make_tokenizer(), [])


def test_answers_that_do_not_fit_get_one_sentence(folders):
    with pytest.raises(EnvzooError, match=r"take \d+ tokens, but .* reads 512; lower max_answer_tokens"):
        make(folders["llama"], max_answer_tokens=500)
    with pytest.raises(EnvzooError, match="does not fit into the 2 tokens of an answer; raise max_answer_tokens"):
        make(folders["llama"], max_answer_tokens=2, warm_up_updates=1)._warm_up()
    with pytest.raises(EnvzooError, match="max_answer_tokens of GRPO is for pretrained models"):
        make("tiny", max_answer_tokens=9)
    with pytest.raises(EnvzooError, match="keep_reference cannot be False"):
        make(folders["llama"], kl_coefficient=0.1, keep_reference=False)
    with pytest.raises(EnvzooError, match="model_dtype"):
        make(folders["llama"], model_dtype="int8")


def test_the_token_face_is_refused(folders):
    with pytest.raises(UnsupportedSpaceError, match="takes tokens; expected envzoo/TextSumTo-v0"):
        make(folders["llama"], env="envzoo/TextSumTo-Tokens-v0")


def test_logits_that_are_not_finite_stop_the_run(folders):
    agent = make(folders["llama"])
    with torch.no_grad():
        agent.policy.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="logits became NaN or infinite"):
        agent.learn(100)


def test_without_the_extra_the_error_names_it(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"install it with `pip install -c constraints.txt -e '\.\[text\]'`"):
        make(folders["llama"])
    make("tiny")


def test_files_of_strangers_are_not_trusted(folders, tmp_path):
    agent = make(folders["llama"])
    agent.save(tmp_path / "agent.zip")
    header, state = checkpoint.read(tmp_path / "agent.zip")
    assert set(state["parts"]["model_files"]) >= {"config.json", "tokenizer.json"}
    for name in ("../evil.json", "modeling.py", "config.json/x", ".hidden.json"):
        files = {**state["parts"]["model_files"], name: np.zeros(3, np.uint8)}
        checkpoint.save(tmp_path / "bad.zip", header, {**state, "parts": {**state["parts"], "model_files": files}})
        with pytest.raises(CheckpointError, match="belongs to no language model"):
            agents.load(tmp_path / "bad.zip", device="cpu")
    parts = {key: value for key, value in state["parts"].items() if key != "model_files"}
    checkpoint.save(tmp_path / "bad.zip", header, {**state, "parts": parts})
    with pytest.raises(CheckpointError, match="a file may not cause a model download"):
        agents.load(tmp_path / "bad.zip", device="cpu")
    files = {**state["parts"]["model_files"], "config.json": np.frombuffer(b"{}", np.uint8)}
    checkpoint.save(tmp_path / "bad.zip", header, {**state, "parts": {**state["parts"], "model_files": files}})
    with pytest.raises(CheckpointError, match="is a model of the type None, none of the library's"):
        agents.load(tmp_path / "bad.zip", device="cpu")
