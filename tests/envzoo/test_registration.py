"""The table of environments, and what importing envzoo does and does not do."""

import subprocess
import sys

import gymnasium as gym
import pytest

import envzoo
from envzoo import registration
from envzoo.errors import UnknownNameError
from envzoo.papers import papers

IDS = [row.id for row in registration.specs()]


def test_table_is_consistent():
    assert len(set(IDS)) == len(IDS)
    for row in registration.specs():
        assert row.id.startswith("envzoo/")
        assert row.entry_point.startswith(f"envzoo.{row.family}.")
        assert row.summary
        assert row.summary[-1] != "."
        assert row.paper is None or row.paper in papers().values()
        assert registration.spec(row.id) is row
    with pytest.raises(UnknownNameError, match="did you mean 'envzoo/GridCoverage-v0'"):
        registration.spec("envzoo/GridCoverag-v0")


@pytest.mark.parametrize("name", IDS)
def test_every_id_is_made_both_ways_and_has_a_manual(name):
    manual = registration.spec(name).manual()
    for heading in ("Description", "Action space", "Observation space", "Reward", "End of an episode", "Arguments"):
        assert f"## {heading}" in manual
    assert f"`{name}`" in manual.split("## Registered ids")[1]
    if registration.spec(name).extra:
        pytest.importorskip(registration.spec(name).extra)
    single, vector = gym.make(name), gym.make_vec(name, num_envs=2)
    assert single.observation_space == vector.single_observation_space
    assert single.action_space == vector.single_action_space
    single.reset(seed=0)
    single.step(single.action_space.sample())
    vector.reset(seed=0)
    vector.step(vector.action_space.sample())
    assert gym.make(single.spec).spec == single.spec
    assert gym.make_vec(vector.spec).spec == vector.spec


def test_registering_again_changes_nothing(recwarn):
    before = {name: gym.registry[name] for name in IDS}
    registration.register_all()
    assert all(gym.registry[name] is before[name] for name in IDS)
    assert not recwarn.list


def test_import_is_light():
    heavy = ("torch", "numba", "minari", "matplotlib", "pettingzoo", "scipy", "PIL")
    code = (
        "import sys, envzoo, gymnasium; "
        f"assert 'envzoo/GridCoverage-v0' in gymnasium.registry; print([m for m in {heavy} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert envzoo.__version__
