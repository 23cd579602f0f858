"""Recipes of pairs of a chosen and a rejected answer."""

from envzoo.datasets.recipes import DrawnPairs, Recipe

DATASETS = (
    Recipe(
        "envzoo/text-tiny-summary/pairs-v0",
        "envzoo/TextTinySummary-v0",
        DrawnPairs(),
        4.5,
        "Pairs of two flawed summaries of posts of the training split; the better one by exact quality is chosen with "
        "probability sigmoid(difference / 0.5), and the difference is the margin.",
        episodes=2000,
        namespace="Summaries of short posts with exact quality (envzoo/TextTinySummary-v0).",
    ),
)
