"""Exports a run: `export_run` is what `raycal export` and `raycal.annotate --export` call."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from raycal.config.people import asks_people
from raycal.data import ImageDataset, LoadedDataset
from raycal.data.cache import absolute
from raycal.data.places import FilePlace
from raycal.errors import InputError
from raycal.export import tables
from raycal.export.card import card, label_error, wilson
from raycal.export.evidence import LabelOrigin, PeopleRecord
from raycal.export.labels import LabelSet, Split, collect
from raycal.export.model import ExportedModel, export_model
from raycal.export.names import folder_names
from raycal.export.pictures import Pictures, picture_names, write_pictures
from raycal.export.replace import check_target, replaced
from raycal.export.source import Source, load_images, load_named_plugins, read_source
from raycal.registry import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSummary:
    """What an export has written.

    Attributes:
        folder: The folder.
        num_single: The number of images of the pool that were labeled one by one.
        num_cluster: The number of images of the pool that were labeled in clusters.
        num_pool: The size of the pool.
        kind: The kind of the samples in the plural, such as `images`.
        num_holdout: The number of labeled images of the test split.
        num_wrong: The number of labels of the pool that differ from the labels that the data set came with; None if
            unknown.
        accuracy: The accuracy of the exported model, with its 95 % Wilson interval; None if unknown.
        is_trained_again: Whether the model had to be trained for the export.
    """

    folder: Path
    num_single: int
    num_cluster: int
    num_pool: int
    kind: Kind
    num_holdout: int
    num_wrong: int | None
    accuracy: tuple[float, float, float] | None
    is_trained_again: bool


def export_run(
    run: str,
    to: str | os.PathLike[str],
    *,
    pictures: Pictures = "link",
    with_model: bool = True,
    plugins: Sequence[str] = (),
    people: PeopleRecord | None = None,
    images: LoadedDataset | None = None,
    originals: FilePlace | None = None,
    command: str = "",
) -> ExportSummary:
    """Write the labels of a run, and its model, as a data set. Two exports of the same run have the same bytes.

    Args:
        run: A run folder, or a sweep folder that holds one run.
        to: The folder to write. It is created, or replaced if it is an earlier export.
        pictures: How the images get into the folder; see `write_pictures`. With `none` there are only tables.
        with_model: Whether the model is exported.
        plugins: The paths or import names of the plug-ins that the run uses.
        people: What is known about the people who labeled. None for a simulated run.
        images: The images with the classes and test labels that are known by now. None means that the data set of the
            configuration is loaded.
        originals: The folder, or another place, that `images.source.names` are relative to; it is only used with
            `images`.
        command: The command that is named in README.md. Empty means the command `raycal export`.

    Raises:
        InputError: The run or the folder cannot be used; nothing was written.
        ExportFailedError: The disk is full, for example. An earlier export is unchanged.
    """
    if not os.fspath(to):
        raise InputError("the folder to write has no name")
    target = Path(os.path.realpath(absolute(os.fspath(to))))
    source = read_source(run)
    check_target(target)
    if people is None and asks_people(source.config):
        raise InputError(f"{run}: people label this run; export it with python -m raycal.annotate FILE --export DIR")
    load_named_plugins(plugins, source.config)
    if images is None:
        images, originals = load_images(source.config)
    _check_place(target, source, originals)
    people = people or PeopleRecord()
    labels = collect(images, people.evidence(source.interactions), people)
    model = export_model(source, images) if with_model else None
    has_pictures = pictures != "none" and isinstance(images, ImageDataset)
    names = (
        picture_names(labels.images, images.class_names, have_files=originals is not None)
        if has_pictures
        else [image.source for image in labels.images]
    )
    command = command or f"raycal export {source.name} --to DIR" + {"link": ""}.get(pictures, f" --images {pictures}")
    text = card(source, images, labels, people, model, has_pictures=has_pictures, command=command)
    with replaced(target) as folder:
        if has_pictures and isinstance(images, ImageDataset):
            write_pictures(folder, labels.images, names, how=pictures, dataset=images, originals=originals)
        for name, content in _tables(images, labels, names, people, has_pictures=has_pictures).items():
            (folder / name).write_bytes(content)
        if model is not None:
            _write_model(folder, model)
        (folder / "README.md").write_bytes(text.encode())
    return _summary(target, images, labels, model)


def _check_place(target: Path, source: Source, originals: FilePlace | None) -> None:
    """Refuse a folder in which the export would become a part of the data set or of the run.

    Raises:
        InputError: The folder is or lies in the folder of the images or of the run, or contains one of them.
    """
    places = {"the folder of the run": source.run_dir.folder.path} if source.run_dir.folder.is_local else {}
    if isinstance(originals, Path):
        places["the folder of the images"] = str(originals)
    for what, place in places.items():
        path = Path(os.path.realpath(place))
        if target.is_relative_to(path) or path.is_relative_to(target):
            raise InputError(f"{target}: overlaps with {what}, {path}; give a folder outside of it")


def _tables(
    images: LoadedDataset, labels: LabelSet, names: Sequence[str], people: PeopleRecord, *, has_pictures: bool
) -> dict[str, bytes]:
    """The content of all files but the pictures, the model and the card, by name."""
    rows, schema = tables.rows_of(labels.images, names, images), tables.schema_of(images)
    files = {
        "labels.csv": tables.labels_csv(rows, schema),
        "labels.parquet": tables.labels_parquet(rows, schema),
        "evidence.parquet": tables.evidence_parquet(labels, images),
        "classes.json": _json(
            [
                {"id": number, "name": name, "folder": folder}
                for number, (name, folder) in enumerate(
                    zip(images.class_names, folder_names(images.class_names), strict=True)
                )
            ]
        ),
    }
    if images.kind != "vectors":  # nobody can look at vectors
        files["label_studio.json"] = tables.label_studio_json(rows)
        files["label_studio_config.xml"] = tables.label_studio_config(
            images.class_names, of_texts=images.kind == "texts"
        )
    if people.persons:
        files["people.csv"] = tables.people_csv(people.persons)
    if has_pictures:
        files["metadata.jsonl"] = tables.metadata_jsonl(rows)
    # If there are folders `train` and `test`, Hugging Face reads only the file `metadata.jsonl` in each of them.
    for split in get_args(Split):
        own = [row | {"file": row["file"].removeprefix(f"{split}/")} for row in rows if row["split"] == split]
        if own and has_pictures:
            files[f"{split}/metadata.jsonl"] = tables.metadata_jsonl(own)
    return files


def _write_model(folder: Path, model: ExportedModel) -> None:
    (folder / "model.safetensors").write_bytes(model.weights)
    (folder / "preprocessing.json").write_bytes(_json(model.preprocessing))
    for name, content in model.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if model.script is not None:
        script = resources.files("raycal.export").joinpath(model.script).read_text(encoding="utf-8")
        (folder / "predict.py").write_text(script, encoding="utf-8")


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def _summary(target: Path, images: LoadedDataset, labels: LabelSet, model: ExportedModel | None) -> ExportSummary:
    pool = Counter(image.how for image in labels.pool)
    error, accuracy = label_error(images, labels), None
    if model is not None and model.evaluation is not None:
        value = model.evaluation.accuracy
        accuracy = (value, *wilson(round(value * model.num_test), model.num_test))
    return ExportSummary(
        folder=target,
        num_single=pool[LabelOrigin.SINGLE],
        num_cluster=pool[LabelOrigin.CLUSTER],
        num_pool=images.num_train,
        kind=images.kind,
        num_holdout=sum(image.split == "test" for image in labels.images),
        num_wrong=None if error is None else error.num_wrong,
        accuracy=accuracy,
        is_trained_again=model is not None and not model.is_saved,
    )
