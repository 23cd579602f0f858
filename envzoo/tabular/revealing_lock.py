"""RevealingLock: a combination lock whose state shows weakly, for free or at a price (paper 45)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice, check_number, check_seed, check_whole
from envzoo.tabular.arrays import freeze
from envzoo.tabular.finite_pomdp import FinitePOMDP
from envzoo.tabular.tabular_env import ModelEnv, ModelVectorEnv, Tabular

MODES = ("free", "paid")


@dataclass(frozen=True, eq=False)
class Lock:
    """A combination lock with a hidden arm, a hidden code and a hidden dictionary.

    Attributes:
        leaf: The right leaf, 0 to leaves - 1.
        arm: The right arm there, 0 to actions - 1.
        code: (W,) int64, the right code.
        signs: (N,) -1.0 or 1.0 with sum 0, the dictionary's signs.
        leaves: Number of leaves, L, at most the number of actions.
        actions: Number of ordinary actions, A; action A reveals.
        gap: Excess probability of the good state after the right arm, eps.
        signal: Strength of the symbols, sigma.
        mode: "free", the lock shows a symbol in every step; "paid", only after the revealing action, which ends it.

    Raises:
        EnvzooError: A number out of range, or signs that are not balanced.
    """

    leaf: int
    arm: int
    code: np.ndarray
    signs: np.ndarray
    leaves: int = 2
    actions: int = 3
    gap: float = 0.3
    signal: float = 0.8
    mode: Literal["free", "paid"] = "paid"

    def __post_init__(self) -> None:
        actions = check_whole("actions", self.actions, 2, 64)
        leaves = check_whole("leaves", self.leaves, 1, actions)
        check_choice("mode", self.mode, MODES)
        code, signs = np.array(self.code), np.array(self.signs)
        if (
            code.ndim != 1
            or code.dtype.kind not in "iu"
            or not ((code >= 0) & (code < actions)).all()
            or code.size > 64
        ):
            raise EnvzooError(f"code is not usable; expected at most 64 actions from 0 to {actions - 1}")
        if signs.ndim != 1 or not signs.size or not np.isin(signs, (-1, 1)).all() or signs.sum() != 0:
            raise EnvzooError("signs are not usable; expected -1 and 1, equally many of each")
        freeze(
            self,
            leaf=check_whole("leaf", self.leaf, 0, leaves - 1),
            arm=check_whole("arm", self.arm, 0, actions - 1),
            code=code.astype(np.int64),
            signs=signs.astype(np.float64),
            leaves=leaves,
            actions=actions,
            gap=check_number("gap", self.gap, 0.0, 1.0, above=True),
            signal=check_number("signal", self.signal, 0.0, 1.0, above=True),
        )

    @property
    def length(self) -> int:
        """Length of the code, W."""
        return len(self.code)

    @property
    def best_plan(self) -> np.ndarray:
        """The actions (W + 3,) that are optimal whatever is observed: leaf, arm, code, and one that opens."""
        return np.array([self.leaf, self.arm, *self.code, 0], np.int64)

    def pomdp(self) -> FinitePOMDP:
        """Return the exact tables.

        States: root, the leaves, lock (w, +) and lock (w, -) for w = 0 to W, revealed + and -, win, lose. Observations:
        root, the leaves, then in mode "free" N symbols for each w, in mode "paid" a tag for each w and N symbols, then
        win, lose. The last four states end the episode.
        """
        width, ordinary, free = self.length, self.actions, self.mode == "free"
        first, revealed = 1 + self.leaves, 1 + self.leaves + 2 * (width + 1)
        win, lose = revealed + 2, revealed + 3
        p = np.zeros((lose + 1, ordinary + 1, lose + 1))
        for a in range(ordinary + 1):
            p[0, a, 1 + min(a, self.leaves - 1)] = 1.0
            for leaf in range(self.leaves):
                good = 0.5 + 0.5 * self.gap * (leaf == self.leaf and a == self.arm)
                p[1 + leaf, a, first], p[1 + leaf, a, first + 1] = good, 1 - good
            for w, b in itertools.product(range(width + 1), range(2)):
                state = first + 2 * w + b
                if a == ordinary and not free:
                    p[state, a, revealed + b] = 1.0
                elif w == width:
                    p[state, a, (win if b == 0 else lose) if a < ordinary else lose] = 1.0
                elif a == self.code[w]:
                    p[state, a, state + 2] = 1.0
                else:
                    p[state, a, first + 2 * w + 2 : first + 2 * w + 4] = 0.5
        p[range(revealed, lose + 1), :, range(revealed, lose + 1)] = 1.0
        terminal = np.arange(lose + 1) >= revealed
        return FinitePOMDP(p, self._emission(first, revealed), self._reward(), 0, terminal)

    def num_symbols(self) -> int:
        """Return the number of observations of the lock and of revealed states."""
        size = len(self.signs)
        return (self.length + 1) * size if self.mode == "free" else self.length + 1 + size

    def _reward(self) -> np.ndarray:
        reward = np.zeros(1 + self.leaves + self.num_symbols() + 2)
        reward[-2] = 1.0
        return reward

    def _emission(self, first: int, revealed: int) -> np.ndarray:
        size, symbols = len(self.signs), self.num_symbols()
        emission = np.zeros((revealed + 4, first + symbols + 2))
        emission[range(first), range(first)] = 1.0
        tilted = np.stack([1 + self.signal * self.signs, 1 - self.signal * self.signs]) / size
        for w, b in itertools.product(range(self.length + 1), range(2)):
            if self.mode == "free":
                emission[first + 2 * w + b, first + w * size : first + (w + 1) * size] = tilted[b]
            else:
                emission[first + 2 * w + b, first + w] = 1.0
        if self.mode == "paid":
            emission[revealed : revealed + 2, first + self.length + 1 : first + symbols] = tilted
        else:  # never entered
            emission[revealed : revealed + 2, -1] = 1.0
        emission[[-2, -1], [-2, -1]] = 1.0
        return emission

    def symbol_after(self, observation: int) -> int:
        """Return the symbol 0 to N - 1 that an observation shows, -1 if it is none."""
        tags = 0 if self.mode == "free" else self.length + 1
        inside = observation - 1 - self.leaves - tags
        return inside % len(self.signs) if 0 <= inside < self.num_symbols() - tags else -1


def draw_lock(
    leaves: int = 2,
    actions: int = 3,
    length: int = 2,
    symbols: int = 8,
    gap: float = 0.3,
    signal: float = 0.8,
    mode: str = "paid",
    world_seed: int = 0,
) -> Lock:
    """Draw leaf, arm, code and signs of a lock uniformly.

    Raises:
        EnvzooError: A number out of range, or an odd number of symbols.
    """
    actions = check_whole("actions", actions, 2, 64)
    leaves = check_whole("leaves", leaves, 1, actions)
    length, symbols = check_whole("length", length, 0, 64), check_whole("symbols", symbols, 2, 4096)
    if symbols % 2:
        raise EnvzooError(f"symbols is {symbols}; expected an even number, half of each sign")
    rng = np.random.default_rng(check_seed(world_seed))
    leaf, arm, code = int(rng.integers(leaves)), int(rng.integers(actions)), rng.integers(actions, size=length)
    signs = rng.permutation(np.repeat([1.0, -1.0], symbols // 2))
    return Lock(leaf, arm, code, signs, leaves, actions, gap, signal, mode)


def all_locks(lock: Lock) -> Iterator[Lock]:
    """Yield every lock of the same sizes: all leaves, arms, codes and balanced signs."""
    size = len(lock.signs)
    rest = (lock.leaves, lock.actions, lock.gap, lock.signal, lock.mode)
    for leaf, arm in itertools.product(range(lock.leaves), range(lock.actions)):
        for code in itertools.product(range(lock.actions), repeat=lock.length):
            for plus in itertools.combinations(range(size), size // 2):
                signs = np.where(np.isin(np.arange(size), plus), 1.0, -1.0)
                yield Lock(leaf, arm, np.array(code, np.int64), signs, *rest)


class RevealingLock(Tabular):
    """A combination lock whose state shows weakly, for free or at a price.

    ## Description
    From the root an action leads to a leaf, there an arm to the lock, in its good or its bad state with even chances;
    only the right arm of the right leaf makes the good state likelier by gap / 2. Inside the lock the right code keeps
    the state, any other action draws it anew. At the end the good state wins. In the mode "free" the lock shows a
    symbol of a dictionary in every step, tilted by `signal` in hidden directions; in the mode "paid" it shows nothing,
    until the revealing action shows one symbol and forfeits the episode. Rebuilt from the ingredients of the lower
    bounds of arXiv 2302.01333: with free symbols sqrt(T) regret is possible, with paid ones T^(2/3) is unavoidable.
    `env.unwrapped.model()` returns the exact tables.

    ## Action space
    `Discrete(actions + 1)`; the last one reveals in the mode "paid", and is a wrong action in the mode "free".

    ## Observation space
    `Discrete`: root, the leaves, in the mode "free" `symbols` symbols for each of the length + 1 steps in the lock, in
    the mode "paid" a tag for each of these steps and the symbols, and win, lose.

    ## Reward
    1 for win, otherwise 0.

    ## Start of an episode
    At the root.

    ## End of an episode
    Terminates with win, lose or a revealed state, after at most length + 3 steps.

    ## Arguments
    - `mode` ("paid"): "free" or "paid".
    - `leaves` (2): number of leaves, at most `actions`.
    - `actions` (3): number of ordinary actions.
    - `length` (2): length of the code.
    - `symbols` (8): size of the dictionary, even.
    - `gap` (0.3): in (0, 1].
    - `signal` (0.8): strength of the symbols, in (0, 1].
    - `world_seed` (0): seed of leaf, arm, code and dictionary.

    ## Registered ids
    - `envzoo/RevealingLock-v0`: the defaults above.
    """

    def __init__(
        self,
        mode: str = "paid",
        leaves: int = 2,
        actions: int = 3,
        length: int = 2,
        symbols: int = 8,
        gap: float = 0.3,
        signal: float = 0.8,
        world_seed: int = 0,
    ) -> None:
        self.lock = draw_lock(leaves, actions, length, symbols, gap, signal, mode, world_seed)
        super().__init__(self.lock.pomdp())


class RevealingLockEnv(ModelEnv):
    """Single environment of `RevealingLock`."""

    definition_class = RevealingLock


class RevealingLockVectorEnv(ModelVectorEnv):
    """Vector environment of `RevealingLock`."""

    definition_class = RevealingLock
