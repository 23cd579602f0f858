"""Layered worlds whose losses change between episodes, with features in which everything is linear (paper 44)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError, unknown
from envzoo.kernel.arguments import check_seed, check_whole
from envzoo.sizes import check_bytes
from envzoo.tabular.arrays import check_laws, freeze, read_law, read_numbers
from envzoo.tabular.finite_mdp import FiniteMDP

SCHEDULES = ("iid", "switch", "sinusoid", "fixed")


@dataclass(frozen=True, eq=False)
class AdversarialWorld:
    """A layered world with T tables of mean losses, one of which holds in each episode.

    Attributes:
        p: (H, n, A, n) probabilities of the next state; those of the last layer are not used.
        phi: (H, n, A, d) features.
        loss: (T, H, n, A) mean losses in [0, 1]; what is observed is 0 or 1.
        initial: (n,) law of the first state.

    Raises:
        EnvzooError: Arrays that do not fit together, or losses outside [0, 1].
    """

    p: np.ndarray
    phi: np.ndarray
    loss: np.ndarray
    initial: np.ndarray | int = 0

    def __post_init__(self) -> None:
        p, phi = read_numbers("p", self.p, finite=True), read_numbers("phi", self.phi, finite=True)
        loss = read_numbers("loss", self.loss, finite=True)
        if p.ndim != 4 or p.shape[1] != p.shape[3] or 0 in p.shape:
            raise EnvzooError(f"p has the shape {p.shape}; expected (H, n, A, n), none of them 0")
        if phi.ndim != 4 or phi.shape[:3] != p.shape[:3] or loss.ndim != 4 or loss.shape[1:] != p.shape[:3]:
            raise EnvzooError(
                f"phi and loss have the shapes {phi.shape} and {loss.shape}; expected {(*p.shape[:3], 'd')} and "
                f"{('T', *p.shape[:3])}".replace("'", "")
            )
        if not ((loss >= 0) & (loss <= 1)).all():
            raise EnvzooError("loss holds numbers outside [0, 1]; expected mean losses")
        freeze(self, p=check_laws("p", p), phi=phi, loss=loss, initial=read_law("initial", self.initial, p.shape[1]))

    def mean_model(self, shares: np.ndarray) -> FiniteMDP:
        """Return the process with the losses averaged by shares (T,), as negative rewards; layer h is h * n + state."""
        layers, states, actions, _ = self.p.shape
        size = layers * states
        p = np.zeros((size, actions, size))
        for h in range(layers - 1):
            p[h * states : (h + 1) * states, :, (h + 1) * states : (h + 2) * states] = self.p[h]
        reward = -np.einsum("t,thsa->hsa", shares, self.loss).reshape(size, actions)
        initial = np.concatenate([self.initial, np.zeros(size - states)])
        features = self.phi.reshape(size, actions, -1)
        return FiniteMDP(p, reward, 1.0, initial, horizon=layers, features=features)


def linear_bandit(arms: int = 8) -> AdversarialWorld:
    """Build the bandit with features (1, cos, sin) / sqrt 2 of equidistant angles, and mean losses .5 + .3 cos(. - 1).

    The second table has its best angle opposite.
    """
    arms = check_whole("arms", arms, 2, 4096)
    angles = 2 * np.pi * np.arange(arms) / arms
    phi = np.stack([np.ones(arms), np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(2)
    loss = np.stack([0.5 + 0.3 * np.cos(angles - 1), 0.5 - 0.3 * np.cos(angles - 1)])
    return AdversarialWorld(np.ones((1, 1, arms, 1)), phi[None, None], loss[:, None, None])


def linear_mdp(
    horizon: int = 3, states: int = 5, actions: int = 4, dimension: int = 4, world_seed: int = 3
) -> AdversarialWorld:
    """Draw a linear world: features Dirichlet(.3), next-state laws Dirichlet(.5), two tables of losses phi theta.

    Every row of features lies in the simplex, so that transitions phi mu and losses phi theta are laws and numbers in
    [0, 1], and every action value of every policy is linear in phi.
    """
    sizes = {"horizon": horizon, "states": states, "actions": actions, "dimension": dimension}
    horizon, states, actions, dimension = (check_whole(name, value, 1, 256) for name, value in sizes.items())
    rng = np.random.default_rng(check_seed(world_seed))
    phi = rng.dirichlet(np.full(dimension, 0.3), (horizon, states, actions))
    mu = rng.dirichlet(np.full(states, 0.5), (horizon, dimension))
    theta = rng.random((2, horizon, dimension))
    p = np.einsum("hsad,hdt->hsat", phi, mu)
    loss = np.clip(np.einsum("hsad,thd->thsa", phi, theta), 0.0, 1.0)
    return AdversarialWorld(p / p.sum(axis=-1, keepdims=True), phi, loss)


def rare_combination(horizon: int = 4, actions: int = 3) -> AdversarialWorld:
    """Build the lock in which only one sequence of actions has loss 0.

    In layer h action h mod A stays on the path, any other leaves it for good, and action (h + 1) mod A of the first
    layer takes a detour. The last layer costs 0.5 off the path, 0.4 on the detour and, with the right last action, 0 on
    it. Features are one-hot. In the second table the detour costs 0.5.
    """
    horizon, actions = check_whole("horizon", horizon, 2, 64), check_whole("actions", actions, 2, 64)
    on, off, detour = range(3)
    p = np.zeros((horizon, 3, actions, 3))
    loss = np.zeros((2, horizon, 3, actions))
    for h in range(horizon):
        p[h, on, :, off], p[h, off, :, off], p[h, detour, :, detour] = 1.0, 1.0, 1.0
        p[h, on, h % actions] = np.eye(3)[on]
    p[0, on, 1 % actions] = np.eye(3)[detour]
    loss[:, -1] = 0.5
    loss[0, -1, detour] = 0.4
    loss[:, -1, on, (horizon - 1) % actions] = 0.0
    phi = np.broadcast_to(np.eye(3 * actions).reshape(3, actions, -1), (horizon, 3, actions, 3 * actions))
    return AdversarialWorld(p, phi, loss)


def schedule_tables(kind: str, episodes: int, tables: int, seed: int = 0, share: float = 0.65) -> np.ndarray:
    """Fix the table of each episode beforehand (an oblivious adversary), int64 (K,).

    "iid" takes table 0 with probability `share` and otherwise another, "switch" goes through the tables in equal parts,
    "sinusoid" draws table 0 with a probability that swings three times, "fixed" always takes table 0.

    Raises:
        EnvzooError: An unknown schedule, or a number out of range.
    """
    if not isinstance(kind, str) or kind not in SCHEDULES:
        raise unknown("schedule", kind, SCHEDULES)
    episodes, rng = check_whole("episodes", episodes, 1, 10**8), np.random.default_rng(check_seed(seed))
    check_bytes(40 * episodes, f"a schedule of {episodes} episodes")
    if kind == "fixed" or tables == 1:
        return np.zeros(episodes, np.int64)
    if kind == "switch":
        return (np.arange(episodes) * 2 * tables // episodes) % tables
    chance = np.full(episodes, share)
    if kind == "sinusoid":
        chance = 0.5 + 0.5 * np.cos(6 * np.pi * np.arange(episodes) / episodes)
    others = 1 + rng.integers(tables - 1, size=episodes)
    return np.where(rng.random(episodes) < chance, 0, others).astype(np.int64)
