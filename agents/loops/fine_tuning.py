"""The offline loop that can go on in an environment: the replay holds the dataset and what is experienced."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.experience import Experience
from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.loops.replay import Batch, ReplayBuffer
from envzoo.agents.source import Source, resolve
from envzoo.datasets.table import TransitionTable
from envzoo.datasets.terminations import check_sums_are_finite
from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError, shorten
from envzoo.kernel.arguments import MOST
from envzoo.sizes import check_bytes


class FineTunableAgent(OfflineAgent):
    """An offline agent that can continue to learn in an environment.

    After `set_source(env)`, `learn(n)` takes n steps in the environment, each followed by gradient steps on batches
    drawn uniformly from the dataset and the new transitions together. A saved agent continues exactly: the file holds
    the new transitions and the running episodes, and loading it makes the environment again from its id.
    """

    experience: Experience | None = None
    replay: ReplayBuffer | None = None

    def _to_device(self, table: TransitionTable) -> Batch:
        gamma = getattr(self.config, "gamma", 0.0)
        check_sums_are_finite(table, gamma, self.source.name, f"the values of {self.spec.name}")
        return super()._to_device(table)

    # ------------------------------------------------------------------ sources

    def set_source(
        self,
        env: Any,
        *,
        num_envs: int = 1,
        updates_per_step: int = 1,
        buffer_size: int = 1_000_000,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> FineTunableAgent:
        """Set the environment in which `learn` goes on; a second call replaces it and keeps the transitions.

        Args:
            env: Id of an environment, an environment, a vector environment, or a function that makes an environment. A
                file of the agent can be loaded again if it has an id.
            num_envs: Environments stepped side by side, where they are made here.
            updates_per_step: Gradient steps per environment step.
            buffer_size: New transitions that are kept; the dataset always is.
            env_kwargs: Keywords of the environment, with an id.

        Returns:
            The agent.

        Raises:
            UnsupportedSpaceError: The source is no environment, or has other spaces than the dataset.
            EnvzooError: A number below 1.
        """
        numbers = {"num_envs": num_envs, "updates_per_step": updates_per_step, "buffer_size": buffer_size}
        for name, value in numbers.items():
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or not 1 <= value <= MOST:
                raise EnvzooError(f"{name} is {shorten(repr(value))}; expected a whole number of at least 1")
        if env_kwargs is not None and not isinstance(env_kwargs, Mapping):
            raise EnvzooError(f"env_kwargs is {env_kwargs!r}; expected a dict of keywords of the environment")
        wanted = dataclasses.replace(self.spec, sources=("environment",))
        source = resolve(env, wanted, dict(env_kwargs) if env_kwargs is not None else {})
        for what in ("observation_space", "action_space"):
            here, there = getattr(self.source, what), getattr(source, what)
            if here != there:
                raise UnsupportedSpaceError(
                    f"{source.name} has the {what.replace('_', ' ')} {there}, but dataset {self.source.name} has {here}"
                )
        check_bytes(2**10 * num_envs, f"what is remembered of {num_envs} environments")
        self._begin_online(source, {name: int(value) for name, value in numbers.items()})
        return self

    def _begin_online(self, source: Source, numbers: dict[str, int]) -> None:
        env = source.training_env(numbers["num_envs"])
        seed = self.streams.integer("online-environment")
        experience = Experience(env, self.codec, self.actions, seed, notices=self.notices)
        mask_dim = max(experience.mask_dim, self.data.observation.shape[1] - self.codec.packed_dim)
        self.data = self.data._replace(
            observation=self._padded(self.data.observation, mask_dim),
            next_observation=self._padded(self.data.next_observation, mask_dim),
        )
        dim = None if self.actions.discrete else self.actions.dim
        if self.replay is None:
            self.replay = ReplayBuffer(
                numbers["buffer_size"], self.codec.packed_dim, self.codec.dtype, dim, self.device, mask_dim
            )
        self.online_source, self.online = source, numbers
        self.experience = self.register("experience", experience)
        self.register("replay", self.replay)

    def _padded(self, rows: Any, mask_dim: int) -> Any:
        """Append a mask that allows everything to rows without one; tensors (N, P) or arrays."""
        if rows.shape[1] == self.codec.packed_dim + mask_dim:
            return rows
        if isinstance(rows, Tensor):
            return torch.cat([rows, rows.new_ones(len(rows), mask_dim)], dim=1)
        return self.actions.append_mask(rows, np.ones((len(rows), mask_dim), bool))

    # ------------------------------------------------------------------ learning

    def explore(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Choose actions to learn from, in the agent's form, for normalised packed observations (B, P)."""
        return self.act(x, generator, False)

    def shape_reward(self, reward: np.ndarray) -> np.ndarray:
        """Shape rewards (B,) as those of the dataset were."""
        return reward

    def sample(self, generator: torch.Generator) -> Batch:
        """Sample from the dataset, and from the new transitions where there are any."""
        logged, count = len(self.data.reward), self.config.batch_size
        more = 0 if self.replay is None else len(self.replay)
        index = torch.randint(logged + more, (count,), generator=generator, device=self.device)
        rows = index.clamp(max=logged - 1) if more else index
        batch = self.data._make(column.index_select(0, rows) for column in self.data)  # faster than column[rows]
        if more:
            new, new_rows = index >= logged, self.replay.rows((index - logged).clamp(min=0))
            pairs = zip(batch, new_rows, strict=True)
            batch = Batch(*(torch.where(new.view(-1, *[1] * (a.dim() - 1)), b, a) for a, b in pairs))
        return batch._replace(
            observation=self.normalizer(batch.observation), next_observation=self.normalizer(batch.next_observation)
        )

    def iterate(self) -> dict[str, float]:
        """Take gradient steps on the dataset, or, after `set_source`, steps in the environment with their updates."""
        if self.experience is None:
            return super().iterate()
        left = min(self.config.steps_per_iteration, self.target_timesteps - self.num_timesteps)
        acting, minibatches = self.streams.torch("actions"), self.streams.torch("minibatches")
        metrics: dict[str, float] = {}
        sums: dict[str, list[Tensor]] = {}
        for _ in range(math.ceil(max(1, left) / self.experience.num_envs)):
            added = self._step(acting)
            self.num_timesteps += added
            for _ in range(added * self.online["updates_per_step"]):
                batch = self.sample(minibatches)
                if not sums:
                    self.observe_batch(batch, metrics)
                for name, value in self.update(batch).items():
                    sums.setdefault(name, []).append(value)
        metrics |= {name: float(torch.stack(values).mean()) for name, values in sums.items()}
        metrics["replay/size"] = float(len(self.replay))
        return {**self.experience.pop_metrics(), **metrics}

    @torch.no_grad()
    def _step(self, generator: torch.Generator) -> int:
        """Step all environments and keep the transitions; returns their number."""
        mask_dim = self.data.observation.shape[1] - self.codec.packed_dim
        observation = self._padded(self.experience.observation, mask_dim)
        x = self.normalizer(torch.from_numpy(observation).to(self.device))
        action = self.explore(x, generator).cpu().numpy()
        step = self.experience.step(action)
        following = self._padded(step.next_observation, mask_dim)
        reward = self.shape_reward(step.reward).astype(np.float32)
        return self.replay.add(observation, action, reward, step.terminated, following, step.valid)

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Return the state, and how the environment is made."""
        state = super().state_dict()
        if self.experience is not None:
            source = self.online_source
            state["online"] = {"id": source.id, "env_kwargs": dict(source.env_kwargs), **self.online}
        return state

    @classmethod
    def rebuild(cls, source: Source, config: Any, state: Any, **keywords: Any) -> FineTunableAgent:
        """Create the agent, with the environment that it was learning in.

        Raises:
            CheckpointError: That environment has no id, so that a file cannot name it.
        """
        agent = cls(source, config, **keywords)
        online = state.get("online") if isinstance(state, Mapping) else None
        if online is None:
            return agent
        if not isinstance(online, Mapping) or not isinstance(online.get("env_kwargs"), Mapping):
            raise CheckpointError("the file is damaged: it does not say in which environment the agent was learning")
        if not isinstance(online.get("id"), str):
            raise CheckpointError(
                "the agent was learning in an environment without an id, which cannot be made again: save it before "
                "set_source, or register the environment"
            )
        settings = {name: online.get(name) for name in ("num_envs", "updates_per_step", "buffer_size")}
        return agent.set_source(online["id"], env_kwargs=dict(online["env_kwargs"]), **settings)
