"""Former names of classes still work, with a warning."""

import importlib

import pytest

from envzoo import papers

RENAMED = [
    ("envzoo.kernel.batch", "Batch", "EpisodeBatch"),
    ("envzoo.agents.exploration.disagreement", "Disagreement", "DisagreementReward"),
    ("envzoo.agents.loops.policy_with_wrappers", "Follower", "PolicyWithWrappers"),
    ("envzoo.agents.surprise.two_player_policy", "TwoMinds", "TwoPlayerPolicy"),
    ("envzoo.scripts.experiments.core.arms", "Evaluation", "EvaluationPlan"),
]


@pytest.mark.parametrize(("module", "former", "present"), RENAMED)
def test_former_names_give_the_class_with_a_warning(module, former, present):
    found = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"\.{former} is now .*\.{present}$"):
        assert getattr(found, former) is getattr(found, present)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = found.Nothing


def test_a_paper_is_found_by_the_slug_that_it_had_without_an_experiment():
    with pytest.warns(DeprecationWarning, match="the paper 'preference-degree' is now '21-preference-degree'"):
        assert papers.find("preference-degree") is papers.find("21")


@pytest.mark.parametrize(("name", "place"), [("DualVariable", "lagrange"), ("PolyakTarget", "target_network")])
def test_the_former_module_dual_gives_the_classes_with_a_warning(name, place):
    former = importlib.import_module("envzoo.agents.networks.dual")
    with pytest.warns(DeprecationWarning, match=rf"dual\.{name} is now envzoo\.agents\.networks\.{place}\.{name}$"):
        assert getattr(former, name) is getattr(importlib.import_module(f"envzoo.agents.networks.{place}"), name)
