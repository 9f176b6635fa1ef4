"""Turns the labels into the content of files: CSV, Parquet, JSON lines for Hugging Face, and JSON for Label Studio."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from raycal.data import LoadedDataset, TextDataset
from raycal.export.evidence import LabelOrigin
from raycal.export.labels import LabeledImage, LabelSet, source_names
from raycal.people.evidence import NO_INTERACTION
from raycal.people.persons import PersonSummary
from raycal.storage.parquet import parquet_of

# If a cell begins with one of these characters, a spreadsheet reads it as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
TEXT = "text"
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("label", pa.string()),
        ("how", pa.string()),
        ("round", pa.int32()),
        ("interaction", pa.int64()),
        ("annotator", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("duplicate_of", pa.string()),
        ("probability", pa.float64()),
    ]
)
# No label is certain, however much evidence there is.
_HIGHEST_PROBABILITY = 0.9999
EVIDENCE_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("label", pa.string()),
        ("how", pa.string()),
        ("round", pa.int32()),
        ("interaction", pa.int64()),
        ("annotator", pa.string()),
        ("odd", pa.bool_()),
        ("agrees", pa.bool_()),
    ]
)


def schema_of(dataset: LoadedDataset) -> pa.Schema:
    """The columns of the labels, which include the texts of a dataset of texts."""
    if not isinstance(dataset, TextDataset):
        return SCHEMA
    return SCHEMA.insert(SCHEMA.get_field_index("probability"), pa.field(TEXT, pa.string()))


def rows_of(images: Sequence[LabeledImage], files: Sequence[str], dataset: LoadedDataset) -> list[dict[str, Any]]:
    """One row per labeled sample, with the columns of `schema_of`."""
    class_names = dataset.class_names
    texts = dataset.texts if isinstance(dataset, TextDataset) else None
    return [
        {
            "file": file,
            "label": class_names[image.label],
            "how": image.how.value,
            "round": image.round,
            "interaction": image.interaction,
            "annotator": image.annotator,
            "split": image.split,
            "source": image.source,
            "duplicate_of": image.duplicate_of,
            "probability": None
            if image.probability is None
            else min(round(image.probability, 4), _HIGHEST_PROBABILITY),
            **({} if texts is None else {TEXT: texts[image.row]}),
        }
        for image, file in zip(images, files, strict=True)
    ]


def labels_csv(rows: Sequence[dict[str, Any]], schema: pa.Schema = SCHEMA) -> bytes:
    """The rows as CSV. A text that a spreadsheet would read as a formula gets an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(schema.names)
    writer.writerows([_cell(row[name]) for name in schema.names] for row in rows)
    return _encoded(text.getvalue())


def people_csv(persons: Sequence[PersonSummary]) -> bytes:
    """One row for each person, by pseudonym."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [each.name for each in fields(PersonSummary)]
    writer.writerow(names)
    for person in persons:
        values = [getattr(person, name) for name in names]
        writer.writerow(_cell(round(value, 3) if isinstance(value, float) else value) for value in values)
    return _encoded(text.getvalue())


def labels_parquet(rows: Sequence[dict[str, Any]], schema: pa.Schema = SCHEMA) -> bytes:
    """The rows as Parquet, with the texts as they are."""
    return _parquet({name: [_text(row[name]) for row in rows] for name in schema.names}, schema)


def evidence_parquet(labels: LabelSet, images: LoadedDataset) -> bytes:
    """All labels that images of the pool were ever given, as Parquet with one row per image and answer."""
    names, evidence = source_names(images), labels.evidence
    class_names = [_text(name) for name in images.class_names]
    return _parquet(
        {
            "source": [_text(names[row]) for row in images.train_rows[evidence.index].tolist()],
            "label": [class_names[label] for label in evidence.label.tolist()],
            "how": [
                (LabelOrigin.SINGLE if is_single else LabelOrigin.CLUSTER).value
                for is_single in evidence.is_single.tolist()
            ],
            "round": evidence.round,
            "interaction": pa.array(evidence.interaction, mask=evidence.interaction == NO_INTERACTION),
            "annotator": [evidence.people[number] or None for number in evidence.person.tolist()],
            "odd": evidence.is_odd,
            "agrees": (labels.decision.labels[evidence.index] == evidence.label) != evidence.is_odd,
        },
        EVIDENCE_SCHEMA,
    )


def metadata_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows in the form that `load_dataset("imagefolder", data_dir=...)` of Hugging Face reads.

    `load_dataset` infers the type of a column from each file, and the types must agree. So an unknown number is written
    as -1, and an unknown text as an empty text.
    """
    unknown = {"label": "", "how": "", "round": -1, "interaction": -1, "annotator": "", "source": ""}
    lines = [
        {"file_name": row["file"], **{name: unknown[name] if row[name] is None else row[name] for name in unknown}}
        for row in rows
    ]
    return _encoded("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def label_studio_json(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as tasks that Label Studio imports.

    A label that a person gave to the image alone, or that the data set came with, is an annotation. The label of a
    cluster is a prediction, which Label Studio shows as a proposal, because nobody may have looked at the image itself.
    """
    return _encoded(json.dumps([_task(row) for row in rows], indent=1, ensure_ascii=False) + "\n")


def label_studio_config(class_names: Sequence[str], *, of_texts: bool = False) -> bytes:
    """The labeling interface of Label Studio for these classes."""
    choices = "".join(f"    <Choice value={quoteattr(_text(name))}/>\n" for name in class_names)
    name = TEXT if of_texts else "image"
    return _encoded(
        f'<View>\n  <{name.capitalize()} name="{name}" value="${name}"/>\n'
        f'  <Choices name="label" toName="{name}" choice="single">\n{choices}  </Choices>\n</View>\n'
    )


def _task(row: dict[str, Any]) -> dict[str, Any]:
    name = TEXT if TEXT in row else "image"
    result = [
        {"from_name": "label", "to_name": name, "type": "choices", "value": {"choices": [row["label"]]}},
    ]
    kept = ("how", "round", "interaction", "annotator", "split", "source")
    task: dict[str, Any] = {
        "data": {
            name: row[TEXT] if TEXT in row else f"/data/local-files/?d={quote(row['file'], errors='surrogateescape')}"
        },
        "meta": {name: row[name] for name in kept if row[name] is not None},
    }
    if row["how"] == LabelOrigin.CLUSTER:
        return task | {"predictions": [{"model_version": "label of a cluster", "result": result}]}
    return task | {"annotations": [{"result": result}]}


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _text(value: Any) -> Any:
    """A text without lone surrogates, with which Python represents bytes that are not UTF-8 in the name of a file."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _parquet(columns: dict[str, Any], schema: pa.Schema) -> bytes:
    return parquet_of(pa.table(columns, schema=schema))
