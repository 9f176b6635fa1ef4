import json
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
import pytest

from raycal.bench import scale
from raycal.bench.__main__ import main
from raycal.bench.material import Options
from raycal.bench.measure import GIB, memory
from raycal.bench.scale import PREDICTED, Used, measured, predicted
from raycal.bench.scale_parts import EXACT, NOISE, PARTS, WIDTH, rows_of, write_embeddings
from raycal.errors import InputError, RaycalError


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
def test_power_law_is_continued(exponent: float) -> None:
    sizes = [10**6, 10**7, 10**8]

    assert predicted(sizes, [3e-6 * size**exponent for size in sizes], 10**9) == pytest.approx(3e-6 * 1e9**exponent)


def test_straight_line_is_continued_beyond_its_fixed_part() -> None:
    sizes = [10**6, 10**7]

    assert predicted(sizes, [20 + 1e-6 * size for size in sizes], 10**9) == pytest.approx(1020)


def test_prediction_is_from_the_two_largest_sizes() -> None:
    assert predicted([10, 10**6, 10**7], [99.0, 1.0, 10.0], 10**9) == pytest.approx(1000)


def test_embeddings_are_the_same_in_a_file_and_in_memory(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "a.npy", 70_000)

    file = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert (file.shape, file.dtype) == ((70_000, WIDTH), np.float16)
    assert np.array_equal(file, np.concatenate(list(rows_of(70_000, in_groups=True))))


def test_embeddings_are_in_groups_or_spread_out() -> None:
    spread_out, in_groups = (
        np.concatenate(list(rows_of(20_000, in_groups=each))).astype(float) for each in (False, True)
    )

    assert spread_out.var() == pytest.approx(1, abs=0.02)
    assert in_groups.var() == pytest.approx(1 + NOISE**2, abs=0.05)
    # Two points of one group are much nearer to each other than two points of different groups.
    nearest = [((rows[0] - rows[1:]) ** 2).sum(axis=1).min() for rows in (spread_out, in_groups)]
    assert nearest[1] < 3 * WIDTH * NOISE**2 < nearest[0]


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_in_a_process_of_its_own(part: str, tmp_path: Path) -> None:
    write_embeddings(tmp_path / "a.npy", 2000)

    used = measured(part, 2000, tmp_path / "a.npy")

    assert 0 < used.cpu_seconds < 60
    assert 0 <= used.bytes < GIB


@pytest.mark.slow
def test_peak_memory_is_that_of_the_process_without_the_file(tmp_path: Path) -> None:
    size = 10**6
    write_embeddings(tmp_path / "a.npy", size)

    used = measured("scoring and top N", size, tmp_path / "a.npy")

    # Ten probabilities take 40 bytes per sample, the indices 8 and the random order 8. The file has 128 per sample.
    assert 56 * size < used.bytes < 56 * size + 130e6


def growth_of_memory(file: Path, results: Connection) -> None:
    begin = memory(psutil.Process())
    pages = np.memmap(file, np.uint8, "r")
    total = int(pages.sum())
    with_file = memory(psutil.Process())
    numbers = np.ones(60_000_000, np.uint8)
    results.send((with_file - begin, memory(psutil.Process()) - with_file, total + int(numbers[0])))


def test_memory_does_not_count_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(60_000_000))
    # In the process of the tests, the array might get memory that an earlier test has freed.
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=growth_of_memory, args=(tmp_path / "a", there))
    child.start()
    of_the_file, of_the_array, _ = here.recv()
    child.join()

    assert of_the_file < 20e6 < 50e6 < of_the_array < 80e6


def test_part_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        RaycalError, match=r"^scale: sampled clustering with 10 samples: FileNotFoundError: .*missing.npy"
    ):
        measured("sampled clustering", 10, tmp_path / "missing.npy")


def test_too_little_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"--sizes 1000000000000000: the embeddings take [\d.]+ GiB in .* GiB are free"
    ):
        scale.check_space(tmp_path, 10**15)


def test_table_has_exponents_and_predictions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The parts take made-up times: linear, with 2 KB per sample."""

    def linear(part: str, size: int, _: Path) -> Used:
        return Used(cpu_seconds=size / 1e6, bytes=2048 * size * (2 if part == EXACT else 1))

    monkeypatch.setattr(scale, "measured", linear)
    monkeypatch.setattr(scale, "_inertia", lambda _: iter(()))
    figures = {figure.name: figure for figure in scale.run(Options(sizes=(8000, 2000)))}

    for part in PARTS:
        for what in ("CPU", "memory"):
            exponent = figures[f"{part}: exponent, {what}"]
            assert (exponent.value, exponent.verdict) == (pytest.approx(1), "met")
        assert figures[f"{part}: CPU at {PREDICTED:,}, predicted"].value == pytest.approx(1000)
        of_memory = figures[f"{part}: memory at {PREDICTED:,}, predicted"]
        assert of_memory.value == pytest.approx((2 if part == EXACT else 1) * 2048e9 / GIB)
        assert of_memory.verdict == "not met"
    assert figures["state: CPU at 2,000, measured"].value == pytest.approx(0.002)
    assert figures["state: memory at 8,000, measured"].unit == "GiB"
    assert sum("at 2,000, measured" in name for name in figures) == 2 * (len(PARTS) - 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["scale", "--sizes", "1000000"], "--sizes 1000000: should be at least 1,000, and two or more for scale"),
        (["scale", "--sizes", "10", "2000"], "--sizes 10 2000: should be at least 1,000, and two or more for scale"),
        (["shards", "--sizes", "0"], "--sizes 0: should be at least 1,000, and two or more for scale"),
    ],
)
def test_wrong_sizes_are_one_line(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2

    assert capsys.readouterr().err.strip() == problem


@pytest.mark.slow
def test_quick_run_measures_inertia(tmp_path: Path) -> None:
    assert main(["scale", "--quick", "--json", str(tmp_path / "out.json")]) == 0

    figures = {figure["name"]: figure for figure in json.loads((tmp_path / "out.json").read_text())["figures"]}
    for kind in ("in groups", "spread out"):
        figure = figures[f"inertia, sampled / exact, 3,000 points {kind}"]
        losses = figure["setting"]["inertia"]
        assert figure["value"] == pytest.approx(losses["sampled_kmeans"] / losses["kmeans"])
        assert 0.9 < figure["value"] < 1.05
