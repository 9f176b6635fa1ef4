import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import supervised, threshold, trial, write_sweep

import raycal
from raycal.report import write
from raycal.report.__main__ import main
from raycal.report.runs import read_runs
from raycal.report.stats.answer import answer

TRIALS = [
    *(trial("cluster-only", 0, [0.4, value], settings=threshold(value)) for value in (0.7, 0.9)),
    supervised(0, 0.95),
    trial("random", 0, status="failed", reason="no luck"),
]
FIGURES = ["cost_cifar10", "figure2_cifar10", "figure3_cifar10", "sensitivity_expert.purity_threshold_cifar10"]


TABLES = [
    "break_even",
    "failures",
    "pairwise",
    "parity",
    "penalty",
    "recommendation",
    "sensitivity",
    "summary",
    "targets",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(write_sweep(tmp_path / "runs" / "small", TRIALS).folder.path)


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_everything_is_written_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0

    out = folder / "report"
    assert sorted(files(out)) == sorted(
        [
            ".runs.sha256",
            "report.html",
            "figure2_cifar10.png",
            "figure3_cifar10.png",
            "summary.csv",
            *(f"figures/{name}.{ending}" for name in FIGURES for ending in ("svg", "pdf", "png")),
            *(f"tables/{name}.{ending}" for name in TABLES for ending in ("csv", "tex")),
        ]
    )
    printed = capsys.readouterr().out.splitlines()
    told = answer(read_runs(str(folder))).splitlines()
    assert len(told) == 4
    assert printed[:4] == told
    assert told[3].startswith("Of 4 trials, 1 failed, and only finished trials count here")
    assert {str(Path(line).relative_to(out)) for line in printed[4:]} == set(files(out)) - {".runs.sha256"}
    assert (out / "summary.csv").read_text().startswith("dataset,group,finished,")
    assert printed[0] in (out / "report.html").read_text()
    assert "no luck" in (out / "report.html").read_text()


@pytest.mark.slow
def test_same_runs_give_the_same_bytes_in_every_process(folder: Path, tmp_path: Path) -> None:
    """Processes with different hash seeds go through sets in different orders."""
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "raycal.report", str(folder), "--out", str(tmp_path / seed)]
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True)

    first, second = files(tmp_path / "1"), files(tmp_path / "2")
    assert {"report.html", ".runs.sha256", "tables/summary.csv", "figures/figure2_cifar10.pdf"} <= first.keys()
    assert first == second


def test_sweep_file_and_storage_name_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "plates", lambda of: [])
    path = tmp_path / "any.yaml"
    path.write_text("name: small\nexperiment: {dataset: cifar10, scenario: random}\n")

    assert main([str(path), "--storage", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").exists()
    assert not (folder / "report").exists()
    assert capsys.readouterr().out.startswith("After ")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_bad_input_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "plates", lambda of: [])
    (tmp_path / "file").write_text("")
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.json").write_text("{")

    assert "not the folder of a sweep" in refused(capsys, str(tmp_path / "nothing"))
    assert "No such file" in refused(capsys, str(tmp_path / "nothing.yaml"))
    assert "not a plan of raycal" in refused(capsys, str(tmp_path / "plan"))
    assert refused(capsys, str(folder), "--out", str(tmp_path / "file")).startswith(f"--out {tmp_path / 'file'}: ")


def test_unknown_option_is_shown_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["runs/small", "--unknown"])
    assert stopped.value.code == 2
    assert "usage: python -m raycal.report" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(raycal.__file__).parents[1])}
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "raycal.report", "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in shown.stderr.splitlines() if "|" in line}

    assert "exit codes: 0 the report is written, 2 a mistake in the input" in shown.stdout
    assert "argparse" in imported
    assert not imported & {"torch", "ray", "pydantic", "mlflow", "numpy", "pandas", "matplotlib", "jinja2", "pyarrow"}
