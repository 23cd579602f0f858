"""Checkpoint files: exact round trips, atomic writing, and hostile or damaged files that do no harm."""

import io
import json
import pickle
import warnings
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import save as save_safetensors

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.errors import CheckpointError, EnvzooError

TORCH_DTYPES = [
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.bool),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
]
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


# ---------------------------------------------------------------------------- hostile and damaged files


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
def trained(tmp_path_factory):
    """A small trained agent, its file, and what is in it."""
    path = tmp_path_factory.mktemp("trained") / "agent.zip"
    agent = agents.make("PPO", "envzoo/GridCoverage-v0", num_envs=2, num_steps=4, num_epochs=1, hidden=(4,))
    agent.learn(8)
    agent.save(path)
    return path


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


# ---------------------------------------------------------------------------- files that do not fit


def rewritten(trained, path, change):
    """The trained agent's file with `change(header, state)` applied."""
    header, state = checkpoint.read(trained)
    change(header, state)
    checkpoint.save(path, header, state)
    return path


def part(*names):
    def find(state):
        for name in names:
            state = state[name]
        return state

    return find


POLICY = part("parts", "policy")
MOMENTS = part("parts", "optimizer", "state", 0)
EXPERIENCE = part("parts", "experience")
CHANGES = {
    "a-weight-of-another-shape": lambda h, s: POLICY(s).update({"actor_head.weight": torch.zeros(1, 1)}),
    "a-weight-missing": lambda h, s: POLICY(s).pop("actor_head.weight"),
    "a-weight-too-many": lambda h, s: POLICY(s).update(extra=torch.zeros(1)),
    "a-weight-that-is-text": lambda h, s: POLICY(s).update({"actor_head.weight": "text"}),
    "moments-of-another-shape": lambda h, s: MOMENTS(s).update(exp_avg=torch.zeros(3)),
    "moments-without-shape": lambda h, s: MOMENTS(s).update(exp_avg=torch.zeros(())),
    "moments-of-another-dtype": lambda h, s: MOMENTS(s).update(exp_avg_sq=MOMENTS(s)["exp_avg_sq"].double()),
    "moments-that-are-text": lambda h, s: MOMENTS(s).update(exp_avg="text"),
    "a-part-missing": lambda h, s: s["parts"].pop("experience"),
    "parts-that-are-a-list": lambda h, s: s.update(parts=[]),
    "progress-that-is-text": lambda h, s: s["progress"].update(num_timesteps="many"),
    "progress-missing": lambda h, s: s.pop("progress"),
    "observations-of-another-shape": lambda h, s: EXPERIENCE(s).update(observation=np.zeros((2, 99), np.int32)),
    "observations-of-another-dtype": lambda h, s: EXPERIENCE(s).update(observation=np.zeros((2, 2))),
    "an-environment-field-missing": lambda h, s: EXPERIENCE(s)["env"].popitem(),
    "an-environment-field-of-another-shape": lambda h, s: EXPERIENCE(s)["env"].update(
        {name: np.zeros((2, 7, 7, 7)) for name in list(EXPERIENCE(s)["env"])[:1]}
    ),
    "a-generator-that-is-short": lambda h, s: s["parts"]["streams"]["torch"].update(
        actions=torch.zeros(3, dtype=torch.uint8)
    ),
    "a-numpy-generator-out-of-range": lambda h, s: s["parts"]["streams"]["numpy"].update(
        x={"bit_generator": "PCG64", "state": {"state": -1, "inc": 2**200}, "has_uint32": 0, "uinteger": 0}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_that_does_not_fit_gives_one_sentence(tmp_path, trained, change):
    path = rewritten(trained, tmp_path / "a.zip", CHANGES[change])
    with pytest.raises(CheckpointError) as error:
        agents.load(path)
    assert f"{path} does not fit PPO on envzoo/GridCoverage-v0" in one_sentence(error)


HEADERS = {
    "an-unknown-agent": (lambda h, s: h.update(agent="PPPO"), "holds an agent 'PPPO' that this version"),
    "an-agent-that-is-a-list": (lambda h, s: h.update(agent=[1]), "does not name an agent"),
    "a-config-that-is-a-list": (lambda h, s: h.update(config=[1]), "does not name an agent"),
    "a-seed-missing": (lambda h, s: h.pop("seed"), "its header lacks 'seed'"),
    "a-source-that-is-a-number": (lambda h, s: h.update(source=3), "is no source"),
    "a-hyperparameter-too-many": (lambda h, s: h["config"].update(evil=1), "unknown hyperparameter of PPO 'evil'"),
    "a-hyperparameter-of-another-type": (lambda h, s: h["config"].update(gamma="x"), "gamma of PPO expects float"),
    "another-network": (lambda h, s: h["config"].update(hidden=[5]), "does not fit PPO"),
    "other-keywords": (lambda h, s: h.update(env_kwargs={"rows": 3}), "was trained with the observation space"),
    "an-unknown-environment": (lambda h, s: h.update(source="envzoo/GridCoverag-v0"), "envzoo/GridCoverage-v0"),
    "a-module-to-import": (lambda h, s: h.update(source="antigravity:Env-v0"), "needs a module that is not imported"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_does_not_fit_gives_one_sentence(tmp_path, trained, case):
    change, expected = HEADERS[case]
    path = rewritten(trained, tmp_path / "a.zip", change)
    with pytest.raises(EnvzooError) as error:
        agents.load(path)
    assert expected in one_sentence(error)


def test_another_agent_than_expected(trained):
    with pytest.raises(CheckpointError, match="holds an agent PPO, expected SubPO"):
        agents.load(trained, expect="SubPO")
    assert agents.load(trained, expect="PPO").spec.name == "PPO"


def test_other_spaces_name_both(trained):
    with pytest.raises(CheckpointError) as error:
        agents.load(trained, "CartPole-v1")
    text = one_sentence(error)
    assert "Discrete(100)" in text or "MultiDiscrete" in text
    assert "CartPole-v1 has Box" in text


def test_an_agent_of_an_environment_object_asks_for_the_source(tmp_path):
    class Tiny(gym.Env):
        observation_space = gym.spaces.Discrete(2)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return 0, {}

        def step(self, action):
            return 1, 1.0, True, False, {}

    agent = agents.make("PPO", Tiny(), num_steps=4, num_epochs=1)
    agent.learn(4)
    agent.save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="was trained on an object without an id; give the source"):
        agents.load(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip", Tiny()).num_timesteps == 4


def test_keywords_of_the_environment_come_back(tmp_path):
    agent = agents.make("Random", "envzoo/GridCoverage-v0", env_kwargs={"rows": 3})
    agent.save(tmp_path / "a.zip")
    for source in (None, "envzoo/GridCoverage-v0"):
        assert agents.load(tmp_path / "a.zip", source).source.env_kwargs == {"rows": 3}


def test_keywords_that_no_file_can_hold(tmp_path):
    env = gym.make("FrozenLake-v1", desc=np.array([list("SF"), list("FG")]))
    agent = agents.make("Random", env)
    agent.save(tmp_path / "a.zip")
    with pytest.raises(CheckpointError, match="give the source"):
        agents.load(tmp_path / "a.zip")
    assert agents.load(tmp_path / "a.zip", env).source.given is env
