"""The parsers that stand between a model's answer and reasoning-gym: what they read, what they refuse, their limits."""

import ast
from fractions import Fraction
from pathlib import Path

import gymnasium as gym
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo.reasoning.safe_scoring as safe_scoring
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.reasoning.safe_scoring import LONGEST, REVIEWED_VERSION, REVIEWS, score_answer
from envzoo.reasoning.safe_scoring.arithmetic import value_of
from envzoo.reasoning.safe_scoring.grammar import Limits, Rejected, parse, read_number, tokenize
from envzoo.reasoning.safe_scoring.integrals import score_integral
from envzoo.reasoning.safe_scoring.literals import longest_answer, read_literal, score_number_sorting
from envzoo.reasoning.safe_scoring.polynomials import score_polynomial_multiplication
from envzoo.reasoning.safe_scoring.propositions import score_propositional_logic

ENTRIES = {
    "binary_matrix": {"answer": "0 1\n1 0", "metadata": {}},
    "bitwise_arithmetic": {"answer": "0x1f", "metadata": {"problem": "(0x1e + 0x1)"}},
    "countdown": {"answer": "4*25 + 3", "metadata": {"numbers": [3, 4, 25], "target": 103}},
    "intermediate_integration": {"answer": "exp(x) + C", "metadata": {"integrand": "exp(x)", "variable": "x"}},
    "n_queens": {"answer": "_ Q\nQ _", "metadata": {"valid_answers": ["_ Q\nQ _"]}},
    "number_sorting": {"answer": "['1', '9']", "metadata": {"sorted_numbers": ["1", "9"], "direction": "ascending"}},
    "polynomial_multiplication": {"answer": "x**2 - 1", "metadata": {}},
    "propositional_logic": {"answer": None, "metadata": {"variables": ["P", "Q"], "premises": ["P", "(P → Q)"]}},
    "puzzle24": {"answer": "6*4*1*1", "metadata": {"difficulty": {"value": (1, 10)}}},
    "simple_integration": {"answer": "X**2/3 + C", "metadata": {"integrand": "2*X/3", "variable": "X"}},
    "spiral_matrix": {"answer": "1 2 3", "metadata": {}},
    "string_insertion": {"answer": "ABCDA", "metadata": {}},
}


def score(name, answer):
    return score_answer(name, None, answer, ENTRIES[name])


def test_every_row_of_the_table_decides_one_thing():
    for name, review in REVIEWS.items():
        decisions = [review.safe, review.own, review.screen, review.refused]
        assert sum(bool(decision) for decision in decisions) == 1, name
    assert {name for name, review in REVIEWS.items() if review.own} == set(ENTRIES)


def test_the_table_lists_every_dataset_of_the_installed_package():
    pytest.importorskip("reasoning_gym")
    from importlib.metadata import version

    from reasoning_gym.factory import DATASETS

    assert set(DATASETS) == set(REVIEWS)
    assert version("reasoning-gym") == REVIEWED_VERSION, "read the scorers of this version, then change the table"


def test_datasets_that_are_refused_or_unknown(monkeypatch):
    pytest.importorskip("reasoning_gym")
    from reasoning_gym.factory import DATASETS

    from envzoo.reasoning.reasoning_gym import dataset_names

    monkeypatch.setitem(DATASETS, "brand_new", DATASETS["chain_sum"])
    with pytest.raises(EnvzooError, match="brand_new of reasoning-gym cannot be played: envzoo has not reviewed"):
        gym.make("envzoo/ReasoningGym-v0", dataset="brand_new")
    with pytest.raises(EnvzooError, match="codeio of reasoning-gym cannot be played: it executes programs"):
        gym.make("envzoo/ReasoningGym-v0", dataset="codeio")
    with pytest.raises(EnvzooError, match="composite of reasoning-gym cannot be played"):
        gym.make("envzoo/ReasoningGym-v0", dataset="composite")
    with pytest.raises(UnknownNameError, match="chain_sum"):
        gym.make("envzoo/ReasoningGym-v0", dataset="chain_sums")
    assert not {"brand_new", "codeio", "composite"} & set(dataset_names())


def test_no_module_here_names_what_evaluates_text():
    barred = {"eval", "exec", "compile", "parse_expr", "sympify", "literal_eval", "lambdify", "__import__", "S"}
    files = sorted(Path(safe_scoring.__file__).parent.glob("*.py"))
    assert len(files) >= 9
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = {getattr(node, "id", None), getattr(node, "attr", None)}
            names |= {alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)}
            assert not (names & barred) or ast.unparse(node).startswith("re."), f"{file.name}: {ast.unparse(node)}"


