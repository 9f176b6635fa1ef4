"""What a project has reached after each round, what another round would probably bring, and whether it should stop.

The page, the report, the printed line and the process that ends a project all use these figures. They are about all
people together, never about one person.

Two rounds are compared on the samples of the hold-out that had a label when the later round was closed, with the labels
of that moment. So a comparison stays the same when people label more of the hold-out or correct it. A comparison needs
the predictions of both models; projects that began with an earlier version of raycal lack those of their first rounds.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raycal.people.forecast import Forecast, forecast_gain
from raycal.people.paired import Flags, PairedGain, paired_gain
from raycal.people.results import RESULTS, read_results
from raycal.people.rule_states import RuleState, rule_states
from raycal.people.stopping import StopRules
from raycal.storage.folder import Folder
from raycal.storage.predictions import HoldoutPredictions, read_predictions

# The number of rounds from which the time of an answer is estimated.
ROUNDS_OF_TIME = 3
HoldoutLabels = Callable[[int], Mapping[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """The state after a round.

    Attributes:
        iteration: The number of the round, from 0.
        accuracy: The accuracy of the model. None if it was not measured.
        low, high: The 95 % interval of the accuracy by Wilson. None if it is not known.
        minutes: The time that the answers of the round took.
        gain: The comparison with the round before. None if it is not known.
    """

    iteration: int
    accuracy: float | None
    low: float | None
    high: float | None
    minutes: float
    gain: PairedGain | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a project has reached.

    Attributes:
        rounds: The finished rounds; at least one.
        minutes: The time that the answers of all rounds took.
        forecast: What the next round probably brings. None if that is not known, or if there is no next round.
        rounds_left: The number of planned rounds that are left.
        samples_left: The number of samples of the pool that have no label of their own.
        rules: The stopping rules that are in force.
        automatically: Whether the project ends by itself when one of them holds.
        noun: The word for one sample.
    """

    rounds: tuple[RoundResult, ...]
    minutes: float
    forecast: Forecast | None
    rounds_left: int
    samples_left: int
    rules: tuple[RuleState, ...]
    automatically: bool
    noun: str

    @property
    def suggestion(self) -> RuleState | None:
        """The rule that suggests to stop. None if the project should go on."""
        return next((one for one in self.rules if one.holds), None)

    def for_page(self) -> dict[str, Any]:
        """The figures in the form in which the page gets them."""
        suggestion = self.suggestion
        forecast = None
        if self.forecast is not None:
            forecast = asdict(self.forecast) | {"gain_per_10_minutes": self.forecast.gain_per_10_minutes}
        return {
            "minutes": self.rounds[-1].minutes,
            "forecast": forecast,
            "rounds_left": self.rounds_left,
            "samples_left": self.samples_left,
            "rules": [{"rule": one.rule.value, "holds": one.holds, "text": one.text} for one in self.rules],
            "stop": None if suggestion is None else suggestion.rule.value,
            "automatically": self.automatically,
        }

    def sentences(self) -> list[str]:
        """The newest round, the next one, and whether to stop, in sentences."""
        last = self.rounds[-1]
        spent = f"Round {last.iteration + 1} took {last.minutes:,.1f} minutes"
        if last.gain is not None:
            compared = f"on the same {last.gain.number:,} {self.noun}{'' if last.gain.number == 1 else 's'}"
            sentences = [f"{spent} and changed the accuracy by {_with_interval(last.gain)}, {compared}."]
        elif last.iteration and last.accuracy is None:
            sentences = [f"{spent}; its gain is not known, because no {self.noun} of the hold-out has a label."]
        elif last.iteration:
            sentences = [f"{spent}; its gain is not known, because the model before it left no predictions."]
        else:
            sentences = [f"{spent}."]
        if self.forecast is not None:
            pace = self.forecast.gain_per_10_minutes
            each = "" if pace is None else f", {_points(pace)} per 10 minutes"
            sentences.append(
                f"Another round probably changes it by {_with_interval(self.forecast)} in about "
                f"{self.forecast.minutes:,.1f} minutes{each}."
            )
        suggestion = self.suggestion
        if suggestion is None:
            sentences.append("No stopping rule holds.")
        else:
            sentences.append(f"The stopping rule `{suggestion.rule.value}` says that this is enough: {suggestion.text}")
        return sentences


