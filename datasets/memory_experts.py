"""Policies that remember everything and answer right, whose datasets show what a memory has to learn.

Each function takes the definition of the environment and a seed, which is not used, and returns a function with the
signature of `predict` (see `envzoo.datasets.recipes.ScriptedPolicy`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

APART = 3  # pixels of one glyph are nearer to each other than this, and those of two glyphs farther


def repeat_previous(definition: Any, seed: int):
    """Make the policy of RepeatPrevious that names the card of k - 1 steps ago, and 0 before there is one."""

    def predict(observation, state, episode_start, deterministic):
        if state is None:
            state = np.zeros((len(observation), definition.k), np.int64)
        state = np.where(episode_start[:, None], 0, state)
        state = np.concatenate([state[:, 1:], np.asarray(observation)[:, None]], axis=1)
        return state[:, 0], state

    return predict


def autoencode(definition: Any, seed: int):
    """Make the policy of Autoencode that plays the cards back; it answers 0 while it watches."""

    def predict(observation, state, episode_start, deterministic):
        count = definition.num_cards
        if state is None:
            state = (np.zeros((len(observation), count), np.int64), np.zeros(len(observation), np.int64))
        cards, time = state[0].copy(), np.where(episode_start, 0, state[1])
        rows = np.arange(len(cards))
        watching = time < count
        cards[rows[watching], time[watching]] = observation[watching, 1]
        asked = np.clip(2 * (count - 1) - time, 0, count - 1)
        return np.where(time + 1 >= count, cards[rows, asked], 0), (cards, time + 1)

    return predict


def recall_pairs(definition: Any, seed: int):
    """Make the policy of AssociativeRecall that looks values up; it answers 0 while pairs are shown."""
    keys = definition.observation_space.nvec[0]

    def predict(observation, state, episode_start, deterministic):
        if state is None:
            state = np.zeros((len(observation), keys), np.int64)
        table, rows = state.copy(), np.arange(len(observation))
        table[episode_start] = 0
        shown = observation[:, 2] == 0
        table[rows[shown], observation[shown, 0]] = observation[shown, 1]
        return np.where(shown, 0, table[rows, observation[:, 0]]), table

    return predict


def latch(definition: Any, seed: int):
    """Make the policy of Latch that names the first symbol in every step."""

    def predict(observation, state, episode_start, deterministic):
        first = np.array(observation) if state is None else np.where(episode_start, observation, state)
        return first, first

    return predict


def same_glyphs(image: np.ndarray) -> bool:
    """Tell whether the two glyphs in an image (H, W) are equal."""
    pixels = np.argwhere(image > 0)
    near = np.linalg.norm(pixels - pixels[0], axis=1) < APART
    first, second = (part - part.min(axis=0) for part in (pixels[near], pixels[~near]))
    return first.shape == second.shape and bool((first == second).all())  # in the order of rows and columns


def compare_glyphs(definition: Any, seed: int):
    """Make the policy of SameDifferent that compares the glyphs pixel by pixel."""

    def predict(observation, state, episode_start, deterministic):
        return np.array([same_glyphs(image[..., 0]) for image in observation], np.int64), state

    return predict
