"""Playing episodes side by side, and writing them as a Minari dataset that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from envzoo import registration
from envzoo.action_masks import with_masks
from envzoo.datasets import store
from envzoo.datasets.recipes import NAMESPACES
from envzoo.errors import DatasetError, EnvzooError, unknown
from envzoo.kernel.recognize import has_kernel

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

MAX_PARALLEL = 1000
MAX_EPISODES = 10**8  # more would not fit on a disk
MAX_EPISODE_STEPS = 100_000  # a guard for environments that never end
BUILDING = ".envzoo-building-"  # Minari overlooks hidden folders


class Predict(Protocol):
    """How a policy is asked for actions: the signature of Stable-Baselines3."""

    def __call__(
        self, observation: Any, state: Any, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, Any]:
        """Batched actions for batched observations, and the memory for the next call."""


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to the arrays of an observation: one array, or dicts of arrays."""
    if isinstance(tree, dict):
        return {key: tree_map(function, value, *(other[key] for other in rest)) for key, value in tree.items()}
    return function(tree, *rest)


def collect(
    env_id: str,
    predict: Predict,
    *,
    episodes: int,
    seed: int,
    env_kwargs: Mapping[str, Any] | None = None,
    deterministic: bool = False,
    prepare: Callable[[VectorEnv], None] | None = None,
) -> list[EpisodeBuffer]:
    """Play whole episodes side by side.

    Args:
        env_id: Gymnasium id.
        predict: The policy.
        episodes: How many; up to 1000 run at once.
        seed: Episode i is reset with `seed + i`.
        env_kwargs: Keywords of the environment.
        deterministic: Passed to `predict`.
        prepare: Called with every vector environment before it is played in (an agent's `set_env`).

    Returns:
        Minari buffers of T steps each: observations and infos (T + 1, ...), the rest (T, ...). Infos are the numeric
        ones that every reset and step gives; where there are none, `step` counts from 0 to T.

    Raises:
        EnvzooError: No episodes asked for, an environment that does not reset in the step after the end, or an
            episode that does not end.
    """
    if not isinstance(episodes, int | np.integer) or isinstance(episodes, bool) or not 1 <= episodes <= MAX_EPISODES:
        raise EnvzooError(f"a dataset needs at least 1 episode, and at most {MAX_EPISODES}, got {episodes!r}")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise EnvzooError(f"seed {seed!r} is not usable; expected an integer of at least 0")
    if not callable(predict):
        raise EnvzooError(f"predict is a {type(predict).__name__}; expected a function, such as an agent's predict")
    if env_kwargs is not None and not isinstance(env_kwargs, Mapping):
        raise EnvzooError(f"env_kwargs is {env_kwargs!r}; expected a dict of keywords of the environment")
    if not isinstance(env_id, str) or env_id not in gym.registry:
        raise unknown("environment", env_id, [row.id for row in registration.specs()])
    buffers: list[EpisodeBuffer] = []
    for first in range(0, episodes, MAX_PARALLEL):
        env = _vector_env(env_id, min(MAX_PARALLEL, episodes - first), env_kwargs or {})
        try:
            if env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP) != AutoresetMode.NEXT_STEP:
                raise EnvzooError(f"{env_id} must be made with the autoreset mode NEXT_STEP to be collected from")
            if prepare is not None:
                prepare(env)
            buffers += _play(env, predict, seed + first, deterministic, env_id)
        finally:
            env.close()
    return buffers


def _vector_env(env_id: str, num_envs: int, env_kwargs: Mapping[str, Any]) -> VectorEnv:
    """A vector environment in which episode i has the seed `seed + i`, as ours and Gymnasium's SyncVectorEnv do it."""
    mode = "vector_entry_point" if has_kernel(gym.spec(env_id)) else "sync"
    return gym.make_vec(env_id, num_envs=num_envs, vectorization_mode=mode, **env_kwargs)


def _play(env: VectorEnv, predict: Predict, seed: int, deterministic: bool, name: str) -> list[EpisodeBuffer]:
    """One episode in every slot; what a slot does after its episode's end is thrown away."""
    from minari.data_collector import EpisodeBuffer

    count = env.num_envs
    observation, infos = env.reset(seed=seed)
    # Some environments reuse their output arrays, so every array is copied before the next step.
    observations, all_infos = [tree_map(np.array, observation)], [_numeric(infos)]
    actions, rewards, terminations, truncations = [], [], [], []
    lengths = np.zeros(count, np.int64)
    state: Any = None
    start = np.ones(count, bool)
    ask = with_masks(predict)
    while not lengths.all():
        if len(rewards) == MAX_EPISODE_STEPS:
            raise EnvzooError(f"an episode of {name} has no end after {MAX_EPISODE_STEPS} steps; give it a time limit")
        action, state = ask(observation, state, start, deterministic, infos)
        observation, reward, terminated, truncated, infos = env.step(action)
        observations.append(tree_map(np.array, observation))
        all_infos.append(_numeric(infos))
        actions.append(np.array(action))
        rewards.append(np.array(reward))
        terminations.append(np.array(terminated))
        truncations.append(np.array(truncated))
        start = np.zeros(count, bool)
        lengths[(terminated | truncated) & (lengths == 0)] = len(rewards)
    # Episode first, so that each episode is one slice.
    observations = tree_map(lambda *steps: np.stack(steps, axis=1), *observations)
    stacked = [np.stack(rows, axis=1) for rows in (actions, rewards, terminations, truncations)]
    keys = [key for key in all_infos[0] if all(key in step for step in all_infos)]
    info_rows = {key: np.stack([step[key] for step in all_infos], axis=1) for key in keys}
    if not info_rows:  # Minari reads an episode without infos back as None, which its own repr cannot show
        info_rows = {"step": np.broadcast_to(np.arange(len(rewards) + 1), (count, len(rewards) + 1))}
    buffers = []
    for i, length in enumerate(lengths.tolist()):
        action, reward, terminated, truncated = (rows[i, :length] for rows in stacked)
        buffers.append(
            EpisodeBuffer(
                seed=seed + i,
                observations=tree_map(lambda rows, i=i, end=length + 1: rows[i, :end], observations),
                actions=action,
                rewards=reward,
                terminations=terminated,
                truncations=truncated,
                infos={key: rows[i, : length + 1] for key, rows in info_rows.items()},
            )
        )
    return buffers


