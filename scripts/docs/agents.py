"""Pages of agents."""

from __future__ import annotations

import dataclasses
import typing

from envzoo import registration
from envzoo.agents import registry
from envzoo.agents.spec import AgentSpec, describe_type
from envzoo.scripts.docs.links import GENERATED, paper_link, source_file
from envzoo.scripts.markdown import blocks, code, field_docstrings, manual, table


def example_source(spec: AgentSpec) -> str:
    """A source to show an agent with: its family's or its paper's first environment, or a well-known one."""
    if spec.sources == ("dataset",):
        return "envzoo/grid-coverage/medium-v0"
    if spec.family == "reasoning":
        return "envzoo/TextSumTo-Tokens-v0"
    if spec.paper and spec.paper.number:
        return next(row.id for row in registration.specs() if row.paper == spec.paper)
    return "Pendulum-v1" if spec.actions == ("continuous",) else "CartPole-v1"


def default_of(field: dataclasses.Field) -> str:
    """A field's default as code."""
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    return "" if field.default_factory is dataclasses.MISSING else f"`{field.default_factory()!r}`"


def hyperparameter_table(config: type) -> str:
    """One row per field of an agent's config."""
    fields = dataclasses.fields(config)
    if not fields:
        return "None."
    hints, meanings = typing.get_type_hints(config), field_docstrings(config)
    rows = ((f"`{f.name}`", describe_type(hints[f.name]), default_of(f), meanings.get(f.name, "")) for f in fields)
    return table(("name", "type", "default", "meaning"), rows)


def agent_page(spec: AgentSpec) -> str:
    """The page of an agent: what it takes, how to use it, its hyperparameters."""
    cls = registry.agent_class(spec.name)
    path, source = source_file(spec.entry_point), example_source(spec)
    is_env = "environment" in spec.sources
    facts = table(
        ("takes", "actions", "observations", "paper", "code"),
        [(" or ".join(spec.sources), " or ".join(spec.actions), spec.observations, paper_link(spec.paper, "../"),
          f"[{path}](../../{path})")],
    )  # fmt: skip
    example = f"""
        import envzoo.agents

        agent = envzoo.agents.make("{spec.name}", "{source}", seed=0)
        agent.learn(total_timesteps=100_000)
        agent.save("agent.zip")
        """
    return blocks(
        f"# {spec.name}",
        GENERATED,
        spec.summary,
        facts,
        manual(vars(cls).get("__doc__") or ""),
        "## Use",
        code("python", example),
        code("sh", f"envzoo make-dataset {source}\n" * (not is_env) + f"envzoo train {spec.name} {source}"),
        "## Hyperparameters",
        hyperparameter_table(cls.Config),
    )
