"""LSDBandit: arms whose payoffs depend on how long they have rested, or been pulled consecutively (paper 30)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

from envzoo.bandits.arms import FRESH, ArmsWithMemory
from envzoo.bandits.generators import LSD_GENERATORS
from envzoo.bandits.model import BanditModel, WithModel
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_choice
from envzoo.sizes import check_bytes

MOST_COLUMNS_LEFT_OUT = 20  # exceeds the default number of states of every generator


def generate(
    generators: Mapping[str, Callable[..., BanditModel]], instance: Any, seed: Any, given: Mapping[str, Any]
) -> BanditModel:
    """Generate an instance by the name of its generator.

    Args:
        generators: Generators by name.
        instance: Name of the generator.
        seed: Seed of random generators.
        given: Arguments of the generator; None leaves its default.

    Raises:
        UnknownNameError: The generator is unknown, or does not take an argument.
        EnvzooError: The generator refuses an argument.
    """
    check_choice("instance", instance, generators)
    takes = [name for name in signature(generators[instance]).parameters if name != "seed"]
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in chosen:
        if name not in takes:
            raise unknown(f"argument of the instance {instance!r}", name, takes)
    counts = {name: value for name, value in chosen.items() if isinstance(value, int) and value > 0}
    columns = sum(counts.get(name, 0) for name in ("satiation", "deprivation", "max_delay")) + MOST_COLUMNS_LEFT_OUT
    check_bytes(64 * counts.get("arms", 10) * columns, f"a table of {counts.get('arms', 10)} arms with these states")
    if "seed" in signature(generators[instance]).parameters:
        chosen["seed"] = seed
    return generators[instance](**chosen)


def refuse_generator_arguments(given: Mapping[str, Any]) -> None:
    """Raise EnvzooError if generator arguments are given together with a payoff table."""
    for name, value in given.items():
        if value is not None:
            raise EnvzooError(f"{name} goes with a named instance, but payoffs were given; expected one of the two")


class LSDBandit(ArmsWithMemory):
    """A bandit whose arms pay less while they are pulled and recover while they rest.

    ## Description
    A last-switch-dependent (LSD) bandit. Every arm is in a state tau: n > 0 if it has rested for the last n rounds,
    -m < 0 if it was pulled in each of the last m rounds. The expected payoff of a pull is the arm's entry for its state
    in a table that is non-decreasing from the most satiated state to the longest rest. Then the states change:

    | | tau > 0 | tau < 0 |
    |---|---|---|
    | pulled | -1 | tau - 1, at least -satiation |
    | not pulled | tau + 1, at most deprivation | 1 |

    The best long-run policy is a periodic schedule of pulls, which is hard to compute even if the table is known. The
    problem is from Foussoul et al., "Last Switch Dependent Bandits with Monotone Payoff Functions" (ICML 2023, arXiv
    2306.00338); the model was introduced by Laforgue et al., "A Last Switch Dependent Analysis of Satiation and
    Seasonality in Bandits" (AISTATS 2022, arXiv 2110.11819).

    ## Action space
    `Discrete(arms + 1)`: the arm to pull, or `arms` for a round of rest. With `pulls_per_round` k > 1, a
    `MultiBinary(arms)` that marks the arms to pull; unless k equals the number of arms, it contains (and samples) only
    actions with at most k ones, and actions with more are refused.

    ## Observation space
    `MultiDiscrete([satiation + deprivation] * arms)`: for each arm the column of its state in the table, where the
    states -satiation, ..., -1, 1, ..., deprivation are numbered from 0. With M = satiation, column c is the state c - M
    if c < M and c - M + 1 otherwise. The observation is the full state of the problem.

    ## Reward
    The sum of the payoffs of the pulled arms: 1 with the probability given in the table and 0 otherwise
    (`rewards="bernoulli"`), or the entry of the table itself (`rewards="deterministic"`). Rest pays nothing.

    ## Info
    After every reset and step: `expected_reward`, the sum of the table's entries for the arms just pulled in their
    states at the time, which is the reward without noise and the basis of regret; `expected_return`, its sum over the
    episode. With `pulls_per_round` above 1 also `arm_rewards`, float64 (arms,): the payoff of each arm (0 if it
    rested). After a reset all are 0. `env.unwrapped.model` is the instance with its table, for planners.

    ## Start of an episode
    Set by `start`, or `reset(options={"start": ...})`: "fresh" puts every arm in the state `deprivation`; a single
    state applies to all arms; a sequence gives one state per arm; an array (num_envs, arms) of a vector environment
    gives one per arm and episode.

    ## End of an episode
    Never terminates, and is truncated after 1000 rounds (`max_episode_steps`). The objective is the average reward of a
    continuing problem: there is no last round, the observation does not include the round, and a state is worth the
    same in the last round of an episode as in any other. The end is a time limit, so agents should bootstrap from the
    last state.

    ## Arguments
    - `payoffs` (None): a table (arms, satiation + deprivation) of payoffs, columns as above; None takes `instance`.
    - `satiation` (None): the number of states below zero. Required with `payoffs`, otherwise a size of the instance.
    - `instance` ("random_monotone"): the name of a generator in `envzoo.bandits.generators`: "random_monotone" (sorted
    uniform numbers), "bait" (arms that tempt a greedy player, and one that pays a constant), "satiation" (geometric
    decay and recovery), "laforgue" (the two instances of Laforgue et al., chosen by `variant`).
    - `instance_seed` (0): seed of the generator.
    - `arms`, `deprivation`, `threshold`, `variant`, `position`, `max_delay` (None): arguments of the generator; each
    generator takes some of them, and None leaves its default.
    - `pulls_per_round` (1): the largest number of arms that may be pulled in one round.
    - `rewards` ("bernoulli"): or "deterministic".
    - `start` ("fresh"): see above.
    - `allow_nonmonotone` (False): accept a table that decreases somewhere.

    ## Registered ids
    - `envzoo/LSDBandit-v0`: the defaults above, 10 arms with 5 states below zero and 10 above.
    - `envzoo/LSDBandit-Bait-v0`, `envzoo/LSDBandit-Satiation-v0`: those instances.
    - `envzoo/LSDBandit-Laforgue-v0`: the first instance of Laforgue et al. as in their code, 3600 rounds from the state
    in which every arm was just pulled; `envzoo/LSDBandit-LaforgueStep-v0`: the second one, 3300 rounds.
    """

    def __init__(
        self,
        payoffs: Sequence[Sequence[float]] | None = None,
        satiation: int | None = None,
        instance: str = "random_monotone",
        instance_seed: int = 0,
        arms: int | None = None,
        deprivation: int | None = None,
        threshold: int | None = None,
        variant: str | None = None,
        position: int | None = None,
        max_delay: int | None = None,
        pulls_per_round: int = 1,
        rewards: str = "bernoulli",
        start: str | int | Sequence[int] = FRESH,
        allow_nonmonotone: bool = False,
    ) -> None:
        sizes = {"arms": arms, "deprivation": deprivation, "threshold": threshold}
        sizes |= {"variant": variant, "position": position, "max_delay": max_delay}
        if payoffs is None:
            sizes |= {"satiation": satiation, "pulls_per_round": pulls_per_round}
            model = generate(LSD_GENERATORS, instance, instance_seed, sizes)
        else:
            refuse_generator_arguments(sizes)
            if satiation is None:
                raise EnvzooError(
                    "payoffs were given without satiation; expected the number of states below 0 among their columns"
                )
            model = BanditModel(payoffs, satiation, pulls_per_round, allow_nonmonotone)
        self._set_up(model, rewards, start)


class LSDBanditEnv(WithModel, KernelEnv):
    """Single environment of `LSDBandit`."""

    definition_class = LSDBandit


class LSDBanditVectorEnv(WithModel, KernelVectorEnv):
    """Vector environment of `LSDBandit`."""

    definition_class = LSDBandit
