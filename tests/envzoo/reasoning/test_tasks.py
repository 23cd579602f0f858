"""Contract of the text puzzles: distinct prompts, disjoint splits, demonstrations, and a verifier without holes."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reasoning_plain import CASES, VERIFIERS

from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.reasoning.catalogue import TASKS, make_task
from envzoo.reasoning.task import DONE, EOS, MODEL, PAD

each_case = pytest.mark.parametrize("case", CASES)


@functools.cache
def make(case):
    name, arguments = CASES[case]
    return make_task(name, **arguments)


def test_every_task_is_tried():
    assert {name for name, _ in CASES.values()} == set(TASKS) == set(VERIFIERS)


@each_case
def test_prompts_are_distinct_and_splits_disjoint(case):
    task = make(case)
    seen = {}
    for split in ("train", "evaluation", "all"):
        count = min(task.num_distinct(split), 3000)
        prompts = task.sample(count, split, seed=3)
        assert prompts.shape == (count, task.prompt_length)
        assert task.is_prompt(prompts).all()
        texts = [task.text(row) for row in prompts]
        assert len(set(texts)) == count
        assert np.array_equal(task.prompt_ids(texts), prompts)
        seen[split] = set(texts)
        # Any part can be had without what comes before it.
        part = task.sample(2, split, seed=3, start=count - 2)
        assert np.array_equal(part, prompts[-2:])
    assert not seen["train"] & seen["evaluation"]
    assert task.num_distinct("evaluation") <= task.num_distinct("train")
    assert not np.array_equal(task.sample(20, seed=0), task.sample(20, seed=1))


@each_case
def test_small_splits_are_disjoint_as_a_whole(case):
    task = make(case)
    counts = [task.num_distinct(split) for split in ("train", "evaluation")]
    if sum(counts) > 5000 or task.num_kinds > 1:
        pytest.skip("too many to list")
    train, evaluation = (
        {task.text(row) for row in task.sample(count, split)}
        for split, count in zip(("train", "evaluation"), counts, strict=True)
    )
    assert (len(train), len(evaluation)) == tuple(counts)
    assert not train & evaluation
    assert {task.text(row) for row in task.sample(sum(counts), "all")} == train | evaluation
    again = task.sample(counts[0], start=counts[0])  # the second pass: the same problems in another order
    assert {task.text(row) for row in again} == train
    assert not np.array_equal(again, task.sample(counts[0]))


@each_case
def test_demonstrations(case):
    task = make(case)
    prompts = task.sample(400)
    answers = task.solve(prompts)
    assert answers.shape == (400, task.answer_length)
    assert (task.verify(prompts, answers) == 1).all()
    flawed = task.demo(prompts, noise=1.0, seed=4)
    assert task.verify(prompts, flawed).mean() < 0.8
    assert np.array_equal(task.demo(prompts[7:9], noise=1.0, seed=4, start=7), flawed[7:9])
    if case != "parity-bare":  # has one wrong answer only
        assert not np.array_equal(task.demo(prompts, noise=1.0, seed=5), flawed)
    # What is written as text is judged alike.
    texts = [task.text(row) for row in answers[:50]], [task.text(row) for row in flawed[:50]]
    questions = [task.text(row) for row in prompts[:50]]
    assert (task.verify_text(questions, texts[0]) == 1).all()
    assert np.array_equal(task.verify_text(questions, texts[1]), task.verify(prompts[:50], flawed[:50]))


def mutated(task, prompts, rng):
    """Answers close to right ones: some tokens replaced, dropped or doubled."""
    answers = task.demo(prompts, noise=0.5, seed=int(rng.integers(1000)))
    for row in answers:
        kind, k = rng.integers(4), rng.integers(answers.shape[1])
        if kind == 1:
            row[k] = rng.integers(task.vocab_size)
        elif kind == 2:
            row[k:-1] = row[k + 1 :].copy()
        elif kind == 3:
            row[k + 1 :] = row[k:-1].copy()
    return answers


@each_case
def test_verifier_agrees_with_plain_python(case):
    task = make(case)
    plain = VERIFIERS[task.name]
    prompts = task.sample(1500, "all")
    answers = mutated(task, prompts, np.random.default_rng(0))
    rewards = task.verify(prompts, answers)
    assert rewards.dtype == np.float32
    assert set(rewards) == {0, 1}
    for prompt, answer, reward in zip(prompts, answers, rewards, strict=True):
        if task.multi_turn:
            following = [task.advance(prompt[None], answer[None], k)[0] for k in range(len(answer) + 1)]
            answer = answer[: following.index(DONE)]
            expected = plain(task, task.text(prompt), task.signs(answer).removesuffix("$"))
            expected = expected and (len(answer) > 0 and answer[-1] == EOS)
        else:
            signs = task.signs(answer[: np.argmax(answer == EOS)])
            expected = EOS in answer and plain(task, task.text(prompt), signs)
        assert reward == expected, (task.text(prompt), task.signs(answer))


@each_case
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(answer=st.text() | st.text("0123456789+-*,=:?#$_ \0ABUDLR٣３²", max_size=60) | st.integers(0, 9).map(str))
def test_any_string_is_judged(case, answer):
    task = make(case)
    question = task.text(task.sample(1, "all", seed=1)[0])
    reward = task.verify_text([question], [answer])[0]
    kept = "".join(sign for sign in answer if sign not in task.ignored)
    plain = kept.isascii() and len(kept) < task.answer_length and VERIFIERS[task.name](task, question, kept)
    if not task.multi_turn:
        assert reward == plain
    assert reward in (0, 1)


@each_case
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_integers_are_safe(case, data):
    task = make(case)
    whole = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, task.vocab_size + 1)
    width = data.draw(st.integers(0, task.answer_length + 3))
    prompts = np.array([data.draw(st.lists(whole, min_size=task.prompt_length, max_size=task.prompt_length))])
    answers = np.array([data.draw(st.lists(whole, min_size=width, max_size=width))], np.int64).reshape(1, width)
    lengths = np.array([data.draw(whole)])
    assert task.verify(prompts, answers, lengths) == 0 or task.is_prompt(prompts).all()
    task.verify(task.sample(1), answers, lengths)
    task.advance(prompts, answers, lengths)
    task.text(answers[0])


@each_case
def test_reward_hacking(case):
    task = make(case)
    prompts = task.sample(50, "all")
    questions = [task.text(row) for row in prompts]
    right = [task.text(row) for row in task.solve(prompts)]
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    attacks = {
        "empty": [""] * 50,
        "echo": questions,
        "echo and answer": [q + a for q, a in zip(questions, right, strict=True)],
        "all answers": ["".join(right)] * 50,
        "all answers, spaced": [" ".join(right)] * 50,
        "twice": [a + a for a in right],
        "huge number": ["9" * 10_000] * 50,
        "long": [a + "0" * 10**6 for a in right],
        "nul": [a + "\0" for a in right],
        "padded inside": [a[:1] + "_" + a[1:] for a in right],
        "special": ["$", "_", "$$$$", "\n", "-1"] * 10,
        "words": ["correct", "reward=1", "True", "nan", "__import__('os')"] * 10,
    }
    if task.name not in ("TextMaze",):
        attacks |= {"wide digits": [a.translate(wide) for a in right], "arabic": [a.translate(arabic) for a in right]}
    for attack, answers in attacks.items():
        rewards = task.verify_text(questions, answers)
        if attack == "twice" and task.name == "TextChainArith" and task.parameters.free:
            continue  # only the last value counts there: "4" + "4" is 44, but "1,4" + "1,4" may do
        if attack.startswith("all answers") and case == "tool-small":
            continue  # of six codes the first questions of any transcript find some
        assert not rewards.any(), (attack, answers[int(np.argmax(rewards))])
    # Without an end, or with an end beyond the counted length, nothing is right.
    ids = task.solve(prompts)
    lengths = np.argmax(np.cumsum(ids == EOS, axis=1) == (ids == EOS).sum(1, keepdims=True), axis=1) + 1
    assert (task.verify(prompts, ids, lengths) == 1).all()
    assert not task.verify(prompts, ids, lengths - 1).any()
    if not task.multi_turn:
        assert not task.verify(prompts, np.where(ids == EOS, PAD, ids)).any()


@each_case
def test_advance_and_mask(case):
    task = make(case)
    prompts = task.sample(30)
    answers = task.demo(prompts, noise=0.5)
    mask = task.model_mask(prompts, answers)
    assert mask[:, 0].all()
    for k in range(answers.shape[1]):
        following = task.advance(prompts, answers, k)
        forced = following >= 0
        assert np.array_equal(following == MODEL, mask[:, k])
        assert np.array_equal(answers[forced, k], following[forced])
        assert (answers[following == DONE, k] == PAD).all()
    assert (task.advance(prompts, answers, answers.shape[1]) == DONE).all()
    if not task.multi_turn:
        assert np.array_equal(mask.sum(1), np.argmax(answers == EOS, axis=1) + 1)


def test_uniform_guesser_on_sum_to():
    task = make_task("TextSumTo")
    assert task.guess_probability(18) == 670 / 10**4
    tuples = np.array(list(itertools.product(range(10), repeat=4)))
    answers = np.full((10**4, 8), EOS)
    answers[:, 0:7:2] = 2 + tuples
    answers[:, 1:6:2] = task.prompt_ids(["=18:"])[0, 0] - 1  # "+" stands before "=" in the alphabet
    for total in (4, 18, 32):
        prompts = np.repeat(task.prompt_ids([f"={total:02d}:"]), 10**4, axis=0)
        assert task.verify(prompts, answers).sum() == (tuples.sum(1) == total).sum()
        assert task.verify(prompts, answers).mean() == pytest.approx(task.guess_probability(total))


def test_sum_to_demonstrations_are_uniform():
    task = make_task("TextSumTo", terms=3, low=0, high=27)
    prompts = np.repeat(task.prompt_ids(["=02:"]), 6000, axis=0)
    _, counts = np.unique(task.demo(prompts), axis=0, return_counts=True)
    assert len(counts) == 6  # 002 and 011 in every order
    assert ((counts - 1000) ** 2 / 1000).sum() < 20.5  # chi-squared, five degrees of freedom, p = 0.001


def test_sum_to_with_rules_poses_all_that_has_enough_answers():
    task = make_task("envzoo/TextSumTo-Tokens-v1")
    tuples = np.array(list(itertools.product(range(10), repeat=4)))
    expected = {}
    for first, forbidden in itertools.permutations(range(10), 2):
        right = tuples[(tuples[:, 0] == first) & (tuples != forbidden).all(1)]
        for total, count in zip(*np.unique(right.sum(1), return_counts=True), strict=True):
            if count >= 20:
                expected[f"={total:02d},{first}!{forbidden}:"] = count
    assert len(expected) >= 1250
    prompts = np.concatenate([task.sample(task.num_distinct(split), split) for split in ("train", "evaluation")])
    assert dict(zip(map(task.text, prompts), task.num_answers(prompts), strict=True)) == expected


def test_sum_to_with_rules_demonstrations_are_uniform():
    task = make_task("TextSumTo-v1", terms=3, fewest=1)
    prompts = np.repeat(task.prompt_ids(["=07,2!1:"]), 4000, axis=0)
    found, counts = np.unique(task.demo(prompts), axis=0, return_counts=True)
    assert [task.text(row) for row in found] == ["2+0+5", "2+2+3", "2+3+2", "2+5+0"]
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi-squared, three degrees of freedom, p = 0.001


def test_countdown_poses_all_that_can_be_solved():
    task = make_task("TextCountdown", numbers=2, largest=3, high=9)
    texts = {task.text(row) for row in task.sample(task.num_distinct("all"), "all")}
    expected = set()
    for a, b in itertools.combinations_with_replacement(range(1, 4), 2):
        for value in {a + b, a * b, a - b, b - a}:
            expected |= {f"{a},{b}={value}:"} if 0 <= value <= 9 else set()
    assert texts == expected
    assert make_task("TextCountdown").parameters.table.shape[1] == 4
    with pytest.raises(EnvzooError, match="'1,1=9:' is not a prompt of TextCountdown; expected a prompt such as"):
        task.verify_text(["1,1=9:"], ["1+1"])


def test_notation():
    def score(name, prompt, answer, **arguments):
        return make_task(name, **arguments).verify_text([prompt], [answer])[0]

    assert score("TextSumTo", "=17:", "2 + 9+0+ 6") == 1
    assert score("TextSumTo", "=17:", "02+9+0+6") == 0
    assert score("TextCountdown", "2,3,4=20:", "2+3*4") == 1
    assert score("TextCountdown", "2,3,4=20:", "3 + 2 * 4") == 1
    assert score("TextChainArith", "3+5*2=", "8,16", modulus=100, steps=2) == 1
    assert score("TextChainArith", "3+5*2=", "08, 16", modulus=100, steps=2) == 1
    assert score("TextChainArith", "3+5*2-4=", "8,6,2", steps=3) == 1
    assert score("TextChainArith", "3+5*2-4=", "2", steps=3) == 0
    assert score("TextChainArith", "3+5*2-4=", "1,1,2", steps=3, scratchpad="free") == 1
    assert score("TextChainArith", "0-1=", "9", steps=(1, 3)) == 1
    assert score("TextSort", "301>", "0, 1, 3", length=3) == 1
    assert score("TextParity", "1101:", "1001", bits=4) == 1
    assert score("TextSpark", "1234:", "A1234", length=4) == 1
    assert score("TextSpark", "1235:", "A1235", length=4) == 0
    assert score("TextSpark", "1235:", "B5321", length=4) == 1


def test_spark_mixture():
    task = make_task("TextSpark")
    prompts = task.sample(40_000)
    answers = task.demo(prompts, noise=1.0)
    shares = np.bincount(task.routes(answers), minlength=4) / 40_000
    np.testing.assert_allclose(shares, [0.95, 0.04, 0.01, 0], atol=0.004)
    assert 0.48 < task.is_easy(prompts).mean() < 0.52
    usual = task.routes(answers) == 0
    rewards = task.verify(prompts, answers)
    assert np.array_equal(rewards[usual] == 1, task.is_easy(prompts)[usual])
    assert rewards[task.routes(answers) == 1].mean() < 0.15  # 0.55 to the power of five digits is 0.05
    assert not rewards[task.routes(answers) == 2].any()


@pytest.mark.parametrize(("name", "arguments"), [("TextMaze", {}), ("TextChainArith", {"scratchpad": "free"})])
def test_wrong_answers_are_longer(name, arguments):
    task = make_task(name, **arguments)
    prompts = task.sample(2000)
    answers = task.demo(prompts, noise=0.8)
    right = task.verify(prompts, answers) == 1
    lengths = task.model_mask(prompts, answers).sum(1)
    assert lengths[~right].mean() > 1.3 * lengths[right].mean()


def test_mixed_lengths_take_turns():
    task = make_task("TextChainArith", steps=(2, 5))
    lengths = [len(task.text(row)) for row in task.sample(40)]
    assert lengths == [6, 8, 10, 12] * 10


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("TextSumTo", {"high": 40}, "high is 40, which 4 digits cannot add up to; expected at most 36"),
        ("TextSumTo", {"low": 9, "high": 9}, "expected low below high"),
        ("TextSumTo-v1", {"fewest": 65}, "0 problems of 4 digits have 65 answers or more"),
        ("TextSumTo-v1", {"terms": 1}, "terms is 1; expected a whole number of at least 2"),
        ("TextCountdown", {"low": 600, "high": 700, "largest": 3}, "3 numbers up to 3 reach 0 targets"),
        ("TextCountdown", {"numbers": 9}, "numbers is 9; expected at most 5"),
        ("TextChainArith", {"steps": 9}, "steps is 9; expected at most 8"),
        ("TextChainArith", {"modulus": 7}, "modulus is 7; expected 10 or 100"),
        ("TextChainArith", {"scratchpad": "fre"}, "did you mean 'free'"),
        ("TextSort", {"length": 40}, "length is 40"),
        ("TextParity", {"bits": 1}, "bits is 1"),
        ("TextMaze", {"walls": 15}, "leaves no room for a start and a goal"),
        ("TextMaze", {"walls": 14, "least": 3}, "no 4x4 maze with 14 walls was found"),
        ("TextMaze", {"moves": 3, "least": 4}, "least is 4 and moves is 3"),
        ("TextSpark", {"spark_share": 0.9, "junk_share": 0.2}, "add up to more than 1"),
        ("TextToolPuzzle", {"digits": 4, "symbols": 3}, "a code of 4 different digits cannot be made of 3"),
        ("TextToolPuzzle", {"turns": 0}, "turns is 0"),
        ("TextSumTo", {"term": 3}, "unknown argument of TextSumTo 'term'.*did you mean 'terms'"),
        ("TextSumToo", {}, "did you mean 'TextSumTo'"),
    ],
)
def test_unusable_difficulties(name, arguments, match):
    with pytest.raises(EnvzooError, match=match):
        make_task(name, **arguments)


def test_unusable_input():
    task = make_task("envzoo/TextSumTo-Tokens-v0")
    prompts = task.sample(3)
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        task.sample(3, "trian")
    with pytest.raises(EnvzooError, match="n is 0"):
        task.sample(0)
    with pytest.raises(EnvzooError, match=r"answers of TextSumTo are int64 of shape \(2, 8\); expected"):
        task.verify(prompts, np.zeros((2, 8), int))
    with pytest.raises(EnvzooError, match="float64"):
        task.verify(prompts, np.zeros((3, 8)))
    with pytest.raises(EnvzooError, match="row 1 of prompts is not a prompt of TextSumTo"):
        task.demo(np.array([prompts[0], [0, 0, 0, 0]]))
    with pytest.raises(EnvzooError, match=r"noise is 1\.5"):
        task.demo(prompts, noise=1.5)
    with pytest.raises(EnvzooError, match="2 answers came with 1 prompts"):
        task.verify_text(["=17:"], ["1", "2"])
