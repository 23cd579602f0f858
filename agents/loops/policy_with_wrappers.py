"""Acting from observations: with a policy alone, and with what the wrappers of training added to observations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from envzoo.agents.agent import PredictArguments
from envzoo.agents.loops.acting import choose_actions
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.errors import EnvzooError
from envzoo.moved import former_names
from envzoo.wrappers.stateful import StatefulVectorWrapper, Tracker


class Followed(NamedTuple):
    """State between two calls of `predict`: the memory of the policy, and the arrays of every tracker."""

    policy: Tensor
    trackers: list[dict[str, np.ndarray]]


class PolicyWithWrappers:
    """Wraps the training environment, and extends observations of the bare environment in the same way.

    A policy that learned behind a wrapper needs what the wrapper added (clocks, densities, skills). The wrapper's
    tracker is run on the stream of bare observations instead, its arrays travelling in the state of `predict`.

    Args:
        codec: The bare observations.

    Attributes:
        layers: Class and arguments of the trackers, innermost first.
    """

    def __init__(self, codec: ObservationCodec):
        self.codec = codec
        self.layers: list[tuple[type[Tracker], dict[str, Any]]] = []
        self._cache: tuple[int, list[Tracker]] = (0, [])

    def wrap(self, env: VectorEnv, wrapper: type[StatefulVectorWrapper], arguments: dict[str, Any]) -> VectorEnv:
        """Add a wrapper around the environment."""
        wrapped = wrapper(env, **arguments)
        self.layers.append((wrapper.tracker_class, wrapped.arguments))
        return wrapped

    def trackers(self, count: int) -> list[Tracker]:
        """Return trackers for `count` episodes, new or reused, whose arrays the caller overwrites."""
        if self._cache[0] != count or not self._cache[1]:
            space, trackers = self.codec.space, []
            for cls, arguments in self.layers:
                trackers.append(cls(space, count, **arguments))
                space = trackers[-1].space
            self._cache = (count, trackers)
        return self._cache[1]

    def extend(
        self, observation: Any, fresh: np.ndarray, memory: list[dict[str, np.ndarray]] | None
    ) -> tuple[Any, list[dict[str, np.ndarray]]]:
        """Add the entries of the trackers to a batch of bare observations.

        Args:
            observation: A batch.
            fresh: (B,) bool, which of them open an episode; all of them where there is no memory.
            memory: What the last call returned.

        Returns:
            The observations, and copies of the trackers' arrays.
        """
        infos: dict[str, np.ndarray] = {}
        if memory is None:
            self._cache = (0, [])  # nothing that was drawn before may show
        trackers = self.trackers(len(fresh))
        for k, tracker in enumerate(trackers):
            if memory is not None:
                for name, array in tracker.arrays.items():
                    array[:] = memory[k][name]
            tracker.start(fresh, observation, infos)
            if not fresh.all():
                tracker.advance(~fresh, observation, infos)
            infos |= tracker.infos()
            observation = tracker.extend(observation, slice(None))
        return observation, [{name: array.copy() for name, array in tracker.arrays.items()} for tracker in trackers]

    def predict(
        self,
        agent: Any,
        policy: Policy | TabularPolicy,
        observation: Any,
        asked: PredictArguments,
    ) -> tuple[Any, Followed]:
        """Choose actions as `Agent.predict` does, from observations of the bare environment."""
        state, action_mask = asked.state, asked.action_mask
        batched = self.codec.is_batched(observation)
        batch = observation if batched else _lift(observation)
        count = len(self.codec.pack(batch))
        if state is None:
            fresh, memory, policy_state = np.ones(count, bool), None, None
        else:
            if not isinstance(state, Followed):
                raise EnvzooError(f"the state is a {type(state).__name__}; expected what the last predict returned")
            policy_state, memory = state
            fresh = np.zeros(count, bool) if asked.episode_start is None else read_starts(asked.episode_start, count)
        extended, memory = self.extend(batch, fresh, memory)
        if action_mask is not None and not batched:
            action_mask = np.asarray(action_mask)[None]
        inner = PredictArguments(policy_state, fresh, asked.deterministic, action_mask)
        action, policy_state = predict_with_policy(agent, policy, extended, inner)
        return (action if batched else action[0]), Followed(policy_state, memory)


def _lift(observation: Any) -> Any:
    """Convert an observation to a batch of one."""
    if isinstance(observation, dict):
        return {name: _lift(part) for name, part in observation.items()}
    return np.asarray(observation)[None]


def read_starts(episode_start: Any, count: int) -> np.ndarray:
    """Return which of `count` observations start an episode, a new bool array (count,), after a check of the number."""
    starts = np.array(episode_start)
    if starts.size != count or starts.dtype.kind not in "biu":
        raise EnvzooError(f"episode_start is {episode_start!r}; expected {count} booleans, one for each observation")
    return starts.astype(bool).reshape(count)


def check_memory(state: Any, initial: Tensor) -> None:
    """Raise EnvzooError unless `state` is a memory like `initial`, of finite numbers."""
    if not isinstance(state, Tensor) or (state.shape, state.dtype) != (initial.shape, initial.dtype):
        what = f"of shape {tuple(state.shape)}" if isinstance(state, Tensor) else f"a {type(state).__name__}"
        raise EnvzooError(
            f"the state is {what}; expected what the last predict returned, of shape {tuple(initial.shape)}"
        )
    if not torch.isfinite(state).all():
        raise EnvzooError("the state holds NaN or infinite numbers; expected what the last predict returned")


def predict_with_policy(
    agent: Any,
    policy: Policy | TabularPolicy,
    observation: Any,
    asked: PredictArguments,
) -> tuple[Any, Tensor]:
    """Choose actions as `Agent.predict` does, for an agent with a `Policy`, a `codec` and `actions`."""
    generator, state, memory = agent.streams.torch("predict"), asked.state, None

    def act(x: Tensor) -> Tensor:
        nonlocal memory
        memory = policy.initial_state(len(x)) if state is None else state
        start = None
        if policy.recurrent:
            if state is not None:
                check_memory(state, policy.initial_state(len(x)))
            if asked.episode_start is not None:
                start = torch.from_numpy(read_starts(asked.episode_start, len(x))).to(agent.device)
        acting = policy.act(x, memory, start, generator, asked.deterministic)
        memory = acting.state
        return acting.action

    return choose_actions(agent, observation, act, asked.action_mask), memory


__getattr__ = former_names(__name__, {"Follower": f"{__name__}:PolicyWithWrappers"})
