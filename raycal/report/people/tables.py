"""The tables of a labeling project: the state after each round, the time by purpose and kind, and the hidden checks."""

from collections.abc import Iterator, Sequence

import pandas as pd

from raycal.algorithm.records import Kind
from raycal.people.answer_files import Role
from raycal.people.events import Purpose
from raycal.people.probe_results import MissRate
from raycal.people.purity import OddShare
from raycal.report.cells import EMPTY, cell_text
from raycal.report.people.project import LabelingProject, noun_of
from raycal.report.people.quality import quality_tables
from raycal.report.tables.frame import Row, frame
from raycal.report.views import View, with_interval

_PURPOSES = {
    Purpose.ROUND: "round",
    Purpose.HOLDOUT: "hold-out",
    Purpose.REPEAT: "check: repeated",
    Purpose.SHARED: "check: shared",
    Purpose.AUDIT: "check: audit of clusters",
    Purpose.LOOK_AGAIN: "look again",
    Purpose.GOLD: "first answers of newcomers",
}
_ROLES = {
    Role.COUNTED: "counts",
    Role.TAKEN_BACK: "taken back",
    Role.SECOND_OPINION: "second opinion",
    Role.LATE: "too late for its round",
}
_PROBE_COLUMNS = (
    *("hidden checks", "missed", "miss rate", "miss rate low", "miss rate high"),
    *("clusters", "random samples seen", "marked as odd", "odd share", "odd share at most"),
)
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
        **quality_tables(projects),
    }
    if any(project.purity is not None for project in projects):
        rows = [(one.trial.experiment_id, _probes(one.purity.misses, one.purity.odd)) for one in projects if one.purity]
        found["probes"] = frame(("project", *_PROBE_COLUMNS), ((key, *row) for key, row in rows))
    return found


def probes_by_person(projects: Sequence[LabelingProject]) -> pd.DataFrame | None:
    """The table of the hidden checks of each person, by pseudonym, for the owner alone. None without a check."""
    rows = [
        (project.trial.experiment_id, who, *_probes(misses, project.purity.odd_by_person.get(who)))
        for project in projects
        if project.purity is not None
        for who, misses in project.purity.misses_by_person.items()
    ]
    return frame(("project", "person", *_PROBE_COLUMNS), iter(rows)) if rows else None


def first_answers_by_person(projects: Sequence[LabelingProject]) -> pd.DataFrame | None:
    """The table of the first answers of each newcomer, by pseudonym, for the owner alone. None without a newcomer."""
    rows = [
        (project.trial.experiment_id, who, first.asked, first.agreeing, first.share, *(first.interval or ()))
        for project in projects
        for who, first in project.first_answers.items()
    ]
    columns = ("project", "person", "first answers", "right", "share right", "share right low", "share right high")
    return frame(columns, iter(rows)) if rows else None


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
        "The hold-out, checks of labels, second opinions and late answers are not part of it."
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


def probes_view(project: LabelingProject) -> View | None:
    """The table of the hidden checks of all people together, as the page shows it. None without a check."""
    if project.purity is None:
        return None
    misses, odd = project.purity.misses, project.purity.odd
    columns = {
        "hidden checks": [cell_text(misses.shown)],
        "missed": [cell_text(misses.missed)],
        "miss rate": [with_interval(misses.share or 0.0, *misses.interval)],
    }
    if odd is not None:
        columns |= {
            f"random {project.noun}s seen": [cell_text(odd.seen)],
            "marked as odd": [cell_text(odd.odd)],
            f"odd {project.noun}s": [f"{cell_text(odd.share)}, at most {cell_text(odd.at_most)}"],
        }
    return View(columns=columns)


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


def _probes(misses: MissRate, odd: OddShare | None) -> Row:
    of_clusters = tuple[float | None, ...]((None,) * 5)
    if odd is not None:
        of_clusters = (odd.clusters, odd.seen, odd.odd, odd.share, odd.at_most)
    return (misses.shown, misses.missed, misses.share, *misses.interval, *of_clusters)
