"""The papers that envzoo reproduces, in one table: documentation and command line make their lists from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A publication. `number` is its place in the zoo (two digits), or None for a method that serves as a baseline."""

    title: str
    authors: str
    year: int
    arxiv: str | None = None
    number: str | None = None

    @property
    def url(self) -> str | None:
        """Address of the abstract page, or None when the paper is not on arXiv."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None


SUBMODULAR_RL = Paper("Submodular Reinforcement Learning", "Prajapat et al.", 2024, "2307.13372", "09")
SAC = Paper("Soft Actor-Critic Algorithms and Applications", "Haarnoja et al.", 2018, "1812.05905", "19")
ADVERSARIAL_SURPRISE = Paper(
    "Explore and Control with Adversarial Surprise", "Fickinger et al.", 2021, "2107.07394", "15"
)
MEC_BOTTLENECK = Paper("Minimum Entropy Coupling with Bottleneck", "Ebrahimi et al.", 2024, "2410.21666", "05")
MEME = Paper("Communicating via Markov Decision Processes", "Sokota et al.", 2022, "2107.08295")
SAC_DISCRETE = Paper("Soft Actor-Critic for Discrete Action Settings", "Christodoulou", 2019, "1910.07207")
SMIRL = Paper("SMiRL: Surprise Minimizing RL in Unstable Environments", "Berseth et al.", 2019, "1912.05510")
HASH_COUNTS = Paper("#Exploration: A Study of Count-Based Exploration", "Tang et al.", 2016, "1611.04717")
RND = Paper("Exploration by Random Network Distillation", "Burda et al.", 2018, "1810.12894")
ICM = Paper("Curiosity-driven Exploration by Self-supervised Prediction", "Pathak et al.", 2017, "1705.05363")
APT = Paper("Behavior From the Void: Unsupervised Active Pre-Training", "Liu and Abbeel", 2021, "2103.04551")
DIAYN = Paper("Diversity is All You Need", "Eysenbach et al.", 2018, "1802.06070")
AGAC = Paper("Adversarially Guided Actor-Critic", "Flet-Berliac et al.", 2021, "2102.04376")
DISAGREEMENT = Paper("Self-Supervised Exploration via Disagreement", "Pathak et al.", 2019, "1906.04161")
LSD_BANDITS = Paper(
    "Last Switch Dependent Bandits with Monotone Payoff Functions", "Foussoul et al.", 2023, "2306.00338", "30"
)
LSD_ANALYSIS = Paper(
    "A Last Switch Dependent Analysis of Satiation and Seasonality in Bandits", "Laforgue et al.", 2022, "2110.11819"
)
RECHARGING_BANDITS = Paper(
    "Non-Stationary Bandits under Recharging Payoffs", "Papadigenopoulos et al.", 2022, "2205.14790"
)
RECOVERING_REWARDS = Paper(
    "Dynamic Planning and Learning under Recovering Rewards", "Simchi-Levi et al.", 2021, "2106.13814"
)
PPO = Paper("Proximal Policy Optimization Algorithms", "Schulman et al.", 2017, "1707.06347")
FIMEC = Paper("Computing Low-Entropy Couplings for Large-Support Distributions", "Sokota et al.", 2024, "2405.19540")
ENTROPY_MECHANISM = Paper(
    "The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models",
    "Cui et al.",
    2025,
    "2505.22617",
    "03",
)
STEER = Paper(
    "Rethinking Entropy Interventions in RLVR: An Entropy Change Perspective", "Hao et al.", 2025, "2510.10150", "06"
)
HAPO = Paper(
    "From Uniform to Heterogeneous: Tailoring Policy Optimization to Every Token's Nature",
    "Liu et al.",
    2025,
    "2509.16591",
    "14",
)
D3S = Paper(
    "Learning More with Less: A Dynamic Dual-Level Down-Sampling Framework for Efficient Policy Optimization",
    "Wang et al.",
    2025,
    "2509.22115",
    "22",
)
BAPO = Paper(
    "BAPO: Stabilizing Off-Policy Reinforcement Learning for LLMs via Balanced Policy Optimization with Adaptive "
    "Clipping",
    "Xi et al.",
    2025,
    "2510.18927",
    "23",
)
LP_REG = Paper(
    "Low-probability Tokens Sustain Exploration in Reinforcement Learning with Verifiable Reward",
    "Huang et al.",
    2025,
    "2510.03222",
    "38",
)
AEPO_ARBITRARY = Paper(
    "Arbitrary Entropy Policy Optimization Breaks The Exploration Bottleneck of Reinforcement Learning",
    "Wang et al.",
    2025,
    "2510.08141",
    "40",
)
GRPO = Paper(
    "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models",
    "Shao et al.",
    2024,
    "2402.03300",
)
DR_GRPO = Paper("Understanding R1-Zero-Like Training: A Critical Perspective", "Liu et al.", 2025, "2503.20783")
DAPO = Paper("DAPO: An Open-Source LLM Reinforcement Learning System at Scale", "Yu et al.", 2025, "2503.14476")
RLOO = Paper(
    "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs",
    "Ahmadian et al.",
    2024,
    "2402.14740",
)
REINFORCE_PLUS_PLUS = Paper(
    "REINFORCE++: A Simple and Efficient Approach for Aligning Large Language Models", "Hu", 2025, "2501.03262"
)
GSPO = Paper("Group Sequence Policy Optimization", "Zheng et al.", 2025, "2507.18071")
CISPO = Paper(
    "MiniMax-M1: Scaling Test-Time Compute Efficiently with Lightning Attention", "Chen et al.", 2025, "2506.13585"
)
FORK_TOKENS = Paper(
    "Beyond the 80/20 Rule: High-Entropy Minority Tokens Drive Effective Reinforcement Learning for LLM Reasoning",
    "Wang et al.",
    2025,
    "2506.01939",
)
BEHAVIOURAL_CLONING = Paper("ALVINN: An Autonomous Land Vehicle in a Neural Network", "Pomerleau", 1988)

PAPERS: dict[str, Paper] = {
    paper.number: paper
    for paper in (
        ENTROPY_MECHANISM,
        MEC_BOTTLENECK,
        STEER,
        SUBMODULAR_RL,
        HAPO,
        ADVERSARIAL_SURPRISE,
        SAC,
        D3S,
        BAPO,
        LSD_BANDITS,
        LP_REG,
        AEPO_ARBITRARY,
    )
    if paper.number
}


def papers() -> dict[str, Paper]:
    """The reproduced papers by number, in order."""
    return dict(sorted(PAPERS.items()))
