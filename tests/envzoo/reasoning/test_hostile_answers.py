"""A quick subset of `make hostile-answers`: attacks on every dataset, and agreement with the package's own scorers."""

import builtins
import subprocess
import sys

import gymnasium as gym
import pytest

from envzoo.reasoning.safe_scoring import REVIEWS
from envzoo.scripts.hostile_answers.check import compare, own_parsers, within
from envzoo.scripts.hostile_answers.corpus import CODE, COMMAND
from envzoo.scripts.hostile_answers.generated import handwritten

pytestmark = pytest.mark.any_arithmetic

pytest.importorskip("reasoning_gym")

# Items, and odd answers to each: what the package takes long to make or to score gets fewer.
COSTLY = {"puzzle24": (8, None), "intermediate_integration": (20, 2), "simple_integration": (20, 3)}


def test_no_answer_causes_an_audit_event():
    """In a process of its own, because a hook for audit events cannot be taken away again."""
    command = [sys.executable, "-P", "-m", "envzoo.scripts.hostile_answers", "--mutants", "10", "--every", "25"]
    result = subprocess.run([*command, "--entries", "0", "--seconds", "inf"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    listed = {line.split()[0].lstrip(".") for line in result.stdout.splitlines()}  # bf prints a point
    assert {name for name, review in REVIEWS.items() if not review.refused} <= listed


def test_an_audit_event_is_noticed():
    """The same command with a scorer that evaluates answers, as the package does."""
    program = (
        "import sys; from envzoo.scripts.hostile_answers import __main__ as command; "
        "from envzoo.reasoning.safe_scoring.table import REVIEWS, Review; "
        "REVIEWS['spiral_matrix'] = Review(screen=lambda answer: len(answer) < 100); "
        "import reasoning_gym; "
        "sys.argv[1:] = ['--mutants', '0', '--entries', '0', '--datasets', 'spiral_matrix']; "
        "import envzoo.scripts.hostile_answers.check as check; check.handwritten = lambda: ['[1 + 1]']; "
        "sys.exit(command.main())"
    )
    result = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "FAILED" in result.stdout
    assert "compile" in result.stdout


def test_the_corpus_is_large_enough():
    assert len(set(handwritten())) >= 200


def endless():
    while True:
        try:
            while True:
                pass
        except Exception:  # as scorers do
            return 0.0


def stubborn():
    try:
        endless()
    except BaseException:
        return 0.0


def test_a_scorer_that_hangs_is_given_up():
    assert within(60.0, lambda: 0.5) == 0.5
    assert within(0.01, endless) is None
    assert within(0.01, stubborn) is None


@pytest.mark.parametrize("name", own_parsers())
def test_scores_agree_with_the_package(name):
    items, odd = COSTLY.get(name, (50, 6))
    result = compare(name, items, odd, seed=1)
    assert result.differences == []
    assert result.full >= items  # the right answer to every item
    assert result.answers > result.full


@pytest.mark.parametrize("name", own_parsers())
def test_no_answer_reaches_an_evaluator(name, monkeypatch):
    import sympy

    env = gym.make("envzoo/ReasoningGym-v0", dataset=name, split="all", size=2).unwrapped
    reached, rewards = [], []
    for answer in (COMMAND, *CODE[:8]):
        env.reset(options={"item": 0})  # making a question may evaluate the package's own text
        with monkeypatch.context() as patch:
            for place, function in ((builtins, "eval"), (builtins, "exec"), (sympy, "parse_expr")):
                patch.setattr(place, function, lambda *arguments, **others: reached.append(arguments))
            for module in ("countdown", "puzzle24"):
                patch.setattr(f"reasoning_gym.games.{module}.parse_expr", lambda *arguments: reached.append(arguments))
            rewards.append(env.step(answer)[1])
    assert reached == []
    assert max(rewards) < 0.5  # propositional_logic takes any text for a name, which may follow from a contradiction
