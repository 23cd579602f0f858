"""Fitted Q evaluation with networks: the value of any agent's policy from a dataset that it did not learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from envzoo.agents.agent import Agent
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.offline.networks import make_critics, values_of
from envzoo.agents.optim import make_optimizer
from envzoo.agents.seeding import Streams
from envzoo.datasets.table import TransitionTable
from envzoo.datasets.terminations import check_sums_are_finite
from envzoo.errors import EnvzooError, UnsupportedSpaceError

CHUNK = 4096  # observations shown to the policy at a time


def fitted_q_evaluation(
    agent: Agent,
    dataset: Any,
    *,
    steps: int = 5000,
    gamma: float = 0.99,
    hidden: tuple[int, ...] = (256, 256),
    batch_size: int = 256,
    learning_rate: float = 3e-4,
    tau: float = 0.005,
    seed: int = 0,
) -> np.ndarray:
    """Estimate the discounted return of an agent's deterministic policy from every first state of a dataset.

    Minimises E[(r + gamma (1 - terminated) Q'(s', pi(s')) - Q(s, a))^2] with a target Q' that follows Q, and averages
    two critics. The policy must have no memory: it is asked for the action of each next observation once.

    Args:
        agent: Any agent for the dataset's spaces.
        dataset: A Minari dataset, best one that the agent did not learn from.
        steps: Gradient steps.
        gamma: Discount factor.
        hidden: Hidden layer sizes of the critics.
        batch_size: Transitions per gradient step.
        learning_rate: Adam's learning rate.
        tau: Polyak coefficient of the target.
        seed: Seed of the initial weights and of the minibatches.

    Returns:
        (E,) estimated values of the first states of the E episodes.

    Raises:
        EnvzooError: A policy with memory, or a number of steps that is not positive.
        DatasetError: gamma is 1, and the dataset has no terminations.
        UnsupportedSpaceError: The agent's spaces are not those of the dataset.
    """
    if not isinstance(steps, int | np.integer) or isinstance(steps, bool) or steps < 1:
        raise EnvzooError(f"steps is {steps!r}; expected a whole number of at least 1")
    for what in ("observation_space", "action_space"):
        if getattr(dataset, what) != getattr(agent.source, what):
            raise UnsupportedSpaceError(
                f"the agent has the {what.replace('_', ' ')} {getattr(agent.source, what)}, but the dataset "
                f"{dataset.id} has {getattr(dataset, what)}"
            )
    table = TransitionTable.from_minari(dataset, gamma)
    check_sums_are_finite(table, gamma, dataset.id, "values")
    codec, actions = ObservationCodec(dataset.observation_space), ActionCodec(dataset.action_space, "FQE")
    starts = table.episode_starts
    first = _rows(table.observations, starts)
    x, following = (torch.as_tensor(codec.pack(o)) for o in (table.observations, table.next_observations))
    logged = torch.as_tensor(actions.from_environment(table.actions))
    chosen, opening = (
        torch.as_tensor(actions.from_environment(_ask(agent, o))) for o in (table.next_observations, first)
    )
    reward, going = torch.as_tensor(table.rewards), torch.as_tensor(~table.terminals, dtype=torch.float32)
    streams = Streams(seed)
    shape = {"encoder": "auto", "hidden": hidden, "activation": "relu", "generator": streams.torch("weights", "cpu")}
    critics = make_critics(codec, actions, **shape)
    optimizer = make_optimizer(critics, lr=learning_rate)
    target = PolyakTarget(critics, optimizer.flat, tau)
    generator = streams.torch("minibatches", "cpu")
    for _ in range(steps):
        rows = torch.randint(len(reward), (batch_size,), generator=generator)
        with torch.no_grad():
            y = reward[rows] + gamma * going[rows] * values_of(target.network, following[rows], chosen[rows])
        loss = (values_of(critics, x[rows], logged[rows]) - y).square().mean(dim=1).sum()
        optimizer.step(loss)
        target.update()
    with torch.no_grad():
        return values_of(critics, x[torch.as_tensor(starts)], opening).mean(dim=0).numpy()


def _rows(observations: Any, index: Any) -> Any:
    if isinstance(observations, dict):
        return {name: _rows(part, index) for name, part in observations.items()}
    return observations[index]


def _ask(agent: Agent, observations: Any) -> np.ndarray:
    """Ask the policy for the actions of many observations, in pieces."""
    leaf = observations
    while isinstance(leaf, dict):
        leaf = next(iter(leaf.values()))
    parts = []
    for begin in range(0, len(leaf), CHUNK):
        piece = _rows(observations, slice(begin, begin + CHUNK))
        count = min(CHUNK, len(leaf) - begin)
        action, state = agent.predict(piece, None, np.ones(count, bool), deterministic=True)
        if state is not None:
            raise EnvzooError(f"{agent.spec.name} acts with a memory, which fitted Q evaluation cannot follow")
        parts.append(np.asarray(action))
    return np.concatenate(parts)
