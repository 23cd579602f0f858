"""Pages of agents."""

from __future__ import annotations

import dataclasses
import shlex
import typing

from envzoo.agents import registry
from envzoo.agents.spec import describe_type
from envzoo.datasets import recipes
from envzoo.errors import EnvzooError
from envzoo.scripts.docs.links import GENERATED, code_link, paper_link
from envzoo.scripts.markdown import blocks, code, field_docstrings, manual, table
from envzoo.specs import AgentSpec


def example_source(spec: AgentSpec) -> str:
    """Choose the source that an agent is shown with: the one that its row names."""
    if spec.example is None:
        raise EnvzooError(f"the agent {spec.name} has no example; its page shows the one that its row names")
    return spec.example.shown or spec.example.source


def default_of(field: dataclasses.Field) -> str:
    """Write a field's default as code."""
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    return "" if field.default_factory is dataclasses.MISSING else f"`{field.default_factory()!r}`"


def hyperparameter_table(config: type) -> str:
    """Make a table with one row per field of an agent's config."""
    fields = dataclasses.fields(config)
    if not fields:
        return "None."
    hints, meanings = typing.get_type_hints(config), field_docstrings(config)
    rows = ((f"`{f.name}`", describe_type(hints[f.name]), default_of(f), meanings.get(f.name, "")) for f in fields)
    return table(("name", "type", "default", "meaning"), rows)


def agent_page(spec: AgentSpec, prefix: str | None = "../") -> str:
    """Write the page of an agent: what it takes, how to use it, its hyperparameters; `prefix` as in `paper_link`."""
    cls = registry.agent_class(spec.name)
    source = example_source(spec)
    is_dataset, kwargs = source in recipes(), dict(spec.example.shown_kwargs)
    keywords = f"env_kwargs={kwargs!r}, " if kwargs else ""
    flags = f" --env-kwargs {shlex.join(f'{key}={value}' for key, value in kwargs.items())}" if kwargs else ""
    facts = table(
        ("takes", "actions", "observations", "paper", "code"),
        [(" or ".join(spec.sources), " or ".join(spec.actions), spec.observations, paper_link(spec.paper, prefix),
          code_link(spec.entry_point))],
    )  # fmt: skip
    example = f"""
        import envzoo.agents

        agent = envzoo.agents.make("{spec.name}", "{source}", {keywords}seed=0)
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
        code("sh", f"envzoo make-dataset {source}\n" * is_dataset + f"envzoo train {spec.name} {source}{flags}"),
        "## Hyperparameters",
        hyperparameter_table(cls.Config),
    )
