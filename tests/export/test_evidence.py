"""Tests which label an image gets from all labels that it was ever given."""

import numpy as np
import pytest
from evidence_bots import Bots, single
from ledger_rows import row_of

from raycal.algorithm.records import Indices, Interaction, Kind, Labels
from raycal.export.evidence import NOT_LABELED, Decision, decide
from raycal.people.evidence import NO_INTERACTION, Evidence, OtherAnswer
from raycal.people.posterior import posterior


def answer(
    interaction: int, iteration: int, label: int | None, *indices: int, kind: Kind = Kind.CLUSTER
) -> Interaction:
    return row_of(interaction, iteration, kind, label, np.array(indices, np.int64))


def alone(interaction: int, iteration: int, label: int, index: int) -> Interaction:
    return answer(interaction, iteration, label, index, kind=Kind.SAMPLE)


def decided_on(evidence: Evidence, content: Indices, num_classes: int = 6) -> Decision:
    return decide(evidence, content, posterior(evidence, content, num_classes))


def decided(
    rows: list[Interaction],
    num_images: int,
    marked: dict[int, Indices] | None = None,
    content: list[int] | None = None,
    others: tuple[OtherAnswer, ...] = (),
) -> tuple[list[int], list[int]]:
    """The label of each image, and the number of the interaction that supports it (-1 without a label)."""
    evidence = Evidence.of(rows, marked or {}, others=others)
    decision = decided_on(evidence, np.arange(num_images) if content is None else np.array(content, np.int64))
    numbers = [int(evidence.interaction[row]) if row >= 0 else -1 for row in decision.support]
    assert np.array_equal(np.isnan(decision.probability), decision.labels == NOT_LABELED)
    return decision.labels.tolist(), numbers


def test_labels_of_clusters_of_all_rounds_count() -> None:
    rows = [answer(1, 0, 2, 0, 1), answer(2, 1, 1, 2), answer(3, 7, None, 3)]

    assert decided(rows, 5) == ([2, 2, 1, NOT_LABELED, NOT_LABELED], [1, 1, 2, -1, -1])


@pytest.mark.parametrize("later", [0, 3])
def test_single_label_beats_two_clusters_before_and_after_it(later: int) -> None:
    rows = [answer(1, 0, 2, 0, 1, 2), alone(2, 2, 1, 0), answer(3, 2 + later, 2, 0, 3, 4)]

    assert decided(rows, 5)[0][0] == 1


def test_newest_of_two_equally_probable_labels_counts_in_whatever_order_the_rows_come() -> None:
    rows = [answer(5, 3, 0, 0, 1), answer(6, 4, 1, 0, 2)]

    assert decided(rows, 3) == ([1, 0, 1], [6, 5, 6])
    assert decided(rows[::-1], 3) == ([1, 0, 1], [6, 5, 6])


def test_second_look_decides_against_two_people_and_a_cluster() -> None:
    image = np.array([0], np.int64)
    nothing = image[:0]

    def other(who: str, label: int, *, is_look: bool = False) -> OtherAnswer:
        return OtherAnswer(
            who=who, round=1, kind=Kind.SAMPLE, label=label, indices=image, marked=nothing, seen=image, is_look=is_look
        )

    rows = [answer(1, 0, 2, 0, 1, 2), alone(2, 0, 2, 0)]
    opinions = (other("bo", 2), other("cy", 4, is_look=True))

    assert decided(rows, 3, others=opinions)[0] == [4, 2, 2]
    assert decided(rows, 3, others=opinions)[1] == [NO_INTERACTION, 1, 1]
    assert decided(rows, 3, others=(other("bo", 2), other("cy", 4)))[0] == [2, 2, 2]


def test_second_look_of_the_same_person_makes_a_label_more_probable() -> None:
    image = np.array([0], np.int64)

    def other(who: str, label: int, *, is_look: bool) -> OtherAnswer:
        return OtherAnswer(
            who=who,
            round=0,
            kind=Kind.SAMPLE,
            label=label,
            indices=image,
            marked=image[:0],
            seen=image,
            is_look=is_look,
        )

    def probability(*others: OtherAnswer) -> float:
        evidence = Evidence.of([alone(1, 0, 2, 0)], {}, annotators={1: "ana"}, others=others)
        decision = decided_on(evidence, image)
        assert decision.labels.tolist() == [2]
        return float(decision.probability[0])

    against = other("bo", 3, is_look=False)
    assert probability(other("ana", 2, is_look=True), against) > 0.9