def test_right_answers():
    for name, entry in ENTRIES.items():
        answer = entry["answer"] or "P ∧ Q"
        assert score(name, answer) == 1.0, name


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("binary_matrix", "[[0, 1], [1, 0]]", 0.1),
        ("binary_matrix", "[[0, 1],\n [1, 0],]", 0.1),
        ("binary_matrix", "[0, 1], [1, 0]", 0.1),
        ("binary_matrix", "[[0, 1]] + [[1, 0]]", 0.0),
        ("spiral_matrix", "(1, 2, 3)", 0.1),
        ("spiral_matrix", "1, 2, 3", 0.1),
        ("spiral_matrix", "[01, 2, 3]", 0.0),
        ("n_queens", '[["_", "Q"], "Q_"]', 0.5),
        ("string_insertion", "'ABCDA'", 0.1),
        ("string_insertion", "['ABC', 'DA']", 0.1),
        ("string_insertion", "'AB\\x43DA'", 0.0),
        ("bitwise_arithmetic", " 31\n", 1.0),
        ("bitwise_arithmetic", "0b1_1111", 1.0),
        ("bitwise_arithmetic", "30 + 1", 0.0),
        ("number_sorting", "[1.5, 9]", 1.0),
        ("number_sorting", "[9, 1]", 0.0),
        ("countdown", "(25*4) + 3.0", 0.05),
        ("countdown", "25*4 + 3 = 103", 0.01),
        ("countdown", "25*(4 + 3)", 0.05),
        ("puzzle24", "49/2 + 0*1", 0.01),
        ("puzzle24", "10*9/4 + 2", 1.0),  # 24.5, whose fraction the package drops too
        ("polynomial_multiplication", "-1 + x*x", 1.0),
        ("polynomial_multiplication", "2*(x**2 - 1)/2", 1.0),
        ("polynomial_multiplication", "(x + 1)*(x - 1)", 0.0),  # not multiplied out
        ("polynomial_multiplication", "x^2 - 1", 0.0),
        ("simple_integration", "-(-X)*X/3", 1.0),
        ("simple_integration", "0.5*X**2/1.5 + c", 1.0),
        ("simple_integration", "0.3333*X**2", 0.0),
        ("simple_integration", "x**2/3 + C", 0.0),  # another variable
        ("intermediate_integration", "E**x", 1.0),
        ("intermediate_integration", "exp(x) + C*x", 0.0),
        ("intermediate_integration", "Integral(exp(x), x)", 0.0),  # the question again
        ("intermediate_integration", "exp(x) + beta", 0.0),  # a function of SymPy
        ("propositional_logic", "Q", 0.25),
        ("propositional_logic", "¬Q", 0.05),
        ("propositional_logic", "(Q ∨ ¬Q)", 0.25),
        ("propositional_logic", "P → R", 0.0),
    ],
)
def test_other_answers(name, answer, expected):
    assert score(name, answer) == expected


def test_integrals_hold_in_the_whole_plane():
    def judge(answer, integrand):
        return score_integral(answer, {"metadata": {"integrand": integrand, "variable": "x"}})

    assert judge("x**2/2", "x") == 1.0
    assert judge("x*sqrt(x**2)/2", "x") == 0.0  # right where the real part is positive only
    assert judge("log(x**2)", "2/x") == judge("2*log(x)", "2/x") == 1.0
    assert judge("x*asin(3*x) + sqrt(1 - 9*x**2)/3", "asin(3*x)") == 1.0
    assert judge("x*atan(2*x) - log(4*x**2 + 1)/4", "atan(2*x)") == 1.0
    assert judge("-log(cos(x))", "tan(x)") == judge("-cot(x)", "1/sin(x)**2") == judge("sec(x)", "sec(x)*tan(x)") == 1.0
    assert judge("acosh(x)", "1/(sqrt(x - 1)*sqrt(x + 1))") == judge("x**x", "x**x*(log(x) + 1)") == 1.0


def test_expressions_bind_as_in_python():
    python = {"-2**2": -4, "2**-1": Fraction(1, 2), "2**3**2": 512, "8/4/2": 1, "1 - 2 - 3": -4, "-(3 - 5)*2": 4}
    python |= {"- -3": 3, "2*-3": -6, "7 - 2*3**2/9": 5, "(1\n+1)": 2}
    for text, value in python.items():
        assert value_of(parse(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "(1",
        "1)",
        "1 2",
        "2x",
        "x(2)",
        "007",
        "1__0",
        "1.2.3",
        "1e999",
        "0x10",
        "٣",
        "1\n+1",
        "x.y",
        "5!",
        "1,2",
    ],
)
def test_what_is_no_expression(text):
    with pytest.raises(Rejected):
        parse(text)


