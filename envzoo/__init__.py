"""envzoo: reinforcement-learning environments in which information, entropy and history matter, and a zoo of agents.

Importing envzoo registers its environments with Gymnasium (`gymnasium.make("envzoo/GridCoverage-v0")`) without
importing their modules or PyTorch; agents are in `envzoo.agents`.
"""

from envzoo.moved import install
from envzoo.numba_cache import ensure_cache
from envzoo.registration import register_all
from envzoo.version import __version__

ensure_cache()
install()
register_all()

__all__ = ["__version__"]
