"""Tests that people label texts: what the server says about texts, and a project from its file to its export."""

import csv
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from head_node import head_node
from in_memory import Client, answered
from person import wait_for
from text_models import write_tiny_bert

from raycal.algorithm.records import Answer, Kind
from raycal.annotate import rounds
from raycal.annotate.__main__ import main
from raycal.annotate.exporting import labeled_samples, people_record, read_book
from raycal.annotate.opening import OpeningProject, StillOpeningError
from raycal.annotate.rounds import Rounds
from raycal.annotate.samples import ProjectSamples
from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.annotate.worker import Task
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import ImageDataset, TextDataset, Texts
from raycal.experiment import build
from raycal.experiment.with_people import WorkerOrder, carry_on
from raycal.export.write import export_run
from raycal.people.project import Project
from raycal.storage.folder import Folder
from raycal.storage.lease import Lease
from raycal.storage.run_dir import RunDir
from raycal.storage.sweep_dir import SweepDir

SPECIAL = ['<script>alert(1)</script> & "quotes"', "nul \0 and \u2028 line\nbreak", "\u202eright to left", "x" * 20_001]
WORDS = {"cat": ("cat", "sat", "mat"), "dog": ("dog", "ran", "far")}


def dataset() -> TextDataset:
    rows = np.arange(len(SPECIAL))
    labels = np.full(len(rows), -1)
    return TextDataset(texts=Texts.of(SPECIAL), labels=labels, train_rows=rows[1:], test_rows=rows[:1], class_names=())


@pytest.fixture
def server(tmp_path: Path, tokens: Tokens, static: Path) -> Iterator[AnnotationServer]:
    """A server of a project about the special texts."""
    folder = Folder.at(str(tmp_path / "run"))
    with Project(name="news", run_folder=folder, dataset=dataset(), holdout=1, group_seconds=0) as project:
        opening = OpeningProject({"noun": "text"})
        opening.open(project, None)
        with AnnotationServer(opening, opening, tokens, ServerOptions(port=0), static=static) as started:
            yield started


def test_texts_are_json_by_row(owner: Client, stranger: Client) -> None:
    answer = owner.get("/text/1?v=e1")
    again = owner.get("/text/1", {"If-None-Match": answer.headers["etag"]})
    beginnings = owner.post("/api/texts", {"rows": [2, 0, 2, 3, 99]})

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"text": SPECIAL[1], "characters": len(SPECIAL[1])}
    assert b"\0" not in answer.body
    assert "immutable" in str(answer.headers["cache-control"])
    assert (again.status, again.body, again.headers["cache-control"]) == (304, b"", "private, no-cache")
    assert owner.get("/text/3").json == {"text": "x" * 20_000, "characters": 20_001}
    assert beginnings.json == {"texts": [[2, "right to left"], [0, SPECIAL[0]], [3, "x" * 299 + "…"]]}
    assert owner.get("/api/state").json["noun"] == "text"
    assert stranger.get("/text/1").status == stranger.post("/api/texts", {"rows": [0]}).status == 401


@pytest.mark.parametrize("path", ["/text/4", "/text/-1", "/text/01", "/text/x", "/text/", "/image/0/full"])
def test_what_is_no_text_does_not_exist(owner: Client, path: str) -> None:
    assert owner.get(path).status == 404


@pytest.mark.parametrize("rows", [list(range(201)), [-1], ["0"], "0"])
def test_beginnings_are_asked_for_in_bounds(owner: Client, rows: object) -> None:
    assert owner.post("/api/texts", {"rows": rows}).status == 400


def test_project_that_is_opening_says_what_it_reads() -> None:
    images, texts = OpeningProject({}), OpeningProject({"noun": "text"})
    texts.tell(3, 9)

    assert images.state("ana")["noun"] == "image"
    assert texts.state("ana")["message"].startswith("The texts are being read: 3 of 9.")
    for opening, call in ((images, images.thumbnail), (images, images.text), (texts, texts.text), (texts, texts.full)):
        noun = opening.state("ana")["noun"]
        with pytest.raises(StillOpeningError, match=rf"The {noun}s are still being read\."):
            call(0)


def test_project_of_images_has_no_texts(tmp_path: Path) -> None:
    pixels, rows = np.zeros((2, 1, 1, 3), np.uint8), np.arange(2)
    images = ImageDataset(images=pixels, labels=rows - 9, train_rows=rows[1:], test_rows=rows[:1], class_names=())

    with Project(name="birds", run_folder=Folder.at(str(tmp_path)), dataset=images) as project:
        assert project.texts([0, 1]) == []
        with pytest.raises(IndexError):
            project.text(0)


