"""The tables of a labeling project: the state after each round, the time by purpose and kind, and the hidden checks."""

from collections.abc import Iterator, Sequence

import pandas as pd

from raycal.algorithm.records import Kind
from raycal.people.answer_files import Role
from raycal.people.events import Purpose
from raycal.people.probe_results import MissRate
from raycal.people.purity import OddShare, QualityOfClusters
from raycal.report.cells import EMPTY, cell_text
from raycal.report.people.project import LabelingProject, noun_of
from raycal.report.tables.frame import Row, frame
from raycal.report.views import View, with_interval

_PURPOSES = {Purpose.ROUND: "round", Purpose.HOLDOUT: "hold-out"}
_ROLES = {
    Role.COUNTED: "counts",
    Role.TAKEN_BACK: "taken back",
    Role.SECOND_OPINION: "second opinion",
    Role.LATE: "too late for its round",
}
_CHECK_COLUMNS = (
    *("project", "person", "hidden checks", "missed", "miss rate", "miss rate low", "miss rate high"),
    *("clusters", "random samples seen", "marked as odd", "odd share", "odd share at most"),
)
_ALL = "all"
_TIME_COLUMNS = ("project", "purpose", "question", "what became of it", "answers", "seconds")


def people_tables(projects: Sequence[LabelingProject]) -> dict[str, pd.DataFrame]:
    """The tables by name, in the order of the report."""
    noun = noun_of(*(project.trial for project in projects))
    columns = (
        *("project", "round", "answers", "human minutes", f"annotated {noun}s"),
        *("test accuracy", "test accuracy low", "test accuracy high", f"test {noun}s"),
        *("gain", "gain low", "gain high", f"{noun}s compared", "only this round right", "only the last round right"),
        "McNemar p",
    )
    found = {
        "rounds": frame(columns, (row for project in projects for row in _rounds(project))),
        "time": frame(_TIME_COLUMNS, (row for project in projects for row in _time(project))),
    }
    if any(project.quality is not None for project in projects):
        found["checks"] = frame(_CHECK_COLUMNS, (row for project in projects for row in _checks(project)))
    return found


def rounds_view(project: LabelingProject) -> View:
    """The table of the rounds as the page shows it."""
    rounds = project.rounds
    return View(
        columns={
            "round": [str(one.number) for one in rounds],
            "answers": [cell_text(one.answers) for one in rounds],
            "human minutes": [f"{one.minutes:,.1f}" for one in rounds],
            f"annotated {project.noun}s": [cell_text(one.annotated) for one in rounds],
            "test accuracy": [
                EMPTY if one.accuracy is None else with_interval(one.accuracy, one.low, one.high) for one in rounds
            ],
            f"test {project.noun}s": [cell_text(one.num_test) for one in rounds],
            **_gain_columns(project),
        }
    )


def _gain_columns(project: LabelingProject) -> dict[str, list[str]]:
    """The columns of the paired gains; none if no gain is known."""
    gains = [one.gain for one in project.rounds]
    if not any(gains):
        return {}
    return {
        "gain over the round before": [
            EMPTY if gain is None else with_interval(gain.gain, gain.low, gain.high) for gain in gains
        ],
        f"{project.noun}s compared": [EMPTY if gain is None else cell_text(gain.number) for gain in gains],
    }


def time_view(project: LabelingProject) -> View:
    """The table of the time as the page shows it, with the sum."""
    spent = project.spent
    total = sum(one.seconds for one in spent) / 60
    paid = project.rounds[-1].minutes if project.rounds else 0.0
    notes = [
        f"All of this took {total:,.1f} minutes. The {paid:,.1f} minutes of the figure, and `human_seconds` in "
        "results.jsonl, are the time of the answers in the rounds that count, with the answers that they replaced. "
        "The hold-out, second opinions and late answers are not part of it."
    ]
    return View(
        columns={
            "purpose": [_PURPOSES[one.purpose] for one in spent],
            "question": [_question(project, one.kind) for one in spent],
            "what became of it": [_ROLES[one.role] for one in spent],
            "answers": [cell_text(one.answers) for one in spent],
            "minutes": [f"{one.seconds / 60:,.1f}" for one in spent],
            "seconds per answer": [f"{one.seconds / one.answers:,.1f}" for one in spent],
        },
        notes=notes,
    )


def checks_view(project: LabelingProject) -> View | None:
    """The table of the hidden checks by person as the page shows it. None without a check."""
    quality = project.quality
    if quality is None:
        return None
    people = _people(quality)
    return View(
        columns={
            "person": [name for name, _, _ in people],
            "hidden checks": [cell_text(misses.shown) for _, misses, _ in people],
            "missed": [cell_text(misses.missed) for _, misses, _ in people],
            "miss rate": [with_interval(misses.share or 0.0, *misses.interval) for _, misses, _ in people],
            f"random {project.noun}s seen": [EMPTY if odd is None else cell_text(odd.seen) for _, _, odd in people],
            "marked as odd": [EMPTY if odd is None else cell_text(odd.odd) for _, _, odd in people],
            f"odd {project.noun}s": [
                EMPTY if odd is None else f"{cell_text(odd.share)}, at most {cell_text(odd.at_most)}"
                for _, _, odd in people
            ],
        }
    )


def _people(quality: QualityOfClusters) -> list[tuple[str, MissRate, OddShare | None]]:
    """The figures of each person and, if there are several, of all people together."""
    each = [(who, misses, quality.odd_by_person.get(who)) for who, misses in quality.misses_by_person.items()]
    return each if len(each) == 1 else [*each, (_ALL, quality.misses, quality.odd)]


def _question(project: LabelingProject, kind: Kind) -> str:
    return f"single {project.noun}" if kind is Kind.SAMPLE else "cluster"


def _rounds(project: LabelingProject) -> Iterator[Row]:
    for one in project.rounds:
        work = (project.trial.experiment_id, one.number, one.answers, one.minutes, one.annotated)
        gain, compared = one.gain, tuple[float | None, ...]((None,) * 7)
        if gain is not None:
            compared = (gain.gain, gain.low, gain.high, gain.number, gain.won, gain.lost, gain.p_value)
        yield (*work, one.accuracy, one.low, one.high, one.num_test, *compared)


def _time(project: LabelingProject) -> Iterator[Row]:
    for one in project.spent:
        names = (_PURPOSES[one.purpose], _question(project, one.kind), _ROLES[one.role])
        yield (project.trial.experiment_id, *names, one.answers, one.seconds)


def _checks(project: LabelingProject) -> Iterator[Row]:
    for who, misses, odd in [] if project.quality is None else _people(project.quality):
        of_clusters = tuple[float | None, ...]((None,) * 5)
        if odd is not None:
            of_clusters = (odd.clusters, odd.seen, odd.odd, odd.share, odd.at_most)
        rate = (misses.share, *misses.interval)
        yield (project.trial.experiment_id, who, misses.shown, misses.missed, *rate, *of_clusters)
