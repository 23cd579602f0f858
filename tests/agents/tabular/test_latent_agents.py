"""The agents for latent processes, against exact values of their plans."""

import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.planners.tabular.latent import evaluate_plan
from envzoo.errors import UnsupportedSpaceError


@pytest.mark.parametrize("name", ["LMDPValueOptimistic", "LMDPModelOptimistic", "LMDPHoeffding"])
def test_agents_with_memory_use_the_signal(name):
    agent = agents.make(name, "envzoo/LMDPSignal-v0", seed=0, device="cpu", scale=0.1).learn(3_000)
    assert evaluate_plan(agent.plan_of(0), agent.model) == pytest.approx(0.9)
    # Two copies see different signals and answer by them.
    action, memory = agent.predict(np.array([0, 0]))
    assert action.tolist() == [1, 1]
    _, memory = agent.predict(np.array([1, 2]), memory)
    assert agent.predict(np.array([3, 3]), memory)[0].tolist() == [0, 1]


def test_counts_belong_to_the_context_that_was_told():
    agent = agents.make("LMDPValueOptimistic", "envzoo/LMDPSignal-v0", seed=1, device="cpu").learn(1_500)
    counts = agent.policy.counts[0]
    assert counts[:, 3].sum(axis=(1, 2)).min() > 0
    share = counts[:, 0, 1, 1] / counts[:, 0, 1].sum(axis=1)
    assert share[0] > 0.75
    assert share[1] < 0.25
    assert (counts > 0).sum() == ((counts > 0) & (agent.model.p > 0)).sum()


def test_without_memory_the_signal_is_of_no_use():
    agent = agents.make("MemorylessUCBVI", "envzoo/LMDPSignal-v0", seed=0, device="cpu", scale=0.1).learn(1_500)
    assert evaluate_plan(agent.plan_of(0), agent.model) == pytest.approx(0.5)


def test_other_worlds_are_refused():
    with pytest.raises(UnsupportedSpaceError, match="learns latent processes, such as"):
        agents.make("LMDPHoeffding", "envzoo/RandomMDP-v0")
