"""Collect episodes in parallel environments, and write them atomically as a Minari dataset."""

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
from envzoo.datasets.recipes import namespaces
from envzoo.errors import DatasetError, EnvzooError, unknown
from envzoo.kernel.recognize import has_kernel

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

MAX_PARALLEL = 1000
MAX_EPISODES = 10**8  # more would not fit on a disk
MAX_EPISODE_STEPS = 100_000  # a guard for environments that never end
BUILDING = ".envzoo-building-"  # Minari ignores hidden folders


class Predict(Protocol):
    """Signature of `predict`, as in Stable-Baselines3."""

    def __call__(
        self, observation: Any, state: Any, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, Any]:
        """Return batched actions for batched observations, and the recurrent state for the next call."""


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to every array of an observation, which is an array or a dict of arrays."""
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
    """Collect complete episodes from parallel environments.

    Args:
        env_id: Gymnasium id of the environment.
        predict: The policy.
        episodes: Number of episodes; up to 1000 run in parallel.
        seed: Episode i is reset with `seed + i`.
        env_kwargs: Keyword arguments of the environment.
        deterministic: Passed to `predict`.
        prepare: Called with every vector environment before its first episode (an agent's `set_env`).

    Returns:
        Minari buffers of T steps each: observations and infos (T + 1, ...), all other arrays (T, ...). Only numeric
        infos that every reset and step returns are kept; if there are none, the info `step` counts from 0 to T.

    Raises:
        EnvzooError: The number of episodes is not positive, the environment does not reset in the step after the end
            of an episode, or an episode does not end.
    """
    check_request(predict, episodes, seed, env_kwargs)
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


def check_request(predict: Any, episodes: Any, seed: Any, env_kwargs: Any) -> None:
    """Raise EnvzooError unless these arguments of `collect` are usable."""
    if not isinstance(episodes, int | np.integer) or isinstance(episodes, bool) or not 1 <= episodes <= MAX_EPISODES:
        raise EnvzooError(f"a dataset needs at least 1 episode, and at most {MAX_EPISODES}, got {episodes!r}")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise EnvzooError(f"seed {seed!r} is not usable; expected an integer of at least 0")
    if not callable(predict):
        raise EnvzooError(f"predict is a {type(predict).__name__}; expected a function, such as an agent's predict")
    if env_kwargs is not None and not isinstance(env_kwargs, Mapping):
        raise EnvzooError(f"env_kwargs is {env_kwargs!r}; expected a dict of keywords of the environment")


def _vector_env(env_id: str, num_envs: int, env_kwargs: Mapping[str, Any]) -> VectorEnv:
    """Make a vector environment that seeds environment i with `seed + i`, as Gymnasium's SyncVectorEnv does."""
    mode = "vector_entry_point" if has_kernel(gym.spec(env_id)) else "sync"
    return gym.make_vec(env_id, num_envs=num_envs, vectorization_mode=mode, **env_kwargs)


def _play(env: VectorEnv, predict: Predict, seed: int, deterministic: bool, name: str) -> list[EpisodeBuffer]:
    """Play one episode in every environment; steps after the end of the episode are discarded."""
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
    # The episode is the first axis, so that each episode is one slice.
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
    """Copy the numeric infos, without their masks."""
    return {
        key: np.array(value)
        for key, value in infos.items()
        if not key.startswith("_") and isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }


def returns(buffers: list[EpisodeBuffer]) -> np.ndarray:
    """Compute the undiscounted return of each episode, (E,) float64."""
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
    """Write episodes to a dataset in the Minari root, atomically, so that a killed build leaves no dataset behind.

    Args:
        dataset_id: `(namespace/)*name-vN`.
        buffers: The episodes.
        env_id: Environment of the episodes; stored so that it can be recovered.
        env_kwargs: Its keyword arguments.
        description: Description of the dataset, for readers.
        algorithm: Name of the policy.
        ref_min_score: Mean return of the uniformly random policy.
        ref_max_score: Mean return of a near-optimal policy.
        facts: Further metadata, JSON-serialisable.
        overwrite: Replace an existing dataset of the same id.

    Returns:
        The dataset's folder.

    Raises:
        DatasetError: The id is malformed, or the dataset exists and `overwrite` is False.
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
    """Check that the id is well formed and, unless `overwrite`, not in use; raises DatasetError otherwise."""
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
    """Write a dataset into the current Minari root."""
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
                **scores,  # both, because Minari would otherwise play episodes to compute the missing one
                data_format="hdf5",  # tens of times faster to write than the alternatives
                jpeg_encoding=False,  # the default is lossy
            )
    finally:
        env.close()
    # The scores are set again because Minari silently drops them when the dataset has no environment.
    dataset.storage.update_metadata({**scores, **(facts or {})})


@contextmanager
def _minari_root(folder: str) -> Iterator[None]:
    """Redirect Minari to another root for the duration of the block; it reads the variable at every call."""
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
    """Create the namespaces of an id, with their descriptions if envzoo has any."""
    from minari import namespace

    parts = dataset_id.split("/")[:-1]
    local, descriptions = namespace.list_local_namespaces(), namespaces()
    for name in ("/".join(parts[: i + 1]) for i in range(len(parts))):
        if name not in local:
            namespace.create_namespace(name, descriptions.get(name))
        elif name in descriptions and not namespace.get_namespace_metadata(name):
            namespace.update_namespace_metadata(name, descriptions[name])  # Minari created it without a description


def _sweep(root: Path) -> None:
    """Remove the remains of killed builds that are more than a day old (a younger build may still be running)."""
    for folder in root.glob(f"{BUILDING}*"):
        if time.time() - folder.stat().st_mtime > 86_400:
            shutil.rmtree(folder, ignore_errors=True)
