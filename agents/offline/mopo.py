"""MOPO and MOReL's halting variant: SAC on short imagined flights with a penalty for the model's uncertainty."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import critic_loss, soft_value, td_target
from envzoo.agents.offline.config import require_at_least_zero, require_positive
from envzoo.agents.offline.penalties import AutoPenalty, find_penalty
from envzoo.agents.offline.soft import SoftOfflineAgent, SoftOfflineConfig
from envzoo.agents.offline.world_model import CHUNK, Imagined, ModelShape, WorldModel
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.errors import UnsupportedSpaceError
from envzoo.sizes import check_bytes

MEASURED = 10_000  # logged pairs over which mean and largest penalty are measured


@dataclass(frozen=True)
class MOPOConfig(SoftOfflineConfig):
    """Hyperparameters of MOPO; defaults are those of its published code where it states them."""

    penalty: str = "max_aleatoric"
    """Penalty u(s, a): max_aleatoric, max_pairwise_difference, log_likelihood_variance, leave_one_out_divergence,
    ensemble_std, ensemble_variance, mixture_std, or one of your own (`register_penalty`)."""
    penalty_weight: float = 1.0
    """Weight lambda of the penalty; 0 trusts the model. The first value of a learned weight."""
    penalty_target: float | None = None
    """Learn lambda so that the mean of lambda u over imagined transitions is this number; None keeps lambda fixed."""
    penalty_learning_rate: float = 0.01
    """Adam's learning rate of the logarithm of a learned lambda."""
    normalize_penalty: bool = False
    """Divide the penalty by its mean over the logged states and actions, so that weights of different penalties mean
    the same."""
    mode: Literal["penalty", "halt"] = "penalty"
    """Subtract the penalty from the reward (MOPO), or end an imagined flight where it is large (MOReL)."""
    halt_share: float = 0.5
    """Mode halt: flights end where u exceeds this share of its largest value over the logged states and actions."""
    halt_reward: float | None = None
    """Mode halt: reward of the step that ends a flight; None for the smallest logged reward over 1 - gamma."""
    members: int = 7
    """Models in the ensemble."""
    elites: int = 5
    """Models, those with the smallest held-out errors, that make the imagined steps."""
    model_hidden: tuple[int, ...] = (200, 200, 200, 200)
    """Hidden layer sizes of the models."""
    model_learning_rate: float = 1e-3
    """Adam's learning rate of the models."""
    model_batch_size: int = 256
    """Transitions per gradient step of each model."""
    model_patience: int = 5
    """Passes over the data without improvement of any model after which their training ends."""
    model_epochs: int = 200
    """Most passes over the data."""
    rollout_length: int = 5
    """Steps h of an imagined flight."""
    rollout_batch: int = 50_000
    """Logged states from which flights start at a time."""
    rollout_every: int = 1000
    """Gradient steps of SAC between two rounds of flights."""
    rollout_rounds: int = 5
    """Rounds whose transitions are kept."""
    real_ratio: float = 0.05
    """Share of logged transitions in a batch; the others are imagined."""
    policy_learning_rate: float = 1e-4
    """Adam's learning rate of the actor and of the temperature."""

    def __post_init__(self):
        super().__post_init__()
        find_penalty(self.penalty)
        counts = ("members", "elites", "model_batch_size", "model_patience", "model_epochs", "rollout_length")
        for name in (*counts, "rollout_batch", "rollout_every", "rollout_rounds"):
            require(getattr(self, name) >= 1, f"{name} of MOPO is at least 1, got {getattr(self, name)}")
        require(self.elites <= self.members, f"MOPO has {self.members} members, so elites is at most that")
        require_at_least_zero(self, "penalty_weight", "halt_share")
        require_positive(self, "penalty_learning_rate", "model_learning_rate")
        if self.penalty_target is not None:
            require_positive(self, "penalty_target", "penalty_weight")
            require(self.mode == "penalty", "penalty_target of MOPO needs the mode 'penalty'")
        require(0 <= self.real_ratio <= 1, f"real_ratio of MOPO lies in [0, 1], got {self.real_ratio}")
        require(self.gamma < 1 or self.halt_reward is not None or self.mode != "halt", "gamma 1 needs a halt_reward")


