"""Arranges the tables of a report for reading: targets become columns, pairs become a matrix, and a note that many rows
share is shown once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from raycal.report.cells import EMPTY, cell_text, readable
from raycal.report.paper.parity import is_about_another_dataset

ONE_SEED = "one seed"  # A note with this beginning says that a value has no interval and no test.
MOST_IN_MATRIX = 12  # A matrix has at most this many rows and columns; the CSV file has all pairs.
ALPHA = 0.05
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A table of the page.

    Attributes:
        title: The heading; empty if the heading of the section is enough.
        columns: The cells by the name of the column. All columns have the same number of cells.
        notes: Sentences below the table. A view without columns has only notes.
    """

    title: str = ""
    columns: Mapping[str, Sequence[str]]
    notes: Sequence[str] = ()


def summary(frame: pd.DataFrame) -> list[View]:
    """One row per group, without columns that repeat another column."""
    shared = "AUBC on shared budget"
    if shared in frame and "AUBC" in frame and frame[shared].equals(frame["AUBC"]):
        frame = frame.drop(columns=[shared, f"{shared} low", f"{shared} high"])
    seeds = "label efficiency seeds"
    if seeds in frame and (
        all(_is_complete(value) for value in frame[seeds]) or all(value is None for value in frame["label efficiency"])
    ):
        frame = frame.drop(columns=seeds)
    return _plain(frame)


def targets(frame: pd.DataFrame) -> list[View]:
    """One table per dataset, with one row per group and one column per target accuracy."""
    return [view for name, part in _by_dataset(frame) for view in _targets_of(name, part)]


def _targets_of(dataset: str, rows: list[Mapping[str, Any]]) -> list[View]:
    percents = list(dict.fromkeys(row["% of full supervision"] for row in rows))
    accuracies = {one: {row["accuracy"] for row in rows if row["% of full supervision"] == one} for one in percents}
    heads = {one: f"{one} %" + _accuracy_words(accuracies[one]) for one in percents}
    known = [row for row in rows if row["accuracy"] is not None]
    if not known:
        return [
            View(
                title=dataset,
                columns={},
                notes=["There is no target, because full supervision was not run with these settings."],
            )
        ]
    shown, guessed, missed = [], [], []
    for percent in percents:
        of_target = [row for row in known if row["% of full supervision"] == percent]
        if any(row["interactions of those that reached"] is not None for row in of_target):
            shown.append(percent)
        elif any("guessing" in (row["note"] or "") for row in of_target):
            guessed.append(heads[percent])
        else:
            missed.append(heads[percent])
    notes = []
    if guessed:
        are, them = ("is", "it") if len(guessed) == 1 else ("are", "them")
        notes.append(f"{_and(guessed)} of full supervision {are} left out: guessing may reach {them}.")
    if missed:
        notes.append(f"No scenario reached {_and(missed, 'or')} of full supervision in any seed.")
    cells: dict[str, dict[int, str]] = {}
    for row in rows:
        cells.setdefault(str(row["group"]), {})[row["% of full supervision"]] = _target_cell(row)
    columns = {"group": list(cells)} | {
        f"{heads[percent]}": [by_target.get(percent, EMPTY) for by_target in cells.values()] for percent in shown
    }
    return [View(title=dataset, columns=columns if shown else {}, notes=notes)]


def _and(words: Sequence[str], conjunction: str = "and") -> str:
    """The words, joined to a list for a sentence."""
    *firsts, last = words
    return f"{', '.join(firsts)} {conjunction} {last}" if firsts else last


def _accuracy_words(accuracies: set[float | None]) -> str:
    """The accuracy of a target in brackets, if it is the same for all groups."""
    known = {accuracy for accuracy in accuracies if accuracy is not None}
    return f" ({next(iter(known)):.3f})" if len(known) == 1 else ""


def _target_cell(row: Mapping[str, Any]) -> str:
    value, note = row["interactions of those that reached"], row["note"] or ""
    if value is None:
        return "not reached" if note.startswith("not reached") else EMPTY
    text = ("≤ " if note.endswith("at most") else "") + with_interval(value, row["low"], row["high"])
    return text if _is_complete(row["reached"]) else f"{text}, in {row['reached']} seeds"


def break_even(frame: pd.DataFrame) -> list[View]:
    """One row per pair of groups and one column per target: what a cluster may cost."""
    views = []
    for dataset, rows in _by_dataset(frame):
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for row in rows:
            cost = row["cost of a cluster at the break-even"]
            bound = "≥ " if "at least" in (row["note"] or "") else ""
            text = EMPTY if cost is None else bound + with_interval(cost, row["cost low"], row["cost high"])
            cells.setdefault((row["group"], row["against"]), {})[row["target"]] = text
        heads = list(dict.fromkeys(row["target"] for row in rows))
        columns = {"group": [pair[0] for pair in cells], "compared with": [pair[1] for pair in cells]} | {
            head: [row.get(head, EMPTY) for row in cells.values()] for head in heads
        }
        views.append(View(title=dataset, columns=_filled(columns)))
    return views


