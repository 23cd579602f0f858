"""RechargingBandit: arms whose payoffs grow with the time since their last pull."""

from __future__ import annotations

from collections.abc import Sequence

from envzoo.bandits.arms import FRESH, ArmsWithMemory
from envzoo.bandits.generators import RECHARGING_GENERATORS, recharging
from envzoo.bandits.lsd_bandit import generate, refuse_generator_arguments
from envzoo.bandits.model import WithModel
from envzoo.kernel import KernelEnv, KernelVectorEnv


class RechargingBandit(ArmsWithMemory):
    """A bandit whose arms recharge: the payoff of a pull grows with the time since the arm's last pull.

    ## Description
    A recharging (delay-dependent) bandit. The expected payoff of a pull d rounds after the arm's previous one is p(d),
    with p non-decreasing; D is the largest distinct delay, and longer delays count as D. It is the special case of
    `envzoo/LSDBandit-v0` in which the number of consecutive pulls of an arm does not matter: there is one state below
    zero, for an arm pulled in the previous round (delay 1), and state n > 0 has delay n + 1. The kernels are the same.
    Sources: Kleinberg and Immorlica, "Recharging Bandits" (FOCS 2018); Papadigenopoulos, Caramanis and Shakkottai,
    "Non-Stationary Bandits under Recharging Payoffs" (NeurIPS 2022, arXiv 2205.14790).

    ## Action space
    `Discrete(arms + 1)`: the arm to pull, or `arms` for a round of rest. With `pulls_per_round` k > 1, a
    `MultiBinary(arms)` with at most k ones; see `envzoo/LSDBandit-v0`.

    ## Observation space
    `MultiDiscrete([D] * arms)`: for each arm the delay of a pull in the next round, minus 1.

    ## Reward
    The sum of the payoffs of the pulled arms: 1 with probability p(d) and 0 otherwise (`rewards="bernoulli"`), or p(d)
    itself (`rewards="deterministic"`). Rest pays nothing.

    ## Info
    After every reset and step `expected_reward`, `expected_return` (and `arm_rewards`), and `env.unwrapped.model`, as
    in `envzoo/LSDBandit-v0`. The model's states are -1 for delay 1 and d - 1 for the delay d > 1.

    ## Start of an episode
    Set by `start`, or `reset(options={"start": ...})`: "fresh" starts every arm at delay D; otherwise states of the
    model, as in `envzoo/LSDBandit-v0`.

    ## End of an episode
    Never terminates, and is truncated after 1000 rounds: a time limit on a continuing problem, as in
    `envzoo/LSDBandit-v0`.

    ## Arguments
    - `payoffs` (None): a table (arms, D) of mean payoffs at the delays 1, ..., D. None takes `instance`.
    - `instance` ("random"): the name of a generator: "random" (sorted uniform numbers), "concave" (diminishing gains
    from waiting), "laforgue" (the two instances of Laforgue et al., chosen by `variant`).
    - `instance_seed` (0): seed of the generator.
    - `arms`, `max_delay`, `variant`, `position` (None): arguments of the generator; each generator takes some of them,
    and None leaves its default.
    - `pulls_per_round` (1): the largest number of arms that may be pulled in one round.
    - `rewards` ("bernoulli"): or "deterministic".
    - `start` ("fresh"): see above.
    - `allow_nonmonotone` (False): accept payoffs that decrease with the delay.

    ## Registered ids
    - `envzoo/RechargingBandit-v0`: the defaults above, 10 arms with delays up to 10.
    """

    def __init__(
        self,
        payoffs: Sequence[Sequence[float]] | None = None,
        instance: str = "random",
        instance_seed: int = 0,
        arms: int | None = None,
        max_delay: int | None = None,
        variant: str | None = None,
        position: int | None = None,
        pulls_per_round: int = 1,
        rewards: str = "bernoulli",
        start: str | int | Sequence[int] = FRESH,
        allow_nonmonotone: bool = False,
    ) -> None:
        sizes = {"arms": arms, "max_delay": max_delay, "variant": variant, "position": position}
        if payoffs is None:
            sizes["pulls_per_round"] = pulls_per_round
            model = generate(RECHARGING_GENERATORS, instance, instance_seed, sizes)
        else:
            refuse_generator_arguments(sizes)
            model = recharging(payoffs, pulls_per_round=pulls_per_round, allow_nonmonotone=allow_nonmonotone)
        self._set_up(model, rewards, start)


class RechargingBanditEnv(WithModel, KernelEnv):
    """Single environment of `RechargingBandit`."""

    definition_class = RechargingBandit


class RechargingBanditVectorEnv(WithModel, KernelVectorEnv):
    """Vector environment of `RechargingBandit`."""

    definition_class = RechargingBandit
