"""Random streams: independent of each other and of order, and captured where they are."""

import copy

import numpy as np
import torch

from envzoo.agents.seeding import Streams


def test_streams_are_independent_of_each_other_and_of_order():
    one, two = Streams(3), Streams(3)
    first = one.numpy("a").random(3)
    two.numpy("b").random(5)
    two.torch("c")
    assert np.array_equal(two.numpy("a").random(3), first)
    assert not np.array_equal(one.numpy("b").random(3), first)
    assert not np.array_equal(Streams(4).numpy("a").random(3), first)
    assert one.numpy("a") is one.numpy("a")
    assert 0 <= one.integer("environment") < 2**31
    assert one.integer("environment") == two.integer("environment") != one.integer("other")


def test_streams_go_on_where_they_were_captured():
    streams = Streams(3)
    streams.numpy("a").random(3)
    torch.rand(3, generator=streams.torch("b"))
    state = copy.deepcopy(streams.state_dict())
    expected = (streams.numpy("a").random(3), torch.rand(3, generator=streams.torch("b")))
    again = Streams(3)
    again.load_state_dict(state)
    assert np.array_equal(again.numpy("a").random(3), expected[0])
    assert torch.equal(torch.rand(3, generator=again.torch("b")), expected[1])
