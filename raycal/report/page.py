"""Renders the report as one self-contained HTML file that needs no server, no network and no clock."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from raycal import __version__
from raycal.report.caveats import caveats, recipes
from raycal.report.cells import cell_text, kind
from raycal.report.expert_time import cost_words, expert_time, in_minutes
from raycal.report.figures.captions import deviation
from raycal.report.figures.charts import Chart, Plate
from raycal.report.figures.drawing import drawing
from raycal.report.figures.panels import draw_panel, variable
from raycal.report.figures.plates import ZOOMED
from raycal.report.figures.slices import datasets
from raycal.report.figures.style import GRID, PAPER, Look, gid
from raycal.report.montages import galleries
from raycal.report.next_steps import next_steps, sweep_command
from raycal.report.runs import Runs
from raycal.report.stats.answer import Answer
from raycal.report.stats.answer import answers as answers_of_runs
from raycal.report.stats.curves import final_accuracy
from raycal.report.sweep_file import sweep_file
from raycal.report.views import one_seed_words, views
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

STATUSES = {
    "finished": "finished",
    "stopped": "stopped early",
    "failed": "failed",
    "unfinished": "not finished",
    "removed": "no longer in the sweep file",
}
ROWS_IN_PRINT = 40
HOURS = "human time (hours)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One folded part of the evidence.

    Attributes:
        key: The anchor of the part and, for a table, the name of its files.
        title: The heading, which the list of contents repeats.
        figures: The kinds of figures that the part shows.
    """

    key: str
    title: str
    figures: tuple[str, ...] = ()


# The parts of the evidence, in the order of the page.
PARTS = (
    Part(key="summary", title="All scenarios and settings"),
    Part(key="zoomed", title="Where the scenarios differ", figures=("zoomed",)),
    Part(key="targets", title="Interactions needed for an accuracy"),
    Part(key="pairwise", title="Scenarios compared over the same seeds"),
    Part(key="penalty", title="How often a scenario beats another one"),
    Part(key="clusters", title="Clusters and their labels", figures=("figure3",)),
    Part(key="images", title="Accuracy by annotated images", figures=("images",)),
    Part(key="break_even", title="What a cluster may cost", figures=("break_even",)),
    Part(key="sensitivity", title="How much each setting matters", figures=("sensitivity",)),
    Part(key="parity", title="The claims of the paper"),
    Part(key="failures", title="Trials that did not finish"),
    Part(key="trials", title="All trials, with links to their files"),
    Part(key="files", title="Tables and figures as files"),
    Part(key="made", title="How this was made"),
)


def page(
    runs: Runs,
    plates: Sequence[Plate],
    tables: Mapping[str, pd.DataFrame],
    looks: Mapping[str, Look],
    *,
    answers: Sequence[Answer] | None = None,
    to_trials: str | None = None,
    template: str = "page.html",
    more: Mapping[str, Any] | None = None,
) -> str:
    """The HTML of the report.

    Args:
        runs: The trials.
        plates: The figures.
        tables: The tables by name.
        looks: The look of each scenario.
        answers: The answer for each dataset. None means that it is computed from the runs.
        to_trials: The relative path from the page to the folder that holds the run folders; None if the page has no
            links to them.
        template: The template, which may extend the template of the report.
        more: What the template needs in addition to the report.
    """
    shown = {key: views(key, frame) for key, frame in tables.items() if key != "recommendation"}
    figures = _figures(plates, looks)
    pictures = galleries(runs)
    filled = {
        "clusters": pictures,
        "trials": runs.trials,
        "files": plates or shown,
        "made": True,
    }
    return (
        page_environment(runs.name)
        .get_template(template)
        .render(
            version=__version__,
            name=runs.name,
            datasets=datasets(runs),
            num_trials=len(runs.trials),
            statuses=statuses_of(runs),
            warnings=runs.warnings,
            removed_words=runs.removed_words,
            recipes=recipes(runs),
            caveats=caveats(runs),
            answers=answers_of_runs(runs) if answers is None else answers,
            one_seed=one_seed_words(tables),
            steps=next_steps(runs, tables),
            figures=figures,
            lines={name: any(getattr(chart, name) for chart in _first_panels(plates)) for name in ("levels", "chance")},
            scenarios=[(name, gid(name, looks), look) for name, look in looks.items()],
            colors={variable(look.color): look for look in looks.values()},
            grid=GRID,
            paper=PAPER,
            views=shown,
            files=sorted(tables),
            plates=plates,
            rows_in_print=ROWS_IN_PRINT,
            parts=[
                part
                for part in PARTS
                if shown.get(part.key) or filled.get(part.key) or any(kind in figures for kind in part.figures)
            ],
            expert_time=expert_time(runs),
            cost_words=cost_words(runs),
            galleries=pictures,
            trials=_trials(runs),
            to_trials=to_trials,
            sweep_file=sweep_file(runs),
            rerun=sweep_command(runs.name, storage="runs-again"),
            common=yaml.safe_dump(common_settings(runs), sort_keys=False, allow_unicode=True).strip(),
            varied=_varied(runs),
            environments=environments_of(runs),
            **(more or {}),
        )
    )


