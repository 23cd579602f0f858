"""Modules under their former names."""

import importlib
import sys

import pytest

from envzoo.moved import GONE, MOVED

pytestmark = pytest.mark.any_arithmetic


@pytest.mark.parametrize("former", MOVED)
def test_a_former_name_is_the_same_module(former):
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=f"{former} is now {MOVED[former]}"):
        found = importlib.import_module(former)
    assert found is importlib.import_module(MOVED[former])
    assert found.__name__ == found.__spec__.name == MOVED[former]
    assert found.__spec__.origin.endswith(".py")


@pytest.mark.parametrize("package", GONE)
def test_packages_that_are_gone_hold_only_former_names(package):
    assert any(name.startswith(f"{package}.") for name in MOVED)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{package}.nothing")


def test_former_names_in_import_statements():
    sys.modules.pop("envzoo.agents.soft.sac", None)
    with pytest.warns(DeprecationWarning, match="actor_critic"):
        former = importlib.import_module("envzoo.agents.soft.sac")
    from envzoo.agents.actor_critic.sac import SAC

    assert former.SAC is SAC
