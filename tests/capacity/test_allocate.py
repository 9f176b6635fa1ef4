import time
from typing import Any

import pytest

from raycal.capacity.allocate import DRIVER_BYTES, WORKER_BYTES, Allocation, ClusteringShare, Node, allocate
from raycal.config import ResourceConfig
from raycal.errors import InputError

MANY = 100
GB = 10**9


def node(cpus: float, gpus: float = 0, *, gigabytes: float = 1000, name: str = "") -> Node:
    return Node(cpus=cpus, gpus=gpus, memory_bytes=gigabytes * GB, node_id=name)


def config(**settings: float) -> ResourceConfig:
    return ResourceConfig.model_validate(settings)


def shares(allocation: Allocation) -> tuple[int, int, float]:
    """The trials at a time, and the threads and GPUs of each worker."""
    return (allocation.concurrent_trials, allocation.threads, allocation.gpus)


def clustering(allocation: Allocation) -> list[tuple[str, float, int]]:
    """The node, the GPU share and the concurrency of each clustering actor."""
    assert {share.threads for share in allocation.clustering} == {allocation.threads}
    return [(share.node_id, share.gpus, share.concurrency) for share in allocation.clustering]


def refusal(settings: dict[str, float], nodes: list[Node], **options: Any) -> str:
    with pytest.raises(InputError) as refused:
        allocate(config(**settings), nodes, MANY, **options)
    (problem,) = refused.value.problems
    return problem


