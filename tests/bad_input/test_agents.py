"""Every hyperparameter of every registered agent is refused in one sentence when it is bad, or learning with it works
(or stops with a sentence that names the metric); never a raw error."""

import dataclasses
import importlib.util
import inspect
import sys
import warnings
from functools import partial
from pathlib import Path

import helpers
import pytest

from envzoo import agents
from envzoo.agents.registry import agent_class
from envzoo.agents.spec import build_config
from envzoo.errors import EnvzooError

pytestmark = pytest.mark.any_arithmetic

NAN, INF = float("nan"), float("inf")
VALUES = (-1, 0, NAN, INF, 1e30, "x", True, None, [], {}, 2**70, -0.5, [0], [-1], ["x"])
# Of these the ones that a config lets pass are learned with: sizes of 1e30 are no whole numbers that a config takes.
LEARNED = (-1, 0, -0.5, 1e30, [])


@pytest.fixture(scope="module")
def small():
    """The module of the agents' contract, which makes agents by their examples."""
    path = Path(__file__).parents[1] / "agents" / "test_contract.py"
    spec = importlib.util.spec_from_file_location("small_agents", path)
    module = sys.modules["small_agents"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["small_agents"]


accepted = partial(helpers.accepted, EnvzooError)


def fields(name):
    return dataclasses.fields(agent_class(name).Config)


def owner(name, field):
    """The config class that a hyperparameter comes from: where agents share one, it is learned with in the first."""
    lineage = [cls for cls in agent_class(name).Config.__mro__ if field in inspect.get_annotations(cls)]
    return lineage[-1], lineage[0] if len(lineage) > 1 else None


def shared():
    """Agent and hyperparameter, each that several agents inherit unchanged only once."""
    seen = set()
    for name in agents.specs():
        for field in fields(name):
            key = (*owner(name, field.name), field.name, field.default)
            if key not in seen:
                seen.add(key)
                yield name, field.name


@pytest.mark.parametrize("name", agents.specs())
def test_configs(name):
    config = agent_class(name).Config
    for field in fields(name):
        for value in VALUES:
            took = accepted(build_config, config, name, {field.name: value})
            if isinstance(value, float) and not abs(value) < INF:
                assert not took, f"{field.name} took {value}"
            if value in ({}, ["x"]):
                assert not took, f"{field.name} took {value}"
            if value == 2**70 and field.type == "int":
                assert not took, f"{field.name} took {value}"
    assert not accepted(build_config, config, name, {"nonsense": 1})


@pytest.mark.parametrize(("name", "field"), list(shared()))
def test_learning(name, field, small):
    if small.is_dataset(name):
        return  # its hyperparameters are checked by test_configs

    def learn(value):
        small.make_example(name, **{field: value}).learn(small.example(name).timesteps)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in LEARNED:
            if accepted(build_config, agent_class(name).Config, name, {field: value}):
                accepted(learn, value)
