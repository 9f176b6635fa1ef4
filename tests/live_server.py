"""Starts the server of a live page in the process of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

from raycal.report.live import LiveReport
from raycal.report.server import ADDRESS, new_server


@contextmanager
def served(*folders: Path, port: int = 0) -> Iterator[int]:
    """Serve the live page of sweeps, and yield the port."""
    with new_server(LiveReport([str(folder) for folder in folders]), port) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def answer(port: int, path: str, *, host: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body with which the server answers a request."""
    connection = HTTPConnection(ADDRESS, port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"{ADDRESS}:{port}" if host is None else host)
    connection.endheaders()
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found
