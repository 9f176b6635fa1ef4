"""Writes the report of a sweep: page, figures and tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

from raycal.report.figures.charts import Plate
from raycal.report.figures.drawing import FORMATS, Format, render
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
    drawn = plates(runs)
    render_page = partial(page, answers=answers, to_trials=_to_trials(runs, folder))
    for name, content in report_files(runs, drawn, answers=answers, render_page=render_page):
        folder.write(name, content())
        names.append(name)
    record(runs, folder)
    return names


def _to_trials(runs: Runs, folder: Folder) -> str | None:
    """The relative path from a page in the folder to the run folders. None if the run folders are not beside the
    folder."""
    places = {trial.folder.rpartition("/")[0] for trial in runs.trials if trial.folder}
    return "../" if places == {folder.uri.rpartition("/")[0]} else None


def report_files(
    runs: Runs,
    drawn: Sequence[Plate],
    *,
    answers: Sequence[Answer] | None = None,
    render_page: Callable[..., str] = page,
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each file of a report, with a function that makes its content.

    Args:
        runs: The trials.
        drawn: The figures.
        answers: The answer for each dataset. None means that it is computed from the runs.
        render_page: Renders the page from the trials, the figures, the tables and the looks, as `page` does.
    """
    frames, look = tables(runs, answers), looks(scenarios(runs))
    for plate in drawn:
        rendered = cache(partial(render, plate, look))  # its three files are drawn together, when the first is needed
        for ending in FORMATS:
            yield f"figures/{plate.name}.{ending}", partial(_one_format, rendered, ending)
            if ending == "png" and plate.kind in ON_TOP:
                yield f"{plate.name}.png", partial(_one_format, rendered, ending)
    for key, frame in frames.items():
        yield f"tables/{key}.csv", partial(_encoded, to_csv, frame)
        yield f"tables/{key}.tex", partial(_encoded, to_latex, frame)
    if "summary" in frames:
        yield "summary.csv", partial(_encoded, to_csv, frames["summary"])
    yield PAGE, partial(_encoded, render_page, runs, drawn, frames, look)


def _one_format(rendered: Callable[[], Mapping[Format, bytes]], ending: Format) -> bytes:
    return rendered()[ending]


def _encoded(text_of: Callable[..., str], *arguments: object) -> bytes:
    return text_of(*arguments).encode()
