"""Access modes: what a learner may ask of an environment besides episodes from the start (arXiv 2504.05405)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper

from envzoo.errors import EnvzooError, UnsupportedSpaceError, shorten
from envzoo.kernel.batch import check_options
from envzoo.tabular.arrays import check_laws, read_numbers

_STREAM = 36  # separates the generator of mu-resets from that of the environment, which has the same seed


class _Access:
    """Base of the wrappers: reads the reset options `state` and `layer`, and refuses what the mode forbids."""

    mode: ClassVar[str]  # as the subject of a refusal
    any_state: ClassVar[bool] = False  # whether a reset may name a state that was never seen
    seen_state: ClassVar[bool] = False  # whether a reset may name a state that was seen
    covered: ClassVar[bool] = False  # whether a reset may draw a state of a layer

    def _prepare(self, env: Any, space: spaces.Space, num_envs: int, mu: Any) -> None:
        if not isinstance(space, spaces.Discrete):
            raise UnsupportedSpaceError(f"{type(self).__name__} takes Discrete observations, but the space is {space}")
        self._count, self._first, self._episodes = int(space.n), int(space.start), num_envs
        self._seen = np.zeros(self._count, np.bool_)
        self._mu = None
        if self.covered:
            law = read_numbers("mu", mu)
            if law.ndim != 2 or law.shape[1] != self._count or not len(law):
                raise EnvzooError(f"mu has the shape {law.shape}; expected (H, {self._count}), a law for each layer")
            self._mu = check_laws("mu", law)
        self._generator = np.random.default_rng(_STREAM)

    def _options(self, seed: Any, options: Any) -> dict[str, Any] | None:
        """Return the options for the environment below."""
        check_options(options)
        if seed is not None:
            known = [-1 if s is None else int(s) for s in np.atleast_1d(np.asarray(seed, object))]
            self._generator = np.random.default_rng([_STREAM, *(abs(s) for s in known)])
        if options is None:
            return None
        rest = dict(options)
        state, layer = rest.pop("state", None), rest.pop("layer", None)
        allowed = [
            *(("state",) if self.any_state or self.seen_state else ()),
            *(("layer",) if self.covered else ()),
        ]
        for name in rest:
            if name != "reset_mask":
                raise EnvzooError(self._refusal(f"the reset option {shorten(repr(name))}", allowed))
        for name, given in (("state", state), ("layer", layer)):
            if given is not None and name not in allowed:
                raise EnvzooError(self._refusal(f"the reset option {name!r}", allowed))
        if state is not None and layer is not None:
            raise EnvzooError("the reset options state and layer were both given; expected one of them")
        if layer is not None:
            state = self._draw(layer)
        elif state is not None and not self.any_state:
            self._check_seen(state)
        return rest if state is None else rest | {"state": state}

    def _refusal(self, what: str, allowed: list[str]) -> str:
        may = " or ".join(repr(name) for name in allowed)
        return f"{self.mode} forbids {what}; expected {f'only {may}' if may else 'episodes from the start, no options'}"

    def _check_seen(self, state: Any) -> None:
        try:
            index = np.atleast_1d(np.asarray(state)) - self._first
        except (TypeError, ValueError):
            return  # the environment says what is wrong with it
        if index.dtype.kind not in "iu" or not ((index >= 0) & (index < self._count)).all():
            return
        unknown = index[~self._seen[index]]
        if unknown.size:
            raise EnvzooError(
                f"{self.mode} forbids a reset to state {int(unknown.flat[0]) + self._first}, which was never observed; "
                "expected a state of an earlier episode"
            )

    def _draw(self, layer: Any) -> Any:
        """Draw a state for each layer (num_envs,), or for the one layer of all episodes."""
        array = np.asarray(layer)
        shape = (self._episodes,) if isinstance(self, VectorEnv) else ()
        good = array.dtype.kind in "iu" and array.shape in ((), shape)
        if not good or not ((array >= 0) & (array < len(self._mu))).all():
            raise EnvzooError(
                f"reset option layer is {shorten(repr(layer))}; expected a layer from 0 to {len(self._mu) - 1}"
            )
        laws = np.cumsum(self._mu, axis=1)[np.broadcast_to(array, (self._episodes,))]
        u = self._generator.random(self._episodes)[:, None] * laws[:, -1:]
        drawn = self._first + (u >= laws).sum(axis=1).clip(max=self._count - 1)
        return drawn if shape else int(drawn[0])

    def _note(self, observation: Any) -> None:
        if self.seen_state and not self.any_state:
            self._seen[np.asarray(observation, np.int64) - self._first] = True


class _Single(_Access, gym.Wrapper):
    """The wrapper of a single environment."""

    def __init__(self, env: gym.Env, mu: Any = None) -> None:
        super().__init__(env)
        self._prepare(env, env.observation_space, 1, mu)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode where the mode allows it."""
        observation, info = self.env.reset(seed=seed, options=self._options(seed, options))
        self._note(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one step."""
        result = self.env.step(action)
        self._note(result[0])
        return result


class _Vector(_Access, VectorWrapper):
    """The wrapper of a vector environment."""

    def __init__(self, env: VectorEnv, mu: Any = None) -> None:
        super().__init__(env)
        self._prepare(env, env.single_observation_space, env.num_envs, mu)

    def reset(self, *, seed: Any = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start episodes where the mode allows it."""
        observation, infos = self.env.reset(seed=seed, options=self._options(seed, options))
        self._note(observation)
        return observation, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one step in every episode."""
        result = self.env.step(actions)
        self._note(result[0])
        infos = result[4]
        if "final_obs" in infos:
            done = np.flatnonzero(infos.get("_final_obs", result[2] | result[3]))
            self._note(np.array([infos["final_obs"][i] for i in done], np.int64))
        return result


class OnlineAccess(_Single):
    """Online access: episodes start at the start. Refuses every reset option.

    Args:
        env: An environment with Discrete observations.

    Raises:
        EnvzooError: At a reset, an option is given.
    """

    mode = "online access"

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)


class GenerativeAccess(_Single):
    """Access to a generative model: `reset(options={"state": s})` starts in any state.

    Args:
        env: An environment with Discrete observations and the reset option `state`.

    Raises:
        EnvzooError: At a reset, another option is given.
    """

    mode, any_state = "generative access", True

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)


class LocalSimulatorAccess(_Single):
    """Access to a local simulator: `reset(options={"state": s})` starts in a state that was observed before.

    Args:
        env: An environment with Discrete observations and the reset option `state`.

    Raises:
        EnvzooError: At a reset, the state was never observed, or another option is given.
    """

    mode, seen_state = "local simulator access", True

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)


class MuResetAccess(_Single):
    """Access to resets from a covering law: `reset(options={"layer": h})` starts in a state drawn from mu[h].

    Args:
        env: An environment with Discrete observations and the reset option `state`.
        mu: (H, S) laws over states, one for each layer.

    Raises:
        EnvzooError: mu are no laws; or at a reset, another option is given.
    """

    mode, covered = "mu-reset access", True


class HybridAccess(_Single):
    """Access to a local simulator and to resets from a covering law: the reset options `state` and `layer`.

    Args:
        env: An environment with Discrete observations and the reset option `state`.
        mu: (H, S) laws over states, one for each layer.

    Raises:
        EnvzooError: mu are no laws; or at a reset, the state was never observed or another option is given.
    """

    mode, seen_state, covered = "hybrid access", True, True


class VectorOnlineAccess(_Vector):
    """Vector version of `OnlineAccess`."""

    mode = OnlineAccess.mode

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)


class VectorGenerativeAccess(_Vector):
    """Vector version of `GenerativeAccess`; `state` may be an array with one state per episode."""

    mode, any_state = GenerativeAccess.mode, True

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)


class VectorLocalSimulatorAccess(_Vector):
    """Vector version of `LocalSimulatorAccess`; `state` may be an array with one state per episode."""

    mode, seen_state = LocalSimulatorAccess.mode, True

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)


class VectorMuResetAccess(_Vector):
    """Vector version of `MuResetAccess`; `layer` may be an array with one layer per episode."""

    mode, covered = MuResetAccess.mode, True


class VectorHybridAccess(_Vector):
    """Vector version of `HybridAccess`; `state` and `layer` may be arrays with one entry per episode."""

    mode, seen_state, covered = HybridAccess.mode, True, True
