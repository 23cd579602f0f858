"""Checkpoint files: exact round trips and atomic writing."""

import zipfile

import numpy as np
import pytest
import torch
from checkpoint_files import HEADER, round_trip, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from envzoo.agents import checkpoint

TORCH_DTYPES = [
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.bool),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
]


# ---------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_tensors_of_every_dtype(tmp_path, dtype, shape):
    count = int(np.prod(shape))
    tensor = (
        (torch.arange(count) * 37 % 2 if dtype is torch.bool else torch.arange(count) * 37).to(dtype).reshape(shape)
    )
    assert same(round_trip(tmp_path / "a.zip", {"x": tensor}), {"x": tensor})


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
arrays = npst.arrays(
    npst.boolean_dtypes()
    | npst.integer_dtypes()
    | npst.unsigned_integer_dtypes()
    | npst.floating_dtypes(sizes=(16, 32, 64)),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
).map(lambda array: array.astype(array.dtype.newbyteorder("=")))
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
trees = st.recursive(
    plain
    | arrays
    | arrays.filter(lambda array: array.dtype.isnative).map(lambda array: torch.from_numpy(array.copy())),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees)
def test_any_tree_comes_back_as_it_was(tmp_path, tree):
    assert same(round_trip(tmp_path / "a.zip", tree), tree)


def test_the_state_of_random_generators(tmp_path):
    state = {
        "numpy": np.random.Generator(np.random.PCG64(3)).bit_generator.state,
        "torch": torch.Generator().manual_seed(3).get_state(),
    }
    assert state["numpy"]["state"]["state"] > 2**64
    assert same(round_trip(tmp_path / "a.zip", state), state)


def test_foreign_memory_order_and_byte_order(tmp_path):
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    tensor = torch.arange(6.0).reshape(2, 3).T
    found = round_trip(tmp_path / "a.zip", {"array": array, "tensor": tensor})
    assert np.array_equal(found["array"], array)
    assert torch.equal(found["tensor"], tensor)


def test_keys_that_look_like_markers(tmp_path):
    state = {"__array__": ["numpy", "000000"], "__tuple__": {"__items__": 3}}
    assert same(round_trip(tmp_path / "a.zip", state), state)


def test_read_arrays_can_be_written_to(tmp_path):
    found = round_trip(tmp_path / "a.zip", {"x": np.zeros(3), "y": torch.zeros(3)})
    found["x"][0] = found["y"][0] = 1
    assert found["x"][0] == found["y"][0] == 1


@pytest.mark.parametrize(
    "thing",
    [object(), {1, 2}, np.array(["text"]), np.array([None]), lambda: 0],
    ids=["object", "set", "text", "objects", "function"],
)
def test_what_cannot_be_held_is_refused_when_writing(tmp_path, thing):
    path = tmp_path / "a.zip"
    checkpoint.save(path, HEADER, {"x": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError, match="a checkpoint cannot hold"):
        checkpoint.save(path, HEADER, {"x": thing})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------------------- writing


def test_bytes_are_a_function_of_the_content(tmp_path):
    state = {"b": np.arange(3), "a": (torch.ones(2), 1.5)}
    for name in ("one.zip", "two.zip"):
        checkpoint.save(tmp_path / name, HEADER, state)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    checkpoint.save(tmp_path / "two.zip", HEADER, {**state, "b": np.arange(1, 4)})
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["disk-full", "ctrl-c"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error):
    path = tmp_path / "a.zip"
    checkpoint.save(path, HEADER, {"x": 1})
    before = path.read_bytes()
    real, calls = zipfile.ZipFile.writestr, []

    def fail_on_second(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise error
        real(self, *args, **kwargs)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail_on_second)
    with pytest.raises(type(error)):
        checkpoint.save(path, HEADER, {"x": 2})
    assert len(calls) == 2
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_parent_folders_are_made(tmp_path):
    checkpoint.save(tmp_path / "new" / "folder" / "a.zip", HEADER, {"x": 1})
    assert checkpoint.read_header(tmp_path / "new" / "folder" / "a.zip") == HEADER
