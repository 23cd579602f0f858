"""Simulation of many machines that run seeds with checkpoints and fail at times."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from envzoo.errors import EnvzooError


@dataclass(frozen=True)
class Cluster:
    """Assumptions of the simulation; times in seconds.

    A job starts on a free machine, saves a checkpoint after every `interval` of work, and ends when its work is done.
    Machines fail independently, at exponentially distributed times of running. A job whose machine failed loses what it
    did since its last checkpoint and waits for a free machine; the failed machine is back after `repair`.

    Attributes:
        machines: Number of machines.
        jobs: Number of jobs (seeds).
        work: Work of one job.
        start: Time from giving a job to a machine until it works, of a first start and of a resume alike.
        checkpoint: Time that a checkpoint takes, during which nothing is learned.
        interval: Work between two checkpoints.
        between_failures: Mean time between two failures of one machine.
        repair: Time until a failed machine takes jobs again.
    """

    machines: int
    jobs: int
    work: float
    start: float
    checkpoint: float
    interval: float
    between_failures: float
    repair: float = 600.0

    def __post_init__(self):
        if self.machines < 1 or self.jobs < 1:
            raise EnvzooError(f"machines is {self.machines} and jobs {self.jobs}; expected at least 1 of each")
        if min(self.work, self.interval, self.between_failures) <= 0 or min(self.start, self.checkpoint) < 0:
            raise EnvzooError("work, interval and between_failures are positive, start and checkpoint not negative")


@dataclass(frozen=True)
class Outcome:
    """Result of a simulation.

    Attributes:
        seconds: Time until all jobs are done.
        efficiency: Work of all jobs over the time that machines spent on them.
        failures: Number of failures that met a job.
        lost: Work that was done again.
    """

    seconds: float
    efficiency: float
    failures: int
    lost: float


def attempt(cluster: Cluster, left: float, until_failure: float) -> tuple[float, float, float]:
    """Run a job on a machine until it is done or the machine fails.

    Args:
        cluster: Assumptions.
        left: Work that the job still has to do.
        until_failure: Time at which the machine fails.

    Returns:
        The time that passed, the work that is saved, and the work that is lost.
    """
    pieces = int(np.ceil(left / cluster.interval - 1e-12))
    # No checkpoint is needed after the last piece: the run is then saved as finished.
    needed = cluster.start + left + (pieces - 1) * cluster.checkpoint
    if needed <= until_failure:
        return needed, left, 0.0
    worked = until_failure - cluster.start
    if worked <= 0:
        return until_failure, 0.0, 0.0
    whole = int(worked // (cluster.interval + cluster.checkpoint))
    rest = worked - whole * (cluster.interval + cluster.checkpoint)
    return until_failure, whole * cluster.interval, min(rest, cluster.interval)


def simulate(cluster: Cluster, seed: int = 0) -> Outcome:
    """Simulate all jobs once."""
    generator = np.random.default_rng(seed)
    free = [(0.0, machine) for machine in range(cluster.machines)]  # when each machine is free
    waiting = [(0.0, job, cluster.work) for job in range(cluster.jobs)]  # since when each job waits, and what is left
    end = busy = lost = 0.0
    failures = 0
    while waiting:
        since, job, left = heapq.heappop(waiting)
        at, machine = heapq.heappop(free)
        at = max(at, since)
        # Exponential times have no memory, so a new draw at each start is the same process.
        taken, saved, again = attempt(cluster, left, float(generator.exponential(cluster.between_failures)))
        busy, lost = busy + taken, lost + again
        if saved < left:
            failures += 1
            heapq.heappush(waiting, (at + taken, job, left - saved))
            heapq.heappush(free, (at + taken + cluster.repair, machine))
        else:
            end = max(end, at + taken)
            heapq.heappush(free, (at + taken, machine))
    return Outcome(end, cluster.jobs * cluster.work / busy, failures, lost)


def best_interval(checkpoint: float, between_failures: float) -> float:
    """Return the interval between checkpoints that loses least, to first order (Young, 1974): sqrt(2 C M)."""
    return float(np.sqrt(2 * checkpoint * between_failures))
