"""The learner contract: learn, save, resume exactly, report metrics; what acts besides is an `Agent`."""

from __future__ import annotations

import json
import math
import numbers
import operator
import os
import time
from abc import ABC
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from envzoo.agents import checkpoint
from envzoo.agents.callback import Callback, CallbackList
from envzoo.agents.registry import OwnSpec, require_registered
from envzoo.agents.seeding import Streams
from envzoo.agents.source import Source
from envzoo.agents.spec import AgentSpec, plain_config
from envzoo.agents.threads import check_threads, count_parameters, on_own_threads, rows_of, threads_for
from envzoo.errors import CheckpointError, EnvzooError, NonFiniteError, shorten
from envzoo.kernel.arguments import MOST
from envzoo.version import __version__

T = TypeVar("T")


@dataclass(frozen=True)
class NoConfig:
    """Config of agents without hyperparameters."""


def choose_device(name: str) -> torch.device:
    """Return the torch device of a name; "auto" is a GPU if available. Raises EnvzooError for a missing device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # "meta" devices can be made, but hold no numbers
    except (RuntimeError, AssertionError, TypeError):
        found = [f"'cuda:{k}'" for k in range(torch.cuda.device_count())]
        expected = ", ".join(["'auto'", "'cpu'", *found])
        absent = "" if found else "torch finds no GPU; "
        raise EnvzooError(f"device {name!r} is not available: {absent}expected one of {expected}") from None
    return device


def is_json(value: Any) -> bool:
    """Return whether JSON can hold a value."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


