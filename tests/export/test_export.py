"""Tests exports of small runs, started as a user starts them, and what other programs read from these exports."""

import csv
import importlib.util
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file

import raycal
from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data import ImageDataset
from raycal.errors import InputError
from raycal.experiment import build
from raycal.export.__main__ import main
from raycal.export.card import wilson
from raycal.export.evidence import PeopleRecord
from raycal.export.model import _train_again, _worker, export_model, last_training_set
from raycal.export.source import load_images, read_source
from raycal.export.write import _write_model, export_run
from raycal.people.persons import PersonSummary
from raycal.people.probe_results import MissRate
from raycal.people.purity import OddShare, QualityOfClusters

# The tests share two runs. Each test process that runs some of these tests has to make the runs.
pytestmark = pytest.mark.xdist_group("export")

# The class names are an HTML tag, a spreadsheet formula, a name that Windows reserves, and two names that would become
# the same folder.
CLASSES = ("<b>one<b>", "=two", "con", "a:b", "a?b")
FOLDERS = {"<b>one<b>": "b_one_b", "=two": "two", "con": "con_", "a:b": "a_b", "a?b": "a_b-2"}
SETTINGS: Mapping[str, Any] = {
    "model": {"name": "mobilenet_v3_small", "weights": "none"},
    "scenario": "uncertain+cluster",
    "iterations": 2,
    "interactions_per_iteration": 12,
    "expert": {"name": "oracle", "purity_threshold": 0.5},
    "training": {"stop": "steps", "steps": 6, "batch_size": 8, "learning_rate": 0.002, "image_size": 32},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `pictures` with 100 images and a finished run on them in `runs`, and a run on digits."""
    folder = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / "pictures" / name).mkdir(parents=True)
        for copy in range(20):
            size = (int(rng.integers(17, 40)), int(rng.integers(17, 40)))
            color = np.full((size[1], size[0], 3), 50 * number, np.uint8) + rng.integers(0, 40, 3, np.uint8)
            Image.fromarray(color).save(folder / "pictures" / name / f"{copy}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCAL_CACHE", str(folder / "cache"))
        datasets = {
            "pictures": {"name": "image_folder", "root": str(folder / "pictures")},
            "digits": {"name": "digits", "train_size": 100, "test_size": 50},
        }
        for name, dataset in datasets.items():
            sweep = {"name": name, "experiment": {"dataset": dataset, **SETTINGS}}
            sweep["resources"] = {"cpus_per_worker": 1}
            options = {"local": True, "track": False, "report": False, "verbose": False}
            raycal.run_sweep(sweep, storage=folder / "runs", **options)
    return folder


@pytest.fixture(scope="module")
def exported(place: Path) -> Path:
    """The export of the run on `pictures`, with links."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCAL_CACHE", str(place / "cache"))
        export_run(str(place / "runs" / "pictures"), place / "out")
    return place / "out"


