"""Datasets that agents cannot learn from, for every agent of datasets: one sentence before training."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from envzoo import agents
from envzoo.errors import DatasetError, EnvzooError

_spec = spec_from_file_location("contract", Path(__file__).parents[1] / "test_contract.py")
contract = module_from_spec(_spec)
_spec.loader.exec_module(contract)
dataset = contract.dataset
OF_DATASETS = [name for name, row in agents.specs().items() if row.sources == ("dataset",) and row.family == "offline"]
each = pytest.mark.parametrize("name", OF_DATASETS)


class Changed:
    """A dataset whose episodes are changed on the way; everything else is the given one's."""

    def __init__(self, given, change, episodes=None):
        self._given, self._change, self._episodes = given, change, episodes

    def __getattr__(self, name):
        return getattr(self._given, name)

    def iterate_episodes(self):
        for number, episode in enumerate(self._given.iterate_episodes()):
            if self._episodes is None or number < self._episodes:
                yield SimpleNamespace(**{**vars(episode), **self._change(episode)})


def make(name, source):
    small = contract.example(name)
    return agents.make(name, source, device="cpu", **small.hyperparameters)


@each
def test_nan_rewards(name, dataset):
    given = contract.stand_in(name, dataset)
    broken = Changed(given, lambda e: {"rewards": np.full(len(e.rewards), np.nan)})
    with pytest.raises(DatasetError, match="has NaN or infinite rewards"):
        make(name, broken)


@each
def test_no_observation_of_the_last_step(name, dataset):
    given = contract.stand_in(name, dataset)
    with pytest.raises(DatasetError, match="have lengths that do not fit"):
        make(name, Changed(given, lambda e: {"observations": e.observations[:-1]}))


@each
def test_an_empty_dataset(name, dataset):
    with pytest.raises(DatasetError, match="holds no transitions"):
        make(name, Changed(contract.stand_in(name, dataset), lambda e: {}, episodes=0))


@each
def test_one_episode_is_enough(name, dataset):
    agent = make(name, Changed(contract.stand_in(name, dataset), lambda e: {}, episodes=1))
    agent.learn(2)


@each
def test_actions_of_the_other_kind(name, dataset):
    kinds = agents.spec(name).actions
    if set(kinds) == {"discrete", "continuous"}:
        pytest.skip("takes both kinds")
    other = dataset["continuous" if "discrete" in kinds else "discrete"]
    with pytest.raises(EnvzooError, match=f"{name} (takes .* actions|predicts discrete observations)"):
        make(name, other)
