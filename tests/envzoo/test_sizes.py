"""Bounds on bytes: nothing large is made before it was counted, for every environment and every one of its numbers."""

import inspect
import tracemalloc
from importlib import import_module

import gymnasium as gym
import numpy as np
import pytest

from envzoo import sizes
from envzoo.errors import EnvzooError
from envzoo.kernel import Definition
from envzoo.kernel.batch import EpisodeBatch
from envzoo.kernel.definition import Kernels, episode_bytes
from envzoo.registration import specs

pytestmark = pytest.mark.any_arithmetic

LIMIT = 2**22
LARGE_WORLDS = ("envzoo/SingletonRich-v0", "envzoo/BlockComboLock-v0")  # whose own tables take over 4 MiB
HUGE = (10**4, 10**6, 10**9, 10**12)


def faces():
    """The kernel environments of the table, one per class of definition."""
    found = {}
    for row in specs():
        module, name = row.entry_point.split(":")
        definition = getattr(getattr(import_module(module), name), "definition_class", None)
        if definition is not None:
            found.setdefault(definition, row.id)
    return {name: definition for definition, name in found.items()}


def whole_numbers(definition):
    """The arguments that take whole numbers."""
    for name, parameter in inspect.signature(definition.__init__).parameters.items():
        number = isinstance(parameter.default, int) and not isinstance(parameter.default, bool)
        if name != "self" and (number or "int" in str(parameter.annotation)):
            yield name


CASES = [(name, argument) for name, definition in faces().items() for argument in whole_numbers(definition)]


def made_within(limit, make):
    """Run `make` under a limit; the sentence or None. It must not have taken much more than the limit."""
    tracemalloc.start()
    try:
        with sizes.at_most(limit):
            make()
        return None
    except EnvzooError as error:
        return str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * limit


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_no_number_makes_an_environment_larger_than_the_limit(name, argument):
    gym.make(name, disable_env_checker=True).close()  # compiles and imports what it needs
    for value in HUGE:
        sentence = made_within(LIMIT, lambda value=value: gym.make(name, disable_env_checker=True, **{argument: value}))
        assert sentence is None or len(sentence.splitlines()) == 1


@pytest.mark.parametrize("name", [name for name in faces() if gym.spec(name).vector_entry_point is not None])
def test_no_number_of_episodes_is_larger_than_the_limit(name):
    limit = 2**27 if name in LARGE_WORLDS else LIMIT
    for count in (10**8, 10**12) if name in LARGE_WORLDS else (10**7, 10**12):
        sentence = made_within(limit, lambda count=count: gym.make_vec(name, num_envs=count))
        assert f"{count} episodes of " in sentence
        assert "would take" in sentence
        assert f"over the limit of {limit // 2**20}.0 MiB" in sentence


def test_what_is_refused_by_default(monkeypatch):
    monkeypatch.delenv(sizes.VARIABLE, raising=False)
    for keywords in ({"rows": 20_000, "columns": 20_000}, {"rows": 10**9}, {"radius": 10**9, "rows": 5000}):
        with pytest.raises(EnvzooError, match=r"would take .*[GT]iB, over the limit of 4.0 GiB; ask"):
            gym.make("envzoo/GridCoverage-v0", **keywords)
    with pytest.raises(EnvzooError, match="1000000000000 episodes of GridCoverage would take"):
        gym.make_vec("envzoo/GridCoverage-v0", num_envs=10**12)


def test_a_radius_beyond_the_border_covers_everything():
    env = gym.make("envzoo/GridCoverage-v0", rows=3, columns=4, radius=10**12)
    assert (env.unwrapped.definition.parameters.disc_size == 12).all()


def test_the_estimate_is_not_below_what_a_batch_takes():
    for name, definition in faces().items():
        made = gym.make(name, disable_env_checker=True).unwrapped.definition
        EpisodeBatch(made, 10, None).observe()  # compiles what it needs
        tracemalloc.start()
        batch = EpisodeBatch(made, 1000, None)
        observation, infos = batch.observe(), batch.new_infos()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < 1000 * episode_bytes(made) + 2**16, (definition, observation, infos)


def test_layouts_that_no_array_can_have_are_counted():
    class Wide(Definition):
        def __init__(self, width=10**13):
            self.observation_space = gym.spaces.Discrete(2)
            self.action_space = gym.spaces.Discrete(2)
            self.kernels = Kernels(None, None, None)
            self.state = ((np.float64, (width,)), (np.bool_, width), np.int64)

    assert episode_bytes(Wide(3)) > 24 + 3 + 8
    with pytest.raises(EnvzooError, match=r"1 episode of Wide would take 81.9 TiB"):
        EpisodeBatch(Wide(), 1, None)


def test_the_variable_sets_the_limit(monkeypatch):
    with sizes.at_most(10):
        with pytest.raises(EnvzooError, match="a thing would take 11 bytes, over the limit of 10 bytes"):
            sizes.check_bytes(11, "a thing")
        sizes.check_bytes(11, "a thing", later=True)
        monkeypatch.setenv(sizes.VARIABLE, "1024")
        sizes.check_bytes(1024, "a thing")
        with pytest.raises(EnvzooError, match=r"a thing would take 2.0 KiB, over the limit of 1.0 KiB"):
            sizes.check_bytes(2048, "a thing", later=True)
    for wrong in ("many", "-1", "0", "1e9", "9" * 50):
        monkeypatch.setenv(sizes.VARIABLE, wrong)
        with pytest.raises(EnvzooError, match="ENVZOO_MAX_BYTES is"):
            sizes.check_bytes(1, "a thing")
    monkeypatch.setenv(sizes.VARIABLE, "")
    assert sizes.max_bytes() == sizes.DEFAULT == 4 * 2**30


def test_readable():
    assert [sizes.readable(n) for n in (0, 1023, 1024, 3.7 * 2**30, 2**50, 10**40)] == [
        *("0 bytes", "1023 bytes", "1.0 KiB", "3.7 GiB", "1024.0 TiB", "9.1e+27 TiB"),
    ]
