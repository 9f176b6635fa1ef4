"""What a labeling project knows about the quality of its labels, as views of the page and as tables.

Many people may read a report, so it names no person. The rows of people are sorted by their agreement, so that their
order does not tell the persons either. The owner finds the names in the file `people.csv` of an export.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from raycal.people.quality import Agreement
from raycal.report.cells import EMPTY, cell_text
from raycal.report.people.project import LabelingProject, noun_of
from raycal.report.tables.frame import Row, frame
from raycal.report.views import View, with_interval

# The tables, with what they hold in words.
QUALITY_TABLES = {
    "label_error": "label error",
    "agreement": "agreement",
    "confusions": "confused classes",
    "looks": "labels looked at again",
}
# The number of pairs of classes on the page; the table as a file has all of them.
NUM_CONFUSED = 10


def quality_views(project: LabelingProject) -> list[View]:
    """The tables that the page shows; none of what is not known."""
    return [
        *_error_view(project),
        *_self_view(project),
        *_pair_view(project),
        *_confusion_view(project),
        *_look_view(project),
    ]


def quality_tables(projects: Sequence[LabelingProject]) -> dict[str, pd.DataFrame]:
    """The tables by name, without those that would be empty."""
    noun = noun_of(*(project.trial for project in projects))
    rows = {
        "label_error": [row for project in projects for row in _error_rows(project)],
        "agreement": [row for project in projects for row in _agreement_rows(project)],
        "confusions": [row for project in projects for row in _confusion_rows(project)],
        "looks": [row for project in projects for row in _look_rows(project)],
    }
    columns = {
        "label_error": ("project", "label error", "label error low", "label error high", "checked", "wrong"),
        "agreement": (
            *("project", "labeled twice by", f"{noun}s", "agreeing"),
            *("agreement", "agreement low", "agreement high", "Cohen's kappa"),
        ),
        "confusions": ("project", "class", "other class", f"{noun}s"),
        "looks": ("project", "looked at again", "label changed", "label stayed", "nobody can tell"),
    }
    return {name: frame(columns[name], rows[name]) for name in QUALITY_TABLES if rows[name]}


def _error_view(project: LabelingProject) -> Iterator[View]:
    error = project.quality.error
    if error is None:
        return
    yield View(
        title="Label error of cluster labels",
        columns={
            "label error": [with_interval(error.share, error.low, error.high)],
            "checked": [cell_text(error.number)],
            "wrong": [cell_text(error.num_wrong)],
        },
        notes=[
            f"A random sample of the {project.noun}s whose newest label was given to a cluster was labeled once more. "
            "Small and large clusters count with their shares of these labels. A wrong label is one that differs from "
            "the label in the check, which may be wrong itself."
        ],
    )


def _self_view(project: LabelingProject) -> Iterator[View]:
    with_themselves = _sorted(project.quality.with_themselves)
    if with_themselves:
        yield View(
            title="Agreement of people with themselves",
            columns=_shares(project, with_themselves),
            notes=["Each row is one person. The file people.csv of an export has the values by pseudonym."],
        )


def _pair_view(project: LabelingProject) -> Iterator[View]:
    pairs, alpha = _sorted(project.quality.pairs), project.quality.alpha
    if pairs:
        yield View(
            title="Agreement between people",
            columns={
                **_shares(project, pairs),
                "Cohen's kappa": [EMPTY if one.kappa is None else f"{one.kappa:.3f}" for one in pairs],
            },
            notes=["Each row is two people."]
            if alpha is None
            else [
                f"Each row is two people. Krippendorff's alpha of all labels of people is {alpha:.3f}. Like kappa, it "
                "is 1 if people always agree, and 0 if they agree as often as by chance."
            ],
        )


def _confusion_view(project: LabelingProject) -> Iterator[View]:
    confused = project.quality.confused[:NUM_CONFUSED]
    if confused:
        yield View(
            title="Classes that people confuse most often",
            columns={
                "one person says": [_name(project, first) for (first, _), _ in confused],
                "another person says": [_name(project, second) for (_, second), _ in confused],
                f"{project.noun}s": [cell_text(number) for _, number in confused],
            },
        )


def _look_view(project: LabelingProject) -> Iterator[View]:
    looks = project.quality.looks
    if looks.number:
        yield View(
            title="Labels that people looked at again",
            columns={
                "looked at again": [cell_text(looks.number)],
                "label changed": [cell_text(looks.changed)],
                "label stayed": [cell_text(looks.number - looks.changed - looks.unsure)],
                "nobody can tell": [cell_text(looks.unsure)],
            },
            notes=[
                f"These {project.noun}s were labeled alone. Another person, a cluster or the same person at another "
                "time gave them another label, or a model that had not seen the label was sure of another class. The "
                "training uses a changed label from the next round on."
            ],
        )


def _sorted(agreements: Sequence[Agreement]) -> list[Agreement]:
    return sorted(agreements, key=lambda one: (-one.share, -one.number, one.kappa or 0.0))


def _shares(project: LabelingProject, agreements: Sequence[Agreement]) -> dict[str, list[str]]:
    return {
        f"{project.noun}s labeled twice": [cell_text(one.number) for one in agreements],
        "agreement": [with_interval(one.share, *one.interval) for one in agreements],
    }


def _error_rows(project: LabelingProject) -> Iterator[Row]:
    error = project.quality.error
    if error is not None:
        yield project.trial.experiment_id, error.share, error.low, error.high, error.number, error.num_wrong


def _agreement_rows(project: LabelingProject) -> Iterator[Row]:
    kinds = {"the same person": project.quality.with_themselves, "two people": project.quality.pairs}
    for kind, agreements in kinds.items():
        for one in _sorted(agreements):
            values = (one.number, one.agreeing, one.share, *one.interval, one.kappa)
            yield (project.trial.experiment_id, kind, *values)


def _confusion_rows(project: LabelingProject) -> Iterator[Row]:
    for (first, second), number in project.quality.confused:
        yield project.trial.experiment_id, _name(project, first), _name(project, second), number


def _look_rows(project: LabelingProject) -> Iterator[Row]:
    looks = project.quality.looks
    if looks.number:
        stayed = looks.number - looks.changed - looks.unsure
        yield project.trial.experiment_id, looks.number, looks.changed, stayed, looks.unsure


def _name(project: LabelingProject, label: int) -> str:
    """The name of a class, or its number if the dataset came with its classes."""
    return project.class_names[label] if label < len(project.class_names) else f"class {label}"
