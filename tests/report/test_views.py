"""Tests the tables as the page shows them: targets become columns, pairs become a matrix, and a shared note is shown
once."""

from typing import Any

from made_up import Points, level, runs, seeds, trial

from raycal.report.tables import tables
from raycal.report.views import one_seed_words, views

SUPERVISED: list[Points] = [[(100, 0.8)], [(100, 0.8)]]


def of(*trials: Any) -> dict[str, Any]:
    return tables(runs(*trials))


class TestTargets:
    def test_one_row_per_group_and_one_column_per_target_that_any_seed_reached(self) -> None:
        frames = of(
            *seeds("random", [(10, 0.3), (20, 0.5)], [(10, 0.3), (20, 0.5)]),
            *seeds("cluster-only", [(10, 0.4), (20, 0.74)], [(10, 0.4), (20, 0.6)]),
            *seeds("uncertain-only", [(10, 0.73), (20, 0.74)], [(10, 0.73), (20, 0.74)]),
            *seeds("supervised", *SUPERVISED),
        )
        (view,) = views("targets", frames["targets"])

        assert dict(view.columns) == {
            "group": ["random", "cluster-only", "uncertain-only"],
            "90 % (0.720)": ["not reached", "20, in 1 of 2 seeds", "≤ 10 [10, 10]"],
        }
        assert view.notes == [
            "No scenario reached 95 % (0.760), 99 % (0.792) or 100 % (0.800) of full supervision in any seed."
        ]

    def test_without_full_supervision_there_is_a_sentence(self) -> None:
        (view,) = views("targets", of(*seeds("random", *level(0.5)))["targets"])
        assert (view.columns, len(view.notes)) == ({}, 1)
        assert "full supervision was not run" in view.notes[0]

    def test_targets_that_guessing_reaches_are_one_sentence(self) -> None:
        guessed = {"values": {"chance_accuracy": [0.9, 0.9]}}
        frames = of(*seeds("random", *level(0.5), **guessed), trial("supervised", [(100, 0.6)]))
        (view,) = views("targets", frames["targets"])
        assert view.columns == {}
        assert view.notes[0].endswith("100 % (0.600) of full supervision are left out: guessing may reach them.")

    def test_each_dataset_has_a_table_of_its_own(self) -> None:
        other = {"dataset": {"name": "digits", "train_size": 90}}
        frames = of(
            *seeds("random", *level(0.78)),
            trial("supervised", [(100, 0.8)]),
            *seeds("random", *level(0.58), **other),
            trial("supervised", [(100, 0.6)], **other),
        )
        shown = views("targets", frames["targets"])
        assert [view.title for view in shown] == list(dict.fromkeys(frames["targets"]["dataset"]))
        assert [list(view.columns)[1] for view in shown] == ["90 % (0.720)", "90 % (0.540)"]


class TestPairs:
    def test_matrix_has_each_difference_in_both_directions(self) -> None:
        frames = of(*seeds("random", *level(0.5, 0.52)), *seeds("cluster-only", *level(0.7, 0.72)))
        area, accuracy = views("pairwise", frames["pairwise"])

        assert (area.title, accuracy.title) == ("AUBC", "accuracy")
        assert dict(accuracy.columns) == {
            "minus": ["cluster-only", "random"],
            "cluster-only": ["", "-0.200"],
            "random": ["+0.200", ""],
        }

    def test_significant_differences_are_marked(self) -> None:
        frames = of(*seeds("random", *level(0.5, 0.52, 0.51)), *seeds("cluster-only", *level(0.7, 0.73, 0.71)))
        assert views("pairwise", frames["pairwise"])[0].columns["random"] == ["+0.203 *", ""]

    def test_equal_groups_differ_by_0_without_a_sign(self) -> None:
        frames = of(*seeds("random", *level(0.5, 0.6)), *seeds("cluster-only", *level(0.5, 0.6)))
        assert views("pairwise", frames["pairwise"])[0].columns["random"] == ["", "0"]

    def test_only_the_best_of_many_groups_are_in_the_matrix(self) -> None:
        made = [
            trial(
                "cluster-only", level(0.5 + at / 100)[0], expert={"name": "oracle", "purity_threshold": 0.5 + at / 50}
            )
            for at in range(15)
        ]
        view = views("pairwise", of(*made)["pairwise"])[0]
        assert len(view.columns["minus"]) == len(view.columns) - 1 == 12
        assert view.columns["minus"][0] == "cluster-only (purity threshold 0.78)"
        assert view.notes == ["The 12 of 15 groups with the largest mean difference from the others."]


def test_one_seed_is_said_once_and_in_no_row() -> None:
    frames = of(*seeds("random", *level(0.5)), *seeds("cluster-only", *level(0.7)), trial("supervised", [(100, 0.8)]))

    assert one_seed_words(frames).startswith("There is one seed, so no interval and no test is possible")
    cells = [
        cell
        for key, frame in frames.items()
        for view in views(key, frame)
        for column in view.columns.values()
        for cell in column
        if key != "recommendation"
    ]
    assert cells
    assert not [cell for cell in cells if "one seed" in cell]
    assert "one seed" in "".join(map(str, frames["pairwise"]["note"]))  # The CSV file still has the note in each row.


def test_one_seed_of_some_groups_and_of_none() -> None:
    some = of(*seeds("random", *level(0.5, 0.6)), *seeds("cluster-only", *level(0.7)))
    assert one_seed_words(some).startswith("A group with one seed has no interval")
    assert one_seed_words(of(*seeds("random", *level(0.5, 0.6)))) == ""


def test_what_several_rows_note_is_said_below_the_table() -> None:
    first = {"values": {"chance_accuracy": [0.9, 0.9]}}
    frames = of(*(one for name in ("random", "cluster-only", "ceal") for one in seeds(name, *level(0.5, 0.6), **first)))
    (view,) = views("summary", frames["summary"])

    assert "note" not in view.columns
    assert view.notes == [
        "Label efficiency unknown in 2 of 2 seeds: the final accuracy of random may be guessed (cluster-only, ceal)."
    ]


def test_tested_claims_are_shown_with_their_measure() -> None:
    names = ("random", "uncertain-only", "cluster-only", "cluster+uncertain")
    frames = of(
        *(one for at, name in enumerate(names) for one in seeds(name, *level(0.3 + at / 50, 0.31 + at / 50))),
        *seeds("uncertain+cluster", *level(0.8, 0.81)),
    )
    (view,) = views("parity", frames["parity"])

    assert list(view.columns)[:2] == ["the paper's claim in our words", "here"]
    assert "not tested" not in view.columns["here"]
    assert view.notes[0].endswith("tables/parity.csv names each.")
