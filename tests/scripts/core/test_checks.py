"""Verdicts of checks, on results made by hand."""

import math

import numpy as np
import pytest

from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.experiments.core.checks import (
    Check,
    Difference,
    Ratio,
    Score,
    all_of,
    equivalence,
    exact,
    point,
    seeded,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.verdicts import combine


def results(**arms):
    """Results of arms given as {seed: value} or lists of values."""
    data = {}
    for name, values in arms.items():
        pairs = values.items() if isinstance(values, dict) else enumerate(values)
        runs = [{"seed": seed, "scores": {"x": value}, "curves": {}, "seconds": 0.0} for seed, value in pairs]
        data[name] = {"group": "", "runs": runs}
    return Results({"arms": data, "seeds": []})


GOOD = [1.0, 1.2, 0.9, 1.1, 1.05]
BAD = [0.0, 0.1, -0.1, 0.2, 0.05]
BOTH = results(good=GOOD, bad=BAD)
SWAP = {"good": "bad"}


@pytest.mark.parametrize(
    ("operator", "threshold", "verdict"),
    [
        (">", 0.5, "holds"),
        (">=", 1.0, "inconclusive"),
        (">", 2.0, "fails"),
        ("<", 2.0, "holds"),
        ("<=", 1.0, "inconclusive"),
        ("<", 0.5, "fails"),
    ],
)
def test_the_whole_interval_decides(operator, threshold, verdict):
    entry = seeded("s", Score("good", "x"), operator, threshold, null=SWAP).judge(BOTH)
    assert entry["verdict"] == verdict
    assert entry["n"] == 5
    assert entry["interval"][0] < entry["value"] < entry["interval"][1]
    assert entry["seeds_needed"] is None or entry["seeds_needed"] >= 2


def test_an_entry_has_all_that_a_reader_needs():
    check = seeded("s", Score("good", "x"), ">", 0.5, null=SWAP, paper_claim="the paper says 2", primary=True)
    assert set(check.judge(BOTH)) == {
        *("sentence", "kind", "primary", "paper_claim", "estimand", "value", "interval", "method", "confidence", "n"),
        *("operator", "threshold", "verdict", "seeds_needed"),
    }
    assert check.judge(BOTH, judged=False)["verdict"] == "not judged"


def test_pairs_share_seeds():
    found = results(a={0: 1.0, 1: 2.0, 2: 3.0}, b={2: 1.0, 1: 1.0, 7: 100.0})
    assert Difference("a", "b", "x")(found) == pytest.approx([1.0, 2.0])
    assert Ratio("a", "b", "x")(found) == pytest.approx([2.0, 3.0])
    with pytest.raises(EnvzooError, match="share no seeds"):
        Difference("a", "c", "x")(results(a={0: 1.0}, c={1: 1.0}))


@pytest.mark.parametrize(("count", "verdict"), [(5, "inconclusive"), (6, "holds")])
def test_equal_values_need_six_seeds(count, verdict):
    check = seeded("s", Score("a", "x"), ">", 0.5, null={"a": "b"})
    assert check.judge(results(a=[1.0] * count, b=[0.0] * count))["verdict"] == verdict
    at_the_bound = seeded("s", Score("a", "x"), ">=", 0.5, null={"a": "b"})
    assert at_the_bound.judge(results(a=[0.5] * count))["verdict"] == "inconclusive"


def test_proportions_of_ones_are_judged_by_wilson():
    check = seeded("s", Score("a", "x"), ">", 0.5, estimand="proportion", null={"a": "b"})
    assert check.judge(results(a=[1.0] * 10))["verdict"] == "holds"
    assert check.judge(results(a=[1.0] * 3))["verdict"] == "inconclusive"


def test_equivalence_needs_the_interval_inside():
    for low, high, verdict in ((0.5, 1.5, "holds"), (1.0, 1.5, "inconclusive"), (2.0, 3.0, "fails")):
        check = equivalence("s", Score("good", "x"), low, high, null=SWAP)
        entry = check.judge(BOTH)
        assert (entry["verdict"], entry["operator"], entry["threshold"]) == (verdict, "in", [low, high])
    with pytest.raises(EnvzooError, match="low < high"):
        equivalence("s", Score("good", "x"), 1.0, 1.0, null=SWAP)


def test_exact_checks_have_no_interval():
    check = exact("s", lambda _: 1e-9, "<", 1e-6, null=lambda _: 1.0)
    entry = check.judge(BOTH)
    assert (entry["verdict"], entry["interval"], entry["n"]) == ("holds", None, None)
    assert check.under_null(BOTH)["verdict"] == "fails"
    assert exact("s", lambda _: math.nan, "<", 1e-6, null=lambda _: 1.0).judge(BOTH)["verdict"] == "fails"


def test_all_components_must_hold():
    holds = seeded("a", Score("good", "x"), ">", 0.5, null=SWAP)
    open_ = seeded("b", Score("good", "x"), ">", 1.0, null=SWAP)
    fails = seeded("c", Score("good", "x"), ">", 2.0, null=SWAP)
    for parts, verdict in (((holds, holds), "holds"), ((holds, open_), "inconclusive"), ((open_, fails), "fails")):
        entry = all_of("s", *parts).judge(BOTH)
        assert entry["verdict"] == verdict
        assert [part["sentence"] for part in entry["components"]] == [part.sentence for part in parts]
    both = all_of("s", holds, open_).judge(BOTH)
    assert both["seeds_needed"] == max(part["seeds_needed"] for part in both["components"])
    assert all_of("s", holds, fails).judge(BOTH, judged=False)["components"][1]["verdict"] == "not judged"
    with pytest.raises(EnvzooError, match="no components"):
        all_of("s")


def test_under_its_null_a_check_must_not_hold():
    assert seeded("s", Score("good", "x"), ">", 0.5, null=SWAP).under_null(BOTH)["verdict"] == "fails"
    paired = seeded("s", Difference("good", "bad", "x"), ">", 0.2, null=SWAP)
    assert paired.judge(BOTH)["verdict"] == "holds"
    assert paired.under_null(BOTH)["verdict"] != "holds"
    assert all_of("s", paired).under_null(BOTH)["verdict"] != "holds"
    with pytest.raises(EnvzooError, match="names no null"):
        Check("s", "seeded", Score("good", "x"), ">", 0.5).under_null(BOTH)


@pytest.mark.parametrize(("estimand", "threshold"), [("mean", 0), ("median", 0), ("ratio", 1)])
def test_no_difference_must_not_be_enough(estimand, threshold):
    with pytest.raises(EnvzooError, match="would hold for no difference at all"):
        seeded("s", Score("good", "x"), ">=", threshold, null=SWAP, estimand=estimand)
    seeded("s", Score("good", "x"), ">", threshold, null=SWAP, estimand=estimand)
    seeded("s", Score("good", "x"), ">=", threshold - 0.1, null=SWAP, estimand=estimand)


def test_unknown_words_are_named():
    with pytest.raises(UnknownNameError, match="operator of a check"):
        seeded("s", Score("good", "x"), "=>", 1.0, null=SWAP)
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        seeded("s", Score("good", "x"), ">", 1.0, null=SWAP, estimand="medien")
    with pytest.raises(UnknownNameError, match="kind of check"):
        Check("s", "exakt", Score("good", "x"))


def test_points_are_shown_and_not_judged():
    entry = point("s", lambda found: float(np.mean(found.scores("good", "x"))), ">", 0.5).judge(BOTH)
    assert (entry["verdict"], entry["value"]) == ("not judged", pytest.approx(1.05))


def test_verdicts_combine():
    assert combine(["holds", "holds"]) == "holds"
    assert combine(["holds", "inconclusive", "fails"]) == "fails"
    assert combine(["holds", "inconclusive"]) == "inconclusive"
    assert combine(["holds", "not judged"]) == "not judged"
    assert combine([]) == "not judged"
