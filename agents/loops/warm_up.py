"""Supervised learning from demonstrations before reinforcement learning, kept on disk by its configuration."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from envzoo.agents.loops.codec import Codec
from envzoo.agents.networks.language import LanguageModel
from envzoo.agents.optim import make_optimizer
from envzoo.files import write_bytes
from envzoo.version import __version__


def cache_folder() -> Path:
    """Where warmed-up models are kept: `$ENVZOO_CACHE`, else ~/.cache/envzoo."""
    return Path(os.environ.get("ENVZOO_CACHE") or Path.home() / ".cache" / "envzoo") / "warm_up"


def cache_name(facts: dict[str, Any], network: LanguageModel) -> str:
    """File name for a warm-up: a hash of everything its result depends on, the first weights included."""
    digest = hashlib.sha256()
    versions = {"envzoo": __version__, "torch": torch.__version__, "numpy": np.__version__}
    digest.update(json.dumps({**facts, **versions}, sort_keys=True, default=str).encode())
    for name, tensor in network.state_dict().items():
        bits = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)  # NumPy lacks some of the dtypes
        digest.update(name.encode() + bits.numpy().tobytes())
    return f"{digest.hexdigest()[:32]}.safetensors"


def imitate(
    network: LanguageModel,
    codec: Codec,
    updates: int,
    batch: int,
    learning_rate: float,
    noise: float,
    seed: int,
    micro_batch: int | None = None,
) -> dict[str, torch.Tensor]:
    """Weights after so many AdamW steps on the cross-entropy of demonstrations; the network itself is left alone."""
    pupil = copy.deepcopy(network)
    optimizer = make_optimizer(pupil, "adamw", lr=learning_rate, max_grad_norm=1.0)
    device = network.device
    for update in range(updates):
        prompts = codec.task.sample(batch, "train", seed, update * batch)
        answers = codec.task.demo(prompts, noise, seed, update * batch)
        answers, mask = codec.demonstrations(prompts, answers)
        ids, targets, weight = (torch.as_tensor(x, device=device) for x in (codec.encode(prompts), answers, mask))
        if micro_batch is None or micro_batch >= batch:
            optimizer.step(_cross_entropy(pupil, ids, targets, weight))
            continue
        optimizer.flat.grad.zero_()
        for rows in torch.arange(batch, device=device).split(micro_batch):
            loss = _cross_entropy(pupil, ids[rows], targets[rows], weight[rows], "sum") / weight.sum()
            loss.backward(inputs=optimizer.parameters)
        optimizer.apply()
    return {name: tensor.detach().clone() for name, tensor in pupil.state_dict().items()}


def _cross_entropy(
    network: LanguageModel, ids: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, reduction: str = "mean"
) -> torch.Tensor:
    logits = network(torch.cat([ids, targets[:, :-1]], 1), ids.shape[1] - 1)
    return F.cross_entropy(logits[weight], targets[weight], reduction=reduction)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def warm_up(
    network: LanguageModel, codec: Codec, settings: dict[str, Any], facts: dict[str, Any], keep: bool
) -> dict[str, torch.Tensor]:
    """Weights of a warmed-up network: from the cache when an equal one was made before, else learned and kept.

    Of a file of the cache that cannot be read a warning says so; the network learns then, and the file is replaced.

    Args:
        network: With its first weights.
        codec: The puzzles, in its tokens.
        settings: Arguments of `imitate`.
        facts: What else tells one warm-up from another (the environment's id and keywords).
        keep: Whether to use the cache.
    """
    path = cache_folder() / cache_name({**settings, **facts, "device": network.device.type}, network)
    if keep and path.exists():
        try:
            return load_safetensors(path.read_bytes())
        except (SafetensorError, OSError) as error:
            warnings.warn(
                f"the warmed-up model {path} cannot be read ({_reason(error)}); it is made again", stacklevel=3
            )
    weights = imitate(network, codec, **settings)
    if keep:
        write_bytes(path, save_safetensors({name: tensor.contiguous().cpu() for name, tensor in weights.items()}))
    return weights
