"""Arms of the experiment of paper 17: deep stacks of the S6 layer, associative recall, and a differential equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.sequence.mamba import MambaBlock, SelectiveScan, positive_share
from envzoo.agents.networks.sequence.token_dynamics import first_token, token_rates
from envzoo.agents.threads import using_threads

CHANNELS, TOKENS, STEP, LIMIT = 16, 8, 0.05, 1e6
START = (0.6, 0.9, 0.4, 0.8, 0.5)  # tokens of one dimension
PAIRS, KEYS, VALUES = 6, 8, 8  # of associative recall
BLOCKS, WIDTH, STATES, TAPS = 2, 32, 8, 3
BATCH, RATE, FRESH = 64, 3e-3, 1024


@torch.no_grad()
def go_deep(seed: int, budget: int, quick: bool, eig: str, state_size: int) -> dict[str, Any]:
    """Pass random tokens through `budget` residual layers x + .05 S6(x) of one random S6 layer, up to a norm of 1e6.

    As in the theory there is no normalisation, convolution, gate or skip, and A = -1.
    """
    with using_threads(1):
        generator = torch.Generator().manual_seed(seed)
        core = SelectiveScan(CHANNELS, state_size, 1, eig, generator)
        core.project.normal_(0, 0.25, generator=generator)
        core.dt_bias.zero_()
        core.log_a.zero_()
        core.d.zero_()
        x = 0.3 * torch.randn(TOKENS, 1, CHANNELS, generator=generator)
        state = torch.zeros(1, CHANNELS, state_size)
        first, norms = float(x.norm(dim=2).mean()), []
        for _ in range(budget):
            after = x + STEP * core(x, state, None)[0]
            if not torch.isfinite(after).all():
                break
            x = after
            norms.append(float(x.norm(dim=2).mean()))
            if float(x.norm(dim=2).max()) > LIMIT:
                break
    padded = np.minimum(np.pad(norms, (0, budget - len(norms)), mode="edge"), LIMIT)
    scores = {
        "log growth": float(np.log(padded[-1] / first)),
        "layers": float(len(norms)),
        "positive share": positive_share(core),
    }
    return {
        "scores": scores,
        "curves": {"timesteps": list(range(1, budget + 1)), "log10 norm": np.log10(padded).tolist()},
    }


class Recaller(nn.Module):
    """Names the values of keys: an embedding of key and value, two Mamba blocks, and a linear read-out."""

    def __init__(self, eig: str, generator: torch.Generator):
        super().__init__()
        self.key, self.value = (nn.Parameter(torch.randn(n, WIDTH, generator=generator)) for n in (KEYS, VALUES + 1))
        self.blocks = nn.ModuleList(MambaBlock(WIDTH, STATES, TAPS, eig, BLOCKS, generator) for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(WIDTH), linear(WIDTH, VALUES, generator, gain=None)

    def forward(self, keys: Tensor, values: Tensor) -> Tensor:
        """Compute logits (T, B, 8) from keys (T, B) and values (T, B), of which 8 is a query."""
        x = self.key[keys] + self.value[values]
        for block in self.blocks:
            x = block(x)[0]
        return self.head(self.norm(x))


def recall(seed: int, budget: int, quick: bool, eig: str) -> dict[str, Any]:
    """Train on associative recall for `budget` updates; return the share of right answers in fresh sequences.

    A sequence shows 6 pairs of a key and a value, one per step, and then asks for the 6 keys in another order.
    """
    with using_threads(1):
        generator = torch.Generator().manual_seed(seed)
        network = Recaller(eig, generator)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)

        def sequences(count: int) -> tuple[Tensor, Tensor, Tensor]:
            keys = torch.rand(count, KEYS, generator=generator).argsort(dim=1)[:, :PAIRS].t()
            values = torch.randint(VALUES, (PAIRS, count), generator=generator)
            order = torch.rand(PAIRS, count, generator=generator).argsort(dim=0)
            shown = torch.cat([values, torch.full_like(values, VALUES)])
            return torch.cat([keys, keys.gather(0, order)]), shown, values.gather(0, order)

        times, curve, right = [], [], []
        for update in range(1, budget + 1):
            keys, values, targets = sequences(BATCH)
            logits = network(keys, values)[PAIRS:]
            loss = nn.functional.cross_entropy(logits.reshape(-1, VALUES), targets.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            right.append(float((logits.argmax(-1) == targets).float().mean()))
            if update % 10 == 0:
                times.append(update)
                curve.append(float(np.mean(right[-10:])))
        with torch.no_grad():
            keys, values, targets = sequences(FRESH)
            accuracy = float((network(keys, values)[PAIRS:].argmax(-1) == targets).float().mean())
    share = float(np.mean([positive_share(block.core) for block in network.blocks]))
    return {
        "scores": {"accuracy": accuracy, "positive share": share},
        "curves": {"timesteps": times, "accuracy": curve},
    }


def solve(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Solve the differential equation for the three scenarios of one dimension, and compare with closed forms."""
    from scipy.integrate import solve_ivp

    def run(start: Any, mu: float, s: float, end: float, stop: bool = False) -> Any:
        def rates(t: float, x: np.ndarray) -> np.ndarray:
            return token_rates(x[:, None], np.array([[mu]]), np.array([[s]])).ravel()

        def reached(t: float, x: np.ndarray) -> float:
            return float(np.abs(x).max() - 1e4)

        reached.terminal = True
        events = reached if stop else None
        return solve_ivp(rates, (0, end), start, method="LSODA", rtol=1e-10, atol=1e-12, events=events)

    gaps = []
    for mu in (-1.0, 0.5):
        found = run([0.6], mu, 0.0, 1.0)
        gaps.append(np.abs(found.y[0] / first_token(found.t, 0.6, mu) - 1).max())
    convergent, slow = run(START, -1.0, 1.0, 2000.0).y[:, -1], run(START, 1.0, -1.0, 2000.0).y[:, -1]
    fast = run(START, 1.0, 1.0, 1.0, stop=True)
    scores = {
        "closed form": float(max(gaps)),
        "convergent: largest token": float(np.abs(convergent).max()),
        "slowly divergent: smallest token": float(slow.min()),
        "slowly divergent: largest token": float(slow.max()),
        "blow-up time": float(fast.t[-1]),
    }
    return {"scores": scores}
