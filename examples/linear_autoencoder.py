"""A linear autoencoder finds the principal subspace (Baldi and Hornik, 1989): a paper about representations.

The learner has `encode` in the place of an agent's `predict`, and learns from pairs of observations. Its experiment
calls functions, since nobody acts. What the best code loses is known exactly: the sum of the eigenvalues of the second
moments beyond the code's width (Eckart and Young, 1936).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo import agents
from envzoo.agents.learner import Learner
from envzoo.agents.optim import make_optimizer
from envzoo.agents.source import Pairs, Source
from envzoo.agents.spec import require
from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, GREY, final_bars, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.core.results import Results

DEVIATIONS = (3.0, 2.0, 1.0, 0.5, 0.5)  # of the directions of the data
ROWS = 256


@dataclass(frozen=True)
class PrincipalAutoencoderConfig:
    """Hyperparameters of PrincipalAutoencoder."""

    width: int = 2
    """Numbers in a code."""
    learning_rate: float = 0.02
    """Adam's learning rate."""

    def __post_init__(self):
        require(self.width >= 1, f"width is at least 1, got {self.width}")
        require(self.learning_rate > 0, f"learning_rate is positive, got {self.learning_rate}")


class PrincipalAutoencoder(Learner):
    """Codes an observation linearly, so that its positive can be decoded from the code."""

    Config = PrincipalAutoencoderConfig

    def __init__(self, source: Source, config: PrincipalAutoencoderConfig, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        self.x, self.positive = self._rows(source.given.x), self._rows(source.given.positive)
        size, generator = self.x.shape[1], self.streams.torch("weights", "cpu")
        self.encoder = self.register("encoder", self._linear(size, config.width, generator))
        self.decoder = self.register("decoder", self._linear(config.width, size, generator))
        weights = [self.encoder.weight, self.decoder.weight]
        self.optimizer = self.register("optimizer", make_optimizer(weights, lr=config.learning_rate))

    def iterate(self) -> dict[str, float]:
        """Take one gradient step on all pairs; a timestep is a gradient step."""
        loss = (self.decoder(self.encoder(self.x)) - self.positive).square().sum(dim=1).mean()
        self.optimizer.step(loss)
        self.num_timesteps += 1
        return {"loss/reconstruction": float(loss.detach())}

    @torch.no_grad()
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return the codes of observations, (N, ...) -> (N, width) float32."""
        return self.encoder(self._rows(x)).cpu().numpy()

    def _rows(self, x: np.ndarray) -> Tensor:
        return torch.tensor(np.reshape(x, (len(x), -1)), dtype=torch.float32, device=self.device)

    def _linear(self, inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
        layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False)
        nn.init.normal_(layer.weight, std=0.1, generator=generator)
        return layer.to(self.device)


agents.register("PrincipalAutoencoder", PrincipalAutoencoder, sources=("pairs",), actions=())


def draw_data(seed: int) -> np.ndarray:
    """Draw (ROWS, len(DEVIATIONS)) numbers, independent normals of different deviations, in single precision."""
    return (np.random.default_rng(seed).normal(size=(ROWS, len(DEVIATIONS))) * DEVIATIONS).astype(np.float32)


def excess_loss(x: np.ndarray, code: np.ndarray) -> float:
    """Compute what the best linear decoder loses with a code, relative to the best code of that width, less 1.

    Args:
        x: (N, D) observations.
        code: (N, K), K below D.
    """
    x, code = x.astype(float), code.astype(float)
    decoded = code @ np.linalg.lstsq(code, x, rcond=None)[0]
    best = np.linalg.eigvalsh(x.T @ x)[: x.shape[1] - code.shape[1]].sum()
    return float(np.square(x - decoded).sum() / best - 1)


def learn_code(seed: int, budget: int, quick: bool, width: int) -> dict[str, Any]:
    """Learn a code by gradient steps; an arm of the experiment."""
    x = draw_data(seed)
    learner = agents.make("PrincipalAutoencoder", Pairs(x, x), seed=seed, device="cpu", width=width)
    learner.learn(budget)
    return {"scores": {"excess": excess_loss(x, learner.encode(x))}}


def draw_code(seed: int, budget: int, quick: bool, width: int) -> dict[str, Any]:
    """Code by a random projection; an arm of the experiment."""
    x = draw_data(seed)
    projection = np.random.default_rng([seed, 1]).normal(size=(x.shape[1], width))
    return {"scores": {"excess": excess_loss(x, x @ projection)}}


def draw(results: Results, figure: Figure) -> None:
    """Draw what both codes lose."""
    title(figure, results, "Gradient descent finds the principal subspace")
    colours = {"random projection": GREY, "autoencoder": BLUE}
    final_bars(figure.add_subplot(), results, colours, "excess", number="{:.3g}")


EXPERIMENT = Experiment(
    paper=Paper("Neural Networks and Principal Component Analysis", "Baldi and Hornik", 1989, slug="principal"),
    question="Does gradient descent on a linear autoencoder find the principal subspace?",
    claim="The learned code loses at most 1% more than the best code of its width, and less than a random projection.",
    arms=(
        FunctionArm("random projection", draw_code, settings={"width": 2}, group="codes"),
        FunctionArm("autoencoder", learn_code, budget=600, settings={"width": 2}, group="codes"),
    ),
    checks=(
        seeded(
            "The learned code loses at most 1% more than the best one",
            Score("autoencoder", "excess"),
            "<=",
            0.01,
            null={"autoencoder": "random projection"},
            primary=True,
        ),
        seeded(
            "The learned code loses less than a random projection",
            Difference("autoencoder", "random projection", "excess"),
            "<",
            0.0,
            null={"autoencoder": "random projection"},
        ),
    ),
    figure=draw,
    tables=(Table("codes", "Codes of two numbers", {"excess": "loss beyond the best code's"}),),
)
