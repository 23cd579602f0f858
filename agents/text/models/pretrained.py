"""Causal language models of Hugging Face as policies: loading them safely, and the interface for the sampler.

A model comes with a tokenizer. Both are saved as plain files inside the file of an agent, so that an agent can be
loaded without the hub and without the folder that its model came from.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents import guard
from envzoo.agents.optim import FlatOptimizer
from envzoo.agents.text.models.language import computing
from envzoo.agents.text.models.pretrained_files import check_known, is_known, keep_known
from envzoo.errors import CheckpointError, EnvzooError, missing_extra, shorten

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
NOTHING = -1  # a place without a token: padding on the left of a prompt, or after an answer


def library() -> ModuleType:
    """Import the package transformers.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise missing_extra("a pretrained language model", "transformers", "text") from error
    return transformers


class _Cache(NamedTuple):
    past: Any  # the keys and values, of transformers
    seen: Tensor  # (B, places) bool, which places hold tokens


class PretrainedModel(nn.Module):
    """A causal language model of transformers with the interface of `CharacterTransformer`.

    Ids of -1 (`NOTHING`) mark positions without a token, which are masked out and do not count in position ids. Dropout
    is off, so that a token has the same probability in sampling and in training.

    Args:
        model: The model.

    Raises:
        EnvzooError: The model does not accept a cache of keys and values.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model.eval()
        self.compute_dtype = torch.float32
        takes = frozenset(inspect.signature(type(model).forward).parameters)
        caches = [name for name in ("cache", "past_key_values") if name in takes]
        layers = getattr(_new_cache(model.config), "layers", []) if caches else []
        if not caches or not all(hasattr(layer, "batch_repeat_interleave") for layer in layers):
            raise EnvzooError(
                f"{type(model).__name__} keeps no cache of keys and values; expected a transformer that writes text"
            )
        self._takes, self._cache = takes, caches[0]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.model.parameters()).device

    @property
    def vocab_size(self) -> int:
        """Number of tokens that the model can read."""
        return self.model.get_input_embeddings().num_embeddings

    @property
    def places(self) -> int | None:
        """Maximum sequence length; None if the configuration does not state it."""
        return getattr(self.model.config, "max_position_embeddings", None)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """Compute float32 logits (B, S - start, V) of the tokens after the positions start, ... of ids (B, S) int64."""
        seen = ids >= 0
        return self._run(ids, seen, _positions(seen), ids.shape[1] - start)

    def answers(self, prompts: Tensor, which: Tensor, tokens: Tensor) -> Tensor:
        """Compute float32 logits (B, T, V) of the tokens (B, T) of answers to prompts (U, P) with indices (B,)."""
        return self(torch.cat([prompts[which], tokens[:, :-1]], 1), prompts.shape[1] - 1)

    @contextmanager
    def derived_from(self, optimizer: FlatOptimizer) -> Iterator[list[Tensor]]:
        """See `CharacterTransformer.derived_from`; the leaves are the trained parameters."""
        yield optimizer.parameters

    def prefill(self, ids: Tensor, copies: int = 1) -> tuple[Tensor, list[_Cache]]:
        """Read prompts (B, P), and return logits (B * copies, V) of the next tokens and the cache for `step`.

        Each prompt is read once; its row is then repeated `copies` times.
        """
        seen = ids >= 0
        past = _new_cache(self.model.config)
        logits = self._run(ids, seen, _positions(seen), 1, past)[:, -1]
        if copies > 1:
            past.batch_repeat_interleave(copies)
        return logits.repeat_interleave(copies, 0), [_Cache(past, seen.repeat_interleave(copies, 0))]

    def step(self, tokens: Tensor, position: int, cache: list[_Cache]) -> Tensor:
        """Append tokens (B,), and return logits (B, V) of the next tokens. Changes the cache."""
        past, seen = cache[0]
        seen = torch.cat([seen, (tokens >= 0)[:, None]], 1)
        cache[0] = _Cache(past, seen)
        return self._run(tokens[:, None], seen, _positions(seen)[:, -1:], 1, past)[:, -1]

    def _run(self, ids: Tensor, seen: Tensor, positions: Tensor, keep: int, past: Any = None) -> Tensor:
        arguments: dict[str, Any] = {"attention_mask": seen.long(), "use_cache": past is not None}
        if past is not None:
            arguments[self._cache] = past
        if "position_ids" in self._takes:
            arguments["position_ids"] = positions
        if "logits_to_keep" in self._takes:  # the head of a large vocabulary costs more than all the layers
            arguments["logits_to_keep"] = keep
        with computing(self):
            return self.model(input_ids=ids.clamp_min(0), **arguments).logits[:, -keep:].float()

    # Heads that share the weights of the embedding are kept once.

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:
        """Return weights and persistent buffers by name, tied ones once."""
        tied = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        tied -= {name for name, _ in self.named_parameters()}
        return {name: value for name, value in super().state_dict().items() if name not in tied}

    def load_state_dict(self, state: Mapping[str, Tensor], *arguments: Any, **keywords: Any) -> None:
        """Restore what `state_dict` returned; raises RuntimeError if names or shapes differ."""
        own = self.state_dict()
        if own.keys() != state.keys():
            raise RuntimeError(f"the weights {sorted(own.keys() ^ state.keys())[:3]} do not belong to both models")
        with torch.no_grad():
            for name, value in own.items():
                if value.shape != state[name].shape:
                    raise RuntimeError(f"{name} has the shape {tuple(state[name].shape)}, not {tuple(value.shape)}")
                value.copy_(state[name])


def _positions(seen: Tensor) -> Tensor:
    return (seen.long().cumsum(1) - 1).clamp_min(0)


def _new_cache(config: Any) -> Any:
    cache = library().DynamicCache
    # Only newer releases look at the configuration, for layers that forget.
    return cache(config=config) if "config" in inspect.signature(cache.__init__).parameters else cache()


# ------------------------------------------------------------------- loading


def load_pretrained(name: str, dtype: str = "float32") -> tuple[PretrainedModel, Any]:
    """Load a model and its tokenizer from a folder or the hub, from safetensors only, without running code of theirs.

    Args:
        name: A folder, or an id of the hub; a copy that was downloaded before is used without network access.
        dtype: Key of `DTYPES`; dtype of the weights.

    Raises:
        MissingExtraError: transformers is not installed.
        EnvzooError: There is no such model, or it is not a causal language model in safetensors.
    """
    guard.check_model(name)
    transformers = library()
    if _is_folder(name):
        _check_folder(Path(name).expanduser())
        attempts = [(str(Path(name).expanduser()), True)]
    else:
        attempts = [(name, True), (name, False)]
    for where, local in attempts:
        try:
            safe = {"trust_remote_code": False, "local_files_only": local}
            with torch.random.fork_rng():  # layers are filled with numbers of the global generator first
                model, found = transformers.AutoModelForCausalLM.from_pretrained(
                    where, use_safetensors=True, output_loading_info=True, **_dtype_keyword(dtype), **safe
                )
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, **safe)
            break
        except Exception as error:  # the library and what stands below it raise whatever they like
            if (where, local) == attempts[-1]:
                raise _sentence(name, error) from error
    if found["missing_keys"]:
        raise EnvzooError(
            f"the model {name!r} is no causal language model: it lacks weights such as "
            f"{sorted(map(str, found['missing_keys']))[0]}"
        )
    network = PretrainedModel(model)
    if len(tokenizer) > network.vocab_size:
        raise EnvzooError(
            f"the tokenizer of {name!r} has {len(tokenizer)} tokens, but the model reads {network.vocab_size}; they do "
            "not belong together"
        )
    return network, tokenizer


def _is_folder(name: str) -> bool:
    return Path(name).expanduser().exists() or name.startswith((".", "/", "~")) or name.count("/") > 1


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise EnvzooError(f"there is no folder {str(folder)!r}; expected that of a model, or an id of the hub")
    if not (folder / "config.json").is_file():
        raise EnvzooError(f"the folder {str(folder)!r} holds no model: there is no config.json in it")
    if not any(folder.glob("*.safetensors")):
        others = sorted(file.name for ending in ("*.bin", "*.pt", "*.pth", "*.ckpt") for file in folder.glob(ending))
        held = f"its weights are in {others[0]}, a format that can run code" if others else "it holds no weights"
        raise EnvzooError(f"the model in {str(folder)!r} is refused: {held}; expected files ending in .safetensors")


def _dtype_keyword(dtype: str) -> dict[str, torch.dtype]:
    version = tuple(int(part) for part in library().__version__.split(".")[:2])
    return {"dtype" if version >= (4, 56) else "torch_dtype": DTYPES[dtype]}


def _sentence(name: str, error: Exception) -> EnvzooError:
    reason = " ".join((str(error).strip().splitlines() or [""])[0].split()) or type(error).__name__
    if _is_folder(name):
        return EnvzooError(f"the model in {name!r} cannot be loaded ({reason})")
    if isinstance(error, OSError):
        return EnvzooError(
            f"the model {name!r} cannot be had from the Hugging Face hub: it is not on this machine, and the hub does "
            f"not have it or cannot be reached ({reason}); download it with `hf download {name}` where there is a "
            "network, or give the folder of a copy"
        )
    return EnvzooError(f"the model {name!r} cannot be loaded ({reason})")


# --------------------------------------------- inside the file of an agent


class ModelFiles:
    """Configuration and tokenizer of a model as files, saved with the agent. The weights are saved with the policy.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: PretrainedModel, tokenizer: Any):
        self.model, self.tokenizer = model, tokenizer

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the bytes of the files, uint8, by name."""
        with TemporaryDirectory() as folder:
            self.tokenizer.save_pretrained(folder)
            self.model.model.config.save_pretrained(folder)
            generation = getattr(self.model.model, "generation_config", None)
            if generation is not None:
                generation.save_pretrained(folder)
            files = [file for file in sorted(Path(folder).iterdir()) if is_known(file.name)]
            kept = {file.name: keep_known(file.name, file.read_bytes()) for file in files}
            return {name: np.frombuffer(data, np.uint8) for name, data in kept.items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Do nothing: the model was built from the same files (see `from_files`)."""


