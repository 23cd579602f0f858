"""The arguments that the weighted coverage worlds share, and the parts of their manuals that do, each written once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from envzoo.kernel.manual import with_parts

# Parts of manuals; a line `$name` of a docstring stands for the part of that name.
PARTS = {
    "moves_and_position": """\
## Action space
`Discrete(5)`: 0 stay, 1 right, 2 down, 3 left, 4 up. A move off the grid leaves the agent in place.

## Observation space
`MultiDiscrete([rows * columns, horizon + 1])`: the cell (row * columns + column) and the number of moves so far.
With `coverage_mask=True` or `field_visible=True` a `Dict` of `position` (that pair) and the requested entries:""",
    "episode": """\
## Reward
The total weight of the newly covered cells. The disc of the start gives no reward, so the return of an episode is
F(path) - F({start}).

## Info
After every reset and step: `coverage`, F of the path so far, including the start's disc; `modular_reward`, the weight
of the new cell's disc, whether or not covered before (0 after a reset), which is the additive reward of the ModPO
baseline.

## Start of an episode
Set by `start` or `reset(options={"start": ...})`, which also accepts an array with one cell per episode.

## End of an episode
Terminates after `horizon` moves; the horizon is part of the problem, not an external time limit.

## Arguments
- `rows`, `columns` (10, 10): size of the grid.
- `horizon` (20): number of moves.
- `start` ("corner"): "corner" (cell 0), "centre", "random" (uniform), a cell index, or a pair (row, column).
- `disc` ("square"), `radius` (1): the cells that a cell covers: "square" is the square of half-width `radius` around
  it, "paper" and "paper_large" are the 2x2 and 3x3 blocks with the cell in their upper left corner.
- `coverage_mask` (False): whether the observation includes the covered cells.
- `field_visible` (False): whether the observation includes the weights.""",
    "field_seed": """\
- `field_seed` (None): fixes the field; None draws a new one for every episode, from the episode's random stream.""",
    "slips": """\
- `stochasticity` (0.0): probability that a move is replaced by one of the five actions, drawn uniformly.""",
}


with_shared_manual = with_parts(PARTS)


@dataclass(frozen=True)
class WalkArguments:
    """Values of the shared arguments; the manuals of the worlds say what they mean."""

    rows: int = 10
    columns: int = 10
    radius: int | None = None
    horizon: int = 20
    start: str | int | tuple[int, int] = "corner"
    disc: str = "square"
    coverage_mask: bool = False
    field_visible: bool = False
    stochasticity: float = 0.0


def with_walk_arguments(*fixed: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give an `__init__(self, walk, ...)` the shared arguments in the place of `walk`.

    The resulting signature lists the shared arguments, then those of the world, and finally `stochasticity`.
    `inspect.signature` shows it, so that manuals, unknown names and positional calls work as if all arguments had been
    written out.

    Args:
        fixed: Shared arguments that the world does not take.
        **defaults: Defaults of its own for shared arguments.
    """

    def decorate(init: Callable[..., None]) -> Callable[..., None]:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        shared = [
            inspect.Parameter(f.name, kind, default=defaults.get(f.name, f.default), annotation=f.type)
            for f in fields(WalkArguments)
            if f.name not in fixed
        ]
        signature = inspect.signature(init)
        this, _, *own = signature.parameters.values()
        signature = signature.replace(parameters=[this, *shared[:-1], *own, shared[-1]])

        @functools.wraps(init)
        def __init__(*given: Any, **named: Any) -> None:
            bound = signature.bind(*given, **named)
            bound.apply_defaults()
            values = bound.arguments
            walk = WalkArguments(**{parameter.name: values.pop(parameter.name) for parameter in shared})
            init(values.pop("self"), walk, **values)

        __init__.__signature__ = signature
        return __init__

    return decorate
