"""Gymnasium and PettingZoo wrappers, one file each.

Every wrapper comes in two versions with the same arguments: `X(env, ...)` wraps a `gymnasium.Env`, and
`VectorX(env, ...)` wraps a `gymnasium.vector.VectorEnv`. Wrappers are imported on first access.
"""

import importlib
from typing import Any

_MODULES = {
    "AdversarialRounds": "envzoo.wrappers.adversarial_rounds",
    "GenerativeAccess": "envzoo.wrappers.access",
    "GridDiscretiser": "envzoo.wrappers.grid_discretiser",
    "HistoryObservation": "envzoo.wrappers.history_observation",
    "HybridAccess": "envzoo.wrappers.access",
    "LocalSimulatorAccess": "envzoo.wrappers.access",
    "MuResetAccess": "envzoo.wrappers.access",
    "OnlineAccess": "envzoo.wrappers.access",
    "PreferenceGame": "envzoo.wrappers.preference_game",
    "PreferenceWrapper": "envzoo.wrappers.preference",
    "LossSchedule": "envzoo.wrappers.loss_schedule",
    "MultiReward": "envzoo.wrappers.multi_reward",
    "ReturnNormalizer": "envzoo.wrappers.return_normalizer",
    "RewardPerturbation": "envzoo.wrappers.reward_perturbation",
    "RoundSwitcher": "envzoo.wrappers.round_switcher",
    "SkillObservation": "envzoo.wrappers.skill_observation",
    "StableBaselines3VecEnv": "envzoo.wrappers.stable_baselines3",
    "SubmodularReward": "envzoo.wrappers.submodular_reward",
    "SurpriseReward": "envzoo.wrappers.surprise_reward",
    "TimeInObservation": "envzoo.wrappers.time_in_observation",
    "VectorAdversarialRounds": "envzoo.wrappers.adversarial_rounds",
    "VectorGenerativeAccess": "envzoo.wrappers.access",
    "VectorHistoryObservation": "envzoo.wrappers.history_observation",
    "VectorHybridAccess": "envzoo.wrappers.access",
    "VectorLocalSimulatorAccess": "envzoo.wrappers.access",
    "VectorMuResetAccess": "envzoo.wrappers.access",
    "VectorOnlineAccess": "envzoo.wrappers.access",
    "VectorPreferenceWrapper": "envzoo.wrappers.preference",
    "VectorLossSchedule": "envzoo.wrappers.loss_schedule",
    "VectorMultiReward": "envzoo.wrappers.multi_reward",
    "VectorReturnNormalizer": "envzoo.wrappers.return_normalizer",
    "VectorRewardPerturbation": "envzoo.wrappers.reward_perturbation",
    "VectorRoundSwitcher": "envzoo.wrappers.round_switcher",
    "VectorSkillObservation": "envzoo.wrappers.skill_observation",
    "VectorSubmodularReward": "envzoo.wrappers.submodular_reward",
    "VectorSurpriseReward": "envzoo.wrappers.surprise_reward",
    "VectorTimeInObservation": "envzoo.wrappers.time_in_observation",
    "VectorVisitationMask": "envzoo.wrappers.visitation_mask",
    "VisitationMask": "envzoo.wrappers.visitation_mask",
    "WrappedMaker": "envzoo.wrappers.named",
    "add_wrappers": "envzoo.wrappers.named",
    "capturable": "envzoo.wrappers.stateful",
    "register_per_episode": "envzoo.wrappers.lasting",
    "register_state_adapter": "envzoo.wrappers.adapters",
}

__all__ = [*_MODULES, "adversarial_surprise_v0"]


def __getattr__(name: str) -> Any:
    if name == "adversarial_surprise_v0":
        return importlib.import_module("envzoo.wrappers.adversarial_surprise_v0")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
