"""Panels of figures: labels that do not overlap, and estimates beside their bounds."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from envzoo.scripts.experiments.core.figures import format_steps
from envzoo.scripts.experiments.core.hero import draw_hero, hero_rows
from envzoo.scripts.experiments.core.panels import Row, dots, entry_of, heading, median_curves, spread, verdicts
from envzoo.scripts.experiments.core.results import Results


@given(st.lists(st.floats(-10, 10), max_size=8), st.floats(0.01, 3))
def test_labels_are_moved_apart_and_no_further(heights, gap):
    heights = sorted(heights)
    moved = spread(heights, gap)
    assert len(moved) == len(heights)
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(moved))
    assert sum(moved) == pytest.approx(sum(heights), abs=1e-9)
    if all(b - a >= gap for a, b in pairwise(heights)):
        assert moved == pytest.approx(heights)


def test_labels_of_equal_heights_are_centred():
    assert spread([1.0, 1.0, 1.0], 0.5) == pytest.approx([0.5, 1.0, 1.5])
    assert spread([0.0, 0.9, 5.0], 1.0) == pytest.approx([-0.05, 0.95, 5.0])


def entry(verdict, value, threshold):
    return {"sentence": f"it {verdict}", "verdict": verdict, "value": value, "interval": None, "threshold": threshold}


def results(verdict="fails"):
    curves = {"timesteps": [1.0, 2.0, 3.0], "y": [0.0, 1.0, None]}
    runs = [{"seed": seed, "scores": {}, "curves": curves} for seed in range(3)]
    data = {"arms": {"a": {"runs": runs}}, "paper": {"slug": "00-none"}, "verdict": verdict, "seeds": [0]}
    checks = [{**entry("holds", 1.0, 0.5), "primary": True, "components": [entry("fails", 0.1, [0.2, 0.3])]}]
    return Results({**data, "checks": checks})


def test_a_figure_says_its_verdict_and_marks_its_bounds():
    figure, found = Figure(), results()
    heading(figure, found, "the claim " * 20, 4.0)
    assert figure._suptitle.get_text().startswith("Fails: the claim")
    assert max(map(len, figure._suptitle.get_text().splitlines())) <= 76
    first, second = figure.subplots(1, 2)
    verdicts(first, [("one", found.data["checks"][0]), ("two", entry_of(found, "it fails"))])
    marks = [line.get_xdata().tolist() for line in first.lines if line.get_marker() == "|"]
    assert marks == [[0.5], [0.2, 0.3]]
    assert [label.get_text() for label in first.get_yticklabels()] == ["one", "two"]
    with pytest.raises(LookupError):
        entry_of(found, "nothing")
    dots(second, [Row("mean", np.array([1.0, 3.0]), "black")])
    assert [text.get_text() for text in second.texts] == ["2"]


def test_curves_are_medians_with_labels_at_their_ends():
    axes = Figure().subplots()
    median_curves(axes, results(), {"a": "red", "absent": "blue"}, "y", {"a": "arm a"}, references={"top": (2.0, "k")})
    assert axes.lines[0].get_ydata().tolist() == [0.0, 1.0]
    assert sorted(text.get_text() for text in axes.texts) == ["arm a", "top"]


def check(sentence, value, interval, operator, threshold, verdict, primary=True, **more):
    bounds = {"value": value, "interval": interval, "operator": operator, "threshold": threshold}
    return {"sentence": sentence, **bounds, "verdict": verdict, "primary": primary, **more}


def test_the_hero_panel_has_a_row_for_each_primary_check_or_its_components():
    long = "a sentence " * 9
    parts = [
        check("one", 1.0, [0.5, None], ">", 0.0, "holds", False),
        check(long, 2.0, [1.5, 2.5], "in", [1, 3], "fails"),
    ]
    checks = [
        check("both", None, None, "all", None, "fails", components=parts),
        check("exact", 0.0, None, "<", 0.0, "holds"),
        check("waits", None, None, ">", 1.0, "not run"),
        check("other", 5.0, [4, 6], ">", 0.0, "holds", False),
    ]
    paper = {"title": "A paper with a title " * 12, "slug": "97-paper"}
    results = Results({"arms": {}, "checks": checks, "verdict": "fails", "paper": paper})
    assert [words for words, _ in hero_rows(results)] == ["both: one", long, "exact", "waits"]
    figure = Figure()
    draw_hero(results, figure)
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "1 [0.5, -]  (> 0)" in shown
    assert "2 [1.5, 2.5]  (in [1, 3])" in shown
    assert figure.get_suptitle().startswith("Fails: A paper")
    assert figure.get_supxlabel().startswith("95% intervals")
    parts[1]["confidence"] = 0.9875
    again = Figure()
    draw_hero(results, again)
    assert again.get_supxlabel().startswith("98.75% intervals")
    draw_hero(Results({"arms": {}, "checks": [], "verdict": "not judged", "paper": paper}), Figure())


@pytest.mark.parametrize(
    ("steps", "text"), [(0, "0"), (500, "500"), (2_500, "2.5k"), (20_000, "20k"), (1.5e6, "1.5M"), (1e7, "10M")]
)
def test_steps_on_an_axis(steps, text):
    assert format_steps(steps) == text
