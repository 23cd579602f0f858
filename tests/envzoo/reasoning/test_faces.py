"""The text form and the token form of every puzzle, and the adapter of reasoning-gym."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv
from helpers import check_same_vectors
from reasoning_plain import CASES

from envzoo.errors import EnvzooError, InvalidActionError, MissingExtraError, ResetNeededError
from envzoo.reasoning.catalogue import TASKS, make_task
from envzoo.reasoning.task import MODEL

each_case = pytest.mark.parametrize("case", CASES)
each_task = pytest.mark.parametrize("name", TASKS)


def task_id(name, tokens=False):
    return make_task(name).env_id(tokens)


def text_env(case, **more):
    name, arguments = CASES[case]
    return gym.make(task_id(name), disable_env_checker=True, **arguments, **more).unwrapped


def token_env(case, **more):
    name, arguments = CASES[case]
    return gym.make(task_id(name, True), disable_env_checker=True, **arguments, **more).unwrapped


def turns_of(task, prompt, answer):
    """The player's turns in an answer, as strings."""
    own = answer[task.model_mask(prompt[None], answer[None])[0]]
    return task.signs(own).removesuffix("$").split("$")


@each_case
@pytest.mark.filterwarnings("ignore:.*render_mode.*")
def test_checker_passes(case):
    check_env(text_env(case), skip_render_check=True)
    check_env(token_env(case), skip_render_check=True)


@each_case
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_both_faces_play_the_same_episodes(case, noise):
    text, tokens = text_env(case), token_env(case)
    task = text.definition.task
    for seed in range(5):
        question, info = text.reset(seed=seed)
        observation, _ = tokens.reset(seed=seed)
        assert info["instruction"] == task.instruction
        prompt = observation[: task.prompt_length]
        assert question == task.text(prompt)
        answer = task.demo(prompt[None], noise, seed=seed)[0]
        for turn in turns_of(task, prompt, answer):
            shown, reward, terminated, truncated, info = text.step(turn)
            assert shown in text.observation_space
        for token in answer[task.model_mask(prompt[None], answer[None])[0]]:
            observation, earned, ended, _, facts = tokens.step(token)
            assert observation in tokens.observation_space
        assert np.array_equal(observation[task.prompt_length :], answer)
        assert terminated
        assert ended
        assert not truncated
        assert reward == earned == task.verify(prompt[None], answer[None])[0]
        assert info["length"] == facts["length"] == np.flatnonzero(answer)[-1] + 1
        assert np.array_equal(text.get_state()["answer"], tokens.get_state()["answer"])
        with pytest.raises(ResetNeededError):
            text.step("1")
    assert noise or reward == 1


@each_case
def test_vector_face_equals_sync_vector_env_of_single_faces(case):
    name, arguments = CASES[case]
    ours = gym.make_vec(task_id(name, True), num_envs=3, **arguments)
    theirs = SyncVectorEnv([lambda: token_env(case)] * 3)
    check_same_vectors(ours, theirs, steps=60)


@each_case
def test_captured_state_goes_on_the_same_way(case):
    env, other = token_env(case), text_env(case)
    task = env.definition.task
    prompt = env.reset(seed=1)[0][: task.prompt_length]
    answer = task.solve(prompt[None])[0]
    env.step(answer[0])
    other.set_state(env.get_state())  # across both forms, in the middle of an answer
    rest = turns_of(task, prompt, answer)
    for turn in (rest[0][1:], *rest[1:]):
        *_, reward, terminated, _, _ = other.step(turn)
    assert (reward, terminated) == (1, True)
    if len(answer) > 2:
        assert not env.step(answer[1])[2]  # the original was left as it was


@each_case
def test_an_answer_without_end_is_wrong_and_terminates(case):
    env = token_env(case)
    task = env.definition.task
    env.reset(seed=0)
    steps = 0
    terminated = False
    while not terminated:
        _, reward, terminated, truncated, _ = env.step(2)
        steps += 1
    assert (reward, truncated) == (0, False)
    own = task.model_mask(env.get_state()["prompt"], env.get_state()["answer"]).sum()
    assert steps == own
    assert steps == task.answer_length or task.multi_turn


@each_case
def test_asked_for_problems(case):
    env = token_env(case, split="evaluation")
    task = env.definition.task
    expected = task.sample(4, "evaluation")
    for k in range(4):
        observation, _ = env.reset(options={"problem": k})
        assert np.array_equal(observation[: task.prompt_length], expected[k])
    name, arguments = CASES[case]
    vector = gym.make_vec(task_id(name, True), num_envs=4, split="evaluation", **arguments)
    observations, _ = vector.reset(options={"problem": np.arange(4)})
    assert np.array_equal(observations[:, : task.prompt_length], expected)
    with pytest.raises(EnvzooError, match="reset option problem is -1"):
        env.reset(options={"problem": -1})


