import re

import pytest
from small_runs import runs, supervised, threshold, trial

from raycal.report.figures.charts import Chart
from raycal.report.figures.drawing import draw_plate, drawing, render
from raycal.report.figures.panels import draw_panel
from raycal.report.figures.plates import plates
from raycal.report.figures.slices import scenarios
from raycal.report.figures.style import gid, looks

RUNS = runs(
    trial("random", 0, [0.4, 0.6, 0.7]),
    trial("random", 1, [0.5, 0.7, 0.8]),
    trial("uncertain-only", 0, [0.3, 0.6, 0.75]),
    supervised(0, 0.94),
    supervised(1, 0.96),
)
LOOKS = looks(scenarios(RUNS))


def test_lines_are_the_means_over_seeds() -> None:
    with drawing(text_as_paths=True):
        axes = draw_plate(plates(RUNS)[0], LOOKS).axes[0]
    lines = {line.get_gid(): line for line in axes.lines}

    assert lines[gid("random", LOOKS)].get_xydata().tolist() == [
        [100, pytest.approx(0.45)],
        [200, pytest.approx(0.65)],
        [300, pytest.approx(0.75)],
    ]
    assert lines[gid("uncertain-only", LOOKS)].get_xydata()[:, 1] == pytest.approx([0.3, 0.6, 0.75])
    assert lines[gid("supervised", LOOKS)].get_ydata() == pytest.approx([0.95, 0.95])
    (band,) = axes.collections
    assert band.get_paths()[0].get_extents().y1 == pytest.approx(0.75 + 0.0707107)


def test_same_scenario_looks_the_same_in_every_figure() -> None:
    with drawing(text_as_paths=True):
        drawn = [line for plate in plates(RUNS) for axes in draw_plate(plate, LOOKS).axes for line in axes.lines]
    colors = {(line.get_gid(), line.get_color()) for line in drawn}

    assert len(colors) == 3
    assert len({look.color for look in looks([f"own-{at}" for at in range(5)]).values()}) == 5


def test_text_is_readable_at_the_width_of_a_column() -> None:
    with drawing(text_as_paths=True):
        figure = draw_plate(plates(RUNS)[0], LOOKS)
        labels = [
            text for axes in figure.axes for text in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels())
        ]

    assert figure.get_figwidth() == 7.0
    assert min(text.get_fontsize() for text in labels) >= 7


def test_same_runs_give_the_same_bytes() -> None:
    plate = plates(RUNS)[0]
    first = render(plate, LOOKS)

    assert list(first) == ["svg", "pdf", "png"]
    assert first == render(plate, LOOKS)
    assert (first["pdf"][:4], first["png"][1:4]) == (b"%PDF", b"PNG")


def test_legend_tells_the_settings_of_each_scenario_at_its_best() -> None:
    many = [trial("cluster-only", 0, [value], settings=threshold(value)) for value in (0.6, 0.7, 0.8, 0.9)]
    of = runs(*many, trial("random", 0, [0.5]))
    with drawing(text_as_paths=True):
        (legend,) = draw_plate(plates(of)[0], looks(scenarios(of))).legends

    assert [text.get_text() for text in legend.get_texts()] == ["cluster-only (purity threshold 0.9)", "random"]


class TestPanel:
    @pytest.fixture
    def chart(self) -> Chart:
        return plates(RUNS)[0].rows[0][0]

    def test_points_lie_where_they_are_drawn(self, chart: Chart) -> None:
        with drawing(text_as_paths=False):
            panel = draw_panel(chart, LOOKS, prefix="f0")
        groups = panel.svg.split('<g class="')
        marked = "".join(group for group in groups if group.startswith('s0"'))
        marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: var\(--c757575', marked)
        drawn = [(float(x), float(y)) for x, y in marks if float(x)]
        told = [(x, y) for x, y, scenario, _ in panel.points if scenario == "s0"]

        assert len(drawn) == 3
        assert [one for pair in told for one in pair] == pytest.approx(
            [one for pair in drawn for one in pair], abs=0.06
        )
        assert panel.points[0][3] == "random\ntest accuracy: 0.450 ± 0.071\ninteractions: 100.00".removesuffix(
            ".00"
        ) + ("\nn = 2")

    def test_colors_are_those_of_the_page(self, chart: Chart) -> None:
        with drawing(text_as_paths=False):
            svg = draw_panel(chart, LOOKS, prefix="f0").svg

        assert "var(--c757575)" in svg
        assert not re.search(r"#(?!f0-)[0-9a-f]{6}", svg)

    def test_ids_of_two_panels_differ(self, chart: Chart) -> None:
        with drawing(text_as_paths=False):
            first, second = (
                set(re.findall(r'\bid="([^"]+)"', draw_panel(chart, LOOKS, prefix=prefix).svg)) for prefix in "ab"
            )

        assert first
        assert not first & second