def _numeric(infos: dict[str, Any]) -> dict[str, np.ndarray]:
    """Copies of the numeric infos, without their masks."""
    return {
        key: np.array(value)
        for key, value in infos.items()
        if not key.startswith("_") and isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }


def returns(buffers: list[EpisodeBuffer]) -> np.ndarray:
    """Undiscounted returns of the episodes, (E,) float64."""
    return np.array([float(np.sum(buffer.rewards)) for buffer in buffers])


def write(
    dataset_id: str,
    buffers: list[EpisodeBuffer],
    *,
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    description: str,
    algorithm: str,
    ref_min_score: float,
    ref_max_score: float,
    facts: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write episodes as a dataset of the Minari root, atomically: a build that is killed leaves no dataset behind.

    Args:
        dataset_id: `(namespace/)*name-vN`.
        buffers: The episodes.
        env_id: Environment they were played in; stored so that it can be recovered.
        env_kwargs: Its keywords.
        description: For people.
        algorithm: Name of the policy.
        ref_min_score: Mean return of the uniformly random policy.
        ref_max_score: Return of a near-optimal one.
        facts: More metadata, JSON-serialisable.
        overwrite: Replace a dataset of the same id.

    Returns:
        The dataset's folder.

    Raises:
        DatasetError: The id has the wrong form, or the dataset exists and is not to be overwritten.
    """
    check_free(dataset_id, overwrite)
    target = store.root() / dataset_id
    store.root().mkdir(parents=True, exist_ok=True)
    _sweep(store.root())
    with tempfile.TemporaryDirectory(dir=store.root(), prefix=BUILDING) as folder:
        with _minari_root(folder):
            scores = {"ref_min_score": float(ref_min_score), "ref_max_score": float(ref_max_score)}
            _create(dataset_id, buffers, env_id, env_kwargs, description, algorithm, scores, facts)
        _describe_namespaces(dataset_id)
        replaced = Path(folder) / "replaced"
        if overwrite and target.exists():
            os.rename(target, replaced)
        try:
            os.rename(Path(folder) / dataset_id, target)
        except OSError as error:
            if replaced.exists():
                os.rename(replaced, target)
            raise DatasetError(f"dataset {dataset_id} could not be put in place ({error})") from error
    return target


def check_free(dataset_id: str, overwrite: bool) -> None:
    """Raise DatasetError for an id of the wrong form, or one that exists unless `overwrite` is set."""
    if not store.is_valid_id(dataset_id):
        raise DatasetError(f"{dataset_id!r} cannot be the id of a dataset, expected (namespace/)name-vN")
    if not overwrite and (store.root() / dataset_id).exists():
        raise DatasetError(f"dataset {dataset_id} exists already in {store.root()}; add --overwrite to make it anew")


def _create(
    dataset_id: str,
    buffers: list[EpisodeBuffer],
    env_id: str,
    env_kwargs: Mapping[str, Any] | None,
    description: str,
    algorithm: str,
    scores: dict[str, float],
    facts: Mapping[str, Any] | None,
) -> None:
    """Write a dataset into the present Minari root."""
    import minari

    env = gym.make(env_id, **(env_kwargs or {}))
    try:
        with warnings.catch_warnings():
            # Minari asks for an e-mail address, a permanent link and a second environment; none of them is needed.
            warnings.filterwarnings("ignore", "`(author_email|code_permalink|eval_env)` is set to None", UserWarning)
            dataset = minari.create_dataset_from_buffers(
                dataset_id,
                buffers,
                env=env,
                algorithm_name=algorithm,
                author="The envzoo developers",
                description=description,
                **scores,  # both, or Minari plays episodes of its own to find the missing one
                data_format="hdf5",  # tens of times faster to write than its alternatives
                jpeg_encoding=False,  # the default is lossy
            )
    finally:
        env.close()
    # The scores are stated again because Minari drops them without a word where it has no environment to go with them.
    dataset.storage.update_metadata({**scores, **(facts or {})})


@contextmanager
def _minari_root(folder: str) -> Iterator[None]:
    """Let Minari work in another root; it reads the variable at every call."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before


def _describe_namespaces(dataset_id: str) -> None:
    """Make the namespaces of an id, with our descriptions where we have any."""
    from minari import namespace

    parts = dataset_id.split("/")[:-1]
    local = namespace.list_local_namespaces()
    for name in ("/".join(parts[: i + 1]) for i in range(len(parts))):
        if name not in local:
            namespace.create_namespace(name, NAMESPACES.get(name))
        elif name in NAMESPACES and not namespace.get_namespace_metadata(name):
            namespace.update_namespace_metadata(name, NAMESPACES[name])  # Minari made it, empty, on its own


def _sweep(root: Path) -> None:
    """Remove what killed builds left, once it is a day old (a younger one may still be running)."""
    for folder in root.glob(f"{BUILDING}*"):
        if time.time() - folder.stat().st_mtime > 86_400:
            shutil.rmtree(folder, ignore_errors=True)
