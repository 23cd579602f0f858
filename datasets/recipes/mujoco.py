"""Recipes of datasets on MuJoCo's locomotion, from agents of this package; they take hours."""

from envzoo.datasets.recipes import HostedReference, LongTraining, Recipe

# Steps of SAC that bring its policy about a third of the way to D4RL's expert, and hours that they take on one core.
WORLDS = {
    "halfcheetah": ("HalfCheetah-v5", 200_000, 2.0),
    "hopper": ("Hopper-v5", 100_000, 1.0),
    "walker2d": ("Walker2d-v5", 200_000, 2.0),
}
QUALITIES = {
    "medium": "1000 episodes of the final policy's samples",
    "medium-replay": "all finished episodes of the learning itself, in their order",
}


def _recipe(world: str, quality: str) -> Recipe:
    env_id, steps, hours = WORLDS[world]
    return Recipe(
        f"envzoo/{world}/{quality}-v0",
        env_id,
        LongTraining("SAC", steps, hours, replay=quality == "medium-replay"),
        HostedReference(f"mujoco/{world}/"),
        f"{env_id}, SAC for {steps:,} steps: {QUALITIES[quality]}. The learning takes about {hours:g} hours of one "
        "core, once for both qualities.",
        namespace=f"Datasets on {env_id}, made by SAC on this machine." if quality == "medium" else "",
    )


DATASETS = tuple(_recipe(world, quality) for world in WORLDS for quality in QUALITIES)
