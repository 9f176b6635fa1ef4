"""Tests the project file that is written beside a folder of images."""

import os
from pathlib import Path

import pytest
import yaml

from raycal.annotate.folder_file import ProjectFile
from raycal.config import load_sweep
from raycal.config.dataset_names import image_root
from raycal.errors import InputError
from raycal.experiment import build


def test_content_before_the_file_is_written_is_that_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "It's 9e-1: Birds!"
    folder.mkdir()
    file = ProjectFile.of(str(folder))

    before = load_sweep(file.source(), build.REGISTRIES)
    assert not file.path.exists()
    file.write()
    after = load_sweep(file.source(), build.REGISTRIES)

    assert file.source() == str(file.path) == f"{folder}.yaml"
    assert before.name == after.name == "it-s-9e-1-birds"
    (config,) = after.experiments.values()
    assert before.experiments == after.experiments
    assert image_root(config) == str(folder)
    file.refuse_other_images(image_root(config))


def test_file_that_exists_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds.yaml").write_text("experiment: {}\n")

    ProjectFile.of(str(tmp_path / "birds")).write()

    assert (tmp_path / "birds.yaml").read_text() == "experiment: {}\n"


@pytest.mark.parametrize("content", ["shopping: [milk]\n", "", None])
def test_file_that_is_something_else_is_refused(content: str | None, tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    other = tmp_path / "birds.yaml"
    if content is None:
        other.mkdir()
    else:
        other.write_text(content)

    with pytest.raises(InputError) as refused:
        ProjectFile.of(str(tmp_path / "birds")).source()
    assert refused.value.problems == (
        f"{other}: has the name of the project file of this folder, but is something else; rename it",
    )


def test_project_about_another_folder_is_refused(tmp_path: Path) -> None:
    for name in ("birds", "copy"):
        (tmp_path / name).mkdir()
    file = ProjectFile.of(str(tmp_path / "copy"))

    with pytest.raises(InputError, match=f"copy.yaml: is a project about the images in {tmp_path}/birds, not about"):
        file.refuse_other_images(str(tmp_path / "birds"))
    with pytest.raises(InputError, match=r"copy.yaml: is a project about the images in no folder"):
        file.refuse_other_images(None)


def test_folder_that_is_given_by_a_link_is_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "link").symlink_to("birds")

    ProjectFile.of(str(tmp_path / "link")).refuse_other_images(str(tmp_path / "birds"))


@pytest.mark.parametrize("root", ["/", "//", "/."])
def test_root_of_the_file_system_is_refused(root: str) -> None:
    with pytest.raises(InputError, match="give a folder below this one"):
        ProjectFile.of(root)


def test_folder_above_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "birds" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "birds" / "inner")

    assert ProjectFile.of("..").path == tmp_path / "birds.yaml"
    assert ProjectFile.of(".").path == tmp_path / "birds" / "inner.yaml"


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()

    with pytest.raises(InputError, match=r"cannot be written \(its name is not valid text\)"):
        ProjectFile.of(str(folder)).write()


@pytest.mark.parametrize(
    ("images", "answers", "rounds"), [(7, 20, 1), (60, 20, 2), (404, 40, 8), (1000, 100, 8), (3000, 100, 20)]
)
def test_rounds_fit_the_folder(
    tmp_path: Path, images: int, answers: int, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Late Birds" / "June"
    folder.mkdir(parents=True)
    for number in range(images):
        (folder / f"{number}.JPG").touch()
    (folder / "notes.txt").touch()
    file = ProjectFile.of(str(folder.parent))

    file.write()

    experiment = yaml.safe_load(file.path.read_text())["experiment"]
    assert file.path == tmp_path / "Late Birds.yaml"
    assert capsys.readouterr().out == f"wrote {file.path}, which holds the settings\n"
    assert (experiment["interactions_per_iteration"], experiment["iterations"]) == (answers, rounds)
    file.write()  # A second start uses the file as it is.
    assert capsys.readouterr().out == ""
