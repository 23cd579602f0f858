"""The page of presets: what was found, and how it scores on fresh seeds."""

from __future__ import annotations

from envzoo.scripts.docs.links import GENERATED
from envzoo.scripts.experiments.core.intervals import Interval
from envzoo.scripts.markdown import blocks, code, table
from envzoo.scripts.presets import PAIRS, Preset, presets
from envzoo.scripts.run_config import to_toml


def _columns(preset: Preset) -> list[str]:
    """Write the means of preset, defaults and difference with their intervals; small returns with three decimals."""
    digits = 1 if abs(preset.mean.value) >= 10 else 3

    def write(found: Interval) -> str:
        return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"

    return [write(found) for found in (preset.mean, preset.default_mean, preset.gain)]


def _section(preset: Preset) -> str:
    values = ", ".join(f"`{name} = {to_toml(value)}`" for name, value in preset.hyperparameters.items())
    return blocks(
        f"### {preset.agent} for {preset.source}",
        values or "The agent's defaults, which no trial exceeded.",
        f"{preset.trials} trials in {preset.minutes:.1f} processor minutes.",
        code("sh", f"envzoo train {preset.agent} {preset.source} --preset"),
    )


def preset_page() -> str:
    """Write docs/presets.md."""
    rows = [
        (
            preset.agent,
            f"`{preset.source}`",
            f"{preset.timesteps:,}",
            *_columns(preset),
        )
        for preset in presets()
    ]
    known = {(preset.agent, preset.source) for preset in presets()}
    missing = [
        f"envzoo tune {agent} {source} --timesteps {timesteps}"
        for agent, source, timesteps in PAIRS
        if (agent, source) not in known
    ]
    return blocks(
        "# Presets",
        GENERATED,
        "A preset holds hyperparameters that `envzoo tune` found for an agent and an environment (extra `tune`). The"
        " search uses seeds below 1000. Its best trial and the agent's defaults are then trained with ten fresh seeds;"
        " the table shows the mean return of the trained agents with its 95% interval over these seeds.",
        table(("agent", "environment", "steps", "preset", "defaults", "difference"), rows),
        *map(_section, presets()),
        "## Search one yourself",
        "A search can be stopped and continues when the same command is given again. It writes `preset.toml`, an entry"
        " for `scripts/presets.toml`.",
        code("sh", "envzoo tune PPO CartPole-v1 --trials 24 --minutes 20 --timesteps 20000"),
        "## Not measured yet" if missing else "",
        code("sh", "\n".join(missing)) if missing else "",
    )
