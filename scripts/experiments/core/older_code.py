"""Ask another checkout what its code computes on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from envzoo.errors import EnvzooError

SCRIPT = Path(__file__).with_name("older_runs.py")


def find_python(checkout: str | os.PathLike) -> Path:
    """Return the Python of the virtual environment of a checkout.

    Raises:
        EnvzooError: The folder has none.
    """
    for part in (Path("bin", "python"), Path("Scripts", "python.exe")):
        python = Path(checkout).absolute() / ".venv" / part
        if python.is_file():
            return python
    raise EnvzooError(f"{checkout} has no Python in .venv; `make .venv/.installed-core` there installs its envzoo")


def run_older_code(
    checkout: str | os.PathLike,
    experiment: str,
    jobs: Sequence[tuple[str, str, Sequence[int]]],
    on_done: Callable[[int], None] | None = None,
) -> list[list[dict[str, Any]]]:
    """Run arms of an experiment with the code of a checkout.

    Args:
        checkout: Folder of the checkout, with its virtual environment in .venv.
        experiment: Number of the paper, or name of the comparison.
        jobs: The name of each arm, the key of its stored results, and the seeds to run.
        on_done: Called with the index of a job when it ends.

    Returns:
        The runs of each job, as `run_job` returns them, without settings.

    Raises:
        EnvzooError: There is no virtual environment, a run failed, or the code of the checkout is not the one with
            which the results were stored.
    """
    python = find_python(checkout)
    asked = {
        "experiment": experiment,
        "jobs": [{"arm": arm, "key": key, "seeds": list(seeds)} for arm, key, seeds in jobs],
    }
    command = [str(python), "-P", str(SCRIPT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            found = []
            for line in process.stdout:
                found.append(json.loads(line))
                arm, key, _ = jobs[len(found) - 1]
                if found[-1]["key"] != key:
                    raise EnvzooError(f"{arm}: its stored results are not from the code of {checkout}")
                if on_done is not None:
                    on_done(len(found) - 1)
        except (OSError, LookupError, json.JSONDecodeError) as error:
            process.kill()
            raise EnvzooError(f"the code of {checkout} gives no readable results ({error})") from error
        except BaseException:
            process.kill()
            raise
    if process.returncode or len(found) != len(jobs):
        raise EnvzooError(f"the code of {checkout} failed, see above")
    return [result["runs"] for result in found]
