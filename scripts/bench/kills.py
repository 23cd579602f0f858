"""Kill training runs with SIGKILL, resume them, and compare the results with those of uninterrupted runs.

`make kills`, or `python -P -m envzoo.scripts.bench.kills [--only NAME ...]`. Every run is made twice with the command
line: once uninterrupted, and once killed five times at random moments after checkpoints and resumed each time. Agents
(all parameters, optimizers, buffers and generators), metrics except times, and final evaluations must be bit-identical.
The extra `foreign` is required.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from envzoo.scripts.trees import leaves

PAIRS = "envzoo/text-tiny-summary/pairs-v0"
DOOR_KEY = "envzoo-kills/DoorKeyImage-v0"
_SMALL = "--hidden 32 32 --batch-size 32 --learning-starts 300 --checkpoint-every 250 --eval-every 1000"
_CHECKS = "--checkpoint-every 1000 --eval-every 5000"
RUNS = {
    "CartPole": f"PPO CartPole-v1 --timesteps 60000 {_CHECKS}",
    "Acrobot": f"PPO Acrobot-v1 --timesteps 40000 {_CHECKS}",
    "FrozenLake": f"PPO FrozenLake-v1 --timesteps 40000 {_CHECKS}",
    "DoorKey": f"PPO envzoo.scripts.bench.kills:{DOOR_KEY} --timesteps 30000 {_CHECKS}",
    "Pendulum": f"SAC Pendulum-v1 --timesteps 5000 {_SMALL}",
    "HalfCheetah": f"SAC HalfCheetah-v5 --timesteps 5000 {_SMALL}",
    "GridCoverage": "SubPO envzoo/GridCoverage-v0 --timesteps 160000 --policy gru --hidden 16 16 --num-envs 32 "
    "--checkpoint-every 1000 --eval-every 20000",
    "LSDBandit": "LSDUCB envzoo/LSDBandit-v0 --timesteps 1500000 --num-envs 8 --checkpoint-every 4000 "
    "--eval-every 500000",
    "SumTo": "GRPO envzoo/TextSumTo-v0 --timesteps 120000 --checkpoint-every 1 --eval-every 40000",
    "DPO": f"DPO {PAIRS} --timesteps 6000 --sft-updates 100 --checkpoint-every 64 --eval-every 3000",
    "DPODegree": f"DPODegree {PAIRS} --timesteps 6000 --sft-updates 100 --checkpoint-every 64 --eval-every 3000",
}


def door_key() -> gym.Env:
    """Create MiniGrid's DoorKey without the text of its mission, which the agents cannot read."""
    import minigrid
    from minigrid.wrappers import ImgObsWrapper

    if "MiniGrid-DoorKey-5x5-v0" not in gym.registry:
        gym.register_envs(minigrid)
    return ImgObsWrapper(gym.make("MiniGrid-DoorKey-5x5-v0"))


if DOOR_KEY not in gym.registry:
    gym.register(DOOR_KEY, door_key)


def start(arguments: list[str], folder: Path, *, resume: bool) -> subprocess.Popen:
    """Start training in a child process."""
    command = [sys.executable, "-P", "-m", "envzoo.scripts.cli", "train", *arguments[:2], "--run-dir", str(folder)]
    command += ["--resume"] if resume else [*arguments[2:], "--eval-episodes", "5", "--device", "cpu"]
    with open(folder.with_suffix(".log"), "a") as log:
        return subprocess.Popen([*command, "--no-progress"], cwd=folder.parent, stdout=log, stderr=log)


def finish(process: subprocess.Popen, folder: Path) -> None:
    """Wait for a child process, and exit with its log if it failed."""
    if process.wait():
        raise SystemExit(f"{' '.join(process.args)} failed:\n{folder.with_suffix('.log').read_text()[-2000:]}")


def kill(process: subprocess.Popen, folder: Path, delay: float) -> bool:
    """Send SIGKILL `delay` seconds after the next checkpoint; return False if the run ended first."""
    pattern = "checkpoints/checkpoint-*.zip"
    before = {path.name for path in folder.glob(pattern)}
    while process.poll() is None and {path.name for path in folder.glob(pattern)} <= before:
        time.sleep(0.005)
    time.sleep(delay)
    if process.poll() is not None:
        finish(process, folder)
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def as_bytes(leaf: Any) -> bytes:
    """Convert a leaf's value, type and shape to bytes."""
    if hasattr(leaf, "shape"):
        array = np.asarray(leaf)
        return f"{array.dtype}{array.shape}".encode() + array.tobytes()
    return repr(leaf).encode()


def differing(one: Any, other: Any) -> tuple[int, int]:
    """Count the bits that differ between two trees, and the bits of the first; unmatched leaves count in full."""
    first, second = ({path: as_bytes(leaf) for path, leaf in leaves(tree)} for tree in (one, other))
    different = 0
    for path in first.keys() | second.keys():
        a, b = first.get(path, b""), second.get(path, b"")
        if a != b:
            same_length = len(a) == len(b)
            different += sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True)) if same_length else 8 * len(a + b)
    return different, 8 * sum(map(len, first.values()))


def outcome(folder: Path) -> dict[str, Any]:
    """Read all results of a finished run, without times."""
    from envzoo.agents import checkpoint
    from envzoo.agents.callbacks.metrics_table import read_metrics

    rows = read_metrics(folder / "metrics.jsonl")
    return {
        "agent": checkpoint.read(folder / "agent.zip")[1],
        "metrics": [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows],
        "results": json.loads((folder / "results.json").read_text()),
    }


def measure(name: str, kills: int, folder: Path) -> dict[str, Any]:
    """Measure one row of the table."""
    arguments = RUNS[name].split()
    whole, killed = folder / f"{name}-whole", folder / f"{name}-killed"
    finish(start(arguments, whole, resume=False), whole)
    done, running = 0, True
    while running and done < kills:
        process = start(arguments, killed, resume=(killed / "checkpoints").exists())
        running = kill(process, killed, random.uniform(0, 0.4))
        done += running
    if running:
        finish(start(arguments, killed, resume=True), killed)
    one, other = outcome(whole), outcome(killed)
    bits = {part: differing(one[part], other[part]) for part in one}
    log = killed.with_suffix(".log").read_text()
    return {
        "run": name,
        "agent and source": " ".join(arguments[:2]).replace("envzoo.scripts.bench.kills:", ""),
        "kills": done,
        "replays": log.count("were replayed, verified over"),
        "boundaries": log.count("from the start of new episodes"),
        "rows of metrics": len(one["metrics"]),
        "bits compared": sum(compared for _, compared in bits.values()),
        "bits that differ": sum(different for different, _ in bits.values()),
    }


def main(argv: list[str] | None = None) -> int:
    """Print the table; return 1 if a bit differs or a run was killed too few times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS), help="which runs")
    parser.add_argument("--kills", type=int, default=5, help="how often each run is killed")
    options = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MINARI_DATASETS_PATH": folder, "ENVZOO_CACHE": folder}
        if any(PAIRS in RUNS[name] for name in options.only):
            from envzoo.scripts.make_dataset import make_dataset

            make_dataset(PAIRS)
        for name in options.only:
            rows.append(measure(name, options.kills, Path(folder)))
            if len(rows) == 1:
                print("| " + " | ".join(rows[0]) + " |\n" + "| --- " * len(rows[0]) + "|")
            print("| " + " | ".join(str(value) for value in rows[-1].values()) + " |", flush=True)
    return int(any(row["bits that differ"] or row["kills"] < options.kills for row in rows))


if __name__ == "__main__":
    sys.exit(main())
