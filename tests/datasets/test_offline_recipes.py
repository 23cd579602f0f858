"""The datasets on the offline worlds: what they must and must not hold."""

import gymnasium as gym
import minari
import numpy as np
import pytest
from gymnasium.spaces import Discrete

from envzoo.datasets import TransitionTable, load_minari, recipes
from envzoo.datasets.behaviours import explore, fetch
from envzoo.datasets.collector import returns
from envzoo.datasets.recipes import LearningHistories
from envzoo.errors import EnvzooError
from envzoo.offline import specs
from envzoo.scripts.make_dataset import make_dataset, play, reference_scores

OURS = [name for name, row in recipes().items() if row.env_id in {world.id for world in specs.ENVIRONMENTS}]


def table(dataset_id, episodes=None):
    make_dataset(dataset_id, quiet=True, episodes=episodes)
    return TransitionTable.from_minari(load_minari(dataset_id))


@pytest.mark.parametrize("dataset_id", OURS)
def test_every_recipe_has_reference_scores_in_order(dataset_id):
    count = 3 if isinstance(recipes()[dataset_id].policy, LearningHistories) else 20
    made = table(dataset_id, episodes=count)
    metadata = load_minari(dataset_id).storage.metadata
    choice = load_minari(dataset_id).action_space != Discrete(1) and "baird-star" not in dataset_id
    assert (metadata["ref_min_score"] < metadata["ref_max_score"]) == choice
    assert made.num_episodes == count
    # Agents are evaluated in the environment without the keywords of the collection.
    kwargs = minari.load_dataset(dataset_id).env_spec.kwargs
    assert not set(recipes()[dataset_id].collection_kwargs) & set(kwargs)
    limit = gym.spec(recipes()[dataset_id].env_id).max_episode_steps
    assert minari.load_dataset(dataset_id).env_spec.max_episode_steps == limit


