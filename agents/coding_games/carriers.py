"""Carrier policies, which act independently of the message and whose actions encode it.

Sender and receiver each evaluate their own copy of the carrier, possibly with different batch sizes, and need
bit-identical results, because couplings are discontinuous where masses tie. Tables guarantee this. Networks are
evaluated in double precision, and their probabilities are rounded to multiples of 2^-32, far above the effect of the
summation order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from envzoo.agents.actor_critic.soft_networks import CategoricalActor
from envzoo.agents.agent import Agent
from envzoo.agents.networks.observation import ObservationCodec, Part
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.errors import EnvzooError, UnsupportedSpaceError

GRAIN = 2.0**-32


class TableCarrier:
    """Carrier of a finite decision process, given by a table.

    Args:
        policy: (S, A) probabilities.

    Raises:
        EnvzooError: A row is zero everywhere, or entries are negative or not finite.
    """

    def __init__(self, policy: np.ndarray):
        policy = np.ascontiguousarray(policy, np.float64)
        if policy.ndim != 2 or not np.isfinite(policy).all() or (policy < 0).any():
            raise EnvzooError(f"a carrier's policy is a table (S, A) of probabilities, got the shape {policy.shape}")
        empty = np.flatnonzero(policy.sum(axis=1) == 0)
        if len(empty):
            raise EnvzooError(f"the carrier's policy is zero everywhere in state {empty[0]}; expected probabilities")
        self.policy = policy

    def probabilities(self, states: np.ndarray, memory: None, fresh: np.ndarray) -> tuple[np.ndarray, None]:
        """Return the action distributions (B, A) in states (B,), and no memory."""
        return self.policy[np.asarray(states)], None


class FormulaCarrier:
    """Carrier given by a formula, for games whose states cannot be enumerated.

    Args:
        formula: Function from states (B, ...) to action distributions (B, A), row by row.
    """

    def __init__(self, formula: Callable[[np.ndarray], np.ndarray]):
        self.formula = formula

    def probabilities(self, states: np.ndarray, memory: None, fresh: np.ndarray) -> tuple[np.ndarray, None]:
        """Return the action distributions (B, A) in states (B, ...), and no memory."""
        return self.formula(np.asarray(states)), None


class _DoubleCodec(ObservationCodec):
    """Observation codec that expands observations in double precision."""

    def vector(self, packed: Tensor) -> Tensor:
        return super().vector(packed).double()

    def image(self, packed: Tensor, part: Part) -> Tensor:
        return super().image(packed, part).double()


class AgentCarrier:
    """Carrier given by the stochastic discrete policy of a trained agent.

    Args:
        agent: Agent whose network is a `Policy`, `TabularPolicy` or `CategoricalActor` (PPO, SubPO, BC, SACDiscrete,
            ...); it observes the state of the game, not the message.
        states: State space.
        actions: Number of actions.

    Raises:
        UnsupportedSpaceError: The agent has no such policy, or its spaces differ.
    """

    def __init__(self, agent: Agent, states: spaces.Space, actions: int):
        name = agent.spec.name
        source = agent.source
        network = getattr(agent, "policy", getattr(agent, "actor", None))
        discrete = isinstance(source.action_space, spaces.Discrete)
        if not discrete or not isinstance(network, Policy | TabularPolicy | CategoricalActor):
            raise UnsupportedSpaceError(f"{name} on {source.name} has no stochastic policy over discrete actions")
        if getattr(agent, "follower", None) is not None and agent.follower.layers:
            raise UnsupportedSpaceError(
                f"{name} was trained behind wrappers that change observations, so it cannot be a carrier"
            )
        if source.action_space.n != actions or not _same_space(source.observation_space, states):
            raise UnsupportedSpaceError(
                f"{name} maps {source.observation_space} to {source.action_space}, but the carrier of this game maps "
                f"{states} to Discrete({actions})"
            )
        self.agent, self.network = agent, network
        self._copied_at, self._copy = -1, None

    def _double(self) -> Any:
        """Return a double-precision copy of the current networks."""
        if self._copied_at != self.agent.num_timesteps or self._copy is None:
            self._copy = copy.deepcopy(self.network).double().cpu()
            for module in self._copy.modules():
                if isinstance(getattr(module, "codec", None), ObservationCodec):
                    module.codec = _DoubleCodec(module.codec.space)
            self._copied_at = self.agent.num_timesteps
        return self._copy

    @torch.no_grad()
    def probabilities(
        self, states: np.ndarray, memory: np.ndarray | None, fresh: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the action distributions (B, A) in states (B, ...), and the memory of a recurrent policy (B, D)."""
        network = self._double()
        x = torch.from_numpy(np.ascontiguousarray(self.agent.codec.pack(np.asarray(states))))
        normalizer = getattr(self.agent, "normalizer", None)
        if normalizer is not None:  # of an agent that has learned from a dataset
            x = normalizer(x.to(self.agent.device)).cpu()
        if isinstance(network, TabularPolicy):
            logits = network.logits[network.codec.index(x)]
        else:
            soft = isinstance(network, CategoricalActor)
            encoder, head = (network.encoder, network.head) if soft else (network.actor_encoder, network.actor_head)
            if encoder.recurrent:
                shape = len(x), encoder.state_dim
                before = torch.zeros(shape, dtype=torch.float64) if memory is None else torch.from_numpy(memory)
                features, after = encoder.step(x, before, torch.from_numpy(np.asarray(fresh, bool)))
                logits, memory = head(features), after.numpy()
            else:
                logits = head(encoder.features(x))
        logits = logits.numpy()
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = np.round(weights / weights.sum(axis=1, keepdims=True) / GRAIN) * GRAIN
        return probabilities / probabilities.sum(axis=1, keepdims=True), memory


def _same_space(one: spaces.Space, other: spaces.Space) -> bool:
    """Return whether observations of one space can be read as those of the other; Box bounds are ignored."""
    if isinstance(one, spaces.Box) and isinstance(other, spaces.Box):
        return one.shape == other.shape
    return one == other