class ImaginedBuffer:
    """The transitions of the last rounds of flights, with their penalties.

    Args:
        rounds: Rounds that are kept.
    """

    def __init__(self, rounds: int):
        self.rounds = rounds
        self.blocks: deque[tuple[Tensor, ...]] = deque(maxlen=rounds)
        self._all: tuple[Tensor, ...] | None = None

    def __len__(self) -> int:
        return sum(len(block[2]) for block in self.blocks)

    def add(self, batch: Batch, penalty: Tensor) -> None:
        """Add the transitions of a round; the oldest round is dropped."""
        self.blocks.append((*batch, penalty))
        self._all = None

    def sample(self, count: int, generator: torch.Generator) -> tuple[Batch, Tensor]:
        """Sample transitions and their penalties uniformly with replacement."""
        if self._all is None:
            self._all = tuple(torch.cat(columns) for columns in zip(*self.blocks, strict=True))
        index = torch.randint(len(self._all[2]), (count,), generator=generator, device=self._all[2].device)
        *columns, penalty = (column.index_select(0, index) for column in self._all)
        return Batch(*columns), penalty

    def state_dict(self) -> dict[str, Any]:
        """Return the transitions of each round."""
        return {"blocks": [list(block) for block in self.blocks]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        blocks = state["blocks"]
        for block in blocks:
            lengths = {len(column) for column in block}
            if len(block) != len(Batch._fields) + 1 or len(lengths) != 1 or 0 in lengths:
                raise ValueError(f"a round of imagined transitions has columns of the lengths {sorted(lengths)}")
        if len(blocks) > self.rounds:
            raise ValueError(f"{len(blocks)} rounds of imagined transitions, expected at most {self.rounds}")
        self.blocks = deque((tuple(block) for block in blocks), maxlen=self.rounds)
        self._all = None


class MOPO(SoftOfflineAgent):
    """Model-based offline policy optimisation: learn a model of the world, and SAC inside it.

    First an ensemble of N Gaussian models of (s' - s, r) is trained on the data; an iteration of this phase is one pass
    over the data and takes no timesteps. Then, every `rollout_every` gradient steps, imagined flights of
    `rollout_length` steps start from logged states: each step is drawn from a random elite, and its reward becomes

        r - lambda u(s, a)                                                  (mode "penalty", MOPO)

    with a penalty u for the uncertainty of the ensemble (see `envzoo.agents.offline.penalties`). In mode "halt" (MOReL)
    rewards stay, but a flight ends with `halt_reward` where u > halt_share max u(data). SAC learns from batches of
    which `real_ratio` are logged transitions: with y = r + gamma (1 - terminated) (min_i Q'_i(s', a') - alpha log
    pi(a'|s')),

        L_Q = sum_i E[1/2 (Q_i(s, a) - y)^2]          L_pi = E[alpha log pi(a|s) - min_i Q_i(s, a)]

    With `penalty_target`, log lambda follows the gradient of lambda (E[lambda u] - penalty_target).

    Differences to the published code of MOPO: targets of the models are standardised, so that u is in units of the
    standard deviations of the changes of the data; terminations are predicted by the models wherever the data have any,
    as there is no function that knows them; imagined states stay within three times the range of the data, where the
    flight ends. In an environment (`set_source`) the agent is SAC on logged and new transitions, without the model.
    Sources: Yu et al. (2020, arXiv 2005.13239), Kidambi et al. (2020, arXiv 2005.05951), and for the
    penalties Lu et al. (2022, arXiv 2110.04135).

    Metrics:
        model/loss: loss of the models, summed over them (first phase).
        model/error: mean over the models of the smallest held-out squared error, standardised (first phase).
        model/epochs: passes over the data (first phase).
        loss/critic: L_Q.
        loss/actor: L_pi.
        value/q: mean Q over the batch and both critics.
        policy/temperature: alpha.
        penalty/mean: mean u over the imagined transitions of the batch.
        penalty/weight: lambda.
        rollout/reward: mean imagined reward before penalties.
        rollout/length: mean length of the flights of the last round.
    """

    Config = MOPOConfig
    config: MOPOConfig

    def build(self) -> None:
        """Create the networks of SAC and the models."""
        c = self.config
        wrong = [part.kind for part in self.codec.parts if part.kind != "vector"]
        if wrong or self.codec.dtype.kind != "f" or self.data.observation.shape[1] != self.codec.packed_dim:
            raise UnsupportedSpaceError(
                f"MOPO models observations of a float Box, but {self.source.name} has {self.source.observation_space}"
            )
        row = 4 * (2 * self.codec.packed_dim + self.actions.dim + 3)
        check_bytes(
            row * c.rollout_batch * c.rollout_length * c.rollout_rounds, "the imagined transitions of MOPO", later=True
        )
        check_bytes(row * max(c.rollout_batch, c.batch_size), "the imagined states of MOPO")
        check_bytes(4 * min(c.rollout_batch, CHUNK) * c.members * max((1, *c.model_hidden)), "a step of the models")
        super().build()
        shape = ModelShape(
            members=c.members,
            elites=c.elites,
            hidden=c.model_hidden,
            learning_rate=c.model_learning_rate,
            batch_size=c.model_batch_size,
            patience=c.model_patience,
            epochs=c.model_epochs,
        )
        self.model = self.register("model", WorldModel(self.data, shape, self.streams))
        self.imagined = self.register("imagined", ImaginedBuffer(c.rollout_rounds))
        self.count = self.register("count", StateHolder(updates=0, mean=0.0, largest=0.0, reward=0.0, length=0.0))
        self.auto: AutoPenalty | None = None
        if c.penalty_target is not None:
            auto = AutoPenalty(c.penalty_target, c.penalty_learning_rate, c.penalty_weight, device=self.device)
            self.auto = self.register("auto", auto)

    # ------------------------------------------------------------------ penalty

    @property
    def penalty_weight(self) -> Tensor | float:
        """The present lambda; 0 in the mode "halt"."""
        if self.config.mode == "halt":
            return 0.0
        return self.config.penalty_weight if self.auto is None else self.auto.value

    def penalty(self, step: Imagined) -> Tensor:
        """Compute u (B,) for imagined steps, as the config scales it."""
        found = find_penalty(self.config.penalty)(step.prediction.mean, step.prediction.std, step.sample, step.member)
        return found / self.count.mean if self.config.normalize_penalty and self.count.mean > 0 else found

    def measure_penalty(self) -> None:
        """Measure the mean and the largest penalty over logged pairs of state and action."""
        generator = self.streams.torch("penalty")
        count = min(MEASURED, len(self.data.reward))
        rows = torch.randperm(len(self.data.reward), generator=generator, device=self.device)[:count]
        parts = [
            self.penalty(self.model.step(self.data.observation[part], self.data.action[part], generator))
            for part in rows.split(CHUNK)
        ]
        found = torch.cat(parts)
        mean = float(found.mean())
        scale = mean if self.config.normalize_penalty and mean > 0 else 1.0
        self.count.mean, self.count.largest = mean, float(found.max()) / scale

    # ------------------------------------------------------------------ imagination

    @torch.no_grad()
    def fly(self, observation: Tensor, length: int, generator: torch.Generator) -> list[tuple[Batch, Tensor]]:
        """Imagine flights of at most `length` steps from observations (B, P); returns the steps and their penalties."""
        c, steps = self.config, []
        floor = c.halt_reward
        if floor is None and c.mode == "halt":
            floor = float(self.data.reward.min()) / (1 - c.gamma)
        for _ in range(length):
            action = self.actor.act(self.normalizer(observation), generator, False)
            step = self.model.step(observation, action, generator)
            u, reward, ends = self.penalty(step), step.reward, step.terminated
            if c.mode == "halt":
                halted = u > c.halt_share * self.count.largest
                reward, ends = torch.where(halted, floor, reward), ends | halted
            steps.append((Batch(observation, action, reward, ends.float(), step.next_observation), u))
            observation = step.next_observation[~ends & ~step.beyond]
            if not len(observation):
                break
        return steps

    def imagine(self) -> None:
        """Take a round of flights from logged states."""
        c, generator = self.config, self.streams.torch("imagination")
        rows = torch.randint(len(self.data.reward), (c.rollout_batch,), generator=generator, device=self.device)
        steps = [
            step
            for part in rows.split(CHUNK)
            for step in self.fly(self.data.observation[part], c.rollout_length, generator)
        ]
        columns = zip(*((*batch, u) for batch, u in steps), strict=True)
        *batch, u = (torch.cat(column) for column in columns)
        self.imagined.add(Batch(*batch), u)
        self.count.reward, self.count.length = float(batch[2].mean()), len(u) / c.rollout_batch

    def sample(self, generator: torch.Generator) -> Batch:
        """Sample logged and imagined transitions, with normalised observations and penalised rewards."""
        c = self.config
        self.batch_penalty = torch.zeros((), device=self.device)
        if self.experience is not None:  # real experience needs no model
            return super().sample(generator)
        if self.count.updates % c.rollout_every == 0:
            self.imagine()
        real = round(c.real_ratio * c.batch_size)
        index = torch.randint(len(self.data.reward), (real,), generator=generator, device=self.device)
        imagined, u = self.imagined.sample(c.batch_size - real, generator)
        imagined = imagined._replace(reward=imagined.reward - self.penalty_weight * u)
        if len(u):
            self.batch_penalty = u.mean()
        batch = Batch(*(torch.cat([a[index], b]) for a, b in zip(self.data, imagined, strict=True)))
        return batch._replace(
            observation=self.normalizer(batch.observation), next_observation=self.normalizer(batch.next_observation)
        )

    # ------------------------------------------------------------------ learning

    def iterate(self) -> dict[str, float]:
        """Take one pass over the data while the models learn, and gradient steps of SAC afterwards."""
        if not self.model.fitted and self.experience is None:
            metrics = self.model.train_epoch()
            if self.model.fitted:
                self.measure_penalty()
            return metrics
        metrics = super().iterate()
        if self.experience is not None:
            return metrics
        return metrics | {"rollout/reward": self.count.reward, "rollout/length": self.count.length}

    def update_critics(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Take the step of the critics; returns L_Q and Q(s, a), (2, N)."""
        nets, noise, following = self.closed_form, self.streams.torch("policy-noise"), batch.next_observation
        with torch.no_grad():
            if nets is None:
                action, log_prob = self.actor.sample(following, noise)
                next_q = self.target(following, action)
            else:
                nets.actor.evaluate(following)
                next_q, log_prob = nets.evaluate_next(following, slice(None), noise)
            value = soft_value(next_q, log_prob, self.temperature.value)
            y = td_target(batch.reward, batch.terminated, value, self.config.gamma)
            if nets is not None:
                return nets.step_of_critics(batch, y, self.critic_optimizer)
        q = self.critics(batch.observation, batch.action)
        loss = critic_loss(q, y)
        self.critic_optimizer.step(loss)
        return loss.detach(), q.detach()

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update the critics, the actor, the temperature, the target, and a learned weight of the penalty."""
        weight = torch.as_tensor(self.penalty_weight, device=self.device)
        loss, q = self.update_critics(batch)
        metrics = self.update_actor(batch)
        self.target.update()
        if self.auto is not None and self.experience is None:
            self.auto.update(self.batch_penalty)
        self.count.updates += 1
        return metrics | {
            "loss/critic": loss,
            "value/q": q.mean(),
            "penalty/mean": self.batch_penalty,
            "penalty/weight": weight,
        }
