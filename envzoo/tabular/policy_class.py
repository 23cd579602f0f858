"""Classes of deterministic policies over a finite world, and what agnostic learning of the best of them needs."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.kernel.arguments import check_whole
from envzoo.sizes import check_bytes
from envzoo.tabular.arrays import check_laws, freeze, read_numbers

MOST = 1_000_000  # policies of an enumerated class


@runtime_checkable
class PolicyClass(Protocol):
    """A finite class of N deterministic policies."""

    def __len__(self) -> int:
        """Return the number of policies, N."""

    def act(self, states: np.ndarray) -> np.ndarray:
        """Return the actions (N, n) of all policies in states (n,)."""

    def consistent(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return which policies take the actions (n, T) in the states (n, T) of trajectories, bool (N, n)."""


@njit(cache=True)
def _agree(table, states, actions, out):
    for n in range(table.shape[0]):
        for i in range(states.shape[0]):
            same = True
            for t in range(states.shape[1]):
                if table[n, states[i, t]] != actions[i, t]:
                    same = False
                    break
            out[n, i] = same


@dataclass(frozen=True, eq=False)
class TablePolicies:
    """The policies of a table, one per row.

    Attributes:
        table: (N, S) int16, the action of each policy in each state.

    Raises:
        EnvzooError: The table holds no whole numbers of at least 0.
    """

    table: np.ndarray

    def __post_init__(self) -> None:
        try:
            table = np.array(self.table)
        except ValueError:
            table = np.empty(0)
        if table.ndim != 2 or 0 in table.shape or table.dtype.kind not in "iu":
            raise EnvzooError(f"the table of policies has the shape {table.shape}; expected whole numbers (N, S)")
        if not ((table >= 0) & (table < 2**15)).all():
            raise EnvzooError(f"the table of policies has actions out of range; expected 0 to {2**15 - 1}")
        freeze(self, table=table.astype(np.int16))

    def __len__(self) -> int:
        return len(self.table)

    def act(self, states: np.ndarray) -> np.ndarray:
        """Return the actions (N, n) of all policies in states (n,)."""
        return self.table[:, np.asarray(states, np.int64)]

    def consistent(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return which policies take the actions (n, T) in the states (n, T), bool (N, n)."""
        states, actions = np.asarray(states, np.int64), np.asarray(actions, np.int64)
        if states.ndim != 2 or actions.shape != states.shape:
            raise EnvzooError(f"states and actions have the shapes {states.shape} and {actions.shape}; expected (n, T)")
        if not ((states >= 0) & (states < self.table.shape[1])).all():
            raise EnvzooError(f"a trajectory has states out of range; expected 0 to {self.table.shape[1] - 1}")
        found = np.empty((len(self), len(states)), np.bool_)
        _agree(self.table, states, actions, found)
        return found


def require_consistent(policies: PolicyClass, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return `policies.consistent(states, actions)`, (N, n), after checking that each trajectory has a policy.

    Raises:
        EnvzooError: No policy of the class takes the actions of some trajectory, of which the data then tell nothing.
    """
    found = policies.consistent(states, actions)
    missing = np.flatnonzero(~found.any(axis=0))
    if len(missing):
        raise EnvzooError(
            f"the policy class has no member that is consistent with trajectory {int(missing[0])} ({len(missing)} of "
            f"{found.shape[1]}); expected trajectories of its own policies"
        )
    return found


# ---------------------------------------------------------------------------- classes


def tons(states: int, most: int = 1) -> TablePolicies:
    """Return the class of all policies that take action 1 in at most `most` states and action 0 elsewhere.

    The first one takes action 0 everywhere; with `most=1`, the singletons, policy 1 + s takes action 1 in state s.

    Raises:
        EnvzooError: The class has over a million policies.
    """
    states, most = check_whole("states", states, 1), check_whole("most", most, 0)
    count = sum(math.comb(states, k) for k in range(min(most, states) + 1))
    if count > MOST:
        raise EnvzooError(f"a class of {count} policies is too large; expected at most {MOST}")
    check_bytes(8 * count * states, f"{count} policies over {states} states")
    table, row = np.zeros((count, states), np.int16), 0
    for size in range(min(most, states) + 1):
        for chosen in itertools.combinations(range(states), size):
            table[row, list(chosen)] = 1
            row += 1
    return TablePolicies(table)


def combine_states(policies: TablePolicies) -> TablePolicies:
    """Return all policies that take in every state an action which some policy of the class takes there.

    This class is complete: it contains the greedy policy of every function of state and action, restricted to the
    actions of the class.
    """
    choices = [np.unique(column) for column in policies.table.T]
    count = math.prod(len(choice) for choice in choices)
    if count > MOST:
        raise EnvzooError(f"a class of {count} policies is too large; expected at most {MOST}")
    return TablePolicies(np.array(list(itertools.product(*choices)), np.int64))


# ---------------------------------------------------------------------------- problems


@dataclass(frozen=True, eq=False)
class PolicyProblem:
    """Knowledge of a learner about a layered world: its layers, a class of policies, and how to explore for the class.

    Attributes:
        policies: The class, Pi.
        layer: (S,) int64, the layer 0 to H - 1 of each state.
        cover: (H, S) laws over the states of each layer, from which mu-resets draw.
        core: Policies that explore: every segment that is consistent with a policy of the class and enters none of its
            petals after its first state is consistent with one of them. None where no such core is known.
        petals: (N, D) int64, the petals of each policy, filled up with -1; None without a core.

    Raises:
        EnvzooError: Arrays that do not fit together.
    """

    policies: PolicyClass
    layer: np.ndarray
    cover: np.ndarray
    core: PolicyClass | None = None
    petals: np.ndarray | None = None

    def __post_init__(self) -> None:
        layer, cover = np.array(self.layer), read_numbers("cover", self.cover)
        if layer.ndim != 1 or layer.dtype.kind not in "iu" or cover.ndim != 2 or cover.shape[1] != len(layer):
            raise EnvzooError(f"layer and cover have the shapes {layer.shape} and {cover.shape}; expected (S,), (H, S)")
        if not ((layer >= 0) & (layer < len(cover))).all():
            raise EnvzooError(f"layer holds numbers out of range; expected 0 to {len(cover) - 1}")
        check_laws("cover", cover)
        outside = np.argwhere((cover > 0) & (layer != np.arange(len(cover))[:, None]))
        if len(outside):
            raise EnvzooError(f"cover of layer {outside[0, 0]} holds state {outside[0, 1]}, which is of another layer")
        if (self.core is None) != (self.petals is None):
            raise EnvzooError("a sunflower has a core and petals; expected both or neither")
        more = {}
        if self.petals is not None:
            petals = np.array(self.petals)
            if petals.ndim != 2 or len(petals) != len(self.policies) or petals.dtype.kind not in "iu":
                raise EnvzooError(
                    f"petals are {petals.dtype} of shape {petals.shape}; expected states ({len(self.policies)}, D)"
                )
            if not ((petals >= -1) & (petals < len(layer))).all():
                raise EnvzooError(f"petals hold states out of range; expected -1 to {len(layer) - 1}")
            more["petals"] = petals.astype(np.int64)
        freeze(self, layer=layer.astype(np.int64), cover=cover, **more)

    @property
    def horizon(self) -> int:
        """Number of layers, H."""
        return len(self.cover)

    def table(self) -> np.ndarray:
        """Return the actions (N, S) of all policies in all states."""
        return self.policies.act(np.arange(len(self.layer)))


@runtime_checkable
class HasProblem(Protocol):
    """An environment with a method `problem`, which returns the class of policies to compete with."""

    def problem(self) -> PolicyProblem:
        """Return layers, policies and covering laws of the world."""


def find_problem(env: Any) -> PolicyProblem:
    """Return the policy problem of an environment, single or vector, wrapped or not.

    Raises:
        UnsupportedSpaceError: The environment brings no class of policies.
    """
    base = getattr(env, "unwrapped", env)
    if isinstance(base, HasProblem) and callable(base.problem):
        return base.problem()
    copies = getattr(base, "envs", ())
    if copies:
        return find_problem(copies[0])
    raise UnsupportedSpaceError(f"{base} brings no policy class; expected an environment with a method problem()")
