"""LSDBandit: arms whose payoffs depend on how long they have rested, or been pulled in a row (paper 30)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

from envzoo.bandits.arms import FRESH, ArmsWithMemory
from envzoo.bandits.generators import LSD_GENERATORS
from envzoo.bandits.model import BanditModel
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import KernelEnv, KernelVectorEnv
from envzoo.kernel.arguments import check_choice
from envzoo.sizes import check_bytes

MOST_COLUMNS_LEFT_OUT = 20  # more than the states that a generator has by default


def generate(
    generators: Mapping[str, Callable[..., BanditModel]], instance: Any, seed: Any, given: Mapping[str, Any]
) -> BanditModel:
    """The instance of a named generator.

    Args:
        generators: By name.
        instance: The name.
        seed: For generators that draw.
        given: The generator's arguments; those that are None are left to it.

    Raises:
        UnknownNameError: No such generator, or one that does not take an argument.
        EnvzooError: From the generator.
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
    """Raise EnvzooError when a table of payoffs comes with arguments that only a generator takes."""
    for name, value in given.items():
        if value is not None:
            raise EnvzooError(f"{name} goes with a named instance, but payoffs were given; expected one of the two")


class LSDBandit(ArmsWithMemory):
    """Pull arms whose payoffs fall while they are pulled and recover while they rest.

    ## Description
    A last-switch-dependent (LSD) bandit. Every arm is in a state tau: n > 0 when it has rested for the last n rounds,
    -m < 0 when it was pulled in each of the last m rounds. A pull pays, on average, the arm's entry for its state in a
    table that is non-decreasing from the most satiated state to the longest rest. Then the arms move:

    | | tau > 0 | tau < 0 |
    |---|---|---|
    | pulled | -1 | tau - 1, at least -satiation |
    | not pulled | tau + 1, at most deprivation | 1 |

    The best thing to do in the long run is to find a rhythm, which is hard to compute even when the table is known.
    The problem is that of Foussoul et al., "Last Switch Dependent Bandits with Monotone Payoff Functions"
    (ICML 2023, arXiv 2306.00338); the model was introduced by Laforgue et al., "A Last Switch Dependent Analysis of
    Satiation and Seasonality in Bandits" (AISTATS 2022, arXiv 2110.11819).

    ## Action space
    `Discrete(arms + 1)`: the arm to pull, or `arms` for a round of rest. With `pulls_per_round` k > 1 a
    `MultiBinary(arms)` that marks the arms to pull; unless k is the number of arms it is one that contains (and
    samples) at most k ones, and actions with more are refused.

    ## Observation space
    `MultiDiscrete([satiation + deprivation] * arms)`: for each arm the column of its state in the table, which counts
    the states -satiation, ..., -1, 1, ..., deprivation from 0. With M = satiation, column c stands for the state c - M
    if c < M and c - M + 1 otherwise. The observation is the whole state of the problem.

    ## Reward
    The payoffs of the pulled arms: 1 with the probability that stands in the table and 0 otherwise
    (`rewards="bernoulli"`), or the entries of the table themselves (`rewards="deterministic"`). Rest pays nothing.

    ## Info
    After every reset and step: `expected_reward`, the sum of the table's entries for the arms just pulled in the states
    they were in, which is the reward without its noise and what regret is measured with; `expected_return`, its sum
    over the episode. With `pulls_per_round` above 1 also `arm_rewards`, float64 (arms,): what each arm paid (0 where it
    rested). After a reset all are 0. `env.unwrapped.model` is the instance with its table, for planners.

    ## Start of an episode
    By `start`, or `reset(options={"start": ...})`: "fresh" puts every arm into the state `deprivation`; a state puts
    all arms into it; a sequence holds a state for each arm; an array (num_envs, arms) of a vector environment one for
    each arm of each episode.

    ## End of an episode
    Never terminates, and is truncated after 1000 rounds (`max_episode_steps`). The objective is the average reward of a
    problem that goes on: no round is the last one, the number of the round is not part of the observation, and the
    states that an episode is cut off in are worth what they are worth in any other round. So the end is a time limit,
    and an agent should bootstrap past it.

    ## Arguments
    - `payoffs` (None): a table (arms, satiation + deprivation) of payoffs, columns as above; None takes `instance`.
    - `satiation` (None): the number of states below zero. Needed with `payoffs`, else one of the instance's sizes.
    - `instance` ("random_monotone"): the name of a generator in `envzoo.bandits.generators`: "random_monotone" (sorted
      uniform numbers), "bait" (arms that lure the greedy, and one that pays a constant), "satiation" (geometric decay
      and recovery), "laforgue" (the two instances of Laforgue et al., by `variant`).
    - `instance_seed` (0): seed of the generator.
    - `arms`, `deprivation`, `threshold`, `variant`, `position`, `max_delay` (None): arguments of the generator; each
      generator takes some, and None leaves its default.
    - `pulls_per_round` (1): the most arms that may be pulled in one round.
    - `rewards` ("bernoulli"): or "deterministic".
    - `start` ("fresh"): see above.
    - `allow_nonmonotone` (False): take a table that decreases somewhere.

    ## Registered ids
    - `envzoo/LSDBandit-v0`: the defaults above, 10 arms with 5 states below zero and 10 above.
    - `envzoo/LSDBandit-Bait-v0`, `envzoo/LSDBandit-Satiation-v0`: those instances.
    - `envzoo/LSDBandit-Laforgue-v0`: the first instance of Laforgue et al. as their code sets it, 3600 rounds from the
      state in which every arm was just pulled; `envzoo/LSDBandit-LaforgueStep-v0`: the second one, 3300 rounds.
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
                    "payoffs were given without satiation; expected the number of their columns that are states below 0"
                )
            model = BanditModel(payoffs, satiation, pulls_per_round, allow_nonmonotone)
        self._set_up(model, rewards, start)


class LSDBanditEnv(KernelEnv):
    """Single environment of `LSDBandit`."""

    definition_class = LSDBandit

    @property
    def model(self) -> BanditModel:
        """The instance: table, states, pulls per round."""
        return self.definition.model


class LSDBanditVectorEnv(KernelVectorEnv):
    """Vector environment of `LSDBandit`."""

    definition_class = LSDBandit

    @property
    def model(self) -> BanditModel:
        """The instance: table, states, pulls per round."""
        return self.definition.model
