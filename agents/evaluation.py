"""Evaluate an agent: many episodes side by side, every one counted, on seeds of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from envzoo.action_masks import NAME, takes_mask, with_masks
from envzoo.agents.agent import Agent, Learner
from envzoo.agents.infos import step_info
from envzoo.agents.source import is_game
from envzoo.agents.threads import on_own_threads
from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_seed

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv

EVALUATION_SEED = 10_000_019  # far from the training seeds, which are hashed
MAX_PARALLEL = 128


@dataclass(frozen=True)
class EvaluationResult:
    """Results of E evaluation episodes.

    Attributes:
        returns: (E,) undiscounted returns; in games the mean over the players.
        lengths: (E,) steps.
        infos: Last value of each numeric info key, (E,) each; in games of the first player whose infos have the key,
            and beside them `return_<player>`.
    """

    returns: np.ndarray
    lengths: np.ndarray
    infos: dict[str, np.ndarray]

    def metrics(self, prefix: str = "eval/") -> dict[str, float]:
        """Return the means, and the standard deviation of the return, as named metrics."""
        result = {
            f"{prefix}return_mean": float(self.returns.mean()),
            f"{prefix}return_std": float(self.returns.std()),
            f"{prefix}length_mean": float(self.lengths.mean()),
        }
        return result | {f"{prefix}final_{key}_mean": float(values.mean()) for key, values in self.infos.items()}

    def scores(self, metric: str) -> np.ndarray:
        """Return the values (E,) of "return", "length" or an info key ; raises EnvzooError for other names."""
        values = {"return": self.returns, "length": self.lengths, **self.infos}
        if metric not in values:
            raise EnvzooError(f"episodes have no {metric!r}; expected one of {', '.join(values)}")
        return values[metric]


@on_own_threads
def evaluate(
    agent: Agent,
    env: VectorEnv | ParallelEnv | None = None,
    *,
    episodes: int = 100,
    seed: int = EVALUATION_SEED,
    deterministic: bool = True,
) -> EvaluationResult:
    """Evaluate an agent for a number of episodes and return the results.

    Every parallel slot plays the same number of episodes (one more for the first few), so short episodes are not
    counted more often than long ones. A game is played one episode after the other, all players by the agent.

    Args:
        agent: Any agent for environments or games.
        env: Vector environment or game to play in, left open; None makes fresh copies of the agent's source.
        episodes: Number of episodes.
        seed: Seed of the first reset; in games episode e has the seed `seed + e`.
        deterministic: Passed to `predict`.

    Raises:
        EnvzooError: No agent, a number of episodes or a seed that is not usable, or no environment to play in.
    """
    if not isinstance(episodes, int | np.integer) or isinstance(episodes, bool) or episodes < 1:
        raise EnvzooError(f"an evaluation needs at least 1 episode, got {episodes!r}")
    check_seed(seed)
    if isinstance(agent, Learner) and not can_play(agent):
        raise EnvzooError(f"{agent.spec.name} chooses no actions, so there are no episodes to evaluate it in")
    if not can_play(agent) or not hasattr(agent, "source"):
        raise EnvzooError(f"an evaluation is of an agent, got {agent!r}; expected one made by envzoo.agents.make")
    own = env is None
    if not own and not is_game(env) and not isinstance(env, VectorEnv):
        raise EnvzooError(
            f"an evaluation plays in a vector environment or a game, got {env!r}; expected gymnasium.make_vec(...), or "
            "None for copies of the environment that the agent learned in"
        )
    if is_game(env) or (own and agent.source.kind == "game"):
        game = agent.source.evaluation_game() if own else env
        try:
            return _play_game(agent, game, episodes, seed, deterministic)
        finally:
            if own:
                game.close()
    env = agent.source.evaluation_env(min(episodes, MAX_PARALLEL)) if own else env
    try:
        return _play(agent, env, episodes, seed, deterministic)
    finally:
        if own:
            env.close()


def can_play(agent: Any) -> bool:
    """Return whether an object or class has a `predict` that chooses actions."""
    return callable(getattr(agent, "predict", None))


def _play(agent: Agent, env: VectorEnv, episodes: int, seed: int, deterministic: bool) -> EvaluationResult:
    count = env.num_envs
    if env.metadata.get("autoreset_mode") == AutoresetMode.DISABLED:
        raise EnvzooError(f"{env} has autoreset disabled; an evaluation needs the mode SAME_STEP or NEXT_STEP")
    same_step = env.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
    quota = np.full(count, episodes // count) + (np.arange(count) < episodes % count)
    agent.set_env(env)
    ask = with_masks(agent.predict)
    observation, infos = env.reset(seed=seed)
    state: Any = None
    start = np.ones(count, bool)
    resetting = np.zeros(count, bool)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    finished_returns: list[float] = []
    finished_lengths: list[int] = []
    finished_infos: dict[str, list[float]] = {}
    while quota.any():
        action, state = ask(observation, state, start, deterministic, infos)
        observation, reward, terminated, truncated, infos = env.step(action)
        done = terminated | truncated
        returns += np.where(resetting, 0.0, reward)
        lengths += ~resetting
        start, resetting = (done, resetting) if same_step else (resetting, done)
        counted = done & (quota > 0)
        if counted.any():
            finished_returns += returns[counted].tolist()
            finished_lengths += lengths[counted].tolist()
            for key in infos.get("final_info", infos):
                value = None if key.startswith(("_", "final_")) else step_info(infos, key, done)
                if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiub":
                    finished_infos.setdefault(key, []).extend(value[counted].astype(float).tolist())
            quota[counted] -= 1
        returns[done], lengths[done] = 0.0, 0
    return EvaluationResult(
        np.array(finished_returns),
        np.array(finished_lengths),
        {key: np.array(values) for key, values in finished_infos.items()},
    )


def _play_game(agent: Agent, game: ParallelEnv, episodes: int, seed: int, deterministic: bool) -> EvaluationResult:
    agent.set_env(game)
    masked = takes_mask(agent.predict)
    returns = {player: np.zeros(episodes) for player in game.possible_agents}
    lengths = np.zeros(episodes, np.int64)
    infos: dict[str, list[float]] = {}
    for episode in range(episodes):
        observations, latest = game.reset(seed=seed + episode)
        state, start, last = None, np.ones(1, bool), {}
        while game.agents:
            seen = {player: observations[player] for player in game.agents}
            masks = {player: info[NAME] for player, info in latest.items() if NAME in info}
            keywords = {"action_mask": masks} if masked and masks else {}
            actions, state = agent.predict(seen, state, start, deterministic, **keywords)
            observations, rewards, _, _, latest = game.step(actions)
            for player, reward in rewards.items():
                returns[player][episode] += reward
            last.update(latest)
            lengths[episode] += 1
            start = np.zeros(1, bool)
        values: dict[str, float] = {}
        for player in game.possible_agents:
            for key, value in last.get(player, {}).items():
                if isinstance(value, bool | int | float | np.number | np.bool_):
                    values.setdefault(key, float(value))
        for key, value in values.items():
            infos.setdefault(key, []).append(value)
    each = {f"return_{player}": values for player, values in returns.items()}
    mean = np.mean(list(returns.values()), axis=0)
    return EvaluationResult(mean, lengths, {key: np.array(values) for key, values in infos.items()} | each)
