"""Tests what a project has reached after each round, with rounds whose models are right about known images."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from kept_rounds import keep_rounds
from scipy.stats import binomtest

from raycal.algorithm.records import Kind
from raycal.people.answered import AnsweredByPeople
from raycal.people.events import Answered, Closed, Event, GivenAnswer, Purpose, Timing
from raycal.people.fold import fold
from raycal.people.log import AnswerLog
from raycal.people.paired import paired_interval
from raycal.people.progress import Progress, read_progress
from raycal.people.stopping import RULES, Rule, StopRules, read_rules, rule_of, write_rules
from raycal.storage.folder import Folder
from raycal.storage.predictions import HoldoutPredictions, predictions_name, read_predictions, to_parquet

CLASSES = 5


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


def keep(run: Folder, rounds: Sequence[np.ndarray], *, labels: np.ndarray, left: int = 400) -> None:
    """Write the results of rounds, and what each model predicts: the label, or another class.

    Args:
        rounds: For each round, whether its model is right about each image.
        labels: The true labels.
    """
    unknown = np.full(len(labels), -1)
    predictions = [
        HoldoutPredictions(predicted=np.where(right, labels, (labels + 1) % CLASSES), labels=unknown)
        for right in rounds
    ]
    keep_rounds(run, predictions, [float(right.mean()) for right in rounds], left=left)


def read(run: Folder, labels: np.ndarray, rules: StopRules | None = None, *, rounds: int = 10) -> Progress:
    progress = read_progress(
        run,
        num_test=lambda _: len(labels),
        labels=lambda _: dict(enumerate(labels.tolist())),
        rules=rules or StopRules(),
        total_rounds=rounds,
        noun="image",
    )
    assert progress is not None
    return progress


def right_about(number: int, total: int) -> np.ndarray:
    return np.arange(total) < number


LABELS = np.arange(400) % CLASSES


def test_nothing_is_reached_before_the_first_round(run: Folder) -> None:
    assert (
        read_progress(run, num_test=len, labels=lambda _: {}, rules=StopRules(), total_rounds=3, noun="image") is None
    )


def test_rounds_are_compared_on_the_same_images(run: Folder) -> None:
    earlier = right_about(340, 400)
    later = earlier.copy()
    later[340:364], later[:6] = True, False
    keep(run, [earlier, later], labels=LABELS)

    progress = read(run, LABELS)

    first, last = progress.rounds
    assert first.gain is None
    assert last.gain is not None
    assert (last.gain.won, last.gain.lost, last.gain.number) == (24, 6, 400)
    assert last.gain.gain == pytest.approx(0.045)
    assert (last.gain.low, last.gain.high) == paired_interval(334, 24, 6, 36)
    assert last.gain.p_value == pytest.approx(binomtest(6, 30).pvalue)
    assert (last.minutes, progress.minutes, progress.rounds_left, progress.samples_left) == (4.0, 8.0, 8, 400)
    assert progress.forecast is not None
    assert (progress.forecast.answers, progress.forecast.minutes) == (50, pytest.approx(4.0))
    assert progress.sentences() == [
        "Round 2 took 4.0 minutes and changed the accuracy by +4.5 points (95 % interval +1.8 to +7.4), on the same "
        "400 images.",
        progress.sentences()[1],
        "No stopping rule holds.",
    ]
    assert progress.sentences()[1].startswith("Another round probably changes it by +")
    assert json.dumps(progress.for_page(), allow_nan=False)


def test_images_labeled_later_belong_to_later_comparisons(run: Folder) -> None:
    keep(run, [right_about(200, 400), right_about(300, 400)], labels=LABELS)
    known = {0: 50, 1: 250}

    progress = read_progress(
        run,
        num_test=known.__getitem__,
        labels=lambda iteration: dict(enumerate(LABELS[: known[iteration]].tolist())),
        rules=StopRules(),
        total_rounds=3,
        noun="image",
    )

    assert progress is not None
    gain = progress.rounds[1].gain
    assert gain is not None
    assert (gain.number, gain.won, gain.lost) == (250, 50, 0)


def test_project_of_an_earlier_version_has_no_comparison(run: Folder) -> None:
    keep(run, [right_about(300, 400), right_about(320, 400), right_about(330, 400)], labels=LABELS)
    run.folder("people/predictions").remove(predictions_name(0))

    progress = read(run, LABELS)

    assert [one.gain is None for one in progress.rounds] == [True, True, False]
    assert progress.forecast is not None  # from the two rounds whose predictions were kept

    run.folder("people/predictions").remove(predictions_name(1))
    progress = read(run, LABELS)

    assert [one.gain for one in progress.rounds] == [None, None, None]
    assert progress.forecast is None
    assert progress.sentences()[0] == (
        "Round 3 took 4.0 minutes; its gain is not known, because the model before it left no predictions."
    )


def test_damaged_predictions_are_not_known(run: Folder) -> None:
    keep(run, [right_about(300, 400), right_about(320, 400)], labels=LABELS)
    folder = run.folder("people/predictions")
    content = folder.read(predictions_name(1)) or b""
    assert read_predictions(run, 1) is not None
    for damaged in (b"", b"no table", content[:-20]):
        folder.write(predictions_name(1), damaged)
        assert read_predictions(run, 1) is None
        assert read(run, LABELS).rounds[1].gain is None


def test_labels_of_the_dataset_come_before_those_of_people(run: Folder) -> None:
    truth = LABELS[:40]
    keep(run, [right_about(20, 40), right_about(30, 40)], labels=truth)
    for iteration in (0, 1):
        predicted = np.where(right_about(20 + 10 * iteration, 40), truth, (truth + 1) % CLASSES)
        content = to_parquet(HoldoutPredictions(predicted=predicted, labels=truth))
        run.folder("people/predictions").write(predictions_name(iteration), content)

    progress = read_progress(
        run, num_test=lambda _: 40, labels=lambda _: {}, rules=StopRules(), total_rounds=3, noun="image"
    )

    assert progress is not None
    gain = progress.rounds[1].gain
    assert gain is not None
    assert (gain.number, gain.won, gain.lost) == (40, 10, 0)


class TestRules:
    def test_target_is_reached_by_the_lower_end(self, run: Folder) -> None:
        keep(run, [right_about(360, 400)], labels=LABELS)
        low = binomtest(360, 400).proportion_ci(0.95, method="wilson").low

        assert read(run, LABELS, StopRules(target=0.88)).suggestion is None
        suggestion = read(run, LABELS, StopRules(target=low - 1e-9)).suggestion

        assert suggestion is not None
        assert (suggestion.rule, suggestion.text) == (
            Rule.TARGET,
            "The accuracy is at least 86.7 %, and the target of 86.7 % is reached.",
        )

    def test_two_rounds_without_a_gain_are_enough(self, run: Folder) -> None:
        same = right_about(380, 400)
        keep(run, [right_about(200, 400), same], labels=LABELS)
        assert read(run, LABELS).suggestion is None
        keep(run, [right_about(200, 400), same, same], labels=LABELS)
        assert read(run, LABELS).suggestion is None
        keep(run, [right_about(200, 400), same, same, same], labels=LABELS)

        suggestion = read(run, LABELS).suggestion

        assert suggestion is not None
        assert suggestion.rule is Rule.WORTH
        assert suggestion.text == "Each of the last two rounds changed the accuracy by at most 1 point."
        assert read(run, LABELS, StopRules(worth=0.005)).suggestion is None

    def test_rule_about_two_gains_says_from_which_round_on_it_can_hold(self, run: Folder) -> None:
        same, texts = right_about(380, 400), []
        for rounds in (1, 2, 3):
            keep(run, [right_about(200, 400), same, same][:rounds], labels=LABELS)
            texts.append([one.text for one in read(run, LABELS).rules])

        early = "This rule compares two rounds with the rounds before them, so it can hold from round 3 on."
        uncertain = "It is not certain that each of the last two rounds changed the accuracy by at most 1 point."
        assert texts == [[early], [early], [uncertain]]

    def test_small_holdout_is_never_certain_of_a_small_gain(self, run: Folder) -> None:
        same = right_about(30, 40)
        keep(run, [same] * 4, labels=LABELS[:40])

        progress = read(run, LABELS[:40])
        assert progress.suggestion is None
        assert progress.rules[0].text == (
            "This rule cannot hold, because the hold-out has 40 images, and with so few no change as small as 1 point "
            "is certain."
        )
        assert read(run, LABELS[:40], StopRules(worth=0.15)).suggestion is not None

    def test_no_interval_of_a_gain_is_narrower_than_the_rule_worth_assumes(self) -> None:
        """Newcombe's interval is narrowest if both models are right about the same half of the samples."""
        for number in (40, 97):
            lowest = paired_interval(number // 2, 0, 0, number - number // 2)[1]
            for won in (0, 1, 5):
                for both in range(number - won + 1):
                    low, high = paired_interval(both, won, 0, number - both - won)
                    assert max(-low, high) >= lowest - 1e-12

    def test_minutes_are_used_up(self, run: Folder) -> None:
        keep(run, [right_about(200, 400), right_about(250, 400)], labels=LABELS)

        assert read(run, LABELS, StopRules(minutes=8.5)).suggestion is None
        suggestion = read(run, LABELS, StopRules(minutes=8)).suggestion

        assert suggestion is not None
        assert suggestion.rule is Rule.MINUTES
        assert suggestion.text == "The rounds took 8.0 of the planned 8 minutes."

    def test_empty_pool(self, run: Folder) -> None:
        keep(run, [right_about(200, 400), right_about(250, 400)], labels=LABELS, left=0)

        progress = read(run, LABELS)

        assert progress.suggestion is not None
        assert progress.suggestion.rule is Rule.POOL
        assert (progress.rounds_left, progress.forecast) == (0, None)
        assert progress.for_page()["stop"] == "pool"

    def test_rules_are_kept_and_read(self, run: Folder) -> None:
        rules = StopRules(target=0.9, worth=0.02, minutes=60.0, automatically=True)
        assert read_rules(run) == StopRules()
        write_rules(run, rules)
        assert read_rules(run) == rules
        run.write(RULES, b"{")
        assert read_rules(run) == StopRules()

    def test_recorded_reason_names_the_rule(self) -> None:
        assert [rule_of(rule.reason) for rule in Rule] == [*Rule]
        assert [rule_of(other) for other in (None, "iterations", "pool exhausted", "target", "stopping rule: x")] == [
            None
        ] * 5


class TestEnd:
    """When the worker ends a project by itself."""

    def answered(self, run: Folder) -> AnsweredByPeople:
        return AnsweredByPeople(run, lambda: 1)

    def label(self, run: Folder) -> None:
        with AnswerLog(run) as log:
            log.write([*holdout_answers(LABELS), closed(len(LABELS), 0)])
        keep(run, [right_about(380, 400)], labels=LABELS)

    def test_nothing_stops_by_itself_without_the_setting(self, run: Folder) -> None:
        self.label(run)
        write_rules(run, StopRules(target=0.5))
        assert self.answered(run).reason_to_end(1) is None

    def test_rule_ends_the_project(self, run: Folder) -> None:
        self.label(run)
        write_rules(run, StopRules(target=0.9, automatically=True))
        assert self.answered(run).reason_to_end(1) == Rule.TARGET.reason
        write_rules(run, StopRules(target=0.97, automatically=True))
        assert self.answered(run).reason_to_end(1) is None

    def test_round_that_people_have_begun_is_not_taken_away(self, run: Folder) -> None:
        self.label(run)
        write_rules(run, StopRules(target=0.9, automatically=True))
        run.folder("people/steps").write("iteration-001-step-0.json", b"{}")
        assert self.answered(run).reason_to_end(1) is None


def holdout_answers(labels: np.ndarray) -> list[Event]:
    return [
        Answered(
            seq=position + 1,
            id=f"answer {position}",
            who="bot",
            time="2026-11-27T12:00:00Z",
            question=f"h.{position}",
            kind=Kind.SAMPLE,
            answer=GivenAnswer.LABEL,
            label=int(label),
            purpose=Purpose.HOLDOUT,
            timing=Timing(visible_ms=1500),
        )
        for position, label in enumerate(labels)
    ]


def closed(before: int, iteration: int) -> Closed:
    common = {"seq": before + 1, "id": f"closed {iteration}", "who": "bot", "time": "2026-11-27T12:00:00Z"}
    return Closed(**common, iteration=iteration, step=None)


def test_intervals_cover_the_truth_of_bots_in_93_of_100_seeds(run: Folder) -> None:
    """Bots label a hold-out of 100 images that is drawn from 5,000. The accuracies of two models on all images, and
    their difference, are known."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, CLASSES, 5000)
    earlier = draw.random(5000) < 0.8
    later = np.where(draw.random(5000) < 0.1, draw.random(5000) < 0.9, earlier)
    accuracy = gain = 0
    for seed in range(100):
        drawn = np.random.default_rng(seed).permutation(5000)[:100]
        labels = fold(holdout_answers(truth[drawn]), [str(one) for one in range(CLASSES)]).holdout()
        keep(run, [earlier[drawn], later[drawn]], labels=truth[drawn])
        progress = read_progress(
            run,
            num_test=lambda _, labels=labels: len(labels),
            labels=lambda _, labels=labels: labels,
            rules=StopRules(),
            total_rounds=2,
            noun="image",
        )
        assert progress is not None
        last = progress.rounds[-1]
        assert last.low is not None
        assert last.high is not None
        assert last.gain is not None
        accuracy += last.low <= later.mean() <= last.high
        gain += last.gain.low <= later.mean() - earlier.mean() <= last.gain.high

    assert (accuracy >= 93, gain >= 93) == (True, True), (accuracy, gain)
