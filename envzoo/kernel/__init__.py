"""One kernel, two faces: write an environment once in arrays, get `gymnasium.Env` and `gymnasium.vector.VectorEnv`.

How to add an environment (see `envzoo/control/entropy_bandit.py` for the smallest complete one):

1. NamedTuple classes at module level for parameters, state, and (if any) infos, reset options and Dict observations.
2. Three module-level functions `@njit(cache=True)`: `reset`, `step`, `observe`, looping over the batch.
3. A `Definition` subclass: its docstring is the manual, its `__init__` checks the arguments and sets the attributes.
4. Two classes of two lines, `KernelEnv` and `KernelVectorEnv` with `definition_class` set, and one line in
   `envzoo/registration.py`.

Numba's on-disk cache looks at the time stamp of the file in which a function stands, not at those of the functions it
calls: after an edit of `stream.py`, delete the `*.nbi` files in the `__pycache__` folders of its callers.
"""

from envzoo.kernel.definition import Definition, Kernels
from envzoo.kernel.single import KernelEnv
from envzoo.kernel.vector import KernelVectorEnv

__all__ = ["Definition", "KernelEnv", "KernelVectorEnv", "Kernels"]
