"""Tests that bots that answer as the oracle, through the log and the worker, give the ledger of the simulated
experiment."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from comparison import columns, comparable, ledger, pools

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.expert import Cluster, Oracle
from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices, Kind
from raycal.annotate import rounds
from raycal.annotate.rounds import Rounds, run_worker
from raycal.annotate.worker import Task
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.errors import InfrastructureError
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.experiment.with_people import WorkerOrder, carry_on
from raycal.people.events import Answered, Closed, GivenAnswer, Purpose, Timing
from raycal.people.log import AnswerLog
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_dir import RunDir, TrialState
from raycal.storage.run_writer import RunWriter
from raycal.sweep.job import goes_on_after_the_end


def experiment(expert: str, scenario: str, *, iterations: int = 2) -> ExperimentConfig:
    settings = {
        "dataset": {"name": "digits", "train_size": 80, "test_size": 40},
        "model": {"name": "mobilenet_v3_small", "weights": "none"},
        "scenario": scenario,
        "iterations": iterations,
        "interactions_per_iteration": 10,
        "expert": expert,
        "training": {"epochs": 1, "batch_size": 16, "learning_rate": 0.005, "image_size": 32},
    }
    return ExperimentConfig.model_validate(settings, context=build.REGISTRIES)


def simulated(scenario: str, *, iterations: int = 2) -> ExperimentConfig:
    """The experiment in which the oracle gives the answers that the bot gives in the log."""
    config = experiment("oracle", scenario, iterations=iterations)
    return config.model_copy(update={"expert": config.expert.model_copy(update={"purity_threshold": 0.6})})


class Bot:
    """A desk at which one bot answers all questions as an oracle does, in a random order."""

    def __init__(self, log: AnswerLog, true_labels: np.ndarray[Any, Any], seed: int) -> None:
        self._log, self._oracle, self._rng = log, Oracle(true_labels, purity_threshold=0.6), np.random.default_rng(seed)
        self._seq = len(log.events)
        self._step: StepQuestions | None = None
        self.phases: list[str] = []

    def open_step(
        self,
        step: StepQuestions | None,
        iteration: int,
        phase: str,
        message: str = "",
        *,
        halve: Callable[[Question], Sequence[Indices]] | None = None,
    ) -> None:
        self.phases.append(f"{phase} {iteration}")
        self._step = step

    def wait_closed(self, timeout: float) -> bool:
        assert self._step is not None
        questions = self._rng.permutation(len(self._step.first))
        self._log.write([self._answer(self._step.kind, self._step.first[number]) for number in questions])
        common = {"seq": self._next(), "id": f"close {self._seq}", "who": "bot", "time": "2026-11-27T12:00:00Z"}
        self._log.write([Closed(**common, iteration=self._step.iteration, step=self._step.step)])
        return True

    def _answer(self, kind: Kind, question: Question) -> Answered:
        label: int | None
        if kind is Kind.SAMPLE:
            label = int(self._oracle.label_samples(question.indices, self._rng).labels[0])
        else:
            cluster = Cluster(indices=question.indices, embeddings=lambda: np.zeros((1, 1), np.float32))
            label = self._oracle.label_cluster(cluster, self._rng).label
        return Answered(
            seq=self._next(),
            id=f"answer {self._seq}",
            who="bot",
            time="2026-11-27T12:00:00Z",
            question=question.id,
            kind=kind,
            answer=GivenAnswer.REFUSED if label is None else GivenAnswer.LABEL,
            label=label,
            purpose=Purpose.ROUND,
            timing=Timing(visible_ms=1500),
        )

    def _next(self) -> int:
        self._seq += 1
        return self._seq


def order_in(storage: Path, config: ExperimentConfig) -> WorkerOrder:
    folder = Folder.at(str(storage))
    return WorkerOrder(
        config=config,
        sweep_folder=str(storage),
        lease=Lease.take(folder).record,
        settings=WorkerSettings(threads=1),
        plugins=(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["uncertain+cluster", pytest.param("cluster+uncertain", marks=pytest.mark.long)])
def test_answers_of_an_oracle_through_the_log_give_the_simulated_run(scenario: str, tmp_path: Path) -> None:
    by_oracle = RunWriter(Folder.at(str(tmp_path / "simulated")))
    run_experiment(simulated(scenario), by_oracle, WorkerSettings(threads=1))
    people = experiment("people", scenario)
    order = order_in(tmp_path / "people", people)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(people.experiment_id))

    with AnswerLog(run_dir.folder) as log:
        bot = Bot(log, build.dataset(people).load().train_labels, seed=1)
        opened = list[tuple[int, int]]()
        Rounds(
            task=Task(order=order),
            run_dir=run_dir,
            desk=bot,
            clustering=clusterings["kmeans"],
            on_open=lambda step: opened.append((step.iteration, step.step)),
        ).run(Event())

    assert bot.phases == [
        *("preparing 0", "open 0", "preparing 0", "open 0", "training 0"),
        *("open 1", "preparing 1", "open 1", "training 1", "finished 2"),
    ]
    assert opened == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert ledger(run_dir) == ledger(by_oracle)
    assert comparable(run_dir) == comparable(by_oracle)
    assert pools(run_dir, 80) == pools(by_oracle, 80)
    rows = columns(run_dir)
    assert rows["purity"] == rows["wrong"] == [None] * len(rows["purity"])
    assert set(rows["seconds"]) == {1.5}
    # The embeddings of the questions were removed.
    assert not list(Path(run_dir.folder.path, "people", "steps").glob("question-*"))


class LeavingBot(Bot):
    """A bot that leaves before it answers a round."""

    def __init__(self, *arguments: Any, leaves_before: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.must_stop, self._leaves_before = Event(), leaves_before

    def open_step(self, step: StepQuestions | None, iteration: int, phase: str, *rest: Any, **options: Any) -> None:
        super().open_step(step, iteration, phase, *rest, **options)
        if phase == "open" and iteration == self._leaves_before:
            self.must_stop.set()


@pytest.mark.slow
def test_project_goes_on_with_more_iterations_and_is_made_again_from_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The work is done in this process, which has imported torch.
    monkeypatch.setattr(rounds, "run_worker", lambda task, must_stop: None if carry_on(task.order) else "it failed")
    first = experiment("people", "uncertain+cluster", iterations=1)
    folder = first.experiment_id
    run_dir = RunDir(Folder.at(str(tmp_path)).folder(folder))
    truth = build.dataset(first).load().train_labels

    def label(iterations: int, *, leaves_before: int) -> list[str]:
        config = first.model_copy(update={"iterations": iterations})
        assert iterations == 1 or config.experiment_id != folder
        order = replace(order_in(tmp_path, config), folder=folder)
        with AnswerLog(run_dir.folder) as log:
            bot = LeavingBot(log, truth, seed=1, leaves_before=leaves_before)
            Rounds(task=Task(order=order), run_dir=run_dir, desk=bot, clustering=clusterings["kmeans"]).run(
                bot.must_stop
            )
        return bot.phases

    label(3, leaves_before=1)
    first_part = Path(run_dir.folder.path, "ledger", "iteration-000.parquet")
    before = first_part.read_bytes()
    assert len(run_dir.results()) == 1
    label(2, leaves_before=9)

    assert [line["iteration"] for line in run_dir.results()] == [0, 1]
    assert first_part.read_bytes() == before
    assert run_dir.reason() == "iterations"
    assert run_dir.config().iterations == 2
    # The project has ended, and its models are removed. With more iterations it goes on.
    assert not run_dir.has_states()
    whole, accuracies = ledger(run_dir), [line["test_accuracy"] for line in run_dir.results()]
    assert [goes_on_after_the_end(run_dir, iterations) for iterations in (1, 2, 3)] == [False, False, True]
    RunWriter(run_dir.folder).reopen()
    assert label(3, leaves_before=2) == ["training 2", "open 2"]
    assert ledger(run_dir) == whole
    assert [line["test_accuracy"] for line in run_dir.results()] == accuracies
    assert run_dir.state() is TrialState.RUNNING


@pytest.mark.slow
def test_worker_ends_when_the_server_wants_it_to(tmp_path: Path) -> None:
    must_stop = Event()
    must_stop.set()

    assert run_worker(Task(order=order_in(tmp_path, experiment("people", "random"))), must_stop) is None


class Watcher:
    """A desk that records the messages for people, and ends the rounds after some messages of a phase."""

    def __init__(self, must_stop: Event, phase: str, number: int) -> None:
        self._must_stop, self._phase, self._left = must_stop, phase, number
        self.messages: list[tuple[str, str]] = []
        self.iterations: list[int] = []

    def open_step(
        self,
        step: StepQuestions | None,
        iteration: int,
        phase: str,
        message: str = "",
        *,
        halve: Callable[[Question], Sequence[Indices]] | None = None,
    ) -> None:
        self.messages.append((phase, message))
        self.iterations.append(iteration)
        self._left -= phase == self._phase
        if not self._left:
            self._must_stop.set()

    def wait_closed(self, timeout: float) -> bool:
        return False


def test_rounds_that_are_learned_again_are_not_called_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = experiment("people", "random")
    order = order_in(tmp_path, config)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(config.experiment_id))
    for number in range(3):  # three rounds were finished before, and the model has not learned from any of them yet
        run_dir.folder.write(f"people/iteration-{number:03}.parquet", b"")
    monkeypatch.setattr(rounds, "run_worker", lambda task, must_stop: must_stop.set())
    desk = Watcher(Event(), "training", 1)
    of_a_worker = Rounds(task=Task(order=order), run_dir=run_dir, desk=desk, clustering=clusterings["kmeans"])

    of_a_worker._work(0, Event())

    assert desk.messages == [("training", "The model learns again from the labels of all rounds.")]
    assert desk.iterations == [3]


def watched(order: WorkerOrder, monkeypatch: pytest.MonkeyPatch, *, failures: int) -> list[tuple[str, str]]:
    """The messages for people until this number of failures was reported."""
    monkeypatch.setattr("raycal.annotate.rounds.RETRY_SECONDS", 0.01)
    must_stop = Event()
    desk = Watcher(must_stop, "waiting", failures)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(order.config.experiment_id))
    Rounds(task=Task(order=order), run_dir=run_dir, desk=desk, clustering=clusterings["kmeans"]).run(must_stop)
    return desk.messages


def test_damaged_step_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = order_in(tmp_path, experiment("people", "random"))
    step = tmp_path / order.config.experiment_id / "people" / "steps" / "iteration-000-step-0.json"
    step.parent.mkdir(parents=True)
    step.write_text("{")

    messages = watched(order, monkeypatch, failures=2)

    problem = f"{step}: damaged; restore an intact copy"
    assert messages == [("waiting", f"Something failed: {problem}. raycal tries again. All answers are stored.")] * 2
    assert caplog.messages == [f"{problem}; raycal tries again every 0.01 seconds"]


@pytest.mark.slow
def test_failed_worker_is_reported_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = experiment("people", "random")
    model = config.model.model_copy(update={"weights": str(tmp_path / "missing.pt")})
    order = order_in(tmp_path, config.model_copy(update={"model": model}))

    messages = watched(order, monkeypatch, failures=1)

    assert [phase for phase, _ in messages] == ["preparing", "waiting"]
    message = messages[1][1]
    assert message.startswith("Something failed: the model could not be trained: loading the model: ")
    assert f"{tmp_path}/missing.pt" in message
    assert "Error" not in message


def test_worker_that_could_not_record_its_failure_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Folder, name: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    config = experiment("people", "random")
    order = order_in(tmp_path, config)
    run_dir = RunDir(Folder.at(order.sweep_folder).folder(config.experiment_id))
    monkeypatch.setattr(rounds, "run_worker", lambda task, must_stop: "its process ended with code 1")
    with AnswerLog(run_dir.folder) as log:
        desk = Bot(log, build.dataset(config).load().train_labels, seed=0)
        of_a_worker = Rounds(task=Task(order=order), run_dir=run_dir, desk=desk, clustering=clusterings["kmeans"])
        with pytest.raises(InfrastructureError, match=r"could not be trained: its process ended with code 1$"):
            of_a_worker._work(0, Event())
        monkeypatch.setattr(Folder, "write", full)
        with pytest.raises(InfrastructureError, match=r"nothing can be stored in .*: No space left on device$"):
            of_a_worker._work(0, Event())


def test_file_of_a_server_that_was_killed_in_its_test_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = experiment("people", "random")
    order = order_in(tmp_path, config)
    folder = Folder.at(order.sweep_folder).folder(config.experiment_id)
    with AnswerLog(folder) as log:
        desk = Bot(log, build.dataset(config).load().train_labels, seed=0)
        of_a_worker = Rounds(
            task=Task(order=order), run_dir=RunDir(folder), desk=desk, clustering=clusterings["kmeans"]
        )
        with monkeypatch.context() as patch:  # as if the server had been killed before it removed the file
            patch.setattr(rounds, "run_worker", lambda task, must_stop: "its process ended with code 1")
            patch.setattr(Folder, "remove", lambda folder, name: None)
            with pytest.raises(InfrastructureError):
                of_a_worker._work(0, Event())
        left = folder.all_names()
        assert "people/probe.txt" in left
        must_stop = Event()
        must_stop.set()

        of_a_worker.run(must_stop)

        assert folder.all_names() == [name for name in left if name != "people/probe.txt"]
