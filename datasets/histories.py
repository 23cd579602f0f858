"""Learning histories: runs of a learner over many episodes of a task, one Minari episode each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np

from envzoo.errors import DatasetError
from envzoo.offline.darkroom import DarkGrid, DarkKeyToDoor

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

# Names of the infos of a history, (T + 1,) each.
TASK, EPISODE, BEST_ACTION, BEST_RETURN = "task", "episode", "best_action", "best_return"


class QTables:
    """Tabular Q-learning of N independent learners side by side, with exploration that falls linearly.

    Args:
        learners: N.
        states: S.
        actions: A.
        generator: Source of explored actions.
        random: (N,) bool, which of them act uniformly at random for ever.
        rate: Step size.
        gamma: Discount factor.
    """

    def __init__(
        self,
        learners: int,
        states: int,
        actions: int,
        generator: np.random.Generator,
        random: np.ndarray,
        rate: float = 0.5,
        gamma: float = 0.9,
    ):
        self.q = np.zeros((learners, states, actions))
        self.generator, self.random, self.rate, self.gamma = generator, random, rate, gamma
        self.each = np.arange(learners)

    def act(self, state: np.ndarray, epsilon: float) -> np.ndarray:
        """Choose actions (N,): greedy with ties broken at random, or random ones with probability `epsilon`."""
        values = self.q[self.each, state]
        noise = self.generator.random(values.shape)
        greedy = np.where(values == values.max(axis=1, keepdims=True), noise, -1.0).argmax(axis=1)
        explore = (self.generator.random(len(state)) < epsilon) | self.random
        return np.where(explore, noise.argmax(axis=1), greedy)

    def learn(self, state: np.ndarray, action: np.ndarray, reward: np.ndarray, following: np.ndarray) -> None:
        """Take a step of Q-learning; a time limit is no end."""
        target = reward + self.gamma * self.q[self.each, following].max(axis=1)
        self.q[self.each, state, action] += self.rate * (target - self.q[self.each, state, action])


def best_actions(world: DarkGrid, position: np.ndarray, stage: np.ndarray | None = None) -> np.ndarray:
    """Compute an optimal action at each cell (..., 2) of a dark room: along the rows, along the columns, then stay.

    Args:
        world: The room.
        position: The cells.
        stage: (...) rewards of the episode so far, for a room with a key and a door: the door follows the key.
    """
    target = world.parameters.goal
    if stage is not None:
        target = np.where(stage[..., None] > 0, world.parameters.door, target)
    away = target - position
    wanted = np.zeros_like(away)
    rows_left = away[..., 0] != 0
    wanted[..., 0] = np.sign(away[..., 0])
    wanted[..., 1] = np.where(rows_left, 0, np.sign(away[..., 1]))
    return (wanted[..., None, :] == world.parameters.moves).all(axis=-1).argmax(axis=-1)


def play_histories(
    env_id: str,
    tasks: Sequence[Mapping[str, Any]],
    *,
    histories: int,
    episodes: int,
    noise: float,
    seed: int,
    env_kwargs: Mapping[str, Any],
) -> list[EpisodeBuffer]:
    """Let a Q-learner learn in each task again and again from nothing, and record what it does.

    Args:
        env_id: A dark room with a time limit.
        tasks: Keywords of the environment, one mapping for each task.
        histories: Runs of each task.
        episodes: Episodes of a run, over which exploration falls from 1 to 0.05.
        noise: Share of runs that act at random from the beginning to the end.
        seed: Seed of everything.
        env_kwargs: Keywords that all tasks share.

    Returns:
        Buffers, ordered by run and within it by task. Within a history, the observation behind the last step of an
        episode is the first one of the next episode. The infos are the number of the task, that of the episode, an
        optimal action, and the largest possible return of the task.
    """
    runs: list[list[EpisodeBuffer]] = []
    for number, task in enumerate(tasks):
        generator = np.random.default_rng((seed, number))
        runs.append(_play_task(env_id, {**env_kwargs, **task}, number, histories, episodes, noise, generator))
    return [run[h] for h in range(histories) for run in runs]


def _play_task(
    env_id: str, env_kwargs: dict, number: int, histories: int, episodes: int, noise: float, generator: Any
) -> list[EpisodeBuffer]:
    from minari.data_collector import EpisodeBuffer

    env = gym.make_vec(env_id, num_envs=histories, vectorization_mode="vector_entry_point", **env_kwargs)
    world, limit = env.unwrapped.definition, env.spec.max_episode_steps
    size, total = world.parameters.size, episodes * env.spec.max_episode_steps
    random = np.arange(histories) < round(noise * histories)
    staged = isinstance(world, DarkKeyToDoor)
    learner = QTables(histories, size * size * (3 if staged else 1), int(world.action_space.n), generator, random)
    place, _ = env.reset(seed=int(generator.integers(2**31)))
    # The learner, unlike the observation, tells whether the key is held: by the rewards of the episode so far.
    stage = np.zeros(histories, np.int64)
    columns: dict[str, list[np.ndarray]] = {"observation": [place.copy()], "action": [], "reward": [], "stage": [stage]}
    for step in range(total):
        state = (stage * size + place[:, 0]) * size + place[:, 1]
        action = learner.act(state, max(0.05, 1 - step / (0.75 * total)))
        place, reward, _, _, _ = env.step(action)
        if staged:
            stage = stage + reward.astype(np.int64)
        learner.learn(state, action, reward, (stage * size + place[:, 0]) * size + place[:, 1])
        columns["action"].append(action)
        columns["reward"].append(reward.copy())
        if (step + 1) % limit == 0:
            place, _ = env.reset()
            stage = np.zeros(histories, np.int64)
        columns["observation"].append(place.copy())
        columns["stage"].append(stage)
    env.close()
    observations, actions, rewards, stages = (np.stack(column, axis=1) for column in columns.values())
    ends = (np.arange(total) + 1) % limit == 0
    infos = {
        TASK: np.full(total + 1, number),
        EPISODE: np.arange(total + 1) // limit,
        BEST_RETURN: np.full(total + 1, float(world.largest_return(limit))),
    }
    return [
        EpisodeBuffer(
            observations=observations[h],
            actions=actions[h],
            rewards=rewards[h],
            terminations=np.zeros(total, bool),
            truncations=ends,
            infos={**infos, BEST_ACTION: best_actions(world, observations[h], stages[h] if staged else None)},
        )
        for h in range(histories)
    ]


class HistoryInfos(NamedTuple):
    """Infos of H learning histories with N steps in total.

    Attributes:
        begins: (N,) bool, whether a step is the first one of an episode.
        best_action: (N,) int64 optimal action.
        task: (H,) int64.
        best_return: (H,) largest possible return of the task.
        returns: The returns of the episodes of each history.
    """

    begins: np.ndarray
    best_action: np.ndarray
    task: np.ndarray
    best_return: np.ndarray
    returns: list[np.ndarray]


def read_infos(dataset: Any) -> HistoryInfos:
    """Read the infos of a dataset of learning histories.

    Raises:
        DatasetError: They lack one of them: the dataset does not hold learning histories.
    """
    begins, best_action, task, best_return, returns = [], [], [], [], []
    for episode in dataset.iterate_episodes():
        infos = episode.infos or {}
        missing = [name for name in (TASK, EPISODE, BEST_ACTION, BEST_RETURN) if name not in infos]
        if missing:
            raise DatasetError(
                f"dataset {dataset.id} does not hold learning histories: its infos lack {', '.join(missing)}; make one "
                "such as envzoo/darkroom/histories-v0"
            )
        steps = len(episode.rewards)
        number = np.asarray(infos[EPISODE])[:steps]
        first = np.diff(number, prepend=number[0] - 1) != 0
        begins.append(first)
        best_action.append(np.asarray(infos[BEST_ACTION])[:steps])
        task.append(int(infos[TASK][0]))
        best_return.append(float(infos[BEST_RETURN][0]))
        returns.append(np.add.reduceat(np.asarray(episode.rewards, np.float64), np.flatnonzero(first)))
    return HistoryInfos(
        np.concatenate(begins),
        np.concatenate(best_action).astype(np.int64),
        np.array(task),
        np.array(best_return),
        returns,
    )
