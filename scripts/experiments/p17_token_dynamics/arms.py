"""Arms of the experiment of paper 17: deep stacks of the S6 layer, and the differential equation of its limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from envzoo.agents.networks.sequence.mamba import SelectiveScan, positive_share
from envzoo.agents.networks.sequence.token_dynamics import first_token, token_rates
from envzoo.agents.threads import using_threads

CHANNELS, TOKENS, STEP, LIMIT = 16, 8, 0.05, 1e6
START = (0.6, 0.9, 0.4, 0.8, 0.5)  # tokens of one dimension


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
