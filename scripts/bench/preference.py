"""Speed of learning from preferences on one core: pairs per second against TRL, self-play, and the law of best-of-N."""

from __future__ import annotations

import importlib
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.preference.bandit_self_play import train_bandits
from envzoo.agents.preference.best_of_n_law import best_of_n_law
from envzoo.agents.reasoning.trl_puzzles import hugging_face_dataset
from envzoo.datasets.preference_pairs import to_trl
from envzoo.errors import EnvzooError, missing_extra
from envzoo.preference.games import cyclic_game
from envzoo.scripts.bench.report import Row, measure
from envzoo.scripts.bench.text_trl import character_tokenizer, tiny_llama

DESCRIPTION = "preferences on one core: losses against TRL's trainers in turns, self-play, and the law of best-of-N"

CLOCK = time.process_time  # of the one core that is used, so that other programs on the machine matter little
BATCH, PAIRS = 64, 2048
DIM, LAYERS, HEADS = 64, 2, 4
# Loss -> module, trainer, config and settings in TRL; where the DPO trainer lacks a loss, the trainer that has it.
PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dpo": ("trl", "DPO", {"loss_type": ["sigmoid"], "precompute_ref_log_probs": True}),
    "ipo": ("trl", "DPO", {"loss_type": ["ipo"], "precompute_ref_log_probs": True}),
    "slic": ("trl.experimental.cpo", "CPO", {"loss_type": "hinge", "cpo_alpha": 1.0}),
    "cpo": ("trl.experimental.cpo", "CPO", {"loss_type": "sigmoid", "cpo_alpha": 1.0}),
    "simpo": ("trl.experimental.cpo", "CPO", {"loss_type": "simpo", "cpo_alpha": 0.0}),
    "orpo": ("trl.experimental.orpo", "ORPO", {}),
    "kto": ("trl.experimental.kto", "KTO", {"precompute_ref_log_probs": True}),
}
LEAST = 3.0  # pairs per second of DPO, relative to TRL
COMPARISONS, SEEDS, ITERATIONS, SAMPLES, QUEUE = 10e6, 64, 300, 16, 100
LAW_LENGTH, LAW_SECONDS = 640, 0.1


