"""The files, keys and kinds of language models that the file of an agent may contain; all others are refused.

Transformers follows the configuration of a model: it imports classes (`auto_map`), quantizers (`quantization_config`)
and kernels from the hub (`attn_implementation`), opens files (`tokenizer_file`) and loads further models (`backbone`,
`_name_or_path`). The file of an agent is therefore limited to the sizes and switches of the configuration class of the
library, and to the tokens of the tokenizer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from envzoo.errors import CheckpointError, shorten

_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,64}")  # no path, no repository, no module:attribute
_REFUSED = re.compile(
    r"auto_map|quant|backbone|adapter|pretrained|name_or_path|_implementation|trust|remote|custom|peft"
)
_COMMON = frozenset(("architectures", "model_type", "dtype", "torch_dtype", "transformers_version"))
_TOKENS = frozenset(
    (
        *("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
        *("additional_special_tokens", "extra_special_tokens"),
    )
)
_TOKENIZER = _TOKENS | frozenset(
    (
        *("add_bos_token", "add_eos_token", "add_prefix_space", "added_tokens_decoder", "backend", "chat_template"),
        *("clean_up_tokenization_spaces", "do_lower_case", "errors", "is_local", "legacy", "model_input_names"),
        *("model_max_length", "padding_side", "spaces_between_special_tokens", "split_special_tokens"),
        *("strip_accents", "tokenize_chinese_chars", "tokenizer_class", "trim_offsets", "truncation_side"),
        "use_default_system_prompt",
    )
)
_GENERATION = frozenset(
    (
        *("_from_model_config", "bos_token_id", "do_sample", "eos_token_id", "max_length", "max_new_tokens"),
        *("min_length", "min_new_tokens", "min_p", "output_attentions", "output_hidden_states", "pad_token_id"),
        *("repetition_penalty", "temperature", "top_k", "top_p", "transformers_version", "use_cache"),
    )
)
_WORDS_ONLY = ("config.json", "generation_config.json")
_OWN_TOKENIZERS = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend", "PythonBackend")
_PLAIN = ("tokenizer.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja")
_SENTENCEPIECE = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model")


def _model_keys(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of the configuration class of the library for this kind of model.

    Raises:
        CheckpointError: The kind is not one of the causal language models of the library.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or kind not in CONFIG_MAPPING:
        raise _refuse(f"is a model of the type {shorten(repr(kind))}, none of the library's causal language models")
    try:
        own = CONFIG_MAPPING[kind]().to_dict()
    except Exception as error:  # some are only parts of other models
        raise _refuse(f"is a model of the type {kind!r}, which cannot stand alone") from error
    return frozenset(key for key in own if not _REFUSED.search(key)) | _COMMON


_KEYS: dict[str, Callable[[Mapping[str, Any]], frozenset[str]]] = {
    "config.json": _model_keys,
    "generation_config.json": lambda values: _GENERATION,
    "tokenizer_config.json": lambda values: _TOKENIZER,
    "special_tokens_map.json": lambda values: _TOKENS,
}


def is_known(name: Any) -> bool:
    """Return whether a file of this name may be saved."""
    return name in _KEYS or name in _PLAIN or name in _SENTENCEPIECE


def keep_known(name: str, data: bytes) -> bytes:
    """Return the content of a file as it is saved: configurations without the keys that would be refused."""
    if name not in _KEYS:
        return data
    values = json.loads(data)
    keys = _KEYS[name](values)
    kept = {key: value for key, value in values.items() if key in keys}
    if name in _WORDS_ONLY:
        kept = {key: _without_refused(value) for key, value in kept.items() if not _is_text(value)}
    return json.dumps(kept, indent=2).encode()


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not _WORD.fullmatch(value)


def _is_refused(key: str) -> bool:
    return not _WORD.fullmatch(key) or key.startswith("_") or _REFUSED.search(key) is not None


def _without_refused(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_refused(v) for key, v in value.items() if not _is_refused(key) and not _is_text(v)}
    return [_without_refused(item) for item in value if not _is_text(item)] if isinstance(value, list) else value


def check_known(name: str, data: bytes) -> None:
    """Reject a file that could make the library import, open or fetch something.

    Raises:
        CheckpointError: It has a name, key, kind or value that no saved file has.
    """
    if not is_known(name):
        raise _refuse(f"has a file {shorten(repr(name), 80)}")
    if name not in _KEYS:
        return
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refuse(f"has a {name} that cannot be read ({shorten(str(error))})") from None
    if not isinstance(values, dict):
        raise _refuse(f"has a {name} that is no mapping")
    keys = _KEYS[name](values)
    for key in values:
        if key not in keys:
            raise _refuse(f"sets {shorten(repr(key), 80)} in {name}")
    if name == "tokenizer_config.json":
        _check_tokenizer(values)
    elif name in _WORDS_ONLY:
        _check_words(name, values)


def _check_tokenizer(values: Mapping[str, Any]) -> None:
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    name = values.get("tokenizer_class")
    known = set(_OWN_TOKENIZERS)
    for names in TOKENIZER_MAPPING_NAMES.values():
        known |= set(names) if isinstance(names, tuple | list) else {names}
    if name is not None and (
        not isinstance(name, str) or (name.removesuffix("Fast") not in known and name not in known)
    ):
        raise _refuse(f"has a tokenizer of the class {shorten(repr(name), 80)}, none of the library's")


def _check_words(name: str, values: Mapping[str, Any]) -> None:
    """Check that there are only numbers, flags and single words, also as keys of mappings, and no refused key."""
    left: list[Any] = list(values.values())
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for key in value:
                if _is_refused(key):
                    raise _refuse(f"sets {shorten(repr(key), 80)} in {name}")
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif _is_text(value):
            raise _refuse(f"has the text {shorten(repr(value), 80)} in {name}")


def _refuse(what: str) -> CheckpointError:
    return CheckpointError(f"the language model in the file of an agent is refused: it {what}")
