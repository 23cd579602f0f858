"""Arms of an experiment: an agent on an environment, or a function; each is repeated over seeds."""

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
    """One way to play the finished agent. It gives the scores "return", "length" and the numeric infos (means).

    Attributes:
        episodes: How many.
        deterministic: Play the mode of the policy, or sample from it.
        env: Environment id; None plays where the agent learned.
        env_kwargs: Keywords of `env`.
        prefix: Prefix of the names of the scores, to tell several evaluations apart ("mode/").
        measure: More scores from the episodes; a function of a module.
        prepare: Makes what plays from the finished agent, such as one player of two; None plays the agent itself.
        inspect: More scores read off the agent after the episodes; a function of a module.
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
        timesteps: Budget of `learn`; 0 for an agent that does not learn.
        hyperparameters: Of the agent; what is not named keeps its default.
        env_kwargs: Keywords of the environment.
        evaluations: How the finished agent is scored.
        group: Arms of one group are compared with each other.
        curves: Metrics of learning to record. The mean of the last tenth of learning is a score of the same name.
        points: Points of a curve, each the mean over a stretch of equal length.
        quick_timesteps: Budget with `--quick`; None keeps the full one.
        quick_hyperparameters: Those that differ with `--quick`.
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
    """A function that measures something: a quantiser, a filter, a table of policies, a closed form.

    Exactly one of `run` and `run_seeds` is given. Both return plain numbers: `{"scores": {name: float}, "curves":
    {"timesteps": [...], name: [...]}}`, the curves being optional; `run_seeds` returns one such dict per seed, and
    gives each seed the result that it would have alone.

    Attributes:
        name: Unique name, shown in tables and figures.
        run: `run(seed, budget, quick, **settings)`; a function of a module.
        run_seeds: `run_seeds(seeds, budget, quick, **settings)`, for programs that hold many seeds as a batch.
        budget: What the function may spend, in its own units.
        settings: Keywords of the function: numbers, strings, booleans, lists or dicts of them.
        group: Arms of one group are compared with each other.
        quick_spend: Budget with `--quick`; None keeps the full one.
        quick_settings: Settings that differ with `--quick`.
        full_only: Leave the arm out with `--quick`.
        seeds: Number of seeds, in place of the experiment's.
        batch: How many seeds one call of `run_seeds` gets.
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
