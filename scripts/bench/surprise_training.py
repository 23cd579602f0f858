"""Training speed of Adversarial Surprise, and its distribution over components; rows of `envzoo bench surprise`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from envzoo.scripts.bench.report import Row

WORLD = "envzoo/SurpriseRooms-v0"


class Stopwatch:
    """Measures the time spent in selected methods, which it replaces on the given objects only."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str, label: str) -> None:
        """Add the time of every call of `owner.method` to a label."""
        function: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - began

        setattr(owner, method, timed)


def rows(quick: bool = False) -> list[Row]:
    """Measure frames per second of training, and the fractions of environment, density, policy and update.

    Density is scoring and the density parameters in the observations, environment is the rest of a step, and policy is
    the choice of actions. The rest (packing and evaluating the rollout) is a row of its own.
    """
    import torch

    from envzoo.agents import make

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        agent = make("AdversarialSurprise", WORLD, seed=0, device="cpu", encoder="symbols", minibatch_size=1024)
        agent.learn(1)  # compiles
        watch = Stopwatch()
        layer = agent.experience.env
        watch.watch(layer, "step", "step")
        tracker = layer.env.tracker
        for method in ("score", "encode", "parameters"):
            watch.watch(tracker.density, method, "density")
        watch.watch(agent.policy, "choose", "policy")
        watch.watch(agent, "update", "update")
        before, began = agent.num_timesteps, time.perf_counter()
        agent.learn((1 if quick else 4) * 4096)
        total = time.perf_counter() - began
    finally:
        torch.set_num_threads(threads)
    seconds = watch.seconds
    parts = {
        "environment": seconds["step"] - seconds["density"],
        "density": seconds["density"],
        "policy": seconds["policy"],
        "update": seconds["update"],
    }
    parts["everything else"] = total - sum(parts.values())
    rate = (agent.num_timesteps - before) / total
    head = Row("AdversarialSurprise on SurpriseRooms, 64 episodes", rate, "frames per second, one thread")
    return [head, *(Row(f"  {name}", value / total, "share of the time") for name, value in parts.items())]
