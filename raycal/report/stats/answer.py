"""Answers the question of a sweep in plain sentences: which strategy to use, by how much it wins, and why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from raycal.errors import counted
from raycal.report.runs import Group, Runs
from raycal.report.stats import answer_words as words
from raycal.report.stats.at_budget import AtBudget, at_budget
from raycal.report.stats.common_accuracy import CommonAccuracy, common_accuracy
from raycal.report.stats.comparison import Comparison, by_dataset, is_whole_pool
from raycal.report.stats.curves import final_accuracy
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.recommendation import Recommendation, full_accuracy, recommend


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer for one dataset: the values, and the same in words. Each text is one paragraph.

    Attributes:
        dataset: The name of the dataset, with the options that distinguish it from others of the sweep.
        at_budget: The ranking at the number of interactions that all strategies made; None if nothing can be ranked.
        budget_text: Which strategy wins at the budget, by how much, and why; or why there is no winner.
        common: Which strategy needs fewer interactions for the highest accuracy that at least two strategies reached.
        common_text: The content of `common` in words; empty if `common` is None.
        targets: The recommendation for each percentage of full supervision that guessing does not reach.
        target_texts: The recommendations in words, one text per recommendation. All targets that no strategy reached
            share one text.
        full_text: The accuracy of full supervision in words; empty if it was not run.
        unfinished_text: A sentence about the trials that are not considered because they have not finished; empty if
            there are no such trials.
    """

    dataset: str
    at_budget: AtBudget | None
    budget_text: str
    common: CommonAccuracy | None
    common_text: str
    targets: tuple[Recommendation, ...]
    target_texts: tuple[str, ...]
    full_text: str
    unfinished_text: str

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The answer in words, the most important paragraph first."""
        targets = " ".join(filter(None, (self.full_text, *dict.fromkeys(self.target_texts))))
        return tuple(filter(None, (self.budget_text, self.common_text, targets, self.unfinished_text)))


def answers(runs: Runs) -> list[Answer]:
    """The answer for each dataset of a sweep, from the trials that have finished."""
    return answers_of(by_dataset(runs))


def answers_of(comparisons: Sequence[Comparison]) -> list[Answer]:
    """The answer for each dataset. With several datasets, the first text of each answer names its dataset."""
    return [_answer(one, on=f"On {one.dataset}, " if len(comparisons) > 1 else "") for one in comparisons]


def answer(runs: Runs) -> str:
    """The answer of a sweep as plain text, one paragraph per line."""
    return "\n".join(paragraphs(answers(runs)))


def paragraphs(answers: Sequence[Answer]) -> list[str]:
    """The answers for all datasets of a sweep in words, one text per paragraph."""
    return [paragraph for one in answers for paragraph in one.paragraphs]


def _answer(comparison: Comparison, on: str) -> Answer:
    ranked, common, targets = at_budget(comparison), common_accuracy(comparison), recommend(comparison)
    start = partial(words.start, on)
    level = guessing_level(comparison)
    has_results = any(group.finished for group in comparison.advisable)
    if ranked is None:
        budget_text = _without_ranking(comparison, on)
    elif is_guessing(ranked.winner.accuracy.mean, level):
        assert level is not None
        even = [trial.even_chance for group in comparison.groups for trial in group.trials if trial.even_chance]
        budget_text = start(words.nobody_learned(ranked, level, max(even, default=None)))
    elif not ranked.margins:
        budget_text = " ".join((start(words.alone(ranked)), _alone_because(comparison, ranked)))
    else:
        budget_text = start(words.winner(ranked))
        if level is not None and is_guessing(ranked.ranking[1].accuracy.mean, level):
            budget_text += f" No other strategy is better than guessing, which reaches up to {level:.3f} here."
    if ranked is not None:
        budget_text = " ".join((budget_text, *_bounds(comparison, ranked)))
    return Answer(
        dataset=comparison.dataset,
        at_budget=ranked,
        budget_text=budget_text,
        common=common,
        common_text=words.common(common) if common else "",
        targets=tuple(targets),
        target_texts=tuple(words.targets(targets)) if has_results else (),
        full_text=_full(comparison, level) if has_results else "",
        unfinished_text=_unfinished(comparison, is_ranked=ranked is not None and bool(ranked.margins)),
    )


def _without_ranking(comparison: Comparison, on: str) -> str:
    """Say why there is no winner at a common budget."""
    start = partial(words.start, on)
    full = full_accuracy(comparison)
    had = "" if full is None else f" Full supervision has an accuracy of {full:.3f}."
    if any(group.finished for group in comparison.advisable):
        ends = words.separate_ranges(comparison.advisable)
        return start(f"the strategies cannot be compared after the same number of interactions: {ends}.")
    if any(group.finished for group in comparison.candidates):
        return start(
            "there is no strategy to recommend: all finished strategies are upper bounds, which use true labels that "
            f"no person knows.{had}"
        )
    if full is None:
        return start("no trial has finished, so there is no answer yet.")
    if comparison.candidates:
        return start(f"no trial of a strategy has finished, so there is no answer yet.{had}")
    return start(
        f"full supervision has an accuracy of {full:.3f}. No other strategy is in the sweep, so there is nothing to "
        "compare it with."
    )


def _alone_because(comparison: Comparison, ranked: AtBudget) -> str:
    others = [group.label for group in comparison.advisable if group is not ranked.winner.group]
    if others:
        return f"There is nothing to compare it with yet: no trial of {words.listed(others, 'or')} has finished."
    return "It is the only strategy in the sweep, so there is nothing to compare it with."


def _bounds(comparison: Comparison, ranked: AtBudget) -> Iterator[str]:
    """Yield a sentence about the best upper bound if it is more accurate than the winner at the end."""
    bounds = [
        (estimated.mean, group)
        for group in comparison.candidates
        if group.is_bound and (estimated := final_accuracies(group))
    ]
    accuracy, group = max(bounds, key=lambda pair: pair[0], default=(0.0, None))
    if group is not None and accuracy > ranked.winner.accuracy.mean:
        yield (
            f"{group.label} ends at {accuracy:.3f}, but it is an upper bound and no advice: it uses true labels that "
            "no person knows."
        )


def _full(comparison: Comparison, level: float | None) -> str:
    """The accuracy of full supervision, and the number of labels that it used."""
    accuracy = full_accuracy(comparison)
    if accuracy is None:
        return ""
    labels = max(
        line["annotated"]
        for group in comparison.groups
        if is_whole_pool(group)
        for trial in group.finished
        if final_accuracy(trial.lines) is not None
        for line in trial.lines
    )
    has = f"Full supervision, trained on the labels of all {labels:,} images, has an accuracy of {accuracy:.3f}"
    if is_guessing(accuracy, level):
        return f"{has}. Guessing reaches up to {level:.3f}, so full supervision did not learn either."
    return f"{has}."


def _unfinished(comparison: Comparison, *, is_ranked: bool) -> str:
    """One sentence about the trials that have not finished and, for a ranking, about the strategies without a finished
    trial."""
    trials = [trial for group in comparison.groups for trial in group.trials if not trial.is_removed]
    count = Counter(trial.status for trial in trials)
    failed, stopped, unfinished = count["failed"], count["stopped"], count["unfinished"]
    clauses = [f"{failed} failed"] if failed else []
    clauses += [f"{stopped} {'was' if stopped == 1 else 'were'} stopped early"] if stopped else []
    clauses += [f"{unfinished} {'has' if unfinished == 1 else 'have'} not finished"] if unfinished else []
    if not clauses or unfinished == len(trials):
        return ""
    missing = [group.label for group in comparison.groups if not group.finished and not _is_removed(group)]
    none = f"; no trial of {words.listed(missing, 'or')} has finished" if missing and is_ranked else ""
    return f"Of {counted(len(trials), 'trial')}, {words.listed(clauses)}, and only finished trials count here{none}."


def _is_removed(group: Group) -> bool:
    return len(group.removed) == len(group.trials)
