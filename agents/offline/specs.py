"""Registry rows of the offline agents."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_SMALL = {"hidden": (8,), "batch_size": 8, "steps_per_iteration": 4}
_LINE = Example("envzoo/line-world/striped-v0", hyperparameters=_SMALL, timesteps=12)


def _continuous(name: str, module: str, summary: str, paper: str) -> AgentSpec:
    return AgentSpec(
        name,
        f"envzoo.agents.offline.{module}:{name}",
        "offline",
        summary,
        sources=("dataset",),
        actions=("continuous",),
        paper=paper,
        example=_LINE,
    )


_GRID = Example("envzoo/grid-coverage/random-v0", hyperparameters=_SMALL, timesteps=12)


def _both(name: str, module: str, summary: str, paper: str) -> AgentSpec:
    return AgentSpec(
        name,
        f"envzoo.agents.offline.{module}:{name}",
        "offline",
        summary,
        sources=("dataset",),
        paper=paper,
        example=_GRID,
    )


_TRANSFORMER = {"context": 3, "width": 8, "layers": 1, "heads": 2, "batch_size": 4, "steps_per_iteration": 4}


_WINDOWS = Example("envzoo/grid-coverage/random-v0", hyperparameters=_TRANSFORMER, timesteps=12)


def _histories(**more) -> Example:
    hyperparameters = {**_TRANSFORMER, "context": 8, **more}
    return Example("envzoo/darkroom/histories-v0", hyperparameters=hyperparameters, timesteps=12)


def _sequences(name: str, module: str, summary: str, paper: str, example: Example = _WINDOWS) -> AgentSpec:
    return AgentSpec(
        name,
        f"envzoo.agents.offline.{module}:{name}",
        "offline",
        summary,
        sources=("dataset",),
        actions=("discrete", "continuous") if example is _WINDOWS else ("discrete",),
        paper=paper,
        example=example,
    )


AGENTS = (
    AgentSpec(
        "MOPO",
        "envzoo.agents.offline.mopo:MOPO",
        "offline",
        "SAC on imagined flights of a learned model, with a penalty for the model's uncertainty.",
        sources=("dataset",),
        actions=("continuous",),
        paper="49-offline-mbrl-design",
        example=Example(
            "envzoo/line-world/striped-v0",
            hyperparameters={
                **_SMALL,
                "members": 2,
                "elites": 1,
                "model_hidden": (8,),
                "model_epochs": 2,
                "rollout_batch": 16,
                "rollout_every": 8,
                "rollout_length": 2,
            },
            timesteps=12,
        ),
    ),
    _continuous("TD3", "td3", "Twin delayed DDPG on a dataset, without anything that keeps it near the data.", "td3"),
    _continuous("TD3BC", "td3_bc", "TD3 whose actor also imitates the logged actions.", "td3-bc"),
    _continuous("PRDC", "prdc", "TD3 whose actor is pulled to the nearest logged pair of state and action.", "33-prdc"),
    _both("IQL", "iql", "Implicit Q-learning: expectiles of the values of logged actions.", "iql"),
    _both("CQL", "cql", "Q-learning that keeps the values of actions outside the data low.", "cql"),
    _both("AWAC", "awac", "Cloning weighted by the advantage under the policy itself.", "awac"),
    _both(
        "FilteredBC",
        "filtered_bc",
        "Behavioural cloning of the best tenth of the trajectories.",
        "decision-transformer",
    ),
    _sequences(
        "DecisionTransformer",
        "decision_transformer",
        "A transformer over trajectories that is told the return it should still collect.",
        "decision-transformer",
    ),
    _sequences(
        "DoC",
        "doc",
        "Imitation given a latent of the future that must not tell about luck.",
        "28-dichotomy-of-control",
    ),
    _both("RCSL", "rcsl", "Imitation of the data given the return, and then asking for a large one.", "rcsl"),
    _both("ODICE", "odice", "A dual loss of visitations whose next-state gradient is made orthogonal.", "42-odice"),
    _sequences(
        "AlgorithmDistillation",
        "algorithm_distillation",
        "A transformer that imitates learners, and so learns within its context.",
        "algorithm-distillation",
        _histories(),
    ),
    _sequences("DPT", "dpt", "A transformer that predicts the best action of the task it is in.", "dpt", _histories()),
    _sequences(
        "DICP",
        "dicp",
        "An in-context learner that predicts what follows, and plans with it.",
        "dicp",
        _histories(beams=2, plan_steps=2),
    ),
)
