"""A vector environment as the loops see it: packed observations, true next observations, episode statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from envzoo.action_masks import NAME, current_mask, mask_led_to
from envzoo.agents.infos import step_info
from envzoo.agents.networks.action import ActionCodec, MaskReader
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.errors import EnvzooError
from envzoo.wrappers.capture import Capture
from envzoo.wrappers.replay import ReplayError


@dataclass
class Step:
    """Result of one step of all environments; B environments, P packed columns.

    Attributes:
        reward: (B,) float32.
        terminated: (B,) bool.
        done: (B,) bool, terminated or truncated.
        next_observation: (B, P), the observation the step led to, also where the episode ended.
        valid: (B,) bool, False where the environment spent the step on resetting itself.
    """

    reward: np.ndarray
    terminated: np.ndarray
    done: np.ndarray
    next_observation: np.ndarray
    valid: np.ndarray


class RunningEpisodes(ABC):
    """The running episodes of a vector environment, which are saved and resumed where the environment allows it.

    A subclass implements `reset`, which sets the arrays named in `ARRAYS`; `start` and `_resetting` are among them.

    Args:
        env: Vector environment with autoreset mode SAME_STEP or NEXT_STEP.
        seed: Seed of the first reset.
        notices: Sentences for a person are added here.

    Attributes:
        start: (B,) bool, which observations open an episode.
        resets: Resumes that had to start new episodes.
    """

    ARRAYS: ClassVar[dict[str, str]]  # name in the saved state -> attribute, of arrays with a row for each environment

    def __init__(self, env: VectorEnv, seed: int, notices: list[str] | None = None):
        self.env, self.num_envs, self.seed = env, env.num_envs, seed
        self.mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        if self.mode == AutoresetMode.DISABLED:
            raise EnvzooError(f"{env} has autoreset disabled; agents need the mode SAME_STEP or NEXT_STEP")
        self.capture = Capture(env)
        self.resets = 0
        self.notices = notices if notices is not None else []

    @abstractmethod
    def reset(self, seed: int | None = None) -> None:
        """Start a new episode in every environment."""

    def _begin(self, seed: int | None) -> tuple[Any, dict[str, Any]]:
        """Reset all environments; returns their observations and infos."""
        observation, infos = self.env.reset(seed=seed)
        self.start = np.ones(self.num_envs, bool)
        self._resetting = np.zeros(self.num_envs, bool)
        return observation, infos

    def _mark_starts(self, done: np.ndarray) -> None:
        """Record which of the next observations start an episode, after a step that ended those marked in `done`."""
        if self.mode == AutoresetMode.SAME_STEP:
            self.start = done
        else:
            self.start, self._resetting = self._resetting, done

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the running episodes, with that of the environment where it can be captured."""
        arrays = {name: getattr(self, attribute).copy() for name, attribute in self.ARRAYS.items()}
        return {"env": self.capture.get_state(), **arrays, "resets": self.resets}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, or, with a notice, from the start of an episode where that is not possible."""
        self.resets = state["resets"]
        try:
            steps = self._take_up(state)
        except ReplayError as error:
            self.resets += 1
            self.notices.append(
                f"the training environment {error}: training continues from the start of new episodes, "
                "so the numbers will differ from an uninterrupted run"
            )
            # A seed that no earlier reset had.
            sequence = np.random.SeedSequence([self.seed, self.resets])
            self.reset(int(sequence.generate_state(1)[0] >> 1))
            return
        if steps is not None:
            self.notices.append(
                f"the running episodes of the training environment were replayed, verified over {steps} steps"
            )

    def _take_up(self, state: dict[str, Any]) -> int | None:
        """Restore the running episodes; returns how many steps were replayed, None if none had to be."""
        if len(state["start"]) != self.num_envs:
            raise ReplayError("runs another number of episodes than before")
        for name, attribute in self.ARRAYS.items():
            array = getattr(self, attribute)
            if (state[name].shape, state[name].dtype) != (array.shape, array.dtype):
                raise ValueError(f"{name} has the shape {state[name].shape} and {state[name].dtype}")
        steps = self.capture.set_state(state["env"])
        for name, attribute in self.ARRAYS.items():
            setattr(self, attribute, state[name].copy())  # copies, because steps write into some of them
        return steps


class Experience(RunningEpisodes):
    """Collects experience from a vector environment in any autoreset mode.

    Args:
        env: Vector environment with autoreset mode SAME_STEP or NEXT_STEP.
        codec: Packs its observations.
        actions: Converts actions.
        seed: Seed of the first reset.
        reward_key: Take rewards from this info key in place of the environment's reward.

    Attributes:
        observation: (B, P) packed current observations, with A further columns, the masks of allowed actions, where
            the environment gives masks in its infos.
        mask_dim: A, or 0 without such masks.
        start: (B,) bool, which of them open an episode.
        notices: Sentences for a person.
    """

    ARRAYS: ClassVar[dict[str, str]] = {
        "observation": "observation",
        "start": "start",
        "resetting": "_resetting",
        "returns": "_returns",
        "lengths": "_lengths",
    }

    def __init__(
        self,
        env: VectorEnv,
        codec: ObservationCodec,
        actions: ActionCodec,
        seed: int,
        reward_key: str | None = None,
        notices: list[str] | None = None,
    ):
        super().__init__(env, seed, notices)
        self.codec, self.actions, self.reward_key = codec, actions, reward_key
        self.finished: dict[str, list[float]] = {}
        self.mask_dim: int | None = None
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Start a new episode in every environment."""
        observation, infos = self._begin(seed)
        if self.mask_dim is None:
            # A mask in the observation itself needs no further columns.
            seen = not self.actions.discrete or MaskReader(self.codec, self.actions.n).columns is not None
            self.mask_dim = self.actions.n if NAME in infos and not seen else 0
        self.observation = self._append(self._pack(observation), self._mask(infos))
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)

    def _pack(self, observation: Any) -> np.ndarray:
        packed = self.codec.pack(observation)
        return packed if packed.base is None and packed is not observation else packed.copy()

    def _mask(self, infos: dict[str, Any]) -> np.ndarray | None:
        """Return the masks of the current observations, (B, A) bool, if the environment gives any."""
        if not self.mask_dim:
            return None
        mask = current_mask(infos)
        return np.ones((self.num_envs, self.mask_dim), bool) if mask is None else mask

    def _append(self, packed: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return packed if mask is None else self.actions.append_mask(packed, mask)

    def _check_choices(self, mask: np.ndarray | None) -> None:
        """Reject running episodes in which no action is allowed."""
        if mask is not None:
            stuck = ~mask.any(axis=1) & ~self._resetting
            if stuck.any():
                raise EnvzooError(
                    f"{NAME} allows no action in the running episode {int(np.flatnonzero(stuck)[0])}; expected at "
                    "least one, or the end of the episode"
                )

    def step(self, action: np.ndarray) -> Step:
        """Step every environment with actions (B,) or (B, dim) in the agent's form."""
        observation, reward, terminated, truncated, infos = self.env.step(self.actions.to_environment(action))
        done = terminated | truncated
        if self.reward_key is not None:
            found = step_info(infos, self.reward_key, done)
            if found is None:
                keys = [k for k in infos if not k.startswith("_") and k not in ("final_obs", "final_info")]
                raise EnvzooError(
                    f"rewards are to come from info[{self.reward_key!r}], but the environment gives only {keys}"
                )
            reward = found
        reward = np.asarray(reward, np.float32)
        valid = ~self._resetting
        packed = self._pack(observation)
        mask = self._mask(infos)
        next_observation, next_mask = packed, mask
        any_done = bool(done.any())
        if self.mode == AutoresetMode.SAME_STEP and any_done:
            next_observation = self._with_final(packed, infos, done)
            next_mask = mask_led_to(infos, done, mask)
        self._mark_starts(done)
        self._returns += np.where(valid, reward, np.float32(0))
        self._lengths += valid
        if any_done:
            self._record(done, infos)
        self.observation = packed
        if mask is not None:
            self._check_choices(mask)
            self.observation = self._append(packed, mask)
            next_observation = self._append(next_observation, next_mask)
        return Step(reward, terminated, done, next_observation, valid)

    def _with_final(self, packed: np.ndarray, infos: dict[str, Any], done: np.ndarray) -> np.ndarray:
        # Kernel environments keep them in one array; behind a wrapper those would miss what the wrapper does.
        final = getattr(self.env, "final_observation", None) if self.env is self.env.unwrapped else None
        if final is not None:
            rows = self.codec.pack(final)
            return np.where(done[:, None], rows, packed)
        result = packed.copy()
        for i in np.flatnonzero(done):
            result[i] = self.codec.pack_one(infos["final_obs"][i])
        return result

    def _record(self, done: np.ndarray, infos: dict[str, Any]) -> None:
        self.finished.setdefault("return", []).extend(self._returns[done].tolist())
        self.finished.setdefault("length", []).extend(self._lengths[done].tolist())
        for key in infos.get("final_info", infos):
            value = None if key.startswith("_") or key.startswith("final_") else step_info(infos, key, done)
            if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiub":
                self.finished.setdefault(f"final_{key}", []).extend(value[done].astype(float).tolist())
        self._returns[done] = 0.0
        self._lengths[done] = 0

    def pop_metrics(self) -> dict[str, float]:
        """Return means over the episodes finished since the last call, such as `rollout/return_mean`."""
        metrics = {f"rollout/{key}_mean": float(np.mean(values)) for key, values in self.finished.items() if values}
        if metrics:
            metrics["rollout/episodes"] = float(len(self.finished["return"]))
        self.finished = {}
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the running episodes, and the statistics of those that have ended."""
        return super().state_dict() | {"finished": self.finished}

    def _with_masks(self, state: dict[str, Any]) -> dict[str, Any]:
        """Allow everything in the first step from a file of the first release, which holds no masks."""
        rows = state["observation"]
        if not self.mask_dim or rows.ndim != 2 or rows.shape[1] != self.codec.packed_dim:
            return state
        return {**state, "observation": self._append(rows, np.ones((len(rows), self.mask_dim), bool))}

    def _take_up(self, state: dict[str, Any]) -> int | None:
        steps = super()._take_up(self._with_masks(state))
        self.finished = {key: list(values) for key, values in state["finished"].items()}
        return steps
