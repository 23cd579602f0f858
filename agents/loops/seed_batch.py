"""Runs that differ in their seed alone, trained in lock step: one batched update moves the networks of all of them.

The update of the algorithm is written for one run. `torch.func.vmap` evaluates it for N runs at once: parameters get a
leading dimension N, every run draws from its own generators, and each optimizer takes its step for all runs. The
learners stay complete: their parameters are views of the batched ones, so each is saved, evaluated and resumed alone.

On the CPU, networks that are differentiated in closed form (`networks.perceptron_gradients`) take their steps one
run after the other instead, each exactly as it would alone: that is faster than `vmap`, whose update needs autograd,
and a batch saves nothing of the matrix products and of the passes over the activations.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.callback import Callback, CallbackList
from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.noise import MemberGenerators
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.optim import FlatOptimizer
from envzoo.agents.optim.flat import OPTIMIZERS
from envzoo.agents.seeding import Streams
from envzoo.agents.state_holder import StateHolder
from envzoo.agents.threads import using_threads
from envzoo.errors import EnvzooError

Slot = tuple[dict[str, Any], str]  # where a module keeps a parameter


class SeedBatch:
    """The networks, optimizers and random streams of N runs, and their common update.

    Args:
        members: Agents of one class, source and config that are equally far; their parameters become views.

    Raises:
        EnvzooError: The agent cannot be trained as a batch, or the members differ in more than their seed.
    """

    def __init__(self, members: Sequence[OfflineAgent]):
        check_members(members)
        self.members = list(members)
        first = self.members[0]
        for member in self.members[1:]:
            member.data = first.data  # equal, see `check_members`
        self.in_turn = getattr(first, "closed_form", None) is not None
        if self.in_turn:
            return
        self.template = copy.copy(first)  # runs the update, with batched parts in place of its own
        self.slots: list[Slot] = []
        self.leaves: list[Tensor] = []
        optimizers = {
            name: _BatchedOptimizer([getattr(member, name) for member in members])
            for name, part in vars(first).items()
            if isinstance(part, FlatOptimizer)
        }
        trained = {
            id(parameter): leaf
            for optimizer in optimizers.values()
            for parameter, leaf in zip(optimizer.members[0].parameters, optimizer.leaves, strict=True)
        }
        for name, part in vars(first).items():
            if isinstance(part, FlatOptimizer):
                setattr(self.template, name, optimizers[name])
            elif isinstance(part, nn.Module):
                leaves = [trained[id(parameters[key])] for parameters, key in _slots(part)]
                setattr(self.template, name, self._place(part, leaves))
            elif isinstance(part, PolyakTarget):
                online = next(o for o in optimizers.values() if part.online.data_ptr() == o.first_address)
                target = _BatchedTarget([getattr(member, name) for member in members], online.flat)
                target.network = self._place(part.network, target.leaves)
                setattr(self.template, name, target)
            elif isinstance(part, Streams):
                setattr(self.template, name, _MemberStreams([getattr(member, name) for member in members]))
        self._batched = torch.func.vmap(self._update_one, randomness="error")

    def _place(self, module: nn.Module, leaves: Sequence[Tensor]) -> nn.Module:
        """Copy a module, and remember where its parameters have to be put before an update."""
        copied = copy.deepcopy(module)
        self.slots += _slots(copied)
        self.leaves += leaves
        return copied

    def _update_one(self, leaves: Sequence[Tensor], batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        for (parameters, key), leaf in zip(self.slots, leaves, strict=True):
            parameters[key] = leaf
        return self.template.update(Batch(*batch))

    def sample(self) -> Batch:
        """Sample a minibatch for every member from its own generator: tensors (N, B, ...)."""
        first = self.members[0]
        drawn = [
            torch.randint(
                len(first.data.reward),
                (first.config.batch_size,),
                generator=member.streams.torch("minibatches"),
                device=first.device,
            )
            for member in self.members
        ]
        index = torch.stack(drawn)
        batch = Batch(*(column[index] for column in first.data))
        return batch._replace(
            observation=first.normalizer(batch.observation), next_observation=first.normalizer(batch.next_observation)
        )

    def iterate(self) -> list[dict[str, float]]:
        """Do for every member what its own `iterate` would do; returns the metrics of each."""
        if self.in_turn:
            return [member.iterate() for member in self.members]
        first = self.members[0]
        for member in self.members:
            if hasattr(member, "begin_iteration"):
                member.begin_iteration()
        steps = min(first.config.steps_per_iteration, first.target_timesteps - first.num_timesteps)
        metrics: list[dict[str, float]] = [{} for _ in self.members]
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for step in range(steps):
            batch = self.sample()
            if step == 0:
                for number, member in enumerate(self.members):
                    member.observe_batch(Batch(*(column[number] for column in batch)), metrics[number])
            for name, values in self._batched(self.leaves, tuple(batch)).items():
                sums[name] = sums[name] + values if name in sums else values
                counts[name] = counts.get(name, 0) + 1
        for member in self.members:
            member.num_timesteps += steps
        self._share_counts()
        means = {name: (values.cpu() / counts[name]).tolist() for name, values in sums.items()}
        return [row | {name: means[name][number] for name in means} for number, row in enumerate(metrics)]

    def _share_counts(self) -> None:
        """Copy the plain values that the update changed, such as numbers of updates, to the other members."""
        for name, part in vars(self.members[0]).items():
            if isinstance(part, StateHolder):
                for member in self.members[1:]:
                    getattr(member, name).load_state_dict(part.state_dict())


def can_batch(agent: type | OfflineAgent, config: Any = None) -> bool:
    """Return whether runs of an agent can be trained as a batch; of a class, with this config."""
    config = agent.config if config is None else config
    return (
        getattr(agent, "seed_batch", False)
        and getattr(agent, "experience", None) is None  # learning in an environment
        and config.encoder in ("auto", "mlp")
        and config.activation != "tanh"  # which NumPy computes
        and getattr(config, "optimizer", "adam") in OPTIMIZERS
    )


def check_members(members: Sequence[OfflineAgent]) -> None:
    """Raise EnvzooError unless agents can be trained as a batch."""
    if not members:
        raise EnvzooError("a batch of seeds needs at least one agent")
    first = members[0]
    if not can_batch(first):
        raise EnvzooError(
            f"{first.spec.name} with these hyperparameters cannot be trained as a batch of seeds; train the seeds in "
            "processes"
        )
    for member in members[1:]:
        same = type(member) is type(first) and member.config == first.config and member.device == first.device
        data = same and all(torch.equal(one, other) for one, other in zip(first.data, member.data, strict=True))
        if not data:
            raise EnvzooError("a batch of seeds takes agents of one class, device, config and dataset")


def _slots(module: nn.Module) -> list[Slot]:
    return [
        (part._parameters, key)
        for part in module.modules()
        for key, parameter in part._parameters.items()
        if parameter is not None
    ]


def _views(flat: Tensor, shapes: Iterable[torch.Size]) -> list[Tensor]:
    """Cut (N, P) into views (N, *shape)."""
    found, position = [], 0
    for shape in shapes:
        end = position + math.prod(shape)
        found.append(flat[:, position:end].view(len(flat), *shape))
        position = end
    return found


class _MemberStreams:
    """Random streams inside the batched update: those of all members."""

    def __init__(self, members: Sequence[Streams]):
        self.members = members

    def torch(self, name: str) -> MemberGenerators:
        return MemberGenerators(member.torch(name) for member in self.members)


class _BatchedOptimizer:
    """The optimizers of N runs, whose vectors of parameters and gradients become rows of (N, P)."""

    def __init__(self, members: Sequence[FlatOptimizer]):
        self.members = members
        self.first_address = members[0].flat.data_ptr()  # before the parameters move, which a target's view tells
        self.flat = torch.stack([member.flat.detach() for member in members])
        grad = torch.zeros_like(self.flat)
        shapes = [parameter.shape for parameter in members[0].parameters]
        self.leaves = [nn.Parameter(view) for view in _views(self.flat, shapes)]
        self.gradients = _views(grad, shapes)
        for row, member in enumerate(members):
            for parameter, leaf, gradient in zip(member.parameters, self.leaves, self.gradients, strict=True):
                parameter.data, parameter.grad = leaf.data[row], gradient[row]
            # The optimizer keeps its moments and takes its own step, on rows of the batched vectors.
            member.flat.data, member.flat.grad = self.flat[row], grad[row]
            member._vector = self.flat[row]

    def step(self, *outputs: Tensor, gradients: Sequence[Tensor] | None = None) -> None:
        """Take a step of every run as `FlatOptimizer.step` does, inside `vmap`."""
        if gradients is None:
            (loss,) = outputs
        else:  # a loss of these derivatives
            loss = sum((output * by).sum() for output, by in zip(outputs, gradients, strict=True))
        _Step.apply(loss, self)

    def step_together(self, losses: Tensor) -> None:
        """Take a step of every run, whose loss is one of (N,)."""
        with torch.enable_grad():
            found = torch.autograd.grad(losses.sum(), self.leaves, allow_unused=True, materialize_grads=True)
        torch._foreach_copy_(self.gradients, found)
        for member in self.members:
            member.apply()


class _Step(torch.autograd.Function):
    """Leaves `vmap` for the step of an optimizer; only a function of autograd sees all runs at once there."""

    @staticmethod
    def forward(loss: Tensor, optimizer: _BatchedOptimizer) -> Tensor:
        raise RuntimeError("optimizers of several runs step inside torch.func.vmap only")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Store nothing, because a step has no gradient; functions that `vmap` takes must define this."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, loss: Tensor, optimizer: _BatchedOptimizer) -> tuple[Tensor, int]:
        optimizer.step_together(loss)
        return loss.detach(), 0


class _BatchedTarget:
    """The target networks of N runs."""

    network: nn.Module

    def __init__(self, members: Sequence[PolyakTarget], online: Tensor):
        self.tau, self.online = members[0].tau, online
        self.flat = torch.stack([member.flat for member in members])
        networks = [list(member.network.parameters()) for member in members]
        views = _views(self.flat, [parameter.shape for parameter in networks[0]])
        for row, member in enumerate(members):
            for parameter, view in zip(networks[row], views, strict=True):
                parameter.data = view[row]
            member.flat, member.online = self.flat[row], online[row]
        places = {id(parameter): number for number, parameter in enumerate(networks[0])}
        self.leaves = [views[places[id(parameters[key])]] for parameters, key in _slots(members[0].network)]

    def __call__(self, *inputs: Any) -> Any:
        """Evaluate the target networks."""
        return self.network(*inputs)

    def update(self) -> None:
        """Update the parameters of all runs by Polyak averaging."""
        self.flat.lerp_(self.online, self.tau)


# ---------------------------------------------------------------------------- learning


class _Learning:
    """One member's call of `learn`, advanced from outside."""

    def __init__(self, agent: OfflineAgent, total_timesteps: int | None, callbacks: Any):
        self.agent, self.callbacks = agent, CallbackList(callbacks)
        if total_timesteps is not None:
            agent.schedule_start = agent.num_timesteps
            agent.target_timesteps = agent.num_timesteps + total_timesteps
        self.stopped = False
        agent._callbacks = self.callbacks
        self.callbacks.on_start(agent)

    @property
    def key(self) -> tuple[int, int, int]:
        """How far the member is; members with equal keys take the same steps."""
        return self.agent.num_timesteps, self.agent.target_timesteps, self.agent.schedule_start

    @property
    def running(self) -> bool:
        """Whether steps are left."""
        return not self.stopped and self.agent.num_timesteps < self.agent.target_timesteps

    def end_iteration(self, metrics: dict[str, float], steps: int, seconds: float) -> None:
        """Do what `learn` does after an iteration."""
        agent = self.agent
        agent.iteration += 1
        agent._check_finite(metrics)
        metrics["time/steps_per_second"] = steps / max(seconds, 1e-9)
        self.stopped = not self.callbacks.on_iteration(agent, metrics)
        agent.mid_iteration = False

    def end(self) -> None:
        """Do what `learn` does at the end."""
        self.callbacks.on_end(self.agent)
        self.agent._callbacks = CallbackList([])


