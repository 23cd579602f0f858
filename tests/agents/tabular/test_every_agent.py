"""Every agent with discrete actions learns in a finite world given as arrays, or says which world it needs."""

import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.registry import specs
from envzoo.errors import EnvzooError
from envzoo.tabular import TabularVectorEnv, random_lmdp, random_mdp, random_pomdp
from envzoo.tabular.adversarial_worlds import linear_mdp

NAMES = sorted(name for name, spec in specs().items() if "discrete" in spec.actions)
LINEAR = ("LogBarrierPO", "MagnitudeReducedPO", "DilatedBonusPO", "Exp3PO")
LATENT = ("LMDPValueOptimistic", "LMDPModelOptimistic", "LMDPHoeffding", "MemorylessUCBVI")
GENERAL = (
    *("PPO", "DQN", "SACDiscrete", "CountBased", "RND", "ICM", "APT", "DIAYN", "Disagreement", "AGAC", "SMiRL"),
    *("AdversarialSurprise", "QLearning", "SARSA", "UCBVI", "PSRL", "UCB1", "ThompsonSampling"),
)
# What these agents ask for where a world has no time limit, and what makes a short run possible.
OPTIONS = {"SMiRL": {"horizon": 6}, "AdversarialSurprise": {"round_length": 2}}


def world_of(name):
    if name in LINEAR:
        return linear_mdp(2, 2, 2, 2).mean_model(np.array([0.3, 0.7]))
    return random_lmdp(2, 3, 2, 3, seed=1) if name in LATENT else random_mdp(6, 3, horizon=6, seed=1)


def learn(name, world):
    example = agents.spec(name).example
    given = {} if example is None else dict(example.hyperparameters)
    given.pop("num_envs", None)
    env = TabularVectorEnv(world, 2, autoreset_mode="SameStep")
    agent = agents.make(name, env, seed=0, device="cpu", **{**given, **OPTIONS.get(name, {})})
    return agent.learn(48)


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_learns_in_a_finite_world_or_says_what_it_needs(name):
    sentence = ""
    try:
        assert learn(name, world_of(name)).num_timesteps >= 48
    except EnvzooError as refusal:
        sentence = str(refusal)
    assert not sentence or name not in (*GENERAL, *LINEAR, *LATENT)
    assert len(sentence.splitlines()) <= 1


@pytest.mark.parametrize("name", ["PPO", "QLearning"])
def test_worlds_with_hidden_states_are_worlds_for_any_agent(name):
    for world in (random_pomdp(4, 3, 5, horizon=6), random_lmdp(2, 3, 2, 3, seed=1)):
        assert learn(name, world).num_timesteps >= 48