def pairs(frame: pd.DataFrame) -> list[View]:
    """A matrix per dataset and metric: how much higher the value of the row's group is than the value of the column's
    group."""
    views = []
    for dataset, rows in _by_dataset(frame):
        for metric in dict.fromkeys(row["metric"] for row in rows):
            title = f"{dataset}: {metric}" if dataset else str(metric)
            views.append(_matrix(title, [row for row in rows if row["metric"] == metric]))
    return views


def _matrix(title: str, rows: Sequence[Mapping[str, Any]]) -> View:
    cells: dict[tuple[str, str], str] = {}
    leads: dict[str, list[float]] = {}
    for row in rows:
        first, second, difference = row["first"], row["second"], row["difference"]
        leads.setdefault(first, [])
        leads.setdefault(second, [])
        if difference is None:
            continue
        p = row["p (t, Holm)"]
        mark = " *" if p is not None and p < ALPHA else ""
        cells[first, second] = _signed(difference) + mark
        cells[second, first] = _signed(-difference) + mark
        leads[first].append(difference)
        leads[second].append(-difference)
    order = sorted(leads, key=lambda name: -sum(leads[name]) / max(1, len(leads[name])))
    shown = order[:MOST_IN_MATRIX]
    notes = []
    if len(order) > len(shown):
        notes.append(f"The {len(shown)} of {len(order)} groups with the largest mean difference from the others.")
    columns = {"minus": shown} | {
        column: ["" if row == column else cells.get((row, column), EMPTY) for row in shown] for column in shown
    }
    return View(title=title, columns=columns, notes=notes)


def _signed(value: float) -> str:
    """A difference with its sign; 0 is written without a sign."""
    text = f"{value:+.3f}"
    return "0" if float(text) == 0 else text


def penalty(frame: pd.DataFrame) -> list[View]:
    """The penalty matrices of the datasets on which at least one scenario beats another scenario."""
    winning = datasets_with_wins(frame)
    shown = frame[[name in winning for name in frame["dataset"]]]
    views = _plain(shown)
    if frame.empty:
        note = "The matrix of who beats whom is left out: it needs two scenarios with two finished seeds in common."
        return [View(columns={}, notes=[note])]
    without = [str(name) for name in dict.fromkeys(frame["dataset"]) if name not in winning]
    if without:
        on = "" if len(set(frame["dataset"])) == 1 else f" on {', '.join(without)}"
        note = f"The matrix of who beats whom{on} is left out: no scenario beats another one at any budget."
        views.append(View(columns={}, notes=[note]))
    return views


def datasets_with_wins(frame: pd.DataFrame) -> set[str]:
    """The datasets on which at least one scenario beats another scenario."""
    counts = frame.drop(columns=["dataset", "beats", "settings"])
    return {str(name) for name, row in zip(frame["dataset"], counts.to_numpy(), strict=True) if any(row)}


def parity(frame: pd.DataFrame) -> list[View]:
    """The claims of the paper that these runs can test, and one sentence about the other claims."""
    if "verdict" not in frame:  # The table has no claims, so it is shown as it is.
        return _plain(frame)
    rows = list(_rows(frame))
    tested = [row for row in rows if row["verdict"] != "not tested"]
    columns = {
        "dataset": [str(row["dataset"]) for row in tested],
        "setting": [cell_text(row["setting"]) for row in tested],
        "the paper's claim in our words": [str(row["the paper's claim in our words"]) for row in tested],
        "here": [str(row["verdict"]) for row in tested],
        "measured": [_measured(row) for row in tested],
    }
    if len(set(columns["dataset"])) < 2:
        del columns["dataset"]
    return [View(columns=_filled(columns) if tested else {}, notes=[words] if (words := _hidden(rows)) else [])]


def _measured(row: Mapping[str, Any]) -> str:
    """The value that decided about a claim, with a description of the value."""
    if row["measured"] is None:
        return EMPTY
    what = f": {row['decided by']}" if row["decided by"] else ""
    return with_interval(row["measured"], row["measured low"], row["measured high"]) + what


