"""Agent files of the first release: they load, act as before, and learn on to the same parameters.

The files and `expected.json` (actions on sampled observations, and the Euclidean norm of every array of numbers after
further learning) were written by the first release.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.scripts.make_dataset import make_dataset

FOLDER = Path(__file__).parents[1] / "data" / "release_1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
# Agents whose next update differs on purpose, and why.
CHANGED = {
    "APT": "distances between features were imprecise",
    "AEPOArbitrary": "injected answers were scored under the prompts of other answers",
    "IndependentPPO": "the sender no longer picks moves that its action mask excludes",
    "LSDUCB": "the plan's idle rounds are filled by its simulated value",
    "LSDExploreCommit": "the plan's idle rounds are filled by its simulated value",
}
TOLERANCE = 2e-3  # of norms: other processors round otherwise, and the error grows over an update


def norms(tree, path=()):
    """Euclidean norm of every array of floats in a tree, by its path."""
    if isinstance(tree, dict):
        return {key: value for name in tree for key, value in norms(tree[name], (*path, str(name))).items()}
    if isinstance(tree, list | tuple):
        return {key: value for i, part in enumerate(tree) for key, value in norms(part, (*path, str(i))).items()}
    if isinstance(tree, torch.Tensor):
        tree = tree.detach().float().cpu().numpy() if tree.is_floating_point() else tree.cpu().numpy()
    if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        return {"/".join(path): float(np.linalg.norm(tree.astype(float).ravel()))}
    return {}


def load(name):
    if not (FOLDER / f"{name}.zip").is_file():
        pytest.fail(f"the file of {name} is gone")
    return agents.load(FOLDER / f"{name}.zip", device="cpu")


@pytest.fixture(scope="module", autouse=True)
def _data(tmp_path_factory):
    """BC's dataset, whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        make_dataset("envzoo/grid-coverage/random-v0", quiet=True)
        yield


@pytest.mark.parametrize("name", [name for name, facts in EXPECTED.items() if "actions" in facts])
def test_actions_are_those_of_the_first_release(name):
    agent = load(name)
    space = agent.source.observation_space
    space.seed(7)
    for expected in EXPECTED[name]["actions"]:
        action, _ = agent.predict(space.sample())
        np.testing.assert_allclose(np.asarray(action), np.asarray(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, facts in EXPECTED.items() if facts["norms"] and name not in CHANGED])
def test_learning_goes_on_to_the_same_parameters(name):
    agent = load(name)
    agent.learn(EXPECTED[name]["steps"])
    found = norms(agent.state_dict()["parts"])
    for path, expected in EXPECTED[name]["norms"].items():
        assert found[path] == pytest.approx(expected, rel=TOLERANCE, abs=1e-6), path


def test_exceptions_are_agents_that_still_load():
    for name in CHANGED:
        assert load(name).spec.name == name
