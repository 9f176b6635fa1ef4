"""Tests which label an image gets from all labels that it was ever given."""

import numpy as np
import pytest

from raycal.algorithm.records import Answer, Indices, Interaction, Kind
from raycal.export.evidence import NOT_LABELED, Evidence, decide


def answer(
    interaction: int, iteration: int, label: int | None, *indices: int, kind: Kind = Kind.CLUSTER
) -> Interaction:
    return Interaction(
        iteration=iteration,
        step=0,
        interaction=interaction,
        kind=kind,
        answer=Answer.REFUSED if label is None else Answer.LABELED,
        label=label,
        purity=None,
        wrong=None,
        seconds=1.0,
        indices=np.array(indices, np.int64),
    )


def single(interaction: int, iteration: int, label: int, index: int) -> Interaction:
    return answer(interaction, iteration, label, index, kind=Kind.SAMPLE)


def decided(
    rows: list[Interaction], num_images: int, marked: dict[int, Indices] | None = None, content: list[int] | None = None
) -> tuple[list[int], list[int]]:
    """The label of each image, and the number of the interaction that supports it (0 without a label)."""
    evidence = Evidence.of(rows, marked or {})
    decision = decide(evidence, np.arange(num_images) if content is None else np.array(content, np.int64))
    numbers = [int(evidence.interaction[row]) if row >= 0 else 0 for row in decision.support]
    return decision.labels.tolist(), numbers


def test_labels_of_clusters_of_all_rounds_count() -> None:
    rows = [answer(1, 0, 2, 0, 1), answer(2, 1, 1, 2), answer(3, 7, None, 3)]

    assert decided(rows, 5) == ([2, 2, 1, NOT_LABELED, NOT_LABELED], [1, 1, 2, 0, 0])


@pytest.mark.parametrize("later", [0, 3])
def test_single_label_beats_clusters_before_and_after_it(later: int) -> None:
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 0), single(3, 2, 1, 0), answer(4, 2 + later, 2, 0)]

    assert decided(rows, 1) == ([1], [3])


def test_newest_single_label_counts_in_whatever_order_the_rows_come() -> None:
    rows = [single(9, 2, 4, 0), single(3, 1, 1, 0)]

    assert decided(rows, 1) == ([4], [9])
    assert decided(rows[::-1], 1) == ([4], [9])


def test_newer_cluster_outvotes_one_older_cluster() -> None:
    assert decided([answer(1, 0, 2, 0), answer(2, 1, 1, 0)], 1) == ([1], [2])


def test_two_older_clusters_outvote_a_newer_one() -> None:
    # 0.8 + 0.64 is more than 1.
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 0), answer(3, 2, 1, 0)]

    assert decided(rows, 1) == ([2], [2])


def test_clusters_of_the_distant_past_do_not_outvote_a_new_one() -> None:
    # 0.8**9 + 0.8**10 is 0.24.
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 0), answer(3, 10, 1, 0)]

    assert decided(rows, 1) == ([1], [3])


def test_label_of_an_image_that_was_last_seen_500_rounds_ago_is_kept() -> None:
    rows = [answer(1, 0, 2, 0), answer(2, 500, 1, 1)]

    assert decided(rows, 2) == ([2, 1], [1, 2])


def test_of_equal_votes_the_last_one_counts() -> None:
    rows = [answer(5, 3, 0, 0), answer(6, 3, 1, 1)]

    assert decided(rows, 2, content=[0, 0]) == ([1, 1], [6, 6])


def test_odd_image_loses_the_class_that_one_earlier_cluster_gave() -> None:
    rows = [answer(1, 0, 2, 0, 1), answer(2, 1, 2, 1)]

    assert decided(rows, 2, {2: np.array([0])}) == ([NOT_LABELED, 2], [0, 2])


def test_odd_image_keeps_the_class_if_enough_other_evidence_supports_it() -> None:
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 0), answer(3, 2, 2, 5)]

    assert decided(rows, 6, {3: np.array([0])})[0] == [2, -1, -1, -1, -1, 2]


def test_odd_image_gets_the_class_again_from_a_later_cluster() -> None:
    rows = [answer(1, 0, 2, 0), answer(2, 1, 2, 1), answer(3, 2, 2, 0)]

    assert decided(rows, 2, {2: np.array([0])}) == ([2, 2], [3, 2])


def test_odd_image_keeps_another_class() -> None:
    rows = [answer(1, 0, 1, 0), answer(2, 1, 2, 1)]

    assert decided(rows, 2, {2: np.array([0])}) == ([1, 2], [1, 2])


def test_mark_does_not_touch_a_single_label() -> None:
    rows = [single(1, 0, 2, 0), answer(2, 1, 2, 1)]

    assert decided(rows, 2, {2: np.array([0])}) == ([2, 2], [1, 2])


def test_image_that_was_only_marked_has_no_label() -> None:
    assert decided([answer(1, 0, 2, 0)], 2, {1: np.array([1])}) == ([2, NOT_LABELED], [1, 0])


def test_duplicates_share_their_evidence() -> None:
    rows = [answer(1, 0, 2, 0), single(2, 1, 1, 2)]

    assert decided(rows, 4, content=[7, 3, 7, 0]) == ([1, NOT_LABELED, 1, NOT_LABELED], [2, 0, 2, 0])


def test_run_without_answers_has_no_labels() -> None:
    assert decided([], 2) == ([NOT_LABELED, NOT_LABELED], [0, 0])
    assert decided([answer(1, 0, None, 0, 1)], 2) == ([NOT_LABELED, NOT_LABELED], [0, 0])


def test_agrees_with_the_rules_applied_image_by_image() -> None:
    rng = np.random.default_rng(0)
    rows, marked = [], {}
    for number in range(1, 200):
        some = rng.permutation(30)[: rng.integers(1, 8)]
        if rng.random() < 0.1:
            rows.append(single(number, number // 20, int(rng.integers(4)), int(some[0])))
        else:
            cut = rng.integers(len(some))
            rows.append(answer(number, number // 20, int(rng.integers(4)), *sorted(some[cut:])))
            marked[number] = np.sort(some[:cut])
    singles: dict[int, int] = {}
    votes: dict[int, list[tuple[int, int, int, int]]] = {}
    for row in rows:
        for index in row.indices.tolist():
            if row.kind is Kind.SAMPLE:
                singles[index] = row.label or 0
            else:
                votes.setdefault(index, []).append((row.label or 0, row.iteration, row.interaction, 1))
        for index in marked.get(row.interaction, np.zeros(0, np.int64)).tolist():
            votes.setdefault(index, []).append((row.label or 0, row.iteration, row.interaction, -1))
    expected = []
    for index in range(30):
        mine = votes.get(index, [])
        newest = max((iteration for _, iteration, _, _ in mine), default=0)
        best = max(
            (
                (round(total, 9), max(n for at, _, n, sign in mine if at == label and sign > 0), label)
                for label in {at for at, _, _, sign in mine if sign > 0}
                if (total := sum(sign * 0.8 ** (newest - i) for at, i, _, sign in mine if at == label)) > 1e-9
            ),
            default=(0, 0, NOT_LABELED),
        )
        expected.append(singles.get(index, best[2]))

    assert decided(rows, 30, marked)[0] == expected
    assert NOT_LABELED in expected or len(set(expected)) == 4
