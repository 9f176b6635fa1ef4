"""The figure of a labeling project: test accuracy against the minutes of people."""

from collections.abc import Sequence

from raycal.report.figures.captions import file_name
from raycal.report.figures.charts import ACCURACY_LABEL, Chart, Plate, Series
from raycal.report.people.project import LabelingProject

MINUTES = "human time (minutes)"
CAPTION = (
    "Each point is the model after one round. Bars show the 95 % interval by Wilson, which depends on the number of "
    "test {noun}s: label more of the hold-out to make it shorter."
)


def people_plates(projects: Sequence[LabelingProject]) -> list[Plate]:
    """One figure for each project that has a round with an accuracy."""
    return [plate for project in projects if (plate := _plate(project)) is not None]


def _plate(project: LabelingProject) -> Plate | None:
    measured = [(one, one.accuracy) for one in project.rounds if one.accuracy is not None]
    if not measured:
        return None
    trial = project.trial
    has_intervals = all(one.low is not None for one, _ in measured)
    series = Series(
        scenario=trial.scenario,
        label=trial.scenario,
        x=tuple(one.minutes for one, _ in measured),
        mean=tuple(accuracy for _, accuracy in measured),
        std=(),
        low=tuple(one.low or 0.0 for one, _ in measured) if has_intervals else (),
        high=tuple(one.high or 0.0 for one, _ in measured) if has_intervals else (),
        counts=tuple(one.num_test or 0 for one, _ in measured),
        is_band=False,
    )
    chance = project.trial.lines[-1].get("chance_accuracy")
    chart = Chart(
        title="",
        x_label=MINUTES,
        y_label=ACCURACY_LABEL,
        series=(series,),
        x_range=(0.0, 1.05 * max(max(series.x), 0.1)),
        chance=chance,
    )
    return Plate(
        name=file_name("accuracy", trial.experiment_id),
        kind="minutes",
        title=f"{trial.dataset_name}: test accuracy against human minutes",
        caption=CAPTION.format(noun=project.noun),
        rows=((chart,),),
    )
