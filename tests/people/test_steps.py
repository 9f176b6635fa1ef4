from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Floats, Kind
from raycal.errors import InputError
from raycal.people.steps import StepFiles
from raycal.storage.folder import Folder
from raycal.storage.seal import seal

# There are two groups of images, at 0 and at 10, so that every clustering cuts between them.
POINTS = np.array([[0, 0], [10, 0], [0, 1], [10, 1], [0, 0.4], [10, 0.4], [0, 0.5]], np.float32)


def embeddings() -> Floats:
    return POINTS


def step(iteration: int = 2, number: int = 1) -> StepQuestions:
    first = (
        Question(id=f"{iteration}.{number}.0", by_distance=np.array([31, 5, 12, 8, 22, 3, 40]), embeddings=embeddings),
        Question(id=f"{iteration}.{number}.1", by_distance=np.array([7])),
    )
    return StepQuestions(iteration=iteration, step=number, kind=Kind.CLUSTER, budget=4, first=first)


@pytest.fixture
def files(tmp_path: Path) -> StepFiles:
    return StepFiles(Folder.at(str(tmp_path / "steps")))


def test_step_is_read_as_it_was_written(files: StepFiles) -> None:
    assert files.newest() is None
    assert files.read(2, 1) is None
    files.write(step())
    files.write(step(10, 0))

    again = files.read(2, 1)
    assert again is not None
    assert (again.iteration, again.step, again.kind, again.budget) == (2, 1, Kind.CLUSTER, 4)
    assert [(one.id, one.by_distance.tolist()) for one in again.first] == [
        ("2.1.0", [31, 5, 12, 8, 22, 3, 40]),
        ("2.1.1", [7]),
    ]
    assert files.newest() == (10, 0)


def test_guess_is_kept_and_a_file_without_guesses_is_that_of_an_earlier_version(
    files: StepFiles, tmp_path: Path
) -> None:
    path = tmp_path / "steps" / "iteration-002-step-1.json"
    files.write(step())
    assert b"guess" not in path.read_bytes()
    first, second = step().first
    files.write(replace(step(), first=(replace(first, guess=3), second)))

    again = files.read(2, 1)
    assert again is not None
    assert [one.guess for one in again.first] == [3, None]


@pytest.mark.parametrize("guess", ["1", -1, True, 0.5])
def test_guess_that_is_no_class_is_a_damaged_file(files: StepFiles, tmp_path: Path, guess: object) -> None:
    record = {"kind": "sample", "budget": 1, "questions": [{"id": "2.1.0", "indices": [4], "guess": guess}]}
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "iteration-002-step-1.json").write_bytes(seal(record))

    with pytest.raises(InputError, match=r"iteration-002-step-1.json: damaged"):
        files.read(2, 1)


def test_cluster_is_cut_in_two_by_its_embeddings_and_again(files: StepFiles) -> None:
    files.write(step())
    again = files.read(2, 1)
    assert again is not None
    cut = clusterings["kmeans"]

    parts = files.halves(again, again.first[0], cut, seed=3)
    assert sorted(sorted(part.tolist()) for part in parts) == [[3, 5, 8], [12, 22, 31, 40]]
    assert [part.tolist() for part in parts] == [part.tolist() for part in files.halves(step(), again.first[0], cut, 3)]
    assert {part[0] for part in parts} == {40, 3}  # These images are nearest to the means 0.475 and 0.467.
    (half,) = (one for one in again.first[0].halves(parts) if len(one.indices) == 4)
    quarters = files.halves(again, half, cut, seed=3)
    assert sorted(index for part in quarters for index in part.tolist()) == [12, 22, 31, 40]
    assert len(quarters) == 2


def test_single_image_cannot_be_cut(files: StepFiles) -> None:
    files.write(step())

    (part,) = files.halves(step(), step().first[1], clusterings["kmeans"], seed=0)
    assert part.tolist() == [7]


def test_embeddings_can_be_removed_and_the_questions_stay(files: StepFiles) -> None:
    files.write(step())
    files.remove_embeddings()

    assert files.read(2, 1) is not None
    (part,) = files.halves(step(), step().first[0], clusterings["kmeans"], seed=0)
    assert len(part) == 7


def test_damaged_file_is_one_line(files: StepFiles, tmp_path: Path) -> None:
    files.write(step())
    path = tmp_path / "steps" / "iteration-002-step-1.json"
    path.write_bytes(path.read_bytes().replace(b"31", b"32"))

    with pytest.raises(InputError, match=r"iteration-002-step-1.json: damaged"):
        files.read(2, 1)
