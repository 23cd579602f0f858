# %% [markdown]
# # An entropy method for your language model
#
# Reinforcement learning with verifiable rewards makes language models certain too early: their entropy collapses, and
# they stop finding new answers. This tutorial writes a method against it, tries it on an exact table with many seeds,
# and then trains a small transformer with it.
#
# For a softmax policy and a small step $\eta$ of the policy gradient, the entropy of a state's distribution changes by
# about (Cui et al., 2025)
#
# $$\Delta H \approx -\eta \operatorname{Cov}_{a \sim \pi}\bigl(\log \pi(a),\; \pi(a) A(a)\bigr),$$
#
# so likely tokens with positive advantages cost the most entropy. The method below gives them less weight:
#
# $$w(a) = (1 - \pi(a))^{\kappa} \text{ if } A(a) > 0, \qquad w(a) = 1 \text{ otherwise.}$$

# %%
from dataclasses import dataclass

import numpy as np

import envzoo.agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.spec import require
from envzoo.agents.text.config import TextConfig
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.table import TokenTable, sum_to
from envzoo.agents.text.trainer import TextAgent

# %% [markdown]
# ## The method
#
# A method is independent of the trainer: the same object runs on the table, in the small trainer of envzoo, and in
# TRL's trainer for large models. `token_loss` gets the log-probabilities of the sampled tokens under the current
# policy, the entropies, and the batch with advantages and mask, all of shape (B, T).


# %%
@dataclass(frozen=True)
class DampedConfig(TextConfig):
    """Hyperparameters of Damped."""

    kappa: float = 1.0
    """Exponent of the weight of likely tokens with positive advantages; with 0
    it is REINFORCE with group advantages."""

    def __post_init__(self):
        super().__post_init__()
        require(self.kappa >= 0, f"kappa is at least 0, got {self.kappa}")


class DampedMethod(Method):
    """Policy gradient in which likely tokens are reinforced less."""

    # No decision depends on the value of a tensor: all seeds at once.
    vectorizes = True

    def token_loss(self, logp, entropy, batch):
        """Compute -w A log pi, with w treated as a constant."""
        likely = 1.0 - logp.detach().exp()
        reinforced = (batch.advantage > 0).to(logp.dtype)
        less = likely.clamp_min(0.0) ** self.config.kappa
        weight = reinforced * less + (1.0 - reinforced)
        loss = -batch.advantage * weight * logp
        return loss, {"weight": masked_mean(weight, batch.mask)}


class Damped(TextAgent):
    """Policy gradient in which likely tokens are reinforced less."""

    Config = DampedConfig
    Method = DampedMethod


envzoo.agents.register("Damped", Damped)

# %% [markdown]
# ## On a table, with many seeds
#
# `TokenTable` trains one logit per state and token with the loop of the agents. Accuracy and entropy are computed
# exactly by dynamic programming, and a run takes a fraction of a second. Both tables below see the same prompts with
# the same seeds, so the differences are paired.

# %%
SEEDS, UPDATES = range(20), 60
damped = TokenTable(sum_to(terms=3), "Damped", seeds=SEEDS, kappa=1.0)
plain = TokenTable(sum_to(terms=3), "Damped", seeds=SEEDS, kappa=0.0)
for table in (damped, plain):
    table.learn(UPDATES, exact=None)

difference = damped.measure("train").entropy - plain.measure("train").entropy
half_width = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
print(f"entropy: {difference.mean():+.3f} +- {half_width:.3f} nats")
accuracy = [
    table.measure("train").accuracy.mean() for table in (plain, damped)
]
print(f"accuracy: {accuracy[0]:.2f} without, {accuracy[1]:.2f} with")
assert difference.mean() > half_width

# %% [markdown]
# More entropy after equally many updates may only mean slower learning. Compare at equal accuracy before you believe
# it: `docs/losses.md` shows how.
#
# ## A small transformer
#
# The agent makes a character-level transformer, warms it up on a few solved puzzles, and trains it. A timestep is a
# token that the model wrote. The loss above does not correct for answers of an older policy, so each rollout gives one
# step of the optimizer (`num_minibatches=1`); with the usual four, this model soon finds no right answer any more.

# %%
settings = {"kappa": 1.0, "num_minibatches": 1, "warm_up_updates": 200}
agent = envzoo.agents.make(
    "Damped", "envzoo/TextSumTo-v1", seed=0, device="cpu", **settings
)
for timesteps in (4_000, 250_000):
    agent.learn(timesteps)
    metrics = evaluate(agent, episodes=500).metrics("")
    solved = metrics["return_mean"]
    print(f"{agent.num_timesteps} tokens: {solved:.0%} of 500 puzzles solved")

# %% [markdown]
# With `model="Qwen/Qwen3-0.6B"`, `make` takes a model of Hugging Face for a GPU, and `docs/trl.md` shows how TRL's
# trainer takes the method for several GPUs.