def test_receipts_speak_of_texts(owner: Client) -> None:
    events = [
        answered("0" * 32, "h.0", label=None, new_class="spam"),
        answered("1" * 32, "h.0", label=None, answer="split"),
    ]

    receipts = owner.post("/api/answers", {"client": "a1", "events": events}).json["receipts"]

    assert [one["text"] for one in receipts] == [
        "1 text as spam",
        "A single text can be labeled or left open, but not refused or split.",
    ]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["text"], "news.csv: has no rows"),
        (["text", "a", "a"], "news.csv: has 1 text that can be used; at least 2 different ones are needed"),
        (["body", "a", "b"], "news.csv: has no column text for the samples; it has body"),
        (["text,label", "a,", "b,"], "with label: null, people label all texts"),
        (None, "news.csv: no such file"),
    ],
)
def test_file_that_cannot_be_labeled_is_one_line(
    lines: list[str] | None,
    problem: str,
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if lines is not None:
        (tmp_path / "news.csv").write_text("\n".join(lines) + "\n")
    label = "label" if lines is not None and "label" in lines[0] else "null"
    (tmp_path / "news.yaml").write_text(project_file(bert, label=label))

    assert main(["news.yaml", "--port", "0"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
    assert not (tmp_path / "runs").exists()


def project_file(model: Path, *, label: str = "null", scenario: str = "cluster-only", iterations: int = 1) -> str:
    return f"""\
name: news
experiment:
  dataset: {{name: text, file: news.csv, label: {label}, holdout: 8}}
  model: {{name: sentence-transformers/{model}}}
  scenario: {scenario}
  expert: people
  iterations: {iterations}
  interactions_per_iteration: 6
  training: {{stop: steps, steps: 30, batch_size: 16, learning_rate: 0.1}}
"""


def write_news(path: Path, number: int = 60) -> list[str]:
    """Write texts about cats and dogs, the last of which repeats the first; they are returned by row."""
    rng = np.random.default_rng(0)
    texts = [" ".join(["the", *rng.choice(WORDS[truth(row)], 5), f"{row}"]) for row in range(number)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in [*texts, texts[0]])])
    return texts


def truth(row: int) -> str:
    return ("cat", "dog")[row % 2]


def animal(text: str) -> str:
    return next(name for name, words in WORDS.items() if any(word in text for word in words))


class Reader:
    """Answers questions by reading the texts: single texts, and clusters, in which texts about the rarer animal are
    marked as odd.
    """

    def __init__(self, project: Any, who: str = "ana") -> None:
        self._project, self._who, self._number = project, who, 0

    def answer(self) -> bool:
        """Answer the next question, and return whether there was one."""
        questions = self._project.next(self._who, "a1", [], 1)["questions"]
        if not questions:
            return False
        (question,) = questions
        self._number += 1
        event = answered(f"{self._number:032x}", question["id"], label=None, **self._read(question))
        (receipt,) = self._project.submit(self._who, "a1", [event])
        assert receipt["status"] == "stored", receipt
        return True

    def _read(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["kind"] == "sample":
            return {"new_class": animal(self._project.text(question["image"])["text"])}
        rows = question.get("all") or [row for band in question["bands"].values() for row in band]
        read = {row: animal(text) for row, text in self._project.texts(rows)}
        assert read.keys() == {*rows}
        name = max(WORDS, key=list(read.values()).count)
        return {"new_class": name, "marked": [row for row in rows if read[row] != name], "shown": len(rows)}


@pytest.mark.slow
def test_file_with_labels_has_fixed_classes_and_a_known_test_split(bert: Path, tmp_path: Path) -> None:
    rows = [
        (f"the {truth(row)} {row}", truth(row) if row % 5 else "", "test" if row % 3 else "train") for row in range(60)
    ]
    with (tmp_path / "news.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label", "part"), *rows])
    settings = {
        "dataset": {"name": "text", "file": str(tmp_path / "news.csv"), "split": "part"},
        "model": {"name": f"sentence-transformers/{bert}"},
        "scenario": "random",
        "expert": "people",
    }
    config = ExperimentConfig.model_validate(settings, context=build.REGISTRIES)
    run_folder = Folder.at(str(tmp_path / "run"))

    samples = ProjectSamples()
    info, opened = samples.inspect(config, sweep_dir=SweepDir(run_folder)), samples.open(config, run_folder)

    assert str(info) == "news: 2 classes (cat 24, dog 24), 16 train, 32 test"
    assert info.notes == ("12 rows have no label and cannot be used",)
    assert (opened.dataset.class_names, opened.root, opened.duplicates) == (("cat", "dog"), None, {})
    assert not (tmp_path / "run").exists()  # the list of the texts is only needed without labels
    simulated = config.model_copy(update={"dataset": config.dataset.model_copy(update={"label": None})})
    assert build.needs_labels(simulated).endswith("with raycal.annotate, or set label to the column of the labels")


