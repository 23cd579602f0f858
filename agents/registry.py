"""The table of agents, and the functions that use it: `make`, `load`, `register` and `specs`."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envzoo import papers
from envzoo.agents.reasoning.specs import LANGUAGE_MODELS
from envzoo.agents.spec import AgentSpec, build_config
from envzoo.errors import EnvzooError, unknown
from envzoo.papers import (
    ADVERSARIAL_SURPRISE,
    BEHAVIOURAL_CLONING,
    FIMEC,
    LSD_ANALYSIS,
    LSD_BANDITS,
    MEC_BOTTLENECK,
    MEME,
    PPO,
    RECHARGING_BANDITS,
    RECOVERING_REWARDS,
    SAC,
    SAC_DISCRETE,
    SUBMODULAR_RL,
)

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

_TABLE = (
    AgentSpec(
        "Random",
        "envzoo.agents.standard.random:Random",
        "standard",
        "Uniformly random actions: the reference that every agent must beat.",
        sources=("environment", "game"),
        actions=("any",),
        observations="any",
    ),
    AgentSpec(
        "PPO",
        "envzoo.agents.standard.ppo:PPO",
        "standard",
        "Proximal policy optimisation with the clipped objective and generalised advantages.",
        paper=PPO,
    ),
    AgentSpec(
        "BC",
        "envzoo.agents.standard.bc:BC",
        "standard",
        "Behavioural cloning: imitate the actions of a dataset.",
        sources=("dataset",),
        paper=BEHAVIOURAL_CLONING,
    ),
    AgentSpec(
        "SAC",
        "envzoo.agents.soft.sac:SAC",
        "soft",
        "Soft actor-critic with a learned temperature, for continuous actions.",
        actions=("continuous",),
        paper=SAC,
    ),
    AgentSpec(
        "SACDiscrete",
        "envzoo.agents.soft.sac_discrete:SACDiscrete",
        "soft",
        "Soft actor-critic for discrete actions, expectations over actions taken exactly.",
        actions=("discrete",),
        paper=SAC_DISCRETE,
    ),
    AgentSpec(
        "MirroredLP",
        "envzoo.agents.bandits.mirrored_lp:MirroredLP",
        "bandits",
        "Planner of last-switch-dependent bandits: the linear relaxation, rounded by mirroring virtual arms.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper=LSD_BANDITS,
    ),
    AgentSpec(
        "LagrangianIndex",
        "envzoo.agents.bandits.lagrangian_index:LagrangianIndex",
        "bandits",
        "Planner of last-switch-dependent bandits: an index from the relaxation's price of a pull.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper=LSD_BANDITS,
    ),
    AgentSpec(
        "OracleGreedy",
        "envzoo.agents.bandits.oracle_greedy:OracleGreedy",
        "bandits",
        "Baseline of MirroredLP: pulls what pays most now, knowing all payoffs.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper=LSD_BANDITS,
    ),
    AgentSpec(
        "RechargingLP",
        "envzoo.agents.bandits.recharging_planner:RechargingLP",
        "bandits",
        "Planner of recharging bandits: the linear relaxation, rounded by interleaving random periods.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper=RECHARGING_BANDITS,
    ),
    AgentSpec(
        "PeriodicPlanner",
        "envzoo.agents.bandits.periodic:PeriodicPlanner",
        "bandits",
        "Planner of bandits with a memory: purely periodic pulls, round robin, or the best arm's own cycle.",
        actions=("discrete", "binary"),
        observations="MultiDiscrete states of the arms",
        paper=RECOVERING_REWARDS,
    ),
    AgentSpec(
        "SubPO",
        "envzoo.agents.coverage.subpo:SubPO",
        "coverage",
        "Policy gradient on marginal gains of a submodular objective.",
        actions=("discrete",),
        paper=SUBMODULAR_RL,
    ),
    AgentSpec(
        "ModPO",
        "envzoo.agents.coverage.modpo:ModPO",
        "coverage",
        "Baseline of SubPO: the same gradient with additive rewards that count repeats.",
        actions=("discrete",),
        paper=SUBMODULAR_RL,
    ),
    AgentSpec(
        "SubPOActorCritic",
        "envzoo.agents.coverage.subpo_actor_critic:SubPOActorCritic",
        "coverage",
        "SubPO with a critic and generalised advantages, for continuous control.",
        paper=SUBMODULAR_RL,
    ),
    AgentSpec(
        "ModPOActorCritic",
        "envzoo.agents.coverage.subpo_actor_critic:ModPOActorCritic",
        "coverage",
        "Baseline of SubPOActorCritic: the same agent with additive rewards that count repeats.",
        paper=SUBMODULAR_RL,
    ),
    AgentSpec(
        "GreedyMarginal",
        "envzoo.agents.coverage.greedy_marginal:GreedyMarginal",
        "coverage",
        "Planner that tries every action, takes it back, and keeps the one with the largest reward.",
        actions=("discrete",),
        paper=SUBMODULAR_RL,
    ),
    AgentSpec(
        "AdversarialSurprise",
        "envzoo.agents.surprise.adversarial_surprise:AdversarialSurprise",
        "surprise",
        "Explore and Control take turns in one body: one seeks what surprises the other, who avoids it.",
        paper=ADVERSARIAL_SURPRISE,
    ),
    AgentSpec(
        "SMiRL",
        "envzoo.agents.surprise.smirl:SMiRL",
        "surprise",
        "Paid for observations that are likely under the episode so far.",
        paper=papers.SMIRL,
    ),
    AgentSpec(
        "CountBased",
        "envzoo.agents.surprise.explorers:CountBased",
        "surprise",
        "Paid for observations met seldom, in training or in the episode.",
        paper=papers.HASH_COUNTS,
    ),
    AgentSpec(
        "RND",
        "envzoo.agents.surprise.explorers:RND",
        "surprise",
        "Paid for the errors of a network that learns to imitate a random one.",
        paper=papers.RND,
    ),
    AgentSpec(
        "ICM",
        "envzoo.agents.surprise.explorers:ICM",
        "surprise",
        "Paid for the errors of a forward model of learned features.",
        paper=papers.ICM,
    ),
    AgentSpec(
        "APT",
        "envzoo.agents.surprise.explorers:APT",
        "surprise",
        "Paid for distance from the nearest neighbours in learned features.",
        paper=papers.APT,
    ),
    AgentSpec(
        "DIAYN",
        "envzoo.agents.surprise.explorers:DIAYN",
        "surprise",
        "Skills that a discriminator can tell apart.",
        paper=papers.DIAYN,
    ),
    AgentSpec(
        "Disagreement",
        "envzoo.agents.surprise.explorers:Disagreement",
        "surprise",
        "Paid where an ensemble of forward models differs.",
        paper=papers.DISAGREEMENT,
    ),
    AgentSpec(
        "AGAC",
        "envzoo.agents.surprise.explorers:AGAC",
        "surprise",
        "Paid for actions that an imitating adversary does not foresee.",
        paper=papers.AGAC,
    ),
    AgentSpec(
        "MECB",
        "envzoo.agents.coding_games.mecb:MECB",
        "coding_games",
        "Hides a message in a policy's actions by minimum entropy coupling through a bottleneck.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper=MEC_BOTTLENECK,
    ),
    AgentSpec(
        "MEME",
        "envzoo.agents.coding_games.meme:MEME",
        "coding_games",
        "Hides a message in a policy's actions by minimum entropy coupling, without a bottleneck.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper=MEME,
    ),
    AgentSpec(
        "FIMEC",
        "envzoo.agents.coding_games.fimec:FIMEC",
        "coding_games",
        "The same for long messages of independent blocks, one block in each step.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper=FIMEC,
    ),
    AgentSpec(
        "IndependentPPO",
        "envzoo.agents.coding_games.independent_ppo:IndependentPPO",
        "coding_games",
        "Baseline of MECB: a speaker and a listener that learn from reward alone, each by PPO.",
        sources=("environment", "game"),
        actions=("discrete",),
        observations="those of coding games",
        paper=PPO,
    ),
    AgentSpec(
        "LSDExploreCommit",
        "envzoo.agents.bandits.lsd_explore_commit:LSDExploreCommit",
        "bandits",
        "Learner of bandits with a memory: visit all states equally often, then play the plan for good.",
        actions=("discrete", "multibinary"),
        observations="MultiDiscrete",
        paper=LSD_BANDITS,
    ),
    AgentSpec(
        "LSDUCB",
        "envzoo.agents.bandits.lsd_ucb:LSDUCB",
        "bandits",
        "Optimistic learner of bandits with a memory: plan for upper bounds that know of monotone payoffs.",
        actions=("discrete", "multibinary"),
        observations="MultiDiscrete",
        paper=LSD_BANDITS,
    ),
    AgentSpec(
        "CombUCB1",
        "envzoo.agents.bandits.comb_ucb1:CombUCB1",
        "bandits",
        "Baseline learner of bandits with a memory: blocks planned by upper confidence bounds.",
        actions=("discrete",),
        observations="MultiDiscrete",
        paper=LSD_ANALYSIS,
    ),
    AgentSpec(
        "ISICombUCB1",
        "envzoo.agents.bandits.isi_comb_ucb1:ISICombUCB1",
        "bandits",
        "CombUCB1 with blocks that do not depend on the states they start from.",
        actions=("discrete",),
        observations="MultiDiscrete",
        paper=LSD_ANALYSIS,
    ),
    *LANGUAGE_MODELS,
)

_SPECS = {spec.name: spec for spec in _TABLE}
_CLASSES: dict[str, type[Agent]] = {}  # those that were registered as classes


def specs() -> dict[str, AgentSpec]:
    """Every registered agent by name, in the order of the table."""
    return dict(_SPECS)


def spec(name: str) -> AgentSpec:
    """The spec of one agent; raises UnknownNameError with the nearest name."""
    if not isinstance(name, str) or name not in _SPECS:
        raise unknown("agent", name, _SPECS, where="`envzoo list agents` shows them all")
    return _SPECS[name]


def agent_class(name: str) -> type[Agent]:
    """Import and return the class of an agent; raises UnknownNameError."""
    found = spec(name)
    if name in _CLASSES:
        return _CLASSES[name]
    module, _, attribute = found.entry_point.partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    cls.spec = found
    return cls


def register(name: str, agent: type[Agent] | str, *, summary: str = "", **facts: Any) -> AgentSpec:
    """Give an agent of your own a name, under which `make`, `load` and the command line know it.

    A file holds the name and not the class, so the agent has to be registered before a file of it is loaded.

    Args:
        name: A name that no other agent has.
        agent: The class, or "module:Class", which is imported on use.
        summary: One line for lists; the first line of the class's docstring when it is left out.
        **facts: Further fields of `AgentSpec`, such as `sources` and `actions`; left out, they are those of the class
            that the agent derives from.

    Returns:
        The agent's spec.

    Raises:
        EnvzooError: The name is taken or no identifier, or the agent is neither a class of agents nor "module:Class".
    """
    from envzoo.agents.agent import Agent

    if not isinstance(name, str) or not name.isidentifier():
        raise EnvzooError(f"the name of an agent is a Python identifier such as 'MyPPO', got {name!r}")
    if name in _SPECS:
        raise EnvzooError(f"there is an agent {name!r} already ({_SPECS[name].entry_point}); choose another name")
    cls = agent if isinstance(agent, type) and issubclass(agent, Agent) else None
    if cls is None and not (isinstance(agent, str) and all(agent.partition(":"))):
        raise EnvzooError(f"agent is a subclass of envzoo.agents.agent.Agent or 'module:Class', got {agent!r}")
    known = {field.name for field in dataclasses.fields(AgentSpec)} - {"name", "entry_point", "summary"}
    for fact in facts:
        if fact not in known:
            raise unknown("fact about an agent", fact, known)
    parent = getattr(cls, "spec", None)
    if parent is not None:
        facts = {fact: getattr(parent, fact) for fact in known} | facts
    if cls is not None:
        summary = summary or next(iter((cls.__doc__ or "").strip().splitlines()), "")
    entry_point = agent if cls is None else f"{cls.__module__}:{cls.__qualname__}"
    found = _SPECS[name] = AgentSpec(name, entry_point, facts.pop("family", "custom"), summary, **facts)
    if cls is not None:
        _CLASSES[name] = cls
        cls.spec = found
    return found


def require_registered(cls: type[Agent]) -> None:
    """Refuse a class that a file could not name.

    Raises:
        EnvzooError: The class is not the one that is registered under the name in its spec.
    """
    name = cls.spec.name
    if name not in _SPECS or agent_class(name) is not cls:
        raise EnvzooError(
            f"{cls.__name__} is not registered, so its file would be loaded as {name}; register it first, with "
            f"envzoo.agents.register({cls.__name__!r}, {cls.__name__})"
        )


def make(
    agent: str,
    source: Any,
    *,
    seed: int = 0,
    device: str = "auto",
    env_kwargs: Mapping[str, Any] | None = None,
    threads: int | str = "auto",
    **hyperparameters: Any,
) -> Agent:
    """Make an agent for a source.

    Args:
        agent: Name of a registered agent, such as "PPO".
        source: Environment id, environment, vector environment, PettingZoo game, or Minari dataset (or its id).
        seed: Non-negative seed from which every random number of the agent and its training environment descends.
        device: "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1", ...
        env_kwargs: Keywords for the environment when `source` is an id.
        threads: Threads of PyTorch inside `learn`, on which the rounding of sums depends; "auto" chooses them from the
            sizes of networks and batches (1 for small ones). The number is saved with the agent.
        **hyperparameters: Fields of the agent's config; `envzoo train AGENT --help` explains each.

    Raises:
        UnknownNameError: Unknown agent, source or hyperparameter.
        UnsupportedSpaceError: The agent cannot take this source or its spaces.
        EnvzooError: A hyperparameter of the wrong type or out of range.
    """
    from envzoo.agents.source import resolve
    from envzoo.agents.threads import check_threads, using_threads

    cls = agent_class(agent)
    if env_kwargs is not None and not isinstance(env_kwargs, Mapping):
        raise EnvzooError(f"env_kwargs is {env_kwargs!r}; expected a dict of keywords of the environment")
    config = build_config(cls.Config, agent, hyperparameters)
    wanted = check_threads(threads)
    with using_threads(1):  # the first weights do not depend on the machine either
        made = cls(resolve(source, cls.spec, dict(env_kwargs or {})), config, seed=seed, device=device)
    made.threads = wanted
    return made


def load(path: str | os.PathLike, source: Any = None, *, device: str = "auto", expect: str | None = None) -> Agent:
    """Load an agent saved by `Agent.save`, with everything it needs to go on training.

    Args:
        path: The file.
        source: As in `make`; None takes the environment or dataset id stored in the file. Whoever names the stored id
            here vouches for the keywords that are stored with it.
        device: As in `make`.
        expect: Name of the agent the file must hold, if it matters.

    Raises:
        CheckpointError: Missing, truncated, unsafe or damaged file, another agent, or a source with other spaces.
    """
    from envzoo.agents import loading

    return loading.load(path, source, device, expect)
