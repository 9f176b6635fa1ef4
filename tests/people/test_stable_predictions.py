"""Tests the rule that watches whether successive models still change their predictions, with predictions whose kappas
are known."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from kept_rounds import keep_rounds
from sklearn.metrics import cohen_kappa_score

from raycal.people.answered import AnsweredByPeople
from raycal.people.progress import Progress, read_progress
from raycal.people.stable import stable_predictions
from raycal.people.stopping import RULES, Rule, StopRules, read_rules, rule_of, write_rules
from raycal.storage.folder import Folder
from raycal.storage.predictions import HoldoutPredictions


def predicted(classes: np.ndarray | Sequence[int]) -> HoldoutPredictions:
    classes = np.asarray(classes, np.int32)
    return HoldoutPredictions(predicted=classes, labels=np.full(len(classes), -1, np.int32))


def changing(number: int, changes: Sequence[int], num_classes: int = 4) -> list[HoldoutPredictions]:
    """The predictions of one round more than there are changes. In each round so many samples get the next class."""
    classes, rounds = np.arange(number) % num_classes, []
    rounds.append(predicted(classes))
    for many in changes:
        classes = np.where(np.arange(number) < many, (classes + 1) % num_classes, classes)
        rounds.append(predicted(classes))
    return rounds


class TestAgreement:
    def test_mean_of_the_last_three_kappas_counts(self) -> None:
        # Four classes of equal size agree by chance with 1/4, so 8 changes among 400 have a kappa of 1 - 0.02 / 0.75.
        rounds = changing(400, [200, 8, 0, 4])
        by_hand = [1 - 0.02 / 0.75, 1.0, 1 - 0.01 / 0.75]
        by_sklearn = [cohen_kappa_score(one.predicted, other.predicted) for one, other in pairwise(rounds[1:])]
        assert by_sklearn == pytest.approx(by_hand)
        mean = sum(by_hand) / 3
        assert mean == pytest.approx(0.98667, abs=1e-5)

        assert stable_predictions(rounds, 0.98, "image") == (
            True,
            "The models of the last four rounds agree: a mean kappa of 0.986 on the same 400 images; the rule asks for "
            "0.98.",
        )
        assert stable_predictions(rounds, 0.987, "image") == (
            False,
            "The models of the last four rounds do not agree yet: a mean kappa of 0.986 on the same 400 images; the "
            "rule asks for 0.987.",
        )

    def test_rule_holds_from_its_threshold_on(self) -> None:
        rounds = [predicted(np.random.default_rng(seed).integers(0, 3, 500)) for seed in range(4)]
        mean = np.mean([cohen_kappa_score(one.predicted, other.predicted) for one, other in pairwise(rounds)])

        assert stable_predictions(rounds, mean - 1e-9, "image")[0]
        assert not stable_predictions(rounds, mean + 1e-9, "image")[0]

    def test_predictions_that_never_change_agree(self) -> None:
        assert stable_predictions(changing(100, [0, 0, 0]), 1, "text") == (
            True,
            "The models of the last four rounds agree: a mean kappa of 1.000 on the same 100 texts; the rule asks for "
            "1.",
        )

    @pytest.mark.parametrize(("number", "words"), [(1, "there is 1 so far"), (3, "there are 3 so far")])
    def test_four_rounds_are_needed(self, number: int, words: str) -> None:
        holds, text = stable_predictions(changing(400, [0] * (number - 1)), 0.99, "image")

        assert (holds, text) == (
            False,
            f"The models of four rounds are compared, and {words}; the rule asks for 0.99 of kappa, which is 1 if they "
            "always agree and 0 if they agree by chance.",
        )

    @pytest.mark.parametrize("rounds", [1, 4])
    def test_few_samples_cannot_show_it(self, rounds: int) -> None:
        holds, text = stable_predictions(changing(99, [0] * (rounds - 1)), 0.99, "image")

        assert (holds, text) == (
            False,
            "This rule cannot hold, because the hold-out has 99 images, and fewer than 100 cannot show whether models "
            "agree.",
        )

    def test_models_that_predict_one_class_say_nothing(self) -> None:
        rounds = [*changing(400, [0]), *[predicted([2] * 400)] * 2]

        holds, text = stable_predictions(rounds, 0.01, "image")

        assert (holds, text) == (
            False,
            "Two successive models predict one and the same class for all 400 images, which says nothing.",
        )

    def test_lost_predictions_and_another_holdout_cannot_be_compared(self) -> None:
        rounds = changing(400, [0, 0, 0, 0])
        lost = "The models of the last four rounds cannot be compared, because one left no predictions."
        other = "The models of the last four rounds cannot be compared, because their hold-outs differ."

        assert stable_predictions([None, *rounds[1:]], 0.99, "image")[0]
        assert stable_predictions([*rounds[:2], None, *rounds[3:]], 0.99, "image") == (False, lost)
        assert stable_predictions([*rounds[:4], predicted(np.arange(410) % 4)], 0.99, "image") == (False, other)


def keep(run: Folder, rounds: Sequence[HoldoutPredictions], *, left: int = 400) -> None:
    """Write rounds of a project in which nobody has labeled the hold-out, so that the accuracy is not known."""
    keep_rounds(run, rounds, [float("nan")] * len(rounds), left=left)


def read(run: Folder, rules: StopRules) -> Progress:
    progress = read_progress(run, num_test=lambda _: 0, labels=lambda _: {}, rules=rules, total_rounds=10, noun="image")
    assert progress is not None
    return progress


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "run"))


class TestProject:
    def test_rule_holds_although_nobody_has_labeled_the_holdout(self, run: Folder) -> None:
        keep(run, changing(400, [100, 2, 2, 2]))
        kappa = 1 - 0.005 / 0.75

        progress = read(run, StopRules(stable=0.99))

        assert progress.suggestion is not None
        assert progress.suggestion.rule is Rule.STABLE
        text = (
            f"The models of the last four rounds agree: a mean kappa of {kappa:.3f} on the same 400 images; the rule "
            "asks for 0.99."
        )
        assert progress.for_page()["stop"] == "stable"
        assert {"rule": "stable", "holds": True, "text": text} in progress.for_page()["rules"]
        assert progress.sentences() == [
            "Round 5 took 4.0 minutes; its gain is not known, because no image of the hold-out has a label.",
            f"The stopping rule `stable` says that this is enough: {text}",
        ]

    def test_rule_says_how_far_the_models_are_apart(self, run: Folder) -> None:
        keep(run, changing(400, [100, 2, 20, 2]))

        progress = read(run, StopRules(stable=0.99))

        assert progress.suggestion is None
        kappa = (2 * (1 - 0.005 / 0.75) + (1 - 0.05 / 0.75)) / 3
        assert f"a mean kappa of {kappa:.3f} on" in progress.rules[-1].text

    def test_rule_comes_after_those_about_the_accuracy_and_before_the_minutes(self, run: Folder) -> None:
        keep(run, changing(400, [0, 0, 0]), left=0)

        progress = read(run, StopRules(target=0.9, stable=0.99, minutes=1))

        assert [one.rule for one in progress.rules] == [*Rule]
        assert [one.holds for one in progress.rules] == [False, False, True, True, True]
        assert progress.suggestion is progress.rules[2]

    def test_rule_can_be_switched_off(self, run: Folder) -> None:
        keep(run, changing(400, [0, 0, 0]))

        progress = read(run, StopRules(stable=None))

        assert [one.rule for one in progress.rules] == [Rule.WORTH]
        assert progress.suggestion is None

    def test_project_ends_by_it_and_the_record_names_it(self, run: Folder) -> None:
        keep(run, changing(400, [0, 0, 0]))
        answered = AnsweredByPeople(run, lambda: 1)

        write_rules(run, StopRules(stable=0.99))
        assert answered.reason_to_end(4) is None
        write_rules(run, StopRules(stable=0.99, automatically=True))
        assert answered.reason_to_end(4) == "stopping rule: stable"
        assert rule_of("stopping rule: stable") is Rule.STABLE

    def test_rules_that_an_earlier_version_kept_end_no_project_by_it(self, run: Folder) -> None:
        keep(run, changing(400, [0, 0, 0]))
        run.write(RULES, b'{"target": null, "worth": 0.01, "minutes": null, "automatically": true}')

        assert read_rules(run) == StopRules(automatically=True)
        assert AnsweredByPeople(run, lambda: 1).reason_to_end(4) is None
