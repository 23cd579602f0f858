"""Hostile and damaged checkpoint files are refused in one sentence and do no harm."""

import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from checkpoint_files import HEADER, manifest_of, members, one_sentence, same, zip_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_safetensors

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.errors import CheckpointError


class Bomb:
    """Pickled, it would leave a file behind when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def lying_about_size():
    """A member whose directory entry claims more bytes than there are."""
    data = bytearray(zip_of(members(manifest_of() + b" " * 9)))
    entry = data.rindex(b"PK\x01\x02")
    for offset in (20, 24):  # compressed and uncompressed size
        data[entry + offset : entry + offset + 4] = (10**8).to_bytes(4, "little")
    return bytes(data)


def with_flipped_byte():
    data = bytearray(zip_of(members(manifest_of(state={"x": "unmistakable"}))))
    data[data.index(b"unmistakable")] ^= 1
    return bytes(data)


ARRAY_BYTES = save_safetensors({"000000": np.arange(4.0)})
HOSTILE = {
    "empty": (b"", "truncated or not an envzoo checkpoint"),
    "no-zip": (b"hello " * 50, "truncated or not an envzoo checkpoint"),
    "extra-member": (zip_of([*members(), ("evil.py", b"1")]), "it holds"),
    "missing-member": (zip_of(members()[:1]), "it holds"),
    "twice-the-same-member": (zip_of([*members(), members()[0]]), "it holds"),
    "climbing-out": (zip_of([("../evil", b"x"), members()[1]]), "it holds"),
    "absolute-path": (zip_of([("/tmp/evil", b"x"), members()[1]]), "it holds"),
    "line-break-in-name": (zip_of([("a\nb", b"x"), members()[1]]), "it holds"),
    "zip-bomb": (zip_of(members(tensors=b"\0" * 10**7), zipfile.ZIP_DEFLATED), "is compressed"),
    "bzip2-bomb": (zip_of(members(tensors=b"\0" * 10**6), zipfile.ZIP_BZIP2), "is compressed"),
    "lying-about-size": (lying_about_size(), "claims more bytes than the file"),
    "flipped-byte": (with_flipped_byte(), "truncated or not an envzoo checkpoint"),
    "no-json": (zip_of(members(b"\x80\x04hello")), "its manifest cannot be read"),
    "list-for-manifest": (zip_of(members(b"[1, 2]")), "its manifest cannot be read"),
    "no-header": (zip_of(members(json.dumps({"format": "envzoo-agent", "format_version": 1}).encode())), "damaged"),
    "header-no-dict": (zip_of(members(manifest_of(header=[1]))), "its manifest cannot be read"),
    "other-format": (zip_of(members(manifest_of(format="x" * 10**5))), "its format is"),
    "other-version": (zip_of(members(manifest_of(format_version=2))), "has checkpoint format 2"),
    "strange-version": (zip_of(members(manifest_of(format_version="y" * 10**5))), "has checkpoint format"),
    "deep-json": (zip_of(members(b"[" * 10**6)), "its manifest cannot be read"),
    "deep-state": (
        zip_of(members(manifest_of(state=0)[:-2] + b'{"a":' * 10**5 + b"0" + b"}" * 10**5 + b"}")),
        "its manifest cannot be read",
    ),
    "huge-integer": (zip_of(members(manifest_of(state=0)[:-2] + b"9" * 10**5 + b"}")), "its manifest cannot be read"),
    "no-safetensors": (zip_of(members(tensors=b"garbage")), "its arrays cannot be read"),
    "safetensors-cut": (zip_of(members(tensors=ARRAY_BYTES[:-8])), "its arrays cannot be read"),
    "safetensors-header-length": (zip_of(members(tensors=b"\xff" * 8 + ARRAY_BYTES[8:])), "its arrays cannot be read"),
    "safetensors-dtype": (
        zip_of(members(tensors=ARRAY_BYTES.replace(b'"F64"', b'"Q64"'))),
        "its arrays cannot be read",
    ),
    "safetensors-shape": (zip_of(members(tensors=ARRAY_BYTES.replace(b"[4]", b"[9]"))), "its arrays cannot be read"),
    "unknown-array": (zip_of(members(manifest_of(state={"__array__": ["torch", "7"]}))), "its arrays cannot be read"),
    "array-marker-no-pair": (zip_of(members(manifest_of(state={"__array__": 5}))), "its arrays cannot be read"),
    "array-marker-list": (
        zip_of(members(manifest_of(state={"__array__": ["numpy", []]}))),
        "its arrays cannot be read",
    ),
    "unhashable-key": (zip_of(members(manifest_of(state={"__items__": [[[], 1]]}))), "its arrays cannot be read"),
    "items-no-pairs": (zip_of(members(manifest_of(state={"__items__": [1]}))), "its arrays cannot be read"),
    "items-no-list": (zip_of(members(manifest_of(state={"__items__": 1}))), "its arrays cannot be read"),
    "tuple-no-list": (zip_of(members(manifest_of(state={"__tuple__": 1}))), "its arrays cannot be read"),
    "bits-of-other-width": (
        zip_of(
            members(manifest_of(state={"__array__": ["bfloat16", "0"]}), save_safetensors({"0": np.ones((), np.int64)}))
        ),
        "its arrays cannot be read",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_give_one_sentence_and_do_nothing(tmp_path, case):
    data, expected = HOSTILE[case]
    folder = tmp_path / "inner"
    folder.mkdir()
    path = folder / "a.zip"
    path.write_bytes(data)
    for read in (checkpoint.read, agents.load):
        with pytest.raises(CheckpointError) as error:
            read(path)
        assert expected in one_sentence(error)
    assert [p.name for p in tmp_path.rglob("*")] == ["inner", "a.zip"]


@pytest.mark.parametrize("as_member", [True, False])
def test_a_pickle_is_never_loaded(tmp_path, as_member):
    trace = tmp_path / "trace"
    payload = pickle.dumps(Bomb(trace))
    path = tmp_path / "a.zip"
    for data in (zip_of(members(payload)), zip_of(members(tensors=payload))) if as_member else (payload,):
        path.write_bytes(data)
        with pytest.raises(CheckpointError) as error:
            agents.load(path)
        one_sentence(error)
    torch.save({"x": Bomb(trace)}, path)
    with pytest.raises(CheckpointError, match="is not an envzoo checkpoint"):
        agents.load(path)
    assert not trace.exists()
    with pickle.loads(payload):  # the payload does work where it is unpickled
        assert trace.exists()


def test_a_manifest_over_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_MANIFEST_BYTES", 1000)
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of(members(manifest_of(state="x" * 1000))))
    with pytest.raises(CheckpointError, match=r"its manifest has 1\d\d\d bytes, over the limit"):
        checkpoint.read(path)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "nothing.zip", tmp_path):
        with pytest.raises(CheckpointError, match="there is no checkpoint file at"):
            checkpoint.read(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "a.zip"
    checkpoint.save(path, HEADER, {"x": np.arange(5), "y": [torch.ones(2), "text", 1.5]})
    return path


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(tmp_path, small, share):
    data = small.read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError) as error:
        checkpoint.read(path)
    one_sentence(error)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_anywhere_reads_the_same_or_is_refused(tmp_path, small, data):
    content = bytearray(small.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.zip"
    path.write_bytes(content)
    sentence, found = "", None
    try:
        found = checkpoint.read(path)
    except CheckpointError as error:
        sentence = str(error)
    assert len(sentence.splitlines()) == 1 or same(found, checkpoint.read(small))
