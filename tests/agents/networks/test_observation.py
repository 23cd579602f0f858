"""Observation codec: packing is exact, expanding equals gymnasium's flatten, indices count every observation once."""

import itertools
import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.networks.observation import ObservationCodec, is_image
from envzoo.errors import UnsupportedSpaceError

sides = st.integers(1, 3)
shapes = st.lists(sides, max_size=2).map(tuple)
starts = st.integers(-3, 3)
discrete = st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 5), starts)


@st.composite
def multi_discrete(draw):
    shape = draw(st.sampled_from([(1,), (3,), (2, 2)]))
    sizes = draw(st.lists(st.integers(1, 4), min_size=math.prod(shape), max_size=math.prod(shape)))
    first = draw(st.lists(starts, min_size=len(sizes), max_size=len(sizes)))
    return spaces.MultiDiscrete(np.array(sizes).reshape(shape), start=np.array(first).reshape(shape))


finite = st.one_of(discrete, multi_discrete())
leaves = st.one_of(
    finite,
    st.builds(lambda shape: spaces.Box(-2, 2, shape), shapes),
    st.builds(lambda shape: spaces.Box(-np.inf, np.inf, shape), shapes),
    st.builds(lambda shape: spaces.Box(0, 200, shape, np.uint8), shapes),
    st.builds(spaces.MultiBinary, st.one_of(sides, st.tuples(sides, sides))),
)


def nested(children):
    return st.dictionaries(st.sampled_from("abcd"), children, min_size=1, max_size=3).map(spaces.Dict)


observation_spaces = st.recursive(leaves, nested, max_leaves=4)
finite_spaces = st.recursive(finite, nested, max_leaves=2)
seeds = st.integers(0, 2**31 - 1)


def samples(space, count, seed):
    space.seed(seed)
    return [space.sample() for _ in range(count)]


def stack(space, observations):
    """A batch of observations as a vector environment gives it."""
    out = gym.vector.utils.create_empty_array(space, len(observations))
    return gym.vector.utils.concatenate(space, observations, out)


@settings(max_examples=100, deadline=None)
@given(observation_spaces, seeds)
def test_expanding_a_packed_batch_equals_flatten(space, seed):
    codec = ObservationCodec(space)
    observations = samples(space, 4, seed)
    packed = codec.pack(stack(space, observations))
    assert packed.shape == (4, codec.packed_dim)
    assert packed.dtype == codec.dtype
    expected = np.stack([spaces.flatten(space, observation) for observation in observations])
    assert codec.vector_dim == expected.shape[1]
    expanded = codec.vector(torch.from_numpy(packed))
    assert expanded.dtype == torch.float32
    assert np.array_equal(expanded.numpy(), expected.astype(np.float32))
    # Leading dimensions are free.
    again = codec.vector(torch.from_numpy(packed).reshape(2, 2, -1))
    assert torch.equal(again.reshape(4, -1), expanded)


@settings(max_examples=60, deadline=None)
@given(observation_spaces, seeds)
def test_one_observation_packs_like_a_batch(space, seed):
    codec = ObservationCodec(space)
    observations = samples(space, 3, seed)
    batch = stack(space, observations)
    assert np.array_equal(codec.pack(batch), np.stack([codec.pack_one(one) for one in observations]))
    assert codec.is_batched(batch)
    assert not codec.is_batched(observations[0])


@settings(max_examples=60, deadline=None)
@given(finite_spaces, seeds)
def test_one_hot_index_finds_the_ones(space, seed):
    codec = ObservationCodec(space)
    packed = torch.from_numpy(codec.pack(stack(space, samples(space, 5, seed))))
    dense = torch.zeros(5, codec.vector_dim).scatter_(1, codec.one_hot_index(packed), 1.0)
    assert torch.equal(dense, codec.vector(packed))


@settings(max_examples=30, deadline=None)
@given(finite_spaces)
def test_index_counts_every_observation_once_in_row_major_order(space):
    codec = ObservationCodec(space)
    values = [
        range(offset, offset + size)
        for part in codec.parts
        for size, offset in zip(part.sizes, part.offsets, strict=True)
    ]
    assert codec.num_states == math.prod(map(len, values))
    every = np.array(list(itertools.islice(itertools.product(*values), 2000)), codec.dtype)
    assert np.array_equal(codec.index(torch.from_numpy(every)).numpy(), np.arange(len(every)))


