"""Records the running episodes of a SyncVectorEnv, so that they can be replayed and the replay verified."""

from __future__ import annotations

import copy
import gc
import hashlib
import random
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array

from envzoo.errors import EnvzooError
from envzoo.wrappers.adapters import generator_state, set_generator_state
from envzoo.wrappers.encoding import ARRAYS, DIGEST_SIZE, encode, is_plain, leaves, shrink
from envzoo.wrappers.lasting import own_state, per_episode

MAX_ACTIONS = 100_000
_PENDING_STEPS, _PENDING_BYTES = 512, 2**22  # buffered before it is added to the digests
_ACTION_DTYPES = {np.dtype(code).name: np.dtype(np.dtype(code).name) for code in "?bBhHiIqQfd"}
_GENERATORS = {np.random.Generator, np.random.RandomState, random.Random}

# Why an episode cannot be replayed. Checkpoints hold the key, not the sentence.
TROUBLES = {
    "start": "an episode was not started through the vector environment",
    "long": f"an episode has more than {MAX_ACTIONS:,} steps",
    "action": "its actions are not numeric arrays of one shape",
    "observation": "its observations are of a type that cannot be compared",
    "options": "an episode was reset with options other than numbers",
    "seed": "an episode was reset with a seed that is not an integer from 0 to 2**64",
    "random": "it keeps a random generator that is not one of NumPy's",
    "state": "the state of the environment or of a wrapper cannot be read before a reset",
    "inside": "it resets itself within a step",
    "broken": "a step of it was interrupted",
}


class ReplayError(EnvzooError):
    """Episodes cannot be resumed where they stopped; the message continues "the environment ..."."""


