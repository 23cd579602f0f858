"""Dichotomy of Control on finite worlds: tables of latents, policies, values and of the critic of luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.datasets.windows import chunks
from envzoo.sizes import check_bytes

MISign = Literal["minimax", "released", "off"]
LEAST_SHARE = 0.01  # of 1 / Z: rarer latents are not chosen, because nothing was learned of their values


@dataclass(frozen=True)
class Plays:
    """The distinct chunks of a dataset of a finite world, U of them, of at most K steps each.

    Attributes:
        state: (U, K) int64.
        action: (U, K) int64.
        prefix: (U, K) int64, number of what happened in the chunk up to and with the action of each step.
        outcome: (U, K) int64, number of the pair of reward and next state.
        to_go: (U, K) mean return from each step to the end of the episode.
        weight: (U, K) share of each step in the dataset; 0 on padding.
        num_states: S.
        num_actions: A.
        rho: (O,) frequency of each outcome.
    """

    state: Tensor
    action: Tensor
    prefix: Tensor
    outcome: Tensor
    to_go: Tensor
    weight: Tensor
    num_states: int
    num_actions: int
    rho: Tensor

    @property
    def num_prefixes(self) -> int:
        """Number of distinct prefixes."""
        return int(self.prefix.max()) + 1


def _numbers(*columns: np.ndarray) -> np.ndarray:
    """Give equal rows of (N,) columns equal numbers from 0, (N,) int64."""
    return np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def gather_plays(
    state: np.ndarray,
    action: np.ndarray,
    reward: np.ndarray,
    next_state: np.ndarray,
    ended: np.ndarray,
    lengths: np.ndarray,
    window: int,
    num_states: int,
    num_actions: int,
) -> Plays:
    """Cut episodes into chunks and count the distinct ones.

    Args:
        state: (N,) of all steps, episode by episode.
        action: (N,).
        reward: (N,).
        next_state: (N,).
        ended: (N,) bool, terminations.
        lengths: (E,) steps of each episode.
        window: K, most steps of a chunk.
        num_states: S.
        num_actions: A.
    """
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    total = np.cumsum(np.asarray(reward, np.float64))
    whole = np.repeat(np.add.reduceat(np.asarray(reward, np.float64), np.cumsum(lengths) - lengths), lengths)
    to_go = whole - (total - total[first] + reward[first]) + reward
    outcome = _numbers(np.asarray(reward, np.float64), np.where(ended, num_states, next_state))
    rows, mask = chunks(lengths, min(window, int(np.max(lengths))))
    prefix = np.zeros(rows.shape, np.int64)
    past = np.zeros(len(rows), np.int64)
    base = 0
    for k in range(rows.shape[1]):
        at = rows[:, k]
        number = _numbers(past, state[at], action[at], mask[:, k])
        prefix[:, k] = base + number
        base += int(number.max()) + 1
        past = _numbers(number, outcome[at])
    whole_chunk = _numbers(past, mask.sum(axis=1))
    _, one, count = np.unique(whole_chunk, return_index=True, return_counts=True)
    sums = np.zeros((len(one), rows.shape[1]))
    np.add.at(sums, whole_chunk, to_go[rows])
    real = mask[one]
    return Plays(
        state=torch.as_tensor(np.asarray(state, np.int64)[rows[one]]),
        action=torch.as_tensor(np.asarray(action, np.int64)[rows[one]]),
        prefix=torch.as_tensor(prefix[one]),
        outcome=torch.as_tensor(outcome[rows[one]]),
        to_go=torch.as_tensor(sums / count[:, None], dtype=torch.float32),
        weight=torch.as_tensor(real * count[:, None] / len(state), dtype=torch.float32),
        num_states=num_states,
        num_actions=num_actions,
        rho=torch.as_tensor(np.bincount(outcome) / len(outcome), dtype=torch.float32),
    )


def critic_gain(f: Tensor, rho: Tensor, outcome: Tensor) -> Tensor:
    """Compute f(o) - log sum_o' rho(o') exp f(o') for the outcomes that happened.

    Its mean is at most I(o; z | h, a) + E[KL(P(o | h, a) || rho)], which it is at f = log P(o | z, h, a) / rho(o).

    Args:
        f: (..., O, Z) of every outcome.
        rho: (O,).
        outcome: (...) int64.

    Returns:
        (..., Z).
    """
    taken = f.gather(-2, outcome[..., None, None].expand(*outcome.shape, 1, f.shape[-1])).squeeze(-2)
    return taken - torch.logsumexp(f + rho.log()[:, None], dim=-2)


class DocTables(nn.Module):
    """Tables q(z | chunk), pi(a | s, z), V(s, z) and f(outcome, z | prefix), and their losses over all chunks at once.

    Args:
        plays: The data.
        latents: Z.
        generator: Source of the initial numbers.
        spread: Their standard deviation.
    """

    def __init__(self, plays: Plays, latents: int, generator: torch.Generator, spread: float = 1.0):
        super().__init__()
        states, actions = plays.num_states, plays.num_actions
        shapes = {
            "q": (len(plays.state), latents),
            "pi": (states, latents, actions),
            "value": (states, latents),
            "critic": (plays.num_prefixes, len(plays.rho), latents),
        }
        check_bytes(16 * sum(float(np.prod(shape)) for shape in shapes.values()), "the tables of DoC")
        for name, shape in shapes.items():
            drawn = torch.randn(shape, generator=generator).clamp(-2, 2)
            setattr(self, name, nn.Parameter(spread * drawn))
        self.mean = float((plays.weight * plays.to_go).sum())
        deviation = float((plays.weight * (plays.to_go - self.mean) ** 2).sum() ** 0.5)
        self.unit = deviation if deviation > 0 else 1.0

    def losses(self, plays: Plays, sign: MISign, stop_gradient: bool = True) -> dict[str, Tensor]:
        """Compute the losses, each the mean over the steps of the data and over z ~ q.

        Args:
            plays: The data.
            sign: Treatment of the critic; see `DoC`.
            stop_gradient: Whether the value loss leaves q alone.

        Returns:
            "policy", "value", "luck" (the critic's gain) and "critic" (the term that is added to the loss).
        """
        q = self.q.softmax(dim=-1)[:, None]  # (U, 1, Z)
        weight = plays.weight[..., None]
        log_pi = self.pi[plays.state].log_softmax(dim=-1)  # (U, K, Z, A)
        taken = log_pi.gather(-1, plays.action[..., None, None].expand(*log_pi.shape[:-1], 1)).squeeze(-1)
        policy = -(weight * q * taken).sum()
        target = ((plays.to_go - self.mean) / self.unit)[..., None]
        value = (weight * (q.detach() if stop_gradient else q) * (self.value[plays.state] - target) ** 2).sum()
        gain = critic_gain(self.critic[plays.prefix], plays.rho, plays.outcome)  # (U, K, Z)
        luck = (weight * q * gain).sum()
        if sign == "minimax":  # q descends, f ascends
            critic = (weight * q * gain.detach()).sum() - (weight * q.detach() * gain).sum()
        else:
            critic = -luck if sign == "released" else torch.zeros_like(luck)
        return {"policy": policy, "value": value, "luck": luck, "critic": critic}

    @torch.no_grad()
    def prior(self, plays: Plays) -> Tensor:
        """Compute p(z | s), the mean of q over the steps at s, (S, Z); 0 for states that the data do not have."""
        mass = torch.zeros_like(self.value)
        spread = plays.weight[..., None] * self.q.softmax(dim=-1)[:, None]
        mass.index_put_((plays.state.reshape(-1),), spread.reshape(-1, mass.shape[1]), accumulate=True)
        total = mass.sum(dim=1, keepdim=True)
        return torch.where(total > 0, mass / total.clamp_min(1e-30), 0.0)

    @torch.no_grad()
    def best_latent(self, plays: Plays) -> tuple[Tensor, Tensor]:
        """Choose for each state the latent of the largest value among those of the data.

        Returns:
            z* (S,) int64, and V(s, z*) in units of the return (S,); the mean return for states without data.
        """
        prior = self.prior(plays)
        known = prior >= LEAST_SHARE / prior.shape[1]
        value, chosen = self.value.masked_fill(~known, -torch.inf).max(dim=1)
        return chosen, self.mean + self.unit * torch.where(known.any(dim=1), value, 0.0)

    @torch.no_grad()
    def policy(self, plays: Plays) -> Tensor:
        """Compute pi(a | s, z*), (S, A); uniform for states that the data do not have."""
        chosen, _ = self.best_latent(plays)
        probabilities = self.pi[torch.arange(len(chosen)), chosen].softmax(dim=-1)
        seen = self.prior(plays).sum(dim=1, keepdim=True) > 0
        return torch.where(seen, probabilities, 1.0 / plays.num_actions)


def total_loss(losses: dict[str, Tensor], weight: float) -> Tensor:
    """Add the losses, with the weight of the critic's."""
    return losses["policy"] + losses["value"] + weight * losses["critic"]


def return_conditioned_policy(
    state: np.ndarray, action: np.ndarray, returns: np.ndarray, num_states: int, num_actions: int
) -> np.ndarray:
    """Compute the table that return-conditioned imitation converges to, P(a | s, largest return of the data), (S, A).

    Args:
        state: (N,) of all steps.
        action: (N,).
        returns: (N,) return of each step's episode (or from the step on).
        num_states: S.
        num_actions: A; states that no episode of the largest return visits get the uniform policy.
    """
    counts = np.zeros((num_states, num_actions))
    best = returns >= returns.max() - 1e-9
    np.add.at(counts, (state[best], action[best]), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, 1 / num_actions), where=total > 0)
