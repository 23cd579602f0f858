"""Pages of environments."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envzoo.scripts.docs.links import GENERATED, Environment, code_link, paper_link
from envzoo.scripts.markdown import blocks, code, manual, table
from envzoo.specs import NOTHING


def environment_page(
    environment: Environment,
    prefix: str | None = "../",
    package: str = "envzoo",
    picture: str = "",
    datasets: Mapping[str, str] = NOTHING,
) -> str:
    """Write the page of an environment: its ids, how to make it, its manual.

    Args:
        environment: Its rows.
        prefix: As in `paper_link`.
        package: The package whose import registers it.
        picture: A picture of it, in Markdown.
        datasets: Pages of its datasets below docs/, by id.
    """
    first = environment.specs[0]
    ids = table(
        ("id", "what it is", "keywords it sets", "time limit"),
        (
            (
                f"`{row.id}`",
                row.summary,
                ", ".join(f"`{name}={value!r}`" for name, value in row.kwargs.items()),
                f"{row.max_episode_steps} steps" if row.max_episode_steps else "",
            )
            for row in environment.specs
        ),
    )
    links = ", ".join(f"[{name}](../{page})" for name, page in datasets.items())
    vector = f'envs = gym.make_vec("{first.id}", num_envs=1024)' if first.vector_entry_point else ""
    text = re.sub(r"^## Registered ids\n.*?(?=^## |\Z)", "", manual(first.manual()), flags=re.M | re.S)
    return blocks(
        f"# {environment.name}",
        GENERATED,
        f"Paper: {paper_link(first.paper, prefix)}. " * bool(first.paper) + f"Code: {code_link(first.entry_point)}.",
        ids,
        *([picture] if picture else []),
        code("python", f'import gymnasium as gym\nimport {package}\n\nenv = gym.make("{first.id}")\n{vector}'),
        text,
        *(["## Datasets", f"{links}."] if links else []),
    )
