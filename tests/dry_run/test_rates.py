from pathlib import Path
from typing import Any

import pytest

from raycal.bench import gpu
from raycal.bench.figure import Figure
from raycal.bench.machine import machine
from raycal.bench.material import Options
from raycal.bench.table import as_json
from raycal.dry_run.rates import TRAINING_GFLOP, GpuRate, measured_rate
from raycal.errors import InputError

NO_RATE = "has no training rate of a GPU; write one with python -m raycal.bench --gpu --json FILE"


def bench(place: Path, *, value: float = 10_000.0, size: Any = 224, name: str = "raycal, best batch") -> str:
    """A JSON file as `raycal.bench --gpu` writes it."""
    figures = [
        Figure(benchmark="gpu ceilings", name="matrix product", value=600.0, unit="TFLOP/s"),
        Figure(benchmark="gpu training", name="batch 32, raycal", value=9_000.0, unit="img/s"),
        Figure(benchmark="gpu training", name=name, value=value, unit="img/s", setting={"image_size": size}),
    ]
    about = {"date": "2026-11-30T12:00:00+00:00", "machine": {"device": "NVIDIA L4"}}
    path = place / "bench.json"
    path.write_text(as_json(figures, about))
    return str(path)


def test_measured_rate_is_that_of_the_best_batch(tmp_path: Path) -> None:
    rate = measured_rate(bench(tmp_path))

    assert (rate.gpu, rate.origin) == ("NVIDIA L4", "measured at 224 px on 2026-11-30")
    assert rate.gflops == pytest.approx(10_000 * 49 * TRAINING_GFLOP)


@pytest.mark.slow
def test_rate_is_found_in_what_the_benchmark_writes(tmp_path: Path) -> None:
    figures = list(gpu.training(Options(quick=True, repeats=1), gpu.QUICK))
    path = tmp_path / "bench.json"
    path.write_text(as_json(figures, {"date": "2026-11-30", "machine": machine()}))

    # This is the rate at 32 px.
    assert measured_rate(str(path)).gflops == pytest.approx(figures[-1].value * TRAINING_GFLOP)


@pytest.mark.parametrize(
    ("gpu", "kind", "expected"),
    [
        ("NVIDIA L4", "L4", True),
        ("NVIDIA L40S", "L4", False),
        ("NVIDIA A100-SXM4-80GB", "A100", True),
        ("NVIDIA H100 80GB HBM3", "A100", False),
    ],
)
def test_kind_of_a_gpu(gpu: str, kind: str, expected: bool) -> None:
    assert GpuRate(gpu=gpu, gflops=1.0, origin="measured").is_of(kind) is expected


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"figures": []}', '{"figures": {}}', '{"figures": [1]}', "[" * 100_000, "\x00"],
)
def test_file_without_a_rate_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text)

    assert refused(str(path)) == f"--bench {path}: {NO_RATE}"


def test_figures_of_a_cpu_are_no_rate(tmp_path: Path) -> None:
    place = bench(tmp_path, name="raycal / bare loop")

    assert refused(place) == f"--bench {place}: {NO_RATE}"


def test_setting_that_is_no_number_is_no_rate(tmp_path: Path) -> None:
    place = bench(tmp_path, size="large")

    assert refused(place) == f"--bench {place}: {NO_RATE}"


@pytest.mark.parametrize("value", [0.0, -5.0, float("nan"), float("inf")])
def test_rate_must_be_a_positive_number(tmp_path: Path, value: float) -> None:
    place = bench(tmp_path, value=value)

    assert refused(place) == f"--bench {place}: {value:g} img/s at 224 px is no training rate of a GPU"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(f"{tmp_path}/none.json") == f"--bench {tmp_path}/none.json: No such file or directory"


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_bytes(b"\xff\xfe")

    assert refused(str(path)) == f"--bench {path}: {NO_RATE}"


def refused(place: str) -> str:
    with pytest.raises(InputError) as caught:
        measured_rate(place)
    (line,) = caught.value.problems
    return line
