"""Safe checkpoint files: one uncompressed zip of `manifest.json` and `tensors.safetensors`; nothing is ever unpickled.

The state of an agent is a tree of dicts, lists, tuples, numbers, strings, NumPy arrays and torch tensors. Arrays are
stored in safetensors, everything else in JSON with a marker at the position of each array. Reading rejects whatever the
writer would not have written (extra members, compressed members, paths, oversized manifests), so an untrusted file
cannot run code, fill the disk or write outside its folder.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from envzoo.errors import CheckpointError, EnvzooError, shorten
from envzoo.files import atomic_file
from envzoo.sizes import readable

FORMAT = "envzoo-agent"
FORMAT_VERSION = 1
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"
MAX_MANIFEST_BYTES = 8 * 2**20
MAX_CONTAINERS, MAX_VALUES = 200_000, 1_000_000


def _encode(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, torch.Tensor | np.ndarray):
        key = f"{len(arrays):06d}"
        kind = "torch" if isinstance(tree, torch.Tensor) else "numpy"
        if kind == "torch" and tree.dtype is torch.bfloat16:  # NumPy has no bfloat16: store the bits
            kind, tree = "bfloat16", tree.detach().cpu().contiguous().view(torch.int16)
        array = tree if kind == "numpy" else tree.detach().cpu().numpy()
        if array.dtype.kind not in "biufc":
            raise TypeError(f"a checkpoint cannot hold an array of dtype {array.dtype}; give numbers or booleans")
        # safetensors does not preserve 0-d layouts or Fortran order: store C-contiguous arrays.
        arrays[key] = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
        return {"__array__": [kind, key]}
    if isinstance(tree, Mapping):
        if all(isinstance(k, str) and not k.startswith("__") for k in tree):
            return {k: _encode(v, arrays) for k, v in tree.items()}
        return {"__items__": [[_encode(k, arrays), _encode(v, arrays)] for k, v in tree.items()]}
    if isinstance(tree, tuple):
        return {"__tuple__": [_encode(v, arrays) for v in tree]}
    if isinstance(tree, list):
        return [_encode(v, arrays) for v in tree]
    if isinstance(tree, np.generic):
        return tree.item()
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a checkpoint cannot hold a {type(tree).__name__}; give arrays, tensors, numbers or strings")


def _decode(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, dict):
        if "__array__" in tree:
            kind, key = tree["__array__"]
            if kind == "numpy":
                return arrays[key]
            tensor = torch.from_numpy(arrays[key])
            return tensor.view(torch.bfloat16) if kind == "bfloat16" else tensor
        if "__items__" in tree:
            return {_decode(k, arrays): _decode(v, arrays) for k, v in tree["__items__"]}
        if "__tuple__" in tree:
            return tuple(_decode(v, arrays) for v in tree["__tuple__"])
        return {k: _decode(v, arrays) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_decode(v, arrays) for v in tree]
    return tree


def save(path: str | os.PathLike, header: Mapping[str, Any], state: Any) -> None:
    """Write a checkpoint atomically.

    Args:
        path: Target file; parent folders are created.
        header: JSON-serialisable data that `read_header` returns without loading arrays (agent, config, spaces, ...).
        state: Tree of arrays and plain values.

    Raises:
        CheckpointError: The path is not a path.
    """
    check_path(path)
    arrays: dict[str, np.ndarray] = {}
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "header": dict(header)}
    manifest["state"] = _encode(state, arrays)
    encoded = json.dumps(manifest).encode()
    if len(encoded) > MAX_MANIFEST_BYTES or _is_crowded(encoded):  # it could not be read back
        raise EnvzooError(
            f"the agent cannot be saved: its plain numbers and texts take {readable(len(encoded))}, and no more than "
            f"{readable(MAX_MANIFEST_BYTES)}, {MAX_VALUES} values and {MAX_CONTAINERS} lists are read"
        )
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((MANIFEST, encoded), (TENSORS, save_safetensors(arrays))):
            # A fixed date makes the bytes depend on the content alone.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


def check_path(path: Any) -> Path:
    """Return the path of a checkpoint file; raises CheckpointError if it is not a path."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise CheckpointError(f"expected the path of a checkpoint file, got {path!r}")
    return Path(path)


