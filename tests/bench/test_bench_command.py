import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from raycal.bench.__main__ import BENCHMARKS, WHEN_NAMED, main
from raycal.bench.gpu.compiling import compiling
from raycal.bench.gpu.scoring import scoring
from raycal.bench.gpu.sizes import QUICK
from raycal.bench.gpu.training import training
from raycal.bench.material import Options

FIGURES = {
    "training": 1,
    "scoring": 4,
    "input": 2,
    "iteration": 1,
    "kmeans": 4,
    "selection": 6,
    "overhead": 1,
    "settings": 3,
    "rerun": 2,
    "trials": 1,
    "accuracy": 4,
    "vectors": 2,
    "scale": 40,
    "shards": 6,
    "answers": 1,
    "first_question": 3,
}


def figures(name: str, tmp_path: Path) -> list[dict[str, object]]:
    """The figures of a quick run with at most two repeats."""
    assert main([name, "--quick", "--repeats", "1", "--json", str(tmp_path / "out.json")]) == 0
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["versions"]["torch"]
    assert record["command"].startswith(f"python -m raycal.bench {name} --quick")
    found: list[dict[str, object]] = record["figures"]
    return found


def check(name: str, found: list[dict[str, object]]) -> None:
    assert len(found) >= FIGURES[name]
    for figure in found:
        assert figure["benchmark"] == name
        assert isinstance(figure["value"], float)
        assert math.isfinite(figure["value"])
        assert figure["setting"]


def test_every_benchmark_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*BENCHMARKS, *WHEN_NAMED] == list(FIGURES)
    assert [line.split()[0] for line in lines if line.endswith("(only when named)")] == list(WHEN_NAMED)


@pytest.mark.parametrize("name", ["input", "kmeans", "selection", "answers"])
def test_quick_run_gives_finite_figures(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(name, tmp_path)

    check(name, found)
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + len(found)
    assert table[1].split()[:2] == ["benchmark", "figure"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("training", "scoring", "iteration", "overhead", "settings", "accuracy"),
        *(pytest.param(name, marks=pytest.mark.long) for name in ("rerun", "trials", "vectors", "shards")),
        "first_question",
    ],
)
def test_quick_run_of_what_takes_longer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")

    check(name, figures(name, tmp_path))


@pytest.mark.long
def test_gpu_benchmark_tells_compiled_arms_from_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compile = torch.compile

    def without_a_compiler(model: Any, *, mode: str | None, **options: Any) -> Any:
        return compile(model, backend="aot_eager", **options)

    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path))
    monkeypatch.setattr(torch, "compile", without_a_compiler)
    sizes = replace(QUICK, compiled=(False, True))
    found = {
        (figure.benchmark, figure.name): figure
        for part in (compiling, training, scoring)
        for figure in part(Options(quick=True, repeats=1), sizes)
    }

    trainings = [
        f"batch 8, {how}, {arm}" for how in ("eager", "compiled") for arm in ("raycal", "bare", "raycal / bare loop")
    ]
    assert list(found) == [
        *(("gpu compiling", name) for name in ("first on a node", "later, from disk")),
        *(("gpu training", name) for name in (*trainings, "raycal, best batch")),
        *(("gpu scoring", how) for how in ("eager", "compiled")),
    ]
    for (_, name), figure in found.items():
        if "eager" in name or "compiled" in name:
            assert figure.setting["compiled"] is ("compiled" in name)
    rates = [found["gpu training", f"batch 8, {how}, raycal"].value for how in ("eager", "compiled")]
    assert found["gpu training", "raycal, best batch"].value == max(rates)


@pytest.mark.gpu
@pytest.mark.timeout(900)  # Compiling is left out, because it takes long.
def test_gpu_benchmark_runs_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--gpu", "--quick", "--repeats", "1"]) == 0
    assert "gpu sharing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["scorin"], ["scorin: no such benchmark (did you mean 'scoring'?)"]),
        (["--repeats", "0"], ["--repeats 0: should be at least 1"]),
        (["--gpu", "kmeans"], ["--gpu: runs the GPU benchmark alone; leave the names out"]),
        (
            ["a", "--repeats", "-1"],
            ["--repeats -1: should be at least 1", "a: no such benchmark (known: training, scoring, input, iteration,"],
        ),
        (["kmeans", "--json", "no/where.json"], ["--json no/where.json: No such file or directory"]),
        (["kmeans", "--quick", "--features", "no.npy"], ["--features no.npy: not an array saved by numpy"]),
        (["input", "--quick", "--data", "nowhere"], ["nowhere: "]),
    ],
)
def test_mistake_in_the_input_is_a_line_each(
    arguments: list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == len(lines)
    for line, begin in zip(printed.err.splitlines(), lines, strict=True):
        assert line.strip().startswith(begin) or begin in line


def test_without_a_gpu_its_benchmark_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    assert main(["--gpu"]) == 2
    assert capsys.readouterr().err == "--gpu: torch sees no GPU here; leave --gpu out to measure the CPU\n"
