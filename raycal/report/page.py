"""Renders the report as one self-contained HTML file that needs no server, no network and no clock."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from raycal import __version__
from raycal.report.caveats import caveats, recipes
from raycal.report.cells import kind, readable
from raycal.report.figures.charts import Plate
from raycal.report.figures.drawing import drawing
from raycal.report.figures.panels import draw_panel, variable
from raycal.report.figures.slices import datasets
from raycal.report.figures.style import FAINT, GRID, PAPER, Look, gid
from raycal.report.montages import montages
from raycal.report.paper.parity import is_about_another_dataset
from raycal.report.runs import Runs
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

STATUSES = {
    "finished": "finished",
    "stopped": "stopped early",
    "failed": "failed",
    "unfinished": "not finished",
    "removed": "no longer in the sweep file",
}
COMPARISONS = {
    "summary": "All scenarios and settings",
    "targets": "Interactions needed for an accuracy",
    "pairwise": "Scenarios compared over the same seeds",
    "penalty": "Pairwise penalty matrix: how often a row beats a column",
}
# Columns that only the files have, so that the tables on the page are narrow enough to read.
ONLY_IN_FILES = {
    "pairwise": ("from interactions", "to interactions", "first mean", "second mean", "p (t)", "p (Wilcoxon)"),
    "parity": ("claim", "section", "rule"),
}
ROWS_IN_PRINT = 40


def page(runs: Runs, plates: Sequence[Plate], tables: Mapping[str, pd.DataFrame], looks: Mapping[str, Look]) -> str:
    """The HTML of the report."""
    environment = Environment(
        loader=PackageLoader("raycal.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["css_variable"] = lambda color: f"var({variable(color)})"
    environment.globals.update(readable=readable, kind=kind, zip=zip)
    shown = {key: _for_page(key, frame) for key, frame in tables.items() if not frame.empty}
    filled = {key: frame for key, frame in shown.items() if not frame.empty}
    return environment.get_template("page.html").render(
        version=__version__,
        name=runs.name,
        datasets=datasets(runs),
        num_trials=len(runs.trials),
        statuses=_statuses(runs),
        warnings=runs.warnings,
        removed_words=runs.removed_words,
        recipes=recipes(runs),
        caveats=caveats(runs),
        answers=answers(tables),
        is_recommended=_is_recommended(tables),
        figures=_figures(plates, looks),
        scenarios=[(name, gid(name, looks), look) for name, look in looks.items()],
        colors={variable(look.color): look for look in looks.values()},
        grid=GRID,
        paper=PAPER,
        tables=filled,
        rows_in_print=ROWS_IN_PRINT,
        asides=_asides(tables),
        comparisons={key: title for key, title in COMPARISONS.items() if key in filled},
        montages=montages(runs),
        common=yaml.safe_dump(_common(runs), sort_keys=False, allow_unicode=True).strip(),
        varied=_varied(runs),
        environments=_environments(runs),
    )


def _for_page(key: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the rows and columns that the page does not show: those for the files only, and repeated columns."""
    if key == "penalty":
        frame = frame[[name in _with_wins(frame) for name in frame["dataset"]]]
    if key == "parity" and "reason" in frame:
        frame = frame[[not is_about_another_dataset(str(reason)) for reason in frame["reason"]]]
    frame = frame.drop(columns=list(ONLY_IN_FILES.get(key, ())), errors="ignore")
    shared = "AUBC on shared budget"
    if key == "summary" and shared in frame and frame[shared].equals(frame["AUBC"]):
        frame = frame.drop(columns=[shared, f"{shared} low", f"{shared} high"])
    return frame


def _asides(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return a sentence about what the page leaves out of a table, by the key of the table."""
    asides: dict[str, str] = {}
    penalty = tables.get("penalty")
    if penalty is not None and penalty.empty:
        asides["penalty"] = (
            "The matrix of who beats whom is left out: it needs two scenarios with two finished seeds in common."
        )
    elif penalty is not None:
        without = [name for name in dict.fromkeys(penalty["dataset"]) if name not in _with_wins(penalty)]
        if without:
            on = "" if len(set(penalty["dataset"])) == 1 else f" on {', '.join(without)}"
            asides["penalty"] = (
                f"The matrix of who beats whom{on} is left out: no scenario beats another one at any budget."
            )
    parity = tables.get("parity", pd.DataFrame())
    elsewhere = sum(is_about_another_dataset(str(reason)) for reason in parity.get("reason", ()))
    if elsewhere:
        are = "claim of the paper is" if elsewhere == 1 else "claims of the paper are"
        asides["parity"] = f"{elsewhere} {are} about other datasets and not in the table; tables/parity.csv names each."
    return asides


def _with_wins(penalty: pd.DataFrame) -> set[str]:
    """Return the datasets on which a scenario beats another one."""
    counts = penalty.drop(columns=["dataset", "beats", "settings"])
    return {str(name) for name, row in zip(penalty["dataset"], counts.to_numpy(), strict=True) if any(row)}


def answers(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The sentences of the recommendation, without repetition."""
    frame = tables.get("recommendation", pd.DataFrame())
    return list(dict.fromkeys(map(str, frame["answer"]))) if "answer" in frame else []


def _is_recommended(tables: Mapping[str, pd.DataFrame]) -> bool:
    """Whether a group is recommended for any target."""
    return any(group is not None for group in tables.get("recommendation", pd.DataFrame()).get("group", ()))


def _statuses(runs: Runs) -> dict[str, int]:
    """The number of trials by status, with the status in words."""
    counts = Counter[str](
        "removed" if trial.is_removed and trial.status in ("failed", "unfinished") else trial.status
        for trial in runs.trials
    )
    return {words: counts[status] for status, words in STATUSES.items() if status in counts}


def _figures(plates: Sequence[Plate], looks: Mapping[str, Look]) -> dict[str, list[dict[str, Any]]]:
    """The figures with their drawn panels, by the kind of figure."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    with drawing(text_as_paths=False):
        for number, plate in enumerate(plates):
            charts = [chart for row in plate.rows for chart in row]
            panels = [draw_panel(chart, looks, prefix=f"f{number}p{at}") for at, chart in enumerate(charts)]
            by_kind.setdefault(plate.kind, []).append(
                {"plate": plate, "panels": list(zip(charts, panels, strict=True))}
            )
    return by_kind


def _flats(runs: Runs) -> list[dict[str, Any]]:
    return [trial.config.flat() | {"scenario": trial.scenario} for trial in runs.trials]


def _common(runs: Runs) -> dict[str, Any]:
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


def _environments(runs: Runs) -> dict[str, list[str]]:
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
