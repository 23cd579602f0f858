"""Speed of the memory family: worlds, sequence layers while acting and training, 8-bit optimizers, diagnostics."""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from envzoo.agents.diagnostics import dsmi
from envzoo.agents.networks.sequence import S4D, GatedBlock, MambaBlock, SequenceLayer, segmented_scan
from envzoo.agents.networks.sequence.mamba import SelectiveScan
from envzoo.agents.optim import Adam8bit
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "memory family on one thread: worlds, layers while acting and training, 8-bit Adam, diagnostics"

EPISODES, WIDTH, ACTING, BATCH, CHUNK = 4096, 64, 64, 8, 128
PARAMETERS = 1_000_000
LENGTHS = (64, 128, 256, 512)
# World -> module of popgym, and the fewest million steps/s.
WORLDS: dict[str, tuple[str, float | None]] = {
    "RepeatPrevious": ("popgym.envs.repeat_previous", 20.0),
    "RepeatFirst": ("popgym.envs.repeat_first", None),
    "Autoencode": ("popgym.envs.autoencode", None),
}
WORLD_STEPS, POPGYM_STEPS = 200, 150
# Everything runs on one thread, so that the processor's time is the time of a quiet machine.
_measure = partial(measure, clock=time.process_time)


def run(quick: bool = False) -> list[Row]:
    """Measure all of it.

    Args:
        quick: Use fewer rounds.

    Returns:
        Rows; the `ratio` is the time of a reference, named in the row, over ours (for worlds the steps per second of
        ours over those of the other package).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        repeats = 3 if quick else 9
        return [
            *_worlds(repeats),
            *_acting(repeats),
            *_training(repeats),
            *_growth(repeats),
            *_optimizers(repeats),
            *_diagnostics(repeats),
        ]
    finally:
        torch.set_num_threads(threads)


# ---------------------------------------------------------------------------- worlds


def _worlds(repeats: int) -> list[Row]:
    return [row for name, (module, least) in WORLDS.items() for row in _world(name, module, least, repeats)]


def _world(name: str, module: str, least: float | None, repeats: int) -> list[Row]:
    """Measure a world, and popgym's of the same name; `least` is the bound in million steps/s, if there is one."""
    env = gym.make_vec(f"envzoo/{name}-v0", num_envs=EPISODES)
    env.reset(seed=0)
    actions = np.zeros(EPISODES, np.int64)

    def ours() -> None:
        for _ in range(WORLD_STEPS):
            env.step(actions)

    subjects: dict[str, Callable[[], object]] = {"ours": ours}
    with contextlib.suppress(ImportError):
        other = getattr(importlib.import_module(module), name)()

        def theirs() -> None:
            other.reset()
            for _ in range(POPGYM_STEPS):
                _, _, terminated, truncated, _ = other.step(0)
                if terminated or truncated:
                    other.reset()

        subjects["theirs"] = theirs
    found = _measure(subjects, repeats)
    speed, unit = WORLD_STEPS * EPISODES / found["ours"].best / 1e6, "million steps/s"
    bound = () if least is None else (speed / least, 1, f"against {least:g} million steps/s")
    rows = [Row(f"{name}, {EPISODES} episodes", speed, unit, *bound)]
    if "theirs" not in found:
        return [*rows, Row(f"{name} of popgym", math.nan, unit, note="popgym is not installed")]
    reference = POPGYM_STEPS / found["theirs"].best / 1e6
    return [*rows, Row(f"{name} of popgym", reference, unit, speed / reference, 100, "ours over theirs")]


# ---------------------------------------------------------------------------- layers


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _acting(repeats: int) -> list[Row]:
    x, rounds = torch.randn(ACTING, WIDTH, generator=_generator()), 50
    cell = nn.GRUCell(WIDTH, WIDTH)
    layers: dict[str, SequenceLayer] = {
        "S4D": S4D(WIDTH, generator=_generator()),
        "Mamba block": MambaBlock(WIDTH, generator=_generator()),
    }

    def stepping(layer: SequenceLayer) -> Callable[[], None]:
        def go() -> None:
            state = layer.initial_state(ACTING)
            with torch.no_grad():
                for _ in range(rounds):
                    _, state = layer.step(x, state)

        return go

    def gru() -> None:
        state = torch.zeros(ACTING, WIDTH)
        with torch.no_grad():
            for _ in range(rounds):
                state = cell(x, state)

    found = _measure({"GRUCell": gru} | {name: stepping(layer) for name, layer in layers.items()}, repeats)
    micro = {name: timing.best / rounds * 1e6 for name, timing in found.items()}
    targets = {"S4D": 1.0, "Mamba block": 1 / 3}
    where = f"{ACTING} environments, width {WIDTH}"
    rows = [Row(f"step of GRUCell, {where}", micro["GRUCell"], "us")]
    for name, target in targets.items():
        rows.append(
            Row(f"step of {name}, {where}", micro[name], "us", micro["GRUCell"] / micro[name], target, "GRUCell")
        )
    return rows


