"""Options of `envzoo train`, and their defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

DEFAULT_TIMESTEPS = 100_000


@dataclass(frozen=True)
class TrainOptions:
    """Options of training."""

    timesteps: int | None = None
    """Budget in environment steps (gradient steps for datasets); None uses 100000, or the budget of the resumed run. A
    larger number extends a resumed run."""
    seed: int = 0
    """Seed of all random numbers of the run."""
    seeds: int = 1
    """Number of agents to train in parallel, with the seeds SEED, SEED+1, ..."""
    launcher: Literal["auto", "processes", "batch", "ray"] = "auto"
    """How several seeds are run: in local processes; as one batch in this process (TD3, TD3BC, IQL, BC and FilteredBC);
    or on a Ray cluster (extra `ray`), where a seed whose worker was killed is resumed. auto takes a batch on a GPU,
    where the agent can be batched, and processes otherwise."""
    processes: int | None = None
    """Number of local processes; None uses one per core."""
    device: str = "auto"
    """Torch device: auto (a GPU if available), cpu, cuda, ...; a resumed run keeps its device."""
    env_kwargs: tuple[str, ...] = ()
    """Keyword arguments of the environment, as KEY=VALUE with JSON values (start=centre rows=12)."""
    wrapper: tuple[str, ...] = ()
    """Wrapper of Gymnasium or envzoo around the environment, as NAME or NAME:KEY=VALUE,KEY=VALUE with JSON values
    (TimeLimit:max_episode_steps=200). It may be repeated; the first is the innermost."""
    tag: tuple[str, ...] = ()
    """Labels of the run, kept with its settings (and shown by W&B)."""
    csv: bool = False
    """Also write the metrics to metrics.csv in the run's folder."""
    wandb: str | None = None
    """Project of Weights & Biases to log to (extra `wandb`); WANDB_MODE=offline keeps everything on this machine."""
    preset: bool = False
    """Use the hyperparameters that `envzoo tune` found for this agent and environment, and their budget (see
    docs/presets.md); options on the command line come first."""
    config: str | None = None
    """TOML file with settings, as each run writes in its folder (config.toml); options on the command line come
    first. With it, agent and source may be left out."""
    run_dir: str | None = None
    """Folder of the run; None creates one under runs/. With several seeds it contains one folder per seed."""
    resume: bool = False
    """Resume the run in RUN_DIR from its newest checkpoint. Options that are not given keep the values of the run; only
    timesteps, device, checkpoint_every and progress may be changed."""
    eval_every: int | None = None
    """Timesteps between evaluations; None uses a tenth of the budget, 0 evaluates only at the end."""
    eval_episodes: int = 100
    """Number of episodes per evaluation."""
    eval_stochastic: bool = False
    """Evaluate with sampled actions instead of the policy's mode."""
    checkpoint_every: int | None = None
    """Timesteps between checkpoints; None saves every minute and at the end."""
    stop_at: float | None = None
    """Stop training once the mean return of an evaluation reaches this value."""
    threads: int | Literal["auto"] = "auto"
    """Number of Torch threads, which affects rounding and so the results. auto chooses it from the sizes of networks
    and batches, independently of the machine; small ones use 1 thread, which is fastest for them."""
    progress: bool = True
    """Show a progress bar."""


NOT_OF_A_RUN = ("seeds", "launcher", "processes", "preset", "config", "run_dir", "resume", "progress")
DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(TrainOptions) if field.name not in NOT_OF_A_RUN
} | {"env_kwargs": None}
