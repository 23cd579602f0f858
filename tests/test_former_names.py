"""Former names of classes still work, with a warning."""

import importlib

import pytest

RENAMED = [
    ("envzoo.kernel.batch", "Batch", "EpisodeBatch"),
    ("envzoo.agents.exploration.disagreement", "Disagreement", "DisagreementReward"),
    ("envzoo.scripts.experiments.core.arms", "Evaluation", "EvaluationPlan"),
]


@pytest.mark.parametrize(("module", "former", "present"), RENAMED)
def test_former_names_give_the_class_with_a_warning(module, former, present):
    found = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"\.{former} is now .*\.{present}$"):
        assert getattr(found, former) is getattr(found, present)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = found.Nothing
