"""Run jobs on a Ray cluster, and repeat those whose worker was killed."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from envzoo.errors import EnvzooError, StorageError, missing_extra
from envzoo.files import reason, storage_error, write_text

RETRIES = 3  # repetitions of a job whose worker was killed
GRACE_SECONDS = 30.0  # time that a job has to end after Ctrl-C before it is killed
PROBE_SECONDS = 120.0  # a node may have to start a worker first


def fail(error: BaseException, name: str) -> NoReturn:
    """Raise the error of a job again, with the name of the job."""
    if isinstance(error, EnvzooError):
        raise type(error)(f"{name}: {error}") from error
    # An unexpected error keeps its class and traceback; the note is printed below them.
    error.add_note(f"while running the job {name}")
    raise error


def run_ray(
    function: Callable[[dict[str, Any]], Any],
    jobs: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    processes: int | None,
    on_done: Callable[[int, Any], None],
    again: Callable[[dict[str, Any]], dict[str, Any]],
    shared_folder: str | os.PathLike | None,
    cores: int,
) -> list[Any]:
    """Implement `run_jobs` with Ray; see there for the arguments. `cores` is the number of local cores."""
    try:
        import ray
        from ray import init  # noqa: F401  (any folder called ray, such as Ray's own in /tmp, can be imported as a package)
    except ImportError as error:
        raise missing_extra("the launcher 'ray'", "ray", "ray") from error
    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS")
        # A local Ray gets as many CPUs as there are processes; the size of a cluster is fixed.
        local = {} if address else {"num_cpus": processes or cores, "include_dashboard": False}
        ray.init(address=address or "local", log_to_driver=False, logging_level="warning", **local)
    try:
        with _probe(shared_folder) as probe:
            if probe is not None:
                _check_nodes(ray, probe)
            return _run(ray, function, jobs, names, processes, on_done, again, probe)
    finally:
        if started:
            ray.shutdown()


def _run(ray, function, jobs, names, processes, on_done, again, probe) -> list[Any]:
    # Ray's own retries would repeat the same job; ours can resume it.
    remote = ray.remote(num_cpus=1, max_retries=0)(_work)
    limit = processes or len(jobs)
    results: list[Any] = [None] * len(jobs)
    references: dict[Any, int] = {}
    waiting = [(index, dict(job)) for index, job in enumerate(jobs)]
    running: dict[int, dict[str, Any]] = {}
    kills = [0] * len(jobs)
    try:
        while waiting or references:
            while waiting and len(references) < limit:
                index, job = waiting.pop(0)
                running[index] = job
                references[remote.remote(function, job, probe)] = index
            done, _ = ray.wait(list(references), num_returns=1)
            for reference in done:
                index = references.pop(reference)
                try:
                    results[index] = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    fail(error.cause if isinstance(error.cause, BaseException) else error, names[index])
                except _killed(ray) as error:
                    kills[index] += 1
                    _report_kill(error, names[index], kills[index])
                    waiting.append((index, again(running[index])))
                    continue
                on_done(index, results[index])
    finally:
        _cancel(ray, list(references))
    return results


def _killed(ray: Any) -> tuple[type[BaseException], ...]:
    """Return the exceptions that Ray raises when the worker or node of a task has died."""
    names = ("WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError", "ObjectLostError")
    return tuple(getattr(ray.exceptions, name) for name in names if hasattr(ray.exceptions, name))


def _report_kill(error: BaseException, name: str, kills: int) -> None:
    first = str(error).strip().splitlines()[0]
    if kills > RETRIES:
        times = f", {kills} times" if kills > 1 else ""
        raise EnvzooError(f"a process died while running {name}{times} ({first})") from error
    print(f"note: the worker of {name} was killed; restarting it ({kills} of {RETRIES})", file=sys.stderr)


def _work(function: Callable[..., Any], job: dict[str, Any], probe: tuple[str, str] | None) -> Any:
    # A node that joined after the check must be able to access the folder as well.
    if probe is not None and not _sees(probe):
        raise EnvzooError(_blind(probe[0], socket.gethostname()))
    return function(job)


def _cancel(ray: Any, references: list[Any]) -> None:
    """Interrupt running tasks, and kill those that do not stop."""
    if not references:
        return
    for reference in references:
        ray.cancel(reference)
    try:
        _, left = ray.wait(references, num_returns=len(references), timeout=GRACE_SECONDS)
    except KeyboardInterrupt:
        left = references
    for reference in left:
        ray.cancel(reference, force=True)


# ---------------------------------------------------------------------------- the shared folder


@contextmanager
def _probe(folder: str | os.PathLike | None):
    """Keep a probe file in the shared folder while jobs run; yield (path, content), or None without a folder."""
    if folder is None:
        yield None
        return
    folder = Path(folder)
    is_new = not folder.exists()
    path, token = folder / f".probe-{secrets.token_hex(8)}", secrets.token_hex(16)
    try:
        write_text(path, token)
    except StorageError as error:
        raise storage_error(folder, error.__cause__ or error) from error
    try:
        yield str(path), token
    finally:
        with suppress(OSError):
            path.unlink()
        if is_new:
            with suppress(OSError):  # the folder is removed only if it is empty
                folder.rmdir()


def _sees(probe: tuple[str, str]) -> bool:
    path, token = probe
    try:
        return Path(path).read_text() == token
    except OSError:
        return False


def _answer(probe: tuple[str, str]) -> str | None:
    """Check on a node that it can read the probe file and write beside it; return the problem, or None."""
    if not _sees(probe):
        return "does not see"
    mine = Path(f"{probe[0]}-{secrets.token_hex(8)}")
    try:
        mine.write_text(probe[1])
        mine.unlink()
    except OSError as error:
        return f"cannot write ({reason(error)}) in"
    return None


def _blind(path: str, node: str, what: str = "does not see") -> str:
    return (
        f"the node {node} {what} the folder of the runs {Path(path).parent}; give --run-dir a folder that all nodes of "
        "the cluster share"
    )


def _check_nodes(ray: Any, probe: tuple[str, str]) -> None:
    """Raise EnvzooError before any work starts if a node cannot read and write the folder."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(_answer)
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    asked = {
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(identity, soft=False)).remote(probe): name
        for identity, name in nodes.items()
    }
    done, silent = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECONDS)
    if silent:
        raise EnvzooError(f"the node {asked[silent[0]]} of the Ray cluster does not answer")
    for reference in done:
        try:
            what = ray.get(reference)
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0]
            raise EnvzooError(f"the node {asked[reference]} of the Ray cluster cannot run tasks ({first})") from error
        if what is not None:
            raise EnvzooError(_blind(probe[0], asked[reference], what))
