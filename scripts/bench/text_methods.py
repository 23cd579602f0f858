"""Cost of each method relative to GRPO, and training speed over batch sizes on a GPU."""

from __future__ import annotations

import statistics
import time
from datetime import date
from itertools import product
from typing import Any

import torch

from envzoo import agents
from envzoo.agents.text.method import method_names
from envzoo.scripts.bench.report import Row
from envzoo.scripts.bench.text_trl import TASK, grpo_agent

REQUIRED = 1.15
SHOWN = {  # not judged, and why
    "HAPO": "a temperature per token",
    "AEPOArbitrary": "samples twice",
    "DAPO": "samples until rewards differ",
}
GPU_DTYPES = ("float32", "bfloat16")
GPU_SIZES = ((64, 2, 4), (768, 14, 12))  # width, layers and heads: 0.1 and 100 million parameters


def method_rows(rounds: int) -> list[Row]:
    """Measure the processor time of a rollout and its updates on one thread, relative to GRPO.

    All methods have the same weights, prompts, group size, and one epoch; the learning rate is too small to change
    this. Each round measures GRPO before and after a method, so that slow periods of the machine affect both; the
    median counts.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plain = grpo_agent()
        others = {name: grpo_agent(name, num_epochs=1) for name in method_names() if name != "GRPO"}
        return _rows(plain, others, rounds)
    finally:
        torch.set_num_threads(before)


def _rows(plain: Any, others: dict[str, Any], rounds: int) -> list[Row]:
    ratios: dict[str, list[float]] = {name: [] for name in others}
    own = []
    for number in range(rounds + 1):
        last = _seconds(plain)
        for name, agent in others.items():
            taken, following = _seconds(agent), _seconds(plain)
            if number:
                ratios[name].append(2 * taken / (last + following))
                own.append(following)
            last = following
    rows = [Row("GRPO, rollout and updates", 1e3 * min(own), "ms")]
    for name, found in ratios.items():
        cost = statistics.median(found)
        judged = name not in SHOWN
        note = f"cost over GRPO, target at most {REQUIRED}" if judged else f"not judged: {SHOWN[name]}"
        # A row passes if its ratio reaches its target, so the ratio is the inverse of the cost.
        rows.append(Row(name, cost, "x GRPO", REQUIRED / cost if judged else None, 1.0 if judged else None, note))
    return rows


def _seconds(agent: Any) -> float:
    """Measure the processor time of an iteration, which other programs on the machine affect little."""
    began = time.process_time()
    agent.iterate()
    return time.process_time() - began


def gpu_rows(
    device: str | None = None, sizes: tuple[tuple[int, int, int], ...] = GPU_SIZES, most: int = 2**17, rounds: int = 3
) -> list[Row]:
    """Measure tokens per second of training on a GPU, doubling the batch until memory is full.

    Args:
        device: Torch device; None uses the GPU if there is one.
        sizes: Width, layers and heads of the models.
        most: Largest number of prompts.
        rounds: Rollouts per batch, after an uncounted first one.

    Returns:
        A row per model, data type and batch size.
    """
    if device is None and not torch.cuda.is_available():
        return [Row("GRPO on a GPU", float("nan"), "tokens/s", note="there is no GPU")]
    device = device or "cuda"
    card = torch.cuda.get_device_name() if device.startswith("cuda") else device
    rows = []
    for size, dtype in product(sizes, GPU_DTYPES):
        found: dict[int, float] = {}
        prompts, parameters = 32, 0
        while prompts <= most:
            try:
                found[prompts], parameters = _rate(device, size, dtype, prompts, rounds)
            except torch.cuda.OutOfMemoryError:
                break
            finally:
                if device.startswith("cuda"):
                    torch.cuda.empty_cache()
            prompts *= 2
        rows += [_gpu_row(f"{parameters / 1e6:.1f} M parameters, {dtype}", card, found, prompts) for prompts in found]
    return rows


def _gpu_row(model: str, card: str, found: dict[int, float], prompts: int) -> Row:
    marks = ("fastest", max(found, key=found.get)), ("the most that was tried or fits", max(found))
    notes = [card, str(date.today()), *(words for words, which in marks if which == prompts)]
    return Row(f"GRPO on a GPU, {model}: {prompts} x 16", found[prompts], "tokens/s", note=", ".join(notes))


def _rate(device: str, size: tuple[int, int, int], dtype: str, prompts: int, rounds: int) -> tuple[float, int]:
    """Measure tokens per second and count the parameters; an entropy bonus ensures that there is a gradient."""
    dim, layers, heads = size
    agent = agents.make(
        "GRPO", f"envzoo/{TASK}-Tokens-v0", device=device, model_dim=dim, model_layers=layers, model_heads=heads,
        num_prompts=prompts, group_size=16, warm_up_updates=0, keep_reference=False, entropy_coefficient=1e-6,
        learning_rate=1e-9, compute_dtype=dtype,
    )  # fmt: skip
    agent.target_timesteps = 10**12
    agent.iterate()
    written, began = agent.num_timesteps, time.perf_counter()
    for _ in range(rounds):
        agent.iterate()  # metrics are read on the CPU, which waits for the device
    rate = (agent.num_timesteps - written) / (time.perf_counter() - began)
    return rate, sum(p.numel() for p in agent.policy.parameters())
