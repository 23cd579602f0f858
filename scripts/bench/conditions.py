"""The date, machine and versions of a benchmark."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from envzoo.agents.networks.processor import processor_name

PEERS = (
    "stable-baselines3",
    "gymnax",
    "jax",
    "envpool",
    "minigrid",
    "trl",
    "quantecon",
    "mdpsolver",
    "popgym",
    "d3rlpy",
    "bitsandbytes",
)


def conditions() -> dict[str, str]:
    """Return the date, the machine with its load, and the versions of what is measured and of the installed peers."""
    import torch

    processor = f"{processor_name()} with {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores"
    found = {"date": str(date.today()), "processor": processor}
    if hasattr(os, "getloadavg"):
        found["load"] = f"{os.getloadavg()[2]:.1f} (mean of 15 minutes, this run included)"
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    found |= {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numba", "gymnasium")}
    for name in PEERS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
