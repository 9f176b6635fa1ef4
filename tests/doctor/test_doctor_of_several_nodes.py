"""Tests the doctor on a Ray cluster in which one node sees another storage or network than the other nodes."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from nodes import MAY_MOUNT, node_with_own_mounts, ray_cluster
from ray.cluster_utils import Cluster

from raycal.doctor.__main__ import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(not MAY_MOUNT, reason="may not mount file systems"),
]

# Nothing listens at this address.
NO_PROXY = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
NODE = r"node [0-9.]+ \([0-9a-f]{8}\)"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray cluster of two nodes without a problem."""
    with ray_cluster(1, 1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that answers like MLflow."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def findings(
    cluster: Cluster, storage: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[str]]:
    """The doctor's exit code, and its lines about storage and tracking server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    code = main(["--storage", str(storage), "--address", cluster.address])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert list(storage.iterdir()) == []
    return code, [line for line in lines if re.match(r"\w+ (storage|tracking|ray cluster) ", line)]


def test_nodes_that_are_alike(
    cluster: Cluster,
    storage: Path,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, lines = findings(cluster, storage, server, monkeypatch, capsys)

    assert code == 0
    assert lines == [
        f"ok ray cluster {cluster.address}, Ray 2.60.0 like here, 2 nodes",
        f"ok storage {storage} can be written from 2 nodes",
        f"ok tracking {server} answers 2 nodes",
        f"ok tracking an MLflow server answers at {server}; only the sweep's own process sends to it",
    ]


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ("mount --bind {0} {0}\nmount -o remount,ro,bind {0}", "cannot write there: Read-only file system"),
        ("mount -t tmpfs nothing {0}", "does not see what this machine writes there, so the storage is not shared"),
    ],
    ids=["read-only", "not shared"],
)
def test_node_that_is_not_like_the_others_is_named_with_what_to_do(
    cluster: Cluster,
    storage: Path,
    server: str,
    mount: str,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with node_with_own_mounts(cluster, mount.format(storage), NO_PROXY):
        code, lines = findings(cluster, storage, server, monkeypatch, capsys)

    assert code == 1
    assert [line.partition(" ")[0] for line in lines] == ["ok", "problem", "warning", "ok"]
    assert lines[0].endswith(", 3 nodes")
    fix = "give a --storage that every node can access: a shared folder or a URI"
    assert re.fullmatch(rf"problem storage {storage}: {NODE} {problem}; {fix}", lines[1])
    fix = "start no sweep on that node; trials that run there need no connection"
    assert re.fullmatch(rf"warning tracking {server} does not answer {NODE} \(.*refused\); {fix}", lines[2])
