"""Access to a step's infos, for all autoreset modes of vector environments."""

from __future__ import annotations

from typing import Any

import numpy as np


def step_info(infos: dict[str, Any], key: str, done: np.ndarray) -> np.ndarray | None:
    """Return the values (B, ...) of an info key for the step itself, or None.

    Where an episode ended, they are those of `final_info`.
    """
    value = infos.get(key)
    final = infos.get("final_info")
    if final is None or key not in final:
        return value
    if value is None:
        return final[key]
    mask = np.asarray(final.get(f"_{key}", done)).reshape(-1, *[1] * (np.ndim(value) - 1))
    return np.where(mask, final[key], value)