def test_two_clusters_outvote_one() -> None:
    rows = [answer(1, 0, 2, 0, 1, 2), answer(2, 1, 2, 0, 3, 4), answer(3, 2, 1, 0, 5, 6)]

    assert decided(rows, 7)[0][0] == 2


def test_support_is_the_newest_row_of_the_ledger_and_a_single_one_if_there_is_one() -> None:
    rows = [answer(1, 0, 2, 0, 1), answer(2, 1, 2, 0, 2), alone(3, 2, 3, 4), answer(4, 3, 3, 4, 5)]
    check = single("bo", 1, 2, 1)

    assert decided(rows, 6, others=(check,)) == ([2, 2, 2, NOT_LABELED, 3, 3], [2, 1, 2, -1, 3, 4])


def test_label_that_only_checks_give_is_exported_too() -> None:
    rows = [answer(1, 0, 2, 0, 1, 2)]
    checks = (single("bo", 0, 4, 1), single("cy", 0, 4, 1))

    assert decided(rows, 3, others=checks) == ([2, 4, 2], [1, 0, 1])


def test_odd_image_loses_the_class_that_one_earlier_cluster_gave() -> None:
    rows = [answer(1, 0, 2, 0, 1), answer(2, 1, 2, 1)]

    assert decided(rows, 2, {2: np.array([0])}) == ([NOT_LABELED, 2], [-1, 2])


def test_odd_image_keeps_the_class_if_two_clusters_gave_it() -> None:
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 0), answer(3, 2, 2, 5)]

    assert decided(rows, 6, {3: np.array([0])})[0] == [2, -1, -1, -1, -1, 2]


def test_odd_image_gets_the_class_again_from_a_later_cluster() -> None:
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 1), answer(3, 2, 2, 0)]

    assert decided(rows, 2, {2: np.array([0])}) == ([2, 2], [3, 2])


def test_odd_image_keeps_another_class() -> None:
    rows = [answer(1, 0, 1, 0), answer(2, 1, 2, 1)]

    assert decided(rows, 2, {2: np.array([0])}) == ([1, 2], [1, 2])


def test_mark_does_not_remove_a_single_label() -> None:
    rows = [alone(1, 0, 2, 0), answer(2, 1, 2, 1)]

    assert decided(rows, 2, {2: np.array([0])}) == ([2, 2], [1, 2])


def test_image_that_was_only_marked_has_no_label() -> None:
    assert decided([answer(1, 0, 2, 0)], 2, {1: np.array([1])}) == ([2, NOT_LABELED], [1, -1])


def test_duplicates_share_their_evidence() -> None:
    rows = [answer(1, 0, 2, 0), alone(2, 1, 1, 2)]

    assert decided(rows, 4, content=[7, 3, 7, 0]) == ([1, NOT_LABELED, 1, NOT_LABELED], [2, -1, 2, -1])


def test_run_without_answers_has_no_labels() -> None:
    assert decided([], 2) == ([NOT_LABELED, NOT_LABELED], [-1, -1])
    assert decided([answer(1, 0, None, 0, 1)], 2) == ([NOT_LABELED, NOT_LABELED], [-1, -1])


