"""An experiment on texts in this process, from a file to its export, with hostile texts."""

import csv
import importlib.util
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from text_models import write_tiny_bert
from text_rows import HOSTILE, write_texts

import raycal
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import TextDataset
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.experiment.text_clusters import from_html
from raycal.export.write import export_run
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    write_texts(folder / "pets.parquet", hostile=True)
    write_tiny_bert(folder / "bert", longest=24)
    return folder


def config(place: Path, **more: Any) -> ExperimentConfig:
    settings = {
        "dataset": {"name": "text", "file": str(place / "pets.parquet"), "split": "split"},
        "model": {"name": f"sentence-transformers/{place / 'bert'}"} | more.pop("model", {}),
        "scenario": "uncertain+cluster",
        "iterations": 2,
        "interactions_per_iteration": 12,
        "expert": {"name": "oracle", "purity_threshold": 0.6},
        "training": {"stop": "steps", "steps": 40, "batch_size": 16, "learning_rate": 0.1},
    }
    return ExperimentConfig.model_validate(settings | more, context=build.REGISTRIES)


def run(place: Path, name: str, settings: ExperimentConfig) -> RunWriter:
    run_dir = RunWriter(Folder.at(str(place / name / settings.experiment_id)))
    assert run_experiment(settings, run_dir, WorkerSettings(threads=1)), run_dir.folder.read("error.txt")
    return run_dir


def untimed(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the results without the times that the steps took."""
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in lines]


@pytest.mark.parametrize("frozen", [True, False])
def test_texts_go_through_training_clusters_and_export(frozen: bool, place: Path, tmp_path: Path) -> None:
    settings = config(place, model={"frozen": frozen})

    run_dir = run(tmp_path, "first", settings)
    again = run(tmp_path, "again", settings)

    results = run_dir.results()
    assert [line["interactions"] for line in results] == [12, 24]
    assert untimed(results) == untimed(again.results())
    assert run_dir.ledger() == again.ledger()
    assert run_dir.folder.read("clusters/iteration-001.html") == again.folder.read("clusters/iteration-001.html")
    if not frozen:  # the network is random at first, and learns which words belong to which class
        assert results[-1]["test_accuracy"] > 0.8
    shown = from_html(run_dir.folder.read("clusters/iteration-001.html") or b"")
    assert shown is not None
    assert any("the" in text for clusters in shown.clusters.values() for one in clusters for text in one.texts)


def test_export_has_the_texts_and_a_model_that_labels_new_ones(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(place)
    run_dir = run(tmp_path, "runs", settings)

    exported = [export_run(run_dir.folder.path, tmp_path / name) for name in ("one", "two")]

    first, second = (
        {path.relative_to(one.folder): path.read_bytes() for path in one.folder.rglob("*") if path.is_file()}
        for one in exported
    )
    assert first == second
    loaded = raycal.load(run_dir.folder.path)
    assert loaded.predict(["the cat sat", "the dog ran\0"]).argmax(1).tolist() == [0, 1]
    assert loaded.predict([]).shape == (0, 2)
    for wrong in ("the cat", [1, 2], np.zeros((2, 3))):
        with pytest.raises(InputError, match="should be a list of texts"):
            loaded.predict(wrong)  # type: ignore[arg-type]
    csv.field_size_limit(2**24)
    rows = list(csv.DictReader(io.StringIO(first[Path("labels.csv")].decode())))
    dataset = build.dataset(settings).load()
    assert isinstance(dataset, TextDataset)
    texts = {f"row {number}": dataset.texts[row] for row, number in enumerate(dataset.row_numbers.tolist())}  # type: ignore[union-attr]
    table = pq.read_table(io.BytesIO(first[Path("labels.parquet")])).to_pylist()
    assert [row["text"] for row in table] == [texts[row["source"]] for row in table]
    assert {row["text"].lstrip("'") for row in rows} == {row["text"] for row in table}
    assert all(not row["text"].startswith("=") for row in rows)
    assert any(text in {row["text"] for row in table} for text in HOSTILE)
    assert b'<Text name="text" value="$text"/>' in first[Path("label_studio_config.xml")]

    spec = importlib.util.spec_from_file_location("predict_of_texts", exported[0].folder / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    predict = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(predict)
    labels = [predict.classes()[row.argmax()] for row in predict.probabilities(list(texts.values()))]
    rows_of_test = dataset.test_rows.tolist()
    right = sum(labels[row] == dataset.class_names[dataset.labels[row]] for row in rows_of_test)
    assert exported[0].accuracy is not None
    assert right / len(rows_of_test) == pytest.approx(exported[0].accuracy[0], abs=0.02)
