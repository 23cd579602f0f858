"""Search hyperparameters with optuna, and score what was found on seeds that the search did not see.

A search is a file, `study.json`, which is written after every trial, so that a search that was stopped continues with
the same trials as one that was not: the suggestions of a trial depend on its number and on the earlier trials alone.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from envzoo.agents import make
from envzoo.errors import EnvzooError, RunDirectoryError, shorten, unknown
from envzoo.files import reason, write_text
from envzoo.scripts.run_lock import RunLock

ROUNDING = 1e-9  # relative difference of scores that are equal
FRESH_SEEDS = tuple(range(1000, 1010))  # of the scores; searches use seeds below

Evaluate = Callable[[Mapping[str, Any], int], float]


class Range(NamedTuple):
    """Numbers between two bounds, drawn on a logarithmic scale."""

    low: float
    high: float


RATE, LAYERS = Range(1e-4, 5e-3), ((64, 64), (128, 128), (256, 256))
_SOFT = {
    "learning_rate": RATE,
    "batch_size": (128, 256, 512),
    "tau": (0.005, 0.01, 0.02),
    "gamma": (0.98, 0.99, 0.995),
    "hidden": LAYERS,
}
SPACES: dict[str, dict[str, Range | tuple[Any, ...]]] = {
    "PPO": {
        "learning_rate": RATE,
        "num_envs": (8, 16, 32),
        "num_steps": (32, 64, 128, 256),
        "num_epochs": (4, 10, 20),
        "minibatch_size": (64, 128, 256),
        "gamma": (0.98, 0.99, 0.995),
        "gae_lambda": (0.8, 0.9, 0.95, 0.98),
        "entropy_coefficient": (0.0, 0.001, 0.01),
        "hidden": LAYERS,
    },
    "SAC": _SOFT,
    "SACDiscrete": {**_SOFT, "target_entropy_ratio": (0.2, 0.35, 0.5, 0.7)},
    "DQN": {
        "learning_rate": RATE,
        "batch_size": (64, 128, 256),
        "gradient_steps": (4, 8, 16),
        "gamma": (0.98, 0.99, 0.995),
        "n_steps": (1, 3, 5),
        "huber_delta": (1.0, 10.0, 100.0),
        "tau": (0.005, 0.01, 0.02),
        "exploration_steps": (5000, 10_000, 20_000),
        "hidden": LAYERS,
    },
}
"""Hyperparameters that are searched: numbers in a `Range`, or one of several values."""


@dataclass(frozen=True)
class Settings:
    """Settings of a study. A stored study is continued only with the same settings."""

    agent: str
    source: str
    timesteps: int
    seed: int = 0
    episodes: int = 20


@dataclass
class Study:
    """Trials and scores so far.

    Attributes:
        settings: What is searched.
        trials: Hyperparameters, score and processor seconds of each trial; the first are the defaults.
        scores: Score by fresh seed, of the best trial ("preset") and of the defaults.
        scored: Hyperparameters of the scores of "preset"; None before there are any.
    """

    settings: Settings
    trials: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, dict[str, float]] = field(default_factory=lambda: {"preset": {}, "defaults": {}})
    scored: dict[str, Any] | None = None

    @property
    def best(self) -> dict[str, Any]:
        """The trial with the highest score, the earliest of those that are equal but for rounding."""
        highest = max(trial["score"] for trial in self.trials)
        return next(trial for trial in self.trials if math.isclose(trial["score"], highest, rel_tol=ROUNDING))

    @property
    def minutes(self) -> float:
        """Processor minutes of all trials."""
        return sum(trial["seconds"] for trial in self.trials) / 60


def space_of(agent: str) -> dict[str, Range | tuple[Any, ...]]:
    """Return what is searched for an agent.

    Raises:
        UnknownNameError: There is no search for it.
    """
    if agent not in SPACES:
        raise unknown("agent with a search over hyperparameters", agent, SPACES)
    return SPACES[agent]


def read_study(path: Path, settings: Settings) -> Study:
    """Read a study, or begin one if there is no file.

    Raises:
        RunDirectoryError: The file cannot be read, is damaged, or belongs to other settings.
    """
    if not path.exists():
        return Study(settings)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        study = Study(Settings(**found["settings"]), found["trials"], found["scores"], found["scored"])
        numbers = [trial[name] for trial in study.trials for name in ("score", "seconds")]
        numbers += [score for scores in study.scores.values() for score in scores.values()]
        names = {name for trial in study.trials for name in trial["values"]}
        intact = set(study.scores) == {"preset", "defaults"} and names <= set(space_of(study.settings.agent))
        intact = intact and all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
    except (OSError, UnicodeDecodeError) as error:
        raise RunDirectoryError(f"{path} cannot be read ({reason(error)})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, EnvzooError):
        intact = False
    if not intact:
        raise RunDirectoryError(f"{path} is not a study of `envzoo tune`; give another folder")
    if study.settings != settings:
        raise RunDirectoryError(
            f"{path} is a study of {_words(study.settings)}, not of {_words(settings)}; give another folder"
        )
    return study


def _words(settings: Settings) -> str:
    return shorten(", ".join(f"{name} {value}" for name, value in asdict(settings).items()), 200)


def write_study(path: Path, study: Study) -> None:
    """Write a study."""
    write_text(path, json.dumps(asdict(study), indent=1) + "\n")


def train_and_evaluate(settings: Settings, values: Mapping[str, Any], seed: int) -> float:
    """Train an agent, and return the mean return of its evaluation."""
    from envzoo.agents.evaluation import evaluate

    agent = make(settings.agent, settings.source, seed=seed, device="cpu", **values)
    agent.learn(settings.timesteps)
    return float(evaluate(agent, episodes=settings.episodes).returns.mean())


def suggest(study: Study) -> dict[str, Any]:
    """Choose the hyperparameters of the next trial: the defaults first, then optuna's tree-structured Parzen estimator.

    Raises:
        EnvzooError: optuna is not installed.
    """
    space, number = space_of(study.settings.agent), len(study.trials)
    if number == 0:
        return {}
    try:
        import optuna
    except ImportError:
        raise EnvzooError('`envzoo tune` needs optuna; install it with `pip install ".[tune]"`') from None

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        distributions = {
            name: optuna.distributions.FloatDistribution(*kind, log=True)
            if isinstance(kind, Range)
            else optuna.distributions.CategoricalDistribution(range(len(kind)))
            for name, kind in space.items()
        }
        # A sampler of its own for every trial, so that a study that continues draws as one that was not stopped.
        sampler = optuna.samplers.TPESampler(seed=study.settings.seed * 10_000 + number)
        search = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in study.trials[1:]:
            values = {name: _encode(space[name], trial["values"][name]) for name in space}
            found = optuna.trial.create_trial(params=values, distributions=distributions, value=trial["score"])
            search.add_trial(found)
        drawn = search.ask(distributions).params
    finally:
        optuna.logging.set_verbosity(before)
    # Lists in place of tuples, as they come back from the file.
    values = {name: drawn[name] if isinstance(kind, Range) else kind[drawn[name]] for name, kind in space.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _encode(kind: Range | tuple[Any, ...], value: Any) -> float | int:
    """Return a value as optuna knows it: choices by their number."""
    value = tuple(value) if isinstance(value, list) else value
    return value if isinstance(kind, Range) else kind.index(value)


def search(
    path: Path,
    settings: Settings,
    trials: int,
    minutes: float | None = None,
    evaluate: Evaluate | None = None,
    report: Callable[[str], None] = print,
) -> Study:
    """Run trials until there are `trials` of them, and then score the best and the defaults on fresh seeds.

    Args:
        path: File of the study, continued if it exists.
        settings: What is searched.
        trials: Number of trials, those of the file included.
        minutes: Processor minutes of all trials after which no further one begins; None for no limit.
        evaluate: Function of hyperparameters and a seed to a score; None for `train_and_evaluate`.
        report: Called with a line about every trial and score.

    Raises:
        EnvzooError: An agent without a search, settings that cannot be used, or a score that is not finite.
        RunDirectoryError: Another process runs this search, or its file cannot be continued.
    """
    space_of(settings.agent)
    for name, value in (("trials", trials), ("timesteps", settings.timesteps), ("episodes", settings.episodes)):
        if value < 1:
            raise EnvzooError(f"{name} is at least 1, got {value}")
    if settings.seed < 0 or settings.seed + trials > FRESH_SEEDS[0]:
        raise EnvzooError(f"seed is {settings.seed}; trials use seeds from it on, at most {FRESH_SEEDS[0] - 1}")
    if minutes is not None and not minutes > 0:
        raise EnvzooError(f"minutes is a positive number, got {minutes}")
    if evaluate is None:
        make(settings.agent, settings.source, device="cpu")  # refuses what cannot be trained before there is a folder
    evaluate = evaluate or (lambda values, seed: train_and_evaluate(settings, values, seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = RunLock(path.parent)
    lock.acquire()
    try:
        return _continue(path, read_study(path, settings), trials, minutes, evaluate, report)
    finally:
        lock.release()


def _continue(
    path: Path,
    study: Study,
    trials: int,
    minutes: float | None,
    evaluate: Evaluate,
    report: Callable[[str], None],
) -> Study:
    """Run the trials and scores that a study lacks, and write it after each of them."""
    while len(study.trials) < trials and (minutes is None or not study.trials or study.minutes < minutes):
        values, begun = suggest(study), time.process_time()
        score = _finite(evaluate(values, study.settings.seed + len(study.trials)), values)
        study.trials.append({"values": values, "score": score, "seconds": time.process_time() - begun})
        write_study(path, study)
        report(f"trial {len(study.trials)} of {trials}: {score:.4g}, best {study.best['score']:.4g}")
    best = study.best["values"]
    if study.scored != best:  # more trials than when it was scored last
        study.scored, study.scores["preset"] = best, {}
    for name, values in (("defaults", {}), ("preset", best)):
        for seed in FRESH_SEEDS:
            if str(seed) in study.scores[name]:
                continue
            same = name == "preset" and not values  # the defaults were best
            score = study.scores["defaults"][str(seed)] if same else _finite(evaluate(values, seed), values)
            study.scores[name][str(seed)] = score
            write_study(path, study)
            report(f"{name}, seed {seed}: {score:.4g}")
    return study


def _finite(score: float, values: Mapping[str, Any]) -> float:
    score = float(score)
    if not math.isfinite(score):
        raise EnvzooError(f"the score of {shorten(repr(dict(values)), 200)} is {score}; expected a finite number")
    return score