def test_limits_hold_before_anything_is_computed():
    limits = Limits(characters=100, tokens=20, digits=10, depth=5)
    assert len(tokenize("1+" * 9 + "1", limits)) == 19
    for text in ("1+" * 10 + "1", "1" * 101, "((((((1))))))", "2**2**2**2**2**2**2**2"):
        with pytest.raises(Rejected):
            parse(text, limits=limits)
    with pytest.raises(Rejected):
        read_number("1" * 11, limits)
    for text in ("9**9**9**9", "2**99999999", "(((9**60)**60)**60)", "*".join(["9" * 40] * 110)):
        with pytest.raises(Rejected):
            value_of(parse(text, limits=Limits(characters=10_000)))
    for text in ("(x+1)**2**2**2**2**2", "(3*x)**999**3", "x**9999"):
        assert score_polynomial_multiplication(text, {"answer": "x"}) == 0.0
    for text in ("E**E**E**E**x", "exp(exp(exp(exp(exp(9)))))", "x**1001", "sin(10**99)", "((9**999)**999)**999"):
        assert score_integral(text, {"metadata": {"integrand": "1", "variable": "x"}}) == 0.0
    with pytest.raises(Rejected):
        read_literal("[[[[[1]]]]]")
    assert score_answer("bitwise_arithmetic", None, "0x" + "0" * LONGEST + "1f", ENTRIES["bitwise_arithmetic"]) == 0.0
    assert longest_answer({"answer": "12345"}) == 1040


def test_a_formula_has_a_bounded_table():
    names = "∨".join("abcdefghij")
    assert score("propositional_logic", f"{names[:15]}∨Q") == 1.0  # eight names, which the package takes for variables
    assert score("propositional_logic", f"{names}∨Q") == 0.0
    assert score_propositional_logic("¬" * 100 + "Q", ENTRIES["propositional_logic"]) == 0.0


def test_numbers_that_are_none_do_not_count_as_sorted():
    for answer in ("['nan', 'nan']", "[NaN, NaN]", "[1, Infinity]", "['inf', '9']"):
        assert score_number_sorting(answer, ENTRIES["number_sorting"]) == 0.0


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1, 1.0),
        (0.25, 0.25),
        (float("nan"), 0.0),
        (float("inf"), 0.0),
        (-0.5, 0.0),
        (1.5, 0.0),
        (RecursionError(), 0.0),
    ],
)
def test_scores_of_the_package_are_checked(raw, expected):
    class Dataset:
        def score_answer(self, answer, entry):
            entry["metadata"]["written"] = True
            if isinstance(raw, Exception):
                raise raw
            return raw

    entry = {"answer": "a", "metadata": {}}
    assert score_answer("chain_sum", Dataset(), "a", entry) == expected
    assert score_answer("chain_sum", Dataset(), "a" * (LONGEST + 1), entry) == 0.0
    assert entry == {"answer": "a", "metadata": {}}


@pytest.mark.parametrize(
    ("name", "admitted", "kept_out"),
    [
        ("boxnet", ['[{"Agent[0.5, 0.5]": "move(box_red, target_red)"}]', "[]"],
         ['[{"a": "' + ", " * 200 + '"}]', "1", '[{"a": 1}]', "[" * 2**15]),
        ("coin_flip", ["0.5", "1/2", "1e-3", "1,000"], ["1e999999", "nan", "1/2/x", "1" * 401, "٣"]),
        ("complex_arithmetic", ["3 + 4i", "(1e2-j)"], ["nan", "inf", "nani", "(" * 401]),
        ("pool_matrix", ["1.0 2\n3 4e1", "5"], ["", "-", "nan", "# 1", "1; 2", "1 " * 60_000 + "x"]),
        ("prime_factorization", ["2 × 2 × 3"], ["9×" * 2049]),
        ("quantum_lock", ["A → B"], ["C" * 4097]),
        ("rubiks_cube", ["R U' F2 3Rw"], ["R9999", "R999", "R٩٩٩٩", "R " * 401]),
        ("rush_hour", ["A+1 B-12"], ["A+100", "A+٩٩٩", "A+1" * 2000]),
        ("sokoban", ["LRUD"], ["L" * 4097]),
    ],
)  # fmt: skip
def test_screens(name, admitted, kept_out):
    class Dataset:
        def score_answer(self, answer, entry):
            return 1.0

    for answer in admitted:
        assert score_answer(name, Dataset(), answer, {"answer": "", "metadata": {}}) == 1.0, answer
    for answer in kept_out:
        assert score_answer(name, Dataset(), answer, {"answer": "", "metadata": {}}) == 0.0, answer[:20]


def test_every_screen_is_tested():
    marks = test_screens.pytestmark[0].args[1]
    assert {row[0] for row in marks} == {name for name, review in REVIEWS.items() if review.screen}


PIECES = [*"19xXC+-*/()[],'.ePQ∧¬→0_٣E", "**", "sin(", "999", "exp(", "log(", "x**", "1/", "pi", "nan"]
PIECES += [" ", "\n", "\x00", "\ud800", '"']


@pytest.mark.parametrize("name", sorted(ENTRIES))
@settings(max_examples=30)
@given(data=st.data())
def test_any_text_gets_a_score(name, data):
    answer = data.draw(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
    result = REVIEWS[name].own(answer, ENTRIES[name])  # not through score_answer, which would hide an exception
    assert 0.0 <= result <= 1.0
