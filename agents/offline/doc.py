"""DoC (Yang et al., 2022): a latent of the future that must not tell about luck, and then asking for a high value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.losses.distributions import categorical_log_prob
from envzoo.agents.offline.doc_tables import DocTables, MISign, gather_plays, total_loss
from envzoo.agents.offline.doc_transformer import Chunk, DocNetworks, gaussian_kl
from envzoo.agents.offline.memory import Memory
from envzoo.agents.offline.sequence_agent import SequenceAgent, SequenceConfig, Windows
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.datasets.table import TransitionTable
from envzoo.datasets.windows import chunks
from envzoo.errors import UnsupportedSpaceError

MOST_STATES = 10_000  # of a world that kind="auto" takes tables for


@dataclass(frozen=True)
class DoCConfig(SequenceConfig):
    """Hyperparameters of Dichotomy of Control; those of transformers are not used by the tables, and the reverse."""

    kind: Literal["auto", "tabular", "transformer"] = "auto"
    """tabular: tables over the states of a finite world; transformer: networks; auto: tables where observations and
    actions are discrete and there are at most 10,000 states."""
    mi_sign: MISign = "minimax"
    """Treatment of the critic of luck: minimax, the critic maximises and the latent minimises it (the paper's
    constraint); released, both maximise it (the sign in the released code); off, it is left out."""
    stop_gradient: bool = True
    """Whether the value loss leaves the latent alone; otherwise it pulls luck into the latent."""
    mi_weight: float = 1.0
    """Weight of the critic of luck in the loss."""
    window: int = 1
    """Tables: steps of a chunk that has one latent; at least the length of an episode for one latent of the whole."""
    latents: int = 16
    """Tables: number of latents."""
    table_learning_rate: float = 0.01
    """Tables: Adam's learning rate; every step is on the whole dataset."""
    latent_dim: int = 8
    """Transformers: size of the Gaussian latent of a chunk of `context` steps."""
    hidden: tuple[int, ...] = (64, 64)
    """Transformers: hidden layer sizes of the heads."""
    prior_weight: float = 0.1
    """Transformers: weight of KL(q || p)."""
    candidates: int = 100
    """Transformers: latents drawn from the prior, of which that of the largest value is acted on."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("window", "latents", "latent_dim", "candidates"):
            require(getattr(self, name) >= 1, f"{name} of DoC is at least 1, got {getattr(self, name)}")
        for name in ("mi_weight", "prior_weight"):
            require(getattr(self, name) >= 0, f"{name} of DoC is at least 0, got {getattr(self, name)}")
        require(self.table_learning_rate > 0, f"table_learning_rate of DoC is positive, got {self.table_learning_rate}")
        require(len(self.hidden) >= 1, "hidden of DoC needs at least one layer")


class DoC(SequenceAgent):
    """Dichotomy of Control: imitation given a latent z of the future that tells nothing about luck.

    Over chunks of the data, with h_t the past within the chunk and q(z | chunk), it minimises

        L_pi = -E[log pi(a_t | h_t, s_t, z)]
        L_V = E[(V(h_t, s_t, z) - R_t)^2]
        L_MI = E[f(o_t, z, h_t, a_t) - log E_{o ~ rho} exp f(o, z, h_t, a_t)],   o_t = (r_t, s_{t+1})

    where R_t is the return to go and rho the marginal law of o_t in the data. L_MI bounds what z tells about reward and
    next state beyond the past and the action; f maximises it and q minimises it (`mi_sign="minimax"`). Then V(s, z) is
    the return that acting with z will have on average, and it acts with the z of largest value among those that the
    prior p(z | s) has. The released code minimises -L_MI in f and q alike, which makes z tell about luck.

    Tables: h_t is what happened in the chunk, expectations over z are sums, each step is on the whole dataset, and z is
    chosen anew at each step. Transformers: z is Gaussian and kept for a chunk, q minimises prior_weight KL(q || p)
    besides, and the critic is InfoNCE within the batch. Source: Yang et al. (2022, arXiv 2210.13435).

    Acting needs the rewards of the steps before: call `set_env(env)` before the first step, as evaluations do, or
    `state = agent.observe_rewards(state, rewards, done)` after each step.

    Metrics:
        loss/policy: L_pi.
        loss/value: L_V, of returns divided by their standard deviation.
        loss/luck: L_MI.
        loss/kl: KL(q || p) (transformers).
    """

    Config = DoCConfig
    config: DoCConfig

    def prepare(self, table: TransitionTable) -> TransitionTable:
        """Choose the kind, and cut the episodes into chunks."""
        c, states = self.config, self.codec.num_states
        finite = states is not None and self.actions.discrete and table.action_masks is None
        if c.kind == "tabular" and not finite:
            raise UnsupportedSpaceError(
                "DoC with kind='tabular' takes discrete observations, and Discrete actions without masks, but the "
                f"spaces are {self.source.observation_space} and {self.source.action_space}; use kind='transformer'"
            )
        self.tabular = c.kind == "tabular" or (c.kind == "auto" and finite and states <= MOST_STATES)
        self.lengths = np.diff(np.append(table.episode_starts, len(table)))
        return super().prepare(table)

    def build(self) -> None:
        """Create tables or networks, and their optimizer."""
        generator = self.streams.torch("weights", "cpu")
        c, spread = self.config, float(self.to_go.std(correction=0))
        if self.tabular:
            self.plays = self._gather()
            self.tables = self.register("policy", DocTables(self.plays, c.latents, generator))
            self.optimizer = self.register(
                "optimizer", make_optimizer(self.tables, c.optimizer, lr=c.table_learning_rate)
            )
            return
        size = self.actions.n if self.actions.discrete else self.actions.dim
        networks = DocNetworks(self.codec.vector_dim, size, self.actions.discrete, c, c.latent_dim, c.hidden, generator)
        self.policy = self.register("policy", networks.to(self.device))
        settings = {"lr": c.learning_rate, "weight_decay": c.weight_decay, "max_grad_norm": c.max_grad_norm}
        self.optimizer = self.register("optimizer", make_optimizer(self.policy, c.optimizer, **settings))
        self.scale = self.register(
            "scale", StateHolder(mean=float(self.to_go.mean()), unit=spread if spread > 0 else 1.0, updates=0)
        )
        rows, mask = chunks(self.lengths, c.context)
        self.chunk_rows, self.chunk_mask = (torch.as_tensor(part, device=self.device) for part in (rows, mask))

    def _gather(self):
        data = self.data
        return gather_plays(
            self.codec.index(data.observation).cpu().numpy(),
            data.action.cpu().numpy(),
            data.reward.cpu().numpy(),
            self.codec.index(data.next_observation).cpu().numpy(),
            data.terminated.cpu().numpy() > 0,
            self.lengths,
            self.config.window,
            self.codec.num_states,
            self.actions.n,
        )

    # ------------------------------------------------------------------ learning

    def sample(self, generator: torch.Generator) -> Any:
        """Draw chunks uniformly; tables need none."""
        if self.tabular:
            return None
        size = (self.config.batch_size,)
        return torch.randint(len(self.chunk_rows), size, generator=generator, device=self.device)

    def observe_batch(self, batch: Any, metrics: dict[str, float]) -> None:
        """Show transitions to the diagnostics: all of them, or the first ones of the chunks."""
        rows = torch.arange(len(self.data.reward)) if batch is None else self.chunk_rows[batch, 0]
        super().observe_batch(Windows(*[rows[:, None]] * len(Windows._fields)), metrics)

    def update(self, batch: Any) -> dict[str, Tensor]:
        """Take one step on the losses."""
        c = self.config
        if self.tabular:
            losses = self.tables.losses(self.plays, c.mi_sign, c.stop_gradient)
            self.optimizer.step(total_loss(losses, c.mi_weight))
        else:
            self.scale.updates += 1
            self.optimizer.lr = c.learning_rate * min(1.0, self.scale.updates / max(1, c.warmup_steps))
            losses = self.losses(self.chunks(batch), self.streams.torch("latents"))
            sign = 0.0 if c.mi_sign == "off" else c.mi_weight
            total = losses["policy"] + losses["value"] + c.prior_weight * losses["kl"] - sign * losses["luck"]
            self.optimizer.step(total)
        return {f"loss/{name}": value.detach() for name, value in losses.items() if name != "critic"}

    def chunks(self, number: Tensor) -> Chunk:
        """Return the chunks of these numbers, (B,)."""
        index, mask = self.chunk_rows[number], self.chunk_mask[number]
        reward = self.data.reward[index] / self.scale.unit
        return Chunk(
            observation=self.codec.vector(self.normalizer(self.data.observation[index])),
            action=self.data.action[index],
            reward=reward,
            before=torch.cat([torch.zeros_like(reward[:, :1]), reward[:, :-1]], dim=1),
            next_observation=self.codec.vector(self.normalizer(self.data.next_observation[index])),
            to_go=(self.to_go[index] - self.scale.mean) / self.scale.unit,
            mask=mask,
        )

    def losses(self, chunk: Chunk, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the losses of the transformers, means over the steps that are not padding."""
        c, net = self.config, self.policy
        mean, log_std = net.encode(chunk)
        z = mean + log_std.exp() * torch.empty_like(mean).normal_(generator=generator)
        before, after = net.contexts(chunk.observation, chunk.action, chunk.before, chunk.mask)
        each_z = z[:, None].expand(*chunk.mask.shape, c.latent_dim)
        output = net.policy(before, each_z)
        if self.actions.discrete:
            policy = -categorical_log_prob(output, chunk.action)
        else:
            policy = (output - chunk.action).square().mean(dim=-1)
        value = net.value(before.detach(), each_z.detach() if c.stop_gradient else each_z)
        return {
            "policy": policy[chunk.mask].mean(),
            "value": (value - chunk.to_go).square()[chunk.mask].mean(),
            "kl": gaussian_kl(mean, log_std, *net.prior(chunk.observation[:, 0])).mean(),
            "luck": net.luck(after, z, chunk, c.mi_sign != "released"),
        }

    # ------------------------------------------------------------------ acting

    def choose(self, memory: Memory, generator: torch.Generator, deterministic: bool) -> tuple[Tensor, Memory]:
        """Choose the actions of the latents of largest value: the mode, or samples."""
        x = memory.rows[:, -1]
        if self.tabular:
            state = self.codec.index(x[:, : self.codec.packed_dim]).cpu()  # where the tables are
            probabilities = self.tables.policy(self.plays)[state].to(x.device)
            return self.draw(probabilities.log(), x, generator, deterministic), memory
        c = self.config
        phase = memory.step[:, -1] % c.context
        back = torch.arange(c.context - 1, -1, -1, device=x.device)
        mask = memory.mask & (back <= phase[:, None])
        before = torch.cat([torch.zeros_like(memory.reward[:, :1]), memory.reward[:, :-1]], dim=1) / self.scale.unit
        before = torch.where(back == phase[:, None], 0.0, before)
        observation = self.codec.vector(memory.rows)
        features = self.policy.contexts(observation, memory.action, before, mask)[0][:, -1]
        fresh = self._plan(observation[:, -1], features, generator)
        plan = fresh if memory.plan is None else torch.where((phase == 0)[:, None], fresh, memory.plan)
        action = self.draw(self.policy.policy(features, plan), x, generator, deterministic)
        return action, replace(memory, plan=plan)

    def _plan(self, observation: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        """Draw candidates from the prior and return those of the largest value, (B, latent_dim)."""
        mean, log_std = self.policy.prior(observation)
        noise = torch.empty(len(mean), self.config.candidates, mean.shape[1], device=mean.device)
        z = mean[:, None] + log_std.exp()[:, None] * noise.normal_(generator=generator)
        value = self.policy.value(features[:, None].expand(*z.shape[:2], features.shape[-1]), z)
        return z[torch.arange(len(z)), value.argmax(dim=1)]
