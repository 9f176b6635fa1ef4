"""Sweeps of images that a table or the library of Hugging Face lists, as a user runs them, through Ray."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from sweep_command import run

from raycal.export.write import export_run

NUM_IMAGES = 240
SWEEP = """
name: listed
experiment:
  dataset: {dataset}
  model: {{weights: none, frozen: true}}
  iterations: 2
  interactions_per_iteration: 20
  expert: {{purity_threshold: 0.5}}
  training: {{epochs: 1, batch_size: 20, learning_rate: 0.005, image_size: 32}}
  scenario: uncertain+cluster
"""


@pytest.fixture
def rows(tmp_path: Path) -> list[tuple[Path, int]]:
    """The files of digits, which lie in two folders, and their labels."""
    digits = load_digits()
    rows = []
    for number in range(NUM_IMAGES):
        folder = tmp_path / ("odd" if number % 2 else "elsewhere/even")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = (digits.images[number] * 15).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
        rows.append((folder / f"{number:03}.png", int(digits.target[number])))
    return rows


def swept(tmp_path: Path, dataset: str, further: str = "") -> tuple[Path, str]:
    """Run the sweep, and return the folder of its trial and the output."""
    (tmp_path / "sweep.yaml").write_text(SWEEP.format(dataset=dataset) + further)
    code, output = run(tmp_path / "sweep.yaml", tmp_path / "runs")
    assert code == 0, output
    (trial,) = (tmp_path / "runs" / "listed").glob("*-uncertain+cluster-*")
    return trial, output


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_manifest_of_files_in_several_places_and_other_features(tmp_path: Path, rows: list[tuple[Path, int]]) -> None:
    with (tmp_path / "digits.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "digit", "writer"])
        for number, (path, label) in enumerate(rows):
            shown = path.relative_to(tmp_path) if number % 2 else path
            writer.writerow([shown, label, f"w{number // 10}"])

    dataset = f"{{name: manifest, file: {tmp_path}/digits.csv, path: image, label: digit, group: writer}}"
    trial, output = swept(tmp_path, dataset, "  features: {name: timm/test_resnet, weights: none, image_size: 64}\n")

    assert "digits.csv: 10 classes" in output
    assert "190 train, 50 test" in output  # 24 writers with 10 images each; 48 test images are wanted
    assert list((trial / "clusters").glob("*.png"))
    assert yaml.safe_load((trial / "config.yaml").read_bytes())["features"]["name"] == "timm/test_resnet"
    assert (trial.parent / "report" / "report.html").is_file()
    export_run(str(trial), tmp_path / "labeled")
    originals = {path.resolve() for path, _ in rows}
    links = list((tmp_path / "labeled" / "train").rglob("*.png"))
    assert len(links) >= 40
    assert {link.resolve() for link in links} <= originals
    assert {link.resolve().parent.name for link in links} == {"odd", "even"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_dataset_of_hugging_face(tmp_path: Path, rows: list[tuple[Path, int]]) -> None:
    library = pytest.importorskip("datasets")
    features = library.Features(
        {"image": library.Image(), "digit": library.ClassLabel(names=[f"digit {number}" for number in range(10)])}
    )
    columns = {"image": [str(path) for path, _ in rows], "digit": [label for _, label in rows]}
    whole = library.Dataset.from_dict(columns, features=features)
    splits = {"train": whole.select(range(180)), "test": whole.select(range(180, NUM_IMAGES))}
    library.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))

    trial, output = swept(tmp_path, f"{{name: huggingface, path: {tmp_path}/saved}}")

    assert "180 train, 60 test" in output
    assert "images from column image, labels from digit" in output
    export_run(str(trial), tmp_path / "labeled")
    exported = list((tmp_path / "labeled" / "train").rglob("*.png"))
    assert len(exported) >= 40
    assert Image.open(exported[0]).size == (8, 8)
