"""Worlds of agnostic reinforcement learning, each with its class of policies (paper 36)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envzoo.kernel.arguments import check_number, check_seed, check_whole
from envzoo.sizes import check_bytes
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.outcomes import Outcomes
from envzoo.tabular.policy_class import PolicyProblem, TablePolicies, tons


class World(NamedTuple):
    """A finite world and what a learner may know of it."""

    model: FiniteMDP
    problem: PolicyProblem


def _count(states: int, actions: int = 2) -> None:
    """Check the memory of the dense tables of a world and of its outcomes."""
    check_bytes(5 * 8 * states * actions * states, f"tables of a world of {states} states and {actions} actions")


def _layered(layers: int, states: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the layer of each state (S,), and the uniform law of every layer (H, S); the first is its first state."""
    layer = np.repeat(np.arange(layers), states)
    cover = (layer == np.arange(layers)[:, None]) / states
    cover[0] = 0.0
    cover[0, 0] = 1.0
    return layer, cover


def singleton_rich(
    layers: int = 10,
    states: int = 50,
    concentration: float = 0.1,
    bernoulli: bool = False,
    planted: float = 0.0,
    world_seed: int = 0,
) -> World:
    """Draw a layered world with Dirichlet moves, and the class of policies that deviate from 0 in one state.

    Args:
        layers: Number of layers, H; the episode ends with the last one.
        states: States of each layer; the first of the first layer is the start.
        concentration: Parameter of the Dirichlet law of a move.
        bernoulli: Rewards are coins with the mean given by the table, in place of the mean itself.
        planted: Added to the reward of action 1 in the state of the middle layer that action 0 visits most.
        world_seed: Seed of the world.
    """
    layers, states = check_whole("layers", layers, 1, 10_000), check_whole("states", states, 1, 1_000_000)
    concentration = check_number("concentration", concentration, 0.0, 1e6, above=True)
    planted = check_number("planted", planted, 0.0, 1.0 - 1 / layers if bernoulli else 1.0)
    total, rng = layers * states, np.random.default_rng(check_seed(world_seed))
    _count(total)
    weight = rng.dirichlet(np.full(states, concentration), (layers - 1, states, 2))
    # A law of a small concentration may lose all its weight to rounding: it is then a single state.
    lost = ~(np.abs(weight.sum(axis=-1) - 1) < 1e-9)
    weight[lost] = np.eye(states)[rng.integers(states, size=int(lost.sum()))]
    mean = rng.uniform(0, 1 / layers, (total, 2))
    if planted:
        mean[_most_visited(weight, (layers - 1) // 2), 1] += planted
    pays = np.stack([np.ones_like(mean), np.zeros_like(mean)], axis=-1) if bernoulli else mean[..., None]
    chance = np.stack([mean, 1 - mean], axis=-1) if bernoulli else np.ones_like(mean)[..., None]
    moves = np.zeros((total, 2, states))
    moves[: total - states] = weight.reshape(-1, 2, states)
    moves[total - states :, :, 0] = 1.0  # the episode ends
    block = np.minimum(np.arange(total) // states + 1, layers - 1) * states
    to = np.broadcast_to(block[:, None, None] + np.arange(states), moves.shape)
    count = chance.shape[2]
    ends = np.broadcast_to(np.arange(total)[:, None, None] >= total - states, (total, 2, states * count))
    outcomes = Outcomes(
        np.tile(to, (1, 1, count)),
        (chance[..., None] * moves[:, :, None, :]).reshape(total, 2, -1),
        np.repeat(pays, states, axis=2),
        ends,
    )
    layer, cover = _layered(layers, states)
    policies = tons(total)
    core = np.concatenate([np.zeros((1, total)), layer == np.arange(layers)[:, None]]).astype(np.int64)
    petals = np.arange(-1, total)[:, None]
    return World(FiniteMDP.from_outcomes(outcomes), PolicyProblem(policies, layer, cover, TablePolicies(core), petals))


def _most_visited(weight: np.ndarray, depth: int) -> int:
    """Return the state of a layer that action 0 visits most often; moves (H - 1, S, 2, S)."""
    law = np.eye(weight.shape[1])[0]
    for moves in weight[:depth, :, 0]:
        law = law @ moves
    return depth * weight.shape[1] + int(law.argmax())


def agnostic_tree(depth: int = 6, policies: int = 16, gap: float = 0.2, world_seed: int = 0) -> World:
    """Draw a binary tree of coins, one of which is better, and a class of random policies of which one comes there.

    Args:
        depth: Number of actions of an episode, H; there are 2^H leaves.
        policies: Number of policies, the best one included.
        gap: The best leaf pays with probability 1/2 + gap, all others with 1/2.
        world_seed: Seed of the policies.
    """
    depth, count = check_whole("depth", depth, 1, 40), check_whole("policies", policies, 1, 1_000_000)
    gap = check_number("gap", gap, 0.0, 0.5)
    states = 2**depth - 1
    _count(states)
    check_bytes(20 * count * states, f"{count} policies over {states} states")
    rng = np.random.default_rng(check_seed(world_seed))
    table = rng.integers(2, size=(count, states))
    best = int(rng.integers(count))
    nodes = np.arange(states)
    children = 2 * nodes[:, None] + np.arange(1, 3)
    leaf = 0
    for _ in range(depth):
        leaf = 2 * leaf + 1 + int(table[best, leaf]) if leaf < states else leaf
    good = np.where(children == leaf, 0.5 + gap, 0.5)
    last = children >= states
    to = np.repeat(np.where(last, 0, children)[..., None], 2, axis=2)
    chance = np.where(last[..., None], np.stack([good, 1 - good], axis=-1), [1.0, 0.0])
    pays = np.where(last[..., None], [1.0, 0.0], [0.0, 0.0])
    outcomes = Outcomes(to, chance, pays, np.repeat(last[..., None], 2, axis=2))
    layer = np.floor(np.log2(nodes + 1)).astype(np.int64)
    cover = layer == np.arange(depth)[:, None]
    problem = PolicyProblem(TablePolicies(table), layer, cover / cover.sum(axis=1, keepdims=True))
    return World(FiniteMDP.from_outcomes(outcomes), problem)


def psdp_trap(gadgets: int = 1, weight: float = 0.5) -> World:
    """Build a chain of gadgets in which the best policy is not the best continuation from the covering law.

    From the first state of a gadget action 0 leads to x and action 1 to y. In x action 0 pays 1 and action 1 pays 0.6;
    in y they pay 0 and 0.6. Rewards are divided by the number of gadgets. The class has two policies, always 0 (value
    1) and always 1 (value 0.6).

    Args:
        gadgets: Length of the chain.
        weight: Probability of x under the covering law.
    """
    gadgets = check_whole("gadgets", gadgets, 1, 10_000)
    weight = check_number("weight", weight, 0.0, 1.0)
    states = 3 * gadgets
    _count(states)
    p, reward, cover = np.zeros((states, 2, states)), np.zeros((states, 2)), np.zeros((2 * gadgets, states))
    layer = np.empty(states, np.int64)
    for g in range(gadgets):
        first, x, y = 3 * g + np.arange(3)
        layer[[first, x, y]] = 2 * g, 2 * g + 1, 2 * g + 1
        p[first, 0, x] = p[first, 1, y] = 1.0
        after = first + 3 if g + 1 < gadgets else 0
        p[[x, y], :, after] = 1.0
        reward[[x, y]] = np.array([[1.0, 0.6], [0.0, 0.6]]) / gadgets
        cover[2 * g, first] = 1.0
        cover[2 * g + 1, [x, y]] = weight, 1 - weight
    flags = np.zeros(p.shape, np.bool_)
    flags[-2:, :, 0] = True
    policies = TablePolicies(np.repeat(np.arange(2)[:, None], states, axis=1))
    petals = np.full((2, 1), -1)
    return World(FiniteMDP.from_tables(p, reward, flags), PolicyProblem(policies, layer, cover, policies, petals))


def block_combo_lock(
    layers: int = 6, block: int = 64, exogenous: int = 1, policies: int = 256, world_seed: int = 0
) -> World:
    """Draw a combination lock whose latent state is shown by one of many observations.

    Args:
        layers: Number of layers, H. Each has two good latent states and a dead one.
        block: Observations of each latent state (and exogenous state).
        exogenous: States of a random walk on a ring that no action changes and that the observation also shows; 1
            without it.
        policies: Size of the class: the best policy and random ones, all of which depend on the latent state only.
        world_seed: Seed of combination and class.
    """
    layers, block = check_whole("layers", layers, 1, 10_000), check_whole("block", block, 1, 1_000_000)
    ring, count = check_whole("exogenous", exogenous, 1, 1_000_000), check_whole("policies", policies, 1, 1_000_000)
    each = ring * block
    total = 3 * layers * each
    _count(total)
    check_bytes(20 * count * total, f"{count} policies over {total} states")
    rng = np.random.default_rng(check_seed(world_seed))
    code = rng.integers(2, size=(layers, 2))
    # Latent moves (H, 3, 2, 3): a good state with the right action leads to both good ones, all else to the dead one.
    latent = np.zeros((layers, 3, 2, 3))
    latent[..., 2] = 1.0
    for h, z in np.ndindex(layers, 2):
        latent[h, z, code[h, z]] = 0.5, 0.5, 0.0
    walk = np.zeros((ring, ring))
    for e in range(ring):
        for to in (e - 1, e, e + 1):
            walk[e, to % ring] += 1 / 3
    moves = np.einsum("hzay,ef->hzeayf", latent, walk)[..., None] * np.full(block, 1 / block)
    moves = np.repeat(moves.reshape(layers, 3, ring, 1, 2, 3 * each), block, axis=3).reshape(total, 2, 3 * each)
    place = np.minimum(np.arange(total) // (3 * each) + 1, layers - 1) * 3 * each
    to = np.broadcast_to(place[:, None, None] + np.arange(3 * each), moves.shape)
    last = np.arange(total) >= total - 3 * each
    kind = np.arange(total) // each % 3
    pays = np.zeros((total, 2, 1))
    for z in range(2):
        pays[last & (kind == z), code[-1, z]] = 1.0
    outcomes = Outcomes(to, moves, pays, np.broadcast_to(last[:, None, None], moves.shape))
    layer = np.arange(total) // (3 * each)
    choice = rng.integers(2, size=(count, layers, 3))
    choice[int(rng.integers(count)), :, :2] = code
    initial = np.zeros(total)
    initial[:each] = 1 / each
    cover = (layer == np.arange(layers)[:, None]) / (3.0 * each)
    cover[0] = initial
    problem = PolicyProblem(TablePolicies(choice[:, layer, kind]), layer, cover)
    return World(FiniteMDP.from_outcomes(outcomes, initial=initial), problem)
