"""Log-probabilities under the reference policy, kept on disk by a hash of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from envzoo.agents.text.warm_up import cache_folder
from envzoo.errors import StorageError
from envzoo.files import reason, write_bytes
from envzoo.version import __version__

Scores = dict[str, Tensor]


def scores_folder() -> Path:
    """Return the folder of cached log-probabilities: in `$ENVZOO_CACHE`, or else in ~/.cache/envzoo."""
    return cache_folder().parent / "reference"


def scores_name(model: nn.Module, data: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """Compute the name of a file: a hash of the weights, the encoded pairs, versions, device and further facts."""
    digest = hashlib.sha256()
    about = {"envzoo": __version__, "torch": torch.__version__, "threads": torch.get_num_threads(), **facts}
    digest.update(json.dumps(about, sort_keys=True).encode())
    for name, tensor in (*sorted(model.state_dict().items()), *sorted(data.items())):
        held = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{held.dtype}{tuple(held.shape)}{tensor.device.type}".encode())
        digest.update(held.flatten().view(torch.uint8).numpy().tobytes())  # NumPy lacks some of the dtypes
    return f"{digest.hexdigest()[:32]}.safetensors"


def keep_scores(
    model: nn.Module, data: Mapping[str, Tensor], facts: Mapping[str, Any], compute: Callable[[], Scores]
) -> Scores:
    """Return log-probabilities from the cache, or compute and keep them.

    A file that cannot be read, or holds something else, is replaced, with a warning; so is there one if the cache
    cannot be written.

    Args:
        model: The reference policy.
        data: The encoded pairs, by name.
        facts: Whatever else the result depends on, JSON-serialisable.
        compute: Computes float tensors (N, ...) by name.
    """
    device = next(iter(data.values())).device
    path = scores_folder() / scores_name(model, data, facts)
    if path.exists():
        kept = _read(path, len(next(iter(data.values()))))
        if kept is not None:
            return {name: tensor.to(device) for name, tensor in kept.items()}
    found = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save_safetensors({name: tensor.contiguous().cpu() for name, tensor in found.items()}))
    except (StorageError, OSError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        warnings.warn(f"log-probabilities of the reference are used but not kept: {why}", stacklevel=3)
    return found


def _read(path: Path, rows: int) -> Scores | None:
    try:
        found = load_safetensors(path.read_bytes())
    except (SafetensorError, OSError) as error:
        why = reason(error)
    else:
        if found and all(len(tensor) == rows and tensor.isfinite().all() for tensor in found.values()):
            return found
        why = f"it does not hold finite numbers of {rows} pairs"
    warnings.warn(f"the log-probabilities in {path} cannot be read ({why}); they are computed again", stacklevel=4)
    return None