class TestTypicalMachines:
    def test_laptop_of_two_cores(self) -> None:
        laptop = [node(2, gigabytes=16 * 0.7)]

        assert str(allocate(config(), laptop, 6)) == (
            "2 trials at a time, 1 worker each with 1 CPU thread; clustering on 1 CPU actor"
        )
        assert str(allocate(config(), laptop, 1)) == (
            "1 trial at a time, 1 worker each with 2 CPU threads; clustering on 1 CPU actor"
        )

    def test_laptop_with_four_gigabytes_free_runs_the_quickstart(self) -> None:
        allocation = allocate(config(), [node(2, gigabytes=4 * 0.7)], 6)

        assert shares(allocation) == (1, 2, 0)
        assert (allocation.driver_bytes, allocation.worker_bytes) == (DRIVER_BYTES, WORKER_BYTES)

    def test_node_of_eight_gpus(self) -> None:
        eight = [node(192, 8, gigabytes=1000, name="a")]

        assert shares(allocate(config(), eight, MANY)) == (8, 16, 0.95)
        assert clustering(allocate(config(), eight, MANY)) == [("a", 0.05, 2)]
        assert shares(allocate(config(), eight, MANY, workers=4)) == (2, 16, 0.95)
        assert shares(allocate(config(), eight, MANY, workers=8)) == (1, 16, 0.95)
        assert str(allocate(config(), eight, MANY, workers=3)) == (
            "2 trials at a time, 3 workers each with 16 CPU threads and 0.95 GPU; clustering on 1 GPU actor"
        )

    def test_four_gpu_nodes_and_a_head_of_cpus(self) -> None:
        head = node(8, gigabytes=20, name="head")
        nodes = [head, *(node(32, 4, gigabytes=150, name=name) for name in "abcd")]
        allocation = allocate(config(), nodes, MANY)

        assert shares(allocation) == (16, 8, 0.95)
        assert clustering(allocation) == [(name, 0.05, 2) for name in "abcd"]
        assert shares(allocate(config(), nodes, MANY, workers=16)) == (1, 8, 0.95)
        assert clustering(allocate(config(), nodes, MANY, workers=16)) == [("a", 0.05, 1)]

    def test_three_small_cpu_nodes(self) -> None:
        nodes = [node(4, gigabytes=11, name=name) for name in "abc"]

        assert shares(allocate(config(), nodes, 3)) == (3, 4, 0)
        assert clustering(allocate(config(), nodes, 3)) == [("a", 0, 1), ("b", 0, 1), ("c", 0, 1)]
        assert clustering(allocate(config(max_concurrent_trials=2), nodes, 3)) == [("a", 0, 1), ("b", 0, 1)]
        assert shares(allocate(config(), nodes, MANY, workers=3)) == (4, 1, 0)
        assert shares(allocate(config(), nodes, 1, workers=3)) == (1, 4, 0)
        # Eleven drivers on one node would leave memory for only two of its workers.
        assert shares(allocate(config(), nodes, MANY)) == (10, 1, 0)

    def test_four_workers_share_a_gpu(self) -> None:
        allocation = allocate(config(gpus_per_worker=0.25), [node(16, 1, name="a")], MANY)

        assert shares(allocation) == (4, 4, 0.25)
        assert clustering(allocation) == [("a", 0, 4)]

    def test_cpus_and_gpus_in_one_cluster(self) -> None:
        nodes = [node(64, name="cpu"), node(16, 2, name="gpu")]
        on_gpus, on_cpus = (allocate(config(**given), nodes, MANY) for given in ({}, {"gpus_per_worker": 0}))

        assert (shares(on_gpus), clustering(on_gpus)) == ((2, 8, 0.95), [("gpu", 0.05, 2)])
        assert (shares(on_cpus), clustering(on_cpus)) == ((80, 1, 0), [("cpu", 0, 67), ("gpu", 0, 16)])


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
        assert shares(allocate(config(), [node(cpus)], num_trials)) == (concurrent, threads, 0)

    def test_memory_limits_the_trials_and_gives_them_more_cores(self) -> None:
        assert shares(allocate(config(), [node(64, gigabytes=12)], MANY)) == (6, 10, 0)
        assert shares(allocate(config(), [node(8, gigabytes=5.5)], MANY)) == (3, 2, 0)
        assert shares(allocate(config(), [node(64, gigabytes=12)], MANY, workers=4)) == (2, 8, 0)

    def test_one_trial_tries_with_less_memory(self) -> None:
        allocation = allocate(config(), [node(4, gigabytes=1.4)], MANY)

        assert shares(allocation) == (1, 4, 0)
        assert allocation.driver == {"CPU": 0.001, "memory": DRIVER_BYTES * 3 // 4}
        assert allocation.worker == {"CPU": pytest.approx(3.8), "memory": WORKER_BYTES * 3 // 4}

    def test_several_nodes_add_up(self) -> None:
        assert shares(allocate(config(), [node(8), node(8)], 4)) == (4, 4, 0)
        assert shares(allocate(config(), [node(8), node(8)], 3)) == (3, 4, 0)
        assert shares(allocate(config(), [node(8), node(8), node(8)], MANY)) == (24, 1, 0)

    def test_workers_of_a_trial_may_be_on_several_nodes(self) -> None:
        assert shares(allocate(config(), [node(8), node(8), node(8)], MANY, workers=5)) == (4, 1, 0)
        assert shares(allocate(config(cpus_per_worker=8), [node(8), node(8), node(8)], MANY, workers=2)) == (1, 8, 0)

    def test_no_trial_is_planned_where_its_threads_do_not_fit(self) -> None:
        allocation = allocate(
            config(cpus_per_worker=4), [node(8, name="a"), node(6, name="b"), node(3, name="c")], MANY
        )

        assert shares(allocation) == (3, 4, 0)
        assert clustering(allocation) == [("a", 0, 2), ("b", 0, 1)]

    def test_head_without_cores_takes_no_share(self) -> None:
        with_head, without = allocate(config(), [node(0), node(16)], 8), allocate(config(), [node(16)], 8)

        assert with_head == without
        assert shares(without) == (8, 2, 0)

    def test_large_cluster_is_counted_quickly(self) -> None:
        nodes = [node(128, gigabytes=350 + number / 10) for number in range(50)]
        start = time.process_time()

        assert shares(allocate(config(), nodes, 3000)) == (3000, 1, 0)
        assert time.process_time() - start < 10


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
    def test_worker_gets_a_gpu_but_for_the_clusterings_share(
        self, nodes: list[Node], num_trials: int, concurrent: int, threads: int
    ) -> None:
        allocation = allocate(config(), nodes, num_trials)

        assert shares(allocation) == (concurrent, threads, 0.95)
        assert clustering(allocation) == [("", 0.05, min(2, concurrent))] * min(len(nodes), concurrent)

    def test_head_without_gpus_keeps_none_of_the_gpus_idle(self) -> None:
        assert shares(allocate(config(), [node(0), node(64, 8)], MANY)) == (8, 8, 0.95)

    def test_whole_gpu_leaves_the_clustering_on_the_cpu(self) -> None:
        allocation = allocate(config(gpus_per_worker=1), [node(16, 2)], MANY)

        assert (shares(allocation), clustering(allocation)) == ((2, 8, 1), [("", 0, 2)])

    def test_idle_gpu_serves_the_clustering(self) -> None:
        of_three, of_two = (allocate(config(gpus_per_worker=gpus), [node(16, 3)], 2) for gpus in (2, 1))

        assert (shares(of_three), clustering(of_three)) == ((1, 16, 2), [("", 0.05, 1)])
        assert (shares(of_two), clustering(of_two)) == ((2, 8, 1), [("", 0.05, 2)])

    def test_clustering_is_on_gpus_only_where_one_has_room(self) -> None:
        nodes = [node(16, 4, name="full"), node(16, 5, name="spare")]

        assert clustering(allocate(config(gpus_per_worker=2), nodes, MANY)) == [("spare", 0.05, 2)]

    @pytest.mark.parametrize(
        ("given", "concurrent", "asked", "clusters_on"),
        [(0.5, 2, 0.5, 0), (0.3, 3, 0.3166, 0.05), (0.25, 4, 0.25, 0), (0.2, 5, 0.2, 0), (0.1, 10, 0.1, 0)],
    )
    def test_trials_share_a_gpu(self, given: float, concurrent: int, asked: float, clusters_on: float) -> None:
        allocation = allocate(config(gpus_per_worker=given), [node(20, 1)], MANY)

        assert shares(allocation) == (concurrent, 20 // concurrent, asked)
        assert [gpus for _, gpus, _ in clustering(allocation)] == [clusters_on]

    def test_share_of_a_gpu_is_never_split_over_two(self) -> None:
        assert shares(allocate(config(gpus_per_worker=0.6), [node(20, 4)], MANY)) == (4, 5, 0.95)

    def test_gpus_stay_unused_when_told_so(self) -> None:
        allocation = allocate(config(gpus_per_worker=0), [node(16, 4)], 4)

        assert (shares(allocation), clustering(allocation)) == ((4, 4, 0), [("", 0, 4)])

    def test_cores_limit_the_trials_of_many_gpus(self) -> None:
        assert shares(allocate(config(), [node(4, 8)], MANY)) == (4, 1, 0.95)

    def test_memory_limits_the_trials_of_many_gpus(self) -> None:
        assert shares(allocate(config(), [node(32, 8, gigabytes=6)], MANY)) == (3, 10, 0.95)

    def test_gpus_of_nodes_with_too_few_cores_are_no_reason_to_want_gpus(self) -> None:
        assert shares(allocate(config(cpus_per_worker=8), [node(4, 1), node(16)], MANY)) == (2, 8, 0)


class TestSettings:
    def test_threads_as_given(self) -> None:
        assert shares(allocate(config(cpus_per_worker=3), [node(8)], MANY)) == (2, 3, 0)
        assert shares(allocate(config(cpus_per_worker=32), [node(64)], MANY)) == (2, 32, 0)

    def test_limit_on_concurrency_gives_the_trials_more_cores(self) -> None:
        assert shares(allocate(config(max_concurrent_trials=2), [node(8)], MANY)) == (2, 4, 0)
        assert shares(allocate(config(max_concurrent_trials=50), [node(8)], MANY)) == (8, 1, 0)

    def test_threads_of_an_earlier_plan_are_kept(self) -> None:
        assert shares(allocate(config(), [node(16)], MANY, threads=3)) == (5, 3, 0)
        assert shares(allocate(config(cpus_per_worker=8), [node(16)], MANY, threads=3)) == (5, 3, 0)
        assert shares(allocate(config(), [node(64)], 1, threads=1)) == (1, 1, 0)

    def test_whether_to_compile_is_told_to_the_workers(self) -> None:
        nodes_to_come = {"cpus_per_worker": 8, "gpus_per_worker": 1, "max_concurrent_trials": 4}
        for given in (True, False, None):
            assert allocate(config(compile=given), [node(8)], MANY).of_worker.compile is given
            assert allocate(config(compile=given, **nodes_to_come), [node(0)], MANY).of_worker.compile is given


class TestNodesToCome:
    """Tests a head node without CPUs, as on a cluster where an autoscaler starts the nodes on demand."""

    def test_everything_given_is_asked_for(self) -> None:
        given = config(cpus_per_worker=8, gpus_per_worker=1, max_concurrent_trials=4)
        allocation = allocate(given, [node(0)], MANY, workers=2)

        assert (shares(allocation), allocation.workers) == ((4, 8, 1), 2)
        assert allocation.clustering == (ClusteringShare(node_id="", threads=8, gpus=0, concurrency=4),)
        assert allocation.driver == {"CPU": 0.001}
        assert allocation.worker == {"CPU": pytest.approx(7.6), "GPU": 1}
        assert shares(allocate(given, [node(0)], 3)) == (3, 8, 1)

    def test_clustering_shares_a_gpu_where_workers_leave_room(self) -> None:
        given = config(cpus_per_worker=8, gpus_per_worker=0.9, max_concurrent_trials=4)

        assert clustering(allocate(given, [node(0), node(0)], MANY)) == [("", 0.05, 2)]

    @pytest.mark.parametrize("missing", ["cpus_per_worker", "gpus_per_worker", "max_concurrent_trials"])
    def test_anything_left_open_is_refused(self, missing: str) -> None:
        given: dict[str, float] = {"cpus_per_worker": 8, "gpus_per_worker": 0, "max_concurrent_trials": 4}
        del given[missing]

        assert refusal(given, [node(0)]) == (
            "resources: no node of the Ray cluster has a CPU so far; where nodes are started on demand, "
            "set cpus_per_worker, gpus_per_worker and max_concurrent_trials"
        )

    def test_threads_of_an_earlier_plan_are_as_good_as_given(self) -> None:
        given = config(cpus_per_worker=8, gpus_per_worker=0, max_concurrent_trials=4)

        assert shares(allocate(given, [node(0)], MANY, threads=3)) == (4, 3, 0)


class TestRefusals:
    def test_worker_that_fits_on_no_node(self) -> None:
        nodes = [node(8, 1), node(16, 1)]

        assert refusal({"gpus_per_worker": 2, "cpus_per_worker": 4}, nodes) == (
            "resources: a worker needs 4 CPUs and 2 GPUs on one node; the largest of 2 nodes has 16 CPUs and 1 GPU; "
            "lower cpus_per_worker or gpus_per_worker"
        )
        assert refusal({"cpus_per_worker": 5}, [node(4)]) == (
            "resources: a worker needs 5 CPUs on one node; the largest of 1 node has 4 CPUs; lower cpus_per_worker"
        )

    @pytest.mark.parametrize(
        ("settings", "nodes"),
        [
            ({"cpus_per_worker": 5}, [node(4), node(4)]),
            ({"gpus_per_worker": 2}, [node(64, 1), node(64, 1)]),
            ({"cpus_per_worker": 8, "gpus_per_worker": 1}, [node(4, 1), node(64)]),
            ({}, [node(0.5)]),
        ],
    )
    def test_what_fits_on_no_node(self, settings: dict[str, float], nodes: list[Node]) -> None:
        assert "on one node" in refusal(settings, nodes)

    def test_threads_of_a_plan_from_a_larger_machine(self) -> None:
        assert refusal({}, [node(4)], threads=8) == (
            "resources: a worker needs 8 CPUs on one node; the largest of 1 node has 4 CPUs; "
            "the sweep was planned on larger nodes"
        )

    def test_more_workers_than_there_is_room_for(self) -> None:
        assert refusal({}, [node(64, 4), node(32, 2)], workers=8) == (
            "resources: a trial needs 8 workers with 1 CPU and 0.95 GPU each at once, but there is room for 6; "
            "the largest of 2 nodes has 64 CPUs and 4 GPUs; lower workers_per_trial or gpus_per_worker"
        )
        assert refusal({"cpus_per_worker": 3}, [node(8), node(2)], workers=3) == (
            "resources: a trial needs 3 workers with 3 CPUs each at once, but there is room for 2; "
            "the largest of 2 nodes has 8 CPUs; lower workers_per_trial or cpus_per_worker"
        )

    def test_gpu_where_there_is_none(self) -> None:
        assert refusal({"gpus_per_worker": 0.5}, [node(64), node(8)]) == (
            "resources: gpus_per_worker is 0.5, but none of 2 nodes has a GPU; set it to 0 or auto"
        )

    def test_gpus_that_are_not_whole(self) -> None:
        problem = "resources: gpus_per_worker is 1.5; above 1 it must be a whole number"

        assert refusal({"gpus_per_worker": 1.5}, [node(64, 8)]) == problem
        on_demand = {"gpus_per_worker": 1.5, "cpus_per_worker": 1, "max_concurrent_trials": 1}
        assert refusal(on_demand, [node(0)]) == problem

    def test_memory_in_which_no_trial_can_live(self) -> None:
        assert refusal({}, [node(4, gigabytes=1.3), node(4, gigabytes=0.2)]) == (
            "resources: a trial with 1 worker needs 1.35 GB of memory at the very least; "
            "the largest of 2 nodes has 1.30 GB for Ray (70 % of what is free there); free some memory"
        )
        assert refusal({}, [node(4, gigabytes=2)], workers=4).endswith("; free some memory or lower workers_per_trial")