class Learner(ABC):  # noqa: B024  (its subclasses have abstract methods)
    """Base class of all learners.

    A subclass sets `Config` (a frozen dataclass of hyperparameters), builds its parts in `__init__`, hands everything
    that must survive a restart to `register`, and implements `iterate`. What acts in environments or games derives from
    `envzoo.agents.agent.Agent`, which adds `predict`; a representation learner has a method `encode` in its place, a
    classifier `predict_proba`. The loop classes in `envzoo.agents.loops` implement `iterate` for one kind of experience
    and leave `update` to the algorithm.

    Attributes:
        spec: The learner's entry in the registry.
        config: Hyperparameters.
        source: Where experience comes from.
        seed: Seed from which every random number descends.
        device: Where networks live.
        streams: Named random generators.
        num_timesteps: Steps learned from so far (environment steps; gradient steps for offline agents).
        threads: Threads of PyTorch while learning; None until they are chosen (see `envzoo.agents.threads`).
        notices: Sentences a person should see (for example after a resume that could not be exact).
    """

    spec: ClassVar[AgentSpec] = OwnSpec()
    Config: ClassVar[type] = NoConfig
    threads: int | None = None

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise EnvzooError(f"a seed is a non-negative integer, got {seed!r}")
        self.source = source
        self.config = config
        self.seed = int(seed)
        self.device = choose_device(device)
        self.num_timesteps = 0
        self.iteration = 0
        self.schedule_start = 0
        self.target_timesteps = 0
        self.mid_iteration = False  # True while (or after) an iteration that did not complete: not fit for saving
        self.notices: list[str] = []
        self.restored_extra: dict[str, Any] = {}  # what `save(extra=...)` stored beside the loaded agent
        self._parts: dict[str, Any] = {}
        self.streams = self.register("streams", Streams(self.seed, self.device))
        self._callbacks = CallbackList([])

    @classmethod
    def rebuild(cls, source: Source, config: Any, state: Any, **keywords: Any) -> Learner:
        """Create the learner into which a saved `state` is loaded; override it if the parts depend on the state."""
        return cls(source, config, **keywords)

    # ------------------------------------------------------------------ learning

    @on_own_threads
    def learn(
        self,
        total_timesteps: int | None = None,
        callback: Callback | Callable | Iterable[Callback | Callable] | None = None,
    ):
        """Train for a number of further steps; a second call continues the training.

        Args:
            total_timesteps: Steps to add to what was learned before; None finishes the budget of an interrupted call.
            callback: One callback or several (see `envzoo.agents.callbacks`); a function of (agent, metrics) is one,
                and stops learning by returning False.

        Returns:
            The learner.

        Raises:
            EnvzooError: A budget that is not a positive integer, or a callback that is none.
            NonFiniteError: A metric became NaN or infinite; the sentence names iteration and metric.
        """
        callbacks = CallbackList(callback)
        if total_timesteps is not None:
            number = isinstance(total_timesteps, numbers.Real) and not isinstance(total_timesteps, bool)
            if not number or total_timesteps < 1 or total_timesteps % 1 != 0:
                raise EnvzooError(f"total_timesteps is a positive integer, got {total_timesteps!r}")
            if self.num_timesteps + total_timesteps > MOST:
                raise EnvzooError(f"total_timesteps is {total_timesteps}; expected at most 2**53 timesteps in all")
            self.schedule_start = self.num_timesteps
            self.target_timesteps = self.num_timesteps + int(total_timesteps)
        self._callbacks = callbacks
        callbacks.on_start(self)
        try:
            while self.num_timesteps < self.target_timesteps:
                began, before = time.perf_counter(), self.num_timesteps
                self.mid_iteration = True
                metrics = self.iterate()
                self.iteration += 1
                self._check_finite(metrics)
                seconds = time.perf_counter() - began
                metrics["time/steps_per_second"] = (self.num_timesteps - before) / max(seconds, 1e-9)
                go_on = callbacks.on_iteration(self, metrics)
                # Only now: a checkpoint without the row of metrics of its iteration could not be resumed exactly.
                self.mid_iteration = False
                if not go_on:
                    break
        finally:
            callbacks.on_end(self)
            self._callbacks = CallbackList([])
        return self

    def iterate(self) -> dict[str, float]:
        """Run one iteration of experience and updates, advance `num_timesteps`, and return a flat dict of metrics."""
        # A learner that does not learn has nothing to do: its budget is spent at once.
        self.num_timesteps = self.target_timesteps
        return {}

    def rows_per_update(self) -> int:
        """Return the number of rows of a batch, for the choice of threads."""
        return rows_of(self.config)

    def choose_threads(self) -> int:
        """Return the number of threads to learn with, the same on every machine."""
        if self.threads is None:
            self.threads = threads_for(count_parameters(self), self.rows_per_update())
        return self.threads

    def progress(self) -> float:
        """Return the fraction of the current `learn` budget that has been used, in [0, 1], for schedules."""
        budget = self.target_timesteps - self.schedule_start
        return min(1.0, (self.num_timesteps - self.schedule_start) / budget) if budget > 0 else 0.0

    def _check_finite(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"{name} became {value} in iteration {self.iteration} ({self.num_timesteps} timesteps) of "
                    f"{self.spec.name} on {self.source.name}; the last checkpoint is kept, try a smaller learning rate"
                )

    def texts(self) -> dict[str, str]:
        """Return texts to be logged, by name, such as sample answers of a language model; TensorBoard shows them."""
        return {}

    def observe_batch(self, batch: Any, metrics: dict[str, float]) -> None:
        """Pass a training batch to the diagnostics among the callbacks, which may add metrics."""
        self._callbacks.on_batch(self, batch, metrics)

    # ------------------------------------------------------------------ state

    def register(self, name: str, part: T) -> T:
        """Add `part`, an object with `state_dict` and `load_state_dict`, to the saved state of the agent."""
        self._parts[name] = part
        return part

    def state_dict(self) -> dict[str, Any]:
        """Return everything that further training depends on, as a tree of arrays and plain values."""
        progress = {
            name: getattr(self, name) for name in ("num_timesteps", "iteration", "schedule_start", "target_timesteps")
        }
        return {"progress": progress, "parts": {name: part.state_dict() for name, part in self._parts.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state returned by `state_dict` of an equal learner."""
        progress = {}
        for name in ("num_timesteps", "iteration", "schedule_start", "target_timesteps"):
            progress[name] = operator.index(state["progress"][name])
            if isinstance(state["progress"][name], bool) or not 0 <= progress[name] <= MOST:
                raise ValueError(f"{name} is {state['progress'][name]}")
        vars(self).update(progress)
        for name, part in self._parts.items():
            part.load_state_dict(state["parts"][name])

    def header(self) -> dict[str, Any]:
        """Return the header of a checkpoint: JSON-serialisable data from which the learner can be created again."""
        # An environment with keywords that JSON cannot hold cannot be made again from its id.
        again = is_json(self.source.env_kwargs)
        keywords = {name: value for name, value in self.source.env_kwargs.items() if name != "render_mode"}
        return {
            "agent": self.spec.name,
            "config": plain_config(self.config),
            "seed": self.seed,
            "source": self.source.id if again else None,
            "source_name": self.source.name,
            "env_kwargs": keywords if again else {},
            "observation_space": str(self.source.observation_space),
            "action_space": str(self.source.action_space),
            "num_timesteps": self.num_timesteps,
            "threads": self.choose_threads(),
            "versions": {"envzoo": __version__, "torch": torch.__version__, "numpy": np.__version__},
        }

    def save(self, path: str | os.PathLike, extra: dict[str, Any] | None = None) -> None:
        """Save the agent and everything needed to continue (networks, optimizers, buffers, generators), atomically.

        Args:
            path: Target, by custom ending in ".zip"; safetensors and JSON inside, loading it runs no code.
            extra: More state to keep beside the agent's (callbacks use it).

        Raises:
            EnvzooError: The agent's class is not registered (see `envzoo.agents.register`), so no file could name it.
        """
        require_registered(type(self))
        state = self.state_dict()
        if extra:
            state["extra"] = extra
        checkpoint.save(path, self.header(), state)

    def restore(self, state: dict[str, Any], header: dict[str, Any], path: str | os.PathLike) -> None:
        """Load a state read from `path`; raises an error of one sentence if it does not fit this agent."""
        try:
            self.threads = check_threads(header.get("threads", 1)) or 1  # files without the number: one thread
        except EnvzooError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from None
        try:
            self.load_state_dict(state)
            self.restored_extra = dict(state.get("extra", {}))
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError) as error:
            reason = shorten(str(error).splitlines()[0] if str(error) else type(error).__name__)
            raise CheckpointError(f"{path} does not fit {self.spec.name} on {self.source.name} ({reason})") from error
