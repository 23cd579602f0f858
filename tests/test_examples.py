"""The worked examples of CONTRIBUTING.md run as they stand."""

import importlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from envzoo import agents
from envzoo.agents.registry import specs, unregister
from envzoo.agents.source import Pairs
from envzoo.errors import EnvzooError
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.reproduce import ReproduceOptions, reproduce_experiment

pytestmark = pytest.mark.any_arithmetic

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = sorted(file.stem for file in EXAMPLES.glob("*.py"))


@pytest.fixture
def example(monkeypatch):
    """A function that imports an example; what it registers is taken out again."""
    monkeypatch.syspath_prepend(EXAMPLES)
    before, imported = set(specs()), []

    def get(name):
        imported.append(name)
        return importlib.import_module(name)

    yield get
    for name in set(specs()) - before:
        unregister(name)
    for name in imported:
        importlib.sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_the_claim_of_an_example_holds_and_its_checks_can_fail(example, name):
    experiment = example(name).EXPERIMENT
    results = run_experiment(experiment, processes=1)
    assert [check["verdict"] for check in results.data["checks"]] == ["holds"] * len(experiment.checks)
    for check in experiment.checks:
        given = results.with_runs(check.null) if isinstance(check.null, dict) else results
        measure = check.measure if isinstance(check.null, dict) else check.null
        faulty = type(check)(**{**vars(check), "measure": measure})
        assert faulty.judge(given)["verdict"] != "holds"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_reproduced_into_files(example, name, tmp_path):
    console = Console(file=io.StringIO())
    options = ReproduceOptions(quick=True, out=str(tmp_path), processes=1)
    reproduce_experiment(example(name).EXPERIMENT, options, console=console)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["quick"]
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_the_autoencoder_is_saved_and_goes_on_as_if_it_had_never_stopped(example, tmp_path):
    module = example("linear_autoencoder")
    x = module.draw_data(0)
    whole = agents.make("PrincipalAutoencoder", Pairs(x, x), seed=1, device="cpu").learn(20)
    part = agents.make("PrincipalAutoencoder", Pairs(x, x), seed=1, device="cpu").learn(8)
    part.save(tmp_path / "part.zip")
    resumed = agents.load(tmp_path / "part.zip", Pairs(x, x), device="cpu").learn(12)
    np.testing.assert_array_equal(resumed.encode(x), whole.encode(x))
    assert whole.encode(x).shape == (len(x), 2)


def test_excess_loss_is_that_of_the_singular_values(example):
    module = example("linear_autoencoder")
    x = np.diag([3.0, 2.0, 1.0])
    assert module.excess_loss(x, x[:, :2]) == pytest.approx(0.0, abs=1e-12)
    assert module.excess_loss(x, x[:, 1:]) == pytest.approx(9.0 / 1.0 - 1)
    assert module.excess_loss(x, x[:, [0]]) == pytest.approx(0.0, abs=1e-12)


def test_quantisation_of_a_block_worked_by_hand(example):
    module = example("blockwise_quantization")
    codes, scale = module.quantize(np.array([1.0, -0.5, 0.1, 0.0, 0.0]), 3, bits=3)
    np.testing.assert_array_equal(codes, [3, -2, 0, 0, 0])  # -1.5 is rounded to the even neighbour
    np.testing.assert_allclose(scale, [1 / 3, 0.0])
    np.testing.assert_allclose(module.dequantize(codes, scale, 3), [1.0, -2 / 3, 0.0, 0.0, 0.0])
    assert module.quantize(np.zeros(0), 4)[0].size == 0


@pytest.mark.parametrize(("x", "block_size", "bits"), [([np.nan], 1, 8), ([1.0], 0, 8), ([1.0], 1, 1), ([1.0], 1, 9)])
def test_quantisation_refuses_bad_input(example, x, block_size, bits):
    with pytest.raises(EnvzooError, match="expected"):
        example("blockwise_quantization").quantize(np.array(x), block_size, bits)
