"""A small language model: a decoder-only transformer over the characters of a task."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from envzoo.agents.optim import FlatOptimizer
from envzoo.agents.text.models import packed_sequences as packed
from envzoo.errors import EnvzooError

NEVER = -1e9  # logit of a token that is never written; finite, so that no product with it becomes NaN
MOST_SEQUENCES = 65_535  # with more in a batch, the kernels of cuDNN and FlashAttention fail
Cache = list[tuple[Tensor, Tensor]]  # keys and values (B, heads, places, dim / heads) of each layer


def computing(model: LanguageModel) -> torch.autocast:
    """Return the context in which the matrix products of a model are computed in its `compute_dtype`."""
    kind = model.device.type
    return torch.autocast(kind, model.compute_dtype, enabled=model.compute_dtype != torch.float32)


def _linear(inputs: int, outputs: int, std: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.normal_(layer.weight, 0.0, std, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _attention(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    if len(query) <= MOST_SEQUENCES:
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


class Block(nn.Module):
    """One layer: causal attention, then a feed-forward network, each on a normalized copy of its input."""

    def __init__(self, dim: int, heads: int, std: float, generator: torch.Generator):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inputs = _linear(dim, 3 * dim, 0.02, generator)
        self.mix = _linear(dim, dim, std, generator)
        self.up = _linear(dim, 4 * dim, 0.02, generator)
        self.down = _linear(4 * dim, dim, std, generator)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None, position: int) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the output of the layer for x (B, S, dim) at positions position, ..., and its keys and values.

        With `past` (B, heads, places, width), one token (S = 1) attends to the positions before it, and its key and
        value are stored in place; without, S tokens attend among themselves.
        """
        batch, length, dim = x.shape
        heads = self.inputs(self.norm_attention(x)).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if past is not None:
            past[0][:, :, position] = key[:, :, 0]
            past[1][:, :, position] = value[:, :, 0]
            seen_keys, seen_values = past[0][:, :, : position + 1], past[1][:, :, : position + 1]
            mixed = _attention(query, seen_keys, seen_values, False)
        else:
            mixed = _attention(query, key, value, True)
        x = x + self.mix(mixed.transpose(1, 2).reshape(batch, length, dim))
        return x + self.down(F.gelu(self.up(self.norm_feed(x)), approximate="tanh")), key, value


