"""Paper 38, Lp-Reg: does regularisation towards the filtered sampling policy preserve a rare but better strategy?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import Arm
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.runs import FINAL, text_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from envzoo.agents.agent import Agent

UPDATES = 100
TASK, KEYWORDS = "TextSpark", {"spark_share": 0.07}
SPARK, JUNK = f"{FINAL}spark", f"{FINAL}junk"
GATED = "policy/gated_fraction"
PROBES = 256
STRONG = {"rho": 0.3, "beta": 20.0}
# Arm -> (agent, hyperparameters).
METHODS = {
    "GRPO": ("GRPO", {}),
    "Lp-Reg": ("LpReg", {}),
    "Lp-Reg without filter": ("LpReg", {"min_p": 0.0}),
    "Lp-Reg, strong": ("LpReg", STRONG),
    "Lp-Reg, strong, without filter": ("LpReg", {**STRONG, "min_p": 0.0}),
    "entropy bonus": ("EntropyBonus", {}),
    "80/20": ("ForkTokens", {}),
}
QUICK = ("GRPO", "Lp-Reg")


def routes(agent: Agent) -> dict[str, float]:
    """Compute the usual scores, and the mean probabilities of beginning with the spark B and with a junk letter."""
    import torch

    from envzoo.reasoning.spark import JUNK as LETTERS
    from envzoo.reasoning.spark import ROUTE_B

    prompts = torch.as_tensor(agent.task.sample(PROBES, "evaluation", 1))
    with torch.no_grad():
        logits, _ = agent.policy.prefill(prompts)
    first = torch.softmax(logits / agent.config.temperature, -1).mean(0)
    junk = first[ROUTE_B + 1 : ROUTE_B + 1 + LETTERS].sum()
    return runs.assess(agent) | {SPARK: float(first[ROUTE_B]), JUNK: float(junk)}


def _arm(method: str) -> Arm:
    agent, hyperparameters = METHODS[method]
    return text_arm(
        method,
        agent,
        UPDATES,
        {"learning_rate": 3e-4, **hyperparameters},
        task=TASK,
        env_kwargs=KEYWORDS,
        curves=(GATED,) if agent == "LpReg" else (),
        inspect=routes,
        full_only=method not in QUICK,
    )


def draw_routes(axes: Axes, results: Results, arms: dict[str, str]) -> None:
    """Plot the final probabilities of the spark and of junk letters on a logarithmic axis."""
    shown = [arm for arm in arms if results.has(arm, SPARK)]
    for row, arm in enumerate(shown):
        for score, marker, label in ((SPARK, "o", "spark"), (JUNK, "x", "junk, all ten letters")):
            values = results.scores(arm, score).clip(min=1e-8)
            axes.scatter(values, [row] * len(values), marker=marker, color=arms[arm], label=label if not row else None)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    axes.set_title("Probability at the end: spark (dots), junk (crosses)")


def draw(results: Results, figure: Figure) -> None:
    """Draw training curves, and the final probabilities of the spark and of junk letters."""
    from envzoo.scripts.experiments.text.figures import curve_panel, draw_rows

    panels = (
        curve_panel(runs.ACCURACY, "Accuracy"),
        curve_panel(runs.ENTROPY, "Entropy, nats per token"),
        draw_routes,
    )
    draw_rows(results, figure, "Is a rare but better route kept alive?", {TASK: panels})


EXPERIMENT = Experiment(
    paper=find("38-lp-reg"),
    question="Does protecting rare but sensible tokens keep a better route alive that looks worse at first?",
    claim="Where a rare first token B leads to a route that solves everything but is badly learned, Lp-Reg ends with "
    "at least five times GRPO's probability of B, and a pass@16 at least as high; without its noise filter junk "
    "tokens are kept alive as well.",
    arms=tuple(_arm(method) for method in METHODS),
    checks=(
        runs.compare(
            "Probability of the spark at the end, Lp-Reg over GRPO", runs.final_ratio, "Lp-Reg", "GRPO", SPARK, ">", 5.0
        ),
        runs.compare(
            "pass@16 on held-out prompts, Lp-Reg less GRPO",
            runs.final_difference,
            "Lp-Reg",
            "GRPO",
            f"{FINAL}pass_at_16",
            ">=",
            0.0,
        ),
        runs.compare(
            "Probability of junk at the end, without the filter over with it",
            runs.final_ratio,
            "Lp-Reg without filter",
            "Lp-Reg",
            JUNK,
            ">",
            1.0,
        ),
    ),
    figure=draw,
    tables=(
        runs.final_table(
            TASK,
            "TextSpark: A solves the prompts with an even sum, B all of them",
            {SPARK: "P(spark)", JUNK: "P(junk)", GATED: "gated tokens"},
        ),
    ),
    seeds=3,
    small_scale=True,
    quick_seeds=1,
    notes=(
        runs.SCALE_NOTE.replace(f"{runs.LEARNING_RATE:g}", "3e-4"),
        "Two of the paper's baselines are shown without checks: an entropy bonus of 0.02, and the 80/20 rule, by which "
        "only the fifth of the tokens with the highest entropy has a gradient.",
        "B occurs in 7% of the demonstrations, after which the model writes it with a probability of about 0.04, as "
        "the task intends.",
        "Pilots on seed 100 tried regularisation weights from 1 to 300, fractions of rare tokens from 5% to all, "
        "filter thresholds of 0.02, 0.003 and 0, and 1 and 4 passes over a rollout. In none of them was B preserved "
        "without a loss of accuracy. The regularisation draws a token towards the policy that sampled the rollout, "
        "whose renormalised copy is the proxy. Its gradient is proportional to pi_proxy / pi - 1, which is zero until "
        "the policy changes within the rollout. Here B loses a tenth of its probability per rollout, so that a factor "
        "of 0.1 acts against an advantage of -3.75, and B soon becomes so rare that it counts as noise. A weight of 20 "
        "changes nothing in the full runs; without the filter it preserves B, junk and every other rare token, and "
        "accuracy falls. The checks use the published weight. Junk with and without the filter differs by less than "
        "the intervals.",
    ),
)