def _loop(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    x, found = torch.zeros_like(b[0]), []
    for t in range(len(b)):
        x = a[t] * x + b[t]
        found.append(x)
    return torch.stack(found)


def _plain_selective_scan(core: SelectiveScan, u: torch.Tensor) -> torch.Tensor:
    """Compute the outputs of `SelectiveScan` one step after the other: the reference for its time."""
    h, found = u.new_zeros(*u.shape[1:], core.size), []
    for x in u:
        dt, b, c = (x @ core.project.t()).split([core.rank, core.size, core.size], dim=-1)
        delta = nn.functional.softplus(dt @ core.dt_weight.t() + core.dt_bias)
        h = torch.exp(delta[..., None] * -core.log_a.exp()) * h + (delta * x)[..., None] * b[..., None, :]
        found.append((h @ c[..., None])[..., 0] + core.d * x)
    return torch.stack(found)


def _training(repeats: int) -> list[Row]:
    x = torch.randn(CHUNK, BATCH, WIDTH, generator=_generator())
    s4d, gru = S4D(WIDTH, generator=_generator()), nn.GRU(WIDTH, WIDTH)
    block = GatedBlock(S4D(WIDTH, generator=_generator()), _generator())
    shape = (CHUNK, BATCH, 2 * WIDTH, 16)
    a = torch.rand(shape, generator=_generator()).requires_grad_()
    b = torch.randn(shape, generator=_generator()).requires_grad_()

    core = SelectiveScan(2 * WIDTH, 16, math.ceil(WIDTH / 16), generator=_generator())
    u, zeros = torch.randn(shape[:3], generator=_generator()), torch.zeros(shape[1:])

    def learn(forward: Callable[[], Any]) -> Callable[[], None]:
        def go() -> None:
            found = forward()
            (found[0] if isinstance(found, tuple) else found).sum().backward()

        return go

    subjects = {
        "scan": learn(lambda: segmented_scan(a, b)),
        "loop": learn(lambda: _loop(a, b)),
        "Mamba": learn(lambda: core(u, zeros, None)),
        "reference": learn(lambda: _plain_selective_scan(core, u)),
        "S4D": learn(lambda: s4d(x)),
        "S4D block": learn(lambda: block(x)),
        "GRU": learn(lambda: gru(x)),
    }
    found = {name: timing.best * 1e3 for name, timing in _measure(subjects, repeats).items()}
    where = f"chunk of {CHUNK}, {BATCH} episodes"
    return [
        Row(f"segmented_scan, {where}", found["scan"], "ms", found["loop"] / found["scan"], 5, "loop over time"),
        Row(
            f"Mamba's selective scan, {where}",
            found["Mamba"],
            "ms",
            found["reference"] / found["Mamba"],
            5,
            "the same formula, a step at a time",
        ),
        Row(f"S4D, {where}, width {WIDTH}", found["S4D"], "ms", found["GRU"] / found["S4D"], 1.5, "nn.GRU"),
        Row(
            f"S4D block, {where}, width {WIDTH}",
            found["S4D block"],
            "ms",
            found["GRU"] / found["S4D block"],
            note="nn.GRU",
        ),
        Row(f"nn.GRU, {where}, width {WIDTH}", found["GRU"], "ms"),
    ]


def _growth(repeats: int) -> list[Row]:
    s4d, mamba = S4D(WIDTH, generator=_generator()), MambaBlock(WIDTH, generator=_generator())
    subjects: dict[str, Callable[[], object]] = {}
    for length in LENGTHS:
        a = torch.rand(length, 4, 512, generator=_generator())
        b = torch.randn(length, 4, 512, generator=_generator())
        x = torch.randn(length, BATCH, WIDTH, generator=_generator())
        subjects[f"segmented_scan {length}"] = lambda a=a, b=b: segmented_scan(a, b)
        subjects[f"S4D {length}"] = torch.no_grad()(lambda x=x: s4d(x))
        subjects[f"Mamba block {length}"] = torch.no_grad()(lambda x=x: mamba(x))
    found, rows = _measure(subjects, repeats), []
    for name in ("segmented_scan", "S4D", "Mamba block"):
        seconds = [found[f"{name} {length}"].best for length in LENGTHS]
        exponent = float(np.polyfit(np.log(LENGTHS), np.log(seconds), 1)[0])
        note = f"at most 1.1, from lengths {LENGTHS[0]} to {LENGTHS[-1]}"
        rows.append(Row(f"growth of the time of {name} with its length", exponent, "exponent", 1.1 / exponent, 1, note))
    return rows


# ---------------------------------------------------------------------------- optimizers and diagnostics


def _optimizers(repeats: int) -> list[Row]:
    def stepping(make: Callable[[list[nn.Parameter]], Any]) -> Callable[[], None]:
        parameter = nn.Parameter(torch.randn(1000, PARAMETERS // 1000, generator=_generator()))
        parameter.grad = 0.01 * torch.randn(parameter.shape, generator=_generator())
        return make([parameter]).step

    subjects = {
        "8 bits": stepping(lambda p: Adam8bit(p)),
        "fused": stepping(lambda p: torch.optim.Adam(p, fused=True)),
    }
    try:
        from bitsandbytes.optim import Adam8bit as Theirs

        subjects["bitsandbytes"] = stepping(lambda p: Theirs(p))
    except ImportError:
        pass
    found = {name: timing.best * 1e3 for name, timing in _measure(subjects, repeats).items()}
    rows = [
        Row(
            "adam8bit, a million parameters",
            found["8 bits"],
            "ms",
            found["fused"] / found["8 bits"],
            1 / 12,
            "fused Adam",
        ),
        Row("fused Adam in 32 bits", found["fused"], "ms"),
    ]
    if "bitsandbytes" not in found:
        return [*rows, Row("bitsandbytes' Adam8bit", math.nan, "ms", note="bitsandbytes is not installed")]
    theirs = found["bitsandbytes"]
    return [*rows, Row("bitsandbytes' Adam8bit", theirs, "ms", theirs / found["8 bits"], 3, "theirs over ours")]


def _diagnostics(repeats: int) -> list[Row]:
    generator = np.random.default_rng(0)
    z, labels = generator.normal(size=(512, 256)) * 10, generator.integers(0, 10, 512)
    found = _measure({"dsmi": lambda: dsmi(z, labels)}, repeats)["dsmi"].best * 1e3
    return [Row("DSMI of 512 x 256, ten classes, 5 repeats", found, "ms", 100 / found, 1, "against 100 ms")]