class Episode:
    """Record of the running episode of one environment, whose `reset` it replaces to observe the start of episodes.

    It records the states, before the reset, of the NumPy generators found in attributes of the environment and its
    wrappers (`np_random` first) and of layers with their own state; the seed and options of the reset; the actions; and
    a digest of all observations, rewards and end flags.

    Args:
        env: The environment.
        number: Index of the environment in the vector environment.
        fresh: Indices of the environments reset since the set was last cleared; a reset adds this one's.
    """

    def __init__(self, env: gym.Env, number: int, fresh: set[int]):
        self.env, self._number, self._fresh, self._inner_reset = env, number, fresh, env.reset
        self._stack = [env]
        while self._stack[-1] is not self._stack[-1].unwrapped:
            self._stack.append(self._stack[-1].env)
        self._own = {str(i): own for i, layer in enumerate(self._stack) if (own := own_state(layer)) is not None}
        self._known: list[tuple[str, Any, str]] = []  # locations of generators: name, object, attribute
        self._scans = 0
        self.trouble: str | None = "start"
        self.count = 0
        env.reset = self.reset

    def obstacle(self) -> str | None:
        """Return a clause naming the wrapper that prevents an exact replay, or None if none does."""
        for i, layer in enumerate(self._stack[:-1]):
            if str(i) not in self._own and not per_episode(layer):
                return f"the wrapper {type(layer).__name__} may keep state across episodes"
        return None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode and its record."""
        self.trouble, self.count = None, 0
        self._fresh.add(self._number)
        self._before = self._look(seed, copy.deepcopy(options) if options else options)
        self.actions, self.hash = bytearray(), hashlib.blake2b(digest_size=DIGEST_SIZE)
        result = self._inner_reset(seed=seed, options=options)
        try:
            first = result[0]
            self.hash.update(first.tobytes() if type(first) is np.ndarray else encode(first))
        except TypeError:
            self.trouble = "observation"
        return result

    def _look(self, seed: Any, options: Any) -> dict[str, Any]:
        """Collect everything that determines the outcome of a reset."""
        if seed is None:
            _ = self._stack[-1].np_random  # created on first access
        elif isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            self.trouble = "seed"
        if options and not is_plain(options):
            self.trouble = "options"
        # Scanning all attributes takes time. Generators that appear later are noticed when the record is read.
        if self._scans < 3:
            self._scan()
        generators, own = {}, {}
        for name, layer, key in self._known:
            generator = getattr(layer, key, None)
            if type(generator) is np.random.Generator:
                generators[name] = state = generator_state(generator)
                if state is None:
                    self.trouble = "random"
            elif generator is not None:
                self.trouble = "random"
        for name, (get, _) in self._own.items():
            try:
                own[name] = copy.deepcopy(get())
            except Exception:  # third-party code
                self.trouble = "state"
        return {"seed": seed, "options": options, "generators": generators, "own": own}

    def _scan(self) -> dict[str, Any]:
        """Search the attributes of the environment and its wrappers for generators."""
        base = self._stack[-1]
        mine = getattr(base, "_np_random", None)
        self._known = [("np_random", base, "_np_random")]
        for i, layer in enumerate(self._stack):
            # Accessing the __dict__ of an object makes Python slower with it permanently: done only where needed.
            values = gc.get_referents(layer)
            values += [value for inner in values if type(inner) is dict for value in inner.values()]
            if any(type(value) in _GENERATORS and value is not mine for value in values):
                attributes = vars(layer).items()
                self._known += [(f"{i}.{key}", layer, key) for key, value in attributes if type(value) in _GENERATORS]
        self._scans += 1
        return {name: found for name, layer, key in self._known if (found := getattr(layer, key, None)) is not None}

    def get_state(self, dtype: np.dtype, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return the record, or only the reason why there is none."""
        if self.trouble is None and self._before["seed"] is None and self._scan().keys() - self._before["generators"]:
            self.trouble = "random"
        if self.trouble is not None:
            return {"trouble": self.trouble}
        actions = np.frombuffer(bytes(self.actions), dtype).reshape(self.count, *shape)
        before = copy.deepcopy(self._before)
        return {
            "trouble": None,
            **before,
            "seed": None if before["seed"] is None else int(before["seed"]),
            "actions": shrink(actions),
            "dtype": dtype.name,
            "digest": np.frombuffer(self.hash.digest(), np.uint8),
        }

    def reset_as(self, record: Mapping[str, Any]) -> Any:
        """Reset as recorded at the start of an episode; returns the observation."""
        seed, options, generators, own = (record[name] for name in ("seed", "options", "generators", "own"))
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64):
            raise ValueError(f"the seed of an episode is {seed!r}")
        if not isinstance(options, dict | None) or not is_plain(options):
            raise ValueError("the reset options of an episode are not made of numbers")
        if not isinstance(generators, dict) or not isinstance(own, dict):
            raise ValueError("the states before a reset are not dicts")
        _ = self._stack[-1].np_random  # created on first access
        found = self._scan()
        if not generators.keys() <= found.keys() or own.keys() != self._own.keys():
            raise ReplayError("cannot be replayed (its generators or wrappers have changed)")
        for name, state in generators.items():
            if type(found[name]) is not np.random.Generator:
                raise ReplayError(f"cannot be replayed ({TROUBLES['random']})")
            set_generator_state(found[name], state)
        for name, (_, put) in self._own.items():
            put(copy.deepcopy(own[name]))
        return self.reset(seed=seed, options=options)[0]


