"""Tests that figure 2, drawn in axes of the caller, shows the same as in the report."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_sweeps import sweep_folder
from matplotlib.colors import to_hex

from raycal import InputError, SweepResults, plot_accuracy, read_sweep
from raycal.report.figures.plates import figure2
from raycal.report.figures.slices import slices
from raycal.report.runs import read_runs

GRID = {"scenario": ["random", "cluster-only", "supervised"], "expert.purity_threshold": [0.7, 0.9], "seed": [0, 1]}
ACCURACIES = {
    ("random", None, 0): [0.25, 0.5],
    ("random", None, 1): [0.5, 0.75],
    ("cluster-only", 0.7, 0): [0.25, 0.5],
    ("cluster-only", 0.7, 1): [0.25, 0.75],
    ("cluster-only", 0.9, 0): [0.5, 0.75],
    ("cluster-only", 0.9, 1): [0.5, 1.0],
    ("supervised", None, 0): [0.875],
    ("supervised", None, 1): [1.0],
}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def sweep(tmp_path: Path) -> SweepResults:
    return read_sweep(sweep_folder(tmp_path, ACCURACIES, GRID))


def lines(ax: plt.Axes) -> dict[str, tuple[list[float], list[float]]]:
    """The points of each labeled line."""
    drawn = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}


def legend(ax: plt.Axes) -> list[str]:
    found = ax.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def test_lines_are_means_over_seeds_at_the_best_setting(sweep: SweepResults) -> None:
    ax = plot_accuracy(sweep)

    assert lines(ax) == {
        "random": ([10, 20], [0.375, 0.625]),
        "cluster-only (purity threshold 0.9)": ([10, 20], [0.5, 0.875]),
    }
    assert legend(ax) == ["random", "cluster-only (purity threshold 0.9)", "full supervision"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("interactions (images or clusters shown)", "test accuracy")


def test_band_is_one_sample_standard_deviation(sweep: SweepResults) -> None:
    ax = plot_accuracy(sweep, scenarios=["random"])

    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    std = np.std([0.5, 0.75], ddof=1)
    assert corners[corners[:, 0] == 20][:, 1].min() == pytest.approx(0.625 - std)
    assert corners[corners[:, 0] == 20][:, 1].max() == pytest.approx(0.625 + std)


def test_look_is_that_of_the_report(sweep: SweepResults) -> None:
    ax = plot_accuracy(sweep, settings={"expert.purity_threshold": 0.7})

    looks = {line.get_label(): (to_hex(line.get_color()), line.get_marker()) for line in ax.lines}
    assert looks["random"] == ("#757575", "v")
    assert looks["cluster-only"] == ("#009e73", "^")
    (level,) = [line for line in ax.lines if str(line.get_label()).startswith("_")]
    assert (to_hex(level.get_color()), list(level.get_ydata())) == ("#1b1b1b", [0.9375, 0.9375])


@pytest.mark.parametrize("threshold", [0.7, 0.9])
def test_lines_are_those_of_the_reports_figure(sweep: SweepResults, threshold: float) -> None:
    shown = slices(read_runs(sweep.folder))
    (part,) = [one for one in shown if str(threshold) in one.title]
    plate = figure2("digits", [part])
    assert plate is not None
    series = {one.label: (list(one.x), list(one.mean)) for one in plate.rows[0][0].series}

    assert lines(plot_accuracy(sweep, settings={"expert.purity_threshold": threshold})) == series
    ax = plot_accuracy(sweep, settings={"expert.purity_threshold": threshold}, zoomed=True)
    assert (ax.get_xlim(), ax.get_ylim()) == (plate.rows[0][1].x_range, plate.rows[0][1].y_range)


def test_rows_of_the_results_are_drawn_like_the_sweep(sweep: SweepResults) -> None:
    results = sweep.results
    assert lines(plot_accuracy(results)) == lines(plot_accuracy(sweep))
    assert lines(plot_accuracy(results[results["seed"] == 0])) == {
        "random": ([10, 20], [0.25, 0.5]),
        "cluster-only (purity threshold 0.9)": ([10, 20], [0.5, 0.75]),
    }
    twice = pd.concat([results, results], ignore_index=True)
    assert lines(plot_accuracy(twice)) == lines(plot_accuracy(sweep))


def test_axes_of_the_caller_are_drawn_in_and_keep_their_title(sweep: SweepResults) -> None:
    figure, (left, right) = plt.subplots(1, 2)
    left.set_title("mine")
    size = mpl.rcParams["font.size"]

    assert plot_accuracy(sweep, left, legend=False) is left
    assert plot_accuracy(sweep, ax=right, scenarios=["supervised"]) is right
    assert (left.get_title(), legend(left), len(plt.get_fignums())) == ("mine", [], 1)
    assert lines(right) == {}
    assert legend(right) == ["full supervision"]
    assert mpl.rcParams["font.size"] == size
    assert figure.axes == [left, right]


def test_trials_that_did_not_finish_are_not_drawn(tmp_path: Path) -> None:
    folder = sweep_folder(tmp_path, ACCURACIES, GRID, failed=[1])
    assert lines(plot_accuracy(read_sweep(folder)))["random"] == ([10, 20], [0.25, 0.5])


def test_upper_bound_is_drawn_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    grid = {"scenario": ["cluster-only"], "clustering.order": ["size", "oracle"], "expert.purity_threshold": [0.7]}
    folder = sweep_folder(tmp_path, {("cluster-only", 0.7, 0): [0.5, 0.75]}, grid)
    results = read_sweep(folder).results

    assert results["upper_bound"].tolist() == [False, False, True, True]
    assert list(lines(plot_accuracy(results))) == ["cluster-only (order size)"]
    assert list(lines(plot_accuracy(results[results["upper_bound"]]))) == ["cluster-only"]


class TestRefusal:
    def words(self, *arguments: object, **options: object) -> list[str]:
        with pytest.raises(InputError) as refused:
            plot_accuracy(*arguments, **options)  # type: ignore[arg-type]
        assert plt.get_fignums() == []
        return list(refused.value.problems)

    def test_several_datasets(self, tmp_path: Path) -> None:
        accuracies = {("random", None, 0): [0.5]}
        grid = {"dataset": ["digits", {"name": "digits", "train_size": 50}], "scenario": ["random"]}
        sweep = read_sweep(sweep_folder(tmp_path, accuracies, grid))

        names = sweep.trials["dataset"].tolist()
        assert len(set(names)) == 2
        (line,) = self.words(sweep)
        assert line == f"dataset: should be one of {names[0]!r}, {names[1]!r}, because accuracies on them differ"
        assert lines(plot_accuracy(sweep, dataset=names[1])) == {"random": ([10], [0.5])}

    def test_names_that_are_not_there(self, sweep: SweepResults) -> None:
        assert self.words(sweep, dataset="digit", scenarios=["randon"]) == [
            "dataset: there is no 'digit' (did you mean 'digits'?)",
            "scenarios: there is no 'randon' (did you mean 'random'?)",
        ]
        assert self.words(sweep, settings={"expert.purity": 0.7})[0].startswith(
            "settings: 'expert.purity': no such column (did you mean 'expert.purity_threshold'?)"
        )
        assert self.words(sweep, scenarios="random") == ["scenarios: should be a list of names, not the text 'random'"]

    def test_nothing_finished(self, tmp_path: Path) -> None:
        sweep = read_sweep(sweep_folder(tmp_path, {}, GRID))
        assert self.words(sweep) == ["there is nothing to draw: none of the requested trials has finished"]

    def test_what_are_no_results(self, sweep: SweepResults) -> None:
        assert self.words("runs/made") == ["sweep: should be SweepResults or rows of its results, not of type str"]
        assert self.words(sweep.trials)[0] == "sweep: the column 'interactions' is missing"
