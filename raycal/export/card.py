"""Writes README.md of an exported data set: what was labeled, by whom, at which cost, and how good it is."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raycal import __version__
from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data import LoadedDataset, TextDataset
from raycal.errors import counted
from raycal.export.evidence import LEAST_PROBABLE, NOT_LABELED, LabelOrigin, PeopleRecord
from raycal.export.labels import LabelSet
from raycal.export.model import ExportedModel
from raycal.export.names import folder_names
from raycal.export.source import Source
from raycal.people.cluster_labels import strata_of
from raycal.people.label_error import LabelErrorEstimate
from raycal.people.quality import audit_error
from raycal.people.results import wilson_interval

_MARKUP = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]<>|&~$"})
# How `predict.py` is used, by the kind of the samples.
_USES: Mapping[str, str] = {
    "images": "`python predict.py image.jpg` labels a new image. It needs torch, torchvision, pillow and safetensors.",
    "vectors": "`python predict.py vectors.npy` labels new vectors. It needs numpy and safetensors.",
    "texts": '`python predict.py "a text"` labels a new text. It needs torch, safetensors and sentence-transformers.',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelError:
    """How many labels of the pool differ from the labels that the data set came with.

    Attributes:
        num_wrong: The number of labels that differ.
        num_known: The number of labels that could be compared.
    """

    num_wrong: int
    num_known: int


def label_error(images: LoadedDataset, labels: LabelSet) -> LabelError | None:
    """Compare the labels of the pool with the labels that the data set came with. None if it came without labels."""
    given, truth = labels.decision.labels, images.train_labels
    is_known = (given != NOT_LABELED) & (truth >= 0)
    if not is_known.any():
        return None
    return LabelError(num_wrong=int((given != truth)[is_known].sum()), num_known=int(is_known.sum()))


def audited_error(labels: LabelSet, audited: Mapping[int, int]) -> LabelErrorEstimate | None:
    """The error of those labels that clusters gave, as they would be without the audit. None if nobody has checked any.

    Args:
        labels: The labels.
        audited: See `PeopleRecord.audited`.
    """
    evidence, decision = labels.evidence, labels.unaudited
    index = np.flatnonzero(decision.support >= 0)
    index = index[~evidence.is_single[decision.support[index]]]
    numbers, sizes = np.unique(evidence.answer[~evidence.is_odd], return_counts=True)
    answer = evidence.answer[decision.support[index]]
    strata = strata_of(sizes[np.searchsorted(numbers, answer)])
    return audit_error(index, decision.labels[index], strata, audited)


def wilson(right: int, total: int) -> tuple[float, float]:
    """The Wilson interval of a share, in which the true share lies with a confidence of 95 %."""
    low, high = wilson_interval(right / total, total) or (0.0, 1.0)
    return low, high


def card(
    source: Source,
    images: LoadedDataset,
    labels: LabelSet,
    people: PeopleRecord,
    model: ExportedModel | None,
    *,
    has_pictures: bool,
    command: str,
) -> str:
    """The text of README.md. It holds no time of day, so the same run gives the same text."""
    interactions = [*source.interactions, *people.uncommitted]
    sections = [
        f"# {_plain(source.name)}",
        _summary(source, images, labels, people),
        "## The labels",
        _cost(interactions, people, len(source.ledger), images.noun),
        _quality(images, labels, people),
        " ".join(people.purity.sentences(images.noun)) if people.purity is not None else "",
        _looks(people, images.noun),
        _classes(images, labels),
        "## The model",
        _model(source, model, images.noun),
        "## The files",
        _files(images, has_pictures=has_pictures, model=model, has_persons=bool(people.persons)),
        "## How to read them",
        _usage(images, has_pictures=has_pictures, model=model),
        "## How a label was chosen",
        _rules(labels, images.noun),
        "## How this folder was made",
        _made(source, command),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _summary(source: Source, images: LoadedDataset, labels: LabelSet, people: PeopleRecord) -> str:
    pool = labels.pool
    how = Counter(image.how for image in pool)
    test = sum(image.split == "test" for image in labels.images)
    copies = len(labels.images) - test - len(pool)
    copied = f" {counted(copies, 'further file')} with the same content got the same labels." if copies else ""
    if people.annotators:
        names = sorted({*people.annotators.values(), *people.holdout_annotators.values()})
        by = f"by {counted(len(names), 'person')}" if len(names) == 1 else f"by {len(names)} people"
        who = f"{by} ({', '.join(map(_plain, names))})"
    else:
        who = f"by a simulated annotator (the expert `{source.config.expert.name}` of raycal), not by people"
    return (
        f"{counted(len(pool), images.noun)} of a pool of {images.num_train:,} were labeled {who}: "
        f"{how[LabelOrigin.SINGLE]:,} one by one and {how[LabelOrigin.CLUSTER]:,} in clusters of similar "
        f"{images.kind}.{copied} "
        f"The test split has {counted(test, f'labeled {images.noun}')}. "
        f"The number of classes is {images.num_classes:,}."
    )


def _cost(interactions: Sequence[Interaction], people: PeopleRecord, rounds: int, noun: str) -> str:
    number = Counter((row.kind, row.answer) for row in interactions)
    labeled, refused = number[Kind.CLUSTER, Answer.LABELED], number[Kind.CLUSTER, Answer.REFUSED]
    minutes = sum(row.seconds for row in interactions) / 60
    marks = sum(len(indices) for indices in people.marked.values())
    lines = [
        f"- {counted(number[Kind.SAMPLE, Answer.LABELED], 'answer')} labeled a single {noun}.",
        f"- {counted(labeled, 'answer')} labeled a whole cluster, and {counted(refused, 'cluster')} "
        f"{'was' if refused == 1 else 'were'} refused as mixed.",
        f"- In labeled clusters, {counted(marks, noun)} {'was' if marks == 1 else 'were'} marked as odd."
        if marks
        else "",
        f"- This took {minutes:,.1f} minutes of human time in {counted(rounds, 'round')}"
        + ("." if people.annotators else ", at the prices per answer that the simulation assumes."),
    ]
    if number[Kind.SAMPLE, Answer.REFUSED]:
        skipped = counted(number[Kind.SAMPLE, Answer.REFUSED], f"single {noun}")
        lines.insert(1, f"- For {skipped} the answer was that nobody can tell, which gives no label.")
    return "\n".join(filter(None, lines))


def expected_errors(labels: LabelSet) -> dict[LabelOrigin, tuple[int, float]]:
    """For the labels of single images and those of clusters, their number and the share that the posterior expects to
    be wrong."""
    pool = labels.pool
    found = {}
    for how in (LabelOrigin.SINGLE, LabelOrigin.CLUSTER):
        wrong = [1 - image.probability for image in pool if image.how is how and image.probability is not None]
        if wrong:
            found[how] = len(wrong), sum(wrong) / len(wrong)
    return found


def _quality(images: LoadedDataset, labels: LabelSet, people: PeopleRecord) -> str:
    parts = [_expected(images, labels), _audit(images, labels, people)]
    error = label_error(images, labels)
    if error is not None:
        low, high = wilson(error.num_wrong, error.num_known)
        parts.insert(
            0,
            f"Label error: {error.num_wrong:,} of {error.num_known:,} labels of the pool "
            f"({error.num_wrong / error.num_known:.1%}) differ from the labels that the data set came with "
            f"(95 % interval for such labels: {low:.1%} to {high:.1%}).",
        )
    return "\n\n".join(filter(None, parts))


def _expected(images: LoadedDataset, labels: LabelSet) -> str:
    """The error that the posterior expects."""
    words = {
        LabelOrigin.SINGLE: f"of the {{number:,}} labels of single {images.kind}",
        LabelOrigin.CLUSTER: "of the {number:,} labels of clusters",
    }
    shares = [
        f"{share:.1%} {words[how].format(number=number)}" for how, (number, share) in expected_errors(labels).items()
    ]
    if not shares:
        return ""
    return (
        f"Expected label error: by all answers together, {' and '.join(shares)} are probably wrong. This is the mean "
        "of 1 - `probability`. It is estimated from how often answers disagree, and from prior assumptions where no "
        "two answers can be compared. It is about all labels of the pool, but only as good as these assumptions."
        f"{_improbable(images, labels)}"
    )


def _improbable(images: LoadedDataset, labels: LabelSet) -> str:
    """How many labels are more probably wrong than right."""
    number = sum(image.probability is not None and image.probability < LEAST_PROBABLE for image in labels.pool)
    if not number:
        return ""
    have = f"{counted(number, images.noun)} {'has' if number == 1 else 'have'}"
    return f" {have} a `probability` below {LEAST_PROBABLE:g}: leave them out, or look at them, if you need few errors."


def _audit(images: LoadedDataset, labels: LabelSet, people: PeopleRecord) -> str:
    """The error of the labels of clusters, as far as people have checked it."""
    error = audited_error(labels, people.audited)
    if error is None:
        return ""
    return (
        f"Label error of cluster labels: {100 * error.share:.1f} % ({100 * error.low:.1f}-{100 * error.high:.1f}, "
        f"{error.number:,} checked). People labeled a random sample of the {images.kind} with such labels once more, "
        "one by one and without seeing the label. The interval holds the true share with a confidence of 95 %, if "
        "these checks are right. It is about the labels as they were before the checks corrected some of them. For "
        "labels of clusters, trust this interval more than the expected error, because it was measured."
    )


def _looks(people: PeopleRecord, noun: str) -> str:
    """How many single labels were looked at again, and how many changed."""
    counts = people.look_counts
    if not counts.number:
        return ""
    one = counts.number == 1
    return (
        f"{counted(counts.number, f'single {noun}')} {'was' if one else 'were'} looked at again, because another "
        f"label or a model spoke against {'its label' if one else 'their labels'}, and {counts.changed:,} of the "
        "labels changed. The label of the second look counts, unless the person could not tell. It has no number of "
        "an interaction, because the ledger is not rewritten."
    )


def _classes(images: LoadedDataset, labels: LabelSet) -> str:
    sizes = Counter((image.label, image.split) for image in labels.images)
    rows = [
        f"| {_plain(name)} | {folder} | {sizes[number, 'train']:,} | {sizes[number, 'test']:,} |"
        for number, (name, folder) in enumerate(
            zip(images.class_names, map(_plain, folder_names(images.class_names)), strict=True)
        )
    ]
    return "\n".join(["| class | folder | pool | test split |", "|---|---|--:|--:|", *rows])


def _model(source: Source, model: ExportedModel | None, noun: str) -> str:
    if model is None:
        return "No model was exported."
    record, config = source.results[-1], source.config
    words = [
        f"`model.safetensors` holds the weights of a {config.model.name}"
        + (" whose last layer alone was trained" if config.model.trains_head_alone else "")
        + f", trained in round {record['iteration']} (the first is round 0) on the labels that the run used then."
    ]
    if model.evaluation is None:
        words.append(f"Its accuracy is not known, because no {noun} of the test split has a label.")
    else:
        right = round(model.evaluation.accuracy * model.num_test)
        low, high = wilson(right, model.num_test)
        words.append(
            f"It labels {right:,} of the {model.num_test:,} labeled {noun}s of the test split correctly: an accuracy "
            f"of {model.evaluation.accuracy:.1%} (95 % Wilson interval {low:.1%} to {high:.1%})."
        )
        if record["test_accuracy"] is not None and record["test_accuracy"] != model.evaluation.accuracy:
            words.append(
                f"The run itself recorded {record['test_accuracy']:.1%}: the model was trained again for this export, "
                "and on another machine or another set of test labels the result is not exactly the same."
            )
    if model.without_pseudo_labels:
        words.append(
            "The run also trained on pseudo-labels, which are not recorded, so this model was trained without them."
        )
    if model.script is None:
        words.append(f"There is no `predict.py`, because raycal has none for the network {config.model.name}.")
    return " ".join(words)


def _files(images: LoadedDataset, *, has_pictures: bool, model: ExportedModel | None, has_persons: bool) -> str:
    split = "`train/` and `test/`"
    files = {
        "`labels.csv`, `labels.parquet`": (
            f"one row per labeled {images.noun}: `file` ("
            + (
                "relative to this folder"
                if has_pictures
                else "relative to the folder of the original images"
                if images.kind == "images"
                else "`row 7` is row 7 of the file"
                if isinstance(images, TextDataset) and images.row_numbers is not None
                else f"`{images.noun} 7` is row 7 of the data set, counted from 0"
            )
            + "), "
            + "`text`, " * (images.kind == "texts")
            + "`label`, `how` (`single`, `cluster`, or `given` with the data set), `round` and `interaction` of the "
            "ledger, `annotator`, `split` (`train` for the pool, `test` for the hold-out), `source` (the original "
            "file), `duplicate_of`, and the `probability` that the label is right, which is empty for the test split. "
            "In the CSV file, a text that a spreadsheet would take for a formula begins with an apostrophe."
        ),
        "`evidence.parquet`": f"every label that {_a(images.noun)} was ever given, and every mark as odd",
        "`people.csv`": (
            f"what each person did. The answers about single {images.kind} and `clusters` are those that count, so "
            "their sums over all people are the numbers of answers above; `holdout` and `checks` do not belong to the "
            "rounds. Answers that were `taken_back`, came too `late` or `answered_second` are only in these columns. "
            "`minutes_in_rounds` is the part of the person in the minutes above, with the time of answers that were "
            "taken back, and `minutes_in_all` is the time of all answers. How often the person agrees with an own "
            "earlier label is `repeated_agreeing` of `repeated`, and how many of the first answers of a newcomer were "
            "right is `first_answers_right` of `first_answers`. Two people sometimes answer the same question, because "
            "both have it on their pages: the first answer counts, and `answered_second_agreeing` is how many of the "
            "others say the same. The names are pseudonyms. Remove this file and the column `annotator` if others "
            "shall not see it"
        )
        * has_persons,
        split: "the labeled images of the pool and of the test split, in a folder for each class" * has_pictures,
        "`metadata.jsonl`": (
            "the labels of these images for Hugging Face, which reads the files of this name in `train/` and `test/`; "
            "an unknown number is -1 there"
        )
        * has_pictures,
        "`label_studio.json`, `label_studio_config.xml`": (
            f"tasks and labeling interface for Label Studio; labels of single {images.kind} are annotations, and "
            "labels of clusters are predictions to be confirmed"
        )
        * (images.kind != "vectors"),
        "`classes.json`": "the names of the classes in the order of the model's outputs, and their folders",
        "`model.safetensors`, `preprocessing.json`": f"the model, and how {images.kind} are prepared for it"
        * bool(model),
        "`predict.py`": f"labels new {images.kind} with the model" * bool(model and model.script),
        "`export.json`": "a list of these files, by which a later export recognizes the folder",
    }
    if not has_pictures and images.kind == "images":
        files["`label_studio.json`, `label_studio_config.xml`"] += ", with paths relative to the original images"
    return "\n".join(f"- {names}: {words}" for names, words in files.items() if words)


def _usage(images: LoadedDataset, *, has_pictures: bool, model: ExportedModel | None) -> str:
    lines = ["```python"]
    if has_pictures:
        lines += [
            "import datasets, torchvision",
            "",
            'datasets.load_dataset("imagefolder", data_dir="DIR")   # DIR is this folder',
            'torchvision.datasets.ImageFolder("DIR/train")',
        ]
    else:
        lines += ["import pandas", "", 'pandas.read_parquet("DIR/labels.parquet")   # DIR is this folder']
    lines += ["```", ""]
    if model is not None and model.script is not None:
        lines += [_USES[images.kind], ""]
    if images.kind == "texts":
        lines.append(
            "For Label Studio, create a project with `label_studio_config.xml`, and import `label_studio.json`, which "
            "holds the texts."
        )
    if images.kind != "images":
        return "\n".join(lines).rstrip("\n")
    lines.append(
        "For Label Studio, set `LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true` and `LABEL_STUDIO_LOCAL_FILES_DOCUMENT_"
        "ROOT` to "
        + ("this folder" if has_pictures else "the folder of the original images")
        + ", create a project with `label_studio_config.xml`, and import `label_studio.json`."
    )
    return "\n".join(lines)


def _rules(labels: LabelSet, noun: str) -> str:
    lost = (
        f" {counted(labels.num_lost, noun)} lost {'its' if labels.num_lost == 1 else 'their'} label in this way."
        if labels.num_lost
        else ""
    )
    return (
        "All answers of all rounds count, also those about clusters, which the training forgets after each round, and "
        "checks, second opinions and late answers. The label is the class with the highest probability among the "
        f"classes that were given to the {noun}. The probability comes from a model of how often each person is wrong "
        f"(Dawid and Skene 1979), in which one answer about a cluster counts once and not once for each {noun}, and "
        "labels that a cluster got again without having changed hardly count. "
        f"{_a(noun).capitalize()} that was marked as odd in a cluster does not get the label of that cluster, "
        "and the mark counts against earlier labels of the same class. If each of its labels was followed by such a "
        f"mark, and no class has a probability of {LEAST_PROBABLE:g}, it has no label.{lost} {noun.capitalize()}s with "
        "the same content have the same label. The test split follows another rule: its labels are as they were given, "
        "and have no probability. So the accuracy of the model is measured by what was said about each "
        f"{noun}, and not by a model of errors."
    )


def _a(noun: str) -> str:
    return f"an {noun}" if noun == "image" else f"a {noun}"


def _made(source: Source, command: str) -> str:
    environment = source.run_dir.environment()
    versions = {
        "run with": _versions(environment),
        "exported with": _versions({"raycal": __version__, "python": platform.python_version()}),
    }
    lines = [f"    {command}", ""]
    lines += [f"- {when} {words}" for when, words in versions.items() if words]
    lines.append(f"- strategy: {_plain(source.config.resolved_scenario.name)}, seed {source.config.seed}")
    return "\n".join(lines)


def _versions(environment: Mapping[str, Any]) -> str:
    known = ("raycal", "git", "python", "numpy", "torch", "torchvision", "device")
    return ", ".join(f"{name} {_plain(str(environment[name]))}" for name in known if name in environment)


def _plain(text: str) -> str:
    """A text from a user as it is written in Markdown: on one line, and without any markup."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(printable.encode(errors="replace").decode().split()).translate(_MARKUP)
