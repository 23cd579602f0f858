"""Numba kernels of the coupling agents: one step of a batch of episodes, for the sender and for the receiver."""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.coding_games.coupling_kernels import action_distribution, choose, guess, message_policy, update_belief
from envzoo.coding_games.messages import largest_entropy_block


@njit(cache=True)
def hide(
    belief: np.ndarray,
    policy: np.ndarray,
    offsets: np.ndarray,
    limits: np.ndarray,
    encoder: int,
    message: np.ndarray,
    uniform: np.ndarray,
    deterministic: bool,
    acting: np.ndarray,
    actions: np.ndarray,
) -> float:
    """Take the sender's step: couple, act, and update the belief as the receiver will.

    Args:
        belief: (B, N) beliefs over the blocks of a message, concatenated; updated in place.
        policy: (B, A) action distributions of the carrier.
        offsets: (blocks + 1,) first index of each block.
        limits: (blocks,) maximum entropy in bits of a step's code, for each block.
        encoder: One of `couplings.ENCODERS`.
        message: (B, blocks) values to encode.
        uniform: (B,) numbers in [0, 1).
        deterministic: Take the most likely action for the message, the first one on ties.
        acting: (B,) bool, episodes in which the sender moves; elsewhere the action is 0 and the belief is unchanged.
        actions: (B,) int64, overwritten.

    Returns:
        The largest absolute difference, over episodes and actions, between the policy and the action distribution
        averaged over messages.
    """
    gap = 0.0
    distribution = np.empty(policy.shape[1])
    for i in range(len(belief)):
        actions[i] = 0
        if not acting[i]:
            continue
        block = largest_entropy_block(belief[i], offsets)
        part = belief[i, offsets[block] : offsets[block + 1]]
        labels, channel = message_policy(part, policy[i], limits[block], encoder)
        gap = max(gap, _gap(part, labels, channel, policy[i], distribution))
        action_distribution(labels, channel, policy[i], message[i, block], distribution)
        actions[i] = np.argmax(distribution) if deterministic else choose(distribution, uniform[i])
        update_belief(part, labels, channel, actions[i])
    return gap


@njit(cache=True)
def _gap(belief, labels, channel, policy, average):
    """Compute the largest difference between the policy and its average over messages, written to `average`."""
    average[:] = 0.0
    for x in range(len(belief)):
        if labels[x] >= 0:
            for action in range(len(policy)):
                average[action] += belief[x] * channel[labels[x], action]
    total, gap = policy.sum(), 0.0
    for action in range(len(policy)):
        gap = max(gap, abs(average[action] - policy[action] / total))
    return gap


@njit(cache=True)
def listen(
    belief: np.ndarray,
    policy: np.ndarray,
    offsets: np.ndarray,
    limits: np.ndarray,
    encoder: int,
    actions: np.ndarray,
    acting: np.ndarray,
) -> None:
    """Take the receiver's step: couple as the sender did, and condition the belief; arguments as in `hide`."""
    for i in range(len(belief)):
        if acting[i]:
            block = largest_entropy_block(belief[i], offsets)
            part = belief[i, offsets[block] : offsets[block + 1]]
            labels, channel = message_policy(part, policy[i], limits[block], encoder)
            update_belief(part, labels, channel, actions[i])


@njit(cache=True)
def guesses(belief: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    """Write the most likely value of each block to `out` (B, blocks)."""
    for i in range(len(belief)):
        for block in range(len(offsets) - 1):
            out[i, block] = guess(belief[i, offsets[block] : offsets[block + 1]])