class CharacterTransformer(nn.Module):
    """Decoder-only transformer with learned positions, about 0.1 M parameters at the default size.

    Args:
        vocab_size: Token ids (V).
        places: Maximum sequence length.
        dim: Width.
        layers: Number of layers.
        heads: Number of attention heads; must divide the width.
        pad: Id that is never sampled: its logit is -1e9 everywhere.
        generator: Random generator for the initial weights, on the CPU.

    Attributes:
        compute_dtype: Dtype of matrix products; the weights keep their dtype.

    Raises:
        EnvzooError: The number of heads does not divide the width.
    """

    def __init__(
        self,
        vocab_size: int,
        places: int,
        dim: int = 64,
        layers: int = 2,
        heads: int = 4,
        pad: int = 0,
        *,
        generator: torch.Generator,
    ):
        super().__init__()
        if dim % heads:
            raise EnvzooError(f"{heads} heads do not divide a width of {dim}")
        self.places, self.pad = places, pad
        self.compute_dtype = torch.float32
        self.rooms: list[Any] = []  # memory of `packed`, free to be used
        self.weights: list[nn.Parameter] = []  # as `packed` wants them, once it has found them
        self.leaf: Tensor | None = None  # see `derived_from`
        self.tokens = nn.utils.skip_init(nn.Embedding, vocab_size, dim)
        self.positions = nn.utils.skip_init(nn.Embedding, places, dim)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, 0.0, 0.02, generator=generator)
        std = 0.02 / math.sqrt(2 * layers)  # the sum of all layers keeps its size
        self.blocks = nn.ModuleList(Block(dim, heads, std, generator) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.head = _linear(dim, vocab_size, 0.02, generator)
        never = torch.zeros(vocab_size)
        never[pad] = NEVER
        self.register_buffer("never", never, persistent=False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.never.device

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """Compute logits (B, S - start, V) of the tokens after the positions start, ..., S - 1 of ids (B, S) int64."""
        with computing(self):
            x = self._embed(ids, 0)
            for block in self.blocks:
                x, _, _ = block(x, None, 0)
            return self._logits(x[:, start:])

    @property
    def packs(self) -> bool:
        """Return whether the kernels for a CPU are used; otherwise torch is."""
        plain = self.head.weight.dtype == self.compute_dtype == torch.float32
        return plain and self.never.device.type == "cpu"

    @contextmanager
    def derived_from(self, optimizer: FlatOptimizer) -> Iterator[list[Tensor]]:
        """Let the logits of answers be functions of one vector in autograd, where the kernels for a CPU are used.

        One gradient is then accumulated instead of one per parameter, which takes longer than computing a small one.

        Args:
            optimizer: The optimizer of all parameters, which made them views of its vector.

        Yields:
            The leaves of autograd inside the block: that vector, or all parameters.

        Raises:
            EnvzooError: The parameters are not the views of that vector.
        """
        if not self.packs:
            yield optimizer.parameters
            return
        if not packed.lie_in(self, optimizer.flat):
            raise EnvzooError("the parameters of the language model are not those of this optimizer")
        self.leaf = optimizer.flat
        try:
            yield [optimizer.flat]
        finally:
            self.leaf = None

    def answers(self, prompts: Tensor, which: Tensor, tokens: Tensor) -> Tensor:
        """Compute logits (B, T, V) of tokens (B, T) of answers to prompts (U, P) with indices which (B,)."""
        if self.packs:
            return packed.answer_logits(self, prompts, which, tokens)
        return self(torch.cat([prompts[which], tokens[:, :-1]], 1), prompts.shape[1] - 1)

    def prefill(self, ids: Tensor, copies: int = 1) -> tuple[Tensor, Any]:
        """Read prompts (B, P), and return logits (B * copies, V) of the next tokens and the cache for `step`.

        Each prompt is read once; its row is then repeated `copies` times.
        """
        if self.packs and not torch.is_grad_enabled():
            return packed.prefill(self, ids, copies)
        cache = []
        rows, length = ids.shape[0] * copies, ids.shape[1]
        with computing(self):
            x = self._embed(ids, 0)
            for block in self.blocks:
                x, key, value = block(x, None, 0)
                pair = []
                for part in (key, value):
                    room = part.new_zeros(rows, part.shape[1], self.places, part.shape[3])
                    room[:, :, :length] = part.repeat_interleave(copies, 0) if copies > 1 else part
                    pair.append(room)
                cache.append((pair[0], pair[1]))
            return self._logits(x[:, -1]).repeat_interleave(copies, 0), cache

    def step(self, tokens: Tensor, position: int, cache: Any) -> Tensor:
        """Append tokens (B,) at a position, and return logits (B, V) of the next tokens. Changes the cache."""
        if isinstance(cache, packed.Cache | packed.fused.Continuation):
            return packed.step(self, tokens, position, cache)
        with computing(self):
            x = self._embed(tokens[:, None], position)
            for block, past in zip(self.blocks, cache, strict=True):
                x, _, _ = block(x, past, position)
            return self._logits(x[:, -1])

    def _embed(self, ids: Tensor, position: int) -> Tensor:
        return self.tokens(ids) + self.positions.weight[position : position + ids.shape[1]]

    def _logits(self, x: Tensor) -> Tensor:
        return self.head(self.norm(x)).to(self.never.dtype) + self.never


class LanguageModel(Protocol):
    """The interface of models for sampler and trainer; see `CharacterTransformer` for the shapes."""

    compute_dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    def __call__(self, ids: Tensor, start: int = 0) -> Tensor:
        """Compute logits of the tokens after the positions from `start` on."""

    def answers(self, prompts: Tensor, which: Tensor, tokens: Tensor) -> Tensor:
        """Compute logits of the tokens of answers to prompts."""

    def derived_from(self, optimizer: FlatOptimizer) -> AbstractContextManager[list[Tensor]]:
        """Return a context that tells which tensors are the leaves of autograd in it."""

    def prefill(self, ids: Tensor, copies: int = 1) -> tuple[Tensor, Any]:
        """Read prompts, and return logits of the next tokens and a cache."""

    def step(self, tokens: Tensor, position: int, cache: Any) -> Tensor:
        """Append a token to each row, and return logits of the next tokens."""


def answer_log_probs(
    model: LanguageModel, prompts: Tensor, tokens: Tensor, temperature: float = 1.0, which: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute log-probabilities of answers under softmax(logits / temperature).

    Args:
        model: The model.
        prompts: (U, P) int64.
        tokens: (B, T) int64, padded (by -1 where 0 is a token of the model).
        temperature: Sampling temperature.
        which: (B,) int64, index of the prompt of each answer; None if there is one prompt per answer (U = B).

    Returns:
        Log-probabilities of the tokens (B, T), and of the whole vocabulary (B, T, V); arbitrary on padding.
    """
    if which is None:
        which = torch.arange(len(tokens), device=tokens.device)
    logits = model.answers(prompts, which, tokens)
    log_prob = torch.log_softmax(logits if temperature == 1.0 else logits / temperature, -1)
    return log_prob.gather(-1, tokens.clamp_min(0)[..., None]).squeeze(-1), log_prob
