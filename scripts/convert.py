"""Implement `envzoo convert sb3 FILE --env ID`: agents of Stable-Baselines3 as agents of envzoo."""

from __future__ import annotations

import io
import json
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.errors import CheckpointError, EnvzooError, UnsupportedSpaceError, shorten, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from envzoo.agents.agent import Agent

MOST_DATA = 64 * 2**20  # bytes of the JSON member
# Stable-Baselines3 stores classes as pickles, which are not decoded, and as texts, which are compared with these.
ACTIVATIONS = {
    "<class 'torch.nn.modules.activation.Tanh'>": "tanh",
    "<class 'torch.nn.modules.activation.ReLU'>": "relu",
    "<class 'torch.nn.modules.activation.GELU'>": "gelu",
    "<class 'torch.nn.modules.activation.SiLU'>": "silu",
}
# Numbers in the JSON member that are hyperparameters of ours.
PPO_NUMBERS = {
    "n_envs": "num_envs",
    "n_steps": "num_steps",
    "n_epochs": "num_epochs",
    "batch_size": "minibatch_size",
    "learning_rate": "learning_rate",
    "gamma": "gamma",
    "gae_lambda": "gae_lambda",
    "ent_coef": "entropy_coefficient",
    "vf_coef": "value_coefficient",
    "max_grad_norm": "max_grad_norm",
    "target_kl": "target_kl",
}
SAC_NUMBERS = {
    "n_envs": "num_envs",
    "batch_size": "batch_size",
    "learning_starts": "learning_starts",
    "learning_rate": "learning_rate",
    "gamma": "gamma",
    "tau": "tau",
    "ent_coef": "temperature",
}
NOTE = (
    "statistics of VecNormalize are not part of the file: an agent that was trained with it needs observations "
    "normalised in the same way"
)


@dataclass(frozen=True)
class ConvertOptions:
    """Convert an agent of another library to a file of envzoo. `envzoo convert sb3 FILE --env ID` reads a zip file that
    PPO or SAC of Stable-Baselines3 saved."""

    env: str = ""
    """Id of the environment that the agent was trained in; its spaces are compared with the sizes of the networks."""
    env_kwargs: tuple[str, ...] = ()
    """Keyword arguments of the environment, as KEY=VALUE with JSON values."""
    out: str | None = None
    """File to write; None puts the suffix .envzoo.zip in place of the ending of FILE."""


def convert_sb3(path: str | Path, env_id: str, env_kwargs: dict[str, Any] | None = None) -> Agent:
    """Make an agent of envzoo from a zip file of Stable-Baselines3.

    PPO and SAC with the policy "MlpPolicy" are supported. Deterministic actions are the same up to rounding, and
    training continues with a new optimizer. Tensors are read by `torch.load(weights_only=True)`; the pickles in the
    file's JSON are never decoded.

    Args:
        path: The file.
        env_id: Environment; the file's own description of its spaces is not used.
        env_kwargs: Keyword arguments of the environment.

    Raises:
        CheckpointError: The file is not such a zip, or is damaged.
        EnvzooError: Parts that envzoo has no counterpart for: generalised state-dependent exploration, convolutions,
            Dict spaces, own feature extractors, different layers of actor and critic, other activation functions.
    """
    data, tensors, variables = _read(Path(path))
    _refuse(data, tensors)
    if "actor.mu.weight" in tensors:
        return _sac(data, tensors, variables, env_id, env_kwargs, str(path))
    if "action_net.weight" in tensors and "value_net.weight" in tensors:
        return _ppo(data, tensors, env_id, env_kwargs, str(path))
    raise EnvzooError(f"{path} holds neither PPO nor SAC; its tensors begin with {shorten(str(sorted(tensors)[:3]))}")


# ---------------------------------------------------------------------------- reading


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("data").file_size > MOST_DATA:
                raise CheckpointError(f"the description in {path} has more than {MOST_DATA} bytes")
            data = json.loads(archive.read("data"))
            tensors = _tensors(archive, "policy.pth", path)
            names = archive.namelist()
            variables = _tensors(archive, "pytorch_variables.pth", path) if "pytorch_variables.pth" in names else {}
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        zlib.error,
        OSError,
        RecursionError,
        NotImplementedError,
    ) as error:
        if isinstance(error, EnvzooError):
            raise
        reason = shorten(" ".join(str(error).split()))
        raise CheckpointError(f"{path} is no zip file of Stable-Baselines3 ({reason})") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is no zip file of Stable-Baselines3 (its description is no JSON object)")
    return data, tensors, variables


