"""Speed of the offline agents, of the search for neighbours, and of loading a dataset."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import envzoo.agents
from envzoo.agents.loops.seed_batch import learn_together
from envzoo.agents.offline.neighbours import DatasetNeighbours
from envzoo.datasets import TransitionTable, load_minari
from envzoo.datasets.mapped import MappedWriter
from envzoo.scripts.bench.offline_d3rlpy import VARIABLE, Peer
from envzoo.scripts.bench.offline_peer import PlainIQL, PlainTD3BC
from envzoo.scripts.bench.report import Row, measure
from envzoo.scripts.make_dataset import make_dataset

DESCRIPTION = "offline agents on one thread against plain PyTorch loops, the search for neighbours, and loading"

MAZE = "envzoo/point-maze-stitch/mixed-v0"
BATCH = 256
ROWS, COLUMNS, KEYS = 200_000, 20, 256
PEERS = {"TD3BC": PlainTD3BC, "IQL": PlainIQL}
D3RLPY = ("TD3BC", "IQL", "CQL")
TARGETS = {64: 2.0, 256: 1.3}
NO_SLOWER, RELOAD = 1.0, 20.0
BLOCK_ROWS, SAMPLED = 1_000_000, 1000
SEEDS, BATCHED_TARGET = 8, 3.0


@contextmanager
def _dataset() -> Iterator[Any]:
    """Make the maze's dataset in a root of its own, and use one thread."""
    before, threads = os.environ.get("MINARI_DATASETS_PATH"), torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        try:
            make_dataset(MAZE, quiet=True)
            yield load_minari(MAZE)
        finally:
            torch.set_num_threads(threads)
            if before is None:
                del os.environ["MINARI_DATASETS_PATH"]
            else:
                os.environ["MINARI_DATASETS_PATH"] = before


def run(quick: bool = False) -> list[Row]:
    """Measure, and return rows.

    Args:
        quick: Use fewer rounds, and a smaller table of neighbours.
    """
    rows = []
    with _dataset() as dataset:
        for width in (64, 256):
            for name in ("TD3BC", "IQL", "CQL", "PRDC", "ODICE"):
                rows += _updates(name, dataset, width, quick)
            for name in ("TD3BC", "IQL", "BC"):
                rows += _seeds(name, dataset, width, quick)
        rows += _loading(dataset, quick)
    rows += _large_table(quick)
    return rows + _neighbours(quick)


def _updates(name: str, dataset: Any, width: int, quick: bool) -> list[Row]:
    """Time updates of an agent, against a plain loop with the same networks and batch where there is one."""
    steps = 20 if quick else 100
    agent = envzoo.agents.make(
        name, dataset, device="cpu", threads=1, hidden=(width, width), batch_size=BATCH, steps_per_iteration=steps
    )
    subjects = {"ours": lambda: agent.learn(steps)}
    if name in PEERS:
        data = tuple(agent.data)
        peer = PEERS[name]((agent.normalizer(data[0]), *data[1:4], agent.normalizer(data[4])), width, BATCH)
        subjects["plain"] = lambda: [peer.update() for _ in range(steps)]
    python, others = os.environ.get(VARIABLE), []
    with tempfile.TemporaryDirectory() as folder:
        if python and name in D3RLPY:
            file = Path(folder) / "data.npz"
            np.savez(file, **TransitionTable.from_minari(dataset).to_d3rlpy())
            others.append(Peer(python, name, file, width, BATCH, steps))
            subjects["d3rlpy"] = others[0]
        timing = measure(subjects, repeats=3 if quick else 7)
        for peer in others:
            peer.close()
    title = f"{name}, 2 x {width}"
    rows = [Row(title, steps / timing["ours"].median, "updates/s")]
    if "plain" in timing:
        ratio = timing["plain"].median / timing["ours"].median
        rows.append(
            Row(f"{title}, plain loop", steps / timing["plain"].median, "updates/s", ratio=ratio, target=TARGETS[width])
        )
    if "d3rlpy" in timing:
        ratio, rate = timing["d3rlpy"].median / timing["ours"].median, steps / timing["d3rlpy"].median
        rows.append(Row(f"{title}, d3rlpy", rate, "updates/s", ratio=ratio, target=TARGETS[width]))
    elif name in D3RLPY:
        rows.append(Row(f"{title}, d3rlpy", float("nan"), "updates/s", note=f"{VARIABLE} names no Python with d3rlpy"))
    return rows


