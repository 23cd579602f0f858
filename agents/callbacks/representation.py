"""Measures of an agent's representation of fixed observations, during training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.callback import Callback
from envzoo.agents.diagnostics.spectral_entropy import as_classes, dse, dsmi, median_distance
from envzoo.agents.diagnostics.units import dormant_share, effective_rank
from envzoo.agents.networks.sequence.mamba import SelectiveScan, positive_share
from envzoo.errors import EnvzooError, unknown

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

MOST = 1024  # probe observations; the time grows with their third power
ENCODERS = ("policy.actor_encoder", "policy.encoder", "actor.encoder", "encoder")


class RepresentationProbe(Callback):
    """Measure how an agent represents a fixed set of observations, before training, every `every` steps and at its end.

    The metrics `representation/...` are `dse` and `dsmi` (in bits, at the bandwidth sigma), `dse_median` and
    `dsmi_median` (at the median distance of the representations, which no scaling of them changes), `median_distance`,
    `effective_rank` and `dormant_share`. Those with labels are left out without labels. For an encoder of Mamba blocks
    `ssm/eig_pos_fraction` is the share of positive eigenvalues of their input-output matrices (see
    `envzoo.agents.networks.sequence.token_dynamics`). The probe draws nothing from
    the agent's random streams, so that an agent learns the same with it and without it.

    Args:
        observations: A batch of observations of the agent's observation space, at most 1024; about 512 are enough.
        labels: One label for each, such as the best action or the room; integers are classes, other numbers are put
            into ten bins.
        every: Timesteps between measurements.
        layer: Dotted name of a module within the agent, such as "policy.actor_encoder.net.layers.0", whose output is
            measured; None for the output of the encoder. A memory is empty when an observation is read.
        sigma: Bandwidth of DSE and DSMI.
    """

    name = "representation"

    def __init__(
        self,
        observations: Any,
        labels: Any = None,
        every: int = 10_000,
        layer: str | None = None,
        sigma: float = 10.0,
    ):
        if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
            raise EnvzooError(f"every is {every!r}; expected a whole number of timesteps of at least 1")
        self.observations, self.labels, self.every, self.layer = observations, labels, int(every), layer
        self.sigma, self._next = sigma, 0

    def on_start(self, agent: Agent) -> None:
        """Refuse observations, labels or a layer that do not fit the agent, before it learns."""
        if not hasattr(agent, "codec"):
            raise EnvzooError(f"{agent.spec.name} has no encoder of observations, so that none can be probed")
        if not agent.codec.is_batched(self.observations):
            raise EnvzooError("the probe was given one observation; expected a batch of them")
        self._rows = agent.codec.pack(self.observations)
        if not 2 <= len(self._rows) <= MOST:
            raise EnvzooError(f"the probe was given {len(self._rows)} observations; expected 2 to {MOST}")
        self._classes = None if self.labels is None else as_classes(self.labels, len(self._rows))
        self.represent(agent)

    @torch.no_grad()
    def represent(self, agent: Agent) -> Tensor:
        """Return the agent's representation of the observations, (N, D)."""
        encoder = self._encoder(agent)
        x = torch.from_numpy(np.ascontiguousarray(self._rows)).to(agent.device)
        outputs: list[Any] = []
        hook = None
        if self.layer is not None:
            hook = find_module(agent, self.layer).register_forward_hook(lambda module, given, out: outputs.append(out))
        try:
            if encoder.recurrent:
                features, _ = encoder.step(x, encoder.initial_state(len(x)), None)
            else:
                features = encoder.features(x)
        finally:
            if hook is not None:
                hook.remove()
        if self.layer is not None:
            if not outputs:
                raise EnvzooError(f"the layer {self.layer} takes no part in the encoding of an observation")
            features = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
            features = features.reshape(len(x), -1)
        return features.cpu()

    @staticmethod
    def _encoder(agent: Agent) -> Any:
        for path in ENCODERS:
            found: Any = agent
            for name in path.split("."):
                found = getattr(found, name, None)
            if isinstance(found, nn.Module) and hasattr(found, "features"):
                return found
        raise EnvzooError(f"{agent.spec.name} has no encoder of observations, so that none can be probed")

    def measure(self, agent: Agent) -> dict[str, float]:
        """Compute the metrics now."""
        z = self.represent(agent)
        median = median_distance(z)
        found = {
            "dse": dse(z, self.sigma),
            "median_distance": median,
            "effective_rank": effective_rank(z),
            "dormant_share": dormant_share(z),
        }
        if self._classes is not None:
            found["dsmi"] = dsmi(z, self._classes, self.sigma)
        if median > 0:
            found["dse_median"] = dse(z, median)
            if self._classes is not None:
                found["dsmi_median"] = dsmi(z, self._classes, median)
        metrics = {f"representation/{name}": value for name, value in found.items()}
        cores = [module for module in self._encoder(agent).modules() if isinstance(module, SelectiveScan)]
        if cores:
            metrics["ssm/eig_pos_fraction"] = float(np.mean([positive_share(core) for core in cores]))
        return metrics

    def on_batch(self, agent: Agent, batch: Any, metrics: dict[str, float]) -> None:
        """Measure before the first update."""
        if self._next == 0:
            metrics.update(self.measure(agent))
            self._next = self.every

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Measure when due; not twice in the iteration that begins with the first measurement."""
        last = agent.num_timesteps >= agent.target_timesteps
        due = agent.num_timesteps >= self._next and "representation/dse" not in metrics
        if not (due or last):
            return
        metrics.update(self.measure(agent))
        while self._next <= agent.num_timesteps:
            self._next += self.every

    def state_dict(self) -> dict[str, Any]:
        """Return the timestep of the next measurement."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the timestep of the next measurement."""
        self._next = state["next"]


def find_module(agent: Any, path: str) -> nn.Module:
    """Return a module of an agent by its dotted name; raises UnknownNameError with the nearest one."""
    parts = {name: part for name, part in agent._parts.items() if isinstance(part, nn.Module)}
    known = {
        f"{name}.{inner}" if inner else name: module
        for name, part in parts.items()
        for inner, module in part.named_modules()
    }
    if path not in known:
        raise unknown("layer", path, known)
    return known[path]