def read_progress(
    run_folder: Folder,
    *,
    num_test: Callable[[int], int],
    labels: HoldoutLabels,
    rules: StopRules,
    total_rounds: int,
    noun: str,
) -> Progress | None:
    """What a project has reached. None before the end of the first round.

    Args:
        run_folder: The folder of the run.
        num_test: The number of test samples with a label in a round.
        labels: The labels of the hold-out that people had given when a round was closed, by position. They are not
            asked for if the dataset knows the labels of its test split.
        rules: The stopping rules.
        total_rounds: The number of planned rounds.
        noun: The word for one sample.
    """
    results = read_results(run_folder, num_test)
    if not results:
        return None
    records = [json.loads(line) for line in (run_folder.read(RESULTS) or b"").splitlines()]
    last = records[-1]
    predictions = [read_predictions(run_folder, record["iteration"]) for record in records]
    gains = [None, *(_gain(predictions[at - 1 : at + 1], labels, at) for at in range(1, len(results)))]
    minutes = [one["human_minutes"] for one in results]
    rounds = tuple(
        RoundResult(
            iteration=one["iteration"],
            accuracy=one["accuracy"],
            low=one["low"],
            high=one["high"],
            minutes=now - before,
            gain=gain,
        )
        for one, gain, before, now in zip(results, gains, [0.0, *minutes], minutes, strict=False)
    )
    samples_left = last["unlabeled"] + last.get("pseudo_labeled", 0) + last["cluster_labeled"]
    rounds_left = max(0, total_rounds - len(rounds)) if samples_left else 0
    forecast = None
    if rounds_left:
        forecast = _forecast([record["interactions"] for record in records], minutes, predictions, labels)
    return Progress(
        rounds=rounds,
        minutes=minutes[-1],
        forecast=forecast,
        rounds_left=rounds_left,
        samples_left=samples_left,
        rules=rule_states(
            rules,
            low=results[-1]["low"],
            gains=gains,
            predictions=predictions,
            minutes=minutes[-1],
            samples_left=samples_left,
            noun=noun,
        ),
        automatically=rules.automatically,
        noun=noun,
    )


def _gain(pair: Sequence[HoldoutPredictions | None], labels: HoldoutLabels, iteration: int) -> PairedGain | None:
    right = _right(pair, labels, iteration)
    return None if right is None else paired_gain(*right)


def _right(predictions: Sequence[HoldoutPredictions | None], labels: HoldoutLabels, iteration: int) -> Flags | None:
    """(R, H) Whether each model is right about each test sample that had a label at the end of an iteration. None if
    the predictions of a model were not kept."""
    known = [one for one in predictions if one is not None]
    if not known or len(known) < len(predictions):
        return None
    number = min(len(one.predicted) for one in known)
    given = known[-1].labels[:number].copy()
    if (given < 0).all():
        for position, label in labels(iteration).items():
            if position < number:
                given[position] = label
    positions = np.flatnonzero(given >= 0)
    return np.stack([one.predicted[positions] == given[positions] for one in known])


def _forecast(
    answers: Sequence[int],
    minutes: Sequence[float],
    predictions: Sequence[HoldoutPredictions | None],
    labels: HoldoutLabels,
) -> Forecast | None:
    """What a round with as many answers as the last one brings, from the rounds whose predictions were kept."""
    first = 1 + max((at for at, one in enumerate(predictions) if one is None), default=-1)
    right = _right(predictions[first:], labels, len(answers) - 1)
    next_answers = answers[-1] - (answers[-2] if len(answers) > 1 else 0)
    found = None if right is None else forecast_gain(answers[first:], right, next_answers)
    if found is None:
        return None
    start = len(answers) - 1 - ROUNDS_OF_TIME
    earlier_answers, earlier_minutes = (answers[start], minutes[start]) if start >= 0 else (0, 0.0)
    per_answer = (minutes[-1] - earlier_minutes) / max(1, answers[-1] - earlier_answers)
    gain, low, high = found
    return Forecast(gain=gain, low=low, high=high, answers=next_answers, minutes=per_answer * next_answers)


def _with_interval(value: PairedGain | Forecast) -> str:
    low, high = (f"{100 * end:+.1f}" for end in (value.low, value.high))
    return f"{_points(value.gain)} (95 % interval {low} to {high})".replace("-", "\N{MINUS SIGN}")


def _points(share: float) -> str:
    """A change of accuracy as points with a sign."""
    return f"{100 * share:+.1f} points".replace("-", "\N{MINUS SIGN}")
