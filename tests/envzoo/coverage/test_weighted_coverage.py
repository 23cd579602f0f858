"""The worlds with weighted cells: their weights, walls and fields, and the set function by brute force."""

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.coverage.arguments import WalkArguments
from envzoo.coverage.bimodal_coverage import BimodalCoverage
from envzoo.coverage.biodiversity import Biodiversity
from envzoo.coverage.fields import fixed_field, process_source
from envzoo.coverage.gaussian_process import grid_points, low_rank_factor, matern
from envzoo.coverage.informative_path_planning import InformativePathPlanning
from envzoo.coverage.two_rooms_coverage import TwoRoomsCoverage
from envzoo.coverage.weighted_coverage import WeightedCoverage
from envzoo.errors import EnvzooError


def brute_force(field, visited, reach, open_cells=None):
    """The weight within the squares around `visited` cells, by sets; field (rows, columns)."""
    rows, columns = field.shape
    covered = set()
    for cell in visited:
        for down in reach:
            for right in reach:
                place = cell // columns + down, cell % columns + right
                inside = 0 <= place[0] < rows and 0 <= place[1] < columns
                if inside and (open_cells is None or open_cells[place]):
                    covered.add(place)
    return sum(field[place] for place in covered)


@pytest.mark.parametrize(("disc", "reach"), [("square", (-1, 0, 1)), ("paper", (0, 1)), ("paper_large", (0, 1, 2))])
def test_value_against_sets(disc, reach):
    rng = np.random.default_rng(0)
    definitions = {
        "bimodal": BimodalCoverage(rows=6, columns=7, disc=disc),
        "planning": InformativePathPlanning(rows=6, columns=7, disc=disc, field_seed=2),
        "rooms": TwoRoomsCoverage(disc=disc),
    }
    for definition in definitions.values():
        field = definition.parameters.field.reshape(definition.rows, definition.columns)
        free = None if definition.walls is None else ~definition.walls.reshape(field.shape)
        for _ in range(20):
            visited = rng.choice(definition._starts(), size=6)
            assert definition.value(visited) == pytest.approx(brute_force(field, visited, reach, free))


def test_bimodal_weights():
    field = BimodalCoverage(rows=30, columns=30).parameters.field.reshape(30, 30)
    high = 1 / (1 + np.exp(-1))
    assert field[0, 0] == field[29, 29] == field.max() == pytest.approx(high)
    assert field[0, 29] == field[29, 0] == field.min() == pytest.approx(1 - high)
    np.testing.assert_allclose(field, field.T)
    x = np.linspace(-1, 1, 30)
    assert field[3, 20] == pytest.approx(1 / (1 + np.exp(-x[3] * x[20])))


def test_two_rooms_are_joined_by_the_corridor_only():
    env = gym.make("envzoo/TwoRoomsCoverage-v0", coverage_mask=True).unwrapped
    definition = env.definition
    assert definition._starts().size == 2 * 28 + 12
    plan = definition.walls.reshape(7, 14)
    assert plan[:, 4:10].sum() == 30
    assert not plan[2:4].any()
    observation, info = env.reset(seed=0)
    assert observation["position"].tolist() == [34, 0]
    assert info["coverage"] == 6  # three columns of the corridor
    observation, reward, *_, info = env.step(4)  # into the wall above
    assert observation["position"].tolist() == [34, 1]
    assert (reward, info["modular_reward"]) == (0.0, 6.0)
    # Left along the corridor into the room: two cells of its last column, then three of each column of the room.
    gains = [env.step(3)[1] for _ in range(4)]
    assert gains == [2.0, 3.0, 3.0, 3.0]
    assert not env.step(0)[0]["covered"][plan].any()
    seen = {int(env.reset(seed=k, options={"start": "random"})[0]["position"][0]) for k in range(1200)}
    assert seen == set(definition._starts().tolist())
    assert definition.value(definition._starts()) == 68


def test_two_rooms_refuse_walls():
    with pytest.raises(EnvzooError, match="start cell 4 is a wall; expected an open cell, the nearest is 3"):
        TwoRoomsCoverage(start=4)
    with pytest.raises(EnvzooError, match="start cell 5 is a wall"):
        gym.make("envzoo/TwoRoomsCoverage-v0").reset(options={"start": 5})