@pytest.mark.slow
def test_people_label_texts_in_rounds(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = write_news(tmp_path / "news.csv")
    settings = {
        "dataset": {"name": "text", "file": "news.csv", "label": None, "holdout": 8},
        "model": {"name": f"sentence-transformers/{bert}"},
        "scenario": "uncertain+cluster",
        "iterations": 2,
        "interactions_per_iteration": 6,
        "expert": "people",
        "training": {"stop": "steps", "steps": 40, "batch_size": 16, "learning_rate": 0.1},
    }
    config = ExperimentConfig.model_validate(settings, context=build.REGISTRIES)
    place = Folder.at(str(tmp_path / "runs"))
    order = WorkerOrder(
        config=config,
        sweep_folder=place.uri,
        lease=Lease.take(place).record,
        settings=WorkerSettings(threads=1),
        working_directory=str(tmp_path),
    )
    run_dir = RunDir(place.folder(config.experiment_id))
    # The work is done in this process, which has imported torch.
    monkeypatch.setattr(rounds, "run_worker", lambda task, must_stop: None if carry_on(task.order) else "it failed")
    opened = ProjectSamples().open(config, run_dir.folder)
    with Project(
        name="news", run_folder=run_dir.folder, dataset=opened.dataset, holdout=8, round_budget=6, group_seconds=0
    ) as project:
        reader = Reader(project)
        messages = list[str]()

        class Desk:
            """The desk of the project, at which the reader answers all questions when it is asked to wait."""

            def open_step(self, step: Any, iteration: int, phase: str, message: str = "", *, halve: Any = None) -> None:
                messages.append(message)
                project.open_step(step, iteration, phase, message, halve)

            def wait_closed(self, timeout: float) -> bool:
                while reader.answer():
                    pass
                return project.wait_closed(timeout)

        Rounds(
            task=Task(order=order),
            run_dir=run_dir,
            desk=Desk(),
            clustering=build.clustering(config),
            kind=opened.dataset.kind,
        ).run(Event())
        state = project.state("ana")

    assert messages[0].startswith("The model looks at the texts.")
    assert {one["name"] for one in state["classes"]} == {*WORDS}
    assert state["phase"] == "finished"
    assert state["holdout"] == {"size": 8, "answered": 8, "first": 8}
    assert [(line["iteration"], line["interactions"]) for line in run_dir.results()] == [(0, 6), (1, 12)]
    # The ledger has the answers: single texts with their true class, and clusters without the marked texts.
    names = [one["name"] for one in state["classes"]]
    ledger = [row for iteration in (0, 1) for row in run_dir.ledger_of(iteration)]
    assert [(row.kind, row.answer) for row in ledger[:6]] == [(Kind.SAMPLE, Answer.LABELED)] * 3 + [
        (Kind.CLUSTER, Answer.LABELED)
    ] * 3
    for row in ledger:
        assert row.label is not None
        assert row.purity is None
        labeled = [texts[index] for index in opened.dataset.train_rows[row.indices].tolist()]
        assert {animal(text) for text in labeled} == {names[row.label]}

    # A row that is added later comes last in the pool, and the sizes are those of the project.
    with (tmp_path / "news.csv").open("a") as file:
        file.write("the new cat sat\n")
    added = ProjectSamples().open(config, run_dir.folder)
    assert added.dataset.names[-1] == "row 63"
    assert added.dataset.train_rows.tolist() == [*opened.dataset.train_rows.tolist(), 60]
    info = ProjectSamples().inspect(config, sweep_dir=SweepDir(place))
    assert str(info) == "news: comes without labels, 53 in the pool, 8 in the hold-out"

    book = read_book(run_dir, ())
    summary = export_run(
        run_dir.folder.uri,
        tmp_path / "labeled",
        people=people_record(run_dir, book, opened.duplicates),
        images=labeled_samples(opened.dataset, book),
        with_model=False,
    )
    check_export(summary.folder, texts, annotator="ana")


def check_export(folder: Path, texts: list[str], *, annotator: str) -> None:
    """Check that every label of an export is that of its text, and says who gave it."""
    rows = pq.read_table(io.BytesIO((folder / "labels.parquet").read_bytes())).to_pylist()
    numbers = {row["source"]: int(row["source"].removeprefix("row ")) - 2 for row in rows}
    assert all(row["text"] == texts[numbers[row["source"]] % len(texts)] for row in rows)
    assert all(row["label"] == animal(row["text"]) for row in rows)
    assert {row["annotator"] for row in rows} == {annotator}
    assert {row["how"] for row in rows if row["split"] == "test"} == {"single"}
    assert sum(row["split"] == "test" for row in rows) == 8
    first = [row for row in rows if row["text"] == texts[0]]
    assert {row["duplicate_of"] for row in first if row["source"] == "row 62"} <= {"row 2"}
    tasks = json.loads((folder / "label_studio.json").read_text())
    assert [task["data"] for task in tasks] == [{"text": row["text"]} for row in rows]
    results = [(task.get("annotations") or task["predictions"])[0]["result"][0] for task in tasks]
    assert [one["value"]["choices"] for one in results] == [[row["label"]] for row in rows]
    assert {one["to_name"] for one in results} == {"text"}
    assert '<Text name="text" value="$text"/>' in (folder / "label_studio_config.xml").read_text()
    assert not (folder / "train").exists()
    card = (folder / "README.md").read_text()
    assert "`row 7` is row 7 of the file" in card
    assert "image" not in card


class OverHttp:
    """The methods of a project that a reader needs, over HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def next(self, who: str, client: str, holding: list[str], want: int) -> Any:
        return self._client.post("/api/next", {"client": client, "holding": holding, "want": want}).json

    def submit(self, who: str, client: str, events: list[Any]) -> Any:
        return self._client.post("/api/answers", {"client": client, "events": events}).json["receipts"]

    def text(self, row: int) -> Any:
        return self._client.get(f"/text/{row}").json

    def texts(self, rows: list[int]) -> Any:
        return self._client.post("/api/texts", {"rows": rows}).json["texts"]


def label_with_the_command(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> str:
    """Run the command on `news.yaml` until a reader has answered all questions; return what it has printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "raycal.annotate", "news.yaml", "--port", "0", *options],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = list[str]()
            while not lines or not lines[-1].startswith("label here: "):
                lines.append(process.stdout.readline())
                assert lines[-1], lines
            found = re.fullmatch(r"label here: http://127\.0\.0\.1:(\d+)/#t=(.*)\n", lines[-1])
            assert found
            client = Client(int(found[1])).log_in(found[2])
            reader = Reader(OverHttp(client))

            def is_finished() -> bool:
                return not reader.answer() and client.get("/api/state").json["phase"] == "finished"

            wait_for(is_finished, lambda: client.get("/api/state").body, 400)
            process.send_signal(signal.SIGTERM)  # which does not wait for the report
            lines.append(process.stdout.read())
            assert process.wait(60) == 143
        finally:
            process.kill()
    return "".join(lines)


