"""Recipes of datasets on MuJoCo's locomotion, from agents of this package; the learning takes up to half an hour."""

from envzoo.datasets.recipes import HostedReference, LongTraining, Recipe

# Steps of SAC, and hours that they take on one core, at 110 steps a second. Nobody has tuned them: the mean return that
# the policy has then is in the dataset's metadata.
WORLDS = {
    "halfcheetah": ("HalfCheetah-v5", 200_000, 0.5),
    "hopper": ("Hopper-v5", 100_000, 0.25),
    "walker2d": ("Walker2d-v5", 200_000, 0.5),
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
