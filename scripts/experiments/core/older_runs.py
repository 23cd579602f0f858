"""Run arms with the code of another checkout: executed as a script by the Python of its virtual environment.

It therefore imports nothing that the older code may lack. Standard input is a JSON object {"experiment": name, "jobs":
[{"arm": name, "key": ..., "seeds": [...]}, ...]}; a line {"key": ..., "runs": [...]} follows for each job, without runs
where the arm has another key.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout


def main() -> None:
    """Run the jobs on standard input."""
    from envzoo.scripts.experiments import find_experiment
    from envzoo.scripts.experiments.core.execution import current_key
    from envzoo.scripts.experiments.core.run import run_job

    answers, asked = sys.stdout, json.load(sys.stdin)
    arms = {arm.name: arm for arm in find_experiment(asked["experiment"]).arms}
    for job in asked["jobs"]:
        arm = arms.get(job["arm"])
        key = None if arm is None else current_key(arm)
        runs = []
        if key == job["key"]:
            with redirect_stdout(sys.stderr):
                runs = run_job({"arm": arm, "seeds": job["seeds"], "budget": arm.budget, "quick": False})
        numbers = [{name: run[name] for name in ("seed", "scores", "curves")} for run in runs]
        print(json.dumps({"key": key, "runs": numbers}), file=answers, flush=True)


if __name__ == "__main__":
    main()
