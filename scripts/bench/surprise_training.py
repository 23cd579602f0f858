"""How fast Adversarial Surprise learns, and where the time goes; rows of `envzoo bench surprise`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from envzoo.scripts.bench.report import Row

WORLD = "envzoo/SurpriseRooms-v0"


class Stopwatch:
    """Seconds spent in some methods of some objects, which it replaces on those objects alone."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str, label: str) -> None:
        """Time every call of `owner.method` under a label."""
        function: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - began

        setattr(owner, method, timed)


def rows(quick: bool = False) -> list[Row]:
    """Frames per second of learning end to end, and the shares of environment, density, policy and update.

    Density holds scoring and the parameters shown to the players; environment what is left of a step; policy choosing
    actions; what then remains (packing, evaluating the rollout) is named as such.
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
