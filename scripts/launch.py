"""Run independent jobs sequentially, in local processes, or on a Ray cluster, with the same results."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from types import FrameType
from typing import Any, Literal

from envzoo.errors import EnvzooError, unknown
from envzoo.scripts.import_modules import WithImports, imported
from envzoo.scripts.launch_ray import GRACE_SECONDS, fail, run_ray

Launcher = Literal["processes", "ray", "inline"]
LAUNCHERS = ("processes", "ray", "inline")


def available_cores() -> int:
    """Return the number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def job_name(job: Mapping[str, Any], index: int) -> str:
    """Return a short readable name: the job's entry "name", or else its seed, or else its plain values."""
    if isinstance(job.get("name"), str):
        return job["name"]
    if "seed" in job:
        return f"seed {job['seed']}"
    plain = [f"{key}={value}" for key, value in job.items() if isinstance(value, str | int | float | bool)]
    return " ".join(plain)[:120] or f"number {index + 1}"


def run_jobs(
    function: Callable[[dict[str, Any]], Any],
    jobs: Sequence[Mapping[str, Any]],
    *,
    launcher: Launcher = "processes",
    processes: int | None = None,
    names: Sequence[str] | None = None,
    on_done: Callable[[int, Any], None] | None = None,
    again: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    shared_folder: str | os.PathLike | None = None,
) -> list[Any]:
    """Call `function(job)` for every job and return the results in the order of the jobs.

    The first failure cancels all other jobs and is raised again with the name of its job. Ctrl-C asks running jobs to
    stop, by calling the SIGINT handler that a job has set, or else by raising KeyboardInterrupt in it. Jobs that end
    within a few seconds are reported to `on_done` as usual, the others are killed (immediately after a second Ctrl-C),
    and KeyboardInterrupt is raised in the caller.

    Args:
        function: A module-level function (not a lambda or nested function), so that other processes can import it.
        jobs: The argument of each call.
        launcher: "processes" (a local pool), "ray" (the cluster at RAY_ADDRESS, or a local Ray), or "inline"
            (sequentially in this process, for debugging).
        processes: Number of concurrent jobs; None uses one per core, or with Ray as many as fit.
        names: Names of the jobs in messages; None uses `job_name`.
        on_done: Called in this process as `on_done(index, result)` when a job ends, in order of completion.
        again: With Ray, maps a job whose worker was killed to the job that is run instead; the default repeats the job.
        shared_folder: A folder that the jobs write to. With Ray it is created, and every node must have access to it.

    Raises:
        UnknownNameError: The launcher is unknown.
        MissingExtraError: The launcher is "ray", but Ray is not installed.
        EnvzooError: The number of processes is invalid, a process died (with Ray, repeatedly), or a node of the cluster
            cannot access the shared folder.
    """
    if launcher not in LAUNCHERS:
        raise unknown("launcher", launcher, LAUNCHERS)
    if processes is not None and (isinstance(processes, bool) or not isinstance(processes, int) or processes < 1):
        raise EnvzooError(f"processes is a positive integer, got {processes!r}")
    names = list(names) if names is not None else [job_name(job, index) for index, job in enumerate(jobs)]
    if not jobs:
        return []
    on_done = on_done or (lambda index, result: None)
    if imported():
        function = WithImports(function)
    if launcher == "ray":
        return run_ray(function, jobs, names, processes, on_done, again, shared_folder, available_cores())
    run = {"inline": _run_inline, "processes": _run_processes}[launcher]
    return run(function, jobs, names, processes, on_done)


# ---------------------------------------------------------------------------- inline


def _run_inline(function, jobs, names, processes, on_done) -> list[Any]:
    results = []
    for index, job in enumerate(jobs):
        try:
            result = function(dict(job))
        except Exception as error:
            fail(error, names[index])
        results.append(result)
        on_done(index, result)
    return results


# ---------------------------------------------------------------------------- processes

_running = False  # in a worker: whether a job is running
_stopping = False  # in a worker: whether it has been told to stop


def _on_terminate(number: int, frame: FrameType | None) -> None:
    """Interrupt the running job once; an idle worker ends when the pool is shut down or at the second signal."""
    global _stopping
    again, _stopping = _stopping, True
    if not _running:
        if again:
            os._exit(128 + number)
    elif not again:
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)  # the job's own


def _follow_parent() -> None:
    """End this worker when its parent process has ended, for example because it was killed."""
    parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    time.sleep(0.1)
    while _running and time.monotonic() < deadline:
        time.sleep(0.1)
    os._exit(1)


def _start_worker(threads: int) -> None:
    # Only the parent tells jobs to stop, once. Ctrl-C signals the whole process group of the terminal, so workers
    # leave that group.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_terminate)
    threading.Thread(target=_follow_parent, daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _work(function: Callable[..., Any], job: Mapping[str, Any]) -> Any:
    global _running
    if _stopping:  # the job was submitted before the stop but had not started
        raise KeyboardInterrupt
    _running = True
    try:
        return function(dict(job))
    finally:
        _running = False


def _run_processes(function, jobs, names, processes, on_done) -> list[Any]:
    cores = available_cores()
    count = min(processes or cores, len(jobs))
    # Processes are spawned, not forked: a fork of a process with threads (torch, Numba) can hang.
    pool = ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(max(1, cores // count),)
    )
    results: list[Any] = [None] * len(jobs)
    futures: dict[Future, int] = {}
    reported: set[int] = set()

    def report(future: Future) -> None:
        index = futures[future]
        results[index] = _outcome(future, names[index], futures, names)
        reported.add(index)
        on_done(index, results[index])

    try:
        futures.update((pool.submit(_work, function, job), index) for index, job in enumerate(jobs))
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=futures.__getitem__):
                report(future)
    except KeyboardInterrupt:
        for future in _stop(pool, futures):
            if futures[future] not in reported:
                report(future)
        raise
    except BaseException:
        _stop(pool, futures)
        raise
    pool.shutdown()
    return results


def _outcome(future: Future, name: str, futures: Mapping[Future, int], names: Sequence[str]) -> Any:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        # Every job of a broken pool raises this error; the pool does not report which process died.
        open_jobs = [names[i] for f, i in futures.items() if f.done() and isinstance(f.exception(), BrokenProcessPool)]
        raise EnvzooError(
            f"a process died while running {', '.join(open_jobs[:4])}{', ...' if len(open_jobs) > 4 else ''}; it was "
            "killed, perhaps for lack of memory (fewer processes need less), or crashed"
        ) from error
    if error is not None:
        fail(error, name)
    return future.result()


def _stop(pool: ProcessPoolExecutor, futures: Mapping[Future, int]) -> list[Future]:
    """Ask the jobs of a pool to stop, then kill the remaining ones. Return the futures of jobs that have a result."""
    workers = list((pool._processes or {}).values())  # public (`terminate_workers`) only from Python 3.14 on
    for future in futures:
        future.cancel()
    for worker in workers:
        worker.terminate()
    try:
        wait([future for future in futures if not future.cancelled()], timeout=GRACE_SECONDS)
    finally:  # also at a second Ctrl-C
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + 1.0
        while any(worker.is_alive() for worker in workers) and time.monotonic() < deadline:
            time.sleep(0.02)
        for worker in workers:
            if worker.is_alive():
                worker.kill()
    return [future for future in futures if future.done() and not future.cancelled() and future.exception() is None]
