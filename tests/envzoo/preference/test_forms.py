"""The text form, the token form and the batched form of every text world of the preference family."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv
from helpers import check_same_vectors

import envzoo  # noqa: F401
from envzoo.preference.specs import ENVIRONMENTS

IDS = {spec.id for spec in ENVIRONMENTS}
TEXTS = sorted(i for i in IDS if "-Tokens" not in i and "task" in vars(gym.make(i).unwrapped.definition))
each_text = pytest.mark.parametrize("text_id", TEXTS)


def tokens_of(text_id):
    return text_id.replace("-v", "-Tokens-v")


def make(env_id):
    return gym.make(env_id, disable_env_checker=True).unwrapped


def test_there_are_text_worlds_and_each_has_its_tokens():
    assert {"envzoo/TextTinySummary-v0", "envzoo/DIDSeq-v0", "envzoo/TextTilt-v0"} <= set(TEXTS)
    assert {tokens_of(text_id) for text_id in TEXTS} == {i for i in IDS if "-Tokens" in i}


@each_text
@pytest.mark.filterwarnings("ignore:.*render_mode.*")
def test_checker_passes(text_id):
    for env_id in (text_id, tokens_of(text_id)):
        check_env(make(env_id), skip_render_check=True)


@each_text
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_texts_and_tokens_are_the_same_episodes_and_the_batch_scores_them_so(text_id, noise):
    text, tokens = make(text_id), make(tokens_of(text_id))
    task = text.definition.task
    prompts, answers, rewards = [], [], []
    for seed in range(5):
        question, _ = text.reset(seed=seed)
        observation, _ = tokens.reset(seed=seed)
        prompt = observation[: task.prompt_length]
        assert question == task.text(prompt)
        answer = task.demo(prompt[None], noise, seed=seed)[0]
        _, reward, terminated, *_ = text.step(task.text(answer))
        for token in answer[: np.flatnonzero(answer)[-1] + 1]:
            _, earned, ended, *_ = tokens.step(token)
        assert (reward, terminated, ended) == (earned, True, True)
        prompts.append(prompt)
        answers.append(answer)
        rewards.append(reward)
    assert np.array_equal(task.verify(np.stack(prompts), np.stack(answers)), rewards)


@each_text
def test_the_vector_form_is_that_of_single_environments(text_id):
    ours = gym.make_vec(tokens_of(text_id), num_envs=3)
    theirs = SyncVectorEnv([lambda: make(tokens_of(text_id))] * 3)
    check_same_vectors(ours, theirs, steps=60)