class Recorder:
    """Records all episodes of a SyncVectorEnv, in which it installs itself; see `Episode`.

    It replaces `reset` and `step` of the object and `reset` of each of its environments. Wrapping the environments
    would have the same effect, but costs more time than everything else together.
    """

    def __init__(self, env: SyncVectorEnv):
        self.env, self._inner_reset, self._inner_step = env, env.reset, env.step
        self._fresh: set[int] = set()
        self.episodes = [Episode(one, i, self._fresh) for i, one in enumerate(env.envs)]
        env.reset, env.step = self.reset, self.step
        self._rows: list[bytes] = []
        self._actions: list[bytes] = []
        self._starts = [0] * env.num_envs  # for each episode, the first pending step that belongs to it
        space = env.single_action_space
        self._dtype, self._shape = np.dtype(space.dtype or np.int64), (env.num_envs, *(space.shape or ()))
        self._limit = 1
        self._space = env.single_observation_space
        self._flat = isinstance(self._space, ARRAYS)
        self._same_step = env.autoreset_mode == AutoresetMode.SAME_STEP

    @classmethod
    def of(cls, env: SyncVectorEnv) -> Recorder:
        """Return the recorder of a vector environment, installing one if needed."""
        mine = getattr(vars(env).get("step"), "__self__", None)
        return mine if isinstance(mine, cls) else cls(env)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset as `SyncVectorEnv.reset` does, and record."""
        self._flush()
        result = self._inner_reset(seed=seed, options=options)
        self._fresh.clear()
        return result

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step as `SyncVectorEnv.step` does, and record."""
        env = self.env
        try:
            # Copy first: an environment may write into its action.
            if actions.dtype is not self._dtype or actions.shape != self._shape:
                self._change_actions(actions)
            taken = actions.tobytes()
        except (AttributeError, TypeError):
            taken = None
        ended = env._autoreset_envs  # every step makes a new array
        try:
            result = self._inner_step(actions)
        except BaseException:
            self._trouble("broken")
            raise
        try:
            parts = [env._observations.tobytes()] if self._flat else leaves(self._space, env._observations)
            self._rows += [*parts, env._rewards.tobytes(), env._terminations.tobytes(), env._truncations.tobytes()]
        except (TypeError, AttributeError):
            self._trouble("observation")
            return result
        if taken is None:
            self._trouble("action")
            return result
        actions = self._actions
        actions.append(taken)
        if self._fresh:
            # The reset's output is already in its episode; the step that performed it is not part of the episode.
            if self._same_step:
                ended = env._autoreset_envs
            for i in self._fresh:
                self._starts[i] = len(actions)
                if not ended[i]:
                    self.episodes[i].trouble = "inside"
            self._fresh.clear()
        if len(actions) >= self._limit:
            self._flush()
        return result

    def _change_actions(self, actions: np.ndarray) -> None:
        if actions.dtype.name not in _ACTION_DTYPES or len(actions) != self.env.num_envs:
            raise TypeError
        # NumPy has several objects for one type.
        if actions.dtype != self._dtype or actions.shape != self._shape:
            self._flush()
            for episode in self.episodes:
                if episode.trouble is None and episode.count:
                    episode.trouble = "action"
        self._dtype, self._shape = actions.dtype, actions.shape

    def _trouble(self, why: str) -> None:
        self._rows.clear()
        self._actions.clear()
        self._fresh.clear()
        self._starts = [0] * self.env.num_envs
        for episode in self.episodes:
            episode.trouble = why

    def _flush(self) -> None:
        """Move pending steps to the records of the episodes."""
        steps, count = len(self._actions), self.env.num_envs
        if steps:
            actions = np.frombuffer(b"".join(self._actions), np.uint8).reshape(steps, count, -1).swapaxes(0, 1)
            width = len(self._rows) // steps
            parts = (np.frombuffer(b"".join(self._rows[k::width]), np.uint8) for k in range(width))
            rows = np.concatenate([part.reshape(steps, count, -1).swapaxes(0, 1) for part in parts], axis=2)
            for i, (episode, start) in enumerate(zip(self.episodes, self._starts, strict=True)):
                if episode.trouble is None and start < steps:
                    episode.actions += actions[i, start:].tobytes()
                    episode.hash.update(np.ascontiguousarray(rows[i, start:]))
                    episode.count += steps - start
                    if episode.count > MAX_ACTIONS:
                        episode.trouble, episode.actions = "long", bytearray()
            self._limit = int(np.clip(_PENDING_BYTES // (rows.nbytes // steps), 1, _PENDING_STEPS))
            self._rows.clear()
            self._actions.clear()
        self._starts = [0] * count
        self._fresh.clear()

    # ------------------------------------------------------------------ saving and replaying

    def obstacle(self) -> str | None:
        """Return why no episode can be replayed, or None if episodes can be."""
        space = self.env.single_action_space
        if not isinstance(space, ARRAYS):
            return f"actions of a {type(space).__name__} space cannot be recorded"
        return next((found for episode in self.episodes if (found := episode.obstacle()) is not None), None)

    def get_state(self) -> list[dict[str, Any]]:
        """Return the records of the running episodes."""
        self._flush()
        return [episode.get_state(self._dtype, self._shape[1:]) for episode in self.episodes]

    def set_state(self, records: Any) -> int:
        """Replay the records to their ends; returns the number of verified steps.

        The records may come from an untrusted file. They hold numbers, which reach the environments as actions within
        the action space, as reset options, and as states that the environments themselves validate.

        Raises:
            ReplayError: An episode cannot be replayed here, or the replay differs from the record.
            ValueError: The records are invalid, or not of num_envs episodes.
        """
        if not isinstance(records, list) or len(records) != self.env.num_envs:
            raise ValueError(f"there are no records of {self.env.num_envs} episodes")
        self._flush()
        dtype, steps, seen, ended = None, 0, [], []
        for episode, record in zip(self.episodes, records, strict=True):
            if record["trouble"] is not None:
                raise ReplayError(f"cannot be replayed ({TROUBLES[record['trouble']]})")
            actions, digest = self._read(record)
            if dtype not in (None, actions.dtype):
                raise ValueError(f"the actions of episodes are {dtype} and {actions.dtype}")
            dtype = actions.dtype
            observation, over = self._replay(episode, record, actions)
            if episode.trouble is not None or episode.hash.digest() != digest:
                raise ReplayError("gave other observations, rewards or ends when its running episodes were replayed")
            steps += len(actions)
            seen.append(observation)
            ended.append(over)
        self._dtype, self._shape = dtype, (self.env.num_envs, *self.env.single_action_space.shape)
        self._flush()
        # The SyncVectorEnv itself took no step.
        env = self.env
        env._env_obs, env._autoreset_envs = seen, np.array(ended)
        env._observations = concatenate(self._space, seen, env._observations)
        return steps

    def _replay(self, episode: Episode, record: Mapping[str, Any], actions: np.ndarray) -> tuple[Any, bool]:
        """Replay one episode; returns its last observation and whether it has ended."""
        space = self._space
        place, over = create_empty_array(space, n=1, fn=np.zeros), False
        try:
            observation = episode.reset_as(record)
            for action in actions:
                if over:
                    raise ReplayError("ended an episode earlier when it was replayed")
                # Copy, because an environment may write into its action.
                observation, reward, terminated, truncated, _ = episode.env.step(action.copy())
                over = bool(terminated or truncated)
                place = concatenate(space, [observation], place)
                episode.hash.update(b"".join(leaves(space, place)))
                episode.hash.update(np.float64(reward).tobytes() + bytes([bool(terminated), bool(truncated)]))
        except (ReplayError, ValueError):
            raise
        except Exception as error:  # an environment other than the recorded one may raise anything
            raise ReplayError(f"failed when an episode was replayed ({type(error).__name__})") from error
        episode.actions, episode.count = bytearray(actions.tobytes()), len(actions)
        return observation, over

    def _read(self, record: Mapping[str, Any]) -> tuple[np.ndarray, bytes]:
        """Return the actions and the digest of a record after validation."""
        actions, digest, space = record["actions"], record["digest"], self.env.single_action_space
        if not isinstance(digest, np.ndarray) or (digest.dtype, digest.shape) != (np.uint8, (DIGEST_SIZE,)):
            raise ValueError(f"the digest of an episode is not {DIGEST_SIZE} bytes")
        if not isinstance(actions, np.ndarray) or actions.ndim < 1 or len(actions) > MAX_ACTIONS:
            raise ValueError(f"the actions of an episode are not an array of at most {MAX_ACTIONS} actions")
        dtype = _ACTION_DTYPES.get(record["dtype"])
        if dtype is None or (actions.dtype != dtype and (actions.dtype.kind not in "iu" or dtype.kind not in "iu")):
            raise ValueError(f"the actions of an episode are {actions.dtype}, not {record['dtype']}")
        actions = actions.astype(dtype)
        if actions.shape[1:] != space.shape or not all(space.contains(action) for action in actions):
            raise ReplayError(f"cannot be replayed (an action is not in {space})")
        return actions, digest.tobytes()
