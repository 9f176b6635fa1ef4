"""Tests the server of `raycal.report --serve`: which requests it answers, what the answers are, and how it ends."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import answer, served
from run_folders import commit, planned

from raycal.report.__main__ import main
from raycal.storage.sweep_dir import SweepDir


@pytest.fixture(scope="module")
def sweep_dir(tmp_path_factory: pytest.TempPathFactory) -> SweepDir:
    made = planned(tmp_path_factory.mktemp("runs") / "birds")
    commit(made, 0)
    return made


@pytest.fixture(scope="module")
def port(sweep_dir: SweepDir) -> Iterator[int]:
    with served(Path(sweep_dir.folder.path)) as number:
        yield number


def test_page_and_its_files_are_served(port: int) -> None:
    status, headers, body = answer(port, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"The sweep is running." in body
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} < set(policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script>" not in body  # The content policy would keep the browser from running such a script.
    for path, kind, start in (
        ("/live.js", "text/javascript; charset=utf-8", b'"use strict"'),
        ("/summary.csv", "text/csv; charset=utf-8", b"dataset,group"),
        ("/figures/figure2_digits.pdf", "application/pdf", b"%PDF"),
        ("/figures/figure2_digits.png?x=1", "image/png", b"\x89PNG"),
        ("/figures/figure2%5Fdigits.svg", "image/svg+xml", b"<?xml"),
    ):
        status, headers, body = answer(port, path)
        assert (status, headers["Content-Type"], int(headers["Content-Length"])) == (200, kind, len(body))
        assert body.startswith(start)


def test_version_is_that_of_the_page(port: int) -> None:
    version = answer(port, "/version")[2].decode()
    assert f'data-version="{version}"' in answer(port, "/")[2].decode()


def test_head_has_no_body(port: int) -> None:
    status, headers, body = answer(port, "/", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "path",
    [
        *("/plan.json", "/../plan.json", "/figures/../../plan.json", "/%2e%2e/plan.json", "/..%2fplan.json"),
        *("//plan.json", "/figures/", "/tables", "/report.html/", "/etc/passwd", "//etc/passwd", "/summary.csv%00"),
    ],
)
def test_only_files_of_the_report_exist(port: int, path: str) -> None:
    assert answer(port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_reading_is_answered(port: int, method: str) -> None:
    assert answer(port, "/", method=method)[0] == 501


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8050", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "10.0.0.1"],
)
def test_other_names_of_the_host_are_refused(port: int, host: str) -> None:
    status, _, body = answer(port, "/", host=host)
    assert (status, b"birds" in body) == (403, False)


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "LOCALHOST:1", "127.0.0.1:9999"])
def test_tunnels_to_the_port_are_answered(port: int, host: str) -> None:
    assert answer(port, "/version", host=host)[0] == 200


def test_only_this_machine_is_listened_to(port: int) -> None:
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))


def test_port_in_use_is_one_line(port: int, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sweep_dir.folder.place, "--serve", "--port", str(port)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"--port {port}: Address already in use; give another port, or 0 for any that is free"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--serve", "--port", "70000"], "--port 70000: should be from 0 to 65535"),
        (["--serve", "--port", "-1"], "--port -1: should be from 0 to 65535"),
        (["--port", "8050"], "--port 8050: only --serve has a port; add --serve"),
        (["--serve", "--out", "there"], "--out there: --serve writes no files; leave out one of the two"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    options: list[str], message: str, sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([sweep_dir.folder.place, *options]) == 2
    assert capsys.readouterr() == ("", f"{message}\n")


def test_folder_of_no_sweep_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--serve", "--port", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == [f"{tmp_path}: not the folder of a sweep: it has no plan.json"]


@pytest.mark.slow
@pytest.mark.parametrize("drawing_seconds", [None, 0.2, 0.6, 1.0, 1.4])
def test_ctrl_c_ends_the_command_without_an_error(sweep_dir: SweepDir, drawing_seconds: float | None) -> None:
    """Ctrl-C comes when the page was sent, or this many seconds after the request, while the page is drawn."""
    command = [sys.executable, "-m", "raycal.report", sweep_dir.folder.place, "--serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"live report: http://127\.0\.0\.1:(\d+)/  \(Ctrl-C ends it\)\n", line)
    assert found is not None
    port = int(found[1])
    with socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(f"GET / HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode())
        if drawing_seconds is None:
            assert asking.recv(15) == b"HTTP/1.0 200 OK"
        else:
            time.sleep(drawing_seconds)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("\n", "")
    assert process.returncode == 0