def _tensors(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Tensor]:
    import torch

    from envzoo.sizes import check_bytes

    check_bytes(archive.getinfo(name).file_size, f"{name} of {path}")
    try:
        found = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle raises whatever its opcodes lead to
        reason = shorten(" ".join(str(error).split()))
        raise CheckpointError(
            f"{name} of {path} cannot be read as tensors ({type(error).__name__}: {reason})"
        ) from None
    if not isinstance(found, Mapping):
        return {}
    return {key: value.detach() for key, value in found.items() if isinstance(key, str) and torch.is_tensor(value)}


def _refuse(data: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    if data.get("use_sde") or _policy_kwargs(data).get("use_sde") is True:
        raise EnvzooError(
            "the agent uses generalised state-dependent exploration (use_sde), which envzoo does not have"
        )
    for name in tensors:
        if "extractors." in name:
            raise UnsupportedSpaceError("the agent was trained on a Dict space; envzoo converts flat observations only")
        if "features_extractor." in name:
            raise EnvzooError(f"the agent has a convolutional or custom feature extractor ({name}); only MLPs convert")


def _policy_kwargs(data: Mapping[str, Any]) -> Mapping[str, Any]:
    found = data.get("policy_kwargs")
    return found if isinstance(found, Mapping) else {}


def _activation(data: Mapping[str, Any], default: str) -> str:
    given = _policy_kwargs(data).get("activation_fn")
    if given is None:
        return default
    if given not in ACTIVATIONS:
        raise unknown("activation function of a file", given, ACTIVATIONS)
    return ACTIVATIONS[given]


def _numbers(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the hyperparameters that the JSON holds as plain numbers; schedules and pickles are left out."""
    found = {ours: data.get(theirs) for theirs, ours in names.items()}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _layers(tensors: Mapping[str, Tensor], prefix: str) -> list[tuple[Tensor, Tensor]]:
    """Return the weights (out, in) and biases (out,) of the layers `prefix`.0, `prefix`.2, ..."""
    layers: list[tuple[Tensor, Tensor]] = []
    while (key := f"{prefix}.{2 * len(layers)}") + ".weight" in tensors:
        layers.append((_get(tensors, f"{key}.weight", 2), _get(tensors, f"{key}.bias", 1)))
    return layers


def _get(tensors: Mapping[str, Tensor], name: str, dims: int) -> Tensor:
    if name not in tensors or tensors[name].ndim != dims:
        raise CheckpointError(f"the file lacks the tensor {name}, or it has another shape")
    return tensors[name].float()


# ---------------------------------------------------------------------------- making agents


def _make(name: str, env_id: str, env_kwargs: dict[str, Any] | None, settings: dict[str, Any]) -> Agent:
    from envzoo import agents

    return agents.make(name, env_id, env_kwargs=env_kwargs, device="cpu", encoder="mlp", **settings)


def _assign(module: Any, given: Mapping[str, Tensor], path: str) -> None:
    """Copy tensors into the parameters of a module, all of which must be given."""
    present = module.state_dict()
    for name, tensor in present.items():
        found = given.get(name)
        if found is None or found.shape != tensor.shape:
            shape = "nothing" if found is None else tuple(found.shape)
            raise EnvzooError(
                f"{path} does not fit the environment: {name} has the shape {tuple(tensor.shape)}, but the file holds "
                f"{shape}"
            )
    module.load_state_dict({name: given[name] for name in present})


def _ppo(
    data: Mapping[str, Any], tensors: Mapping[str, Tensor], env_id: str, env_kwargs: dict[str, Any] | None, path: str
) -> Agent:
    actor, critic = _layers(tensors, "mlp_extractor.policy_net"), _layers(tensors, "mlp_extractor.value_net")
    sizes, others = ([len(bias) for _, bias in layers] for layers in (actor, critic))
    if sizes != others:
        raise EnvzooError(f"the layers of actor {sizes} and critic {others} differ; envzoo's PPO has one list for both")
    settings = {"hidden": tuple(sizes), "activation": _activation(data, "tanh")}
    agent = _make("PPO", env_id, env_kwargs, settings | _numbers(data, PPO_NUMBERS))
    given = {
        "actor_head.weight": _get(tensors, "action_net.weight", 2),
        "actor_head.bias": _get(tensors, "action_net.bias", 1),
        "critic_head.weight": _get(tensors, "value_net.weight", 2),
        "critic_head.bias": _get(tensors, "value_net.bias", 1),
    }
    if "log_std" in tensors:
        given["log_std"] = _get(tensors, "log_std", 1)
    for name, layers in (("actor_encoder", actor), ("critic_encoder", critic)):
        for k, (weight, bias) in enumerate(layers):
            given[f"{name}.net.layers.{k}.weight"], given[f"{name}.net.layers.{k}.bias"] = weight, bias
    _assign(agent.policy, given, path)
    return agent


def _sac(
    data: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    variables: Mapping[str, Tensor],
    env_id: str,
    env_kwargs: dict[str, Any] | None,
    path: str,
) -> Agent:
    import torch

    actor = _layers(tensors, "actor.latent_pi")
    sizes = [len(bias) for _, bias in actor]
    others = [len(bias) for _, bias in _layers(tensors, "critic.qf0")[:-1]]
    if sizes != others:
        raise EnvzooError(
            f"the layers of actor {sizes} and critics {others} differ; envzoo's SAC has one list for both"
        )
    if "critic.qf1.0.weight" not in tensors or "critic.qf2.0.weight" in tensors:
        raise EnvzooError("envzoo's SAC has two critics, and the file does not")
    settings = {"hidden": tuple(sizes), "activation": _activation(data, "relu")}
    agent = _make("SAC", env_id, env_kwargs, settings | _numbers(data, SAC_NUMBERS))
    head = {
        f"head.{kind}": torch.cat([_get(tensors, f"actor.{part}.{kind}", dims) for part in ("mu", "log_std")])
        for kind, dims in (("weight", 2), ("bias", 1))
    }
    for k, (weight, bias) in enumerate(actor):
        head[f"encoder.net.layers.{k}.weight"], head[f"encoder.net.layers.{k}.bias"] = weight, bias
    _assign(agent.actor, head, path)
    for module, prefix in ((agent.critics, "critic"), (agent.target.network, "critic_target")):
        one, two = (_layers(tensors, f"{prefix}.qf{i}") for i in (0, 1))
        if [weight.shape for weight, _ in one] != [weight.shape for weight, _ in two]:
            raise EnvzooError("the two critics of the file differ in their sizes")
        given = {}
        for k, (first, second) in enumerate(zip(one, two, strict=True)):
            given[f"net.weights.{k}"] = torch.stack([first[0].t(), second[0].t()])
            given[f"net.biases.{k}"] = torch.stack([first[1][None], second[1][None]])
        _assign(module, given, path)
    log_value = variables.get("log_ent_coef")
    if log_value is not None and "temperature" not in _numbers(data, SAC_NUMBERS):
        if log_value.shape != (1,) or not torch.isfinite(log_value).all():
            raise CheckpointError(f"the temperature in {path} is {shorten(str(log_value.tolist()))}")
        with torch.no_grad():
            agent.temperature.log_value.copy_(log_value.float())
    return agent


CONVERTERS: dict[str, Callable[..., Any]] = {"sb3": convert_sb3}


def command(argv: list[str]) -> int:
    """Run `envzoo convert` with the given arguments; return the exit code."""
    from envzoo.scripts.cli import parse, split_positional
    from envzoo.scripts.train import parse_keywords

    positional, flags = split_positional(argv)
    options, _ = parse(ConvertOptions, flags, prog="envzoo convert sb3 FILE")
    if len(positional) != 2:
        raise EnvzooError("envzoo convert takes a format and a file, as in `envzoo convert sb3 agent.zip --env ID`")
    form, path = positional
    if form not in CONVERTERS:
        raise unknown("format", form, CONVERTERS)
    if not options.env:
        raise EnvzooError("envzoo convert needs the environment that the agent was trained in: --env ID")
    agent = CONVERTERS[form](path, options.env, parse_keywords(options.env_kwargs))
    out = options.out or str(Path(path).with_suffix(".envzoo.zip"))
    agent.save(out)
    print(f"{out}: {agent.spec.name} on {options.env}\nnote: {NOTE}")
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["convert", *sys.argv[1:]]))
