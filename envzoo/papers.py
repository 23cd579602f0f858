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
PPO = Paper("Proximal Policy Optimization Algorithms", "Schulman et al.", 2017, "1707.06347")
BEHAVIOURAL_CLONING = Paper("ALVINN: An Autonomous Land Vehicle in a Neural Network", "Pomerleau", 1988)

PAPERS: dict[str, Paper] = {paper.number: paper for paper in (SUBMODULAR_RL, SAC) if paper.number}


def papers() -> dict[str, Paper]:
    """The reproduced papers by number, in order."""
    return dict(sorted(PAPERS.items()))