@each_task
def test_pictures(name):
    env = gym.make(task_id(name), render_mode="ansi").unwrapped
    env.reset(seed=0)
    before = env.render()
    assert env.definition.task.instruction in before
    assert before.endswith("running")
    assert "\033[2m" in before
    env.step("0")
    if not env.definition.task.multi_turn:
        assert "\033[31m" in env.render()
        assert env.render().endswith("$\033[0m  wrong")
    image = gym.make(task_id(name, True), render_mode="rgb_array")
    image.reset(seed=0)
    first = image.render()
    image.step(3)
    assert first.dtype == np.uint8
    assert first.shape == image.render().shape
    assert not np.array_equal(first, image.render())


@each_task
def test_pictures_are_large_enough_to_read(name):
    env = gym.make(task_id(name, True), render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    task = env.definition.task
    columns = min(task.columns, task.prompt_length + task.answer_length)
    height, width, _ = env.render().shape
    rows = -(-(task.prompt_length + task.answer_length) // columns)
    assert (height, width) == (rows * 52 + 24, columns * 28 + 24)


def test_a_maze_is_drawn_as_a_square():
    env = gym.make("envzoo/TextMaze-Tokens-v0", size=5, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape[1] == 5 * 28 + 24


@each_task
def test_anything_may_be_said(name):
    env = gym.make(task_id(name)).unwrapped
    for text in ("", "\0", "１７", "x" * 100_000, "\ud800", "$", "_"):
        env.reset(seed=0)
        terminated = False
        while not terminated:
            observation, reward, terminated, _, _ = env.step(text)
            assert observation in env.observation_space
        assert reward == 0
    env.reset()
    with pytest.raises(InvalidActionError, match="is not a string"):
        env.step(3)


def test_tool_replies_and_turns():
    env = text_env("tool")
    question, _ = env.reset(seed=0)
    task = env.definition.task
    code = task.codes(env.get_state()["prompt"])[0]
    a, b, c = (str(digit) for digit in code)
    other = next(d for d in "0123456789" if d not in (a, b, c))
    shown = question
    for guess, reply in ((f"?{b}{a}{other}", "02:"), (f"? {a}{b}{other}", "20:"), (f"{a}{b}{c}", "--:")):
        shown += f"{guess.replace(' ', '')}${reply}"
        observation, reward, terminated, _, _ = env.step(guess)
        assert (observation, reward, terminated) == (shown, 0, False)
    observation, *_ = env.step("?1234567")  # too long: the turn is closed, and the rest falls under the table
    assert observation == f"{shown}?1234--:"
    observation, reward, terminated, *_ = env.step(f"?{a}{b}{c}")
    assert (reward, terminated) == (1, True)
    answer = env.get_state()["answer"]
    forged = answer.copy()
    forged[0, 5] += 1  # a reply that the tool did not give
    assert task.verify(env.get_state()["prompt"], forged) == 0
    assert task.advance(env.get_state()["prompt"], answer, 0) == MODEL


def test_reasoning_gym_names_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(MissingExtraError, match=r"install it with `pip install -c constraints.txt -e '\.\[text\]'`"):
        gym.make("envzoo/ReasoningGym-v0")


@pytest.mark.filterwarnings("ignore:.*render_mode.*")
def test_reasoning_gym():
    pytest.importorskip("reasoning_gym")
    from envzoo.reasoning.reasoning_gym import dataset_names

    assert len(dataset_names()) > 90
    env = gym.make("envzoo/ReasoningGym-v0", dataset="chain_sum", render_mode="ansi").unwrapped
    check_env(env, skip_render_check=True)
    _, info = env.reset(seed=0)
    state = env.get_state()
    answer = env.dataset[info["item"]]["answer"]
    assert env.step(answer)[1:4] == (1.0, True, False)
    assert env.render().endswith("right")
    env.set_state(state)
    assert env.step("no idea")[1] < 1
    held_out = gym.make("envzoo/ReasoningGym-v0", split="evaluation").unwrapped
    assert not {env.reset()[0] for _ in range(200)} & {held_out.reset()[0] for _ in range(200)}
    with pytest.raises(EnvzooError, match="did you mean 'chain_sum'"):
        gym.make("envzoo/ReasoningGym-v0", dataset="chain_sums")
    with pytest.raises(EnvzooError, match="does not fit the dataset chain_sum"):
        gym.make("envzoo/ReasoningGym-v0", config={"no_such": 1})
