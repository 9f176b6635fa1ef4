"""Runs the four commands of one_machine.sh as a user would."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]


def free_ports(number: int) -> list[str]:
    sockets = [socket.socket() for _ in range(number)]
    for listener in sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [str(listener.getsockname()[1]) for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    folder = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))  # The paths of Ray's sockets must be short.
    port, dashboard, agent = free_ports(3)
    values = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAYCAL_RAY": str(folder / "r"),
        "RAYCAL_PORT": port,
        "RAYCAL_DASHBOARD": dashboard,
        "RAYCAL_AGENT": agent,
        "RAYCAL_CACHE": str(folder / "cache"),
        "STORAGE": str(folder / "runs"),
    }
    yield values
    run(values, "down")
    shutil.rmtree(folder, ignore_errors=True)


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "cluster_configs/one_machine.sh"), *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=280)


def in_session(session: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.long
def test_sweep_from_up_to_down(env: dict[str, str]) -> None:
    up = run(env, "up")
    assert up.returncode == 0, up.stderr
    session = int(Path(env["RAYCAL_RAY"], "pid").read_text())
    assert in_session(session)
    assert run(env, "up").stdout == f"is up: process {session}\n"

    options = ("--only", "*-random-s0-*", "--set", "iterations=1", "--set", "training.steps=5")
    submit = run(env, "submit", "sweeps/quickstart.yaml", *options)
    assert submit.returncode == 0, submit.stdout + submit.stderr
    assert len(list(Path(env["STORAGE"]).glob("quickstart/*/results.jsonl"))) == 1
    assert "SUCCEEDED" in run(env, "watch").stdout

    down = run(env, "down")
    assert down.stdout == f"down; results are in {env['STORAGE']}\n"
    assert in_session(session) == []
    assert run(env, "down").stdout == "is down\n"


def test_usage(env: dict[str, str]) -> None:
    done = run(env, "begin")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: one_machine.sh up | submit SWEEP.yaml")