def test_stripes_by_hand():
    made = table("envzoo/line-world/striped-v0")
    assert len(made) == made.num_episodes == 4000
    x, action = made.observations[:, 0], made.actions[:, 0]
    right = (x // 1.25) % 2 == 0
    assert (action[right] >= 0.5).all()
    assert (action[~right] <= -0.5).all()
    assert made.timeouts[~made.terminals].all()
    assert 4.8 < x.mean() < 5.2
    # The goal and its neighbourhood lie in the last stretch, in which nothing goes right.
    assert not right[x > 9.0].any()


def test_no_path_of_the_maze_leads_from_start_to_goal():
    made = table("envzoo/point-maze-stitch/mixed-v0")
    assert 18_000 < len(made) < 22_000
    first = made.observations[made.episode_starts]
    ends = made.terminals[np.append(made.episode_starts[1:], len(made)) - 1]
    assert not ends[first[:, 1] < 3].any()  # from below: none
    assert ends[first[:, 1] > 3].mean() > 0.9
    for number in np.flatnonzero(first[:, 1] < 3)[:50]:
        rows = made.episode_id == number
        assert made.next_observations[rows][:, 1].max() < 4.5
    # Both kinds of paths cross the middle.
    middle = (np.abs(made.observations - 3) < 0.5).all(axis=1)
    below = first[made.episode_id][:, 1] < 3
    assert (middle & below).sum() > 300 < (middle & ~below).sum()


def test_reference_of_the_two_states_is_exact():
    """Mean rewards are 1 - 0.9 * 1.2 = -0.08 and 0.12; 50 steps from either state."""
    table("envzoo/two-state/k120-v0", episodes=10)
    metadata = load_minari("envzoo/two-state/k120-v0").storage.metadata
    assert metadata["ref_max_score"] == pytest.approx(0.5 * (-0.08 + 49 * 0.12) + 0.5 * 50 * 0.12)
    episode = load_minari("envzoo/two-state/k120-v0")[0]
    assert episode.infos["phi"].shape == (2, 1, 1)
    assert episode.infos["phi"][1, 0, 0] == 1.2


def test_the_behaviour_on_the_star_visits_all_states_equally_often():
    made = table("envzoo/baird-star/behaviour-v0")
    assert len(made) == made.num_episodes == 2000
    for states in (made.observations, made.next_observations):
        shares = np.bincount(states, minlength=7) / 2000
        assert np.abs(shares - 1 / 7).max() < 4 * np.sqrt(6 / 49 / 2000)
    assert abs(made.actions.mean() - 1 / 7) < 4 * np.sqrt(6 / 49 / 2000)
    assert (made.next_observations[made.actions == 1] == 6).all()
    assert not made.rewards.any()
    assert load_minari("envzoo/baird-star/behaviour-v0")[0].infos["phi"].shape == (2, 2, 8)


def test_the_random_world_tells_its_features():
    made = table("envzoo/random-feature-mdp/random-v0", episodes=20)
    world = gym.make("envzoo/RandomFeatureMDP-v0").unwrapped.definition
    for number, episode in enumerate(load_minari("envzoo/random-feature-mdp/random-v0").iterate_episodes()):
        rows = made.episode_id == number
        assert np.array_equal(episode.infos["phi"][:-1], world.features[made.observations[rows]])


def test_half_of_the_rewarded_pulls_are_of_each_arm():
    """Good 0.1 * 0.9 against bad 0.9 * 0.1: the closed form by which imitation of rewards earns one half."""
    made = table("envzoo/lucky-bandit/p10-v0")
    rewarded = made.actions[made.rewards == 1]
    assert len(rewarded) > 120
    assert abs(rewarded.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(rewarded))
    assert abs(made.actions.mean() - 0.1) < 4 * 0.3 / np.sqrt(1000)
    metadata = load_minari("envzoo/lucky-bandit/p10-v0").storage.metadata
    assert (metadata["ref_min_score"], metadata["ref_max_score"]) == pytest.approx((0.5, 0.9))


def test_the_lake_is_walked_better_than_at_random():
    made = table("envzoo/slip-lake/eps40-v0", episodes=300)
    metadata = load_minari("envzoo/slip-lake/eps40-v0").storage.metadata
    share = (made.episode_returns().mean() - metadata["ref_min_score"]) / (
        metadata["ref_max_score"] - metadata["ref_min_score"]
    )
    assert 0.1 < share < 0.9


def test_half_of_the_arena_has_hardly_any_data():
    half, mixed = table("envzoo/windy-point/half-v0"), table("envzoo/windy-point/mixed-v0")
    assert len(half) == len(mixed) == 5000
    assert (half.observations[:, 0] > 0.2).mean() < 0.05 < 0.15 < (mixed.observations[:, 0] > 0.2).mean()
    # The reference is far better than chance.
    metadata = load_minari("envzoo/windy-point/half-v0").storage.metadata
    assert metadata["ref_max_score"] > metadata["ref_min_score"] + 40


WORLDS = sorted({name.split("/")[1] for name in OURS if name.endswith("/medium-replay-v0")})


@pytest.mark.parametrize("world", WORLDS)
def test_qualities_are_in_order(world):
    """More random steps, lower returns; the expert is as good as the reference says. Seeds are fixed."""
    mean, references = {}, {}
    for name in ("expert", "medium-replay", "medium", "noisy", "random"):
        row = recipes()[f"envzoo/{world}/{name}-v0"]
        same = repr((row.env_id, row.env_kwargs, row.reference))
        low, high = references[same] = references.get(same) or reference_scores(row)
        scores = 100 * (returns(play(row, row.episodes)) - low) / (high - low)
        mean[name], error = scores.mean(), scores.std() / np.sqrt(len(scores))
        if name == "expert":
            assert abs(mean[name] - 100) < max(4 * error, 2)
    assert mean["random"] < mean["medium-replay"] < mean["noisy"] < mean["expert"]
    assert mean["random"] < mean["medium"] < mean["noisy"]


def test_the_way_to_the_door_leads_over_the_key():
    """From (1, 1): a step onto the key (1, 1) itself, then to the door; and a key away from the start."""
    for key, door, steps in (((1, 1), (1, 3), 3), ((0, 1), (0, 1), 1), ((2, 0), (1, 0), 3)):
        env = gym.make("envzoo/DarkKeyToDoor-v0", size=4, start=(1, 1), key=key, door=door)
        expert = fetch(env.unwrapped.definition, 0)
        observation, _ = env.reset()
        state, total, taken = None, 0.0, 0
        while total < 2:
            action, state = expert(np.asarray(observation)[None], state, np.array([taken == 0]), True)
            observation, reward, *_ = env.step(int(action[0]))
            total, taken = total + reward, taken + 1
        assert taken == steps
        assert env.unwrapped.definition.largest_return(steps) == 2
        assert env.unwrapped.definition.largest_return(steps - 1) < 2


@pytest.mark.parametrize("world", ["slip-lake", "darkroom"])
def test_mixed_episodes_are_the_experts_or_random(world):
    expert = explore(gym.make(recipes()[f"envzoo/{world}/mixed-v0"].env_id).unwrapped.definition, 0, **SETTINGS[world])
    made = table(f"envzoo/{world}/mixed-v0", episodes=200)
    kept = 0
    for number in range(made.num_episodes):
        rows = made.episode_id == number
        state, same = None, []
        for observation, action in zip(made.observations[rows], made.actions[rows], strict=True):
            start = np.array([state is None])
            best, state = expert(np.asarray(observation)[None], state, start, False)
            same.append(int(best[0]) == int(action))
        kept += all(same)
    assert 75 < kept < 140  # short random walks may agree by chance


SETTINGS = {
    "slip-lake": {"expert": "model", "low": 0.0, "high": 0.0, "horizon": 50},
    "darkroom": {"expert": "goal", "low": 0.0, "high": 0.0},
}


def test_an_expert_that_does_not_exist_is_named():
    with pytest.raises(EnvzooError, match=r"unknown expert 'modell'.*did you mean 'model'"):
        explore(gym.make("envzoo/SlipLake-v0").unwrapped.definition, 0, "modell", 0.0, 0.0)