@pytest.mark.slow
def test_command_serves_and_exports_texts(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = write_news(tmp_path / "news.csv")
    (tmp_path / "news.yaml").write_text(project_file(bert))
    output = label_with_the_command(tmp_path)
    assert "  reading the texts\n" in output
    assert "texts   news.csv: comes without labels, 52 in the pool, 8 in the hold-out" in output
    assert "image" not in output

    monkeypatch.chdir(tmp_path)
    assert main(["news.yaml", "--export", "labeled"]) == 0

    assert capsys.readouterr().out.splitlines()[1] == "test    8 labeled texts"
    check_export(tmp_path / "labeled", texts, annotator="owner")
    assert {"model.safetensors", "predict.py"} <= {path.name for path in (tmp_path / "labeled").iterdir()}


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(600)
def test_model_learns_from_texts_on_a_ray_cluster(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = write_news(tmp_path / "news.csv")
    (tmp_path / "news.yaml").write_text(project_file(bert))
    with head_node() as cluster:
        output = label_with_the_command(tmp_path, "--address", cluster.address, env=cluster.env)
        jobs = cluster.state("jobs")

    assert "all rounds are finished; all answers are in" in output
    assert "Traceback" not in output
    assert len(jobs) >= 2  # The model was first used to find the clusters, and then it learned from the labels.
    assert {job["status"] for job in jobs} == {"SUCCEEDED"}
    (run,) = (tmp_path / "runs" / "news").glob("*/results.jsonl")
    results = [json.loads(line) for line in run.read_text().splitlines()]
    assert [(line["iteration"], line["interactions"]) for line in results] == [(0, 6)]
    monkeypatch.chdir(tmp_path)
    assert main(["news.yaml", "--export", "labeled"]) == 0
    check_export(tmp_path / "labeled", texts, annotator="owner")
