"""Base of the agents that optimise policies against changing losses with linear action values (paper 44)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.spec import require
from envzoo.agents.tabular.covariance import empirical_inverse, resampled_inverse
from envzoo.agents.tabular.learning import TabularAgent, TabularConfig, first_env, read_losses
from envzoo.agents.tabular.linear_kernels import exact_inverses, learn_episode, make_policy, visit_law
from envzoo.errors import EnvzooError
from envzoo.sizes import check_bytes
from envzoo.tabular import FiniteMDP, HasModel

LINEAR = 1e-8  # largest residual of losses and transitions in the features


@dataclass(frozen=True)
class LinearPolicyConfig(TabularConfig):
    """Hyperparameters of agents with linear action values."""

    num_episodes: int = 2_000
    """Number of episodes that will be played (K), from which the step sizes follow."""
    scale: float = 1.0
    """Factor c of the step size."""
    learning_rate: float | None = None
    """Step size (eta); None takes it from K and scale."""
    regularization: float | None = None
    """Regularisation added to the covariance (gamma); None derives it from K and scale."""
    bonus: float = 0.02
    """Factor of the dilated bonus, beta = bonus sqrt(gamma); 0 leaves it out."""
    covariance: Literal["exact", "empirical", "resampled"] = "exact"
    """How the inverse covariance is found: from the exact law of the states, from samples of it, or by matrix geometric
    resampling."""
    samples: int = 200
    """Simulated visits of each layer and episode, for the latter two."""

    def __post_init__(self):
        super().__post_init__()
        require(self.num_episodes >= 1, f"num_episodes is at least 1, got {self.num_episodes}")
        require(self.scale > 0, f"scale is positive, got {self.scale}")
        for name in ("learning_rate", "regularization"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} is positive, got {value}")
        require(self.bonus >= 0, f"bonus is at least 0, got {self.bonus}")
        require(1 <= self.samples <= 10**6, f"samples is at least 1, got {self.samples}")


def read_layers(model: Any, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split a layered process into transitions (H, n, A, n), features (H, n, A, d), rewards and the first law (n,).

    Raises:
        EnvzooError: It is no layered process with features in which it is linear.
    """
    if not isinstance(model, FiniteMDP) or model.features is None or model.horizon is None:
        raise EnvzooError(
            f"{name} needs a layered world with features; expected an environment whose model() is a FiniteMDP with "
            "features and a horizon, such as envzoo/AdversarialLinearMDP-v0"
        )
    layers, size, actions = model.horizon, *model.r.shape
    if size % layers:
        raise EnvzooError(f"{size} states are no {layers} layers of equally many; expected layer * n + state")
    n = size // layers
    blocks = model.p.reshape(layers, n, actions, layers, n)
    p = np.stack([blocks[h, :, :, min(h + 1, layers - 1)] for h in range(layers)])
    if any(np.abs(p[h].sum(axis=-1) - 1).max() > 1e-9 for h in range(layers - 1)):
        raise EnvzooError("the steps of a layered world lead from each layer to the next; those of this one do not")
    phi, reward = model.features.reshape(layers, n, actions, -1), model.r.reshape(layers, n, actions)
    worst = 0.0
    for h in range(layers):
        parts = [reward[h].reshape(-1, 1)] + ([p[h].reshape(n * actions, n)] if h < layers - 1 else [])
        rows, targets = phi[h].reshape(n * actions, -1), np.concatenate(parts, axis=1)
        fitted = rows @ np.linalg.lstsq(rows, targets, rcond=None)[0]
        worst = max(worst, float(np.abs(fitted - targets).max()))
    if worst > LINEAR:
        raise EnvzooError(
            f"rewards and transitions are not linear in the features: the largest residual is {worst:.3g}, expected at "
            f"most {LINEAR:g}"
        )
    return p, phi, reward, model.initial[:n]


