"""ModPO: the modular baseline of SubPO (arXiv 2307.13372)."""

from __future__ import annotations

from envzoo.agents.coverage.subpo import SubPO


class ModPO(SubPO):
    """Modular baseline of SubPO: the same gradient on the additive reward `info["modular_reward"]`.

        grad J = E[sum_i grad log pi(a_i|.) (sum_{j >= i} m(s_{j+1}) - b_i)],  m(s) = F({s})

    The modular reward pays every visit as if it were the first. Source: Prajapat et al. (ICLR 2024, arXiv 2307.13372).

    Metrics:
        loss/policy: -mean log pi(a_i|.) A_i, minus the weighted entropy bonus, with A_i on the scale of the official
            code.
        policy/entropy: mean entropy of the policy in nats.
    """

    reward_key = "modular_reward"
