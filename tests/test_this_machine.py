import os

import pytest

from raycal.sweep_run import how_to_browse, this_machine


def test_gpus_that_are_hidden_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.glob", lambda self, pattern: iter(["0000:01", "0000:02", "0000:03"]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert this_machine().gpus == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert this_machine().gpus == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine().gpus == 0


def test_only_cores_this_process_may_use_are_counted() -> None:
    assert this_machine().cpus == len(os.sched_getaffinity(0))


def test_database_is_browsed_with_a_command_that_can_be_pasted() -> None:
    command, page = how_to_browse("sqlite:////my runs/mlflow.db", "/#/experiments/1").splitlines()
    assert command.endswith(" -m mlflow ui --backend-store-uri 'sqlite:////my runs/mlflow.db'")
    assert page.strip() == "then open http://127.0.0.1:5000/#/experiments/1"


def test_server_is_browsed_at_its_address() -> None:
    assert how_to_browse("http://tracking:8080/", "/#/experiments/1") == "http://tracking:8080/#/experiments/1"
