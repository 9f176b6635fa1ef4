from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from raycal import __version__
from raycal.distributed.survey import survey
from raycal.doctor.cluster import judge_cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module", autouse=True)
def here() -> Iterator[None]:
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_every_node_writes_into_the_storage_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for storage in ("there", "new"):
        found = survey("here", str(tmp_path / storage))

        (node,) = found.nodes
        assert (found.ray, node.error, node.raycal) == (ray.__version__, "", __version__)
        assert abs(node.clock_seconds) < 5
        assert {finding.status for finding in judge_cluster("here", found, storage, 0)} == {"ok"}
    assert [str(path.name) for path in tmp_path.rglob("*")] == ["there"]


def test_storage_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(OSError):
        survey("here", "/proc/runs")
