"""Block-wise absolute-maximum quantisation (Dettmers et al., 2022, arXiv 2110.02861): a paper that is functions only.

Numbers are stored as whole numbers of a few bits, in blocks that each have a scale of their own, so that an outlier
spoils its own block and no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Ratio, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, ORANGE, final_bars, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.core.results import Results


def quantize(x: np.ndarray, block_size: int, bits: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Quantise numbers block by block: code = round(x / scale) with scale = max |x| / (2^(bits - 1) - 1).

    Args:
        x: (N,) finite numbers.
        block_size: Numbers in a block; the last block may be shorter.
        bits: Bits of a code, 2 to 8.

    Returns:
        codes (N,) int8, and the scale of each block (ceil(N / block_size),) float64.

    Raises:
        EnvzooError: Numbers that are not finite, or sizes out of range.
    """
    if x.ndim != 1 or not np.isfinite(x).all():
        raise EnvzooError(f"x has the shape {x.shape}; expected finite numbers, (N,)")
    if block_size < 1 or not 2 <= bits <= 8:
        raise EnvzooError(f"block_size is {block_size} and bits {bits}; expected at least 1, and 2 to 8")
    blocks = -(-len(x) // block_size)
    padded = np.zeros((blocks, block_size))
    padded.ravel()[: len(x)] = x
    scale = np.abs(padded).max(axis=1) / (2 ** (bits - 1) - 1)
    codes = np.rint(padded / np.where(scale > 0, scale, 1.0)[:, None])
    return codes.astype(np.int8).ravel()[: len(x)], scale


def dequantize(codes: np.ndarray, scale: np.ndarray, block_size: int) -> np.ndarray:
    """Return the numbers that codes (N,) with block scales stand for, (N,) float64."""
    return codes * np.repeat(scale, block_size)[: len(codes)]


def measure_errors(seed: int, budget: int, quick: bool, block_size: int) -> dict[str, Any]:
    """Quantise `budget` normal numbers and an outlier among them; an arm of the experiment."""
    x = np.random.default_rng(seed).normal(size=budget)
    x[0] = 100.0
    codes, scale = quantize(x, block_size)
    restored = dequantize(codes, scale, block_size)
    error = np.abs(restored - x)
    half_steps = np.repeat(scale, block_size)[: len(x)] / 2
    again, _ = quantize(restored, block_size)
    return {
        "scores": {
            "mean_error": float(error.mean()),
            "error_in_half_steps": float((error / half_steps).max()),
            "changed_codes": float((again != codes).sum()),
        }
    }


def _largest(score: str, fault: float = 0.0) -> Any:
    def measure(results: Results) -> float:
        return fault + max(results.scores(arm, score).max() for arm in results.arms)

    return measure


def draw(results: Results, figure: Figure) -> None:
    """Draw the mean error of both arms."""
    title(figure, results, "An outlier spoils one block instead of all")
    colours = {"one block": ORANGE, "blocks of 64": BLUE}
    final_bars(figure.add_subplot(), results, colours, "mean_error", number="{:.3g}")


EXPERIMENT = Experiment(
    paper=Paper("8-bit Optimizers via Block-wise Quantization", "Dettmers et al.", 2022, "2110.02861", slug="adam8bit"),
    question="Does quantisation in blocks keep an outlier from spoiling all other numbers?",
    claim="With an outlier, blocks of 64 numbers have less than a tenth of the error of one block for all.",
    arms=(
        FunctionArm("one block", measure_errors, budget=4096, settings={"block_size": 4096}, group="normal"),
        FunctionArm("blocks of 64", measure_errors, budget=4096, settings={"block_size": 64}, group="normal"),
    ),
    checks=(
        seeded(
            "The mean error in blocks is less than a tenth of that in one block",
            Ratio("blocks of 64", "one block", "mean_error"),
            "<",
            0.1,
            null={"blocks of 64": "one block"},
            estimand="ratio",
            primary=True,
        ),
        exact(
            "No number is off by more than half a step",
            _largest("error_in_half_steps"),
            "<=",
            1 + 1e-9,
            null=_largest("error_in_half_steps", fault=1.0),
        ),
        exact(
            "Numbers that were quantised once keep their codes",
            _largest("changed_codes"),
            "<=",
            0,
            null=_largest("changed_codes", fault=1.0),
        ),
    ),
    figure=draw,
    tables=(Table("normal", "Quantisation to 8 bits", {"mean_error": "mean error"}),),
)
