import pytest

from raycal.config import ResourceConfig
from raycal.distributed.resources import TRIAL_BYTES, Allotment, Node, allot
from raycal.errors import InputError

MANY = 100


def node(cpus: float, gpus: float = 0, *, trials_in_memory: float = 1000) -> Node:
    return Node(cpus=cpus, gpus=gpus, memory_bytes=trials_in_memory * TRIAL_BYTES)


def config(**settings: float) -> ResourceConfig:
    return ResourceConfig.model_validate(settings)


def shares(allotment: Allotment) -> tuple[int, int, float, float]:
    """Trials at a time, threads and GPUs of each, and the clustering's GPU."""
    return (allotment.concurrent_trials, allotment.threads, allotment.gpus, allotment.clustering_gpus)


class TestWithoutGpu:
    @pytest.mark.parametrize(
        ("cpus", "num_trials", "concurrent", "threads"),
        [
            (2, 1, 1, 2),
            (2, 2, 2, 1),
            (2, MANY, 2, 1),
            (64, 1, 1, 16),
            (64, 4, 4, 16),
            (64, 10, 10, 6),
            (64, MANY, 64, 1),
        ],
    )
    def test_cores_are_shared_by_as_many_trials_as_there_are(
        self, cpus: int, num_trials: int, concurrent: int, threads: int
    ) -> None:
        assert shares(allot(config(), [node(cpus)], num_trials)) == (concurrent, threads, 0, 0)

    def test_memory_limits_the_trials_and_gives_them_more_cores(self) -> None:
        assert shares(allot(config(), [node(64, trials_in_memory=4.5)], MANY)) == (4, 16, 0, 0)
        assert shares(allot(config(), [node(8, trials_in_memory=2)], MANY)) == (2, 4, 0, 0)

    def test_one_trial_runs_however_little_memory_there_is(self) -> None:
        assert shares(allot(config(), [node(4, trials_in_memory=0.1)], MANY)) == (1, 4, 0, 0)

    def test_several_nodes_add_up(self) -> None:
        assert shares(allot(config(), [node(8), node(8)], 4)) == (4, 4, 0, 0)
        assert shares(allot(config(), [node(8), node(8)], 3)) == (3, 4, 0, 0)
        assert shares(allot(config(), [node(8), node(8), node(8)], MANY)) == (24, 1, 0, 0)

    def test_no_trial_is_planned_where_its_threads_do_not_fit(self) -> None:
        allotment = allot(config(cpus_per_worker=4), [node(8), node(6), node(3)], MANY)

        assert shares(allotment) == (3, 4, 0, 0)

    def test_head_without_cores_takes_no_share(self) -> None:
        with_head, without = allot(config(), [node(0), node(16)], 8), allot(config(), [node(16)], 8)

        assert shares(with_head) == shares(without) == (8, 2, 0, 0)


