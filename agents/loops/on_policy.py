"""The on-policy loop: collect a rollout with the current policy, learn from it, throw it away."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.agent import Agent, MaskedPredict, PredictArguments
from envzoo.agents.loops.experience import Experience
from envzoo.agents.loops.intrinsic import Intrinsic, intrinsic_class, settings_of
from envzoo.agents.loops.policy_with_wrappers import PolicyWithWrappers, predict_with_policy
from envzoo.agents.loops.rollout import Rollout
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.agents.source import Source
from envzoo.errors import EnvzooError
from envzoo.sizes import check_bytes
from envzoo.wrappers.stateful import StatefulVectorWrapper

ENV_BYTES = 2**10  # of what is remembered of each environment, four times that behind wrappers; by experience
ROW_BYTES = 32  # of action, log-probability, values, reward and flags of a step


class OnPolicyAgent(MaskedPredict, Agent):
    """Base of on-policy agents. The config has `num_envs`; a subclass implements `build_policy` and `update`.

    `num_steps` None collects whole episodes: every environment plays exactly one per iteration.
    """

    reward_key: str | None = None
    takes_bonus = False  # whether `update` uses `Rollout.bonus`
    MAX_EPISODE_STEPS = 100_000  # a guard for whole-episode rollouts in environments that never end

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        self.codec = ObservationCodec(source.observation_space)
        self.actions = ActionCodec(source.action_space, self.spec.name, self.spec.actions)
        self.follower = PolicyWithWrappers(self.codec)
        self.intrinsic: Intrinsic | None = None
        kind = intrinsic_class(config.intrinsic) if getattr(config, "intrinsic", None) is not None else None
        settings = None if kind is None else settings_of(kind, config)
        layers = self.wrappers()
        if kind is not None:
            layers = [*layers, *kind.wrappers(settings, self.streams.integer("intrinsic"))]
        tracked = ENV_BYTES * (1 + 3 * bool(layers)) * config.num_envs
        check_bytes(tracked, f"what is remembered of {config.num_envs} environments")
        env = source.training_env(config.num_envs)
        for wrapper, arguments in layers:
            env = self.follower.wrap(env, wrapper, arguments)
            self.codec = ObservationCodec(env.single_observation_space)
        rows, row = env.num_envs * (self.num_steps or 1), self.codec.packed_dim * self.codec.dtype.itemsize
        check_bytes(rows * (row + ROW_BYTES), f"a rollout of {rows} steps", later=True)
        self.policy = self.register("policy", self.build_policy().to(self.device))
        self.experience = Experience(
            env, self.codec, self.actions, self.streams.integer("environment"), self.reward_key, self.notices
        )
        self.register("experience", self.experience)
        self.memory = self.register("memory", Memory(self.policy.initial_state(env.num_envs)))
        if kind is not None:
            self.intrinsic = self.register("intrinsic", kind(self, settings))
        self.build()

    @abstractmethod
    def build_policy(self) -> Policy | TabularPolicy:
        """Create the policy network."""

    def wrappers(self) -> list[tuple[type[StatefulVectorWrapper], dict[str, Any]]]:
        """Return the wrappers of the training environment with their arguments, innermost first.

        What they add to observations is added to those that `predict` is given, too, so that the finished agent acts
        in the bare environment. There they see observations and starts of episodes, but neither rewards nor infos.
        """
        return []

    def build(self) -> None:
        """Create the optimizers and other parts; called once the policy exists."""

    @abstractmethod
    def update(self, rollout: Rollout) -> dict[str, float]:
        """Learn from a rollout and return metrics."""

    @property
    def num_steps(self) -> int | None:
        """Steps per environment and rollout; None for whole episodes."""
        return getattr(self.config, "num_steps", None)

    def iterate(self) -> dict[str, float]:
        """Collect one rollout and learn from it."""
        rollout = self.collect()
        metrics = {} if self.intrinsic is None else self._add_intrinsic(rollout)
        metrics |= self.update(rollout)
        self.num_timesteps += int(rollout.valid.sum())
        return {**self.experience.pop_metrics(), **metrics}

    def _add_intrinsic(self, rollout: Rollout) -> dict[str, float]:
        """Add the intrinsic rewards of a rollout, then update the intrinsic reward on the same steps."""
        c = self.config
        found = self.intrinsic.reward(rollout).cpu().numpy()
        paid = (c.intrinsic_coefficient * found).astype(np.float32)
        if self.intrinsic.is_bonus and self.takes_bonus:
            rollout.reward = (c.extrinsic_coefficient * rollout.reward).astype(np.float32)
            rollout.bonus = paid
        else:
            rollout.reward = (c.extrinsic_coefficient * rollout.reward + paid).astype(np.float32)
        metrics = {"intrinsic/reward": float(found[rollout.valid].mean())}
        return metrics | self.intrinsic.update(rollout)

    @torch.no_grad()
    def collect(self) -> Rollout:
        """Collect one rollout from all environments."""
        experience, policy = self.experience, self.policy
        whole_episodes = self.num_steps is None
        if whole_episodes:
            if not experience.start.all():
                experience.reset()
            self.memory.tensor = policy.initial_state(experience.num_envs)
        first_state = state = self.memory.tensor
        generator = self.streams.torch("actions")
        rows: list[tuple] = []
        running = np.ones(experience.num_envs, bool)
        limit = self.MAX_EPISODE_STEPS if whole_episodes else self.num_steps
        for _ in range(limit):
            observation, start = experience.observation, experience.start
            x = torch.from_numpy(observation).to(self.device)
            if policy.recurrent:
                acting = policy.act(x, state, torch.from_numpy(start).to(self.device), generator)
                action, state = acting.action, acting.state
            else:  # without memory, log-probabilities and values can wait, and be one batch
                acting, action = None, policy.choose(x, generator)
            step = experience.step(action.cpu().numpy())
            valid = step.valid & running if whole_episodes else step.valid
            final_value = self._final_value(step, state)
            rows.append((x, start, action, acting, step, valid, final_value))
            if whole_episodes:
                running &= ~step.done
                if not running.any():
                    break
        else:
            if whole_episodes:
                raise EnvzooError(
                    f"{self.spec.name} learns from whole episodes, but an episode of {self.source.name} did not end "
                    f"within {limit} steps; give the environment a time limit"
                )
        self.memory.tensor = state
        return self._stack(rows, first_state, state)

    def _final_value(self, step: Any, state: Tensor) -> np.ndarray | None:
        """Compute the values of the final observations of truncated episodes."""
        truncated = step.done & ~step.terminated
        if not self.policy.has_critic or not truncated.any():
            return None
        final = torch.from_numpy(step.next_observation).to(self.device)
        return np.where(truncated, self.policy.value(final, state).cpu().numpy(), np.float32(0))

    def _stack(self, rows: list[tuple], first_state: Tensor, last_state: Tensor) -> Rollout:
        xs, starts, actions, actings, steps, valids, finals = zip(*rows, strict=True)
        observation, action = torch.stack(xs), torch.stack(actions)
        value = next_value = None
        if self.policy.recurrent:
            log_prob = torch.stack([acting.log_prob for acting in actings])
            values = torch.stack([acting.value for acting in actings]) if self.policy.has_critic else None
        else:
            log_prob, _, values = self.policy.evaluate(observation, action)
        if self.policy.has_critic:
            value = values.cpu().numpy()
            next_value = np.empty_like(value)
            next_value[:-1] = value[1:]
            x = torch.from_numpy(self.experience.observation).to(self.device)
            start = torch.from_numpy(self.experience.start).to(self.device) if self.policy.recurrent else None
            next_value[-1] = self.policy.value(x, last_state, start).cpu().numpy()
            for t, final in enumerate(finals):
                if final is not None:
                    next_value[t] = np.where(steps[t].done & ~steps[t].terminated, final, next_value[t])
        return Rollout(
            observation=observation,
            action=action,
            log_prob=log_prob,
            value=value,
            next_value=next_value,
            reward=np.stack([s.reward for s in steps]),
            terminated=np.stack([s.terminated for s in steps]),
            done=np.stack([s.done for s in steps]),
            start=np.stack(starts),
            valid=np.stack(valids),
            state=first_state,
            next_observation=None if self.intrinsic is None else self._next_observations(steps),
        )

    def _next_observations(self, steps: tuple) -> Tensor:
        return torch.from_numpy(np.stack([step.next_observation for step in steps])).to(self.device)

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        if not self.follower.layers:
            return predict_with_policy(self, self.policy, observation, asked)
        return self.follower.predict(self, self.policy, observation, asked)


class Memory:
    """Memory of a recurrent policy between two rollouts, as a part of the saved state."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    def state_dict(self) -> dict[str, Any]:
        """Return the memory."""
        return {"tensor": self.tensor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a memory; one for another number of environments is ignored, because episodes start anew then."""
        if state["tensor"].shape == self.tensor.shape:
            self.tensor = state["tensor"].to(self.tensor.device)
