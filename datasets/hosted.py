"""Reference returns of datasets that Minari hosts, whose metadata lack them."""

from __future__ import annotations

# First part of the id -> returns of the random policy and of the expert, as D4RL defines them (Fu et al., 2020, arXiv
# 2004.07219) for the tasks of these names. D4RL measured them in older versions of the environments, so normalised
# scores are comparable with published ones as far as the environments are. Mazes and kitchen are not listed: their
# rewards and ends of episodes differ between D4RL and Minari.
REFERENCES: dict[str, tuple[float, float]] = {
    "mujoco/halfcheetah/": (-280.178953, 12135.0),
    "mujoco/hopper/": (-20.272305, 3234.3),
    "mujoco/walker2d/": (1.629008, 4592.3),
    "mujoco/ant/": (-325.6, 3879.7),
    "D4RL/pen/": (96.262799, 3076.8331017826877),
    "D4RL/hammer/": (-274.856578, 12794.134825156867),
    "D4RL/relocate/": (-6.425911, 4233.877797728884),
    "D4RL/door/": (-56.512833, 2880.5693087298737),
}


def hosted_references(dataset_id: str) -> tuple[float, float] | None:
    """Return the reference returns of a hosted dataset, or None if the table does not have it."""
    return next((pair for prefix, pair in REFERENCES.items() if dataset_id.startswith(prefix)), None)
