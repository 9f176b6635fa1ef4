"""Tests storage folders that contain files that raycal did not write."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusal import SWEEP, Refuse, expect, run
from small_iterations import one_iteration
from states import manifest, torch_file, whole_state

from raycal.config import ExperimentConfig, load_sweep
from raycal.experiment import build
from raycal.report.__main__ import main as report
from raycal.storage.results import iteration_record
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.track import main as track
from raycal.tracking import NoTracker


class FakeTracker(NoTracker):
    def __init__(self, *arguments: Any) -> None: ...


@pytest.fixture(autouse=True)
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycal.sweep.run.Tracker", FakeTracker)


def evil_plan(config: ExperimentConfig) -> bytes:
    return json.dumps(
        {"sweep": "tiny", "threads": 1, "experiments": {"../../evil": config.model_dump(mode="json")}}
    ).encode()


PLANS: dict[str, Any] = {
    "empty": (b"", ": not a plan of raycal"),
    "zero bytes": (bytes(100), ": not a plan of raycal"),
    "a list": (b"[]", "0.1.0: Input should be an object"),
    "deep": (b"[" * 100_000, "recursion limit exceeded"),
    "of no threads": (b'{"sweep": "tiny", "threads": 0, "experiments": {}}', "threads: Input should be greater than"),
    "of endless threads": (
        b'{"sweep": "tiny", "threads": 1e400, "experiments": {}}',
        "threads: Input should be a finite",
    ),
    "of a folder above": (evil_plan, "experiments.../../evil.[key]: String should match pattern"),
}


@pytest.mark.parametrize("case", PLANS)
def test_plan_is_refused(place: Path, refuse: Refuse, config: ExperimentConfig, case: str) -> None:
    content, part = PLANS[case]
    (place / "storage" / "tiny").mkdir(parents=True)
    (place / "storage" / "tiny" / "plan.json").write_bytes(content(config) if callable(content) else content)

    lines = refuse("--resume")

    expect(lines, part)
    assert lines[0].startswith("PLACE/storage/tiny/plan.json: ")


def test_plan_that_is_a_folder_is_refused(place: Path, refuse: Refuse) -> None:
    (place / "storage" / "tiny" / "plan.json").mkdir(parents=True)

    expect(refuse("--resume"), "PLACE/storage/tiny cannot be read: ")


@pytest.mark.parametrize("command", [report, track], ids=["report", "track"])
@pytest.mark.parametrize("folder", ["nowhere", "sweep.yaml", "."])
def test_other_commands_refuse_what_is_no_sweep(
    place: Path, capsys: pytest.CaptureFixture[str], command: Callable[[list[str]], int], folder: str
) -> None:
    assert command([f"{place}/{folder}/"]) == 2

    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert "Traceback" not in printed.err


DONE = "state/finished.json"
FINISHED = b'{"reason": "iterations"}'
FOREIGN: dict[str, dict[str, bytes]] = {
    "results.jsonl:1": {DONE: FINISHED, "results.jsonl": b"hello\n"},
    "results.jsonl:2": {DONE: FINISHED, "results.jsonl": b"LINE\n{}\n"},
    "results.jsonl:3": {DONE: FINISHED, "results.jsonl": b"LINE\nLINE\n[1]\n"},
    "state/stopped.json": {"state/stopped.json": b"\x80\x04."},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_file_of_a_finished_run_is_named(run_dir: RunWriter, refuse: Refuse, name: str) -> None:
    line = json.dumps(iteration_record(one_iteration())).encode()
    for file, content in FOREIGN[name].items():
        run_dir.folder.write(file, content.replace(b"LINE", line))

    (problem,) = refuse("--resume")

    assert problem.startswith(f"PLACE/storage/tiny/{Path(run_dir.folder.path).name}/{name}: raycal did not write this")


def pool_of(size: int) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, status=np.zeros(size, np.int8), labels=np.full(size, -1, np.int32))
    return buffer.getvalue()


STRAYS: dict[str, dict[str, bytes]] = {
    "other names": {
        "state/iteration-x.json": b"{}",
        "ledger/iteration-.parquet": b"x",
        "clusters/iteration-a.png": b"",
    },
    "states of no checksum": {"state/iteration-000.json": b"{}", "state/iteration-001.json": b""},
    "a state that is a list": {"state/iteration-000.json": manifest(b"[]")},
    "a state of nothing": {"state/iteration-000.json": manifest(b"{}")},
    "a state that is deep": {"state/iteration-000.json": manifest(b"[" * 100_000)},
    "a start that is a list": {"started.json": b"[]"},
    "an error that is no text": {"error.txt": b"\xff\xfe"},
}


@pytest.mark.parametrize("case", STRAYS)
def test_foreign_files_of_a_run_are_no_state_of_it(run_dir: RunWriter, config: ExperimentConfig, case: str) -> None:
    for name, content in STRAYS[case].items():
        run_dir.folder.write(name, content)

    run_dir.error()
    assert run_dir.begin(config) is None
    assert run_dir.results() == []


NO_POOL = "/state: of another dataset, or not saved by raycal; move the folder away to start again"
STATES = {
    "of another dataset": (pool_of(7), torch_file({}), NO_POOL),
    "of no dataset": (b"hello", torch_file({}), NO_POOL),
    "of another network": (
        pool_of(40),
        torch_file({"fc.weight": torch.zeros(2)}),
        "state: the model is not one that raycal",
    ),
    "of code": (pool_of(40), torch_file(torch.nn.Linear(2, 2)), "state: the model is not one that raycal saved"),
    "of text": (pool_of(40), b"hello", "state: the model is not one that raycal saved; move the folder away"),
}


@pytest.mark.parametrize("case", STATES)
def test_trial_with_a_foreign_state_fails_with_its_reason_and_the_others_go_on(
    place: Path, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    (place / "sweep.yaml").write_text(SWEEP.replace("iterations: 1", "iterations: 2") + "grid: {seed: [0, 1]}\n")
    experiments = load_sweep(str(place / "sweep.yaml"), build.REGISTRIES).experiments
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments=experiments, threads=1))
    bad, good = experiments
    *contents, part = STATES[case]
    for name, content in whole_state(*contents).items():
        sweep_dir.run_dir(bad).folder.write(name, content)
    sweep_dir.run_dir(good).folder.write(DONE, FINISHED)

    code, out, err = run(
        [str(place / "sweep.yaml"), "--local", "--resume", "--storage", str(place / "storage")], capsys
    )

    failed = out.splitlines()[out.splitlines().index(f"failed  {bad}") :]
    assert code == 1, err
    assert failed[1].strip().startswith("loading the state: InputError: ")
    assert part in failed[1]
    assert [line for line in out.splitlines() if line.startswith("failed")] == [f"failed  {bad}"]
