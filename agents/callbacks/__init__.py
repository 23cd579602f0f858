"""Callbacks, which run before, during and after the iterations of `learn`."""

from envzoo.agents.callback import Callback, CallbackList
from envzoo.agents.callbacks.checkpoints import Checkpoints
from envzoo.agents.callbacks.early_stop import EarlyStop
from envzoo.agents.callbacks.evaluation import PeriodicEvaluation
from envzoo.agents.callbacks.metrics_csv import MetricsCSV
from envzoo.agents.callbacks.metrics_table import MetricsTable
from envzoo.agents.callbacks.progress import ProgressBar
from envzoo.agents.callbacks.representation import RepresentationProbe
from envzoo.agents.callbacks.tensorboard import TensorBoard
from envzoo.agents.callbacks.wandb import WandB

__all__ = [
    "Callback",
    "CallbackList",
    "Checkpoints",
    "EarlyStop",
    "MetricsCSV",
    "MetricsTable",
    "PeriodicEvaluation",
    "ProgressBar",
    "RepresentationProbe",
    "TensorBoard",
    "WandB",
]