@lru_cache(maxsize=8)
def page_environment(name: str) -> Environment:
    """The environment in which the templates of a sweep's or project's page are rendered.

    It is kept with its compiled templates, because a live page is rendered again and again.
    """
    environment = Environment(
        loader=PackageLoader("raycal.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["css_variable"] = lambda color: f"var({variable(color)})"
    environment.filters["url"] = lambda text: quote(text)
    environment.globals.update(kind=kind, zip=zip, segments=partial(_segments, name))
    return environment


def statuses_of(runs: Runs) -> dict[str, int]:
    """The number of trials by status, with the status in words."""
    counts = Counter[str](
        "removed" if trial.is_removed and trial.status in ("failed", "unfinished") else trial.status
        for trial in runs.trials
    )
    return {words: counts[status] for status, words in STATUSES.items() if status in counts}


def _figures(plates: Sequence[Plate], looks: Mapping[str, Look]) -> dict[str, list[dict[str, Any]]]:
    """The figures with their drawn panels, by the kind of figure.

    Two figures are divided. The panels of figure 2 that show the whole range are at the top of the page, and its zoomed
    panels are under "Evidence". The panels of the cost figure with the time of the expert follow figure 2, and the
    panels with the annotated images are under "Evidence".
    """
    by_kind: dict[str, list[dict[str, Any]]] = {}
    with drawing(text_as_paths=False):
        for number, plate in enumerate(plates):
            for kind_of_part, charts in _divided(plate):
                is_lead = kind_of_part in ("figure2", "hours")
                drawn = []
                for at, chart in enumerate(charts):
                    prefix = f"f{number}{kind_of_part[0]}p{at}"
                    panel = draw_panel(chart, looks, prefix=prefix)
                    wide = draw_panel(chart, looks, prefix=f"{prefix}w", is_wide=True) if is_lead else None
                    drawn.append((chart, panel, wide))
                by_kind.setdefault(kind_of_part, []).append(
                    {"plate": plate, "panels": drawn, "caption": _caption(kind_of_part, plate, charts)}
                )
    return by_kind


def _segments(name: str, command: str) -> list[tuple[str, str]]:
    """The parts of a command, each with its kind: `folder` for the folder of the sweep, `storage`, or empty for other
    text.

    If the page was opened from the folder of the sweep, the browser knows the real paths of both folders, and inserts
    them.
    """
    kinds = {f"runs/{name}": "folder", "runs": "storage"}
    parts = re.split(rf"(runs/{re.escape(name)}$|(?<=--storage )runs(?= |$))", command)
    return [(part, kinds.get(part, "")) for part in parts if part]


def _first_panels(plates: Sequence[Plate]) -> list[Chart]:
    """The panels at the top of the page."""
    return [row[0] for plate in plates if plate.kind == "figure2" for row in plate.rows]


def _caption(kind_of_part: str, plate: Plate, charts: Sequence[Chart]) -> str:
    """The caption of a part of a figure, without what the page has said above it."""
    if kind_of_part in ("hours", "zoomed"):
        return deviation(charts)
    return plate.caption.removeprefix(ZOOMED).lstrip()  # The page shows the zoomed panels elsewhere.


def _divided(plate: Plate) -> Iterator[tuple[str, list[Chart]]]:
    """Yield the parts of a figure that the page shows in different places."""
    charts = [chart for row in plate.rows for chart in row]
    if plate.kind == "figure2":
        yield "figure2", [row[0] for row in plate.rows]
        charts, kind_of_part = [chart for row in plate.rows for chart in row[1:]], "zoomed"
    elif plate.kind == "cost":
        yield "hours", [_readable_time(chart) for chart in charts if chart.x_label == HOURS]
        charts, kind_of_part = [chart for chart in charts if chart.x_label != HOURS], "images"
    else:
        kind_of_part = plate.kind
    if charts:
        yield kind_of_part, charts


def _readable_time(chart: Chart) -> Chart:
    """The panel with labels at its lines; its time axis is in minutes if the expert needs only a few hours."""
    chart = replace(chart, has_end_labels=True)
    if not in_minutes([x for series in chart.series for x in series.x]):
        return chart
    series = tuple(replace(one, x=tuple(60 * x for x in one.x)) for one in chart.series)
    x_range = chart.x_range and (60 * chart.x_range[0], 60 * chart.x_range[1])
    return replace(chart, x_label="human time (minutes)", series=series, x_range=x_range)


def _trials(runs: Runs) -> list[dict[str, str]]:
    """The row of each trial in the list of trials."""
    labels = {trial.experiment_id: group.label for group in runs.groups for trial in group.trials}
    rows = []
    for trial in runs.trials:
        last = trial.lines[-1] if trial.lines else None
        rows.append(
            {
                "id": trial.experiment_id,
                "group": labels[trial.experiment_id],
                "seed": str(trial.config.seed),
                "state": STATUSES[trial.status],
                "interactions": cell_text(last and last["interactions"]),
                "test accuracy": cell_text(final_accuracy(trial.lines)),
            }
        )
    return rows


def _flats(runs: Runs) -> list[dict[str, Any]]:
    return [trial.config.flat() | {"scenario": trial.scenario} for trial in runs.trials]


def common_settings(runs: Runs) -> dict[str, Any]:
    """The settings that are the same in all trials, nested as in a sweep file."""
    flats = _flats(runs)
    tree: dict[str, Any] = {}
    for key, value in (flats[0] if flats else {}).items():
        if all(key in flat and flat[key] == value for flat in flats) and not key.startswith("scenario."):
            *parents, last = key.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    return tree


def _varied(runs: Runs) -> dict[str, list[str]]:
    """The settings that differ between trials, with all their values."""
    values: dict[str, dict[str, None]] = {}
    for flat in _flats(runs):
        for key, value in flat.items():
            if not key.startswith("scenario."):
                values.setdefault(key, {})[str(value)] = None
    return {key: list(distinct) for key, distinct in values.items() if len(distinct) > 1}


def environments_of(runs: Runs) -> dict[str, list[str]]:
    """The devices and software versions that the trials recorded."""
    values_by_key: dict[str, dict[str, None]] = {}
    for trial in runs.trials:
        if trial.folder:
            for key, value in RunDir(Folder.at(trial.folder)).environment().items():
                for name, entry in _named(key, value):
                    values_by_key.setdefault(name, {})[str(entry)] = None
    return {key: list(values) for key, values in values_by_key.items()}


def _named(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a recorded value under its key, or each entry of a mapping under the joined keys."""
    if isinstance(value, Mapping):
        yield from ((f"{key} {name.replace('_', ' ')}", one) for name, one in value.items())
    else:
        yield key, value