def learn_together(
    members: Sequence[OfflineAgent],
    total_timesteps: Sequence[int | None],
    callbacks: Sequence[Iterable[Callback | Callable]] | None = None,
) -> None:
    """Train agents that differ in their seed alone as `agent.learn(total_timesteps, callbacks)` trains each of them.

    Members that are behind, because they were resumed from an earlier checkpoint, catch up first.

    Args:
        members: The agents.
        total_timesteps: The argument of `learn` for each of them.
        callbacks: Callbacks of each of them.
    """
    check_members(members)
    callbacks = [()] * len(members) if callbacks is None else callbacks
    runs: list[_Learning] = []
    group: SeedBatch | None = None
    try:
        for arguments in zip(members, total_timesteps, callbacks, strict=True):
            runs.append(_Learning(*arguments))
        with using_threads(members[0].choose_threads()):
            while running := [run for run in runs if run.running]:
                key = min(run.key for run in running)
                now = [run for run in running if run.key == key]
                agents = [run.agent for run in now]
                if group is None or group.members != agents:
                    group = SeedBatch(agents)
                began, before = time.perf_counter(), key[0]
                for agent in agents:
                    agent.mid_iteration = True
                rows = group.iterate()
                seconds = time.perf_counter() - began
                for run, row in zip(now, rows, strict=True):
                    run.end_iteration(row, run.agent.num_timesteps - before, seconds)
    finally:
        for run in runs:
            run.end()
