"""Datasets that agents cannot learn from, for every agent of datasets: one sentence before training."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.loops.fine_tuning import FineTunableAgent
from envzoo.agents.offline.ope import fitted_q_evaluation
from envzoo.agents.registry import agent_class
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
@pytest.mark.parametrize("part", ["observations", "actions"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_observations_and_actions_that_are_not_finite(name, dataset, part, value):
    given = contract.stand_in(name, dataset)

    def spoil(episode):
        array = np.asarray(getattr(episode, part)).astype(np.float32)
        array[1] = value
        return {part: array}

    with pytest.raises(DatasetError, match=f"episode 0 has NaN or infinite {part}; expected finite ones"):
        make(name, Changed(given, spoil))


@each
def test_no_terminations_at_all(name, dataset):
    given = contract.stand_in(name, dataset)
    with pytest.raises(DatasetError, match=r"dataset .* is damaged \(episode 0 has no terminations\)"):
        make(name, Changed(given, lambda e: {"terminations": None}))


BOOTSTRAPPING = [name for name in OF_DATASETS if issubclass(agent_class(name), FineTunableAgent)]


def never_ends(episode):
    return {"terminations": np.zeros(len(episode.rewards), bool)}


@pytest.mark.parametrize("name", BOOTSTRAPPING)
def test_undiscounted_values_need_terminations(name, dataset):
    given = contract.stand_in(name, dataset)
    settings = {**contract.example(name).hyperparameters, "gamma": 1.0}

    def build(source, **changes):
        return agents.make(name, source, device="cpu", **{**settings, **changes})

    with pytest.raises(DatasetError, match=f"has no terminations, without which the values of {name} are infinite"):
        build(Changed(given, never_ends))
    build(Changed(given, never_ends), gamma=0.99).learn(2)

    def ends_once(episode):
        return {"terminations": np.arange(len(episode.rewards)) == len(episode.rewards) - 1}

    build(Changed(given, ends_once)).learn(2)


def test_undiscounted_evaluation_needs_terminations(dataset):
    agent = make("FilteredBC", dataset["discrete"])
    held_out = Changed(dataset["discrete"], never_ends)
    with pytest.raises(DatasetError, match="has no terminations, without which values are infinite sums with gamma=1"):
        fitted_q_evaluation(agent, held_out, steps=1, gamma=1.0)


@pytest.mark.parametrize("name", [name for name in OF_DATASETS if hasattr(agent_class(name).Config, "history_filter")])
def test_a_filter_of_histories_needs_several_of_a_task(name, dataset):
    given, small = contract.stand_in(name, dataset), contract.example(name).hyperparameters
    with pytest.raises(DatasetError, match="history_filter=weight compares the histories of a task, but dataset"):
        agents.make(
            name, Changed(given, lambda e: {}, episodes=1), device="cpu", **{**small, "history_filter": "weight"}
        )


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
