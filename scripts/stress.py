"""Run `make stress`: check that a seed gives bit-identical results wherever its arrays are allocated in memory.

It repeats tiny runs of several agents on the CPU. Before each run, and between its iterations, memory blocks of random
sizes are allocated and freed, so that every run has its arrays at different addresses. A digest of the agent's complete
state (weights, optimizers, buffers, generators) and of all metrics is compared with that of the first repetition.

`make stress` turns off glibc's caches of small blocks (GLIBC_TUNABLES=glibc.malloc.tcache_count=0), which return the
same addresses again and again. With the caches off, 1 to 6 of 100 runs of GRPO and D3S differed while the text kernels
were compiled with `fastmath`; with the caches on, none of 1,600 did. The stress run is a safety net: the kernels are
tested at all distances of their arrays in tests/agents/text/models/test_placement.py.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.callback import Callback
from envzoo.errors import EnvzooError, unknown
from envzoo.scripts.trees import leaves

_NETWORK = {"hidden": (16, 16), "num_envs": 4}
_TEXT = {
    "model_dim": 16,
    "model_layers": 1,
    "model_heads": 2,
    "warm_up_updates": 60,  # enough for some right answers, without which there is no learning signal
    "warm_up_batch": 32,
    "warm_up_learning_rate": 2e-2,
    "warm_up_cache": False,
    "num_prompts": 4,
    "group_size": 8,
    "num_minibatches": 2,
    "learning_rate": 1e-2,
}


class Run(NamedTuple):
    """A tiny run: agent, environment, its keyword arguments, hyperparameters and budget."""

    agent: str
    env: str
    env_kwargs: dict[str, Any]
    hyperparameters: dict[str, Any]
    timesteps: int


_GRID = "envzoo/GridCoverage-v0"
_SUM = ("envzoo/TextSumTo-Tokens-v0", {"terms": 2})
RUNS = {
    "PPO": Run("PPO", _GRID, {}, {**_NETWORK, "num_steps": 32, "num_epochs": 2, "minibatch_size": 32}, 384),
    "SAC": Run("SAC", "envzoo/PointMultiGoal-v0", {}, {**_NETWORK, "batch_size": 32, "learning_starts": 64}, 160),
    "SubPO, GRU": Run("SubPO", _GRID, {}, {"policy": "gru", "hidden": (16, 16), "num_envs": 16}, 960),
    "GRPO": Run("GRPO", *_SUM, _TEXT, 1500),
    "D3S": Run("D3S", *_SUM, _TEXT, 1500),
    "AdversarialSurprise": Run(
        "AdversarialSurprise", "envzoo/BlockChain-v0", {}, {**_NETWORK, "minibatch_size": 64, "num_epochs": 1}, 512
    ),
}


@dataclass(frozen=True)
class StressOptions:
    """Repeat tiny runs of agents between random allocations, and count how often a bit of the result differs."""

    repetitions: int = 500
    """Runs of each agent in addition to the first, which is the reference."""
    seed: int = 0
    """Seed of the random allocations; all runs have seed 0."""
    only: tuple[str, ...] = ()
    """Names of the runs to repeat; empty repeats all."""

    def __post_init__(self) -> None:
        if self.repetitions < 1:
            raise EnvzooError(f"repetitions must be at least 1, not {self.repetitions}")
        for name in self.only:
            if name not in RUNS:
                raise unknown("run", name, RUNS)


class Clutter:
    """Memory blocks that are allocated and freed, so that later allocations get other addresses."""

    blocks = 40  # with many, new arrays find a hole of their own, and seldom lie side by side
    sizes = (16, 2**13)  # bytes, log-uniform: most are as small as a row of a kernel's scratch
    rare = 2**18

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)
        self.held: list[Any] = [None] * self.blocks

    def stir(self) -> None:
        """Free half of the blocks, and replace half of the freed ones."""
        places = self.generator.permutation(self.blocks)[: self.blocks // 2]
        least, most = np.log(self.sizes)
        sizes = np.exp(self.generator.uniform(least, most, len(places))).astype(int)
        sizes[self.generator.random(len(places)) < 0.005] = self.rare
        in_torch = self.generator.random(len(places)) < 0.3
        for place in places:
            self.held[place] = None  # free all before allocating, so that gaps of many sizes are adjacent
        for place, size, foreign in zip(places.tolist(), sizes.tolist(), in_torch.tolist(), strict=True):
            self.held[place] = torch.empty(size, dtype=torch.uint8) if foreign else np.empty(size, np.uint8)
        for place in places[: len(places) // 2]:
            self.held[place] = None


class _Watch(Callback):
    """A callback that stores the metrics of an agent, and reallocates memory between its iterations."""

    def __init__(self, clutter: Clutter):
        self.clutter, self.rows = clutter, []

    def on_iteration(self, agent: Any, metrics: Mapping[str, float]) -> bool:
        self.rows.append({name: value for name, value in metrics.items() if not name.startswith("time/")})
        self.clutter.stir()
        return True


def digest(state: Any) -> str:
    """Compute the SHA-256 of all arrays, tensors and plain values of a tree, with their paths."""
    found = hashlib.sha256()
    for path, leaf in leaves(state):
        found.update(path.encode() + b"\0")
        if isinstance(leaf, torch.Tensor):
            leaf = leaf.detach().cpu().numpy()
        if isinstance(leaf, np.ndarray):
            found.update(f"{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
        else:
            found.update(json.dumps(leaf, default=repr).encode())
    return found.hexdigest()


def repeat(run: Run, clutter: Clutter) -> str:
    """Run one repetition, and return its digest."""
    clutter.stir()
    agent = agents.make(run.agent, run.env, seed=0, device="cpu", env_kwargs=run.env_kwargs, **run.hyperparameters)
    watch = _Watch(clutter)
    agent.learn(run.timesteps, watch)
    return digest({"state": agent.state_dict(), "metrics": watch.rows})


def count_differing(run: Run, repetitions: int, seed: int = 0) -> int:
    """Count the repetitions that differ in any bit from a first reference run."""
    clutter = Clutter(seed)
    reference = repeat(run, clutter)
    return sum(repeat(run, clutter) != reference for _ in range(repetitions))


def main(argv: list[str] | None = None) -> int:
    """Run everything and print a table; return 1 if any bit differed."""
    from rich.console import Console
    from rich.table import Table

    from envzoo.scripts.cli import parse

    options, _ = parse(StressOptions, sys.argv[1:] if argv is None else argv, prog="python -m envzoo.scripts.stress")
    table = Table(
        title="same seed, same bits", title_justify="left", box=None, header_style="dim", padding=(0, 2, 0, 0)
    )
    table.add_column("agent")
    for column in ("repetitions", "differing", "seconds"):
        table.add_column(column, justify="right")
    total = 0
    for name in options.only or RUNS:
        print(f"{name}: {options.repetitions} repetitions", file=sys.stderr, flush=True)
        began = time.perf_counter()
        differing = count_differing(RUNS[name], options.repetitions, options.seed)
        total += differing
        table.add_row(name, str(options.repetitions), str(differing), f"{time.perf_counter() - began:.0f}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    return int(total > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EnvzooError as error:
        sys.exit(f"stress: {error}")