def _hidden(rows: Sequence[Mapping[str, Any]]) -> str:
    """The sentence about the claims that the runs cannot test; empty if the runs can test all claims."""
    hidden = [row for row in rows if row["verdict"] == "not tested"]
    claims = {row["claim"] for row in hidden} - {row["claim"] for row in rows if row["verdict"] != "not tested"}
    if not claims:
        return ""
    reasons: dict[str, set[str]] = {}
    for row in hidden:
        if row["claim"] in claims:
            reasons.setdefault(_kind_of_reason(str(row["reason"])), set()).add(row["claim"])
    counted: set[str] = set()
    parts = []
    for reason, of_reason in sorted(reasons.items()):
        if new := of_reason - counted:
            counted |= new
            parts.append(f"{len(new)} {reason}")
    one = len(claims) == 1
    subject, them = ("claim of the paper is", "it") if one else ("claims of the paper are", "them")
    return (
        f"{len(claims)} {subject} not in the table because these runs cannot test {them}: "
        f"{', '.join(parts)}; tables/parity.csv names each."
    )


def _kind_of_reason(reason: str) -> str:
    if is_about_another_dataset(reason):
        return "about other datasets"
    return "for which one seed is not enough" if ONE_SEED in reason else "about scenarios or settings that were not run"


def plain(frame: pd.DataFrame) -> list[View]:
    """The table as it is, without its empty columns."""
    return _plain(frame)


def _plain(frame: pd.DataFrame) -> list[View]:
    """The table with one change: a note that several rows share is shown once, below the table."""
    notes: list[str] = []
    if "note" in frame and "group" in frame:
        own, notes = _shared_notes(list(map(str, frame["group"])), list(frame["note"]))
        frame = frame.assign(note=pd.Series(own, index=frame.index, dtype=object))
    return [View(columns=columns, notes=notes)] if (columns := readable(frame)) and len(frame) else []


def _shared_notes(groups: Sequence[str], notes: Sequence[Any]) -> tuple[list[str | None], list[str]]:
    """The parts of the notes that only one row has, and a sentence for each part that several rows have."""
    rows: dict[str, list[str]] = {}
    for group, note in zip(groups, notes, strict=True):
        for part in _parts(note):
            rows.setdefault(part, []).append(group)
    shared = {part: names for part, names in rows.items() if len(names) > 1}
    own = ["; ".join(part for part in _parts(note) if part not in shared) or None for note in notes]
    sentences = [f"{part[:1].upper()}{part[1:]} ({', '.join(dict.fromkeys(names))})." for part, names in shared.items()]
    return own, sentences


def _parts(note: Any) -> list[str]:
    """The parts of a note, without the part about a single seed, which the page shows once for all tables."""
    return [part for part in str(note or "").split("; ") if part and not part.startswith(ONE_SEED)]


def one_seed_words(tables: Mapping[str, pd.DataFrame]) -> str:
    """The sentence about groups with one seed, which the tables then need not repeat; empty if there are no such
    groups."""
    summary = tables.get("summary")
    if summary is None or "finished" not in summary:
        return ""
    finished = [int(count) for count in summary["finished"] if count]
    if not finished or min(finished) > 1:
        return ""
    if max(finished) == 1:
        return "There is one seed, so no interval and no test is possible: a difference may be chance."
    return "A group with one seed has no interval and no test: its differences may be chance."


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A value with its interval, if it has one."""
    return cell_text(value) if low is None else f"{cell_text(value)} [{cell_text(low)}, {cell_text(high)}]"


def _filled(columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The columns that have at least one cell with content."""
    return {name: cells for name, cells in columns.items() if set(cells) - {EMPTY}}


def _is_complete(reached: Any) -> bool:
    """Whether a text such as `3 of 3` stands for all seeds. A missing value counts as all seeds."""
    have, _, of = str(reached or "").partition(" of ")
    return have == of or not of


def _by_dataset(frame: pd.DataFrame) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The rows of each dataset with its name, which is empty if there is only one dataset."""
    names = list(dict.fromkeys(map(str, frame["dataset"])))
    rows = list(_rows(frame))
    return [(name if len(names) > 1 else "", [row for row in rows if str(row["dataset"]) == name]) for name in names]


def _rows(frame: pd.DataFrame) -> Rows:
    names = list(map(str, frame.columns))
    return [dict(zip(names, values, strict=True)) for values in frame.itertuples(index=False, name=None)]


VIEWS: Mapping[str, Callable[[pd.DataFrame], list[View]]] = {
    "summary": summary,
    "targets": targets,
    "break_even": break_even,
    "pairwise": pairs,
    "penalty": penalty,
    "parity": parity,
}


def views(key: str, frame: pd.DataFrame) -> list[View]:
    """The views of a table of the report by its key."""
    arrange = VIEWS.get(key, _plain)
    needed = {"targets": "% of full supervision", "pairwise": "metric", "break_even": "target", "penalty": "beats"}
    if key in needed and needed[key] not in frame:
        arrange = _plain
    if frame.empty and key != "penalty":
        return []
    return arrange(frame)