class TestWithGpus:
    @pytest.mark.parametrize(
        ("nodes", "num_trials", "concurrent", "threads"),
        [
            ([node(16, 1)], MANY, 1, 16),
            ([node(64, 8)], 1, 1, 16),
            ([node(64, 8)], 4, 4, 16),
            ([node(64, 8)], MANY, 8, 8),
            ([node(16, 1), node(16, 1)], MANY, 2, 16),
            ([node(64, 8), node(64, 8)], MANY, 16, 8),
            ([node(128, 16)], MANY, 16, 8),
        ],
        ids=["1 GPU", "8 GPUs, 1 trial", "8 GPUs, 4 trials", "8 GPUs", "2 nodes of 1", "2 nodes of 8", "16 GPUs"],
    )
    def test_trial_gets_a_gpu_but_for_the_clusterings_share(
        self, nodes: list[Node], num_trials: int, concurrent: int, threads: int
    ) -> None:
        assert shares(allot(config(), nodes, num_trials)) == (concurrent, threads, 0.9, 0.1)

    def test_head_without_gpus_keeps_none_of_the_gpus_idle(self) -> None:
        assert shares(allot(config(), [node(0), node(64, 8)], MANY)) == (8, 8, 0.9, 0.1)

    def test_whole_gpu_leaves_the_clustering_on_the_cpu(self) -> None:
        assert shares(allot(config(gpus_per_worker=1), [node(16, 2)], MANY)) == (2, 8, 1, 0)

    def test_idle_gpu_serves_the_clustering(self) -> None:
        allotment = allot(config(gpus_per_worker=2), [node(16, 3)], MANY)

        assert shares(allotment) == (1, 16, 2, 0.1)

    @pytest.mark.parametrize(
        ("share", "concurrent", "clustering"), [(0.5, 2, 0), (0.3, 3, 0.1), (0.25, 4, 0), (0.2, 5, 0), (0.1, 10, 0)]
    )
    def test_trials_share_a_gpu(self, share: float, concurrent: int, clustering: float) -> None:
        allotment = allot(config(gpus_per_worker=share), [node(20, 1)], MANY)

        assert shares(allotment) == (concurrent, 20 // concurrent, share, clustering)

    def test_share_of_a_gpu_is_never_split_over_two(self) -> None:
        allotment = allot(config(gpus_per_worker=0.6), [node(20, 4)], MANY)

        assert shares(allotment) == (4, 5, 0.6, 0.1)

    def test_gpus_stay_unused_when_told_so(self) -> None:
        assert shares(allot(config(gpus_per_worker=0), [node(16, 4)], 4)) == (4, 4, 0, 0)

    def test_cores_limit_the_trials_of_many_gpus(self) -> None:
        assert shares(allot(config(), [node(4, 8)], MANY)) == (4, 1, 0.9, 0.1)

    def test_memory_limits_the_trials_of_many_gpus(self) -> None:
        assert shares(allot(config(), [node(32, 8, trials_in_memory=2)], MANY)) == (2, 16, 0.9, 0.1)


class TestSettings:
    def test_threads_as_given(self) -> None:
        assert shares(allot(config(cpus_per_worker=3), [node(8)], MANY)) == (2, 3, 0, 0)
        assert shares(allot(config(cpus_per_worker=32), [node(64)], MANY)) == (2, 32, 0, 0)

    def test_limit_on_concurrency_gives_the_trials_more_cores(self) -> None:
        assert shares(allot(config(max_concurrent_trials=2), [node(8)], MANY)) == (2, 4, 0, 0)
        assert shares(allot(config(max_concurrent_trials=50), [node(8)], MANY)) == (8, 1, 0, 0)

    def test_threads_of_an_earlier_plan_are_kept(self) -> None:
        assert shares(allot(config(), [node(16)], MANY, threads=3)) == (5, 3, 0, 0)
        assert shares(allot(config(cpus_per_worker=8), [node(16)], MANY, threads=3)) == (5, 3, 0, 0)
        assert shares(allot(config(), [node(64)], 1, threads=1)) == (1, 1, 0, 0)


class TestNeverFits:
    def test_says_what_is_needed_and_what_there_is(self) -> None:
        with pytest.raises(InputError) as refused:
            allot(config(gpus_per_worker=2, cpus_per_worker=4), [node(8, 1), node(16, 1)], MANY)

        assert refused.value.problems == (
            "resources: a trial needs 4 CPUs and 2 GPUs on one node, the largest of 2 nodes has 16 CPUs and 1 GPUs; "
            "lower cpus_per_worker or gpus_per_worker",
        )

    @pytest.mark.parametrize(
        ("settings", "nodes"),
        [
            ({"cpus_per_worker": 5}, [node(4), node(4)]),
            ({"gpus_per_worker": 1}, [node(64)]),
            ({"gpus_per_worker": 1.5}, [node(64, 1), node(64, 1)]),
            ({"cpus_per_worker": 8, "gpus_per_worker": 1}, [node(4, 1), node(64)]),
            ({}, [node(0)]),
        ],
    )
    def test_what_fits_on_no_node_is_refused(self, settings: dict[str, float], nodes: list[Node]) -> None:
        with pytest.raises(InputError, match="on one node"):
            allot(config(**settings), nodes, 1)

    def test_threads_of_a_plan_from_a_larger_machine_are_named_as_such(self) -> None:
        with pytest.raises(InputError) as refused:
            allot(config(), [node(4)], 1, threads=8)

        (problem,) = refused.value.problems
        assert "plan" in problem


def test_workers_ask_for_a_little_less_than_whole_cores() -> None:
    on_cpu = Allotment(threads=4, gpus=0, concurrent_trials=2, clustering_gpus=0)
    on_gpu = Allotment(threads=4, gpus=0.9, concurrent_trials=2, clustering_gpus=0.1)

    assert on_cpu.worker == {"CPU": pytest.approx(3.8)}
    assert on_gpu.worker == {"CPU": pytest.approx(3.8), "GPU": 0.9}


def test_allotment_in_words() -> None:
    on_cpu = Allotment(threads=4, gpus=0, concurrent_trials=2, clustering_gpus=0)
    on_gpu = Allotment(threads=8, gpus=0.9, concurrent_trials=1, clustering_gpus=0.1)

    assert str(on_cpu) == "2 at a time, 4 CPU threads each, clustering on the CPU"
    assert str(on_gpu) == "1 at a time, 8 CPU threads and 0.9 GPU each, clustering on 0.1 GPU"


def test_node_from_what_ray_reports() -> None:
    assert Node.of({"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0}) == Node(
        cpus=8, gpus=2, memory_bytes=1e9
    )
    assert Node.of({"memory": 1e9}) == Node(cpus=0, gpus=0, memory_bytes=1e9)
