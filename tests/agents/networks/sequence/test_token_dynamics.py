"""Token dynamics against closed forms, a plain loop, and the scenarios of the paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from envzoo.agents.networks.sequence.token_dynamics import first_token, scenario, softplus, token_rates
from envzoo.errors import EnvzooError

START = np.array([0.6, 0.9, 0.4, 0.8, 0.5])


@given(seed=st.integers(0, 10**6), tokens=st.integers(1, 5), width=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_rates_against_a_loop(seed, tokens, width):
    generator = np.random.default_rng(seed)
    x, matrix, s = (generator.normal(size=shape) for shape in ((tokens, width), (width, width), (width, width)))
    delta = softplus(x @ s.T)
    expected = np.zeros_like(x)
    for i in range(tokens):
        for j in range(i + 1):
            decay = np.exp(-0.7 * sum(delta[k] for k in range(j + 1, i + 1)))
            expected[i] += (x[i] @ matrix @ x[j]) * delta[j] * decay * x[j]
    np.testing.assert_allclose(token_rates(x, matrix, s, 0.7), expected, rtol=1e-9, atol=1e-12)


def test_large_steps_do_not_overflow():
    x = np.full((400, 1), 50.0)
    assert np.isfinite(token_rates(x, [[1.0]], [[1.0]])).all()


def solve(start, mu, s, end):
    def rates(t, x):
        return token_rates(x[:, None], [[mu]], [[s]]).ravel()

    return solve_ivp(rates, (0, end), start, method="LSODA", rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mu", [-1.0, 0.5])
def test_the_first_token_has_a_closed_form(mu):
    found = solve([0.6], mu, 0.0, 1.0)
    np.testing.assert_allclose(found.y[0], first_token(found.t, 0.6, mu), rtol=1e-8)


def test_scenarios_in_one_dimension():
    convergent = solve(START, -1.0, 1.0, 2000.0).y[:, -1]
    assert np.abs(convergent).max() < 0.02
    np.testing.assert_allclose(solve(START, 1.0, -1.0, 2000.0).y[:, -1], [15.6, 70.2, 54.6, 208.1, 176.2], rtol=1e-3)
    almost = solve(START, 1.0, 1.0, 0.3564).y[:, -1]
    assert np.argmax(almost) == 1
    assert almost[1] > 20  # it passes 10 000 at t = .35641
    assert scenario(-1.0) == "convergent"
    assert scenario(1.0, -0.5) == "slowly divergent"
    assert scenario(1.0, 0.5) == "divergent in finite time"
    assert scenario(1.0) == "divergent"


@pytest.mark.parametrize(
    ("values", "expected"), [((1, 0.5), "divergent"), ((1, -0.5), "divergent"), ((-1, -0.5), "convergent")]
)
def test_scenarios_in_two_dimensions(values, expected):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    assert scenario(rotation @ np.diag(values) @ rotation.T) == expected
    lifted = np.zeros((3, 3))
    lifted[:2, :2] = np.diag(values)
    assert scenario(lifted) == expected  # of lower rank


def test_bad_matrices_get_one_sentence():
    for wrong in (np.ones((2, 3)), np.array([[np.nan]])):
        with pytest.raises(EnvzooError, match="expected finite numbers"):
            scenario(wrong)
    with pytest.raises(EnvzooError, match="is zero, so that tokens do not move"):
        scenario(np.zeros((2, 2)))
