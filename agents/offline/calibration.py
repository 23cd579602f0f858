"""How well the penalties of a model-based agent rank the errors of its model, and what the model promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata

from envzoo.agents.offline.penalties import PENALTIES, find_penalty
from envzoo.agents.offline.world_model import CHUNK
from envzoo.errors import EnvzooError

if TYPE_CHECKING:
    from envzoo.agents.offline.mopo import MOPO


class Calibration(NamedTuple):
    """How a penalty relates to the error of the model.

    Attributes:
        spearman: Rank correlation of penalty and error; 0 where one of them is constant.
        pearson: Correlation of penalty and error; 0 where one of them is constant.
        auc: Probability that the penalty of a state outside the data exceeds that of one inside, ties counting one
            half; NaN where it is not said which are outside, or all or none are.
    """

    spearman: float
    pearson: float
    auc: float


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the correlation of two samples (B,); 0 where one of them is constant."""
    x, y = (np.asarray(sample, np.float64) - np.mean(sample) for sample in (x, y))
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0


def calibrate(penalty: np.ndarray, error: np.ndarray, outside: np.ndarray | None = None) -> Calibration:
    """Compare penalties (B,) with errors (B,), and with a mask (B,) of what lies outside the data.

    Raises:
        EnvzooError: Samples of other lengths, fewer than two, or numbers that are not finite.
    """
    penalty, error = np.asarray(penalty, np.float64), np.asarray(error, np.float64)
    usable = penalty.ndim == 1 and penalty.shape == error.shape and len(penalty) > 1
    if not usable or not np.isfinite([penalty, error]).all():
        raise EnvzooError("penalties and errors are two samples (B,) of finite numbers, with B at least 2")
    ranks = rankdata(penalty)
    auc = float("nan")
    if outside is not None:
        outside = np.asarray(outside, bool)
        if outside.shape != penalty.shape:
            raise EnvzooError(f"outside has the shape {outside.shape}; expected {penalty.shape}")
        out, inside = int(outside.sum()), int((~outside).sum())
        if out and inside:  # the statistic of Mann and Whitney
            auc = float((ranks[outside].sum() - out * (out + 1) / 2) / (out * inside))
    return Calibration(correlation(ranks, rankdata(error)), correlation(penalty, error), auc)


def model_errors(
    agent: MOPO, dynamics: Callable[[np.ndarray, np.ndarray], np.ndarray], observation: np.ndarray, action: np.ndarray
) -> np.ndarray:
    """Compute |s'_model - s'_true| (B,) in the standardised units of the model.

    Args:
        agent: An agent whose model is fitted.
        dynamics: Function of observations (B, P) and actions of the environment (B, D) to true next observations, such
            as the mean of the environment's own dynamics.
        observation: (B, P).
        action: (B, D), actions of the environment.
    """
    x, a = _tensors(agent, observation, action)
    expected = [
        agent.model.expected(agent.model.predict(*part), part[0])
        for part in zip(x.split(CHUNK), a.split(CHUNK), strict=True)
    ]
    difference = torch.cat(expected).double().cpu().numpy() - np.asarray(dynamics(observation, action), np.float64)
    scale = agent.model.scales["y_scale"][:-1].double().cpu().numpy()
    return np.linalg.norm(difference / scale, axis=1)


def calibration_report(
    agent: MOPO,
    dynamics: Callable[[np.ndarray, np.ndarray], np.ndarray],
    observation: np.ndarray,
    action: np.ndarray,
    outside: np.ndarray | None = None,
    penalties: Iterable[str] | None = None,
    members: int | None = None,
) -> dict[str, Calibration]:
    """Compare every penalty with the true error of the model, at given states and actions.

    Args:
        agent: An agent whose model is fitted.
        dynamics: See `model_errors`.
        observation: (B, P), such as the states of imagined flights, or states away from the data.
        action: (B, D), actions of the environment.
        outside: (B,) bool, which of the states lie outside the data.
        penalties: Names of penalties; None for all.
        members: Let only the first so many members take part; None for all.

    Returns:
        Calibration by name of the penalty.

    Raises:
        EnvzooError: The model is not fitted yet, or the arrays do not fit.
        UnknownNameError: No such penalty.
    """
    names = list(PENALTIES) if penalties is None else list(penalties)
    functions = {name: find_penalty(name) for name in names}
    if not agent.model.fitted:
        raise EnvzooError("the model of this agent has not been fitted yet; call learn first")
    most = agent.config.members if members is None else members
    if not 1 <= most <= agent.config.members:
        raise EnvzooError(f"members is {members}; expected a number from 1 to {agent.config.members}")
    x, a = _tensors(agent, observation, action)
    generator = torch.Generator(agent.device).manual_seed(0)
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    errors = []
    for part in zip(x.split(CHUNK), a.split(CHUNK), strict=True):
        prediction = agent.model.predict(*part)
        mean, std = prediction.mean[:most], prediction.std[:most]
        member = torch.randint(most, (mean.shape[1],), generator=generator, device=agent.device)
        row = torch.arange(mean.shape[1], device=agent.device)
        sample = mean[member, row] + std[member, row] * torch.empty_like(mean[0]).normal_(generator=generator)
        for name, function in functions.items():
            found[name].append(function(mean, std, sample, member).double().cpu().numpy())
    errors = model_errors(agent, dynamics, observation, action)
    return {name: calibrate(np.concatenate(parts), errors, outside) for name, parts in found.items()}


@torch.no_grad()
def promised_return(agent: MOPO, observation: np.ndarray, horizon: int, seed: int = 0) -> np.ndarray:
    """Compute the returns (B,) that the model promises to the policy's mode from observations (B, P), penalties aside.

    Args:
        agent: An agent whose model is fitted.
        observation: (B, P) first states.
        horizon: Steps, as in the environment.
        seed: Seed of the model's draws.
    """
    generator = torch.Generator(agent.device).manual_seed(seed)
    x = torch.as_tensor(np.asarray(observation, np.float32), device=agent.device)
    total, alive = torch.zeros(len(x), device=agent.device), torch.ones(len(x), device=agent.device)
    for _ in range(horizon):
        action = agent.actor.act(agent.normalizer(x), None, True)
        step = agent.model.step(x, action, generator)
        total += alive * step.reward
        alive *= 1 - step.terminated.float()
        x = step.next_observation
    return total.cpu().numpy()


def _tensors(agent: MOPO, observation: Any, action: Any) -> tuple[torch.Tensor, torch.Tensor]:
    observation, action = np.asarray(observation, np.float32), np.asarray(action)
    width = agent.codec.packed_dim
    if observation.ndim != 2 or observation.shape[1] != width or len(action) != len(observation):
        raise EnvzooError(f"observations are (B, {width}) with an action each, got {observation.shape}")
    units = agent.actions.from_environment(action)
    return tuple(torch.as_tensor(array, device=agent.device) for array in (observation, units))