def test_the_number_of_states_does_not_overflow():
    assert ObservationCodec(spaces.MultiDiscrete([2**16] * 5)).num_states == 2**80
    assert ObservationCodec(spaces.MultiBinary(3)).num_states is None
    assert ObservationCodec(spaces.Dict(a=spaces.Discrete(2), b=spaces.Box(0, 1, (1,)))).num_states is None


@pytest.mark.parametrize(
    ("space", "dtype"),
    [
        (spaces.Discrete(3), np.int32),
        (spaces.MultiBinary(3), np.uint8),
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), np.uint8),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.MultiBinary(2)), np.int32),
        (spaces.Dict(a=spaces.Box(0, 255, (8, 8, 3), np.uint8), b=spaces.Box(0, 1, (2,))), np.float32),
        (spaces.Box(0, 1, (2,), np.float64), np.float32),
    ],
    ids=str,
)
def test_rows_are_as_compact_as_exactness_allows(space, dtype):
    codec = ObservationCodec(space)
    assert codec.dtype == dtype
    assert codec.pack(batch_space(space, 2).sample()).dtype == dtype


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_become_planes_in_zero_to_one(channels_last):
    shape = (9, 8, 3) if channels_last else (3, 9, 8)
    space = spaces.Dict(eye=spaces.Box(0, 255, shape, np.uint8), speed=spaces.Box(-1, 1, (2,)))
    codec = ObservationCodec(space)
    batch = batch_space(space, 4)
    batch.seed(1)
    observation = batch.sample()
    packed = torch.from_numpy(codec.pack(observation))
    (image,) = codec.images
    planes = codec.image(packed, image)
    expected = observation["eye"].transpose(0, 3, 1, 2) if channels_last else observation["eye"]
    assert planes.shape == (4, 3, 9, 8)
    assert np.array_equal(planes.numpy(), expected.astype(np.float32) / np.float32(255))
    assert np.array_equal(codec.vector(packed).numpy(), observation["speed"])
    assert codec.vector_dim == 2
    again = codec.image(packed.reshape(2, 2, -1), image)
    assert torch.equal(again.reshape(planes.shape), planes)


def test_what_is_an_image():
    assert is_image(spaces.Box(0, 255, (8, 8, 1), np.uint8))
    assert is_image(spaces.Box(0, 255, (3, 84, 84), np.uint8))
    assert not is_image(spaces.Box(0, 255, (84, 84), np.uint8))
    assert not is_image(spaces.Box(0, 1, (84, 84, 3)))
    assert not is_image(spaces.Box(0, 4, (84, 84, 3), np.uint8))
    assert not is_image(spaces.Box(0, 255, (5, 5, 20), np.uint8))
    assert not is_image(spaces.Discrete(3))


def test_packing_does_not_touch_the_observation():
    codec = ObservationCodec(spaces.Box(-1, 1, (3,), np.float64))
    observation = np.random.default_rng(0).random((2, 3))
    before = observation.copy()
    codec.pack(observation)[:] = 7
    assert np.array_equal(observation, before)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Text(3), "observation is a Text space"),
        (spaces.Tuple([spaces.Discrete(2)]), "observation is a Tuple space"),
        (spaces.Dict(a=spaces.Dict(b=spaces.Sequence(spaces.Discrete(2)))), "a.b is a Sequence space"),
        (spaces.Dict(), "is empty"),
    ],
    ids=str,
)
def test_other_spaces_are_refused_by_name(space, words):
    with pytest.raises(
        UnsupportedSpaceError, match="agents take Box, Discrete, MultiDiscrete, MultiBinary, or a Dict"
    ) as e:
        ObservationCodec(space)
    assert words in str(e.value)


def test_wrong_shapes_and_keys_are_refused():
    codec = ObservationCodec(spaces.Dict(a=spaces.Discrete(2), b=spaces.Box(0, 1, (2,))))
    for wrong in (np.zeros(3), {"b": np.zeros(2)}, {"a": np.zeros((2, 3)), "b": np.zeros(2)}):
        with pytest.raises(UnsupportedSpaceError, match="expected"):
            codec.is_batched(wrong)
