"""The experiment of paper 51 on images: its questions, its networks, and the levels of PixelMatch."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo.datasets.memory_experts import same_glyphs
from envzoo.memory.pixel_match import SIDE
from envzoo.scripts.experiments.p51_efficient_vmamba.learning import Images, count, make_classifier, pixel_match_levels


def test_levels_of_pixel_match_by_sampling():
    env = gym.make_vec("envzoo/PixelMatch-v0", num_envs=20_000)
    env.reset(seed=0)
    state = env.unwrapped.get_state()
    rows, columns = np.divmod(np.column_stack([state["agent"], state["goals"]]), SIDE)
    moves = np.abs(rows[:, 1:] - rows[:, :1]) + np.abs(columns[:, 1:] - columns[:, :1])
    blind, optimum = -0.01 * moves.min(1), 1 - 0.01 * moves.mean(1)
    for sampled, exact in zip((blind, optimum), pixel_match_levels(), strict=True):
        assert abs(sampled.mean() - exact) < 5 * sampled.std() / len(sampled) ** 0.5


def test_answers_about_glyphs_are_read_from_the_images():
    images, answers = Images("glyphs", 3).draw()
    assert answers.tolist() == [int(same_glyphs(image[0].numpy())) for image in images]
    assert 0 < answers.float().mean() < 1


def test_answers_about_the_cue_name_the_goal_that_pays():
    """An orange square and a blue cross name the orange goal, the others the blue one; a square's centre is black."""
    images, answers = Images("cue", 3).draw()
    for image, answer in zip(images, answers.tolist(), strict=True):
        corners = [image[:, y : y + 3, x : x + 3] for y in (0, 21) for x in (0, 21)]
        cues = [c for c in corners if 0 < int((c.sum(0) > 0).sum()) < 9]
        assert len(cues) == 1
        lit = cues[0][:, cues[0].sum(0) > 0]
        blue, square = bool(lit[2, 0] > lit[0, 0]), not bool(cues[0][:, 1, 1].any())
        assert answer == (int(blue) if square else 1 - int(blue))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_cnn_is_the_widest_that_is_no_larger(channels):
    backbone, cnn = make_classifier("skip", channels, 0), make_classifier("cnn", channels, 0)
    assert count(make_classifier("full", channels, 0)) == count(backbone)
    width = cnn[0].out_dim
    wider = count(cnn) + 9 * (channels + 2 * (2 * width + 1)) + 3 + 64
    assert count(cnn) <= count(backbone) < wider
