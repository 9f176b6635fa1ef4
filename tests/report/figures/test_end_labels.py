"""Tests the names at the ends of lines: their places, and that they never overlap."""

from itertools import pairwise

import pytest
from matplotlib.text import Annotation
from small_runs import line, runs, supervised, trial

from raycal.report.figures.charts import Chart, with_shared_budget
from raycal.report.figures.drawing import draw_plate, drawing
from raycal.report.figures.end_labels import spread
from raycal.report.figures.panels import draw_panel
from raycal.report.figures.plates import plates
from raycal.report.figures.slices import scenarios
from raycal.report.figures.style import looks
from raycal.report.runs import Runs

SCENARIOS = ("random", "uncertain-only", "cluster-only", "uncertain+cluster", "cluster+uncertain", "ceal")


def crowded(*, chance: float | None = 0.13) -> Runs:
    """Six scenarios that all end within 0.01 of each other."""
    known = {} if chance is None else {"chance_accuracy": chance}
    curves = [
        trial(name, 0, lines=[line(0, 0.5 + at / 50, **known), line(1, 0.7 + at / 600, **known)])
        for at, name in enumerate(SCENARIOS)
    ]
    return runs(*curves, supervised(0, 0.705))


class TestSpread:
    def test_labels_with_room_stay_where_they_are(self) -> None:
        assert spread([50, 10, 90], [10, 10, 10], 0, 100) == [50, 10, 90]

    def test_labels_at_one_height_move_apart_around_it(self) -> None:
        assert spread([50, 50, 50], [10, 10, 10], 0, 100) == [40, 50, 60]

    def test_labels_keep_the_order_of_their_lines(self) -> None:
        assert spread([52, 50, 51, 80], [10, 10, 10, 10], 0, 100) == [61, 41, 51, 80]

    def test_labels_stay_inside_the_room(self) -> None:
        assert spread([99, 100, -5], [10, 10, 10], 0, 100) == [85, 95, 5]

    @pytest.mark.parametrize("count", [1, 5, 12, 30])
    def test_no_two_overlap_even_without_room(self, count: int) -> None:
        placed = sorted(spread([(7 * at) % 13 for at in range(count)], [10] * count, 0, 100))
        assert all(high - low >= 10 - 1e-9 for low, high in pairwise(placed))


class TestFigure2:
    def test_every_line_is_named_once_and_no_name_covers_another(self) -> None:
        of = crowded()
        with drawing(text_as_paths=True):
            figure = draw_plate(plates(of)[0], looks(scenarios(of)))
            figure.draw_without_rendering()
            texts = [text for text in figure.axes[0].texts if isinstance(text, Annotation)]
            boxes = sorted((super(Annotation, text).get_window_extent() for text in texts), key=lambda box: box.y0)

        names = ["full supervision 0.705", "guessing, up to 0.130"]
        assert sorted(text.get_text() for text in texts) == sorted([*SCENARIOS, *names])
        assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
        assert all(box.x0 > figure.axes[0].get_window_extent().x1 for box in boxes)
        assert figure.legends == []

    def test_names_have_the_order_of_the_lines(self) -> None:
        of = crowded(chance=None)
        with drawing(text_as_paths=True):
            figure = draw_plate(plates(of)[0], looks(scenarios(of)))
        heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}

        assert [heights[name] for name in SCENARIOS] == sorted(heights[name] for name in SCENARIOS)

    def test_guessing_is_a_line_only_where_it_is_known(self) -> None:
        assert plates(crowded())[0].rows[0][0].chance == 0.13
        assert plates(crowded(chance=None))[0].rows[0][0].chance is None

    def test_panels_of_the_page_are_named_too_and_use_its_colors(self) -> None:
        of = crowded()
        with drawing(text_as_paths=False):
            svg = draw_panel(plates(of)[0].rows[0][0], looks(scenarios(of)), prefix="f", is_wide=True).svg

        assert all(f">{name}</text>" in svg for name in SCENARIOS)
        assert "guessing, up to 0.130" in svg
        assert "var(--faint)" in svg


class TestSharedBudget:
    @staticmethod
    def whole(of: Runs) -> Chart:
        return plates(of)[0].rows[0][0]

    def test_axis_ends_where_the_shortest_line_ends(self) -> None:
        long = trial("random", 0, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
        of = runs(long, trial("cluster-only", 0, [0.5, 0.6, 0.7]), supervised(0, 0.9))

        assert self.whole(of).x_range == (94, 306)
        assert self.whole(of).series[0].x == (100, 200, 300, 400, 500, 600)
        assert "all scenarios spent; random goes on." in plates(of)[0].caption

    def test_scenario_with_a_single_evaluation_does_not_squash_the_others(self) -> None:
        once = trial("cluster-only", 0, lines=[line(0, 0.9, interactions=5000)])
        of = runs(trial("random", 0, [0.3, 0.4, 0.5]), once)

        assert self.whole(of).x_range == (94, 306)
        assert "cluster-only goes on." in plates(of)[0].caption

    def test_name_stands_where_a_long_line_leaves_the_axes(self) -> None:
        of = runs(trial("random", 0, [0.3, 0.4, 0.5, 0.6]), trial("cluster-only", 0, [0.5, 0.6, 0.7]))
        with drawing(text_as_paths=True):
            axes = draw_plate(plates(of)[0], looks(scenarios(of))).axes[0]
        ends = {text.get_text(): text.xy for text in axes.texts if isinstance(text, Annotation)}

        assert ends["random"] == (306, pytest.approx(0.506))
        assert ends["cluster-only"] == (300, pytest.approx(0.7))

    def test_single_evaluations_alone_keep_the_automatic_range(self) -> None:
        chart = self.whole(runs(trial("random", 0, [0.3]), trial("cluster-only", 0, [0.5])))
        assert with_shared_budget(chart).x_range is None
