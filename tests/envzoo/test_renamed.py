"""Classes under their former names."""

import importlib

import pytest

FORMER = {
    "envzoo.agents.loops.policy_with_wrappers.Follower": "envzoo.agents.loops.policy_with_wrappers.PolicyWithWrappers",
    "envzoo.agents.networks.dual.DualVariable": "envzoo.agents.networks.lagrange.DualVariable",
    "envzoo.agents.networks.dual.PolyakTarget": "envzoo.agents.networks.target_network.PolyakTarget",
    "envzoo.agents.surprise.two_player_policy.TwoMinds": "envzoo.agents.surprise.two_player_policy.TwoPlayerPolicy",
}


@pytest.mark.parametrize("former", FORMER)
def test_a_former_name_is_the_same_class(former):
    module, _, name = former.rpartition(".")
    place, _, present = FORMER[former].rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{former} is now {FORMER[former]}") as warned:
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(place), present)
    assert warned[0].filename == __file__  # the warning points at the line that uses the former name


@pytest.mark.parametrize("module", sorted({former.rpartition(".")[0] for former in FORMER}))
def test_other_names_are_still_unknown(module):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
        _ = importlib.import_module(module).nothing
