"""Hostile files: a hundred here, more by `make hostile`; and no setting in a file makes more than the file holds."""

import dataclasses
import json
import os
import subprocess
import sys
import typing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from envzoo import agents
from envzoo.agents import budget, checkpoint
from envzoo.agents.budget import TensorBudget, requested
from envzoo.agents.registry import agent_class
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.trainer import TextAgent
from envzoo.errors import CheckpointError, EnvzooError

pytestmark = pytest.mark.any_arithmetic

_spec = spec_from_file_location("contract", Path(__file__).with_name("test_contract.py"))
contract = module_from_spec(_spec)
_spec.loader.exec_module(contract)
dataset = contract.dataset

COUNT = os.environ.get("ENVZOO_HOSTILE")  # set by `make hostile`


def test_hostile_files_end_in_a_sentence_or_an_agent_and_do_nothing_else(tmp_path):
    run = subprocess.run(
        [sys.executable, "-P", Path(__file__).with_name("hostile.py"), COUNT or "100", "0"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ENVZOO_CACHE": str(tmp_path)},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["wrong"] == []
    assert report["refused"] + report["loaded"] == int(COUNT or 100)
    assert report["refused"] > report["loaded"] > 0
    assert report["largest"][0][0] < 500, report["largest"]
    if COUNT:  # on a machine that has nothing else to do
        print(json.dumps(report, indent=1))
        assert report["slowest"][0][0] < 1.0, report["slowest"]


class Made(TorchDispatchMode):
    """Adds up the bytes of tensors that are made, those on the meta device left out."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        fresh = any(value.alias_info is None for value in func._schema.returns)
        for value in result if isinstance(result, tuple | list) else [result]:
            if fresh and isinstance(value, torch.Tensor) and value.device.type != "meta":
                self.bytes += value.nbytes
        return result


def sizes_in(name):
    """Yield the fields of an agent's config that hold whole numbers, and whether they hold several.

    Fields that all text agents share are read by their trainer; one of these agents tries them for all.
    """
    config, fields = agent_class(name).Config, dataclasses.fields(agent_class(name).Config)
    if issubclass(agent_class(name), TextAgent) and name != "GRPO":
        shared = {field.name for field in dataclasses.fields(TextConfig)}
        fields = [field for field in fields if field.name not in shared]
    for field in fields:
        hint = typing.get_type_hints(config)[field.name]
        kinds = {hint, *typing.get_args(hint)}
        if int in kinds or any(typing.get_origin(kind) is tuple and int in typing.get_args(kind) for kind in kinds):
            yield field.name, int not in kinds or typing.get_origin(hint) is tuple


@pytest.mark.parametrize("name", agents.specs())
def test_no_size_in_a_file_makes_more_than_the_file_holds(name, tmp_path, dataset):
    agent = contract.make_example(name, dataset)
    agent.save(tmp_path / "valid.zip")
    header, state = checkpoint.read(tmp_path / "valid.zip")
    limit = budget.BYTES + budget.BYTES_EACH * budget.sizes(state)[0]
    for field, several in sizes_in(name):
        for value in (300_000, 10**9):
            given = [value, value] if several else value
            changed = {**header, "config": {**header["config"], field: given}}
            checkpoint.save(tmp_path / "a.zip", changed, state)
            with Made() as made:
                try:
                    agents.load(tmp_path / "a.zip", agent.source.given, device="cpu")
                except EnvzooError as error:
                    assert len(str(error).splitlines()) == 1  # noqa: PT017
            assert made.bytes <= limit, (field, value)


def test_the_sentence_names_the_bytes(tmp_path):
    agents.make("PPO", "CartPole-v1", device="cpu", hidden=(8,)).save(tmp_path / "valid.zip")
    header, state = checkpoint.read(tmp_path / "valid.zip")
    cases = {
        (300_000, 300_000): r"ask for more than 16\.\d MiB or \d+ tensors of networks and buffers, but it holds \d",
        (1,) * 9000: r"ask for more than",
    }
    for hidden, expected in cases.items():
        checkpoint.save(tmp_path / "a.zip", {**header, "config": {**header["config"], "hidden": hidden}}, state)
        with pytest.raises(CheckpointError, match=expected):
            agents.load(tmp_path / "a.zip", device="cpu")
    config = {**header["config"], "num_envs": 10**9}
    checkpoint.save(tmp_path / "a.zip", {**header, "config": config}, state)
    with pytest.raises(EnvzooError, match=r"1000000000 environments would take 953.7 GiB, over"):
        agents.load(tmp_path / "a.zip", device="cpu")


def test_the_users_own_numbers_are_bounded_as_well():
    cases = (
        ("SAC", "Pendulum-v1", {"buffer_size": 10**13}, r"a replay buffer for 10{13} transitions would take 3"),
        ("DIAYN", "CartPole-v1", {"skills": 10**9}, r"skills in the observations of \d+ episodes would take"),
        ("CombUCB1", "envzoo/LSDBandit-v0", {"block": 10**9}, r"blocks of 10{9} rounds of 64 learners would take"),
        ("CombUCB1", "envzoo/LSDBandit-v0", {"num_envs": 10**7}, r"the statistics of 10{7} learners would take"),
        ("MirroredLP", "envzoo/LSDBandit-v0", {"draws": 10**9}, r"a simulation of 10{9} plans would take"),
        ("SAC", "Pendulum-v1", {"batch_size": 10**12}, r"a batch of 10{12} transitions would take"),
        ("PPO", "CartPole-v1", {"num_envs": 10**12}, r"10{12} environments would take"),
        ("PPO", "envzoo/GridCoverage-v0", {"num_envs": 10**12}, r"10{12} environments would take"),
        ("PPO", "CartPole-v1", {"num_steps": 10**12}, r"a rollout of \d+ steps would take"),
    )
    for name, source, settings, expected in cases:
        with pytest.raises(EnvzooError, match=expected):
            agents.make(name, source, device="cpu", **settings)


def test_a_file_may_not_ask_for_long_computations(tmp_path):
    arms = {"arms": 3, "satiation": 2, "deprivation": 4}
    agents.make("MirroredLP", "envzoo/LSDBandit-v0", env_kwargs=arms, device="cpu").save(tmp_path / "valid.zip")
    header, state = checkpoint.read(tmp_path / "valid.zip")
    config = {**header["config"], "draws": 20_000}
    checkpoint.save(tmp_path / "a.zip", {**header, "config": config}, state)
    with pytest.raises(CheckpointError, match=r"a simulation of plans would take 1.2e\+08 steps while it is loaded"):
        agents.load(tmp_path / "a.zip", device="cpu")


def test_what_an_operation_would_make_is_counted_without_making_it():
    aten, x = torch.ops.aten, torch.ones(3)
    big = 10**12
    cases = [
        (aten.empty.memory_format, ([big],), {"dtype": torch.float32}, 4 * big),
        (aten.randn.generator, ([big],), {"generator": torch.Generator()}, 4 * big),
        (aten.arange.default, (big,), {"dtype": torch.int64, "device": torch.device("cpu")}, 8 * big),
        (aten.repeat.default, (x, [big]), {}, 12 * big),
        (aten.clone.default, (x[:, None].expand(3, big),), {}, 12 * big),
        (aten.new_zeros.default, (x, [big]), {}, 4 * big),
        (aten.nonzero.default, (x,), {}, 12),  # depends on the content
    ]
    for func, arguments, keywords, expected in cases:
        assert requested(func, arguments, keywords) == expected, func
    with TensorBudget("a file", {"x": np.zeros(10)}), pytest.raises(CheckpointError, match="a file is refused"):
        torch.zeros(10**13)


def test_a_list_of_arrays_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "a.zip", {}, {str(k): np.zeros(1) for k in range(50)})
    monkeypatch.setattr(checkpoint, "MAX_MANIFEST_BYTES", 3000)
    with pytest.raises(CheckpointError, match=r"its list of arrays has \d+ bytes, over the limit of 3000"):
        checkpoint.read(tmp_path / "a.zip")


def test_many_small_lists_are_not_read(tmp_path, monkeypatch):
    with pytest.raises(EnvzooError, match=r"plain numbers and texts take 9\.\d MiB, and no more than 8\.0 MiB"):
        checkpoint.save(tmp_path / "a.zip", {}, "x" * 10**7)
    with pytest.raises(EnvzooError, match="cannot be saved"):
        checkpoint.save(tmp_path / "a.zip", {}, [[]] * 250_000)
    checkpoint.save(tmp_path / "a.zip", {}, [[]] * 200)
    monkeypatch.setattr(checkpoint, "MAX_CONTAINERS", 100)
    with pytest.raises(CheckpointError, match=r"its manifest cannot be read \(over 100 lists"):
        checkpoint.read(tmp_path / "a.zip")