class LinearPolicyAgent(TabularAgent):
    """Base of the agents: a leader in every state, estimates of action values that are linear in known features.

    The simulator that the algorithms assume is the world's model; of the losses they see only those on the way.

    Attributes:
        p: (H, n, A, n) transitions.
        phi: (H, n, A, d) features.
        eta: Step size.
        gamma: Regularisation of the covariance.
        beta: Factor of the bonus.
    """

    Config = LinearPolicyConfig
    config: LinearPolicyConfig
    barrier: ClassVar[bool] = False
    reduced: ClassVar[bool] = False

    @abstractmethod
    def rates(self, layers: int) -> tuple[float, float]:
        """Return step size and regularisation for K episodes of H layers."""

    def prepare(self, env: Any) -> None:
        """Read the model, and find the step sizes."""
        single = first_env(env)
        model = single.model() if isinstance(single, HasModel) else None
        self.p, self.phi, _, self.initial = read_layers(model, self.spec.name)
        c, (eta, gamma) = self.config, self.rates(len(self.p))
        self.eta, self.gamma = c.learning_rate or eta, c.regularization or gamma
        self.beta = c.bonus * np.sqrt(self.gamma)
        check_bytes(c.samples * self.phi.shape[3] * 24, f"{c.samples} samples of {self.phi.shape[3]} features")

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the cumulative losses, the present policies, and what was seen in the running episodes."""
        layers, states, actions = self.phi.shape[:3]
        pi = np.full((runs, layers, states, actions), 1 / actions)
        return {
            "total": np.zeros(pi.shape),
            "pi": pi,
            "visited": np.zeros((runs, layers), np.int64),
            "taken": np.zeros((runs, layers), np.int64),
            "seen": np.zeros((runs, layers)),
            "least": np.zeros(runs),
        }

    def _probabilities(self, states: np.ndarray, runs: np.ndarray) -> np.ndarray:
        n = self.phi.shape[1]
        return self.policy.pi[runs, states // n, states % n]

    def act(self, states: np.ndarray) -> np.ndarray:
        """Sample from the policy."""
        return sample(self._probabilities(states, np.arange(self.num_runs)), self.streams.numpy("actions"))

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Note the step; at the end of an episode, learn from it."""
        p, n, runs = self.policy, self.phi.shape[1], np.flatnonzero(step.valid)
        loss = read_losses(step.reward[runs], self.spec.name)
        layer = states[runs] // n
        p.visited[runs, layer], p.taken[runs, layer], p.seen[runs, layer] = states[runs] % n, chosen[runs], loss
        for run in runs[step.done[runs]]:
            self.learn_run(run)

    def learn_run(self, run: int) -> None:
        """Learn from the episode that has just ended in a run."""
        t, shape = self.policy, self.phi.shape
        law, estimate, bonus, dilated = np.empty(shape[:2]), *(np.empty(shape[:3]) for _ in range(3))
        visit_law(self.p, self.initial, t.pi[run], law)
        inverses = self.inverses(law, t.pi[run])
        options = (self.reduced, self.beta, t.total[run], estimate, bonus, dilated)
        visited, taken = np.clip(t.visited[run], 0, shape[1] - 1), np.clip(t.taken[run], 0, shape[2] - 1)
        least = learn_episode(self.p, self.phi, law, t.pi[run], inverses, visited, taken, t.seen[run], *options)
        t.least[run] = min(t.least[run], least)
        make_policy(t.total[run], self.eta, self.barrier, t.pi[run])

    def inverses(self, law: np.ndarray, pi: np.ndarray) -> np.ndarray:
        """Find the inverse covariances (H, d, d) of the features under a policy, as the config says."""
        layers, size = self.phi.shape[0], self.phi.shape[3]
        found, c = np.empty((layers, size, size)), self.config
        if c.covariance == "exact":
            exact_inverses(self.phi, law, pi, self.gamma, np.empty((size, size)), found)
            return found
        generator = self.streams.numpy("simulator")
        for h in range(layers):
            joint = (law[h][:, None] * pi[h]).ravel()
            cells = generator.choice(joint.size, c.samples, p=joint / joint.sum())
            seen = self.phi[h].reshape(-1, size)[cells]
            if c.covariance == "empirical":
                found[h] = empirical_inverse(seen, self.gamma)
            else:
                found[h] = resampled_inverse(seen[None], self.gamma)
        return found

    def metrics(self) -> dict[str, float]:
        """Report the most negative estimate, in units of 1 / eta."""
        return {"learner/least_estimate": float(self.eta * self.policy.least.min())}

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Take the likeliest action, or sample from the policy."""
        probabilities = self._probabilities(states, runs)
        return probabilities.argmax(axis=1) if deterministic else sample(probabilities, self.streams.numpy("predict"))


def sample(probabilities: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw an index (B,) from each row (B, A) of probabilities."""
    below = np.cumsum(probabilities, axis=1)
    drawn = (generator.random(len(below))[:, None] * below[:, -1:] >= below).sum(axis=1)
    return np.minimum(drawn, probabilities.shape[1] - 1)
