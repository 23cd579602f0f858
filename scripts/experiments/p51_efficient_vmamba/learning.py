"""Arms that train the backbone of paper 51: on two questions about images, and with PPO on PixelMatch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.efficient_vmamba import EfficientVMamba
from envzoo.agents.networks.layers import linear
from envzoo.agents.threads import using_threads
from envzoo.memory.pixel_match import APART, CELLS, SIDE, corner_cell, paying_goal
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan, FunctionArm

if TYPE_CHECKING:
    from envzoo.agents.evaluation import EvaluationResult

BATCH, TEST, RATE, HIDDEN = 64, 2000, 3e-3, 64
MODES = {"ES2D": "skip", "SS2D": "full", "CNN": "cnn"}
QUESTIONS = {"cue": "envzoo/PixelMatch-v0", "glyphs": "envzoo/SameDifferent-v0"}
UPDATES, SEEDS = {"cue": 500, "glyphs": 2000}, {"cue": 6, "glyphs": 5}
GROUPS = {
    "cue": f"Which goal pays? {UPDATES['cue']} updates on images of PixelMatch",
    "glyphs": f"Are the glyphs equal? {UPDATES['glyphs']:,} updates on images of SameDifferent",
    "pixel-match": "PPO on PixelMatch",
}
PPO, PPO_CNN, REACHED = "PPO, EfficientVMamba", "PPO, CNN", "reached"


def arm_name(question: str, network: str) -> str:
    """Name the arm of a question and a network."""
    return f"{question}: {network}"


class SmallCNN(nn.Sequential):
    """Three convolutions of 3x3 and a mean over the image; the first has a stride of 2."""

    def __init__(self, channels: int, width: int, generator: torch.Generator):
        def convolution(inputs: int, stride: int) -> nn.Conv2d:
            layer = nn.Conv2d(inputs, width, 3, stride, 1)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
            return layer

        layers = (convolution(channels, 2), convolution(width, 1), convolution(width, 1))
        steps = [step for layer in layers for step in (layer, nn.ReLU())]
        super().__init__(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_dim = width


def count(network: nn.Module) -> int:
    """Count the parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def make_classifier(mode: str, channels: int, seed: int) -> nn.Sequential:
    """Make the backbone with ES2D ("skip") or SS2D ("full"), or the widest CNN that is no larger, and a classifier."""

    def with_head(body: nn.Module) -> nn.Sequential:
        head = (linear(int(body.out_dim), HIDDEN, generator), nn.ReLU(), linear(HIDDEN, 2, generator, gain=None))
        return nn.Sequential(body, *head)

    generator = torch.Generator().manual_seed(seed)
    if mode != "cnn":
        return with_head(EfficientVMamba(channels, mode=mode, generator=generator))
    most, width = count(with_head(EfficientVMamba(channels, generator=generator))), 1
    while count(with_head(SmallCNN(channels, width + 1, generator))) <= most:
        width += 1
    generator.manual_seed(seed)
    return with_head(SmallCNN(channels, width, generator))


class Images:
    """Fresh images of a world, with the right answers to a question about them."""

    def __init__(self, question: str, seed: int):
        self.question = question
        self.env = gym.make_vec(QUESTIONS[question], num_envs=BATCH)
        self.env.reset(seed=seed * BATCH)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return images (B, channels, H, W) in [0, 1] and answers (B,), 0 or 1."""
        images, _ = self.env.reset()
        state = self.env.unwrapped.get_state()
        if self.question == "glyphs":
            answers = state["glyphs"][:, 0] == state["glyphs"][:, 1]
        else:
            answers = [paying_goal(*cue) for cue in zip(state["colour"], state["shape"], strict=True)]
        pixels = torch.as_tensor(np.ascontiguousarray(images)).float() / 255
        return pixels.permute(0, 3, 1, 2), torch.as_tensor(np.asarray(answers, np.int64))


def classify(seed: int, budget: int, quick: bool, question: str, mode: str) -> dict[str, Any]:
    """Train for `budget` updates, and return the share of right answers about fresh images."""
    with using_threads(1):
        images = Images(question, seed)
        channels = images.env.single_observation_space.shape[-1]
        network = make_classifier(mode, channels, seed)
        optimizer = torch.optim.AdamW(network.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, budget)
        times, curve, right = [], [], []
        for update in range(1, budget + 1):
            x, answers = images.draw()
            logits = network(x)
            loss = nn.functional.cross_entropy(logits, answers)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            right.append(float((logits.argmax(-1) == answers).float().mean()))
            if update % max(1, budget // 20) == 0:
                times.append(update)
                curve.append(float(np.mean(right[-max(1, budget // 20) :])))
        with torch.no_grad():
            tests = (images.draw() for _ in range(2 if quick else -(-TEST // BATCH)))
            hits = [network(x).argmax(-1) == answers for x, answers in tests]
    accuracy = float(torch.cat(hits).float().mean())
    return {
        "scores": {"accuracy": accuracy, "parameters": float(count(network))},
        "curves": {"timesteps": times, "accuracy": curve},
    }


def pixel_match_levels(cost: float = 0.01) -> tuple[float, float]:
    """Compute the best expected returns in PixelMatch without and with knowledge of the cue.

    Who does not know the cue is paid 0 on average on either goal, so that the nearer one is best; the other policy goes
    to the goal that pays. No shortest path to one goal has to cross the other: in a common row or column, goals that
    are at least 7 moves apart lie at its two ends, and the agent between them.
    """
    rows, columns = np.divmod(np.arange(CELLS), SIDE)
    moves = np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns)
    near = far = 0.0
    for corner in range(4):
        cue = int(corner_cell(corner))
        pairs = [
            (one, other)
            for one, other in np.ndindex(CELLS, CELLS)
            if moves[one, other] >= APART and cue not in (one, other)
        ]
        for one, other in pairs:
            agents = np.setdiff1d(np.arange(CELLS), (cue, one, other))
            near += np.minimum(moves[agents, one], moves[agents, other]).mean() / len(pairs) / 4
            far += (moves[agents, one] + moves[agents, other]).mean() / 2 / len(pairs) / 4
    return -cost * near, 1 - cost * far


def reach_in_pixel_match(result: EvaluationResult) -> dict[str, float]:
    """Compute how far the mean return lies on the way from the best policy blind to the cue (0) to the optimum (1)."""
    chance, optimum = pixel_match_levels()
    return {REACHED: (float(result.returns.mean()) - chance) / (optimum - chance)}


ARMS = (
    *(
        FunctionArm(
            arm_name(question, network),
            classify,
            budget=UPDATES[question],
            settings={"question": question, "mode": mode},
            group=question,
            quick_spend=10,
            seeds=SEEDS[question],
        )
        for question in QUESTIONS
        for network, mode in MODES.items()
    ),
    *(
        Arm(
            name,
            "PPO",
            "envzoo/PixelMatch-v0",
            100_000,
            hyperparameters={"encoder": encoder, "num_envs": 16, "num_epochs": 2},
            evaluations=(EvaluationPlan(400, measure=reach_in_pixel_match),),
            group="pixel-match",
            points=20,
            quick_timesteps=2_048,
            seeds=5,
        )
        for name, encoder in ((PPO, "efficient_vmamba"), (PPO_CNN, "cnn"))
    ),
)