def test_low_rank_factor():
    points = grid_points(8, 9, 0.2)
    exact = matern(points, points, 1.0)
    for tolerance in (0.1, 1e-3, 0.0):
        factor, missing = low_rank_factor(points, 1.0, tolerance)
        built = factor.T @ factor + np.diag(missing)
        np.testing.assert_allclose(np.diagonal(built), 1.0, atol=1e-9)
        assert np.abs(built - exact).max() <= tolerance + 1e-7
    assert len(low_rank_factor(points, 1.0, 1e-2)[0]) < len(low_rank_factor(points, 1.0, 1e-3)[0]) < 72
    assert matern(np.zeros((1, 2)), np.array([[3.0, 4.0]]), 5.0).item() == pytest.approx(
        (1 + 5**0.5 + 5 / 3) * np.exp(-(5**0.5))
    )


def test_fields_follow_the_process():
    vector = gym.make_vec("envzoo/InformativePathPlanning-v0", num_envs=6000, rows=3, columns=4, mean=8.0, noise=0.01)
    vector.reset(seed=0)
    fields = vector.get_state()["field"]
    points = grid_points(3, 4, 0.3)
    np.testing.assert_allclose(fields.mean(axis=0), 8.0, atol=0.06)
    np.testing.assert_allclose(np.cov(fields.T), matern(points, points, 1.0) + 0.01 * np.eye(12), atol=0.06)
    # Cut off below at 0 and above at twice the mean.
    vector = gym.make_vec("envzoo/InformativePathPlanning-v0", num_envs=500, rows=3, columns=4, mean=0.5)
    vector.reset(seed=0)
    fields = vector.get_state()["field"]
    assert (fields.min(), fields.max()) == (0.0, 1.0)


def test_fields_are_fixed_by_their_seed_and_else_by_the_episode():
    def field(seed, **kwargs):
        env = gym.make("envzoo/Biodiversity-v0", field_visible=True, **kwargs)
        return env.reset(seed=seed)[0]["field"]

    assert np.array_equal(field(0), field(0))
    assert not np.array_equal(field(0), field(1))
    assert np.array_equal(field(0, field_seed=5), field(1, field_seed=5))
    assert not np.array_equal(field(0, field_seed=5), field(0, field_seed=6))
    env = gym.make("envzoo/InformativePathPlanning-v0", field_visible=True)
    first = env.reset(seed=0)[0]["field"]
    assert not np.array_equal(first, env.reset()[0]["field"])


def test_densities_have_patches():
    for seed in range(5):
        field = Biodiversity(rows=30, columns=30, spacing=0.1, field_seed=seed).parameters.field
        assert field.min() > 0
        assert field.max() == 1
        assert np.quantile(field, 0.5) < 0.35  # most of the land is poor
    smooth = fixed_field(process_source(5, 5, 0.3, 1.0, 0.0, patches=1, background=1.0, heights=(0.0, 0.0)), 0)
    np.testing.assert_allclose(smooth, 1.0)


def test_unusable_fields_and_arguments():
    class Given(WeightedCoverage):
        def __init__(self, field):
            self._lay_out(1, 3, 2)
            self._set_up(WalkArguments(1, 3, radius=0, horizon=2, start=0), field=np.array(field))

    assert Given([1.0, 2.0, 4.0]).value([0, 2, 2]) == 5.0
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(EnvzooError, match=r"the density of cell 1 is .*; expected finite numbers"):
            Given([1.0, bad, 1.0])
    for kwargs, match in (
        ({"field_seed": -1}, "field_seed is -1"),
        ({"lengthscale": 0}, "lengthscale is 0; expected a number above 0"),
        ({"spacing": "far"}, "spacing is 'far'"),
        ({"mean": -3.0}, "mean is -3.0"),
        ({"noise": -1e-3}, "noise is -0.001"),
    ):
        with pytest.raises(EnvzooError, match=match):
            InformativePathPlanning(**kwargs)
    with pytest.raises(EnvzooError, match="patches is 0"):
        Biodiversity(patches=0)
    with pytest.raises(EnvzooError, match="pass one as `field`"):
        Biodiversity().value([0])
