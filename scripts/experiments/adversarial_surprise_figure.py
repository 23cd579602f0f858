"""The figure of paper 15's experiment: coverage and noise over training, and an episode of AS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments import adversarial_surprise as experiment
from envzoo.scripts.experiments.experiment import Results
from envzoo.scripts.experiments.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    learning_curves,
    level,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

COLOURS = {
    "AS": BLUE,
    "SMiRL": ORANGE,
    "count": GREEN,
    "RND": RED,
    "episodic count": "#8fce9f",
    "ICM": PURPLE,
    "APT": SKY,
    "DIAYN": "#b98a2f",
    "disagreement": INK,
    "AGAC": "#d78fc0",
    "random": GREY,
}
FRAMES = 8
FILM_STEPS = 65_536


def draw(results: Results, figure: Figure) -> None:
    """Draw all panels of the arms that ran."""
    figure.set_size_inches(16, 11)
    title(figure, results, "Two players in one body explore; seeking or fleeing surprise alone is trapped")
    curves, film = figure.subfigures(2, 1, height_ratios=(3, 0.9))
    groups = [group for group in ("alternating", "tv", "rooms") if results.group(group)]
    heads = {"alternating": "Line, every other room noisy", "tv": "Line, one noisy room", "rooms": "SurpriseRooms"}
    grid = curves.subplots(2, len(groups), squeeze=False)
    for (top, bottom), group in zip(grid.T, groups, strict=True):
        labels = {experiment.arm_name(label, group): label for label in COLOURS}
        labels = {arm: label for arm, label in labels.items() if arm in results.arms}
        colours = {arm: COLOURS[label] for arm, label in labels.items()}
        learning_curves(top, results, colours, experiment.ROOMS_CURVE, labels=labels)
        chain = group != "rooms"
        metric, score = (
            (experiment.NOISE_CURVE, experiment.NOISE) if chain else (experiment.SHARE_CURVE, experiment.SHARE)
        )
        learning_curves(bottom, results, colours, metric, labels=labels)
        random = experiment.arm_name("random", group)
        if random in results.arms:
            level(top, results.iqm(random, experiment.ROOMS), "random", colour=GREY)
            level(bottom, results.iqm(random, score), "random", colour=GREY)
        top.set(title=f"{heads[group]}: rooms visited", ylabel="rooms per episode")
        top.set_ylim(0, 12.6 if chain else None)
        what = "episodes that end in noise" if chain else "noise stopped"
        bottom.set(title=f"{heads[group]}: {what}", ylabel="share", ylim=(-0.02, 1.02 if chain else None))
        top.legend(loc="best", ncols=2)
    _film(film)


def _film(figure: SubFigure) -> None:
    """One episode of AS on the line: frames at even steps, the player named above each."""
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
    axes = figure.subplots(4, FRAMES // 4).ravel()
    for ax, (step, player, image) in zip(axes, frames, strict=True):
        ax.imshow(image)
        colour = BLUE if player == "Explore" else MUTED
        ax.set_title(f"step {step}: {player}", color=colour, fontsize=8, pad=2)
        ax.set_axis_off()
