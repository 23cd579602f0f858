"""Paper 46, diffusion spectral entropy: how spread out and how informative a representation becomes in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, ORANGE, learning_curves, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p46_spectral_entropy.arms import classify, measure_blobs, measure_limits, watch_ppo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUE, SHUFFLED, PPO = "true labels", "shuffled labels", "PPO on the frozen lake"
SEPARATIONS = (0, 5, 10, 20, 50)
# Measured by the reading of the paper on which the experiment is based, with one drawing of the blobs.
EXPECTED = {0: 1.58, 5: 2.44, 10: 3.44, 20: 3.79, 50: 3.78}


def _blobs(separation: int) -> str:
    return f"blobs {separation} apart"


class _Excess:
    """DSMI with true labels less three times that with shuffled ones, for each seed."""

    def __init__(self, score: str):
        self.score = score

    def __call__(self, results: Results) -> Any:
        first, second = results.paired(TRUE, SHUFFLED, self.score)
        return first - 3 * second


def _largest(score: str, fault: float = 0.0) -> Any:
    return lambda results: fault + float(results.scores("limits", score).max())


def _rise(arm: str, bound: float) -> Any:
    flat = Score(arm, "first dse")
    return seeded(f"{arm}: more than {bound:g} bits", Score(arm, "dse rise"), ">", bound, null=flat)


def draw(results: Results, figure: Figure) -> None:
    """Draw DSE and DSMI over training for both classifiers, and both for a PPO agent."""
    title(figure, results, "Entropy rises with any labels, information only with true ones")
    left, middle, right = figure.subplots(1, 3)
    colours = {TRUE: BLUE, SHUFFLED: ORANGE}
    for axes, score, text in ((left, "dse", "Entropy, DSE"), (middle, "dsmi", "Information, DSMI")):
        learning_curves(axes, results, colours, score)
        axes.set(title=text, xlabel="epochs", ylabel="bits")
        axes.xaxis.set_major_formatter("{x:g}")
    left.legend(loc="lower right")
    for score, colour in (("dse_median", BLUE), ("dsmi_median", GREEN)):
        learning_curves(right, results, {PPO: colour}, score, labels={PPO: score.partition("_")[0].upper()})
    right.set(title="PPO, median sigma", xlabel="timesteps", ylabel="bits")
    right.legend(loc="center right")


EXPERIMENT = Experiment(
    paper=find("46-diffusion-spectral-entropy"),
    question="Do diffusion spectral entropy and information tell learning from memorising?",
    claim="DSE rises with true and with shuffled labels, while DSMI with the labels rises only with true ones.",
    arms=(
        FunctionArm(TRUE, classify, budget=100, settings={"shuffled": False}, group="classifier", quick_spend=4),
        FunctionArm(SHUFFLED, classify, budget=100, settings={"shuffled": True}, group="classifier", quick_spend=4),
        *(
            FunctionArm(
                _blobs(separation), measure_blobs, budget=500, settings={"separation": float(separation)}, group="blobs"
            )
            for separation in SEPARATIONS
        ),
        FunctionArm("limits", measure_limits, group="limits"),
        FunctionArm(PPO, watch_ppo, budget=24_000, group="ppo", quick_spend=2_000, seeds=6),
    ),
    checks=(
        all_of(
            "DSE of the hidden layer rises by more than 2 bits with true and with shuffled labels",
            _rise(TRUE, 2),
            _rise(SHUFFLED, 2),
            primary=True,
            paper_claim="DSE rises both when generalising and when overfitting to random labels.",
        ),
        seeded(
            "DSMI with true labels ends above three times that with shuffled ones",
            _Excess("dsmi"),
            ">",
            0,
            null={TRUE: SHUFFLED},
            primary=True,
            paper_claim="DSMI with the labels rises when generalising and stays flat on random labels.",
        ),
        seeded(
            "The same at the median distance, which no scaling of the features changes",
            _Excess("dsmi at median"),
            ">",
            0,
            null={TRUE: SHUFFLED},
        ),
        exact(
            "DSE of equal, distant and clustered samples is exact to 1e-9",
            _largest("limits"),
            "<=",
            1e-9,
            null=_largest("limits", 1.0),
        ),
        exact(
            "DSMI of constant labels is 0 to 1e-9",
            _largest("constant labels"),
            "<=",
            1e-9,
            null=_largest("constant labels", 1.0),
        ),
        exact(
            "DSMI of independent labels is below .1 bit",
            _largest("independent labels"),
            "<",
            0.1,
            null=_largest("independent labels", 1.0),
        ),
        seeded(
            "DSE of five blobs grows by more than a bit from one place to 20 apart",
            Difference(_blobs(20), _blobs(0), "t = 1"),
            ">",
            1,
            null={_blobs(20): _blobs(0)},
        ),
        seeded(
            "PPO solves the frozen lake",
            Score(PPO, "return"),
            ">=",
            0.95,
            null=lambda results: results.scores(PPO, "return") * 0.5,
        ),
        seeded(
            "PPO's encoder comes to tell the best move: DSMI at the median distance rises by more than .1 bit",
            Score(PPO, "dsmi rise"),
            ">",
            0.1,
            null=lambda results: results.scores(PPO, "dsmi rise") * 0,
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "classifier",
            "Hidden layer of a classifier of ten blobs, test set, after 100 epochs",
            {
                "dse": "DSE",
                "dsmi": "DSMI",
                "dse at median": "DSE, median",
                "dsmi at median": "DSMI, median",
                "train accuracy": "train accuracy",
                "test accuracy": "test accuracy",
            },
        ),
        Table(
            "blobs",
            "DSE of five blobs in 20 dimensions, sigma = 10",
            {"t = 1": "t = 1", "t = 2": "t = 2"},
            expected={_blobs(s): value for s, value in EXPECTED.items()},
            expected_heading="t = 1, elsewhere",
        ),
        Table("ppo", "PPO on the frozen lake", {"return": "return", "dse_median": "DSE", "dsmi_median": "DSMI"}),
    ),
    reason=(
        "A network that memorises spreads its training samples as one that learns does, but its test samples without "
        "regard to their labels."
    ),
    seeds=5,
    first_seed=1000,
    notes=(
        "The bandwidth decides what DSE measures. At sigma = 10, the paper's, a growing norm of the features alone "
        "raises it; at the median distance it does not.",
        "The frozen lake does not slip; labels are the best moves in the states where only one move is best.",
    ),
    small_scale=True,
)
