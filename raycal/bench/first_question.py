"""`first_question`: the time from the start of `python -m raycal.annotate` to the first question, and the memory of the
server, for a project that was started before."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import psutil
from PIL import Image

from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.errors import InfrastructureError

MOST_SECONDS = 3.0
MOST_MEGABYTES = 600.0
SIDE, IMAGES_PER_FOLDER = 32, 1000
WAIT_SECONDS = 1200.0
LINK = "label here: "


class Start(NamedTuple):
    """What one start of the server took until the first question was there.

    Attributes:
        wall: The seconds that a person waits.
        cpu: The CPU seconds of the server.
        megabytes: The largest memory that the server has used.
    """

    wall: float
    cpu: float
    megabytes: float


def run(options: Options) -> Iterator[Figure]:
    """The time and the memory of later starts of a project; the first start reads and decodes all images."""
    count, repeats = options.size(100_000, 20), options.size(options.repeats, 1)
    with TemporaryDirectory() as folder:
        write_images(Path(folder) / "images", count)
        first, *later = [start_server(Path(folder)) for _ in range(1 + repeats)]
    arms = {name: [getattr(one, name) for one in later] for name in Start._fields}
    setting = {"count": count, "first start": first._asdict()}
    for name, unit in (("wall", "s"), ("cpu", "CPU s")):
        yield Figure(
            benchmark="first_question",
            name=f"{name}, later start to first question",
            value=median(arms[name]),
            unit=unit,
            goal=Goal("<=", MOST_SECONDS),
            arms={name: arms[name]},
            setting=setting,
        )
    yield Figure(
        benchmark="first_question",
        name="most memory of the server, all starts",
        value=max(one.megabytes for one in (first, *later)),
        unit="MB",
        goal=Goal("<=", MOST_MEGABYTES),
        arms={"megabytes": arms["megabytes"]},
        setting=setting,
    )


def write_images(folder: Path, count: int) -> None:
    """Write small images, all of which are different, into subfolders."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for number in range(count):
        subfolder = folder / f"{number // IMAGES_PER_FOLDER:04d}"
        if number % IMAGES_PER_FOLDER == 0:
            subfolder.mkdir(parents=True)
        base[0, :4, 0] = list(number.to_bytes(4, "big"))
        Image.fromarray(base).save(subfolder / f"{number:07d}.png", compress_level=1)


def start_server(folder: Path) -> Start:
    """Start the server for the images in `folder`, wait for the first question, and end the server.

    Raises:
        InfrastructureError: The server has ended, or there was no question after twenty minutes.
    """
    begin = time.perf_counter()
    with _server(folder) as process:
        lines = iter(process.stdout or ())
        link = next((line.removeprefix(LINK).strip() for line in lines if line.startswith(LINK)), None)
        if link is None:
            raise InfrastructureError("the server could not start")
        threading.Thread(target=lambda: [*lines], daemon=True).start()  # a full pipe would stop the server
        ask = _signed_in(link)
        while not ask("/api/next", {"client": "bench", "holding": [], "want": 1})["questions"]:
            if process.poll() is not None or time.perf_counter() - begin > WAIT_SECONDS:
                raise InfrastructureError("the server gives no question")
            time.sleep(0.01)
        wall, server = time.perf_counter() - begin, psutil.Process(process.pid)
        used = server.cpu_times()
        return Start(wall, used.user + used.system, _most_megabytes(process.pid, server))


@contextmanager
def _server(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The running server. It ends with the block."""
    command = [sys.executable, "-m", "raycal.annotate", "images", "--port", "0"]
    settings = ["--set", "model.weights=none", "--set", f"training.image_size={SIDE}"]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["RAYCAL_CACHE"] = str(folder / "cache")
    with subprocess.Popen(
        [*command, *settings], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _signed_in(link: str) -> Callable[[str, dict[str, object]], dict[str, list[object]]]:
    """A function that posts JSON to the server whose link was printed, as the owner."""
    from http.cookiejar import CookieJar
    from urllib.request import HTTPCookieProcessor, Request, build_opener

    address, _, token = link.partition("/#t=")
    opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def post(path: str, body: dict[str, object]) -> dict[str, list[object]]:
        headers = {"content-type": "application/json", "origin": address}
        request = Request(address + path, json.dumps(body).encode(), headers)
        with opener.open(request, timeout=WAIT_SECONDS) as response:
            answer: dict[str, list[object]] = json.loads(response.read() or b"{}")
            return answer

    post("/api/session", {"token": token})
    return post


def _most_megabytes(pid: int, server: psutil.Process) -> float:
    """The largest memory that a process has used so far; where the system does not tell it, the memory of now."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return float(peaks[0] if peaks else server.memory_info().rss) / 1e6
