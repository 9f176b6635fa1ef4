from pathlib import Path

import pytest

from raycal.bench import machine


def test_cpu_is_named_as_the_kernel_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: another\n")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")

    assert machine.cpu_model() == "Some CPU @ 3 GHz"


def test_cpu_without_a_name_is_called_by_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "nothing")

    assert machine.cpu_model()


def test_versions_of_what_matters_are_there() -> None:
    assert set(machine.machine()["versions"]) == set(machine.LIBRARIES)
    assert all(machine.machine()["versions"].values())
