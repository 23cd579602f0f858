"""Leaders regularised by log-barrier and entropy, and Exp3."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.tabular.ftrl import Exp3, exponential_weights, log_barrier
from envzoo.errors import EnvzooError

losses = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=8)


@settings(deadline=None, max_examples=200)
@given(losses, st.sampled_from([1e-6, 1e-2, 1.0, 1e3]))
def test_the_log_barrier_satisfies_its_optimality_conditions(x, eta):
    x = np.array(x)
    p = log_barrier(x, eta)
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-12)
    gaps = 1 / p - eta * (x - x.min())
    assert np.ptp(gaps) <= 1e-9 * (1 / p).max()
    assert 1 - 1e-9 <= (1 / p).min() <= len(x) + 1e-9


def test_closed_forms():
    np.testing.assert_allclose(log_barrier([3.0, 3.0, 3.0], 2.0), 1 / 3)
    p = log_barrier([0.0, 1.0], 1.0)  # 1 / m + 1 / (1 + m) = 1 has the root (1 + sqrt 5) / 2
    golden = (1 + 5**0.5) / 2
    np.testing.assert_allclose(p, [1 / golden, 1 / (1 + golden)])
    np.testing.assert_allclose(exponential_weights([[0.0, np.log(3)], [1e300, 0.0]], 1.0), [[0.75, 0.25], [0.0, 1.0]])


def test_estimates_of_exp3_are_unbiased_without_implicit_exploration():
    bandits = Exp3(1, 3, 0.5)
    bandits.losses[:] = [[0.3, 0.1, 0.7]]
    p, start, true = bandits.policy()[0], bandits.losses.copy(), np.array([0.2, 0.9, 0.4])
    mean = np.zeros(3)
    for a in range(3):
        bandits.losses[:] = start
        bandits.update(np.array([a]), true[a : a + 1])
        mean += p[a] * (bandits.losses - start)[0]
    np.testing.assert_allclose(mean, true)
    careful = Exp3(1, 3, 0.5, gamma=0.1)
    careful.losses[:] = start
    careful.update(np.array([2]), true[2:])
    assert careful.losses[0, 2] - start[0, 2] == pytest.approx(0.4 / (p[2] + 0.1))
    mixed = Exp3(2, 4, 1.0, mix=0.2)
    mixed.losses[1, 0] = 1e9
    np.testing.assert_allclose(mixed.policy()[1], [0.05, *[0.8 / 3 + 0.05] * 3])


def test_refusals():
    with pytest.raises(EnvzooError, match="eta is a positive number, got 0"):
        log_barrier([1.0], 0)
    with pytest.raises(EnvzooError, match="expected finite numbers"):
        exponential_weights([np.nan], 1.0)
    with pytest.raises(EnvzooError, match="there are 0 bandits"):
        Exp3(0, 2, 1.0)
    with pytest.raises(ValueError, match="losses is"):
        Exp3(1, 2, 1.0).load_state_dict({"losses": np.zeros((2, 2))})
