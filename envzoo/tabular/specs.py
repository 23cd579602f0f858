"""Registered environments of the tabular family: finite worlds whose tables are known."""

from __future__ import annotations

from envzoo.specs import kernel

_LATENT = "envzoo.tabular.latent_env"
_ADVERSARIAL = "envzoo.tabular.adversarial_linear"
_AGNOSTIC = "envzoo.tabular.agnostic_env"

ENVIRONMENTS = (
    kernel(
        "envzoo/RandomMDP-v0",
        "envzoo.tabular.random_world_env:RandomMDP",
        "tabular",
        "a random finite world (Garnet) whose tables are known",
    ),
    kernel(
        "envzoo/BernoulliBandit-v0",
        "envzoo.tabular.bernoulli_bandit:BernoulliBandit",
        "tabular",
        "the multi-armed bandit: arms with coins of unknown bias",
    ),
    kernel(
        "envzoo/CliffGrid-v0",
        "envzoo.tabular.cliff_grid:CliffGrid",
        "tabular",
        "a grid in which all shortest routes tie, so that any small reward decides",
        paper="31-policy-cliff",
        max_episode_steps=40,
    ),
    kernel(
        "envzoo/TraceChoice-v0",
        "envzoo.tabular.trace_choice:TraceChoice",
        "tabular",
        "several traces of tokens that lead to the same right answer",
        paper="31-policy-cliff",
    ),
    kernel(
        "envzoo/MultiRewardBandit-v0",
        "envzoo.tabular.multi_reward_bandit:MultiRewardBandit",
        "tabular",
        "one choice, several rewards, and a domain that decides their weights",
        paper="31-policy-cliff",
    ),
    kernel(
        "envzoo/AdversarialLinearBandit-v0",
        f"{_ADVERSARIAL}:AdversarialLinearBandit",
        "tabular",
        "a bandit with linear losses that may change between episodes",
        paper="44-refined-adversarial-mdp",
    ),
    kernel(
        "envzoo/AdversarialLinearMDP-v0",
        f"{_ADVERSARIAL}:AdversarialLinearMDP",
        "tabular",
        "a layered world with linear action values whose losses change between episodes",
        paper="44-refined-adversarial-mdp",
    ),
    kernel(
        "envzoo/AdvRareCombo-v0",
        f"{_ADVERSARIAL}:AdvRareCombo",
        "tabular",
        "a lock in which one sequence of actions is without loss, beside a detour",
        paper="44-refined-adversarial-mdp",
    ),
    kernel(
        "envzoo/RevealingLock-v0",
        "envzoo.tabular.revealing_lock:RevealingLock",
        "tabular",
        "a combination lock whose state shows weakly, for free or at a price",
        paper="45-revealing-pomdp-lower-bounds",
    ),
    kernel(
        "envzoo/LMDPPermutationLock-v0",
        f"{_LATENT}:LMDPPermutationLock",
        "tabular",
        "a lock whose key depends on a hidden context, shown by the order of states",
        paper="50-horizon-free-lmdp",
    ),
    kernel(
        "envzoo/EncodeLMDP-v0",
        f"{_LATENT}:EncodeLMDP",
        "tabular",
        "a lock whose key depends on a hidden context, spelt in bits",
        paper="50-horizon-free-lmdp",
    ),
    kernel(
        "envzoo/LMDPSignal-v0",
        f"{_LATENT}:LMDPSignal",
        "tabular",
        "a hidden context that a probe shows, to be remembered",
        paper="50-horizon-free-lmdp",
    ),
    kernel(
        "envzoo/RandomLMDP-v0",
        f"{_LATENT}:RandomLMDP",
        "tabular",
        "a random world with hidden contexts",
        paper="50-horizon-free-lmdp",
    ),
    kernel(
        "envzoo/SingletonRich-v0",
        f"{_AGNOSTIC}:SingletonRich",
        "tabular",
        "hundreds of policies that one batch of episodes evaluates, in a layered random world",
        paper="36-agnostic-rl",
    ),
    kernel(
        "envzoo/AgnosticTree-v0",
        f"{_AGNOSTIC}:AgnosticTree",
        "tabular",
        "a tree of coins, one of them better, and random policies of which one comes there",
        paper="36-agnostic-rl",
    ),
    kernel(
        "envzoo/PSDPTrap-v0",
        f"{_AGNOSTIC}:PSDPTrap",
        "tabular",
        "two policies, the better of which is the worse continuation",
        paper="36-agnostic-rl",
    ),
    kernel(
        "envzoo/BlockComboLock-v0",
        f"{_AGNOSTIC}:BlockComboLock",
        "tabular",
        "a combination lock seen through many observations per state",
        paper="36-agnostic-rl",
    ),
    kernel(
        "envzoo/BlockComboLockExogenous-v0",
        f"{_AGNOSTIC}:BlockComboLock",
        "tabular",
        "the lock beside a random walk that no action changes",
        paper="36-agnostic-rl",
        kwargs={"block": 8, "exogenous": 8},
    ),
)