def from_files(files: Mapping[str, Any], dtype: str) -> tuple[PretrainedModel, Any]:
    """Build a model without its weights, and its tokenizer, from what `ModelFiles.state_dict` returned.

    Raises:
        CheckpointError: The files are not such files, or are damaged.
        MissingExtraError: transformers is not installed.
    """
    transformers = library()
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            if not is_known(name) or not isinstance(data, np.ndarray) or data.dtype != np.uint8:
                name = shorten(str(name), 80)
                raise CheckpointError(f"the file of an agent holds {name!r}, which belongs to no language model")
            check_known(name, data.tobytes())
            (Path(folder) / name).write_bytes(data.tobytes())
        safe = {"trust_remote_code": False, "local_files_only": True}
        try:
            config = transformers.AutoConfig.from_pretrained(folder, **safe)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
            with torch.random.fork_rng():
                model = transformers.AutoModelForCausalLM.from_config(
                    config, trust_remote_code=False, **_dtype_keyword(dtype)
                )
            if "generation_config.json" in files:
                model.generation_config = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
        except CheckpointError:  # more tensors than the file accounts for
            raise
        except Exception as error:  # as above
            reason = " ".join((str(error).strip().splitlines() or [""])[0].split()) or type(error).__name__
            reason = shorten(reason)
            raise CheckpointError(f"the language model in the file of an agent is damaged ({reason})") from error
    return PretrainedModel(model), tokenizer


def end_tokens(model: PretrainedModel, tokenizer: Any) -> list[int]:
    """List the ids of the end-of-text tokens, starting with the tokenizer's own; empty if there are none."""
    ends = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    more = getattr(getattr(model.model, "generation_config", None), "eos_token_id", None)
    more = [] if more is None else list(more) if isinstance(more, list | tuple) else [more]
    return list(dict.fromkeys(int(token) for token in ends + more))
