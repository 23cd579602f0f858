"""Agents for latent processes, which learn the context of an episode when it is over (paper 50, arXiv 2210.11604)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from envzoo.agents.infos import step_info
from envzoo.agents.loops.experience import Experience, Step
from envzoo.agents.planners.tabular.latent import Bonus, LatentPlan
from envzoo.agents.spec import require
from envzoo.agents.tabular.latent_learning import LatentCounts
from envzoo.agents.tabular.learning import TabularAgent, TabularConfig, first_env
from envzoo.errors import UnsupportedSpaceError
from envzoo.sizes import check_bytes
from envzoo.tabular import HasModel, LatentMDP


@dataclass(frozen=True)
class LatentConfig(TabularConfig):
    """Hyperparameters of the agents for latent processes."""

    scale: float = 1.0
    """Factor of the bonus, in place of the theory's logarithm: its constants learn nothing in thousands of episodes."""

    def __post_init__(self):
        super().__post_init__()
        require(self.scale > 0, f"scale is positive, got {self.scale}")


class HindsightExperience(Experience):
    """Steps of a latent process, with the contexts (B,) that the last episodes to end had."""

    contexts: np.ndarray

    def _record(self, done: np.ndarray, infos: dict[str, Any]) -> None:
        self.contexts = np.asarray(step_info(infos, "context", done), np.int64)
        super()._record(done, infos)


