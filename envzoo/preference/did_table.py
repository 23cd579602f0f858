"""DIDTable: responses without structure, whose preferences have a known target policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.arguments import check_choice, check_number, check_whole
from envzoo.preference.did import optimal_rejected, pair_weights

SAMPLERS = ("optimal", "uniform", "reference", "target")


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    rewards: np.ndarray  # float64 (n,)


class State(NamedTuple):
    """State of one episode."""

    over: Any


class Infos(NamedTuple):
    """Entries of `info`."""

    log_ratio: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.over[i] = False
            infos.log_ratio[i] = 0.0


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            rewards[i] = parameters.rewards[actions[i]]
            infos.log_ratio[i] = rewards[i]
            state.over[i] = True
            terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: there is nothing to see."""
    for i in range(state.over.size):
        observation[i] = 0


class DIDTable(Definition):
    """Choose one of n responses; pairs of responses, from which the target policy can be learned exactly.

    ## Description
    Reference and target are softmax policies with normal logits (standard deviations 1 and 1.5). Pairs have a chosen
    response from the reference and a rejected one from a sampler. With the sampler "optimal", ref (ref / target)^beta,
    the preferences of the pairs are those of the reward beta log(target / ref), and DPO with the same beta has the
    target as its only optimum; with other losses, samplers or values of beta it stops elsewhere. The attributes
    `reference_policy`, `target` and `rejected` are (n,), `pair_weights()` gives the probabilities of all pairs, and
    `preference_pairs(count, seed)` draws some. The setting of Won et al. 2025 (arXiv 2505.23761).

    ## Action space
    `Discrete(n)`: the response.

    ## Observation space
    `Discrete(1)`: nothing is observed.

    ## Reward
    log(target(a) / reference(a)).

    ## Info
    After every reset and step: `log_ratio`, the reward (0 after a reset).

    ## Start of an episode
    Nothing happens.

    ## End of an episode
    Terminates after one response.

    ## Arguments
    - `responses` (32): number of responses n.
    - `beta` (0.5): of the sampler of rejected responses.
    - `sampler` ("optimal"): of the rejected responses: "optimal", "uniform", "reference" (pairs without information) or
    "target".
    - `policy_seed` (0): seed of reference and target.

    ## Registered ids
    - `envzoo/DIDTable-v0`: the defaults above.
    """

    def __init__(self, responses: int = 32, beta: float = 0.5, sampler: str = "optimal", policy_seed: int = 0) -> None:
        n, beta = check_whole("responses", responses, 2, 10_000), check_number("beta", beta, 0.0, above=True)
        check_choice("sampler", sampler, SAMPLERS)
        rng = np.random.default_rng(check_whole("policy_seed", policy_seed, 0, None))
        self.reference_policy, self.target = _softmax(rng.normal(size=n)), _softmax(1.5 * rng.normal(size=n))
        self.rejected = {
            "optimal": optimal_rejected(self.reference_policy, self.target, beta),
            "uniform": np.full(n, 1 / n),
            "reference": self.reference_policy,
            "target": self.target,
        }[sampler]
        self.beta = beta
        self.parameters = Parameters(np.log(self.target / self.reference_policy))
        self.state = State(over=np.bool_)
        self.infos = Infos(log_ratio=np.float64)
        self.observation_space = spaces.Discrete(1)
        self.action_space = spaces.Discrete(n)
        self.kernels = Kernels(reset, step, observe)

    def pair_weights(self) -> np.ndarray:
        """Return P(chosen = i, rejected = j), (n, n)."""
        return pair_weights(self.reference_policy, self.rejected)

    def preference_pairs(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Draw pairs of different responses; equal ones would teach nothing.

        Returns:
            Keyword arguments of `envzoo.agents.source.Preferences`: arrays (count,) of integers.
        """
        count, n = check_whole("count", count, 1), len(self.target)
        rng = np.random.default_rng([check_whole("seed", seed, 0, None), 26])
        chosen, rejected, rows = np.empty(count, np.int64), np.empty(count, np.int64), np.arange(count)
        while rows.size:
            chosen[rows] = rng.choice(n, rows.size, p=self.reference_policy)
            rejected[rows] = rng.choice(n, rows.size, p=self.rejected)
            rows = rows[chosen[rows] == rejected[rows]]
        return {"prompts": np.zeros(count, np.int64), "chosen": chosen, "rejected": rejected}


def _softmax(logits: np.ndarray) -> np.ndarray:
    weight = np.exp(logits - logits.max())
    return weight / weight.sum()


class _HasPolicies:
    """Attributes of the single and vector environment."""

    definition: DIDTable

    @property
    def reference_policy(self) -> np.ndarray:
        """The reference policy, (n,)."""
        return self.definition.reference_policy

    @property
    def target(self) -> np.ndarray:
        """The target policy, (n,)."""
        return self.definition.target


class DIDTableEnv(_HasPolicies, KernelEnv):
    """Single environment of `DIDTable`."""

    definition_class = DIDTable


class DIDTableVectorEnv(_HasPolicies, KernelVectorEnv):
    """Vector environment of `DIDTable`."""

    definition_class = DIDTable
