"""Helpers that tests of several folders share; `tests/conftest.py` makes them importable as `helpers`."""

import importlib.util
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from envzoo.errors import EnvzooError, MissingExtraError
from envzoo.scripts.cli import main


def share(name, path):
    """Make the module of a file importable by a name, because test files cannot import each other."""
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


class CountedSteps(gym.Env):
    """Base of small environments that count the steps of an episode in `time` and start with an observation of 0."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}


def accepted(errors, function, *args, **kwargs):
    """Whether a call works; if not, it raises one of the errors, one sentence long."""
    try:
        function(*args, **kwargs)
        return True
    except MissingExtraError as error:
        pytest.skip(str(error))
    except errors as error:
        sentence = str(error)
    assert "\n" not in sentence, (args, kwargs)
    assert 10 < len(sentence) < 600, (args, kwargs)
    return False


def refused(call, words):
    """Check that a call raises EnvzooError with one sentence that matches the words."""
    with pytest.raises(EnvzooError, match=words) as error:
        call()
    assert len(str(error.value).splitlines()) == 1


def refused_command(argv, capsys, *words):
    """Check that a command ends with exit code 2 and one sentence that holds the words; returns the sentence."""
    capsys.readouterr()
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("envzoo: error: ")
    assert len(err.splitlines()) == 1
    for word in words:
        assert word in err
    return err


def check_same_vectors(ours, theirs, steps):
    """Check that two vector environments give exactly the same under the same random actions."""
    assert data_equivalence(ours.reset(seed=5), theirs.reset(seed=5), exact=True)
    theirs.action_space.seed(0)
    for _ in range(steps):
        actions = theirs.action_space.sample()
        assert data_equivalence(ours.step(actions), theirs.step(actions), exact=True)
