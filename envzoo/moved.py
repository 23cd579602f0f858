"""Modules that have moved: their former names still import, with a deprecation warning, for one release."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Former name -> present name.
MOVED: dict[str, str] = {
    "envzoo.agents.intrinsic.agac": "envzoo.agents.exploration.agac",
    "envzoo.agents.intrinsic.apt": "envzoo.agents.exploration.apt",
    "envzoo.agents.intrinsic.base": "envzoo.agents.exploration.base",
    "envzoo.agents.intrinsic.config": "envzoo.agents.loops.intrinsic",
    "envzoo.agents.intrinsic.count": "envzoo.agents.exploration.count",
    "envzoo.agents.intrinsic.diayn": "envzoo.agents.exploration.diayn",
    "envzoo.agents.intrinsic.disagreement": "envzoo.agents.exploration.disagreement",
    "envzoo.agents.intrinsic.icm": "envzoo.agents.exploration.icm",
    "envzoo.agents.intrinsic.rnd": "envzoo.agents.exploration.rnd",
    "envzoo.agents.loops.codec": "envzoo.agents.text.codec",
    "envzoo.agents.loops.following": "envzoo.agents.loops.policy_with_wrappers",
    "envzoo.agents.loops.partial": "envzoo.agents.text.partial",
    "envzoo.agents.loops.rollouts": "envzoo.agents.text.rollouts",
    "envzoo.agents.loops.sampling": "envzoo.agents.text.sampling",
    "envzoo.agents.loops.text": "envzoo.agents.text.trainer",
    "envzoo.agents.loops.text_acting": "envzoo.agents.text.acting",
    "envzoo.agents.loops.text_config": "envzoo.agents.text.config",
    "envzoo.agents.loops.text_memory": "envzoo.agents.text.counters",
    "envzoo.agents.loops.text_models": "envzoo.agents.text.make_model",
    "envzoo.agents.loops.text_scores": "envzoo.agents.text.scores",
    "envzoo.agents.loops.tokenized": "envzoo.agents.text.tokenizer_codec",
    "envzoo.agents.loops.warm_up": "envzoo.agents.text.warm_up",
    "envzoo.agents.losses.text.advantages": "envzoo.agents.text.losses.advantages",
    "envzoo.agents.losses.text.aepo": "envzoo.agents.reasoning.aepo_arbitrary",
    "envzoo.agents.losses.text.bapo": "envzoo.agents.reasoning.bapo",
    "envzoo.agents.losses.text.covariance": "envzoo.agents.reasoning.entropy_mechanism",
    "envzoo.agents.losses.text.hapo": "envzoo.agents.reasoning.hapo",
    "envzoo.agents.losses.text.kl": "envzoo.agents.text.losses.kl",
    "envzoo.agents.losses.text.lp_reg": "envzoo.agents.reasoning.lp_reg",
    "envzoo.agents.losses.text.policy": "envzoo.agents.text.losses.policy",
    "envzoo.agents.losses.text.selection": "envzoo.agents.reasoning.d3s",
    "envzoo.agents.losses.text.steer": "envzoo.agents.reasoning.steer",
    "envzoo.agents.losses.text.tokens": "envzoo.agents.text.losses.tokens",
    "envzoo.agents.networks.bounded": "envzoo.agents.networks.rescaled_actions",
    "envzoo.agents.networks.closed_form": "envzoo.agents.networks.manual_gradients",
    "envzoo.agents.networks.distinct": "envzoo.agents.networks.unique_rows",
    "envzoo.agents.networks.lanes": "envzoo.agents.text.models.lanes",
    "envzoo.agents.networks.language": "envzoo.agents.text.models.language",
    "envzoo.agents.networks.packed": "envzoo.agents.text.models.packed_sequences",
    "envzoo.agents.networks.pretrained": "envzoo.agents.text.models.pretrained",
    "envzoo.agents.networks.pretrained_files": "envzoo.agents.text.models.pretrained_files",
    "envzoo.agents.networks.text_attention": "envzoo.agents.text.models.attention",
    "envzoo.agents.networks.text_draw": "envzoo.agents.text.models.draw",
    "envzoo.agents.networks.text_kernels": "envzoo.agents.text.models.kernels",
    "envzoo.agents.planners.gap_filling": "envzoo.agents.planners.ebim_refinement",
    "envzoo.agents.planners.lsd": "envzoo.agents.bandits.lsd",
    "envzoo.agents.planners.lsd_exact": "envzoo.agents.bandits.lsd_exact",
    "envzoo.agents.planners.lsd_index": "envzoo.agents.bandits.lsd_index",
    "envzoo.agents.planners.lsd_lp": "envzoo.agents.bandits.lsd_lp",
    "envzoo.agents.planners.lsd_periodic": "envzoo.agents.bandits.lsd_periodic",
    "envzoo.agents.planners.lsd_rounding": "envzoo.agents.bandits.lsd_rounding",
    "envzoo.agents.planners.recharging": "envzoo.agents.bandits.recharging",
    "envzoo.agents.reasoning.stages": "envzoo.agents.text.method",
    "envzoo.agents.soft.base": "envzoo.agents.actor_critic.soft",
    "envzoo.agents.soft.networks": "envzoo.agents.actor_critic.soft_networks",
    "envzoo.agents.soft.sac": "envzoo.agents.actor_critic.sac",
    "envzoo.agents.soft.sac_discrete": "envzoo.agents.actor_critic.sac_discrete",
    "envzoo.agents.standard.bc": "envzoo.agents.imitation.bc",
    "envzoo.agents.standard.ppo": "envzoo.agents.actor_critic.ppo",
    "envzoo.agents.standard.random": "envzoo.agents.baselines.random",
    "envzoo.agents.surprise.explorers": "envzoo.agents.exploration.explorers",
    "envzoo.agents.surprise.minds": "envzoo.agents.surprise.two_player_policy",
    "envzoo.agents.surprise.smirl": "envzoo.agents.exploration.smirl",
    "envzoo.agents.text.memory": "envzoo.agents.text.counters",
    "envzoo.agents.text.losses.aepo": "envzoo.agents.reasoning.aepo_arbitrary",
    "envzoo.agents.text.losses.bapo": "envzoo.agents.reasoning.bapo",
    "envzoo.agents.text.losses.covariance": "envzoo.agents.reasoning.entropy_mechanism",
    "envzoo.agents.text.losses.hapo": "envzoo.agents.reasoning.hapo",
    "envzoo.agents.text.losses.lp_reg": "envzoo.agents.reasoning.lp_reg",
    "envzoo.agents.text.losses.selection": "envzoo.agents.reasoning.d3s",
    "envzoo.agents.text.losses.steer": "envzoo.agents.reasoning.steer",
    "envzoo.agents.text.models.products": "envzoo.agents.networks.products",
    "envzoo.coding_games.couplings": "envzoo.coding_games.coupling_kernels",
    "envzoo.wrappers.elements": "envzoo.wrappers.visited_elements",
    "envzoo.wrappers.joining": "envzoo.wrappers.augment_observation",
    "envzoo.wrappers.tracking": "envzoo.wrappers.stateful",
}
# Packages that are gone, and what their submodules were moved into one by one.
GONE = ("envzoo.agents.standard", "envzoo.agents.soft", "envzoo.agents.intrinsic", "envzoo.agents.losses.text")


def former_names(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Create the `__getattr__` of a module for names from the last release.

    Args:
        module: Name of the module.
        places: Former name -> where it is now: "package.module", or "package.module:name" under another name.

    Returns:
        A function that imports the name from its new place, with a DeprecationWarning.
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, attribute = places[name].partition(":")
        present = f"{place}.{attribute or name}"
        warnings.warn(f"{module}.{name} is now {present}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(place), attribute or name)

    return find


class MovedModules(MetaPathFinder, Loader):
    """Finds a module under its former name by importing it under its present one."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a module that has moved, or None for all others."""
        if name in MOVED or name in GONE:
            return ModuleSpec(name, self, is_package=name in GONE)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module under its present name; an empty package for one that is gone."""
        if spec.name in GONE:
            return None
        warnings.warn(f"{spec.name} is now {MOVED[spec.name]}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(MOVED[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the spec of the module, which has been executed under its present name."""
        if module.__spec__.loader_state is not None:
            module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Install the import hook for the former names of modules."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
