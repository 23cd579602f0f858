"""Where experience comes from: environments, games, datasets, pairs and preferences (see `envzoo.agents.sources`)."""

from __future__ import annotations

import envzoo  # noqa: F401  (registers our environments)
from envzoo.agents.sources.base import Source
from envzoo.agents.sources.game import is_game
from envzoo.agents.sources.pairs import Pairs
from envzoo.agents.sources.preferences import Preferences
from envzoo.agents.sources.table import KINDS, SourceKind, resolve
from envzoo.agents.sources.vector import make_vector_env

__all__ = [
    "KINDS",
    "Pairs",
    "Preferences",
    "Source",
    "SourceKind",
    "is_game",
    "make_vector_env",
    "resolve",
]
