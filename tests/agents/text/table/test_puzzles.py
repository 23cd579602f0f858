"""Puzzles as automata: the same answers are right as in the environments, and prompts and splits are the same."""

import itertools

import numpy as np
import pytest

from envzoo.agents.text.table import build_puzzle, countdown, sum_to, sum_to_rules, walk
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.reasoning.catalogue import make_task

CASES = {
    "sum": (sum_to, "TextSumTo", {"terms": 3}),
    "rules": (sum_to_rules, "TextSumTo-v1", {"terms": 3, "fewest": 5}),
    "countdown": (countdown, "TextCountdown", {"numbers": 2, "largest": 4, "high": 12}),
}


def ending(puzzle, state, answer):
    """The state in which an answer ends, and how many tokens it takes."""
    for k, token in enumerate(answer):
        if puzzle.row[state] < 0:
            return state, k
        state = puzzle.after[state, token]
    return state, len(answer)


def as_text(puzzle, answer):
    signs = [puzzle.tokens[token] for token in answer]
    return "+".join(signs) if puzzle.name.startswith("sum_to") else "".join(signs)


@pytest.mark.parametrize("case", CASES)
def test_the_same_answers_are_right_as_in_the_environment(case):
    make, name, arguments = CASES[case]
    puzzle, task = make(**arguments), make_task(name, **arguments)
    generator = np.random.default_rng(0)
    for split in ("train", "evaluation"):
        prompts = task.sample(task.num_distinct(split), split)
        assert len(puzzle.prompts(split)) == len(prompts)
        few = generator.permutation(len(prompts))[:6]
        for prompt, state in zip(prompts[few], puzzle.prompts(split)[few], strict=True):
            answers = list(itertools.product(range(len(puzzle.tokens)), repeat=puzzle.longest))
            right = {as_text(puzzle, a) for a in answers if puzzle.reward[ending(puzzle, state, a)[0]] == 1}
            texts = [as_text(puzzle, a) for a in answers]
            judged = task.verify_text([task.text(prompt)] * len(texts), texts)
            assert right == {text for text, reward in zip(texts, judged, strict=True) if reward}
            assert right
    assert len(puzzle.prompts("all")) == task.num_distinct("train") + task.num_distinct("evaluation")


def test_right_answers_are_plausible_throughout():
    for make, name, arguments in CASES.values():
        puzzle, task = make(**arguments), make_task(name, **arguments)
        prompts = task.sample(min(40, task.num_distinct()))
        numbers = {sign: k for k, sign in enumerate(puzzle.tokens)}
        for state, text in zip(puzzle.train[: len(prompts)], map(task.text, task.solve(prompts)), strict=True):
            for sign in text.replace("+", "") if puzzle.name.startswith("sum_to") else text:
                assert puzzle.plausible[puzzle.row[state], numbers[sign]]
                state = puzzle.after[state, numbers[sign]]
            assert puzzle.reward[state] == 1


def test_a_token_leads_to_a_higher_number_and_ended_answers_lead_nowhere():
    for make, _, arguments in CASES.values():
        puzzle = make(**arguments)
        ended = puzzle.row < 0
        assert (puzzle.after[ended] == -1).all()
        assert (puzzle.after[~ended] > np.flatnonzero(~ended)[:, None]).all()
        assert (puzzle.reward[~ended] == 0).all()
        assert puzzle.row.max() + 1 == puzzle.num_rows == len(puzzle.plausible)


def test_states_of_a_row_share_what_the_policy_sees():
    puzzle = sum_to_rules(terms=3, fewest=5)
    first = puzzle.row[puzzle.prompts("all")]
    assert len(set(first)) <= 10 < len(first)
    assert set(puzzle.row[puzzle.evaluation]) <= set(puzzle.row[puzzle.train])


def test_failures_of_a_walk_are_longer_than_successes():
    puzzle = walk(length=3, moves=4)
    assert (len(puzzle.train), len(puzzle.evaluation), puzzle.longest) == (6, 0, 4)
    state = puzzle.train[0]  # from place 0 to place 1
    assert puzzle.reward[puzzle.after[state, 1]] == 1
    assert ending(puzzle, state, [3, 0, 3, 2])[0] == ending(puzzle, state, [3, 0])[0]  # two to the right, one back
    assert ending(puzzle, state, [0, 2, 0, 2]) == (ending(puzzle, state, [2, 2, 2, 2])[0], 4)  # the wall
    assert puzzle.reward[ending(puzzle, state, [0, 2, 0, 2])[0]] == 0
    assert puzzle.num_rows == 6
    larger = walk()
    assert len(larger.evaluation) == 14
    assert not set(larger.train) & set(larger.evaluation)


def test_puzzles_that_cannot_be():
    def loop(state, token):
        return state

    with pytest.raises(EnvzooError, match="a state of the puzzle loop repeats along an answer"):
        build_puzzle("loop", "ab", [0], [], loop, lambda state: None)
    with pytest.raises(EnvzooError, match="0 tokens and 1 training prompts; expected both"):
        build_puzzle("none", "", [0], [], loop, lambda state: 1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        sum_to(terms=2).prompts("trian")
