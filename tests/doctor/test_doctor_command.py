import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from raycal.doctor.__main__ import main
from raycal.doctor.check_result import CheckResult, Status

SWEEP = """\
name: tiny
experiment: {dataset: digits, scenario: random, model: {weights: none}}
"""
STATUSES = {Status.OK: 0, Status.WARNING: 0, Status.PROBLEM: 1}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path


@pytest.mark.parametrize("status", STATUSES)
def test_problems_alone_are_a_failure(
    status: Status, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def examine(*arguments: object) -> list[CheckResult]:
        asked.append(arguments)
        return [CheckResult("disk", status, "little", "free some")]

    monkeypatch.setattr("raycal.doctor.examine.examine", examine)

    given = ["a.yaml", "--storage", "s", "--address", "h:1", "--set", "a=1", "--set", "b=2"]
    assert main(given) == STATUSES[status]
    assert asked == [("a.yaml", "s", "h:1", ["a=1", "b=2"])]
    assert capsys.readouterr().out.splitlines()[0] == f"{status:<8} disk         little; free some"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing.yaml"], "nothing.yaml: No such file or directory"),
        (["--storage", ""], "--storage '': should be a folder or a URI"),
        (["--storage", "foo://x"], "--storage foo://x: "),
        (["--set", "training.epochs=1"], "--set training.epochs=1: changes a sweep file; name one"),
        (["sweep.yaml", "--set", "training.epoch=1"], "--set training.epoch: "),
        (["sweep.yaml", "--set", "training"], "--set training: should be KEY=VALUE"),
    ],
)
def test_mistake_in_the_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1


def test_everything_is_looked_at_and_nothing_left(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep.yaml"]) == 0

    lines = capsys.readouterr().out.splitlines()
    checks = {re.split(" {2,}", line)[1] for line in lines[:-2]}
    assert checks >= {"python", "ray", "torch", "mlflow", "gpu (torch)", "faiss", "cache", "disk", "shm", "ulimit"}
    assert checks >= {"ray cluster", "storage", "tracking", "sweep"}
    assert any(
        line.startswith("ok       ray cluster  no cluster is running here and none is named, so a sweep starts")
        for line in lines
    )
    assert re.fullmatch(r"\d+ checks, 0 problems, \d+ warnings", lines[-1])
    assert [path.name for path in place.iterdir()] == ["sweep.yaml"]


def test_what_is_wrong_with_a_sweep_is_a_problem_each(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = SWEEP.replace("digits", "{name: image_folder, root: nowhere}").replace("none}", "nothing.pth}")
    (place / "sweep.yaml").write_text(bad + "tracking: {uri: 'http://127.0.0.1:1'}\n")

    assert main(["sweep.yaml", "--address", "127.0.0.1:1"]) == 1

    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem")]
    assert [problem[9:22].strip() for problem in problems] == ["ray cluster", "tracking", "sweep", "sweep"]
    assert "no Ray cluster answers at 127.0.0.1:1: " in problems[0]
    assert "no answer from http://127.0.0.1:1 " in problems[1]
    assert "nowhere: No such file or directory" in problems[2]
    assert "nothing.pth: no such file" in problems[3]


def test_images_are_described_and_a_storage_among_them_is_a_problem(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("crow", "jay"):
        (place / "birds" / name).mkdir(parents=True)
        for file in ("1.jpg", "2.jpg", "3.heic"):
            (place / "birds" / name / file).write_bytes(b"")
    (place / "sweep.yaml").write_text(SWEEP.replace("digits", "{name: image_folder, root: birds}"))

    assert main(["sweep.yaml", "--storage", "birds/runs"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert "ok       images       birds: 2 classes (crow 2, jay 2), 3 train, 1 test" in lines
    assert any(line.startswith("warning  images       birds: 2 files are not used: 2 .heic; ") for line in lines)
    assert any(line.startswith("problem  sweep        --storage: ") and "lies in the folder" in line for line in lines)


def test_settings_of_the_command_line_take_the_place_of_the_file_s(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, names in (("train", ("crow", "jay", "tit")), ("test", ("crow",))):
        for name in names:
            (place / "birds" / split / name).mkdir(parents=True)
            (place / "birds" / split / name / "1.jpg").write_bytes(b"broken")
    (place / "sweep.yaml").write_text(SWEEP.replace("digits", "{name: image_folder, root: nowhere}"))

    assert main(["sweep.yaml", "--set", "dataset.root=birds", "--storage", "runs"]) == 0

    lines = capsys.readouterr().out.splitlines()
    images = [line.partition("images       ")[::2] for line in lines if line[9:15] == "images"]
    assert images == [
        (
            "ok       ",
            "the doctor counts images by their file names, without decoding them; a sweep decodes all images",
        ),
        ("ok       ", "birds: 3 classes (crow 2, jay 1, tit 1), 3 train, 1 test"),
        (
            "warning  ",
            "birds: the test split has no image of 2 of 3 classes (jay, tit): its accuracy says nothing about them",
        ),
    ]


def test_override_that_drops_settings_is_a_warning(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "sweep.yaml").write_text(SWEEP.replace("digits", "{name: digits, train_size: 100}"))

    assert main(["sweep.yaml", "--set", "dataset={name: digits}"]) == 0

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning  sweep")]
    assert "--set dataset replaces the whole group and drops train_size; " in line


def test_cluster_that_wants_a_token_is_told_from_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import grpc

    class Refused(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAUTHENTICATED

    def ask(address: str) -> None:
        raise Refused

    monkeypatch.setattr("raycal.distributed.address.ask_head_node", ask)

    assert main(["--address", "127.0.0.1:6379"]) == 1

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem")]
    assert ":6379 needs RAY_AUTH_MODE=token here, and its token in" in line


def test_help_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "raycal.doctor", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in shown.stderr.splitlines() if "|" in line}

    assert "exit codes: 0 no problem, 1 problems, 2 a mistake in the input" in shown.stdout
    assert not imported & {
        "torch",
        "ray",
        "pydantic",
        "mlflow",
        "numpy",
        "pyarrow",
        "yaml",
        "faiss",
        "grpc",
        "packaging",
    }
