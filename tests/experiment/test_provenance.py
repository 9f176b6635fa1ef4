import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_images import IMAGES

from raycal import __version__
from raycal.data.manifest import manifest_of
from raycal.experiment.provenance import environment, git_commit


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_environment_names_what_a_result_depends_on() -> None:
    manifest = manifest_of(IMAGES)
    found = environment(IMAGES, manifest, {"device": "cpu", "threads": 2}, 3, weights="ab" * 32)

    assert found["raycal"] == __version__
    assert [found[key] for key in ("device", "threads", "workers")] == ["cpu", 2, 3]
    assert found["weights"] == "ab" * 8
    dataset = found["dataset"]
    assert [dataset[key] for key in ("num_train", "num_test", "num_classes", "num_listed")] == [30, 10, 3, 40]
    assert {key: dataset[key] for key in manifest.digest._fields} == {
        key: digest[:16] for key, digest in manifest.digest._asdict().items()
    }


def test_digest_of_the_dataset_is_that_of_both_splits() -> None:
    def digest(**changed: Any) -> str:
        images = replace(IMAGES, **changed)
        found: str = environment(images, manifest_of(images), {}, 1)["dataset"]["digest"]
        return found

    digests = {digest(), digest(train_rows=np.arange(29)), digest(test_rows=np.arange(31, 40))}
    assert len(digests) == 3
    assert {len(one) for one in digests} == {16}
    assert "weights" not in environment(IMAGES, manifest_of(IMAGES), {}, 1)


def test_commit_of_a_working_tree_says_whether_it_was_changed(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "below").mkdir()

    assert git_commit(tmp_path / "below") == commit
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert git_commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(Path(__file__).parent) is None
    assert "git" not in environment(IMAGES, manifest_of(IMAGES), {}, 1)
