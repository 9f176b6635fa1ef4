"""Tests that the model is trained on a Ray cluster, and that all resources of the cluster are free while people
answer."""

import re
import subprocess
from pathlib import Path
from threading import Event

import psutil
import pytest
from head_node import BIN, Cluster, head_node
from in_memory import Client
from person import Person, wait_for
from test_rounds import Bot, comparable, experiment, ledger, order_in, simulated

from raycal.algorithm.clustering import clusterings
from raycal.annotate.rounds import Rounds
from raycal.annotate.worker import Task
from raycal.config import WorkerSettings
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.people.log import AnswerLog
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir
from raycal.storage.run_writer import RunWriter

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


class WatchfulBot(Bot):
    """A bot that notes which processes work for the project while it answers."""

    busy: tuple[str, ...] = ()

    def wait_closed(self, timeout: float) -> bool:
        children = psutil.Process().children()
        self.busy += tuple(" ".join(one.cmdline()) for one in children if "raycal.annotate.worker" in one.cmdline())
        return super().wait_closed(timeout)


def labeled(storage: Path, address: str) -> tuple[RunDir, WatchfulBot]:
    config = experiment("people", "uncertain+cluster", iterations=1)
    order = order_in(storage, config)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(config.experiment_id))
    with AnswerLog(run_dir.folder) as log:
        bot = WatchfulBot(log, build.dataset(config).load().train_labels, seed=1)
        task = Task(order=order, address=address)
        Rounds(task=task, run_dir=run_dir, desk=bot, clustering=clusterings["kmeans"]).run(Event())
    return run_dir, bot


def test_rounds_on_ray_give_the_simulated_run_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = RunWriter(Folder.at(str(tmp_path / "here")))
    assert run_experiment(simulated("uncertain+cluster", iterations=1), here, WorkerSettings(threads=1))
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


PROJECT = """
name: few-digits
experiment:
  dataset: {name: digits, train_size: 80, test_size: 40}
  model: {weights: none}
  scenario: random
  iterations: 2
  interactions_per_iteration: 4
  expert: people
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
"""


def submit(cluster: Cluster, name: str, folder: Path, *options: str) -> Client:
    """Submit the command as a job, and log in at the address that its log has."""
    command = ["python", "-m", "raycal.annotate", *options]
    done = cluster.run(
        *(str(BIN / "ray"), "job", "submit", "--no-wait", "--submission-id", name, "--working-dir", str(folder), "--"),
        *command,
    )
    assert done.returncode == 0, done.stderr

    def link() -> "re.Match[str] | None":
        job = cluster.job(name)
        assert job["status"] in ("PENDING", "RUNNING"), job
        return re.search(r"label here: http://127\.0\.0\.1:(\d+)/#t=(\S+)", job["logs"])

    found = wait_for(link, lambda: cluster.job(name), 300)
    return Client(int(found[1])).log_in(found[2])


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_command_works_as_a_job_and_continues_in_the_next_one(tmp_path: Path) -> None:
    folder, storage = tmp_path / "work", tmp_path / "runs"
    folder.mkdir()
    (folder / "few.yaml").write_text(PROJECT)
    options = ("few.yaml", "--port", "0", "--storage", str(storage))
    with head_node() as cluster:
        person = Person(submit(cluster, "first", folder, *options), ["3", "8"])
        person.answer_until(lambda state: state["iteration"] == 1 and state["round_answered"] == 2)
        subprocess.run([BIN / "ray", "job", "stop", "first"], env=cluster.env, check=True, capture_output=True)
        first = cluster.job("first")
        assert first["status"] == "STOPPED"
        assert "Traceback" not in first["logs"]
        assert "round 2: 2 of 4 answered; all answers are in" in first["logs"]

        person = Person(submit(cluster, "second", folder, *options), ["3", "8"])
        assert person.state()["project"] == "few-digits"
        person.answer_until(lambda state: state["phase"] == "finished")
        assert [result["iteration"] for result in person.state()["results"]] == [0, 1]
        subprocess.run([BIN / "ray", "job", "stop", "second"], env=cluster.env, check=True, capture_output=True)
        second = cluster.job("second")["logs"]
        assert "Traceback" not in second
        assert "all rounds are finished; all answers are in" in second
