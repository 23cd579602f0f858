"""Encoders: shapes, the lookup path, images, and memory that agrees step by step and in chunks."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.networks.encoders import CNNEncoder, GRUEncoder, MLPEncoder, make_encoder
from envzoo.agents.networks.layers import MLP, EnsembleMLP
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.errors import UnknownNameError, UnsupportedSpaceError

BOX = spaces.Box(-1, 1, (3,))
GRID = spaces.MultiDiscrete([50, 40], start=[-3, 2])
IMAGE = spaces.Box(0, 255, (10, 12, 3), np.uint8)
MIXED = spaces.Dict(eye=IMAGE, place=spaces.Discrete(5), speed=BOX)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(name, space, hidden=(6, 5), activation="tanh", seed=0):
    codec = ObservationCodec(space)
    return codec, make_encoder(name, codec, hidden, activation, generator(seed))


def rows(codec, count, seed=0):
    batch = batch_space(codec.space, count)
    batch.seed(seed)
    return torch.from_numpy(codec.pack(batch.sample()))


@pytest.mark.parametrize(
    ("name", "space", "expected"),
    [
        ("auto", BOX, MLPEncoder),
        ("auto", GRID, MLPEncoder),
        ("auto", IMAGE, CNNEncoder),
        ("auto", MIXED, CNNEncoder),
        ("gru", MIXED, GRUEncoder),
        ("gru", GRID, GRUEncoder),
    ],
)
def test_features_have_their_shape_whatever_the_leading_dimensions(name, space, expected):
    codec, encoder = build(name, space)
    assert type(encoder) is expected
    x = rows(codec, 6)
    features, _ = encoder(x.reshape(2, 3, -1))
    assert features.shape == (2, 3, 5)
    assert encoder.out_dim == 5
    single, state = encoder.step(x, encoder.initial_state(6), None)
    assert single.shape == (6, 5)
    assert state.shape == (6, encoder.state_dim)
    if not encoder.recurrent:
        assert torch.allclose(single, features.reshape(6, 5), atol=1e-6)
        assert torch.equal(state, encoder.initial_state(6))


@pytest.mark.parametrize("hidden", [(7,), (7, 4)])
def test_the_lookup_of_one_hot_rows_equals_the_dense_layer(hidden):
    codec, encoder = build("mlp", GRID, hidden)
    assert encoder.lookup
    x = rows(codec, 20).reshape(4, 5, -1)
    dense = encoder.net(codec.vector(x))
    assert torch.allclose(encoder.features(x), dense, atol=1e-6)
    # The gradients agree as well.
    target = torch.linspace(-1, 1, hidden[-1])
    gradients = []
    for output in (encoder.features(x), dense):
        encoder.zero_grad()
        ((output - target) ** 2).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_small_or_mixed_inputs_take_the_dense_layer():
    for space in (spaces.Discrete(64), BOX, spaces.Dict(a=GRID, b=BOX)):
        assert not build("mlp", space)[1].lookup
    assert build("mlp", spaces.Discrete(65))[1].lookup
    assert not build("mlp", spaces.Discrete(65), hidden=())[1].lookup


def test_without_hidden_layers_an_mlp_is_the_identity():
    codec, encoder = build("mlp", spaces.Discrete(70), hidden=())
    x = rows(codec, 5)
    assert encoder.out_dim == 70
    assert torch.equal(encoder.features(x), codec.vector(x))


@pytest.mark.parametrize(
    ("shape", "width"),
    [
        ((8, 8, 1), 32 * 4 * 4),
        ((10, 12, 3), 32 * 5 * 6),
        ((35, 50, 3), 32 * 18 * 25),
        ((84, 84, 4), 64 * 7 * 7),
        ((4, 84, 84), 64 * 7 * 7),
        ((36, 36, 3), 64 * 1 * 1),
    ],
)
def test_convolutions_fit_every_size_of_image(shape, width):
    codec, encoder = build("cnn", spaces.Box(0, 255, shape, np.uint8))
    assert encoder.net.layers[0].in_features == width
    features = encoder.features(rows(codec, 2))
    assert features.shape == (2, 5)
    assert torch.isfinite(features).all()


def test_a_cnn_reads_the_image_and_the_vector():
    codec, encoder = build("cnn", MIXED)
    x = rows(codec, 2).clone()
    base = encoder.features(x)
    for part in codec.parts:
        changed = x.clone()
        changed[:, part.start] = codec.parts[codec.parts.index(part)].offsets[0] if part.kind == "discrete" else 0.123
        if part.kind == "discrete" and (changed == x).all():
            changed[:, part.start] += 1
        assert not torch.equal(encoder.features(changed), base), part.kind


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9).flatmap(
        lambda steps: st.lists(st.tuples(st.booleans(), st.booleans()), min_size=steps, max_size=steps)
    ),
    st.sampled_from([BOX, GRID]),
    st.integers(0, 100),
)
def test_a_gru_agrees_step_by_step_and_in_a_chunk(starts, space, seed):
    codec, encoder = build("gru", space, seed=seed)
    start = torch.tensor(starts)
    steps = len(starts)
    x = rows(codec, 2 * steps, seed).reshape(steps, 2, -1)
    memory = torch.randn(2, encoder.state_dim, generator=generator(seed))
    chunked, after = encoder(x, memory, start)
    state, outputs = memory, []
    for t in range(steps):
        features, state = encoder.step(x[t], state, start[t])
        outputs.append(features)
    assert torch.allclose(torch.stack(outputs), chunked, atol=1e-5)
    assert torch.allclose(state, after, atol=1e-5)
    # What came before the last start of an episode leaves no trace.
    for b in range(2):
        opened = torch.nonzero(start[:, b]).flatten()
        if len(opened):
            last = int(opened[-1])
            fresh, _ = encoder(x[last:, b : b + 1], None, None)
            assert torch.allclose(fresh[:, 0], chunked[last:, b], atol=1e-5)


def test_a_gru_with_images_agrees_too():
    codec, encoder = build("gru", MIXED)
    x = rows(codec, 8).reshape(4, 2, -1)
    start = torch.tensor([[1, 1], [0, 0], [0, 1], [0, 0]], dtype=torch.bool)
    chunked, _ = encoder(x, None, start)
    state = encoder.initial_state(2)
    for t in range(4):
        features, state = encoder.step(x[t], state, start[t])
        assert torch.allclose(features, chunked[t], atol=1e-5)


def test_memory_reaches_back():
    codec, encoder = build("gru", BOX)
    x = rows(codec, 5).reshape(5, 1, -1)
    other = x.clone()
    other[0] += 0.5
    assert not torch.allclose(encoder(x)[0][-1], encoder(other)[0][-1], atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "gru", "cnn"])
def test_weights_come_from_the_generator_alone(name):
    space = MIXED if name == "cnn" else BOX
    before = torch.get_rng_state()
    one, same, other = (build(name, space, seed=seed)[1].state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    weights = [key for key in one if "weight" in key]
    assert weights
    assert not any(torch.equal(one[key], other[key]) for key in weights)


def test_initial_weights_are_orthogonal():
    layer = MLP(4, (8,), "tanh", generator()).layers[0]
    assert torch.allclose(layer.weight.T @ layer.weight, 2 * torch.eye(4), atol=1e-5)
    assert torch.equal(layer.bias, torch.zeros(8))


def test_an_ensemble_equals_its_members():
    net = EnsembleMLP(3, 4, (6, 5), 2, "relu", generator())
    x = torch.randn(7, 4, generator=generator(1))
    out = net(x)
    assert out.shape == (3, 7, 2)
    for m in range(3):
        y = x
        for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            y = y @ weight[m] + bias[m]
            y = torch.relu(y) if i < 2 else y
        assert torch.allclose(out[m], y, atol=1e-6)
    assert torch.allclose(net(x.expand(3, 7, 4)), out)
    assert not torch.allclose(out[0], out[1])


def test_wrong_names_and_spaces():
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'mpl'.*did you mean 'mlp'"):
        build("mpl", BOX)
    with pytest.raises(UnknownNameError, match=r"unknown activation 'rely'.*did you mean 'relu'"):
        build("mlp", BOX, activation="rely")
    with pytest.raises(UnsupportedSpaceError, match="the mlp encoder takes no images"):
        build("mlp", IMAGE)
    with pytest.raises(UnsupportedSpaceError, match="the cnn encoder needs an image"):
        build("cnn", BOX)


def test_symbols_are_one_hot():
    """The encoder equals an MLP on one-hot symbols, one-hot discrete parts and plain numbers, with the same weights."""
    view = spaces.Box(np.array([0, 2], np.int64), np.array([3, 4], np.int64), dtype=np.int64)
    codec = ObservationCodec(spaces.Dict(a=spaces.Box(-1, 1, (2,)), b=view))
    encoder = make_encoder("symbols", codec, (5, 4), "tanh", torch.Generator().manual_seed(0))
    x = codec.pack({"a": np.array([[0.5, -1.0]], np.float32), "b": np.array([[3, 2]])})
    one_hot = torch.tensor([[0, 0, 0, 1, 1, 0, 0.0]])
    first = one_hot @ encoder.symbols.weight + encoder.bias + encoder.numbers(torch.tensor([[0.5, -1.0]]))
    expected = torch.tanh(encoder.net.layers[0](torch.tanh(first)))
    assert torch.allclose(encoder.features(torch.from_numpy(x)), expected, atol=1e-6)
    codec = ObservationCodec(spaces.Dict(b=view, c=spaces.Discrete(3, start=1)))
    encoder = make_encoder("symbols", codec, (5,), "tanh", torch.Generator().manual_seed(0))
    x = codec.pack({"b": np.array([[3, 2]]), "c": np.array([2])})
    expected = torch.tanh(torch.tensor([[0, 0, 0, 1, 1, 0, 0, 0, 1.0, 0]]) @ encoder.symbols.weight + encoder.bias)
    assert torch.allclose(encoder.features(torch.from_numpy(x)), expected, atol=1e-6)
    with pytest.raises(UnsupportedSpaceError, match="use encoder='mlp'"):
        make_encoder("symbols", ObservationCodec(spaces.Discrete(3)), (4,), "tanh", torch.Generator())
