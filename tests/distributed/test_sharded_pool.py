"""Compares selection and clustering of a pool in shards, on Ray, with the results of one process."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from raycal.algorithm.acquisition import HeadWeights, top
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.clustering.sampled import BLOCK_ROWS, sampled_kmeans
from raycal.algorithm.records import Floats
from raycal.distributed import sharded_pool
from raycal.distributed.sharded_pool import EntropyOf, from_npy
from raycal.errors import InputError, RaycalError

WIDTH = 8


def embeddings(num_samples: int) -> npt.NDArray[np.float16]:
    rng = np.random.default_rng(0)
    groups = 2 * rng.standard_normal((40, WIDTH))
    return (groups[rng.integers(40, size=num_samples)] + rng.standard_normal((num_samples, WIDTH))).astype(np.float16)


def head() -> HeadWeights:
    weights = np.random.default_rng(1).standard_normal((5, WIDTH), np.float32)
    # The first class is so much more likely that most entropies are 0 and equal.
    return HeadWeights(weights=weights, bias=np.array([115, 0, 0, 0, 0], np.float32))


def test_scores_are_the_entropies_of_the_heads_softmax() -> None:
    points = embeddings(50).astype(np.float32)

    assert np.array_equal(EntropyOf(head())(points), entropies(head().probs(points)))


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({"a.npy": None}, "a.npy: not an array saved by numpy (No such file or directory)"),
        ({"a.npy": np.zeros(4)}, "a.npy: should have rows of floating-point numbers, not float64 (4,)"),
        ({"a.npy": np.zeros((4, 2), int)}, "a.npy: should have rows of floating-point numbers, not int64 (4, 2)"),
        ({"a.npy": np.zeros((4, 2)), "b.npy": np.zeros((4, 3))}, "should have the same width, not [2, 3]"),
        ({"a.npy": np.zeros((0, 2))}, "a pool should have at least one sample"),
        ({}, "a pool should have at least one sample"),
    ],
)
def test_files_that_are_not_one_pool_are_refused(
    contents: dict[str, npt.NDArray[np.float64] | None], problem: str, tmp_path: Path
) -> None:
    for name, array in contents.items():
        if array is not None:
            np.save(tmp_path / name, array)

    with pytest.raises(InputError) as caught:
        from_npy([tmp_path / name for name in contents])
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].endswith(problem)


def test_all_wrong_files_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        from_npy([tmp_path / "a.npy", tmp_path / "b.npy"])
    assert len(caught.value.problems) == 2


def test_tasks_begin_with_a_block(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 65,536, not 1,000"):
        from_npy([], rows_per_task=1000)


@pytest.fixture(scope="module")
def here() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    sharded_pool.quiet()
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("here")
class TestOnRay:
    """All tests use one Ray cluster."""

    num_samples = 3 * BLOCK_ROWS + 1234

    @pytest.fixture
    def whole(self) -> Floats:
        return embeddings(self.num_samples).astype(np.float32)

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        """The pool in three files of half precision, which are read in four tasks."""
        pool, places = embeddings(self.num_samples), [tmp_path / f"{number}.npy" for number in range(3)]
        for place, part in zip(places, np.split(pool, [BLOCK_ROWS, 2 * BLOCK_ROWS]), strict=True):
            np.save(place, part)
        return places

    def test_selection_is_that_of_one_process(self, files: list[Path], whole: Floats) -> None:
        scores = entropies(head().probs(whole))
        assert np.count_nonzero(scores == 0) > len(whole) / 2
        pool = from_npy(files, rows_per_task=BLOCK_ROWS)

        # The first selection ends above the equal scores, the second one among them.
        for num_samples, seed in ((500, 0), (len(whole) - 5000, 7)):
            selected = sharded_pool.most_informative(pool, EntropyOf(head()), num_samples, seed=seed)
            assert np.array_equal(selected, top(np.arange(len(whole)), scores, num_samples, seed).indices)

    def test_clusters_are_those_of_one_process(self, files: list[Path], whole: Floats, tmp_path: Path) -> None:
        pool = from_npy(files, rows_per_task=BLOCK_ROWS)

        centers = sharded_pool.train_centers(pool, 30, seed=3, iterations=10, points_per_centroid=100)
        sharded_pool.assign(pool, centers).write_parquet(str(tmp_path / "clusters"))

        table = pa.concat_tables(map(pq.read_table, (tmp_path / "clusters").glob("*.parquet"))).sort_by("index")
        assert np.array_equal(table["index"], np.arange(len(whole)))
        expected = sampled_kmeans(whole, 30, 3, iterations=10, points_per_centroid=100)
        assert np.array_equal(table["cluster"], expected)
        assert len(set(expected.tolist())) == 30

    def test_pool_may_be_a_table_with_an_embedding_in_each_row(self, tmp_path: Path) -> None:
        points = embeddings(900).astype(np.float32)
        for part in range(3):
            rows = slice(300 * part, 300 * (part + 1))
            indices, lists = (
                pa.array(np.arange(900)[rows]),
                pa.FixedSizeListArray.from_arrays(points[rows].ravel(), WIDTH),
            )
            pq.write_table(pa.table({"index": indices, "embedding": lists}), tmp_path / f"{part}.parquet")
        pool = ray.data.read_parquet(str(tmp_path))

        selected = sharded_pool.most_informative(pool, EntropyOf(head()), 40, seed=0)
        centers = sharded_pool.train_centers(pool, 9, seed=0)
        clusters = sharded_pool.assign(pool, centers).to_pandas().sort_values("index")["cluster"]

        assert np.array_equal(selected, top(np.arange(900), entropies(head().probs(points)), 40, 0).indices)
        assert np.array_equal(clusters, sampled_kmeans(points, 9, 0))

    def test_pool_that_cannot_be_clustered_is_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((5, 2)))
        with pytest.raises(InputError, match="6 clusters cannot be formed of 5 samples"):
            sharded_pool.train_centers(from_npy([tmp_path / "a.npy"]), 6, seed=0)

        gap = ray.data.from_items([{"index": index, "embedding": np.zeros(2)} for index in (0, 2)])
        with pytest.raises(InputError, match="count from 0 without a gap"):
            sharded_pool.train_centers(gap, 1, seed=0)

        np.save(tmp_path / "b.npy", np.full((5, 2), np.nan))
        with pytest.raises(RaycalError, match="5 of 5 embeddings have a value that is NaN"):
            sharded_pool.train_centers(from_npy([tmp_path / "b.npy"]), 2, seed=0)