def _seeds(name: str, dataset: Any, width: int, quick: bool) -> list[Row]:
    """Time an update of eight seeds as one batch against eight runs one after the other, on one device."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = 20 if quick else 100
    settings = {"hidden": (width, width), "batch_size": BATCH, "steps_per_iteration": steps}

    def made() -> list[Any]:
        return [
            envzoo.agents.make(name, dataset, seed=seed, device=device, threads=1, **settings) for seed in range(SEEDS)
        ]

    alone, together = made(), made()
    subjects = {
        "alone": lambda: [agent.learn(steps) for agent in alone],
        "batch": lambda: learn_together(together, [steps] * SEEDS),
    }
    timing = measure(subjects, repeats=3 if quick else 5)
    ratio = timing["alone"].median / timing["batch"].median
    place = torch.cuda.get_device_name() if device == "cuda" else "CPU, one thread"
    # Where a batch gains little, `--launcher auto` runs the seeds in processes.
    target = BATCHED_TARGET if (device, width) in (("cpu", 64), ("cuda", 256)) else None
    rate = SEEDS * steps / timing["batch"].median
    title = f"{name}, 2 x {width}, {SEEDS} seeds as a batch"
    return [Row(title, rate, "updates/s", ratio=ratio, target=target, note=place)]


def _loading(dataset: Any, quick: bool) -> list[Row]:
    """Time the table against iterating the dataset."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        TransitionTable.convert(dataset, path)
        subjects = {
            "table": lambda: TransitionTable.from_minari(dataset),
            "iterate": lambda: [episode.rewards.sum() for episode in dataset.iterate_episodes()],
            "open": lambda: TransitionTable.open(path),
        }
        timing = measure(subjects, repeats=2 if quick else 5)
    first, ratio = timing["table"].median, timing["iterate"].median / timing["table"].median
    return [
        Row("TransitionTable of 700 episodes", first * 1000, "ms"),
        Row("iterating the dataset", timing["iterate"].median * 1000, "ms", ratio=ratio, target=NO_SLOWER),
        Row("first load, over opening the mapped table", first * 1000, "ms", first / timing["open"].median, RELOAD),
    ]


def anonymous_memory() -> float:
    """Return the anonymous memory of this process in MiB, NaN where the system does not say (not Linux)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), float("nan"))


def _large_table(quick: bool) -> list[Row]:
    """Sample from a table that is larger than memory should hold, and measure the memory that this takes."""
    blocks = 2 if quick else 50
    generator = np.random.default_rng(0)
    row, step = np.arange(BLOCK_ROWS), np.arange(BLOCK_ROWS) % 1000
    states = generator.normal(size=(BLOCK_ROWS, 4)).astype(np.float32)
    block = {
        "observations": states,
        "next_observations": states,
        "actions": states[:, :2],
        "rewards": states[:, 0],
        "terminals": np.zeros(BLOCK_ROWS, bool),
        "timeouts": step == 999,
        "episode_id": row // 1000,
        "step": step,
        "mc_return": states[:, 1],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        with MappedWriter(path) as writer:
            for _ in range(blocks):
                writer.append(block)
            writer.finish({"gamma": 0.99})
        size = sum(file.stat().st_size for file in path.iterdir()) / 2**20
        table = TransitionTable.open(path)
        table.sample(BATCH, generator)
        before, started = anonymous_memory(), time.perf_counter()
        for _ in range(SAMPLED):
            table.sample(BATCH, generator)
        seconds = time.perf_counter() - started
        grown = anonymous_memory() - before
    note = f"{blocks} M rows of {size:.0f} MiB on the disk, {SAMPLED} batches of {BATCH}"
    return [
        Row("sampling a mapped table", SAMPLED * BATCH / seconds, "rows/s", note=note),
        Row("growth of anonymous memory meanwhile", grown, "MiB", note=note),
    ]


def _neighbours(quick: bool) -> list[Row]:
    """Time the search for the nearest of many rows, for keys near the data and far from it."""
    count = ROWS // 10 if quick else ROWS
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(count, COLUMNS))
    near = rows[generator.integers(count, size=KEYS)] + 0.05 * generator.normal(size=(KEYS, COLUMNS))
    far = generator.normal(size=(KEYS, COLUMNS))
    tree, brute = DatasetNeighbours(rows, "kdtree"), DatasetNeighbours(rows, "brute")
    subjects = {
        "tree, near the data": lambda: tree.query(near),
        "tree, far from it": lambda: tree.query(far[:16]),
        "all distances": lambda: brute.query(near[:16]),
    }
    timing = measure(subjects, repeats=2 if quick else 3)
    scale = {"tree, near the data": 1.0, "tree, far from it": KEYS / 16, "all distances": KEYS / 16}
    note = f"{KEYS} keys, {count} rows of {COLUMNS} numbers"
    return [
        Row(f"neighbours: {name}", timing[name].median * factor * 1000, "ms", note=note)
        for name, factor in scale.items()
    ]
