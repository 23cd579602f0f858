"""Kernel base: write an environment once on arrays, get a `gymnasium.Env` and a `gymnasium.vector.VectorEnv`.

How to add an environment (see `envzoo/control/entropy_bandit.py` for the smallest complete one):

1. NamedTuple classes at module level for parameters, state, and (if any) infos, reset options and Dict observations.
2. Three module-level functions `@njit(cache=True)`: `reset`, `step`, `observe`, looping over the batch.
3. A `Definition` subclass: its docstring is the manual, its `__init__` checks the arguments and sets the attributes.
4. Two two-line subclasses of `KernelEnv` and `KernelVectorEnv` that set `definition_class`, and one row in the
family's `specs.py`.

Numba's on-disk cache checks the timestamp of the file that defines a function, not those of the functions it calls:
after editing `stream.py`, delete the `*.nbi` files in the `__pycache__` folders of its callers.
"""

from envzoo.kernel.definition import Definition, Kernels
from envzoo.kernel.single import KernelEnv
from envzoo.kernel.vector import KernelVectorEnv

__all__ = ["Definition", "KernelEnv", "KernelVectorEnv", "Kernels"]
