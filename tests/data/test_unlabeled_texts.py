"""Tests texts without labels, which people label: their hold-out, their numbers, and what is refused."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from text_rows import write_texts

from raycal.config.component import ComponentConfig, component
from raycal.data import TextDataset
from raycal.data.text import TextRows
from raycal.data.unlabeled import SampleList, Unlabeled, unlabeled_samples
from raycal.errors import InputError
from raycal.experiment import build


def make(path: Path, **options: Any) -> Unlabeled:
    rows = TextRows(seed=options.pop("seed", 0), image_size=224, file=str(path), label=None, **options)
    unlabeled = unlabeled_samples(rows)
    assert unlabeled is not None
    return unlabeled


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
    return path


def texts_of(dataset: Any) -> list[str]:
    assert isinstance(dataset, TextDataset)
    return list(dataset.texts)


def test_holdout_is_drawn_by_seed_and_a_larger_one_contains_a_smaller_one(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "pets.csv", 60)

    first, again, other = (make(path, seed=seed).load_listed().sample_list.holdout for seed in (0, 0, 1))
    small, large = (make(path, holdout=size).load_listed().sample_list.holdout for size in (5, 30))
    loaded = make(path).load()

    assert first == again != other
    assert (len(first), len(small), len(large)) == (12, 5, 30)
    assert large[:5] == small == first[:5]
    assert loaded.test_rows.tolist() == sorted(first)
    assert loaded.train_rows.tolist() == sorted({*range(60)} - {*first})
    assert set(loaded.labels.tolist()) == {-1}
    assert loaded.class_names == ()
    assert loaded.names[7] == "row 9"  # the header is row 1
    assert str(make(path).inspect()) == "pets: comes without labels, 48 in the pool, 12 in the hold-out"


def test_texts_keep_their_numbers_when_rows_are_added_and_moved(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["c", "a", "b", "a", "d", "e"])
    first = make(path, holdout=2).load_listed()
    assert texts_of(first.dataset) == ["c", "a", "b", "d", "e"]
    assert first.duplicates == {"row 5": "row 3"}
    assert first.notes == ("1 exact duplicate is left out: row 5 (as row 3)",)
    assert first.dataset.left_out == ("row 5 (the same text as row 3)",)

    kept = SampleList.from_json(first.sample_list.to_json(), "texts.json", kind="texts")
    write(path, ["new", "e", "d", "c", "b", "a"])
    later = make(path, holdout=2).load_listed(before=kept)
    worker = make(path, holdout=2).load_listed(before=kept, add=False)

    assert kept == first.sample_list
    assert texts_of(later.dataset) == ["c", "a", "b", "d", "e", "new"]
    assert later.sample_list.holdout == kept.holdout
    assert later.dataset.test_rows.tolist() == first.dataset.test_rows.tolist()
    assert list(later.dataset.names) == ["row 5", "row 7", "row 6", "row 4", "row 3", "row 2"]
    assert texts_of(worker.dataset) == texts_of(first.dataset)
    info = make(path, holdout=3).find_listed(kept).info
    assert (info.num_train, info.num_test) == (4, 2)
    assert info.notes == ("holdout is not used: the 2 texts that were drawn first stay held out",)

    write(path, ["new", "e", "D", "c", "b"])
    with pytest.raises(InputError) as caught:
        make(path).load_listed(before=kept)
    assert list(caught.value.problems) == [
        f"{path}: lacks 2 of the 5 texts of the earlier start (in row 3, row 6 at that time); put the original texts"
        " back"
    ]


@pytest.mark.parametrize(
    ("texts", "options", "problem"),
    [
        (["a", "a"], {}, "has 1 text that can be used; at least 2 different ones are needed, one for the pool and"),
        (["a", "b"], {"holdout": 2}, "holdout: 2 of 2 texts leaves none for the pool; give at most 1"),
        (["a", " ", "b"], {}, "row 3, column text: has only spaces"),
        (["a", "b"], {"text": "words"}, "has no column words for the samples; it has text"),
        (["a", "b"], {"split": "part"}, "split is not used without labels; remove it"),
        (["a", "b"], {"classes": ["x", "y"]}, "classes is not used without labels; remove it"),
        (["a", "b"], {"test_size": 1}, "test_size is not used without labels; remove it"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    texts: list[str], options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        make(write(tmp_path / "t.csv", texts), **options).inspect()

    (line,) = caught.value.problems
    assert line.startswith(f"{tmp_path / 't.csv'}: ")
    assert problem in line


def test_rows_with_problems_can_be_left_out(tmp_path: Path) -> None:
    loaded = make(write(tmp_path / "t.csv", ["a", " ", "b"]), on_error="skip").load_listed()

    assert texts_of(loaded.dataset) == ["a", "b"]
    assert list(loaded.dataset.names) == ["row 2", "row 4"]
    assert loaded.notes[0].startswith("1 row with a problem is left out")


def test_option_of_the_holdout_changes_no_configuration_from_before_it_existed() -> None:
    adapter = TypeAdapter(Annotated[ComponentConfig, component("dataset", None)])

    def options(**given: Any) -> dict[str, Any]:
        settings = {"name": "text", "file": "news.csv"} | given
        return adapter.validate_python(settings, context=build.REGISTRIES).options

    before = {"file", "text", "label", "split", "group", "classes", "delimiter", "test_fraction", "on_error"}
    assert options().keys() == before | {"train_size", "test_size", "subset_seed"}
    assert options(holdout=None) == options()
    assert options(holdout=7) == options() | {"holdout": 7}
