"""Tests that the model is trained on a Ray cluster, and that all resources of the cluster are free while people
answer."""

from pathlib import Path
from threading import Event

import psutil
import pytest
from head_node import head_node
from test_rounds import Bot, comparable, experiment, ledger, order_in

from raycal.algorithm.clustering import clusterings
from raycal.annotate.rounds import Rounds
from raycal.annotate.worker import Task
from raycal.experiment import build
from raycal.people.log import AnswerLog
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


class WatchfulBot(Bot):
    """A bot that notes which processes work for the project while it answers."""

    busy: tuple[str, ...] = ()

    def wait_closed(self, timeout: float) -> bool:
        children = psutil.Process().children()
        self.busy += tuple(" ".join(one.cmdline()) for one in children if "raycal.annotate.worker" in one.cmdline())
        return super().wait_closed(timeout)


def labeled(storage: Path, address: str | None) -> tuple[RunDir, WatchfulBot]:
    config = experiment("people", "uncertain+cluster", iterations=1)
    order = order_in(storage, config)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(config.experiment_id))
    with AnswerLog(run_dir.folder) as log:
        bot = WatchfulBot(log, build.dataset(config).load().train_labels, seed=1)
        task = Task(order=order, address=address)
        Rounds(task=task, run_dir=run_dir, desk=bot, clustering=clusterings["kmeans"]).run(Event())
    return run_dir, bot


def test_rounds_on_ray_give_the_run_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = labeled(tmp_path / "here", None)
    with head_node() as cluster:
        for name, value in cluster.env.items():
            monkeypatch.setenv(name, value)
        there, bot = labeled(tmp_path / "there", cluster.address)
        jobs = cluster.state("jobs")

    assert ledger(there) == ledger(here)
    assert comparable(there) == comparable(here)
    assert bot.busy == ()
    assert len(jobs) >= 3  # For each training of the model, a separate Ray driver started and ended.
    assert {job["status"] for job in jobs} == {"SUCCEEDED"}


def test_cluster_that_is_gone_is_a_sentence_for_people(tmp_path: Path) -> None:
    config = experiment("people", "random")
    order = order_in(tmp_path, config)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(config.experiment_id))
    must_stop, said = Event(), list[str]()

    class Desk(Bot):
        def open_step(self, step: object, iteration: int, phase: str, message: str = "", **options: object) -> None:
            said.append(f"{phase}: {message}")
            if phase == "waiting":
                must_stop.set()

    with AnswerLog(run_dir.folder) as log:
        desk = Desk(log, build.dataset(config).load().train_labels, seed=0)
        task = Task(order=order, address="127.0.0.1:9")
        Rounds(task=task, run_dir=run_dir, desk=desk, clustering=clusterings["kmeans"]).run(must_stop)

    assert said[0].startswith("preparing: The model looks at the images.")
    assert said[1].startswith(
        "waiting: Something failed: the model could not be trained: on Ray: no Ray cluster answers at 127.0.0.1:9"
    )
    assert said[1].endswith("raycal tries again. All answers are stored.")
