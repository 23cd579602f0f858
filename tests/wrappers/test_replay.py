"""Replays of other people's environments: exact where they can be, refused with the reason where they cannot."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from replaying import (
    MODES,
    Capturing,
    Changing,
    Counting,
    Hidden,
    OldGenerator,
    OwnGenerator,
    Walk,
    make,
    of_class,
    play,
    resumed,
    through_file,
)

from envzoo.wrappers import register_state_adapter
from envzoo.wrappers.capture import Capture
from envzoo.wrappers.encoding import encode
from envzoo.wrappers.replay import ReplayError

pytestmark = pytest.mark.any_arithmetic


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", [0, 1, 61, 200, 700])
@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"]
)
def test_replayed_episodes_go_on_bit_for_bit(env_id, mode, before, tmp_path):
    one, two, steps = resumed(lambda: make(env_id, mode), tmp_path, before, 230)
    assert one == two
    assert before == 0 or 0 <= steps <= 3 * before


@pytest.mark.parametrize("env_id", ["MountainCarContinuous-v0", "Blackjack-v1"])
def test_action_and_observation_spaces_of_all_kinds(env_id, tmp_path):
    one, two, _ = resumed(lambda: make(env_id), tmp_path)
    assert one == two


@pytest.mark.parametrize(("env_id", "running"), [("Pendulum-v1", 40), ("Acrobot-v1", 240)])
def test_a_replayed_environment_can_be_saved_and_replayed_again(env_id, running, tmp_path):
    envs = [make(env_id) for _ in range(3)]
    captures = [Capture(env) for env in envs]
    envs[0].reset(seed=3)
    actions = [envs[0].action_space.sample() for _ in range(300)]
    play(envs[0], actions[:240])
    state = captures[0].get_state()
    assert captures[1].set_state(state) == 3 * running
    # Its records are those of the environment it took over.
    again = captures[1].get_state()
    for mine, given in zip(again["base"], state["base"], strict=True):
        for name in ("trouble", "seed", "actions", "digest"):
            assert encode(mine[name]) == encode(given[name])
    play(envs[1], actions[240:245])
    assert captures[2].set_state(through_file(captures[1].get_state(), tmp_path)) == 3 * (running + 5)
    assert play(envs[1], actions[245:]) == play(envs[2], actions[245:])


def test_records_are_small_and_do_not_depend_on_when_they_were_read(tmp_path):
    one, two = make("Pendulum-v1"), make("Pendulum-v1")
    captures = [Capture(env) for env in (one, two)]
    for env in (one, two):
        env.reset(seed=3)
    for _ in range(150):
        action = one.action_space.sample()
        one.step(action)
        two.step(action)
        captures[0].get_state()
    first, second = captures[0].get_state()["base"], captures[1].get_state()["base"]
    assert [encode(record) for record in first] == [encode(record) for record in second]
    assert first[0]["actions"].nbytes == 150 * 4
    assert len(first[0]["digest"]) == 32
    discrete = make("CartPole-v1")
    capture = Capture(discrete)
    discrete.reset(seed=0)
    discrete.step(np.zeros(3, np.int64))
    assert capture.get_state()["base"][0]["actions"].dtype == np.uint8


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cls", [Walk, OwnGenerator, Capturing, Changing])
@pytest.mark.parametrize("before", [3, 9, 31])
def test_environments_that_can_be_replayed(cls, mode, before, tmp_path):
    one, two, steps = resumed(lambda: of_class(cls, mode), tmp_path, before, 40)
    assert one == two
    # Episodes have 9 steps; in NEXT_STEP a tenth resets them.
    assert steps == 2 * (before % 9 if mode == MODES[0] else before if before == 9 else before % 10)


@pytest.mark.parametrize("cls", [Hidden, Counting])
def test_what_the_recorder_cannot_see_is_found_by_the_digest(cls, tmp_path):
    with pytest.raises(ReplayError, match="gave other observations, rewards or ends"):
        resumed(lambda: of_class(cls), tmp_path, 31)


def test_a_generator_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ReplayError, match="keeps a random generator that is not one of NumPy's"):
        resumed(lambda: of_class(OldGenerator), tmp_path)


def test_an_adapter_captures_what_lasts_beyond_episodes(tmp_path):
    class Adapted(Counting):
        pass

    with pytest.raises(ReplayError, match="gave other observations"):
        resumed(lambda: of_class(Adapted), tmp_path, 31)
    register_state_adapter(Adapted, Capturing.get_state, Capturing.set_state)
    one, two, _ = resumed(lambda: of_class(Adapted), tmp_path, 31)
    assert one == two


def test_ours_are_replayed_too_when_they_run_one_by_one(tmp_path):
    def fresh():
        return make("envzoo/GridCoverage-v0", rows=3, columns=4, horizon=5, start="random")

    one, two, _ = resumed(fresh, tmp_path, 33)
    assert one == two


def test_options_of_numbers_are_replayed_and_others_refused():
    captures = [Capture(of_class(Walk)) for _ in range(2)]
    for capture in captures:
        capture.env.reset(seed=0)
    one, two = (capture.env for capture in captures)
    one.reset(options={"start": 5.5})
    captures[1].set_state(captures[0].get_state())
    assert play(one, [np.ones(2, int)] * 4) == play(two, [np.ones(2, int)] * 4)
    one.reset(options={"start": 1, "file": "/etc/passwd"})
    assert captures[0].get_state()["base"][0] == {"trouble": "options"}
    with pytest.raises(ReplayError, match="reset with options other than numbers"):
        captures[1].set_state(captures[0].get_state())


def test_masked_resets_start_records_of_their_own(tmp_path):
    one, two = of_class(Walk, AutoresetMode.DISABLED), of_class(Walk, AutoresetMode.DISABLED)
    captures = [Capture(env) for env in (one, two)]
    one.reset(seed=1)
    two.reset(seed=2)
    actions = [one.action_space.sample() for _ in range(9)]
    play(one, actions[:5])
    one.reset(options={"reset_mask": np.array([True, False])})
    play(one, actions[5:7])
    state = through_file(captures[0].get_state(), tmp_path)
    assert [len(record["actions"]) for record in state["base"]] == [2, 7]
    assert captures[1].set_state(state) == 9
    assert play(one, actions[7:]) == play(two, actions[7:])
