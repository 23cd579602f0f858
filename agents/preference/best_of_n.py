"""Best-of-N: draw N candidates from an agent and act by the one with the largest reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import gymnasium as gym
import numpy as np

from envzoo.agents.agent import Agent
from envzoo.agents.carried import CarriedAgent, revive_carried
from envzoo.agents.seeding import Streams
from envzoo.agents.source import Source
from envzoo.agents.spec import Holds, require
from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError
from envzoo.reasoning.episode import TextEnv
from envzoo.wrappers.stateful import capturable

MOST_STEPS = 100_000  # of a candidate
# From text observations and answers to rewards (n,), or from the candidates of one episode to theirs.
Reward = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class BestOfNConfig:
    """Hyperparameters of BestOfN."""

    n: int = 4
    """Number of candidates (N)."""
    base: Annotated[str | None, Holds("agent", part="base_agent")] = None
    """The agent that draws candidates: a name, to be trained with its default hyperparameters, or a saved agent's
    file. None waits for `draw_from`."""

    def __post_init__(self):
        require(self.n >= 1, f"n of BestOfN is at least 1, got {self.n}")
        require(self.base not in ("", "BestOfN"), f"base of BestOfN is another agent or a file, got {self.base!r}")


class Plans(NamedTuple):
    """Memory between calls of `predict`: the best candidates of the running episodes.

    Attributes:
        actions: For each episode, the actions that are still to be taken.
    """

    actions: list[list[Any]]


class BestOfN(Agent):
    """Draw N candidates from a base agent, and act by the one with the largest reward; the agent is not changed.

    A candidate is a whole answer in a text environment, and a whole episode elsewhere: at the start of an episode, N
    continuations are played in the environment given to `set_env` (evaluation calls it), whose state is captured and
    restored, and the actions of the best one are then repeated. Candidates share the random numbers of the
    environment, so in an environment with random transitions the choice exploits knowledge of future random numbers.
    Of equal candidates the first is chosen, which is the same as a random one.

    If the base agent draws from p, the distribution of the result is p weighted by

        F(r)^N - F(r-)^N    at each level r of the reward, with F(r) = P_p(reward <= r)

    (see `envzoo.agents.preference.best_of_n_law`), and its KL divergence from p is at most log N - (N - 1) / N.
    Learning trains the base agent if it was given by name; BestOfN itself learns nothing. The sampling of candidates
    advances the random streams of the base agent; with `deterministic` they are those of a fixed seed.

    Source: the alignment procedure that Yang et al. 2024 (arXiv 2404.01730) compare with KL-constrained reinforcement
    learning; the bound is that of Beirami et al. 2024 (arXiv 2401.01879).

    Metrics:
        Those of the base agent.
    """

    Config = BestOfNConfig
    config: BestOfNConfig

    def __init__(
        self,
        source: Source,
        config: BestOfNConfig,
        *,
        seed: int = 0,
        device: str = "auto",
        base_agent: CarriedAgent | None = None,
    ):
        super().__init__(source, config, seed=seed, device=device)
        self.trained: Agent | None = None  # the base, if it is trained here
        self.base: Agent | None = None if config.base is None else self._build_base(base_agent, device)
        self.reward: Reward | None = None
        self._env: Any = None
        self.texts_only = isinstance(source.action_space, gym.spaces.Text)
        if source.given is not None:
            self.set_env(source.given)

    @classmethod
    def rebuild(cls, source: Source, config: BestOfNConfig, state: Any, **keywords: Any) -> BestOfN:
        """Build an agent for a saved state; a base that was given as a file is built from its copy in the state."""
        from envzoo.agents.registry import specs

        if config.base is not None and config.base not in specs():
            keywords["base_agent"] = revive_carried(state, "base_agent", "base")
        return cls(source, config, **keywords)

    def _build_base(self, carried: CarriedAgent | None, device: str) -> Agent:
        from envzoo.agents.making import load
        from envzoo.agents.registry import agent_class, specs

        c = self.config
        if c.base in specs():
            cls = agent_class(c.base)
            learner = cls(self.source, cls.Config(), seed=self.streams.integer("base"), device=device)
            self.trained = self.register("base", learner)
        else:
            try:
                carried = carried or CarriedAgent(load(c.base, device=device))
            except CheckpointError as error:
                raise EnvzooError(
                    f"base is the name of an agent, or a readable file, got {c.base!r} ({error})"
                ) from error
            learner = self.register("base_agent", carried).agent
        self._check_base(learner)
        return learner

    def _check_base(self, agent: Any) -> None:
        if not isinstance(agent, Agent):
            raise UnsupportedSpaceError(f"{agent.spec.name} chooses no actions, so it draws no candidates")
        mine, theirs = (str(source.action_space) for source in (self.source, agent.source))
        if mine != theirs:
            raise UnsupportedSpaceError(
                f"{agent.spec.name} acts in {theirs}, but {self.source.name} takes {mine}; expected a base agent of "
                "the same actions"
            )

    # ------------------------------------------------------------------ other bases and rewards

    def draw_from(self, agent: Agent) -> BestOfN:
        """Draw candidates from a given agent from now on; it is not saved with this one. Returns this agent.

        Raises:
            UnsupportedSpaceError: The agent does not act, or has another action space.
        """
        self._check_base(agent)
        self.base, self.trained = agent, None
        return self

    def judge_by(self, reward: Reward) -> BestOfN:
        """Choose by another reward than the environment's from now on; it is not saved. Returns this agent.

        Args:
            reward: In a text environment, a function from observations and answers, lists of n texts, to rewards (n,).
                Elsewhere, a function from the observations (T + 1, ...) and actions (T, ...) of a candidate to its
                reward.
        """
        self.reward = reward
        return self

    def set_env(self, env: Any) -> None:
        """Set the environment in which candidates are played: single or vector, also behind envzoo's wrappers.

        Raises:
            UnsupportedSpaceError: It takes no texts, and its state cannot be captured.
        """
        self._env = env
        if not self.texts_only and capturable(env) is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} restores states after playing candidates, but {env.unwrapped} cannot capture its "
                "state; expected an environment with get_state and set_state, as all of envzoo's have"
            )

    # ------------------------------------------------------------------ learning

    def iterate(self) -> dict[str, float]:
        """Run one iteration of the training of the base agent, if it is trained here."""
        learner = self.trained
        if learner is None:
            return super().iterate()
        learner.schedule_start, learner.target_timesteps = self.schedule_start, self.target_timesteps
        metrics = learner.iterate()
        learner.iteration += 1
        self.num_timesteps = learner.num_timesteps
        return metrics

    # ------------------------------------------------------------------ acting

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose actions; see `Agent.predict`.

        Raises:
            EnvzooError: There is no base agent, no environment was set, or its number of episodes differs from the
                number of observations.
        """
        if self.base is None:
            raise EnvzooError(f"{self.spec.name} has no agent to draw candidates from; give base, or call draw_from")
        kept = None
        if deterministic:
            kept, self.base.streams = self.base.streams, Streams(self.streams.integer("candidates"), self.base.device)
        try:
            if self.texts_only:
                return self._answer(observation), None
            return self._repeat(observation, state, episode_start)
        finally:
            if kept is not None:
                self.base.streams = kept

    def _answer(self, observation: Any) -> Any:
        single = isinstance(observation, str)
        asked = [observation] if single else [str(text) for text in np.asarray(observation, object)]
        rows = [text for text in asked for _ in range(self.config.n)]
        answers, _ = self.base.predict(np.array(rows, object), deterministic=False)
        rewards = self._judge_texts(rows, list(answers)).reshape(len(asked), self.config.n)
        best = [answers[row * self.config.n + int(k)] for row, k in enumerate(rewards.argmax(1))]
        return best[0] if single else best

    def _judge_texts(self, observations: list[str], answers: Sequence[str]) -> np.ndarray:
        reward = self.reward
        if reward is None:
            env = self._env if self._env is not None else self.source.single_env()
            inner = getattr(env.unwrapped, "envs", [env])[0].unwrapped
            if not isinstance(inner, TextEnv) or inner.definition.task.multi_turn:
                raise UnsupportedSpaceError(
                    f"{self.source.name} verifies no answers of one turn in batches; give a reward with judge_by"
                )
            self._env, reward = env, inner.definition.task.verify_text
        found = np.asarray(reward(observations, answers), np.float64)
        if found.shape != (len(answers),) or not np.isfinite(found).all():
            raise EnvzooError(f"the reward gave {found.shape} for {len(answers)} answers; expected a finite one each")
        return found

    def _repeat(self, observation: Any, state: Plans | None, episode_start: np.ndarray | None) -> tuple[Any, Plans]:
        if self._env is None:
            raise EnvzooError(f"{self.spec.name} has no environment to play candidates in; call set_env(env) first")
        env = self._env
        single = isinstance(env, gym.Env)
        count = 1 if single else env.num_envs
        space = env.observation_space if single else env.single_observation_space
        batched = _is_batched(observation, space)
        given = len(_leaf(observation)) if batched else 1
        if given != count:
            raise EnvzooError(
                f"{self.spec.name} was given {given} observations, but its environment runs {count} episodes; call "
                "set_env with the environment in which the agent acts"
            )
        plans = [[] for _ in range(count)] if state is None else [list(plan) for plan in state.actions]
        fresh = np.array([not plan for plan in plans])
        if state is not None and episode_start is not None:
            fresh |= np.array(episode_start, bool).reshape(count)
        if fresh.any():
            self._plan(observation if batched else _stack(observation), fresh, plans)
        action = np.array([plan.pop(0) for plan in plans], self.source.action_space.dtype)
        return (action if batched else action[0]), Plans(plans)

    def _plan(self, observation: Any, fresh: np.ndarray, plans: list[list[Any]]) -> None:
        """Play N candidates from the present state of the environment; keep the best of each episode in `fresh`."""
        layer = capturable(self._env)
        captured = layer.get_state()
        best = np.full(len(fresh), -np.inf)
        for _ in range(self.config.n):
            values, actions = self._play(observation, fresh)
            layer.set_state(captured)
            for i in np.flatnonzero(fresh & (values > best)):
                best[i], plans[i] = values[i], actions[i]

    def _play(self, observation: Any, fresh: np.ndarray) -> tuple[np.ndarray, list[list[Any]]]:
        """Play one candidate of each episode to its end; returns their rewards (B,) and actions."""
        env, single = self._env, isinstance(self._env, gym.Env)
        running, memory = fresh.copy(), None
        start = np.ones(len(fresh), bool)
        values = np.zeros(len(fresh))
        actions: list[list[Any]] = [[] for _ in fresh]
        seen: list[list[Any]] = [[_row(observation, i)] for i in range(len(fresh))]
        for _ in range(MOST_STEPS):
            action, memory = self.base.predict(observation, memory, start, deterministic=False)
            if single:
                following, reward, terminated, truncated, infos = env.step(action[0])
                following = _stack(following)
            else:
                following, reward, terminated, truncated, infos = env.step(action)
            done = np.atleast_1d(np.logical_or(terminated, truncated))
            values += np.where(running, reward, 0.0)
            for i in np.flatnonzero(running):
                actions[i].append(action[i])
                if self.reward is not None:
                    ended = done[i] and "final_obs" in infos
                    seen[i].append(infos["final_obs"][i] if ended else _row(following, i))
            running &= ~done
            if not running.any():
                break
            observation, start = following, done
        else:
            raise EnvzooError(
                f"{self.spec.name} plays candidates to their ends, but an episode of {self.source.name} did not end "
                f"within {MOST_STEPS} steps; give the environment a time limit"
            )
        if self.reward is not None:
            for i in np.flatnonzero(fresh):
                values[i] = float(self.reward(seen[i], actions[i]))
        return values, actions


def _leaf(observation: Any) -> np.ndarray:
    """Return one array of an observation."""
    return np.asarray(next(iter(observation.values())) if isinstance(observation, dict) else observation)


def _is_batched(observation: Any, space: gym.Space) -> bool:
    leaf = next(iter(space.spaces.values())) if isinstance(space, gym.spaces.Dict) else space
    return _leaf(observation).ndim > len(leaf.shape or ())


def _stack(observation: Any) -> Any:
    """Make a batch of one observation."""
    if isinstance(observation, dict):
        return {name: np.asarray(value)[None] for name, value in observation.items()}
    return np.asarray(observation)[None]


def _row(observation: Any, i: int) -> Any:
    if isinstance(observation, dict):
        return {name: np.array(value[i]) for name, value in observation.items()}
    return np.array(observation[i])