def weighted_vote(evidence: Evidence, num_images: int) -> Labels:
    """The labels of earlier versions: the newest single label, or else the majority of clusters, in which an answer
    that is n rounds old has the weight 0.8**n, and a mark counts against the label.
    """
    singles: dict[int, tuple[int, int]] = {}
    votes: dict[int, list[tuple[int, int, int, int]]] = {}
    names = ("index", "label", "round", "interaction", "is_single", "is_odd")
    for index, label, number, interaction, is_single, is_odd in zip(
        *(getattr(evidence, name).tolist() for name in names), strict=True
    ):
        if interaction and is_single:
            singles[index] = max(singles.get(index, (0, 0)), (interaction, label))
        elif interaction:
            votes.setdefault(index, []).append((label, number, interaction, -1 if is_odd else 1))
    found = np.full(num_images, NOT_LABELED)
    for index, mine in votes.items():
        newest = max(number for _, number, _, _ in mine)
        sums = {
            label: sum(sign * 0.8 ** (newest - number) for at, number, _, sign in mine if at == label)
            for label, _, _, sign in mine
            if sign > 0
        }
        wins = [
            (round(total, 9), max(one for at, _, one, sign in mine if at == label and sign > 0), label)
            for label, total in sums.items()
            if total > 1e-9
        ]
        found[index] = max(wins, default=(0, 0, NOT_LABELED))[2]
    for index, (_, label) in singles.items():
        found[index] = label
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "bots",
    [
        Bots(num_images=3000),
        Bots(num_images=3000, again=0.6, look_alike=0.03),
        Bots(num_images=3000, team={"ana": 0.05}),
        Bots(num_images=3000, num_classes=2),
    ],
    ids=["team", "clusters again", "one person", "two classes"],
)
def test_labels_of_bots_are_at_least_as_right_as_by_a_vote_and_no_label_is_dropped(bots: Bots, seed: int) -> None:
    labeled = bots.label(seed)
    evidence = labeled.evidence
    by_vote = weighted_vote(evidence, bots.num_images)
    decision = decided_on(evidence, np.arange(bots.num_images), bots.num_classes)

    assert not ((by_vote != NOT_LABELED) & (decision.labels == NOT_LABELED)).any()
    both = by_vote != NOT_LABELED
    wrong_by_vote = (by_vote != labeled.truth)[both].mean()
    assert wrong_by_vote > 0
    assert (decision.labels != labeled.truth)[both].mean() <= wrong_by_vote


def test_expert_without_errors_gets_the_labels_of_a_vote() -> None:
    labeled = Bots(num_images=3000, team={"": 0.0}, odd=0, false_marks=0).label(0)
    evidence = Evidence.of(labeled.rows, {})
    decision = decided_on(evidence, np.arange(3000), 10)

    assert np.array_equal(decision.labels, labeled.truth)
    assert np.array_equal(decision.labels, weighted_vote(evidence, 3000))


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_single_labels_of_an_expert_without_errors_stand_against_clusters_of_look_alikes(share: float) -> None:
    labeled = Bots(num_images=3000, team={"": 0.0}, look_alike=share, missed=1.0, false_marks=0).label(0)
    evidence = Evidence.of(labeled.rows, {})
    decision = decided_on(evidence, np.arange(3000), 10)
    is_single = np.zeros(3000, bool)
    is_single[evidence.index[evidence.is_single]] = True

    assert np.array_equal(decision.labels[is_single], labeled.truth[is_single])
    by_vote = weighted_vote(evidence, 3000)
    assert (decision.labels != labeled.truth).mean() <= (by_vote != labeled.truth).mean()
    assert (by_vote != labeled.truth).mean() > 0.03


def test_only_images_that_a_vote_would_leave_unlabeled_are_unlabeled() -> None:
    """Random labels and marks, which no model fits: who has a label by the vote keeps one."""
    rng = np.random.default_rng(0)
    num_lost = 0
    for _ in range(20):
        rows, marked = [], {}
        for number in range(1, 120):
            some = rng.permutation(30)[: rng.integers(1, 8)]
            if rng.random() < 0.1:
                rows.append(alone(number, number // 20, int(rng.integers(4)), int(some[0])))
                continue
            cut = rng.integers(len(some))
            rows.append(answer(number, number // 20, int(rng.integers(4)), *sorted(some[cut:])))
            marked[number] = np.sort(some[:cut])
        evidence = Evidence.of(rows[:40], marked)
        decision = decided_on(evidence, np.arange(30), 4)
        by_vote = weighted_vote(evidence, 30)
        assert not ((by_vote != NOT_LABELED) & (decision.labels == NOT_LABELED)).any()
        lost = (by_vote == NOT_LABELED) & (decision.labels == NOT_LABELED)
        num_lost += int(lost[np.unique(evidence.index)].sum())
    assert num_lost > 0
