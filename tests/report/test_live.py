"""Tests the page of `raycal.report --serve` for sweeps that continue, end, are interrupted or are deleted while
somebody looks at the page."""

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import CONFIGS, commit, planned

from raycal.errors import InputError
from raycal.report import live as live_module
from raycal.report.live import LiveReport
from raycal.storage.lease import OWNER
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

RANDOM, CLUSTERS = (config.experiment_id for config in CONFIGS)
GONE = 2**22 + 1  # This number is above the largest process id of Linux.


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    """The folder of a sweep of two trials that have not begun."""
    return planned(tmp_path / "birds")


def page_of(live: LiveReport) -> str:
    return live.page().decode()


def words(page: str) -> str:
    """The text of the page without tags and scripts, on one line."""
    return " ".join(re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def points(page: str) -> list[str]:
    """The tooltips of the points of the first panel, each with the accuracy, the interactions and the seeds."""
    found = re.search(r'id="accuracy".*?data-points="([^"]*)"', page, re.DOTALL)
    if found is None:
        return []
    text = found[1].replace("&#34;", '"').replace("&amp;", "&").replace("\\u0026", "&")
    return [point[3].replace("\n", "; ") for point in json.loads(text)]


def counting(work: list[str], name: str, does: Callable[..., Any]) -> Callable[..., Any]:
    """The given function, wrapped so that each call of it is also recorded."""

    def call(*given: Any, **more: Any) -> Any:
        work.append(name)
        return does(*given, **more)

    return call


def owned_by(sweep_dir: SweepDir, pid: int, host: str) -> None:
    sweep_dir.folder.write(OWNER, json.dumps({"epoch": 1, "start": "s", "host": host, "pid": pid}).encode())


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_sweep_without_an_iteration_waits_and_then_shows_each(sweep_dir: SweepDir) -> None:
    live = LiveReport([sweep_dir.folder.place])
    first = page_of(live)
    assert "The sweep has begun. No iteration has been saved yet." in words(first)
    assert "random s3 planned 0/15 - " in words(first)
    assert points(first) == []

    commit(sweep_dir, 0)
    second = page_of(live)
    assert "The sweep is running." in words(second)
    assert "random s3 running 1/15 0.250 24 s" in words(second)
    assert points(second) == ["random; test accuracy: 0.250; interactions: 10; n = 1"]

    commit(sweep_dir, 1)
    third = page_of(live)
    assert "random s3 running 2/15 0.500 23 s" in words(third)
    assert points(third)[1] == "random; test accuracy: 0.500; interactions: 20; n = 1"
    assert len({re.search('data-version="(.*?)"', page)[1] for page in (first, second, third)}) == 3  # type: ignore[index]


def test_nothing_is_drawn_or_read_again_without_a_change(sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(sweep_dir, 0)
    work: list[str] = []
    for name in ("read_runs", "plates", "page"):
        monkeypatch.setattr(live_module, name, counting(work, name, getattr(live_module, name)))
    live = LiveReport([sweep_dir.folder.place])
    assert work == ["read_runs"]  # This is the first look, which fails if the folder is not the folder of a sweep.
    before = live.page()
    assert work[1:] == ["read_runs", "plates", "page"]
    version = live.look().version

    assert live.page() == before
    assert live.look().version == version
    assert len(work) == 4

    commit(sweep_dir, 1)
    assert live.look().version != version
    assert len(work) == 4  # Nobody has asked for the new page.
    assert live.page() != before
    assert work[4:] == ["read_runs", "plates", "page"]


def test_another_start_of_the_server_knows_the_same_state(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    first, second = (LiveReport([sweep_dir.folder.place]) for _ in range(2))
    assert first.look().version == second.look().version


def test_finished_sweep_says_that_it_has_ended(sweep_dir: SweepDir) -> None:
    for config in CONFIGS:
        for iteration in range(2):
            commit(sweep_dir, iteration, config)
        RunWriter.of(sweep_dir, config.experiment_id).finish("iterations")
    page = page_of(LiveReport([sweep_dir.folder.place]))

    assert "The sweep has ended." in words(page)
    assert "2 trials, 2 finished" in words(page)
    assert "What to do next" in words(page)
    assert "have not finished" not in words(page)
    assert '<details id="progress">' in page  # This part is folded, because nothing is in progress.


def test_running_sweep_is_not_told_to_resume(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    assert "--resume" not in page_of(LiveReport([sweep_dir.folder.place]))


@pytest.mark.parametrize(
    ("pid", "host", "is_interrupted"),
    [(GONE, socket.gethostname(), True), (GONE, "another-machine", False), (1, socket.gethostname(), False)],
)
def test_sweep_whose_process_is_gone_was_interrupted(
    sweep_dir: SweepDir, pid: int, host: str, is_interrupted: bool
) -> None:
    commit(sweep_dir, 0)
    owned_by(sweep_dir, pid, host)
    page = page_of(LiveReport([sweep_dir.folder.place]))

    assert ("The sweep was interrupted. 2 trials are not complete" in words(page)) == is_interrupted
    assert ("random s3 interrupted 1/15 0.250 " in words(page)) == is_interrupted
    assert ("--resume" in page) == is_interrupted
    assert ("time left" in words(page)) != is_interrupted  # For an interrupted sweep, the whole column would be empty.
    assert len(points(page)) == 1


def test_failure_is_told_with_its_reason(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, CLUSTERS).fail("iteration 0: ValueError: <too> bad\nmore")
    page = page_of(LiveReport([sweep_dir.folder.place]))
    assert '<span class="reason">iteration 0: ValueError: &lt;too&gt; bad</span>' in page


def test_folder_that_vanishes_leaves_the_last_figures_and_may_come_back(sweep_dir: SweepDir, tmp_path: Path) -> None:
    commit(sweep_dir, 0)
    live = LiveReport([sweep_dir.folder.place])
    before = page_of(live)
    folder, away = tmp_path / "birds", tmp_path / "away"
    folder.rename(away)
    lost = page_of(live)

    assert "The sweep cannot be read." in words(lost)
    assert f"{folder}: not the folder of a sweep: there is no such folder" in words(lost)
    assert points(lost) == points(before)
    assert not folder.exists()

    away.rename(folder)
    assert page_of(live) == before


def test_damaged_run_is_named_and_shown_again_when_it_is_put_back(sweep_dir: SweepDir, tmp_path: Path) -> None:
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, RANDOM).finish("iterations")
    live = LiveReport([sweep_dir.folder.place])
    before = page_of(live)
    results = tmp_path / "birds" / RANDOM / "results.jsonl"
    content = results.read_bytes()
    results.write_bytes(content.replace(b"0.25", b"0.75"))
    commit(sweep_dir, 0, CONFIGS[1])

    damaged = page_of(live)
    assert f"{results}: not as the experiment left it" in words(damaged)
    assert points(damaged) == points(before)
    known = live.look().version
    assert f"{results}: not as the experiment left it" in page_of(live)
    # The version stays the same, so that browsers do not ask for the same page again and again.
    assert live.look().version == known

    results.write_bytes(content)
    assert live.look().version != known
    assert len(points(page_of(live))) == 2


def test_files_are_those_that_the_page_links_to(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    live = LiveReport([sweep_dir.folder.place])
    links = set(re.findall(r'href="((?:figures|tables)/[^"]+)"', page_of(live)))
    assert "figures/figure2_digits.svg" in links
    assert [name for name in links if not live.file(name)] == []
    assert live.file("figures/figure2_digits.svg").startswith(b"<?xml")  # type: ignore[union-attr]
    assert live.file("plan.json") is None


def test_nothing_is_written_to_the_sweep_folder(sweep_dir: SweepDir, tmp_path: Path) -> None:
    commit(sweep_dir, 0)
    before = files_below(tmp_path)
    live = LiveReport([sweep_dir.folder.place])
    live.page()
    live.file("summary.csv")
    assert files_below(tmp_path) == before


def test_several_sweeps_share_a_page(sweep_dir: SweepDir, tmp_path: Path) -> None:
    commit(sweep_dir, 0)
    other = planned(tmp_path / "more")
    commit(other, 0, CONFIGS[1])
    RunWriter.of(other, CLUSTERS).finish("iterations")
    page = page_of(LiveReport([sweep_dir.folder.place, other.folder.place]))
    assert "4 trials, 1 running, 2 planned, 1 finished" in words(page)
    assert "birds: random s3 running 1/15" in words(page)
    assert "more: cluster-only s3 finished 1/15" in words(page)
    assert [point.partition(";")[0] for point in points(page)] == ["random", "cluster-only"]


def test_place_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the folder of a sweep"):
        LiveReport([str(tmp_path)])
    shutil.rmtree(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        LiveReport([str(tmp_path)])
