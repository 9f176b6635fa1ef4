"""Tables about target accuracies: the recommendation, the interactions needed, and the break-even cost of a cluster."""

from collections.abc import Iterator, Sequence
from itertools import product
from statistics import fmean

import pandas as pd

from raycal.report.stats.answer import Answer
from raycal.report.stats.break_even import BreakEven, break_even
from raycal.report.stats.comparison import Comparison
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.reasons import named_margins
from raycal.report.stats.targets import TARGETS, Reached, full_supervision, reach
from raycal.report.tables.frame import Row, frame, interval

_RECOMMENDATION = (
    "dataset",
    "question",
    "accuracy",
    "group",
    *("interactions", "interactions low", "interactions high"),
    "seeds",
    "compared with",
    *("accuracy difference", "difference low", "difference high"),
    *("times as many interactions", "times low", "times high"),
    "not distinguishable from",
    "answer",
)


def recommendation_table(answers: Sequence[Answer]) -> pd.DataFrame:
    """The values of the answer for each dataset, and the paragraph of the answer that each row belongs to."""
    return frame(_RECOMMENDATION, (row for answer in answers for row in _answer_rows(answer)))


def _answer_rows(answer: Answer) -> Iterator[Row]:
    """Yield a row for each named margin of the winner, a row for the highest shared accuracy, and a row for each
    target."""
    question, nothing, ranked = "highest accuracy at the shared budget", (None, None, None), answer.at_budget
    if ranked is None:
        values = (None, None, *nothing, 0, None, *nothing, *nothing, "")
        yield (answer.dataset, question, *values, answer.budget_text)
    else:
        best = ranked.winner
        unclear = "; ".join(margin.over.label for margin in ranked.margins if margin.is_unclear)
        for margin in named_margins(ranked) or (None,):
            yield (
                answer.dataset,
                question,
                best.accuracy.mean,
                best.group.label,
                *(ranked.budget, None, None),
                best.accuracy.n,
                None if margin is None else margin.over.label,
                *interval(None if margin is None else margin.difference),
                *nothing,
                unclear,
                answer.budget_text,
            )
    if (common := answer.common) is not None:
        yield (
            answer.dataset,
            "fewest interactions for the highest accuracy of two strategies",
            common.accuracy,
            common.fewest.label,
            *interval(common.fewest_needed.estimate),
            len(common.fewest_needed.by_seed),
            common.other.label,
            *nothing,
            *interval(common.factor),
            common.other.label if common.is_unclear else "",
            answer.common_text,
        )
    for target, text in zip(answer.targets, answer.target_texts, strict=False):
        yield (
            answer.dataset,
            f"fewest interactions for {target.percent} % of full supervision",
            target.accuracy,
            target.group and target.group.label,
            *interval(target.needed.estimate if target.needed else None),
            len(target.needed.by_seed) if target.needed else 0,
            target.random and target.random.label,
            *nothing,
            *nothing,
            "; ".join(rival.label for rival in target.rivals),
            text,
        )


_TARGETS = (
    "dataset",
    "group",
    "% of full supervision",
    "accuracy",
    "reached",
    "interactions of those that reached",
    "low",
    "high",
    "note",
)


def target_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The interactions that each group needs for percentages of the accuracy of full supervision."""
    return frame(_TARGETS, (row for comparison in comparisons for row in _target_rows(comparison)))


def _target_rows(comparison: Comparison) -> Iterator[Row]:
    level = guessing_level(comparison)
    for percent, group in product(TARGETS, comparison.candidates):
        full = full_supervision(group, comparison)
        if full is None:
            note = "no full supervision with these settings"
            yield (comparison.dataset, group.label, percent, None, None, None, None, None, note)
        elif level is not None and is_guessing(accuracy := percent / 100 * full.mean, level):
            note = f"guessing reaches up to {level:.3f} here"
            yield (comparison.dataset, group.label, percent, accuracy, None, None, None, None, note)
        else:
            reached = reach(group, percent / 100 * full.mean)
            yield (
                comparison.dataset,
                group.label,
                percent,
                reached.accuracy,
                f"{reached.reached} of {len(reached.by_seed)}",
                *interval(reached.estimate),
                _target_note(reached),
            )


def _target_note(reached: Reached) -> str:
    seeds = len(reached.by_seed)
    if not reached.reached:
        return "not reached" if seeds else "no seed finished"
    notes = ["not reached in every seed: no interval" if not reached.by_all else "one seed: no interval" * (seeds == 1)]
    if reached.at_most:
        notes.append("reached at the first measured point: at most")
    return "; ".join(filter(None, notes))


_BREAK_EVEN = (
    "dataset",
    "target",
    "accuracy",
    "group",
    "against",
    "images",
    "clusters",
    "images of the other",
    *("cost of a cluster at the break-even", "cost low", "cost high"),
    "seeds",
    "note",
)


def break_even_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The cost of a cluster at which a group with clusters saves nothing, for each such group."""
    return frame(
        _BREAK_EVEN,
        (_break_even_row(comparison.dataset, point) for comparison in comparisons for point in break_even(comparison)),
    )


def _break_even_row(dataset: str, point: BreakEven) -> Row:
    spent = point.by_seed
    return (
        dataset,
        point.target,
        point.accuracy,
        point.group.label,
        point.against.label,
        fmean(one.samples for one in spent) if spent else None,
        fmean(one.clusters for one in spent) if spent else None,
        fmean(one.other for one in spent) if spent else None,
        *interval(point.cost),
        f"{len(spent)} of {point.of}",
        _break_even_note(point),
    )


def _break_even_note(point: BreakEven) -> str:
    if point.cost is None:
        return "not reached with clusters"
    notes = ["not reached in every seed: no interval"] if len(point.by_seed) < point.of else []
    notes += ["one seed: no interval"] if point.of == 1 else []
    notes += ["at least: not reached without clusters in every seed"] if point.is_bound else []
    notes += ["reached at the first measured point: a bound"] if point.at_first else []
    notes += ["nothing saved even if clusters cost nothing"] if point.cost.mean < 0 else []
    return "; ".join(notes)
