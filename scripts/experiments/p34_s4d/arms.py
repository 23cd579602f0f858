"""Arms of the experiment of paper 34: sequence copying with S4D layers and a GRU, and identities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import gru, linear
from envzoo.agents.networks.sequence import S4D, GatedBlock, segmented_scan
from envzoo.agents.networks.sequence.s4d import hippo_legs, initial_eigenvalues
from envzoo.agents.threads import using_threads

SUITS, LAG, LENGTH = 4, 16, 128
WIDTH, STATE, BATCH = 64, 32, 32


class Copier(nn.Module):
    """Names at each step the suit shown LAG - 1 steps before: embedding, two layers, a linear read-out."""

    def __init__(self, model: str, generator: torch.Generator):
        super().__init__()
        self.embedding = linear(SUITS, WIDTH, generator, gain=None)
        self.model = model
        if model == "gru":
            self.layers = nn.ModuleList(gru(WIDTH, WIDTH, generator) for _ in range(2))
        else:
            self.layers = nn.ModuleList(
                GatedBlock(S4D(WIDTH, STATE, model, generator=generator), generator) for _ in range(2)
            )
        self.norm, self.head = nn.LayerNorm(WIDTH), linear(WIDTH, SUITS, generator, gain=None)

    def forward(self, suits: Tensor) -> Tensor:
        """Compute logits (T, B, 4) from suits (T, B)."""
        x = self.embedding(nn.functional.one_hot(suits, SUITS).float())
        for layer in self.layers:
            # Whole episodes from a zero state: S4D is trained as one long convolution, as in the paper.
            x = layer(x)[0] if self.model == "gru" else layer._leave(x, layer.layer.convolve(layer.norm(x)))
        return self.head(self.norm(x))

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Return the parameter groups: eigenvalues and steps at 1e-3 without decay, everything else at `rate`."""
        slow = [
            p for name, p in self.named_parameters() if name.rpartition(".")[2] in ("log_dt", "log_a_real", "a_imag")
        ]
        rest = [p for p in self.parameters() if not any(p is other for other in slow)]
        return [{"params": rest, "lr": rate, "weight_decay": 0.01}, {"params": slow, "lr": 1e-3, "weight_decay": 0.0}]


def copy_suits(seed: int, budget: int, quick: bool, model: str) -> dict[str, Any]:
    """Train for `budget` updates, and return the share of right answers on fresh sequences."""
    with using_threads(1):
        generator = torch.Generator().manual_seed(seed)
        network = Copier(model, generator)
        optimizer = torch.optim.AdamW([group for group in network.groups(4e-3) if group["params"]])

        def sequences(count: int) -> tuple[Tensor, Tensor]:
            suits = torch.randint(SUITS, (LENGTH, count), generator=generator)
            return suits, suits[: LENGTH - LAG + 1]

        times, curve, right = [], [], []
        for update in range(1, budget + 1):
            suits, targets = sequences(BATCH)
            logits = network(suits)[LAG - 1 :]
            loss = nn.functional.cross_entropy(logits.reshape(-1, SUITS), targets.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            right.append(float((logits.argmax(-1) == targets).float().mean()))
            if update % 5 == 0:
                times.append(update)
                curve.append(float(np.mean(right[-5:])))
        with torch.no_grad():
            suits, targets = sequences(128)
            accuracy = float((network(suits)[LAG - 1 :].argmax(-1) == targets).float().mean())
    parameters = sum(p.numel() for p in network.parameters())
    return {
        "scores": {"accuracy": accuracy, "parameters": float(parameters)},
        "curves": {"timesteps": times, "accuracy": curve},
    }


def measure_identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Measure the identities that the paper's layer rests on; every score is an error."""
    generator = torch.Generator().manual_seed(seed)
    scores, gaps = {}, []
    for init in ("lin", "inv", "legs", "real", "random"):
        for discretisation in ("zoh", "bilinear"):
            layer = S4D(8, 16, init, discretisation, generator=generator)
            u = torch.randn(100, 2, 8, generator=generator)
            with torch.no_grad():
                gaps.append(float((layer(u)[0] - layer.convolve(u)).abs().max()))
    scores["recurrence against convolution"] = max(gaps)
    layer = GatedBlock(S4D(8, 16, generator=generator), generator)
    x, start = torch.randn(100, 1, 8, generator=generator), torch.rand(100, 1, generator=generator) < 0.07
    with torch.no_grad():
        _, state = layer(torch.randn(20, 1, 8, generator=generator))
        together, _ = layer(x, state, start)
        cuts = sorted({0, *torch.nonzero(start[:, 0]).flatten().tolist()})
        pieces = []
        for begin, end in zip(cuts, [*cuts[1:], 100], strict=True):
            first = layer.initial_state(1) if start[begin] else state
            pieces.append(layer(x[begin:end], first)[0])
    scores["resets against episodes apart"] = float((together - torch.cat(pieces)).abs().max())
    a, b = torch.rand(100, 2, 8, generator=generator), torch.randn(100, 2, 8, generator=generator)
    starts = torch.rand(100, 2, generator=generator) < 0.07
    both = [segmented_scan(a, b, starts, method=method) for method in ("kernel", "parallel")]
    scores["kernel against parallel scan"] = float((both[0] - both[1]).abs().max())
    matrix, p = hippo_legs(64)
    normal = matrix + np.outer(p, p) + np.eye(64) / 2
    scores["asymmetry of the normal part"] = float(np.abs(normal + normal.T).max())
    legs, inv = initial_eigenvalues("legs", 64), np.sort(initial_eigenvalues("inv", 64).imag)
    scores["largest frequency of Inv against LegS"] = float(abs(inv[-1] / legs.imag[-1] - 1))
    return {"scores": scores}
