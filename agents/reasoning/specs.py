"""The rows of the registry for the methods that train language models."""

from __future__ import annotations

from envzoo import papers
from envzoo.agents.spec import AgentSpec


def _method(name: str, module: str, summary: str, paper: papers.Paper) -> AgentSpec:
    """The row of a method that trains a language model on verifiable puzzles."""
    path = f"envzoo.agents.reasoning.{module}:{name}"
    return AgentSpec(
        name, path, "reasoning", summary, actions=("discrete",), observations="windows of token ids, Text", paper=paper
    )


LANGUAGE_MODELS = (
    _method(
        "GRPO",
        "grpo",
        "Clipped policy gradient of a language model, advantages against the other answers to a prompt.",
        papers.GRPO,
    ),
    _method(
        "DrGRPO",
        "grpo",
        "GRPO without the standard deviation and without dividing by an answer's length.",
        papers.DR_GRPO,
    ),
    _method("DAPO", "grpo", "GRPO with clip-higher, dynamic sampling and the mean over tokens.", papers.DAPO),
    _method(
        "RLOO",
        "grpo",
        "REINFORCE for a language model, the mean of the other answers' rewards as baseline.",
        papers.RLOO,
    ),
    _method(
        "ReinforcePlusPlus",
        "grpo",
        "Clipped policy gradient with advantages whitened over the whole batch.",
        papers.REINFORCE_PLUS_PLUS,
    ),
    _method("GSPO", "grpo", "GRPO with one ratio for a whole answer.", papers.GSPO),
    _method(
        "CISPO",
        "grpo",
        "REINFORCE with clipped importance weights, so that every token keeps its gradient.",
        papers.CISPO,
    ),
    _method("ClipHigher", "grpo", "GRPO with more room for rare tokens to rise; DAPO's clipping alone.", papers.DAPO),
    _method("EntropyBonus", "grpo", "GRPO with the mean entropy of the tokens in the objective.", papers.GRPO),
    _method(
        "ForkTokens", "grpo", "GRPO on the fifth of the tokens with the highest entropy alone.", papers.FORK_TOKENS
    ),
    _method(
        "ClipCov",
        "entropy_mechanism",
        "GRPO without the gradient of a few random tokens among those whose probability and advantage covary most.",
        papers.ENTROPY_MECHANISM,
    ),
    _method(
        "KLCov",
        "entropy_mechanism",
        "Holds tokens whose probability and advantage go together most to the old policy.",
        papers.ENTROPY_MECHANISM,
    ),
    _method("STEER", "steer", "Weighs tokens down by how much they would change the entropy.", papers.STEER),
    _method("HAPO", "hapo", "Temperature, advantages and clipping as functions of each token's entropy.", papers.HAPO),
    _method(
        "D3S", "d3s", "Trains on the answers whose advantages vary most, and on their uncertain tokens.", papers.D3S
    ),
    _method("BAPO", "bapo", "Widens the clipping until rewarded tokens have their share; for stale data.", papers.BAPO),
    _method("LpReg", "lp_reg", "Keeps rare but sensible tokens alive while they are punished.", papers.LP_REG),
    _method(
        "AEPOArbitrary",
        "aepo_arbitrary",
        "Holds the entropy at a target with rewarded samples of another temperature.",
        papers.AEPO_ARBITRARY,
    ),
)
