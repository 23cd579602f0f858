"""Peer of `envzoo bench offline`: updates of d3rlpy, in a Python of its own.

d3rlpy needs an older Gymnasium than envzoo, so it is in no extra. Make an environment for it, and name its Python:

    python -m venv ~/d3rlpy && ~/d3rlpy/bin/pip install d3rlpy
    ENVZOO_D3RLPY=~/d3rlpy/bin/python envzoo bench offline

This file runs there by itself, without envzoo: it builds an algorithm, and takes updates whenever a line arrives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

VARIABLE = "ENVZOO_D3RLPY"


class Peer:
    """An algorithm of d3rlpy in another process; a call takes `steps` updates.

    Args:
        python: The Python that has d3rlpy.
        name: "TD3BC", "IQL" or "CQL".
        data: File of `TransitionTable.to_d3rlpy`, written by `numpy.savez`.
        width: Units of both hidden layers.
        batch: Transitions per update.
        steps: Updates per call.

    Raises:
        OSError: The Python cannot be started, or lacks d3rlpy.
    """

    def __init__(self, python: str, name: str, data: Path, width: int, batch: int, steps: int):
        asked = json.dumps({"name": name, "data": str(data), "width": width, "batch": batch, "steps": steps})
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [python, "-P", __file__, asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._await("ready")

    def __call__(self) -> None:
        """Take the updates."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self._await("done")

    def _await(self, word: str) -> None:
        """Wait for a line; what d3rlpy prints besides is skipped."""
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise OSError(f"{self.process.args[0]} ended before it was {word}; does it have d3rlpy?")

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def serve(asked: dict) -> None:
    """Build the algorithm, and take updates for every line of the standard input."""
    import d3rlpy
    import numpy as np
    import torch

    torch.set_num_threads(1)
    with np.load(asked["data"], allow_pickle=False) as arrays:
        dataset = d3rlpy.dataset.MDPDataset(
            **arrays, action_space=d3rlpy.ActionSpace.CONTINUOUS, transition_picker=None
        )
    layers = d3rlpy.models.VectorEncoderFactory([asked["width"]] * 2)
    config = {"TD3BC": "TD3PlusBCConfig", "IQL": "IQLConfig", "CQL": "CQLConfig"}[asked["name"]]
    encoders = {"actor_encoder_factory": layers, "critic_encoder_factory": layers}
    if asked["name"] == "IQL":
        encoders["value_encoder_factory"] = layers
    made = getattr(d3rlpy.algos, config)(batch_size=asked["batch"], **encoders).create(device="cpu:0")
    made.build_with_dataset(dataset)
    print("ready", flush=True)
    for _ in sys.stdin:
        for _ in range(asked["steps"]):
            made.update(dataset.sample_transition_batch(asked["batch"]))
        print("done", flush=True)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
