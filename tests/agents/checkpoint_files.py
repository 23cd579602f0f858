"""Checkpoint files, whole and made by hand, which tests of checkpoints share."""

import io
import json
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save as save_safetensors

from envzoo import agents
from envzoo.agents import checkpoint

HEADER = {"agent": "PPO"}


def same(a, b):
    """Equal in structure, types and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and raw(a) == raw(b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b or (a != a and b != b)


def raw(tensor):
    return tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def round_trip(path, state):
    checkpoint.save(path, HEADER, state)
    header, found = checkpoint.read(path)
    assert header == HEADER
    return found


def one_sentence(error):
    text = str(error.value)
    assert text
    assert len(text.splitlines()) == 1
    assert len(text) < 800
    return text


def zip_of(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def manifest_of(**changes):
    manifest = {"format": checkpoint.FORMAT, "format_version": checkpoint.FORMAT_VERSION, "header": HEADER, "state": {}}
    return json.dumps(manifest | changes).encode()


TENSORS = save_safetensors({})


def members(manifest=None, tensors=TENSORS):
    return [(checkpoint.MANIFEST, manifest_of() if manifest is None else manifest), (checkpoint.TENSORS, tensors)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small trained agent, its file, and what is in it."""
    path = tmp_path_factory.mktemp("trained") / "agent.zip"
    agent = agents.make("PPO", "envzoo/GridCoverage-v0", num_envs=2, num_steps=4, num_epochs=1, hidden=(4,))
    agent.learn(8)
    agent.save(path)
    return path