def run(quick: bool = False) -> list[Row]:
    """Measure all, in seconds of the processor; see `loss_rows`, `self_play_rows` and `law_rows`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = 4 if quick else 20
        rows = [row for loss in PEERS for row in loss_rows(loss, steps)]
        return rows + self_play_rows(2 if quick else 9) + law_rows(2 if quick else 9)
    finally:
        torch.set_num_threads(before)


def loss_rows(loss: str, steps: int) -> list[Row]:
    """Measure one loss in turns with TRL's trainer for it: same pairs, batch, lengths and size of model.

    The log-probabilities of the reference are computed before, in both.

    Args:
        loss: Name of the loss.
        steps: Gradient steps of each, after an uncounted first one.
    """
    ours = agents.make(
        "OfflinePreference",
        "envzoo/TextTinySummary-v0",
        device="cpu",
        threads=1,
        loss=loss,
        pairs=PAIRS,
        batch_size=BATCH,
        sft_updates=0,
        model_dim=DIM,
        model_layers=LAYERS,
        model_heads=HEADS,
    )
    ours.iterate()
    seconds: dict[str, list[float]] = {"ours": [], "TRL": []}

    def turn() -> None:
        began = CLOCK()
        ours.iterate()
        seconds["ours"].append(CLOCK() - began)

    size = f"{BATCH} pairs of {ours.policy.prompt_length} + up to {ours.policy.answer_length} tokens"
    own = sum(p.numel() for p in ours.policy.parameters())
    try:
        parameters = _run_trl(loss, ours, steps + 1, turn, seconds["TRL"])
    except EnvzooError as error:
        for _ in range(steps + 1):
            turn()
        rate = BATCH / statistics.median(seconds["ours"][1:])
        return [
            Row(f"{loss}: envzoo", rate, "pairs/s", note=size),
            Row(f"{loss}: TRL", float("nan"), "pairs/s", note=str(error)),
        ]
    rates = {name: BATCH / statistics.median(values[1:]) for name, values in seconds.items()}
    ratio = statistics.median(b / a for a, b in zip(seconds["ours"][1:], seconds["TRL"][1:], strict=False))
    return [
        Row(f"{loss}: envzoo", rates["ours"], "pairs/s", note=f"{own:,} parameters; {size}"),
        Row(
            f"{loss}: TRL",
            rates["TRL"],
            "pairs/s",
            ratio,
            LEAST if loss == "dpo" else None,
            f"{PEERS[loss][1]}Trainer, {parameters:,} parameters",
        ),
    ]


def _run_trl(loss: str, ours: Any, steps: int, between: Callable[[], None], seconds: list[float]) -> int:
    """Train with TRL, calling `between` after each step; return the number of parameters."""
    module, name, settings = PEERS[loss]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = importlib.import_module(module)
        from transformers import PrinterCallback, TrainerCallback
    except ImportError as error:
        raise missing_extra("the comparison with TRL", "trl", "text") from error
    task = ours.task
    tokenizer = character_tokenizer(task.alphabet)
    rows = to_trl(ours.data)
    count = BATCH
    if loss == "kto":  # single answers: as many of them as ours
        rows = [
            {"prompt": row["prompt"], "completion": row[which], "label": which == "chosen"}
            for row in rows
            for which in ("chosen", "rejected")
        ]
        count = 2 * BATCH
    else:
        rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows]

    class Turns(TrainerCallback):
        began = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 0:
                self.began = CLOCK()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seconds.append(CLOCK() - self.began)
            between()
            self.began = CLOCK()

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = {
            "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "logging_strategy": "no",
            "disable_tqdm": True, "per_device_train_batch_size": count, "max_steps": steps, "learning_rate": 3e-4,
            "dataloader_pin_memory": False, "gradient_checkpointing": False,
        }  # fmt: skip
        model = tiny_llama(len(tokenizer), 2 * (task.prompt_length + task.answer_length), DIM, LAYERS, HEADS)
        trainer = getattr(found, f"{name}Trainer")(
            model,
            args=getattr(found, f"{name}Config")(folder, **plain, **settings),
            train_dataset=hugging_face_dataset(rows),
            processing_class=tokenizer,
            callbacks=[Turns()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return sum(p.numel() for p in model.parameters())


def self_play_rows(repeats: int) -> list[Row]:
    """Measure self-play on the cyclic game: sampled labels per second, on one core."""
    game, seeds = cyclic_game(), np.arange(SEEDS)
    settings = {"iterations": ITERATIONS, "samples": SAMPLES, "queue": QUEUE}
    timing = measure({"self-play": lambda: train_bandits(game, seeds, labels="sampled", **settings)}, repeats, CLOCK)
    rate = SEEDS * ITERATIONS * SAMPLES * QUEUE / timing["self-play"].median
    return [
        Row(
            "Self-play on PrefBandit",
            rate / 1e6,
            "million comparisons/s",
            rate / COMPARISONS,
            1.0,
            f"a comparison is a sampled label; {SEEDS} seeds, {SAMPLES} arms per update against {QUEUE}",
        )
    ]


def law_rows(repeats: int) -> list[Row]:
    """Measure the exact law of the best of N: 640 tokens of 3 kinds by counts, and of 5 kinds by convolution."""
    rng = np.random.default_rng(0)
    three, five = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(5))
    kinds = {
        "3 kinds, by counts": (three, rng.normal(size=3)),
        "5 kinds, by convolution": (five, np.array([0.0, 0.1, 0.3, 0.7, 1.0])),
    }
    timings = measure(
        {name: lambda p=p, r=r: best_of_n_law(p, r, 16, LAW_LENGTH) for name, (p, r) in kinds.items()}, repeats, CLOCK
    )
    return [
        Row(
            f"Law of best-of-16, {LAW_LENGTH} tokens, {name}",
            1e3 * timing.median,
            "ms",
            LAW_SECONDS / timing.median,
            1.0,
            f"at most {1e3 * LAW_SECONDS:g} ms",
        )
        for name, timing in timings.items()
    ]
