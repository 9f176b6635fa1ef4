import tracemalloc
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.clustering import inertia, kmeans
from raycal.algorithm.clustering import sampled as sampled_module
from raycal.algorithm.clustering.sampled import BLOCK_ROWS, assigned, sample_rows, sampled_kmeans
from raycal.errors import DivergedError
from raycal.kmeans import faiss_lloyd

RNG = np.random.default_rng(5)
SPREAD_OUT = RNG.standard_normal((20_000, 8), np.float32)
IN_GROUPS = (RNG.standard_normal((500, 8), np.float32) * 2)[RNG.integers(500, size=20_000)] + SPREAD_OUT


@pytest.mark.parametrize("points", [SPREAD_OUT, IN_GROUPS], ids=["spread out", "in groups"])
def test_inertia_of_a_sample_is_within_one_percent_of_the_exact_one(points: np.ndarray) -> None:
    exact = inertia(points, kmeans(points, 60, 0))

    sampled = inertia(points, sampled_kmeans(points, 60, 0))
    assert 0.99 * exact < sampled <= 1.01 * exact
    assert sampled != exact  # Only 15,360 of the 20,000 points were trained on.


def test_inertia_is_higher_with_a_smaller_sample() -> None:
    found = [inertia(SPREAD_OUT, sampled_kmeans(SPREAD_OUT, 20, 0, points_per_centroid=n)) for n in (2, 16, 256)]

    assert found == sorted(found, reverse=True)
    assert found[0] > 1.05 * found[-1]


@pytest.mark.parametrize("num_points", [2560, 900])
def test_a_small_pool_is_clustered_as_by_kmeans(num_points: int) -> None:
    points = SPREAD_OUT[:num_points]

    assert np.array_equal(sampled_kmeans(points, 10, 3), kmeans(points, 10, 3))


def test_centers_are_those_of_kmeans() -> None:
    points = SPREAD_OUT[:2000]
    trained = faiss_lloyd.centers(points, 10, 3, 40)

    assert trained.shape == (10, 8)
    assert np.array_equal(faiss_lloyd.nearest(points, trained), kmeans(points, 10, 3))


def test_each_point_gets_its_nearest_center(monkeypatch: pytest.MonkeyPatch) -> None:
    points, trained = SPREAD_OUT[:1000], SPREAD_OUT[-7:]
    monkeypatch.setattr(sampled_module, "BLOCK_ROWS", 300)

    assert np.array_equal(assigned(points, trained), ((points[:, None] - trained) ** 2).sum(axis=2).argmin(axis=1))


def test_a_part_that_begins_with_a_block_gets_the_ids_of_the_whole() -> None:
    points = np.random.default_rng(1).standard_normal((2 * BLOCK_ROWS + 999, 16), np.float32)
    trained = points[:100]
    whole = assigned(points, trained)

    for part in (slice(0, BLOCK_ROWS), slice(BLOCK_ROWS, None), slice(2 * BLOCK_ROWS, None)):
        assert np.array_equal(assigned(points[part], trained), whole[part])


def test_same_seed_gives_same_ids_for_any_number_of_threads() -> None:
    found = []
    for threads in (1, 2, 1):
        faiss.omp_set_num_threads(threads)
        found.append(sampled_kmeans(IN_GROUPS, 15, 11, points_per_centroid=40))

    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], sampled_kmeans(IN_GROUPS, 15, 12, points_per_centroid=40))


def test_a_file_of_half_precision_is_never_copied_as_a_whole(tmp_path: Path) -> None:
    file = np.lib.format.open_memmap(tmp_path / "pool.npy", "w+", np.float16, (3 * 10**6, 8))
    file[:] = np.arange(len(file))[:, None] % 100
    pool = np.load(tmp_path / "pool.npy", mmap_mode="r")

    tracemalloc.start()
    ids = sampled_kmeans(pool, 100, 0, iterations=20, points_per_centroid=64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (ids == np.tile(ids[:100], 30_000)).all()
    # The ids take 24 MB, and all points would take 96 MB in single precision.
    assert ids.nbytes < peak < ids.nbytes + 24e6


@pytest.mark.parametrize("row", [0, 5, BLOCK_ROWS - 1, BLOCK_ROWS + 3])
def test_values_that_are_not_finite_are_counted_over_all_blocks(row: int) -> None:
    points = np.zeros((BLOCK_ROWS + 9, 2), np.float32)
    points[[row, -1]] = np.nan

    with pytest.raises(DivergedError, match=rf"^clustering: 2 of 65,545 embeddings .* the first in row {row}: "):
        sampled_kmeans(points, 4, 0)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 2**31 - 1))
def test_sample_has_one_row_of_each_part(num_rows: int, count: int, seed: int) -> None:
    rows = sample_rows(num_rows, count, seed)

    assert len(rows) == min(num_rows, count)
    assert (np.diff(rows) > 0).all()
    assert rows.min() >= 0
    assert rows.max() < num_rows
    width = -(-num_rows // len(rows))
    assert (np.abs(rows - np.arange(len(rows)) * num_rows / len(rows)) <= width).all()


def test_each_row_is_drawn_equally_often() -> None:
    drawn = np.bincount(np.concatenate([sample_rows(10, 4, seed) for seed in range(4000)]), minlength=10)

    # The parts have two, three, two and three rows.
    assert drawn / 4000 == pytest.approx([1 / 2] * 2 + [1 / 3] * 3 + [1 / 2] * 2 + [1 / 3] * 3, abs=0.03)


def test_sample_of_a_pool_of_many_rows() -> None:
    rows = sample_rows(10**12, 1000, 0)

    assert np.array_equal(rows // 10**9, np.arange(1000))
    assert len(set((rows % 10**9).tolist())) == 1000
