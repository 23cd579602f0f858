"""Registered environments of the memory family: worlds in which the present observation is not enough."""

from __future__ import annotations

from envzoo.specs import kernel

_PREVIOUS = "envzoo.memory.repeat_previous:RepeatPrevious"

ENVIRONMENTS = (
    kernel(
        "envzoo/RepeatPrevious-v0",
        _PREVIOUS,
        "memory",
        "name the suit of the card shown k - 1 steps ago",
    ),
    kernel(
        "envzoo/RepeatPrevious-Easy-v0",
        _PREVIOUS,
        "memory",
        "name the card shown 3 steps ago, 52 cards",
        kwargs={"k": 4, "decks": 1},
    ),
    kernel(
        "envzoo/RepeatPrevious-Medium-v0",
        _PREVIOUS,
        "memory",
        "name the card shown 31 steps ago, 104 cards",
        kwargs={"k": 32, "decks": 2},
    ),
    kernel(
        "envzoo/RepeatPrevious-Hard-v0",
        _PREVIOUS,
        "memory",
        "name the card shown 63 steps ago, 156 cards",
        kwargs={"k": 64, "decks": 3},
    ),
    kernel(
        "envzoo/RepeatFirst-v0",
        "envzoo.memory.repeat_first:RepeatFirst",
        "memory",
        "name the suit of the first card in every step",
    ),
    kernel(
        "envzoo/Autoencode-v0",
        "envzoo.memory.autoencode:Autoencode",
        "memory",
        "watch all cards, then name them in reverse order",
    ),
    kernel(
        "envzoo/TMaze-v0",
        "envzoo.memory.tmaze:TMaze",
        "memory",
        "remember a cue until the junction at the end of a corridor",
    ),
    kernel(
        "envzoo/AssociativeRecall-v0",
        "envzoo.memory.associative_recall:AssociativeRecall",
        "memory",
        "watch 8 pairs of keys and values, then name the values of given keys",
        paper="32-modern-hopfield",
    ),
    kernel(
        "envzoo/Latch-v0",
        "envzoo.memory.latch:Latch",
        "memory",
        "name the first symbol of a sequence after 31 distractors",
        paper="32-modern-hopfield",
    ),
    kernel(
        "envzoo/BitPatternBag-v0",
        "envzoo.memory.bit_pattern_bag:BitPatternBag",
        "memory",
        "one-step decision: does a bag of bit patterns hold a signal?",
        paper="32-modern-hopfield",
    ),
    kernel(
        "envzoo/PixelMatch-v0",
        "envzoo.memory.pixel_match:PixelMatch",
        "memory",
        "walk to the goal that a cue in a corner of the image names",
        paper="51-efficient-vmamba",
    ),
    kernel(
        "envzoo/SameDifferent-v0",
        "envzoo.memory.same_different:SameDifferent",
        "memory",
        "one-step decision: are the two glyphs in an image equal?",
        paper="51-efficient-vmamba",
    ),
)
