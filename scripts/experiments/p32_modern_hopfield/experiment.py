"""Paper 32, modern Hopfield networks: associative memories that store many patterns and are read in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, ORANGE, learning_curves, level, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p32_modern_hopfield.arms import latch, measure_retrieval, recall, store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOUND = "retrieval"
STORES = {
    "modern, 1000 patterns": {"network": "modern", "patterns": 1000, "beta": 1.0},
    "modern, beta 1/sqrt(64)": {"network": "modern", "patterns": 1000, "beta": 0.125},
    "classical, 1000 patterns": {"network": "classical", "patterns": 1000},
    "classical, 5 patterns": {"network": "classical", "patterns": 5},
}
MODERN, CLASSICAL = "modern, 1000 patterns", "classical, 1000 patterns"
POOLING, LSTM4 = "Hopfield pooling", "LSTM of width 4"
HOPFIELD, GRU = "PPO with Hopfield memory", "PPO with GRU"


def _worst(score: str, fault: float = 0.0) -> Any:
    return lambda results: fault + float(results.scores(BOUND, score).max())


def draw(results: Results, figure: Figure) -> None:
    """Draw the latch task on the left, and associative recall by PPO on the right."""
    title(figure, results, "A Hopfield layer finds what it has stored")
    left, right = figure.subplots(1, 2)
    learning_curves(left, results, {POOLING: BLUE, LSTM4: ORANGE}, "accuracy")
    level(left, 0.5, "guessing", below=True)
    left.set(title="Latch: name the first of 32 symbols", xlabel="epochs of 96 updates", ylabel="validation accuracy")
    left.xaxis.set_major_formatter("{x:g}")
    left.legend(loc="center right")
    learning_curves(right, results, {HOPFIELD: BLUE, GRU: ORANGE}, "return")
    level(right, -0.75, "guessing", below=True)
    right.set(title="Associative recall of 8 pairs", xlabel="timesteps", ylabel="return")
    right.legend(loc="center right")


EXPERIMENT = Experiment(
    paper=find("32-modern-hopfield"),
    question="Do modern Hopfield layers retrieve what they store, and does it help an agent to remember?",
    claim="One update retrieves a pattern within its bound, and layers made of it remember where small RNNs do not.",
    arms=(
        FunctionArm(BOUND, measure_retrieval, budget=1000, group="bound", quick_spend=100),
        *(FunctionArm(arm, store, budget=200, settings=settings, group="storage") for arm, settings in STORES.items()),
        FunctionArm(POOLING, latch, budget=3, settings={"model": "hopfield"}, group="latch", quick_spend=1),
        FunctionArm(LSTM4, latch, budget=3, settings={"model": "lstm"}, group="latch", quick_spend=1),
        FunctionArm(
            HOPFIELD,
            recall,
            budget=200_000,
            settings={"encoder": "hopfield", "width": 64},
            group="recall",
            quick_spend=4096,
            seeds=3,
        ),
        FunctionArm(
            GRU,
            recall,
            budget=200_000,
            settings={"encoder": "gru", "width": 66},
            group="recall",
            quick_spend=4096,
            seeds=3,
        ),
    ),
    checks=(
        exact(
            "No retrieval is farther from its pattern than the bound of one update allows",
            _worst("excess"),
            "<=",
            1e-9,
            null=_worst("excess", 1.0),
            primary=True,
            paper_claim="The error after one update is exponentially small in the separation of the pattern.",
        ),
        all_of(
            "On the latch task Hopfield pooling is above .99 within 3 epochs, an LSTM of width 4 below .6",
            seeded("Hopfield pooling: above .99", Score(POOLING, "accuracy"), ">", 0.99, null={POOLING: LSTM4}),
            seeded("LSTM of width 4: below .6", Score(LSTM4, "accuracy"), "<", 0.6, null={LSTM4: POOLING}),
            primary=True,
            paper_claim="A demonstration in the authors' repository.",
        ),
        seeded(
            "In associative recall, PPO's return with a Hopfield memory is higher by more than .2 than with a GRU",
            Difference(HOPFIELD, GRU, "return"),
            ">",
            0.2,
            null={HOPFIELD: GRU},
            primary=True,
            paper_claim="None: the paper has no reinforcement learning.",
        ),
        all_of(
            "With half of each pattern hidden, the modern network recovers over 99% of 1000, the classical under 1%",
            seeded("modern: over 99%", Score(MODERN, "recovered"), ">", 0.99, null={MODERN: CLASSICAL}),
            seeded("classical: under 1%", Score(CLASSICAL, "recovered"), "<", 0.01, null={CLASSICAL: MODERN}),
            paper_claim="Exponentially many patterns can be stored; about .14 d in a classical network.",
        ),
        exact("No update increases the energy", _worst("energy rise"), "<=", 1e-9, null=_worst("energy rise", 1.0)),
        exact("No energy is below 0", _worst("energy below 0"), "<=", 1e-9, null=_worst("energy below 0", 1.0)),
    ),
    figure=draw,
    tables=(
        Table("storage", "Share of patterns recovered, half of their 64 numbers hidden", {"recovered": "recovered"}),
        Table("latch", "Latch after 3 epochs", {"accuracy": "validation accuracy"}),
        Table(
            "recall", "Associative recall of 8 pairs, 200 000 steps", {"return": "return", "parameters": "parameters"}
        ),
    ),
    reason=(
        "A stored pattern is found by its content in one step, however long ago it was seen, so that nothing has to be "
        "carried along."
    ),
    seeds=6,
    first_seed=1000,
    notes=(
        "Latch: AdamW 1e-3, batches of 32, gradients clipped at 1, as in the authors' demonstration; the LSTM stays at "
        "chance for about 27 epochs and then learns the task, too.",
        "Recall: both agents have the same hyperparameters and numbers of updates, and about as many parameters.",
        "With beta = 1/sqrt(64), the scaling of attention, the modern network recovers almost nothing: beta matters.",
    ),
)
