"""Paper 17, token dynamics: eigenvalues of the input-output matrix decide whether tokens shrink or diverge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, equivalence, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, ORANGE, learning_curves, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p17_token_dynamics.arms import go_deep, recall, solve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS, SIZES = 200, (16, 8)
COLOURS = {"positive": ORANGE, "mixed": GREEN, "negative": BLUE}
ODE = "differential equation"
UPDATES, RUNS = 900, 5  # of associative recall
FREE, POSITIVE, SHORT = "recall, free", "recall, positive", "recall, positive, a tenth of the updates"


def _arm(eig: str, size: int) -> str:
    return f"{eig}, N = {size}"


def _grows(eig: str, size: int) -> Any:
    arm, other = _arm(eig, size), _arm("negative", size)
    return seeded(f"{arm}: growth above e^5", Score(arm, "log growth"), ">", 5, null={arm: other})


def _shrinks(size: int) -> Any:
    arm, other = _arm("negative", size), _arm("positive", size)
    return seeded(f"{arm}: below 60%", Score(arm, "log growth"), "<", -0.51, null={arm: other})


def _ode(score: str, fault: float = 0.0) -> Any:
    return lambda results: fault + float(results.scores(ODE, score)[0])


def draw(results: Results, figure: Figure) -> None:
    """Draw the mean norm of the tokens over the layers, for both sizes of the state."""
    title(figure, results, "Signs of eigenvalues decide whether tokens shrink or diverge")
    *depth, learning = figure.subplots(1, 3)
    depth[1].sharey(depth[0])
    learning_curves(
        learning, results, {FREE: BLUE, POSITIVE: ORANGE}, "accuracy", labels={FREE: "free", POSITIVE: "positive"}
    )
    learning.set(title="Associative recall", xlabel="updates", ylabel="share of right answers")
    learning.xaxis.set_major_formatter("{x:g}")
    learning.legend(loc="lower right", title="eigenvalues")
    for axes, size in zip(depth, SIZES, strict=True):
        for eig, colour in COLOURS.items():
            learning_curves(axes, results, {_arm(eig, size): colour}, "log10 norm", labels={_arm(eig, size): eig})
        axes.set(title=f"State of {size} numbers", xlabel="layers", ylabel="log10 of the mean norm, cut off at 6")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(loc="center right", title="eigenvalues")


EXPERIMENT = Experiment(
    paper=find("17-mamba-token-dynamics"),
    question="Do tokens in deep S6 stacks shrink or diverge as the eigenvalues of the input-output matrix say?",
    claim="With a positive eigenvalue tokens diverge, with negative ones alone they shrink, in all runs.",
    arms=(
        *(
            FunctionArm(
                _arm(eig, size),
                go_deep,
                budget=LAYERS,
                settings={"eig": eig, "state_size": size},
                group="depth",
                quick_spend=40,
            )
            for size in SIZES
            for eig in COLOURS
        ),
        *(
            FunctionArm(
                name,
                recall,
                budget=budget,
                settings={"eig": eig},
                group="recall",
                quick_spend=20,
                seeds=RUNS,
            )
            for name, eig, budget in (
                (FREE, "free", UPDATES),
                (POSITIVE, "positive", UPDATES),
                (SHORT, "positive", UPDATES // 10),
            )
        ),
        FunctionArm(ODE, solve, group="ode", seeds=1),
    ),
    checks=(
        all_of(
            "Tokens diverge with positive and with mixed eigenvalues",
            *(_grows(eig, size) for size in SIZES for eig in ("positive", "mixed")),
            primary=True,
            paper_claim="Two positive or one positive eigenvalue: the tokens diverge (a figure in two dimensions).",
        ),
        all_of(
            "Tokens shrink below 60% of their norm within 200 layers with negative eigenvalues",
            *(_shrinks(size) for size in SIZES),
            primary=True,
            paper_claim="Two negative eigenvalues: the tokens converge to zero.",
        ),
        exact(
            "The differential equation has its closed form for the first token, to 1e-7",
            _ode("closed form"),
            "<=",
            1e-7,
            null=_ode("closed form", 1.0),
            primary=True,
        ),
        equivalence(
            "Positive eigenvalues cost nothing in associative recall: accuracy within .03 of free ones",
            Difference(POSITIVE, FREE, "accuracy"),
            -0.03,
            0.03,
            null={POSITIVE: SHORT},
            paper_claim="Positive eigenvalues give a better perplexity on WikiText-103 with 24 layers.",
        ),
        exact(
            "mu < 0: all tokens are below .02 at t = 2000",
            _ode("convergent: largest token"),
            "<",
            0.02,
            null=_ode("slowly divergent: smallest token"),
        ),
        exact(
            "mu > 0, S < 0: all tokens are above 10 at t = 2000, and finite",
            _ode("slowly divergent: smallest token"),
            ">",
            10,
            null=_ode("convergent: largest token"),
        ),
        exact(
            "mu > 0, S > 0: a token passes 10 000 before t = .36",
            _ode("blow-up time"),
            "<",
            0.36,
            null=_ode("blow-up time", 1.0),
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "depth",
            "Residual S6 layers, up to 200",
            {
                "layers": "layers passed",
                "log growth": "log growth of the norm",
                "positive share": "positive eigenvalues",
            },
        ),
        Table(
            "recall",
            "Associative recall with two Mamba blocks, after training",
            {"accuracy": "share of right answers", "positive share": "positive eigenvalues"},
        ),
        Table("ode", "The differential equation, tokens of one dimension", {"blow-up time": "blow-up time"}),
    ),
    reason=(
        "Each layer adds a vector whose product with the token has the sign of the eigenvalues, so that norms can only "
        "shrink or only grow."
    ),
    seeds=10,
    quick_seeds=2,
    first_seed=1000,
    notes=(
        "The theory has no normalisation, convolution, gate or skip, and neither do these layers; with them tokens do "
        "not diverge.",
        "A run ends when a token's norm passes 1e6 or is no longer finite; norms are cut off there.",
        "Associative recall has whole Mamba blocks with normalisation, convolution, gate and skip; its bound and its 5 "
        "seeds were fixed before any run, and only all-positive eigenvalues are compared with free ones.",
    ),
)
