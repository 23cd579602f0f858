"""ModPO: the modular baseline of submodular policy optimisation (arXiv 2307.13372)."""

from __future__ import annotations

from envzoo.agents.coverage.subpo import SubPO


class ModPO(SubPO):
    """SubPO on the additive reward `info["modular_reward"]`, which pays for every visit as if it were the first."""

    reward_key = "modular_reward"
