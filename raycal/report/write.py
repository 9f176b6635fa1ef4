"""Writes the report of a sweep: page, figures and tables."""

from collections.abc import Iterator, Sequence

from raycal.report.figures.drawing import render
from raycal.report.figures.plates import plates
from raycal.report.figures.slices import scenarios
from raycal.report.figures.style import looks
from raycal.report.freshness import record
from raycal.report.page import page
from raycal.report.runs import Runs
from raycal.report.stats.answer import Answer
from raycal.report.stats.answer import answers as answers_of_runs
from raycal.report.table_text import to_csv, to_latex
from raycal.report.tables import tables
from raycal.storage.folder import Folder

PAGE = "report.html"
ON_TOP = ("figure2", "figure3")  # kinds of figure that are also written as PNG beside the page


def write_report(runs: Runs, folder: Folder, answers: Sequence[Answer] | None = None) -> list[str]:
    """Write the report into a folder and return the names of its files.

    The files are `report.html`, `figure2_<dataset>.png`, `figure3_<dataset>.png` and `summary.csv`, every figure as
    SVG, PDF and PNG in `figures/`, and every table as CSV and LaTeX in `tables/`. The same runs give the same bytes.

    Args:
        runs: The trials.
        folder: The folder to write into.
        answers: The answer for each dataset. None means that it is computed from the runs.
    """
    if answers is None:
        answers = answers_of_runs(runs)
    names = []
    for name, content in _files(runs, answers, _to_trials(runs, folder)):
        folder.write(name, content)
        names.append(name)
    record(runs, folder)
    return names


def _to_trials(runs: Runs, folder: Folder) -> str | None:
    """The relative path from a page in the folder to the run folders; None unless they lie beside the folder."""
    places = {trial.folder.rpartition("/")[0] for trial in runs.trials if trial.folder}
    return "../" if places == {folder.uri.rpartition("/")[0]} else None


def _files(runs: Runs, answers: Sequence[Answer], to_trials: str | None) -> Iterator[tuple[str, bytes]]:
    frames, drawn, look = tables(runs, answers), plates(runs), looks(scenarios(runs))
    for plate in drawn:
        for ending, content in render(plate, look).items():
            yield f"figures/{plate.name}.{ending}", content
            if ending == "png" and plate.kind in ON_TOP:
                yield f"{plate.name}.png", content
    for key, frame in frames.items():
        yield f"tables/{key}.csv", to_csv(frame).encode()
        yield f"tables/{key}.tex", to_latex(frame).encode()
    if "summary" in frames:
        yield "summary.csv", to_csv(frames["summary"]).encode()
    yield PAGE, page(runs, drawn, frames, look, answers=answers, to_trials=to_trials).encode()