class LatentAgent(TabularAgent):
    """Base of the agents: counts for each context, and an optimistic plan over histories whenever a count has doubled.

    Sizes, rewards, weights of the contexts and first laws are read from the world's model; transitions are learned.
    """

    Config = LatentConfig
    config: LatentConfig
    bonus: ClassVar[Bonus] = "variance"
    memory: ClassVar[bool] = True
    experience_class = HindsightExperience

    def prepare(self, env: Any) -> None:
        """Read what is known of the world.

        Raises:
            UnsupportedSpaceError: It is no latent process.
        """
        single = first_env(env)
        model = single.model() if isinstance(single, HasModel) else None
        if not isinstance(model, LatentMDP):
            raise UnsupportedSpaceError(
                f"{self.spec.name} learns latent processes, such as envzoo/LMDPSignal-v0, and {single} is none"
            )
        self.model = model
        check_bytes(env.num_envs * model.p.size * 16, f"the counts of {env.num_envs} runs of {self.spec.name}")

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return counts, frozen estimates, and the running histories."""
        made = [LatentCounts(self.model, self.memory) for _ in range(runs)]
        tables = {name: np.stack([getattr(c, name) for c in made]) for name in ("counts", "known", "p")}
        for run, counts in enumerate(made):  # the learners work in the agent's tables
            counts.counts, counts.known, counts.p = (tables[name][run] for name in ("counts", "known", "p"))
        self.learners, self._plans = made, {}
        steps = self.model.horizon
        return tables | {
            "visited": np.zeros((runs, steps + 1), np.int64),
            "taken": np.zeros((runs, steps), np.int64),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state; plans are made anew from it."""
        super().load_state_dict(state)
        self._plans = {}

    def plan_of(self, run: int) -> LatentPlan:
        """Return the plan of a run, a function of its frozen estimates."""
        if run not in self._plans:
            self._plans[run] = self.learners[run].plan(self.bonus, self.config.scale)
        return self._plans[run]

    def act(self, states: np.ndarray) -> np.ndarray:
        """Follow the plans from the histories of the running episodes."""
        chosen = np.zeros(self.num_runs, np.int64)
        size = self.model.num_states
        for run, s in enumerate(states.tolist()):
            plan, t = self.plan_of(run), min(int(self.time[run]), self.model.horizon - 1)
            self.policy.visited[run, t] = s
            seen = np.clip(self.policy.visited[run, : t + 1], 0, size - 1).tolist()
            done = np.clip(self.policy.taken[run, :t], 0, self.actions - 1).tolist()
            own = plan.model.weights * plan.model.initial[:, seen[0]]
            for here, a, to in zip(seen, done, seen[1:], strict=False):
                own = plan.follow(own, here, a, to)
            chosen[run] = plan.action(t, s, own)
        return chosen

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Note the step; at the end of an episode count its steps for the context that is told."""
        p, size = self.policy, self.model.num_states
        for run in np.flatnonzero(step.valid):
            t = min(int(self.time[run]), self.model.horizon - 1)
            p.taken[run, t], p.visited[run, t + 1] = chosen[run], following[run]
            if step.terminated[run]:
                context = int(np.clip(self.experience.contexts[run], 0, self.model.num_contexts - 1))
                seen = np.clip(p.visited[run, : t + 2], 0, size - 1).tolist()
                if self.learners[run].add(context, seen, np.clip(p.taken[run, : t + 1], 0, self.actions - 1).tolist()):
                    self._plans.pop(int(run), None)

    def metrics(self) -> dict[str, float]:
        """Report the optimistic value of the plans."""
        return {"learner/optimistic_value": float(np.mean([self.plan_of(run).value for run in range(self.num_runs)]))}

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Follow the present plans; `state` holds the history of each row as weights of the contexts."""
        batched, states = self.read_states(observation)
        count, contexts = len(states), self.learners[0].known.shape[0]
        if state is None:
            weights, last, time = np.zeros((count, contexts)), np.zeros((count, 2), np.int64), np.zeros(count, np.int64)
        else:
            weights, last, time = (np.array(state[name]) for name in ("weights", "last", "time"))
        if episode_start is not None:
            time[np.asarray(episode_start, bool)] = 0
        chosen = np.zeros(count, np.int64)
        for i, s in enumerate(states.tolist()):
            plan = self.plan_of(i % self.num_runs)
            first = plan.model.weights * plan.model.initial[:, s]
            weights[i] = first if time[i] == 0 else plan.follow(weights[i], int(last[i, 0]), int(last[i, 1]), s)
            chosen[i] = plan.action(min(int(time[i]), self.model.horizon - 1), s, weights[i])
        action = self.action_codec.to_environment(chosen).astype(self.source.action_space.dtype)
        memory = {"weights": weights, "last": np.stack([states, chosen], axis=1), "time": time + 1}
        return (action if batched else action[0]), memory

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Not used: a choice depends on the history, see `predict`."""
        raise NotImplementedError


class LMDPValueOptimistic(LatentAgent):
    """Optimism about values, with bonuses from their variance (MVP style), planned over histories.

        alpha_m(h, a) = min{1, R + B + sum_s' P_m(s') alpha_m(h a s')}                                  (1)
        B = max{sqrt(2 k V(P_m, alpha_m) c / n), 2 k c / n},  k the support of P_m                      (2)

    At each history the action maximises sum_m b_m alpha_m, with b the weights of the contexts given the history. Plans
    are made anew when a count has doubled. Sources: Zhou, Wang and Du, arXiv 2210.11604; constants are practical ones.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/optimistic_value: mean over runs of the plan's optimistic value.
    """


class LMDPModelOptimistic(LatentAgent):
    """Optimism about models: the best law within a Bernstein box around the estimated one, planned over histories.

        alpha_m(h, a) = min{1, R + max_q sum_s' q(s') alpha_m(h a s')},  |q - P_m| <= 2 sqrt(P_m c / n) + c / n   (1)

    The laws may differ between histories, which is an upper bound of the best single law. States never reached count 1.
    Source: Zhou, Wang and Du, arXiv 2210.11604.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/optimistic_value: mean over runs of the plan's optimistic value.
    """

    bonus = "box"


class LMDPHoeffding(LatentAgent):
    """The baseline of LMDPValueOptimistic whose bonus sqrt(2 c / n) comes from the range of values.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/optimistic_value: mean over runs of the plan's optimistic value.
    """

    bonus = "hoeffding"


class MemorylessUCBVI(LatentAgent):
    """The baseline of LMDPValueOptimistic that pools all contexts, so that its plans depend on time and state only.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/optimistic_value: mean over runs of the plan's optimistic value.
    """

    memory = False
