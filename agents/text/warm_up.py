"""Supervised learning from demonstrations before reinforcement learning, with a cache on disk."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from envzoo.agents.optim import make_optimizer
from envzoo.agents.text.codec import Codec
from envzoo.agents.text.models.language import LanguageModel
from envzoo.errors import StorageError
from envzoo.files import reason, write_bytes
from envzoo.version import __version__


def cache_folder() -> Path:
    """Return the folder of cached models: in `$ENVZOO_CACHE`, or else in ~/.cache/envzoo."""
    return Path(os.environ.get("ENVZOO_CACHE") or Path.home() / ".cache" / "envzoo") / "warm_up"


def cache_name(facts: dict[str, Any], network: LanguageModel) -> str:
    """Compute the file name of a warm-up: a hash of everything its result depends on, including the initial weights."""
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
    """Compute the weights after AdamW steps on the cross-entropy of demonstrations; the network is not changed."""
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


def _fits(weights: dict[str, torch.Tensor], network: LanguageModel) -> str | None:
    """Return why weights do not fit a network, or None."""
    own = network.state_dict()
    for name in own.keys() ^ weights.keys():
        return f"it {'lacks' if name in own else 'holds a strange'} {name!r}"
    for name, tensor in own.items():
        found = weights[name]
        if (found.shape, found.dtype) != (tensor.shape, tensor.dtype):
            expected = f"{tuple(tensor.shape)} of {tensor.dtype}"
            return f"{name!r} is {tuple(found.shape)} of {found.dtype}, expected {expected}"
    return None


def _read(path: Path, network: LanguageModel) -> dict[str, torch.Tensor] | None:
    """Read cached weights; None, with a warning, if the file is not usable."""
    try:
        weights = load_safetensors(path.read_bytes())
        why = _fits(weights, network)
    except (SafetensorError, OSError) as error:
        why = reason(error)
    if why is None:
        return weights
    warnings.warn(f"the warmed-up model {path} cannot be read ({why}); it is made again", stacklevel=4)
    return None


def _open_cache() -> Path | None:
    """Create the folder of the cache; None, with a warning, if it is not writable."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        where = os.environ.get("ENVZOO_CACHE") or "~/.cache/envzoo"
        warnings.warn(
            f"the warmed-up model cannot be kept, because {where} cannot be written ({reason(error)}); set "
            "ENVZOO_CACHE to a folder that can, or warm_up_cache=False",
            stacklevel=4,
        )
        return None
    return folder


def warm_up(
    network: LanguageModel, codec: Codec, settings: dict[str, Any], facts: dict[str, Any], keep: bool
) -> dict[str, torch.Tensor]:
    """Return the weights of a warmed-up network, from the cache if there is an equal one.

    A file of the cache that cannot be read, or that holds other arrays, is replaced. If the cache is not writable, it
    is not used. In both cases there is a warning before training starts.

    Args:
        network: The network with its initial weights.
        codec: The puzzles, in the tokens of the network.
        settings: Arguments of `imitate`.
        facts: Whatever else distinguishes one warm-up from another (id and keywords of the environment).
        keep: Whether to use the cache.
    """
    folder = _open_cache() if keep else None
    if folder is None:
        return imitate(network, codec, **settings)
    facts = {**settings, **facts, "device": network.device.type}
    if torch.get_num_threads() > 1:  # sums of several threads are rounded otherwise
        facts["threads"] = torch.get_num_threads()
    path = folder / cache_name(facts, network)
    kept = _read(path, network) if path.exists() else None
    if kept is not None:
        return kept
    weights = imitate(network, codec, **settings)
    data = save_safetensors({name: tensor.contiguous().cpu() for name, tensor in weights.items()})
    try:
        write_bytes(path, data)
    except StorageError as error:
        warnings.warn(f"the warmed-up model is used but not kept: {error}", stacklevel=3)
    return weights
