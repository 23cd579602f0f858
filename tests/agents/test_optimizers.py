"""Every agent that trains networks takes `optimizer=`: its networks are stepped by it, also after a checkpoint."""

import dataclasses

import pytest

from envzoo import agents
from envzoo.agents.optim import FlatOptimizer
from envzoo.agents.optim.eight_bit import Momentum8bit
from envzoo.agents.registry import agent_class
from envzoo.errors import UnknownNameError
from tests.agents.test_contract import budget, build, dataset, flat  # noqa: F401


def optimizers(agent):
    """The optimizers among the parts of an agent and of the agents within it, by name."""
    found = {name: part for name, part in agent._parts.items() if isinstance(part, FlatOptimizer)}
    for name, part in agent._parts.items():
        if hasattr(part, "_parts"):
            found |= {f"{name}/{key}": optimizer for key, optimizer in optimizers(part).items()}
    return found


def takes_it(name):
    return "optimizer" in {field.name for field in dataclasses.fields(agent_class(name).Config)}


@pytest.mark.parametrize("name", [name for name in agents.specs() if not takes_it(name)])
def test_agents_without_the_option_have_no_optimizer(name, build):  # noqa: F811
    # The parts of BestOfN hold an agent that was trained before, with an optimizer of its own.
    assert [key for key in optimizers(build(name)) if "/" not in key] == []


@pytest.mark.parametrize("name", [name for name in agents.specs() if takes_it(name)])
def test_the_optimizer_is_the_one_that_was_asked_for(name, build, tmp_path):  # noqa: F811
    before = optimizers(build(name))
    agent = build(name, optimizer="momentum8bit")
    assert optimizers(agent).keys() == before.keys()
    agent.learn(budget(name))
    found = optimizers(agent)
    chosen = [key for key, part in found.items() if isinstance(part.optimizer, Momentum8bit)]
    assert chosen
    for key in chosen:  # momentum alone has one statistic
        for state in found[key].state_dict()["state"].values():
            assert "state1" in state
            assert "state2" not in state
    agent.save(tmp_path / "agent.zip")
    again = agents.load(tmp_path / "agent.zip", agent.source.given, device="cpu")
    assert again.config.optimizer == "momentum8bit"
    for key in chosen:
        assert flat(optimizers(again)[key].state_dict()) == flat(found[key].state_dict())


@pytest.mark.parametrize("name", [name for name in agents.specs() if takes_it(name)])
def test_an_unknown_optimizer_is_refused_with_the_nearest_name(name, build):  # noqa: F811
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'adan8bit'.*adam8bit"):
        build(name, optimizer="adan8bit")


INTRINSIC = [name for name in agents.specs() if hasattr(agent_class(name).Config, "intrinsic_optimizer")]


def test_intrinsic_rewards_that_learn_are_known():
    assert len(INTRINSIC) >= 6


@pytest.mark.parametrize("name", INTRINSIC)
def test_networks_of_intrinsic_rewards_have_an_optimizer_of_their_own(name, build):  # noqa: F811
    agent = build(name, intrinsic_optimizer="momentum8bit")
    assert isinstance(agent.intrinsic.optimizer.optimizer, Momentum8bit)
    agent.learn(budget(name))
    assert not any("state2" in state for state in agent.intrinsic.state_dict()["optimizer"]["state"].values())
    with pytest.raises(UnknownNameError, match="unknown optimizer 'adma'"):
        build(name, intrinsic_optimizer="adma")
