"""Values of flags in the forms that users write, and other libraries' names of options."""

import dataclasses
from typing import Literal

import pytest

from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.cli import parse
from envzoo.scripts.flags import OTHER_NAMES, normalize

pytestmark = pytest.mark.any_arithmetic


@dataclasses.dataclass(frozen=True)
class Options:
    timesteps: int | None = None
    threads: int | Literal["auto"] = "auto"
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    rates: tuple[float, ...] = ()
    name: str | None = None
    env_kwargs: tuple[str, ...] = ()
    progress: bool = True


def read(*flags):
    return parse(Options, list(flags), prog="envzoo plot")[0]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--timesteps", "1e5"], {"timesteps": 100_000}),
        (["--timesteps=1e5"], {"timesteps": 100_000}),
        (["--timesteps=1_000"], {"timesteps": 1000}),
        (["--timesteps", "2.5E3"], {"timesteps": 2500}),
        (["--timesteps", "9007199254740993"], {"timesteps": 9007199254740993}),  # no float has this value
        (["--timesteps", "None", "--threads", "auto"], {"timesteps": None, "threads": "auto"}),
        (["--threads", "2"], {"threads": 2}),
        (["--hidden", "64,32"], {"hidden": (64, 32)}),
        (["--hidden=64,1e2", "--no-progress"], {"hidden": (64, 100), "progress": False}),
        (["--hidden", "64", "32"], {"hidden": (64, 32)}),
        (["--rates", "0.5,1e-3"], {"rates": (0.5, 1e-3)}),
        (["--learning-rate", "1e-4"], {"learning_rate": 1e-4}),
        (["--learning_rate=1e-4"], {"learning_rate": 1e-4}),
        (["--name", "1e5"], {"name": "1e5"}),
        (["--name=a=b,c"], {"name": "a=b,c"}),
        (["--env-kwargs", "a=1,2", "b=1e5"], {"env_kwargs": ("a=1,2", "b=1e5")}),
    ],
)
def test_values_in_the_forms_that_users_write(flags, expected):
    assert read(*flags) == Options(**expected)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--timesteps", "1.5"], "--timesteps takes a whole number or None, got '1.5'"),
        (["--timesteps", "1e400"], "--timesteps takes a whole number or None, got '1e400'"),
        (["--timesteps", "nan"], "--timesteps takes a whole number or None, got 'nan'"),
        (["--threads", "many"], "--threads takes a whole number or auto, got 'many'"),
        (["--hidden", "64,a"], "--hidden takes a whole number, got 'a'"),
        (["--hidden", "64,"], "--hidden takes a whole number, got ''"),
    ],
)
def test_values_that_are_no_whole_numbers(flags, sentence):
    with pytest.raises(EnvzooError) as error:
        read(*flags)
    assert str(error.value) == sentence


def test_names_of_other_libraries():
    with pytest.raises(UnknownNameError, match="unknown option 'lr'; did you mean 'learning-rate'"):
        read("--lr", "1e-3")
    with pytest.raises(UnknownNameError, match="unknown option 'n-envs'; expected one of"):
        read("--n-envs", "3")  # these options have no number of environments


def test_every_other_name_stands_for_a_flag_of_an_agent():
    from envzoo import agents
    from envzoo.agents.registry import agent_class
    from envzoo.scripts.train_options import TrainOptions

    ours = {field.name for field in dataclasses.fields(TrainOptions)}
    for name in agents.specs():
        ours |= {field.name for field in dataclasses.fields(agent_class(name).Config)}
    assert {name.replace("-", "_") for name in OTHER_NAMES.values()} <= ours


def test_arguments_that_belong_to_no_flag_are_kept():
    assert normalize(["a,b", "1e5", "--timesteps", "1e1"], Options) == ["a,b", "1e5", "--timesteps", "10"]
    assert normalize(["--timesteps=1e1", "word"], Options) == ["--timesteps", "10", "word"]