def content(folder: Path) -> dict[str, bytes]:
    """The content of all files below a folder, by name. For a link, it is the path to which the link leads."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def images_of(place: Path, sweep: str = "pictures") -> ImageDataset:
    return load_images(read_source(str(place / "runs" / sweep)).config)[0]


def script(folder: Path) -> ModuleType:
    """The exported `predict.py`, imported."""
    spec = importlib.util.spec_from_file_location("exported_predict", folder / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_hold_every_label_of_every_round(place: Path, exported: Path) -> None:
    source = read_source(str(place / "runs" / "pictures"))
    images = images_of(place)
    assert images.source is not None
    given: dict[str, list[tuple[str, int, int]]] = {}
    for row in source.interactions:
        for index in row.indices.tolist() if row.answer is Answer.LABELED else ():
            name = images.source.names[images.train_rows[index]]
            given.setdefault(name, []).append((row.kind.value, row.interaction, row.label or 0))

    rows = pq.read_table(exported / "labels.parquet").to_pylist()
    pool = {row["source"]: row for row in rows if row["split"] == "train"}
    assert pool.keys() == given.keys()
    # The export has more labels than the last round gave.
    assert len(pool) > sum(len(row.indices) for row in source.ledger[-1])
    for name, row in pool.items():
        singles = [one for one in given[name] if one[0] == "sample"]
        assert row["how"] == ("single" if singles else "cluster")
        assert (row["interaction"], CLASSES.index(row["label"])) in {
            (number, CLASSES.index(images.class_names[label])) for _, number, label in singles or given[name]
        }
        assert row["round"] == (0 if row["interaction"] <= 12 else 1)
        assert row["annotator"] is None
    test = [row for row in rows if row["split"] == "test"]
    assert {row["source"] for row in test} == {images.source.names[row] for row in images.test_rows}
    empty = ("round", "interaction", "probability")
    assert {(row["how"], *(row[name] for name in empty)) for row in test} == {("given", None, None, None)}
    assert all(row["probability"] > 0 for row in pool.values())
    assert "`split` (`train` for the pool, `test` for the hold-out)" in (exported / "README.md").read_text()
    assert "its labels are as they were given, and have no probability. So the accuracy" in (
        (exported / "README.md").read_text()
    )
    assert all(row["source"].startswith(f"{row['label']}/") for row in test)


def test_evidence_has_a_row_per_label_that_was_given(place: Path, exported: Path) -> None:
    source = read_source(str(place / "runs" / "pictures"))
    rows = pq.read_table(exported / "evidence.parquet").to_pylist()

    labeled = [row for row in source.interactions if row.answer is Answer.LABELED]
    assert len(rows) == sum(len(row.indices) for row in labeled)
    assert Counter(row["interaction"] for row in rows) == {row.interaction: len(row.indices) for row in labeled}
    assert not any(row["odd"] for row in rows)
    final = {row["source"]: row["label"] for row in pq.read_table(exported / "labels.parquet").to_pylist()}
    assert all(row["agrees"] == (final[row["source"]] == row["label"]) for row in rows)


def test_csv_is_the_parquet_file_with_formulas_quoted(exported: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((exported / "labels.csv").read_text(encoding="utf-8"))))
    expected = [
        {
            name: "" if value is None else f"'{value}" if str(value).startswith("=") else str(value)
            for name, value in row.items()
        }
        for row in pq.read_table(exported / "labels.parquet").to_pylist()
    ]

    assert rows == expected
    assert {row["label"] for row in rows} <= {"<b>one<b>", "'=two", "con", "a:b", "a?b"}
    assert any(row["label"] == "'=two" for row in rows)


def test_class_folders_link_to_the_original_images(place: Path, exported: Path) -> None:
    for row in pq.read_table(exported / "labels.parquet").to_pylist():
        path = exported / row["file"]
        assert row["file"].rpartition("/")[0] == f"{row['split']}/{FOLDERS[row['label']]}"
        assert not os.path.isabs(os.readlink(path))
        assert path.resolve() == place / "pictures" / row["source"]
    links = [path for path in exported.rglob("*") if path.is_symlink()]
    assert len(links) == pq.read_metadata(exported / "labels.parquet").num_rows


def test_metadata_names_every_image_with_the_same_columns_in_both_splits(exported: Path) -> None:
    types = set()
    for split in ("train", "test"):
        lines = [json.loads(line) for line in (exported / split / "metadata.jsonl").read_text().splitlines()]
        assert {f"{split}/{line['file_name']}" for line in lines} == {
            path.relative_to(exported).as_posix() for path in (exported / split).rglob("*.png")
        }
        types |= {tuple((name, type(value)) for name, value in line.items()) for line in lines}
    both = [json.loads(line)["file_name"] for line in (exported / "metadata.jsonl").read_text().splitlines()]
    assert both == pq.read_table(exported / "labels.parquet")["file"].to_pylist()
    assert len(types) == 1


def test_label_studio_gets_annotations_of_images_and_predictions_of_clusters(exported: Path) -> None:
    tasks = json.loads((exported / "label_studio.json").read_text())
    config = ElementTree.fromstring((exported / "label_studio_config.xml").read_text())
    rows = pq.read_table(exported / "labels.parquet").to_pylist()

    assert [choice.get("value") for choice in config.iter("Choice")] == sorted(CLASSES)
    assert len(tasks) == len(rows)
    for task, row in zip(tasks, rows, strict=True):
        kind, other = ("predictions", "annotations") if row["how"] == "cluster" else ("annotations", "predictions")
        assert other not in task
        ((result,),) = (one["result"] for one in task[kind])
        assert result == {
            "from_name": "label",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [row["label"]]},
        }
        assert task["data"]["image"] == f"/data/local-files/?d={row['file']}"


def test_second_export_has_the_same_bytes_also_in_another_folder(
    place: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = content(exported)
    export_run(str(place / "runs" / "pictures"), exported)
    assert content(exported) == first

    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))  # With an empty cache, the model is trained once more.
    export_run(str(place / "runs" / "pictures"), place / "out2")
    assert content(place / "out2") == first


def test_model_is_the_one_that_the_run_has_evaluated(place: Path, exported: Path) -> None:
    source = read_source(str(place / "runs" / "pictures"))
    model = export_model(source, images_of(place))

    assert not model.is_saved
    assert model.evaluation is not None
    assert model.evaluation.accuracy == source.results[-1]["test_accuracy"]
    assert model.evaluation.loss == source.results[-1]["test_loss"]
    assert model.weights == (exported / "model.safetensors").read_bytes()
    classes = json.loads((exported / "classes.json").read_text())
    assert classes == [{"id": n, "name": name, "folder": FOLDERS[name]} for n, name in enumerate(sorted(CLASSES))]
    assert load_file(exported / "model.safetensors")["classifier.3.bias"].shape == (5,)


@pytest.mark.parametrize(
    "others",
    [
        {"model": {"name": "mobilenet_v3_small", "weights": "none", "frozen": True}},
        {"keep_cluster_labels": True, "training": {**SETTINGS["training"], "cluster_weight": "purity"}},
    ],
    ids=["frozen", "kept cluster labels"],
)
def test_trained_again_it_is_the_model_of_the_run(others: Mapping[str, Any], tmp_path: Path) -> None:
    dataset = {"name": "digits", "train_size": 100, "test_size": 50}
    sweep = {"name": "other", "experiment": {"dataset": dataset, **SETTINGS, **others}}
    sweep["resources"] = {"cpus_per_worker": 1}
    raycal.run_sweep(sweep, storage=tmp_path, local=True, track=False, report=False, verbose=False)
    source = read_source(str(tmp_path / "other"))
    model = export_model(source, load_images(source.config)[0])

    assert len(source.results) == 2
    assert model.evaluation is not None
    assert (model.evaluation.accuracy, model.evaluation.loss) == (
        source.results[-1]["test_accuracy"],
        source.results[-1]["test_loss"],
    )
    assert load_file(_written(model.weights, tmp_path))["classifier.3.weight"].shape[0] == 10


def test_pseudo_labels_are_said_to_be_missing(place: Path) -> None:
    source, images = read_source(str(place / "runs" / "digits")), images_of(place, "digits")
    scenario = {"name": "mine", "steps": [{"ask": "random", "share": 1}], "pseudo_labels": {"name": "confidence"}}
    config = type(source.config).model_validate(source.config.model_dump() | {"scenario": scenario})
    with_pseudo_labels = export_model(replace(source, config=config), images)

    assert with_pseudo_labels.without_pseudo_labels
    assert not export_model(source, images).without_pseudo_labels


# The script and the learner compute the same numbers in another order, and bfloat16 has a precision of 0.4 %.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 0.02)])
def test_script_predicts_what_the_learner_predicts(
    dtype: str, tolerance: float, place: Path, exported: Path, tmp_path: Path
) -> None:
    # A hardly trained resnet18 gives different images different predictions on every processor. The smaller network of
    # the run does not, nor does a resnet18 with the learning rate of the run.
    source, images = read_source(str(place / "runs" / "pictures")), images_of(place)
    assert images.source is not None
    network = source.config.model.model_copy(update={"name": "resnet18"})
    training = source.config.training.model_copy(update={"learning_rate": 1e-5, "dtype": dtype})
    source = replace(source, config=source.config.model_copy(update={"model": network, "training": training}))
    _write_model(tmp_path, export_model(source, images))
    shutil.copy(exported / "classes.json", tmp_path)
    learner = build.learner(source.config, images, _worker(source))
    _train_again(source, images, learner)  # The cache has the model, so nothing is trained here.
    expected = learner.predict(np.arange(20)).probs

    files = [place / "pictures" / images.source.names[row] for row in images.train_rows[:20]]
    predicted = script(tmp_path).probabilities(files).numpy()

    assert predicted.shape == (20, 5)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=tolerance)
    assert predicted.std(axis=0).max() > 2 * tolerance


@pytest.mark.parametrize(
    ("mode", "size"), [("L", (31, 64)), ("P", (20, 20)), ("RGBA", (16, 16)), ("I;16", (40, 30)), ("RGB", (5000, 4000))]
)
def test_script_decodes_images_as_raycal_does(mode: str, size: tuple[int, int], exported: Path, tmp_path: Path) -> None:
    from raycal.data.one_image import decode_image

    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (8, 8, 4), np.uint8)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 2**16, (size[1], size[0])).astype(np.uint16))
    else:
        image = Image.fromarray(small).convert("RGB" if mode == "P" else mode).convert(mode).resize(size)
    image.save(tmp_path / "x.png", compress_level=1)

    ours = decode_image(tmp_path / "x.png", side=16)
    assert not isinstance(ours, str)
    assert np.array_equal(np.asarray(script(exported).decoded(tmp_path / "x.png", 16, 16)), ours)


def test_saved_model_of_an_unfinished_run_is_exported_as_it_is(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "runs" / "digits", tmp_path / "digits")
    images = images_of(place, "digits")
    trained = export_model(read_source(str(tmp_path / "digits")), images)

    from raycal.algorithm.randomness import stream
    from raycal.storage.checkpoints import StateDir

    source = read_source(str(tmp_path / "digits"))
    learner = build.learner(source.config, images, _worker(source))
    learner.reset(stream(99, 0, "other"))  # No training would give these weights.
    result = _last_result(source, images)
    StateDir(source.run_dir.folder.folder("state")).save(result, learner.save(), [], {})

    saved = export_model(source, images)
    assert (trained.is_saved, saved.is_saved) == (False, True)
    assert saved.weights != trained.weights
    learner_arrays, exported_arrays = learner.arrays(), load_file(_written(saved.weights, tmp_path))
    assert learner_arrays.keys() == exported_arrays.keys()
    assert all(np.array_equal(learner_arrays[name], exported_arrays[name]) for name in learner_arrays)


def _last_result(source: Any, images: ImageDataset) -> Any:
    from raycal.algorithm.records import Evaluation, IterationResult, PhaseSeconds, PoolSnapshot

    return IterationResult(
        iteration=source.results[-1]["iteration"],
        interactions=24,
        human_seconds=1.0,
        ledger=(),
        pool=PoolSnapshot(status=np.zeros(images.num_train, np.int8), labels=np.full(images.num_train, -1, np.int32)),
        evaluation=Evaluation(accuracy=0.5, loss=1.0),
        seconds=PhaseSeconds(predict=0.0, cluster=0.0, train=0.0, evaluate=0.0),
    )


def _written(weights: bytes, folder: Path) -> Path:
    (folder / "weights").write_bytes(weights)
    return folder / "weights"


def test_training_set_of_the_last_round_forgets_earlier_clusters(place: Path) -> None:
    source = read_source(str(place / "runs" / "pictures"))
    training_set = last_training_set(source.config, source.ledger, images_of(place).num_train)

    singles = [row for row in source.interactions if row.kind is Kind.SAMPLE]
    clusters = [row for row in source.ledger[-1] if row.kind is Kind.CLUSTER and row.answer is Answer.LABELED]
    expected = {index: row.label for row in [*singles, *clusters] for index in row.indices.tolist()}
    assert dict(zip(training_set.indices.tolist(), training_set.labels.tolist(), strict=True)) == expected
    with pytest.raises(InputError, match="the ledger does not fit the images of the data set"):
        last_training_set(source.config, source.ledger, 3)


def test_card_reports_the_counts_of_the_run(place: Path, exported: Path) -> None:
    source, text = read_source(str(place / "runs" / "pictures")), (exported / "README.md").read_text()
    number = Counter((row.kind, row.answer) for row in source.interactions)
    right = round(source.results[-1]["test_accuracy"] * 20)
    low, high = wilson(right, 20)
    rows = [row for row in pq.read_table(exported / "labels.parquet").to_pylist() if row["split"] == "train"]
    wrong = sum(not row["source"].startswith(f"{row['label']}/") for row in rows)

    assert f"{len(rows)} images of a pool of 80 were labeled by a simulated annotator" in text
    assert f"- {number[Kind.SAMPLE, Answer.LABELED]} answers labeled a single image." in text
    assert f"- {number[Kind.CLUSTER, Answer.LABELED]} answers labeled a whole cluster" in text
    minutes = sum(row.seconds for row in source.interactions) / 60
    assert f"This took {minutes:.1f} minutes of human time in 2 rounds" in text
    assert f"Label error: {wrong} of {len(rows)} labels of the pool" in text
    assert f"It labels {right} of the 20 labeled images" in text
    assert f"(95 % Wilson interval {low:.1%} to {high:.1%})" in text
    assert "The run itself recorded" not in text
    assert r"\<b\>one\<b\>" in text
    assert "<b>" not in text.replace(r"\<b\>", "")
    assert f"raycal export {source.name} --to DIR" in text


@pytest.mark.parametrize(
    ("right", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (90, 100, 0.8256, 0.9448), (360, 400, 0.8667, 0.9258)]
)
def test_wilson_interval(right: int, total: int, low: float, high: float) -> None:
    assert wilson(right, total) == pytest.approx((low, high), abs=2e-4)


def test_dataset_without_files_is_written_as_png(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(place / "runs" / "digits"), "--to", str(tmp_path / "out"), "--no-model"]) == 0
    printed = capsys.readouterr()
    images = images_of(place, "digits")
    rows = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()

    assert printed.err == ""
    assert printed.out.splitlines()[-1] == f"written to {tmp_path}/out"
    assert f"of a pool of {images.num_train}: " in printed.out
    assert len(rows) > 50
    for row in rows:
        number = int(row["source"].removeprefix("image "))
        path = tmp_path / "out" / row["file"]
        assert path.name == f"image-{number:06}.png"
        assert path.parent.name == row["label"]
        assert np.array_equal(np.asarray(Image.open(path)), images.images[number])
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_copies_have_the_bytes_of_the_originals(place: Path, exported: Path, tmp_path: Path) -> None:
    export_run(str(place / "runs" / "pictures"), tmp_path / "out", pictures="copy", with_model=False)

    linked = [name for name in content(exported) if (exported / name).is_symlink()]
    for name in linked:
        assert not (tmp_path / "out" / name).is_symlink()
        assert (tmp_path / "out" / name).read_bytes() == (exported / name).read_bytes()


def test_without_images_the_tables_name_the_original_files(place: Path, tmp_path: Path) -> None:
    export_run(str(place / "runs" / "pictures"), tmp_path / "out", pictures="none", with_model=False)

    rows = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    assert all(row["file"] == row["source"] and (place / "pictures" / row["file"]).is_file() for row in rows)
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_dir() or path.name == "metadata.jsonl"]


def test_people_are_named_and_their_marks_count(place: Path, tmp_path: Path) -> None:
    source, images = read_source(str(place / "runs" / "pictures")), images_of(place)
    assert images.source is not None
    names, labels = images.source.names, images.labels.copy()
    labels[images.test_rows[5:]] = -1  # Nobody has labeled these test images.
    labels[images.train_rows] = -1
    ever = {index for row in source.interactions if row.answer is Answer.LABELED for index in row.indices.tolist()}
    labeled = [row for row in source.interactions if row.answer is Answer.LABELED]
    only, label = next(
        (index, row.label)
        for row in labeled
        if row.kind is Kind.CLUSTER
        for index in row.indices.tolist()
        if sum(index in other.indices for other in labeled) == 1
    )
    late = Interaction(
        iteration=2,
        step=1,
        interaction=25,
        kind=Kind.CLUSTER,
        answer=Answer.LABELED,
        label=label,
        purity=None,
        wrong=None,
        seconds=30.0,
        indices=np.array([index for index in range(images.num_train) if index not in ever][:1], np.int64),
    )
    people = PeopleRecord(
        annotators={row.interaction: "ana" if row.interaction % 2 else "bo<b>" for row in [*source.interactions, late]},
        marked={25: np.array([only])},
        holdout_annotators={0: "ana", 1: "ana"},
        uncommitted=(late,),
        purity=QualityOfClusters(
            misses=MissRate(shown=60, missed=6),
            misses_by_person={"ana": MissRate(shown=60, missed=6)},
            odd=OddShare(clusters=40, seen=900, odd=12, share=0.0148, at_most=0.0291),
            odd_by_person={},
        ),
        persons=[
            PersonSummary(
                **dict.fromkeys((each.name for each in fields(PersonSummary)), 0)
                | {"annotator": "ana", "answered_second": 3, "answered_second_agreeing": 2, "minutes_in_rounds": 1.5}
            )
        ],
        duplicates={"copy of one.png": names[images.train_rows[source.ledger[0][0].indices[0]]]},
    )
    (place / "pictures" / "copy of one.png").write_bytes(
        (place / "pictures" / people.duplicates["copy of one.png"]).read_bytes()
    )
    try:
        summary = export_run(
            str(place / "runs" / "pictures"),
            tmp_path / "out",
            people=people,
            images=replace(images, labels=labels),
            originals=place / "pictures",
            with_model=False,
        )
    finally:
        (place / "pictures" / "copy of one.png").unlink()

    rows = {row["source"]: row for row in pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()}
    assert names[images.train_rows[only]] not in rows
    assert all(row["annotator"] == people.annotators[row["interaction"]] for row in rows.values() if row["interaction"])
    assert all(rows[names[images.train_rows[index]]]["round"] == 2 for index in late.indices)
    test = [rows[names[row]] for row in images.test_rows[:5]]
    assert [(row["how"], row["annotator"]) for row in test] == [("single", "ana")] * 2 + [("given", None)] * 3
    assert not any(names[row] in rows for row in images.test_rows[5:])
    copy, original = rows["copy of one.png"], rows[people.duplicates["copy of one.png"]]
    assert copy["duplicate_of"] == original["source"]
    assert (copy["label"], copy["interaction"]) == (original["label"], original["interaction"])
    assert os.readlink(tmp_path / "out" / copy["file"]).endswith("/pictures/copy of one.png")
    assert (summary.num_holdout, summary.num_wrong) == (5, None)
    labeled = sum(row["split"] == "train" for row in rows.values()) - 1
    assert summary.num_single + summary.num_cluster == labeled
    text = (tmp_path / "out" / "README.md").read_text()
    assert r"by 2 people (ana, bo\<b\>)" in text
    assert f"{labeled} images of a pool of {images.num_train} were labeled" in text
    assert "1 further file with the same content got the same labels." in text
    assert "Expected label error: by all answers together, " in text
    assert "1 image was marked as odd" in text
    assert (
        "People found 54 of 60 hidden checks, so they overlook about 10.0% of the odd images (95 % interval 3.8% to "
        "20.5%). Of 900 random images in 40 labeled clusters that could not be shown whole, 12 were marked as odd: "
        "with the overlooked ones, about 1.5% of the images in these clusters are odd, at most 2.9% (95 % sure). "
        "Marked images did not get the label.\n"
    ) in text
    assert "1 image lost its label in this way" in text
    (person,) = csv.DictReader(io.StringIO((tmp_path / "out" / "people.csv").read_text()))
    (line,) = (line for line in text.splitlines() if line.startswith("- `people.csv`"))
    named = re.findall(r"`(\w+)`", line.partition(". Remove")[0])
    assert {name: person[name] for name in named} == {
        **{"repeated_agreeing": "0", "repeated": "0", "first_answers_right": "0", "first_answers": "0"},
        **{"answered_second": "3", "answered_second_agreeing": "2"},
        **dict.fromkeys(("clusters", "holdout", "checks", "taken_back", "late"), "0"),
        **{"minutes_in_rounds": "1.5", "minutes_in_all": "0"},
    }


def test_copies_in_the_pool_share_a_label(place: Path, tmp_path: Path) -> None:
    twins = tmp_path / "twins"
    shutil.copytree(place / "pictures", twins)
    for number in range(10):  # The folder has the same ten images a second time, in the same class.
        shutil.copy(twins / "con" / f"{number}.png", twins / "con" / f"twin-{number}.png")
    dataset = {"name": "image_folder", "root": str(twins), "test_fraction": 0.1}
    sweep = {"name": "twins", "experiment": {"dataset": dataset, **SETTINGS, "scenario": "random", "iterations": 1}}
    sweep["experiment"] |= {"interactions_per_iteration": 50}
    raycal.run_sweep(sweep, storage=tmp_path / "runs", local=True, track=False, report=False, verbose=False)
    export_run(str(tmp_path / "runs" / "twins"), tmp_path / "out", with_model=False)

    rows = {row["source"]: row for row in pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()}
    copies = [row for row in rows.values() if row["duplicate_of"] is not None]
    assert copies
    for row in copies:
        assert {row["source"].replace("twin-", ""), row["duplicate_of"].replace("twin-", "")} == {
            row["source"].replace("twin-", "")
        }
        assert row["interaction"] == rows[row["duplicate_of"]]["interaction"]
    assert len([row for row in rows.values() if row["split"] == "train"]) == 50 + len(copies)


@pytest.mark.parametrize(
    ("run", "to", "message"),
    [
        ("{place}/pictures", "{tmp}/out", "{place}/pictures: neither the folder of a run nor the folder of a sweep"),
        ("{place}/nowhere", "{tmp}/out", "{place}/nowhere: neither the folder of a run nor the folder of a sweep"),
        (
            "{place}/runs/pictures",
            "{place}/pictures/labeled",
            "{place}/pictures/labeled: overlaps with the folder of the images, {place}/pictures; "
            "give a folder outside of it",
        ),
        ("{place}/runs/pictures", "{tmp}/full", "{tmp}/full: the folder is not empty, and raycal did not export"),
        ("{place}/runs/pictures", "{tmp}/full/x.txt", "{tmp}/full/x.txt: there is a file or a link of this name"),
    ],
)
def test_bad_places_are_refused_in_one_line(
    run: str, to: str, message: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").write_text("mine")
    names = {"place": place, "tmp": tmp_path}

    assert main([run.format(**names), "--to", to.format(**names)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith(message.format(**names))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "x.txt"]


def test_sweep_with_several_runs_names_them(place: Path, tmp_path: Path) -> None:
    sweep = {"name": "two", "experiment": {"dataset": "digits", **SETTINGS}, "grid": {"seed": [0, 1]}}
    sweep["experiment"] |= {"dataset": {"name": "digits", "train_size": 30, "test_size": 20}, "iterations": 1}
    raycal.run_sweep(sweep, storage=tmp_path, local=True, track=False, report=False, verbose=False)

    with pytest.raises(InputError, match=r"holds 2 runs; give the folder of one of them: .*s0-.*s1-"):
        read_source(str(tmp_path / "two"))
    (one,) = tmp_path.glob("two/digits-*-s1-*")
    assert read_source(str(one)).config.seed == 1


def test_damaged_run_is_refused(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "runs" / "digits", tmp_path / "digits")
    (ledger,) = tmp_path.glob("digits/*/ledger/iteration-001.parquet")
    ledger.write_bytes(ledger.read_bytes()[:-1] + b"x")

    with pytest.raises(InputError, match="not as the experiment left it"):
        export_run(str(tmp_path / "digits"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_full_disk_is_one_line_and_exit_code_1(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(place / "runs" / "digits"), "--to", str(tmp_path / "out"), "--no-model"])
    capsys.readouterr()
    before = content(tmp_path / "out")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    images_of(place, "digits")  # The images are decoded and cached before the size of files is limited.
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        code = main([str(place / "runs" / "digits"), "--to", str(tmp_path / "out"), "--no-model"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    printed = capsys.readouterr()

    assert (code, printed.out) == (1, "")
    assert printed.err == f"{tmp_path}/out: cannot be written: File too large\n"
    assert content(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.slow
def test_exported_script_runs_alone(place: Path, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "moved", symlinks=True)
    files = [str(place / "pictures" / "con" / f"{number}.png") for number in range(3)]
    code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['raycal'] = None\n{code}", "predict.py", *files, "none.png"],
        cwd=tmp_path / "moved",
        capture_output=True,
        text=True,
        timeout=200,
    )

    expected = script(exported).probabilities(files)
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        [file, sorted(CLASSES)[int(row.argmax())]] for file, row in zip(files, expected, strict=True)
    ]
    assert [float(line[2]) for line in lines] == pytest.approx([float(row.max()) for row in expected], abs=1e-3)
    assert (shown.returncode, len(shown.stderr.splitlines())) == (1, 1)
