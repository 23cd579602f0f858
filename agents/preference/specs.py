"""Registry rows of the agents that learn from preferences."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_ALIGN = {"length": 4}
_POINT = {"kind": "cyclic", "horizon": 3}
_SMALL = {"hidden": (8,), "num_envs": 4, "queue": 6, "minibatch_size": 6, "num_epochs": 2}
_DEGREES = Example(
    "envzoo/TextTinySummary-Tokens-v0",
    {"fillers": 2},
    {
        "pairs": 24,
        "batch_size": 8,
        "sft_updates": 2,
        "sft_batch": 8,
        "model_dim": 8,
        "model_layers": 1,
        "model_heads": 2,
    },
    timesteps=16,
)
_RLHF = Example(
    "envzoo/TextTinySummary-Tokens-v0",
    {"fillers": 2},
    {**_DEGREES.hyperparameters, "reward_updates": 2, "num_answers": 8, "num_epochs": 1, "minibatch_size": 4},
    timesteps=16,
)
_PAIRS = Example("envzoo/DIDTable-v0", {"responses": 4}, {"pairs": 32, "batch_size": 8}, timesteps=16)

# Name, summary and paper of each named loss.
_NAMED = (
    ("DPO", "Direct preference optimisation: logistic loss on differences of log(pi / ref).", "dpo"),
    ("IPO", "Identity preference optimisation: squared loss on differences of log(pi / ref).", "ipo"),
    ("SLiC", "Sequence likelihood calibration: hinge loss on differences of log pi, with a likelihood term.", "slic"),
    ("ORPO", "Odds ratio preference optimisation: a likelihood term and log odds, without a reference.", "orpo"),
    ("SimPO", "Simple preference optimisation: log pi per token with a margin, without a reference.", "simpo"),
    ("CPO", "Contrastive preference optimisation: DPO with a uniform reference, and a likelihood term.", "cpo"),
    ("KTO", "Kahneman-Tversky optimisation: labelled single responses against a baseline.", "kto"),
)


def _named(name: str, summary: str, paper: str) -> AgentSpec:
    return AgentSpec(
        name,
        f"envzoo.agents.preference.named:{name}",
        "preference",
        summary,
        sources=("preferences", "environment"),
        actions=("discrete",),
        observations="Discrete, Text",
        paper=paper,
        example=_PAIRS,
    )


AGENTS = (
    AgentSpec(
        "SPO",
        "envzoo.agents.preference.spo:SPO",
        "preference",
        "Self-play from comparisons of episodes: the reward is the share of recent own episodes that one beats.",
        paper="20-spo",
        example=Example("envzoo/PrefPoint-v0", _POINT, {**_SMALL, "mixture": 3}, timesteps=36),
    ),
    AgentSpec(
        "SPOSAC",
        "envzoo.agents.preference.spo_sac:SPOSAC",
        "preference",
        "Self-play from comparisons of episodes with soft actor-critic, for continuous actions.",
        actions=("continuous",),
        paper="20-spo",
        example=Example(
            "envzoo/PrefPoint-v0",
            _POINT,
            {
                "hidden": (8,),
                "queue": 6,
                "mixture": 3,
                "num_envs": 2,
                "batch_size": 8,
                "learning_starts": 9,
                "steps_per_iteration": 8,
                "buffer_size": 64,
            },
            timesteps=32,
        ),
    ),
    AgentSpec(
        "SPOHedge",
        "envzoo.agents.preference.spo_hedge:SPOHedge",
        "preference",
        "Self-play by Hedge over arms that are compared in pairs; returns the mixture of its policies.",
        actions=("discrete",),
        observations="Discrete",
        paper="20-spo",
        example=Example("envzoo/PrefBandit-v0", timesteps=150),
    ),
    AgentSpec(
        "IterativeRewardModel",
        "envzoo.agents.preference.iterative_reward_model:IterativeRewardModel",
        "preference",
        "Baseline of SPO: PPO on a Bradley-Terry reward model that is fitted to all comparisons so far.",
        paper="20-spo",
        example=Example(
            "envzoo/PrefPoint-v0",
            _POINT,
            {**_SMALL, "memory": 20, "model_steps": 2, "model_batch": 8, "model_hidden": (8,), "ensemble": 2},
            timesteps=36,
        ),
    ),
    AgentSpec(
        "KLPolicyGradient",
        "envzoo.agents.preference.kl_policy_gradient:KLPolicyGradient",
        "preference",
        "REINFORCE on the reward minus a multiple of the KL divergence from a reference policy.",
        actions=("discrete",),
        paper="37-asymptotics-alignment",
        example=Example("envzoo/MemorylessAlign-v0", _ALIGN, {"num_envs": 3}, timesteps=12),
    ),
    AgentSpec(
        "BestOfN",
        "envzoo.agents.preference.best_of_n:BestOfN",
        "preference",
        "Draws N candidates from another agent and acts by the one with the largest reward; learns nothing itself.",
        observations="those of the base agent, Text",
        paper="37-asymptotics-alignment",
        example=Example("envzoo/MemorylessAlign-v0", _ALIGN, {"n": 2, "base": "KLPolicyGradient"}, timesteps=12),
    ),
    AgentSpec(
        "OfflinePreference",
        "envzoo.agents.preference.offline:OfflinePreference",
        "preference",
        "Learns from pairs of responses by a loss of choice, on tables and on a small language model.",
        sources=("preferences", "environment"),
        actions=("discrete",),
        observations="Discrete, Text",
        paper="26-did-dpo",
        example=_PAIRS,
    ),
    *(_named(*row) for row in _NAMED),
    AgentSpec(
        "PreferencePPO",
        "envzoo.agents.preference.preference_ppo:PreferencePPO",
        "preference",
        "Classical learning from preferences: a Bradley-Terry reward model, then PPO with a KL penalty.",
        sources=("preferences", "environment"),
        actions=("discrete",),
        observations="windows of token ids, Text",
        paper="rlhf",
        example=_RLHF,
    ),
    AgentSpec(
        "PreferenceDegree",
        "envzoo.agents.preference.degree:PreferenceDegree",
        "preference",
        "A preference loss with an auxiliary task that grades how much key content an answer has lost.",
        sources=("preferences", "environment"),
        actions=("discrete",),
        observations="windows of token ids, Text",
        paper="21-preference-degree",
        example=_DEGREES,
    ),
    AgentSpec(
        "DPODegree",
        "envzoo.agents.preference.degree:DPODegree",
        "preference",
        "DPO with an auxiliary task that grades how much key content an answer has lost.",
        sources=("preferences", "environment"),
        actions=("discrete",),
        observations="windows of token ids, Text",
        paper="21-preference-degree",
        example=_DEGREES,
    ),
)
