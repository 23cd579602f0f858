"""Plain values as a part of a saved state."""

import numpy as np
import pytest

from envzoo.agents.state_holder import StateHolder


def make():
    return StateHolder(count=3, flag=True, rate=0.5, table=np.arange(4.0), scale=[1.0])


def test_a_state_is_a_copy_and_is_written_into_the_arrays_that_are_there():
    holder, other = make(), make()
    state = holder.state_dict()
    holder.count, holder.table[0], holder.scale = 7, 9.0, [2.0, 3.0]
    assert state["count"] == 3
    assert state["table"][0] == 0.0
    array = other.table
    other.load_state_dict(holder.state_dict())
    assert (other.count, other.scale, other.rate, other.flag) == (7, [2.0, 3.0], 0.5, True)
    assert other.table is array
    assert array[0] == 9.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": True},
        {"count": 1.0},
        {"flag": 1},
        {"table": np.arange(4)},
        {"table": np.arange(5.0)},
        {"table": [0.0, 1.0]},
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(wrong):
    holder = make()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        holder.load_state_dict(make().state_dict() | {"rate": 0.25} | wrong)
    assert holder.rate == 0.5


def test_a_missing_value_is_named():
    with pytest.raises(KeyError, match="rate"):
        make().load_state_dict({name: value for name, value in make().state_dict().items() if name != "rate"})
