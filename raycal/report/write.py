"""Writes the report of a sweep: page, figures and tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import pandas as pd

from raycal.report.figures.charts import Plate
from raycal.report.figures.drawing import FORMATS, Format, render
from raycal.report.figures.plates import plates
from raycal.report.figures.slices import scenarios
from raycal.report.figures.style import Look, looks
from raycal.report.freshness import record
from raycal.report.page import page
from raycal.report.people.page import people_page
from raycal.report.people.plates import people_plates
from raycal.report.people.project import is_labeled_by_people, read_projects
from raycal.report.people.tables import first_answers_by_person, people_tables, probes_by_person
from raycal.report.runs import Runs
from raycal.report.stats.answer import Answer
from raycal.report.stats.answer import answers as answers_of_runs
from raycal.report.table_text import to_csv, to_latex
from raycal.report.tables import tables
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import OWNER_ONLY

PAGE = "report.html"
ON_TOP = ("figure2", "figure3")  # Figures of these kinds are also written as PNG beside the page.


def write_report(runs: Runs, folder: Folder, answers: Sequence[Answer] | None = None) -> list[str]:
    """Write the report into a folder and return the names of its files.

    The files are `report.html`, `figure2_<dataset>.png`, `figure3_<dataset>.png` and `summary.csv`, every figure as
    SVG, PDF and PNG in `figures/`, and every table as CSV and LaTeX in `tables/`. The same runs give the same bytes.
    The report of a project that people labeled has a figure and tables of its own.

    Args:
        runs: The trials.
        folder: The folder to write into.
        answers: The answer for each dataset. None means that it is computed from the runs.
    """
    names = []
    if is_labeled_by_people(runs):
        files = people_files(runs, to_trials=_to_trials(runs, folder))
    else:
        if answers is None:
            answers = answers_of_runs(runs)
        render_page = partial(page, answers=answers, to_trials=_to_trials(runs, folder))
        files = report_files(runs, plates(runs), answers=answers, render_page=render_page)
    for name, content in files:
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
    yield from _figure_files(drawn, look)
    yield from _table_files(frames)
    if "summary" in frames:
        yield "summary.csv", partial(_encoded, to_csv, frames["summary"])
    yield PAGE, partial(_encoded, render_page, runs, drawn, frames, look)


def people_files(runs: Runs, **options: Any) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the same pairs as `report_files`, for a project that people labeled.

    Args:
        runs: The trials.
        options: Further arguments of `people_page`.
    """
    projects, look = read_projects(runs), looks(scenarios(runs))
    frames, drawn = people_tables(projects), people_plates(projects)
    yield from _figure_files(drawn, look)
    yield from _table_files(frames)
    by_person = {"probes": probes_by_person(projects), "first_answers": first_answers_by_person(projects)}
    for name, table in by_person.items():
        if table is not None:
            yield f"{OWNER_ONLY}/{name}.csv", partial(_encoded, to_csv, table)
    yield PAGE, partial(_encoded, partial(people_page, projects=projects, **options), runs, drawn, frames, look)


def _figure_files(drawn: Sequence[Plate], look: Mapping[str, Look]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for plate in drawn:
        # The three files of a figure are drawn together, when the first one is needed.
        rendered = cache(partial(render, plate, look))
        for ending in FORMATS:
            yield f"figures/{plate.name}.{ending}", partial(_one_format, rendered, ending)
            if ending == "png" and plate.kind in ON_TOP:
                yield f"{plate.name}.png", partial(_one_format, rendered, ending)


def _table_files(frames: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for key, frame in frames.items():
        yield f"tables/{key}.csv", partial(_encoded, to_csv, frame)
        yield f"tables/{key}.tex", partial(_encoded, to_latex, frame)


def _one_format(rendered: Callable[[], Mapping[Format, bytes]], ending: Format) -> bytes:
    return rendered()[ending]


def _encoded(text_of: Callable[..., str], *arguments: object) -> bytes:
    return text_of(*arguments).encode()
