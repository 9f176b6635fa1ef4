"""Renders the report of a labeling project as one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from raycal import __version__
from raycal.people.price_words import prices_yaml
from raycal.report.caveats import recipes
from raycal.report.figures.charts import Chart, Plate
from raycal.report.figures.drawing import drawing
from raycal.report.figures.panels import draw_panel, variable
from raycal.report.figures.slices import datasets
from raycal.report.figures.style import GRID, PAPER, Look
from raycal.report.montages import galleries
from raycal.report.page import ROWS_IN_PRINT, common_settings, environments_of, page_environment, statuses_of
from raycal.report.people.project import LabelingProject, noun_of
from raycal.report.people.quality import QUALITY_TABLES, quality_views
from raycal.report.people.tables import probes_view, rounds_view, time_view
from raycal.report.people.words import progress_words, result_words, steps_of_people
from raycal.report.runs import Runs

PARTS = (("clusters", "Clusters that people saw"), ("files", "Files"), ("made", "How this was made"))


def people_page(
    runs: Runs,
    plates: Sequence[Plate],
    tables: Mapping[str, pd.DataFrame],
    looks: Mapping[str, Look],
    *,
    projects: Sequence[LabelingProject],
    to_trials: str | None = None,
    template: str = "people.html",
    more: Mapping[str, Any] | None = None,
) -> str:
    """The HTML of the report.

    Args:
        runs: The trials.
        plates: The figures.
        tables: The tables by name.
        looks: The look of each scenario.
        projects: What is known about each trial.
        to_trials: The relative path from the page to the folder that holds the run folders; None if the page has no
            links to them.
        template: The template, which may extend the template of the report.
        more: What the template needs in addition to the report.
    """
    pictures = galleries(runs, with_unfinished=True)
    return page_environment(runs.name).get_template(template).render(
        version=__version__,
        name=runs.name,
        noun=noun_of(*runs.trials),
        datasets=datasets(runs),
        statuses=statuses_of(runs),
        recipes=recipes(runs),
        projects=[_shown(project) for project in projects],
        figures=_figures(plates, looks),
        has_chance=any(chart.chance is not None for chart in _charts(plates)),
        steps=steps_of_people(runs),
        colors={variable(look.color): look for look in looks.values()},
        grid=GRID,
        paper=PAPER,
        views={},
        rows_in_print=ROWS_IN_PRINT,
        files=sorted(tables),
        quality_files={name: words for name, words in QUALITY_TABLES.items() if name in tables},
        plates=plates,
        parts=[(key, title) for key, title in PARTS if key != "clusters" or pictures],
        galleries=pictures,
        to_trials=to_trials,
        common=yaml.safe_dump(common_settings(runs), sort_keys=False, allow_unicode=True).strip(),
        environments=environments_of(runs),
        **(more or {}),
    )  # fmt: skip


def _shown(project: LabelingProject) -> dict[str, Any]:
    """What the template shows of a project."""
    return {
        "id": project.trial.experiment_id,
        "title": project.trial.dataset_name,
        "words": result_words(project),
        "progress": progress_words(project),
        "reason": project.trial.reason if project.trial.status == "failed" else "",
        "rounds": rounds_view(project),
        "time": time_view(project) if project.spent else None,
        "quality": quality_views(project),
        "purity": None if project.purity is None else " ".join(project.purity.sentences(project.noun)),
        "probes": probes_view(project),
        "prices": None if project.prices is None else prices_yaml(project.prices, project.noun),
    }


def _figures(plates: Sequence[Plate], looks: Mapping[str, Look]) -> dict[str, list[dict[str, Any]]]:
    """The figures with their drawn panels, by the kind of figure."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    with drawing(text_as_paths=False):
        for number, plate in enumerate(plates):
            panels = [
                (
                    chart,
                    draw_panel(chart, looks, prefix=f"f{number}"),
                    draw_panel(chart, looks, prefix=f"f{number}w", is_wide=True),
                )
                for row in plate.rows
                for chart in row
            ]
            by_kind.setdefault(plate.kind, []).append({"plate": plate, "panels": panels, "caption": plate.caption})
    return by_kind


def _charts(plates: Sequence[Plate]) -> list[Chart]:
    return [chart for plate in plates for row in plate.rows for chart in row]