def _read_members(path: Path, names: tuple[str, ...]) -> list[bytes]:
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            found = sorted(info.filename for info in infos)
            if found != sorted((MANIFEST, TENSORS)):
                raise CheckpointError(
                    f"{path} is not an envzoo checkpoint: it holds {found[:4]}, expected exactly {[MANIFEST, TENSORS]}"
                )
            for info in infos:
                if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                    raise CheckpointError(
                        f"{path} is refused: its member {info.filename} is compressed, ours never are"
                    )
                if info.file_size > path.stat().st_size:
                    raise CheckpointError(
                        f"{path} is refused: its member {info.filename} claims more bytes than the file"
                    )
                if info.filename == MANIFEST and info.file_size > MAX_MANIFEST_BYTES:
                    raise CheckpointError(
                        f"{path} is refused: its manifest has {info.file_size} bytes, over the limit of "
                        f"{MAX_MANIFEST_BYTES}"
                    )
            return [archive.read(name) for name in names]
    except CheckpointError:
        raise
    # zipfile raises ValueError, LookupError and ArithmeticError on damaged headers.
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        struct.error,
        RuntimeError,
        ValueError,
        LookupError,
        ArithmeticError,
    ) as e:
        raise CheckpointError(f"{path} is truncated or not an envzoo checkpoint ({e or type(e).__name__})") from e


def _is_crowded(data: bytes) -> bool:
    """Return whether a manifest has more lists or values than ours, which take far more memory than their text."""
    return data.count(b"[") + data.count(b"{") > MAX_CONTAINERS or data.count(b",") > MAX_VALUES


def _parse_manifest(path: Path, data: bytes) -> dict[str, Any]:
    if _is_crowded(data):
        raise CheckpointError(
            f"{path} is damaged: its manifest cannot be read (over {MAX_CONTAINERS} lists or {MAX_VALUES} values)"
        )
    try:
        manifest = json.loads(data)
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{path} is not an envzoo checkpoint: its format is {str(manifest['format'])[:40]!r}")
        if manifest["format_version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has checkpoint format {str(manifest['format_version'])[:40]}, "
                f"this version of envzoo reads {FORMAT_VERSION}"
            )
        if not isinstance(manifest["header"], dict):
            raise TypeError("header")
        return manifest
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its manifest cannot be read ({shorten(str(error))})") from error


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """Read the header of a checkpoint, without loading its arrays.

    Raises:
        CheckpointError: The file is missing, truncated, unsafe or not an envzoo checkpoint.
    """
    path = check_path(path)
    return _parse_manifest(path, _read_members(path, (MANIFEST,))[0])["header"]


def read(path: str | os.PathLike) -> tuple[dict[str, Any], Any]:
    """Read header and state of a checkpoint.

    Raises:
        CheckpointError: The file is missing, truncated, unsafe or not an envzoo checkpoint.
    """
    path = check_path(path)
    manifest_bytes, tensor_bytes = _read_members(path, (MANIFEST, TENSORS))
    manifest = _parse_manifest(path, manifest_bytes)
    listed = int.from_bytes(tensor_bytes[:8], "little")  # length of safetensors' own header
    if len(tensor_bytes) >= 8 and MAX_MANIFEST_BYTES < listed <= len(tensor_bytes):
        raise CheckpointError(
            f"{path} is refused: its list of arrays has {listed} bytes, over the limit of {MAX_MANIFEST_BYTES}"
        )
    try:
        arrays = {key: array.copy() for key, array in load_safetensors(tensor_bytes).items()}
        return manifest["header"], _decode(manifest["state"], arrays)
    except (SafetensorError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: its arrays cannot be read ({shorten(str(error))})") from error
