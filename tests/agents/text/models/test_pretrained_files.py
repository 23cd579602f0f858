"""Tests of the allowed contents of a language model's files inside an agent's file."""

import json

import pytest

from envzoo.agents.text.models.pretrained_files import check_known, is_known, keep_known
from envzoo.errors import CheckpointError

transformers = pytest.importorskip("transformers")

GPT2 = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "activation_function": "gelu_new", "dtype": "float32"}
LLAMA = {"model_type": "llama", "hidden_size": 8}
REFUSED = {
    "auto_map": ("config.json", {**GPT2, "auto_map": {"AutoConfig": "evilmod.Config"}}, "'auto_map'"),
    "quantised": ("config.json", {**GPT2, "quantization_config": {"quant_method": "evil"}}, "'quantization_config'"),
    "kernels": ("config.json", {**GPT2, "attn_implementation": "evil/kernels"}, "'attn_implementation'"),
    "kernels-inside": ("config.json", {**LLAMA, "rope_parameters": {"_attn_implementation": "x"}}, "'_attn"),
    "elsewhere": ("config.json", {**GPT2, "_name_or_path": "/etc/passwd"}, "'_name_or_path'"),
    "elsewhere-inside": ("config.json", {**LLAMA, "rope_parameters": {"a": "/etc/passwd"}}, "'/etc/passwd'"),
    "trust": ("config.json", {**GPT2, "trust_remote_code": True}, "'trust_remote_code'"),
    "unknown-key": ("config.json", {**GPT2, "evil": 1}, "'evil'"),
    "path-for-a-word": ("config.json", {**GPT2, "activation_function": "evil/kernel"}, "'evil/kernel'"),
    "list-of-paths": ("config.json", {**GPT2, "architectures": ["evil:Model"]}, "'evil:Model'"),
    "no-causal-model": ("config.json", {"model_type": "clip"}, "the type 'clip'"),
    "unknown-model": ("config.json", {"model_type": "evil"}, "the type 'evil'"),
    "no-type": ("config.json", {}, "the type None"),
    "type-no-text": ("config.json", {"model_type": ["gpt2"]}, "the type"),
    "no-mapping": ("config.json", [1], "no mapping"),
    "tokenizer-map": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evilmod.T", None]}}, "'auto_map'"),
    "tokenizer-file": ("tokenizer_config.json", {"tokenizer_file": "/etc/passwd"}, "'tokenizer_file'"),
    "tokenizer-class": ("tokenizer_config.json", {"tokenizer_class": "Trainer"}, "class 'Trainer'"),
    "tokenizer-class-no-text": ("tokenizer_config.json", {"tokenizer_class": ["GPT2Tokenizer"]}, "of the class"),
    "special-tokens": ("special_tokens_map.json", {"vocab_file": "/etc/passwd"}, "'vocab_file'"),
    "generation": ("generation_config.json", {"custom_generate": "evil/repo"}, "'custom_generate'"),
    "generation-text": ("generation_config.json", {"eos_token_id": "/etc/passwd"}, "'/etc/passwd'"),
    "code": ("modeling_evil.py", {}, "has a file 'modeling_evil.py'"),
    "adapter": ("adapter_config.json", {}, "has a file 'adapter_config.json'"),
    "folder": ("../config.json", {}, "has a file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    name, values, expected = REFUSED[case]
    with pytest.raises(CheckpointError) as error:
        check_known(name, json.dumps(values).encode())
    assert str(error.value).startswith("the language model in the file of an agent is refused: it ")
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 10**6, b"nothing"])
def test_files_that_cannot_be_read(data):
    with pytest.raises(CheckpointError, match=r"has a config.json that cannot be read"):
        check_known("config.json", data)


@pytest.mark.parametrize("kind", ["GPT2Config", "LlamaConfig", "Qwen3Config", "MistralConfig", "OPTConfig"])
def test_what_the_library_writes_is_kept_and_accepted(kind, tmp_path):
    config = getattr(transformers, kind)(bos_token_id=1)
    config.save_pretrained(tmp_path)
    written = (tmp_path / "config.json").read_bytes()
    kept = keep_known("config.json", written)
    check_known("config.json", kept)
    assert json.loads(kept) == json.loads(written)
    transformers.GenerationConfig(eos_token_id=[0, 2]).save_pretrained(tmp_path)
    check_known(
        "generation_config.json",
        keep_known("generation_config.json", (tmp_path / "generation_config.json").read_bytes()),
    )


def test_what_would_be_refused_is_not_saved():
    for name, values, _ in REFUSED.values():
        if name in ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json"):
            kept = keep_known(name, json.dumps(values).encode())
            if "tokenizer_class" not in values:
                check_known(name, kept)
        elif isinstance(values, dict) and values.get("model_type") in ("gpt2", "llama"):
            check_known(name, keep_known(name, json.dumps(values).encode()))


def test_files_that_are_known():
    assert is_known("tokenizer.json")
    assert is_known("tokenizer.model")
    assert not is_known("pytorch_model.bin")
