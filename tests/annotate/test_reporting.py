"""Tests that a separate process writes the report of a project, and that the prices are printed on demand."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from in_memory import Client
from labeled_folder import CONFIG, label_folder
from labeled_run import LabeledRun, label_run
from mlflow import MlflowClient
from person import Person, wait_for

from raycal.annotate.__main__ import main
from raycal.annotate.reporting import Reporter, write_project_report
from raycal.experiment.with_people import WorkerOrder, carry_on
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_dir import RunDir
from raycal.sweep.__main__ import main as sweep_main


def project_file(tmp_path: Path) -> Path:
    file = tmp_path / "birds.yaml"
    settings = {"dataset": {"name": "images", "root": "/birds"}, "scenario": CONFIG.scenario, "expert": "people"}
    file.write_text(yaml.safe_dump({"name": "birds", "experiment": settings}))
    return file


def test_report_is_written_once_for_the_same_rounds(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path)

    first, second = write_project_report(sweep_dir.folder), write_project_report(sweep_dir.folder)

    assert first[0].startswith("After 2 rounds with 32 answers")
    assert first[1] == (
        "Round 2 took 1.0 minutes; its gain is not known, because the model before it left no predictions. The "
        "stopping rule `pool` says that this is enough: No image is left to ask about."
    )
    assert first[2:] == [
        "  to simulate this team in a sweep: expert: {name: oracle, seconds_per_sample: 2, seconds_per_cluster: 3, "
        "seconds_per_image_shown: 0.1}"
    ]
    assert second == []
    assert sweep_dir.folder.exists("report/report.html")


def test_round_that_was_finished_before_is_not_told_again(tmp_path: Path) -> None:
    sweep_dir, _ = label_folder(tmp_path)

    assert write_project_report(sweep_dir.folder, rounds_before=2) == []

    assert sweep_dir.folder.exists("report/report.html")
    sweep_dir.folder.remove("report/report.html")
    assert write_project_report(sweep_dir.folder, rounds_before=1)[0].startswith("After 2 rounds with 32 answers")


def test_report_of_all_rounds_stays_while_the_model_learns_again_from_them(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, rounds=1, is_finished=False)
    reporter = Reporter(sweep_dir.folder, run_dir, rounds_before=2)

    reporter.update()

    assert reporter.finish() is None
    assert not sweep_dir.folder.exists("report")


@pytest.mark.slow
def test_restart_without_a_new_round_prints_nothing_but_has_a_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep_dir, run_dir = label_folder(tmp_path)
    reporter = Reporter(sweep_dir.folder, run_dir, rounds_before=2)

    reporter.update()
    assert not sweep_dir.folder.exists("report")

    assert reporter.finish() == f"{sweep_dir.folder.place}/report/report.html"
    assert sweep_dir.folder.exists("report/report.html")
    assert capfd.readouterr().out == ""


def test_nothing_is_written_before_the_end_of_the_first_round(tmp_path: Path) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, rounds=0, is_finished=False)
    reporter = Reporter(sweep_dir.folder, run_dir)

    reporter.update()

    assert reporter.finish() is None
    assert not sweep_dir.folder.exists("report")


@pytest.mark.slow
def test_reporter_does_not_wait_but_finishes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, rounds=1, is_finished=False)
    reporter = Reporter(sweep_dir.folder, run_dir)

    start = time.monotonic()
    reporter.update()
    reporter.update()
    assert time.monotonic() - start < 1.0  # The process has not ended yet.
    assert not sweep_dir.folder.exists("report/report.html")

    assert reporter.finish() == f"{sweep_dir.folder.place}/report/report.html"
    assert sweep_dir.folder.exists("report/report.html")
    assert capfd.readouterr().out.count("After 1 round with 16 answers") == 1


@pytest.mark.slow
def test_report_that_fails_harms_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sweep_dir, run_dir = label_folder(tmp_path, rounds=1, is_finished=False)
    sweep_dir.folder.write("report", b"a file where the folder of the report should be")
    reporter = Reporter(sweep_dir.folder, run_dir)

    assert reporter.finish() is None

    assert capfd.readouterr().err.startswith("no report: ")


def test_prices_are_printed_as_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label_folder(tmp_path / "runs")

    code = main([str(project_file(tmp_path)), "--storage", str(tmp_path / "runs"), "--prices"])

    assert code == 0
    expert = {"name": "oracle", "seconds_per_sample": 2, "seconds_per_cluster": 3, "seconds_per_image_shown": 0.1}
    assert yaml.safe_load(capsys.readouterr().out) == {"experiment": {"expert": expert}}


def test_dry_run_of_a_sweep_accepts_the_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label_folder(tmp_path / "runs")
    assert main([str(project_file(tmp_path)), "--storage", str(tmp_path / "runs"), "--prices"]) == 0
    sweep = {"name": "team", **yaml.safe_load(capsys.readouterr().out)}
    sweep["experiment"] |= {"dataset": "digits", "model": {"weights": "none"}, "scenario": "random"}
    sweep["experiment"] |= {"iterations": 3, "interactions_per_iteration": 30}
    (tmp_path / "team.yaml").write_text(yaml.safe_dump(sweep))

    assert sweep_main([str(tmp_path / "team.yaml"), "--dry-run", "--local", "--storage", str(tmp_path / "runs")]) == 0

    printed = capsys.readouterr()
    assert "rough estimate" in printed.out
    assert printed.err == ""


def test_prices_of_a_project_without_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(project_file(tmp_path)), "--storage", str(tmp_path / "runs"), "--prices"])

    assert code == 2
    place = tmp_path / "runs" / "birds"
    assert capsys.readouterr().err == f"{place}: nobody has answered a question yet, so no price is known\n"
    assert not place.exists()


def run_again(run: LabeledRun) -> RunDir:
    """Carry on a run of two rounds until it ends. A worker ends whenever the classes may have changed."""
    lease = Lease.take(Folder.at(run.folder.uri)).record
    order = WorkerOrder(config=run.config, sweep_folder=run.folder.uri, lease=lease, settings=run.settings)
    for _ in range(4):
        if not run.run_dir.state().is_complete:
            assert carry_on(order), run.run_dir.error()
    return run.run_dir


@pytest.mark.slow
def test_project_of_bots_from_the_first_answer_to_the_report(tmp_path: Path, uri: str) -> None:
    run = label_run(tmp_path, rounds=2)
    folder = run.run_dir.folder
    before = {name: folder.read(name) for name in folder.all_names() if name.endswith(".parquet")}
    assert list(before) == [
        *("ledger/iteration-000.parquet", "ledger/iteration-001.parquet"),
        *("people/iteration-000.parquet", "people/iteration-001.parquet"),
        *("people/predictions/iteration-000.parquet", "people/predictions/iteration-001.parquet"),
    ]

    # The command serves the finished project until Ctrl-C, and says where its report is.
    command = [sys.executable, "-m", "raycal.annotate", str(run.file), "--storage", str(run.storage), "--port", "0"]
    tracked = os.environ | {"MLFLOW_TRACKING_URI": uri}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=tracked) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.match(r"label here: http://127\.0\.0\.1:(\d+)/#t=(\S+)", line):
                person = Person(Client(int(found[1])).log_in(found[2]))
                wait_for(lambda: person.state()["phase"] != "preparing", person.state)  # noqa: B023
                process.send_signal(signal.SIGINT)
        code = process.wait(120)
    output = "".join(lines)
    assert code == 130
    assert "all rounds are finished" in output
    assert f"report  {run.folder.place}/report/report.html\n" in output
    assert "  nothing is left to label, because all rounds are finished\n" in output
    assert "After 2 rounds" not in output  # Both rounds were finished before this start.
    assert run.folder.exists("report/report.html")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("colors")
    assert experiment is not None
    (sent,) = client.search_runs([experiment.experiment_id], "tags.raycal.kind = 'sweep'")
    assert sent.data.tags["mlflow.note.content"].startswith("- After 2 rounds with")

    # All that raycal computed can be computed again from what people answered.
    for name in folder.all_names():
        if not name.startswith("people/") or name.endswith(".parquet"):
            folder.remove(name)
    again = run_again(run)
    assert {name: again.folder.read(name) for name in before} == before
