"""The figure of paper 15: coverage and noise over training, and an episode of AS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    RED,
    learning_curves,
    level,
    title,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p15_adversarial_surprise import names as names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLOURS = {"AS": BLUE, "SMiRL": ORANGE, "count": GREEN, "RND": RED, "random": GREY}
FRAMES = 8
FILM_STEPS = 65_536


def draw(results: Results, figure: Figure) -> None:
    """Draw all panels of the arms that ran."""
    figure.set_size_inches(16, 12)
    title(figure, results, "Two players in one body explore; seeking or fleeing surprise alone is trapped")
    curves, below = figure.subfigures(2, 1, height_ratios=(3, 1.25))
    groups = [group for group in ("alternating", "tv", "rooms") if results.group(group)]
    heads = {"alternating": "Line, every other room noisy", "tv": "Line, one noisy room", "rooms": "SurpriseRooms"}
    grid = curves.subplots(2, len(groups), squeeze=False)
    for (top, bottom), group in zip(grid.T, groups, strict=True):
        chain = group != "rooms"
        metric, score = (names.NOISE_CURVE, names.NOISE) if chain else (names.SHARE_CURVE, names.SHARE)
        _curves(top, results, group, names.ROOMS_CURVE)
        _curves(bottom, results, group, metric)
        random = names.arm_name("random", group)
        if random in results.arms:
            level(top, results.iqm(random, names.ROOMS), "random", colour=GREY)
            level(bottom, results.iqm(random, score), "random", colour=GREY)
        top.set(title=f"{heads[group]}: rooms visited", ylabel="rooms per episode")
        top.set_ylim(0 if chain else 0.9, 12.6 if chain else None)
        what = "episodes that end in noise" if chain else "share of noisy rooms stopped"
        bottom.set(title=f"{heads[group]}: {what}", ylabel="share")
        bottom.set_ylim(-0.02 if chain else 0, 1.02 if chain else None)
        top.legend(loc="best", ncols=2)
    film, goals = below.subfigures(1, 2, width_ratios=(2, 1))
    _film(film)
    _goals(goals, results)


def _curves(axes: Axes, results: Results, group: str, metric: str) -> None:
    """Draw the agents; in SurpriseRooms those that a check compares, since the others have a table."""
    labels = {names.arm_name(label, group): label for label in COLOURS if group != "rooms" or label in names.COMPARED}
    labels = {arm: label for arm, label in labels.items() if arm in results.arms}
    learning_curves(axes, results, {arm: COLOURS[label] for arm, label in labels.items()}, metric, labels=labels)


def _goals(figure: SubFigure, results: Results) -> None:
    """Draw returns for a goal that was absent in training, one bar for each player and agent."""
    players = {"goal/return": "", "goal explore/return": ", Explore alone", "goal control/return": ", Control alone"}
    axes = figure.subplots(1, 2)
    for ax, group in zip(axes, names.GOALS, strict=True):
        rows = [
            (label, f"{label}{words}", names.arm_name(label, group), score)
            for label in ("random", "SMiRL", "count", "RND", "AS")
            for score, words in players.items()
            if results.has(names.arm_name(label, group), score)
        ]
        for row, (label, _, arm, score) in enumerate(rows):
            iqm, low, high = results.estimate(arm, score)
            ax.barh(row, iqm, height=0.62, color=COLOURS[label], linewidth=0)
            ax.plot([low, high], [row, row], color=INK, linewidth=1.2, solid_capstyle="butt")
        ax.set_yticks(range(len(rows)), [words for _, words, *_ in rows])
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set_title(f"{names.PLACES[group]}: a new goal", fontsize=9)
        ax.set_xlabel("return")
        ax.set_xlim(0, None)
        ax.locator_params(axis="x", nbins=4)


def _film(figure: SubFigure) -> None:
    """Draw one episode of AS on the line: frames at even intervals, with the name of the player."""
    import gymnasium as gym
    import numpy as np
    import torch

    from envzoo.agents import make

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        agent = make("AdversarialSurprise", "envzoo/BlockChain-v0", seed=0, device="cpu", normalize_advantage=True)
        agent.learn(FILM_STEPS)
        env = gym.make("envzoo/BlockChain-v0", render_mode="rgb_array")
        observation, _ = env.reset(seed=0)
        frames, state = [], None
        for step in range(64):
            action, state = agent.predict(observation, state, np.zeros(1, bool) if step else None, False)
            observation, *_ = env.step(action)
            if step % (64 // FRAMES) == 64 // FRAMES - 1:
                player = ("Explore", "Control")[step // 16 % 2]
                frames.append((step + 1, player, env.render()))
        env.close()
    finally:
        torch.set_num_threads(threads)
    figure.suptitle("An episode of AS on the line", x=0.02, ha="left", fontsize=10, fontweight="bold")
    axes = figure.subplots(FRAMES // 2, 2).T.ravel()
    for ax, (step, player, image) in zip(axes, frames, strict=True):
        ax.imshow(image)
        colour = BLUE if player == "Explore" else MUTED
        ax.set_title(f"step {step}: {player}", color=colour, fontsize=8, pad=2)
        ax.set_axis_off()
