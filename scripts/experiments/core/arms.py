"""Arms of an experiment: an agent on an environment, or a function. Each arm is repeated over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envzoo.errors import EnvzooError
from envzoo.moved import former_names

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent
    from envzoo.agents.evaluation import EvaluationResult


@dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation of the trained agent, with the scores "return", "length" and the means of the numeric infos.

    Attributes:
        episodes: Number of episodes.
        deterministic: Take the mode of the policy instead of sampling actions.
        env: Environment id; None uses the training environment.
        env_kwargs: Keyword arguments of `env`.
        prefix: Prefix of the score names, to distinguish several evaluations ("mode/").
        measure: Module-level function that computes further scores from the episodes.
        prepare: Function that maps the trained agent to the policy to evaluate, such as one of two players; None
            evaluates the agent itself.
        inspect: Module-level function that computes further scores from the agent after the episodes.
    """

    episodes: int = 100
    deterministic: bool = True
    env: str | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    measure: Callable[[EvaluationResult], dict[str, float]] | None = None
    prepare: Callable[[Any], Any] | None = None
    inspect: Callable[[Agent], dict[str, float]] | None = None


@dataclass(frozen=True)
class Arm:
    """One agent on one environment.

    Attributes:
        name: Unique name, shown in tables and figures.
        agent: Name of a registered agent.
        env: Environment id.
        timesteps: Training budget; 0 for an agent that does not learn.
        hyperparameters: Hyperparameters of the agent that differ from their defaults.
        env_kwargs: Keyword arguments of the environment.
        evaluations: Evaluations of the trained agent.
        group: Arms of one group are compared with each other.
        curves: Training metrics to record. Their means over the last tenth of training are scores of the same names.
        points: Number of points of a curve, each the mean over an interval of equal length.
        quick_timesteps: Training budget with `--quick`; None uses `timesteps`.
        quick_hyperparameters: Hyperparameters that differ with `--quick`.
        full_only: Leave the arm out with `--quick`.
        seeds: Number of seeds, in place of the experiment's.
    """

    name: str
    agent: str
    env: str
    timesteps: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    evaluations: tuple[EvaluationPlan, ...] = (EvaluationPlan(),)
    group: str = ""
    curves: tuple[str, ...] = ("rollout/return_mean",)
    points: int = 100
    quick_timesteps: int | None = None
    quick_hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    full_only: bool = False
    seeds: int | None = None

    @property
    def budget(self) -> int:
        """Timesteps of a full run."""
        return self.timesteps

    @property
    def quick_budget(self) -> int:
        """Timesteps of a quick run."""
        return self.timesteps if self.quick_timesteps is None else self.quick_timesteps


@dataclass(frozen=True)
class FunctionArm:
    """A function that computes scores without an agent, such as a closed form or a simulation.

    Exactly one of `run` and `run_seeds` must be given. `run` returns numbers, `{"scores": {name: float}, "curves":
    {"timesteps": [...], name: [...]}}`, where the curves are optional. `run_seeds` returns one such dict per seed; the
    result of a seed must not depend on the other seeds.

    Attributes:
        name: Unique name, shown in tables and figures.
        run: `run(seed, budget, quick, **settings)`, a module-level function.
        run_seeds: `run_seeds(seeds, budget, quick, **settings)`, for programs that compute many seeds as a batch.
        budget: Budget of the function, in its own units.
        settings: Keyword arguments of the function: numbers, strings, booleans, and lists or dicts of them.
        group: Arms of one group are compared with each other.
        quick_spend: Budget with `--quick`; None uses `budget`.
        quick_settings: Settings that differ with `--quick`.
        full_only: Leave the arm out with `--quick`.
        seeds: Number of seeds, in place of the experiment's.
        batch: Number of seeds per call of `run_seeds`.
    """

    name: str
    run: Callable[..., Mapping[str, Any]] | None = None
    run_seeds: Callable[..., Sequence[Mapping[str, Any]]] | None = None
    budget: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    quick_spend: int | None = None
    quick_settings: Mapping[str, Any] = field(default_factory=dict)
    full_only: bool = False
    seeds: int | None = None
    batch: int = 100

    def __post_init__(self):
        if (self.run is None) == (self.run_seeds is None):
            raise EnvzooError(f"the arm {self.name!r} needs one function, as `run` or as `run_seeds`")
        function = self.function
        if "<" in getattr(function, "__qualname__", "<") or not getattr(function, "__module__", None):
            raise EnvzooError(f"the function of the arm {self.name!r} must be a function of a module, not {function!r}")
        if self.batch < 1:
            raise EnvzooError(f"batch is at least 1, got {self.batch}")

    @property
    def function(self) -> Callable[..., Any]:
        """The function that runs."""
        return self.run if self.run is not None else self.run_seeds

    @property
    def quick_budget(self) -> int:
        """Budget of a quick run."""
        return self.budget if self.quick_spend is None else self.quick_spend


AnyArm = Arm | FunctionArm


__getattr__ = former_names(__name__, {"Evaluation": f"{__name__}:EvaluationPlan"})
