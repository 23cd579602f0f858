"""Make agents by name, and load them from files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envzoo.agents.registry import agent_class
from envzoo.agents.spec import build_config
from envzoo.errors import EnvzooError

if TYPE_CHECKING:
    from envzoo.agents.learner import Learner


def make(
    agent: str,
    source: Any,
    *,
    seed: int = 0,
    device: str = "auto",
    env_kwargs: Mapping[str, Any] | None = None,
    threads: int | str = "auto",
    **hyperparameters: Any,
) -> Learner:
    """Create an agent, or another learner, for a source.

    Args:
        agent: Name of a registered agent, such as "PPO".
        source: Environment id, environment, vector environment, function that makes an environment, PettingZoo game,
            Minari dataset (or its id), `Pairs` or `Preferences`. The agent's row says which kinds it takes.
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


def load(
    path: str | os.PathLike,
    source: Any = None,
    *,
    device: str = "auto",
    expect: str | None = None,
    encoder: Any = None,
    learning_rate: Any = None,
) -> Learner:
    """Load an agent or another learner from a file that `save` wrote, with everything needed to continue training.

    Args:
        path: The file.
        source: As in `make`; None takes the environment or dataset id stored in the file. Whoever names the stored id
            here vouches for the keywords that are stored with it.
        device: As in `make`.
        expect: Name of the agent the file must hold, if it matters.
        encoder: The class or function that was given as encoder=, for an agent with an encoder of your own: a file
            holds its name alone, which is compared and never imported.
        learning_rate: Likewise, the function that was given as learning_rate=.

    Raises:
        CheckpointError: Missing, truncated, unsafe or damaged file, another agent, or a source with other spaces.
    """
    from envzoo.agents import loading

    return loading.load(path, source, device, expect, {"encoder": encoder, "schedule": learning_rate})
