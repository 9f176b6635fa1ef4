"""The export of a run on vectors, and the same run loaded in Python."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import raycal
from raycal.export.write import export_run


def test_labels_and_model_of_vectors_can_be_used_without_raycal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    vectors = (4 * rng.standard_normal((3, 8))[labels] + rng.standard_normal((120, 8))).astype(np.float32)
    np.savez(tmp_path / "v.npz", vectors=vectors, labels=np.array(["ash", "oak", "yew"])[labels])
    run = raycal.run_experiment(
        {
            "dataset": {"name": "embeddings", "file": str(tmp_path / "v.npz")},
            "model": {"name": "mlp", "hidden": 12, "layers": 2},
            "scenario": "uncertain+cluster",
            "iterations": 2,
            "interactions_per_iteration": 12,
            "training": {"stop": "steps", "steps": 60, "learning_rate": 0.05},
        },
        storage=tmp_path / "runs",
    )
    summary = export_run(run.folder, tmp_path / "out")

    assert summary.kind == "vectors"
    assert summary.accuracy is not None
    assert summary.accuracy[0] >= 0.9
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"labels.csv", "labels.parquet", "model.safetensors", "predict.py", "README.md"} <= names
    assert not {"train", "test", "label_studio.json", "metadata.jsonl"} & names
    assert json.loads((tmp_path / "out/preprocessing.json").read_text())["num_features"] == 8
    text = (tmp_path / "out/README.md").read_text()
    assert "image" not in text

    rows = pq.read_table(tmp_path / "out/labels.parquet").to_pylist()
    loaded = raycal.load(run.folder)
    assert [row["source"] for row in rows] == [f"vector {row}" for row in loaded.labels["row"]]
    assert [row["label"] for row in rows] == loaded.labels["label"].tolist()
    assert (loaded.labels["split"] == "test").sum() == 24

    spec = importlib.util.spec_from_file_location("exported_predict_vectors", tmp_path / "out/predict.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert tuple(script.classes()) == loaded.class_names == ("ash", "oak", "yew")
    assert np.allclose(script.probabilities(vectors), loaded.predict(vectors), atol=1e-5)
    with pytest.raises(ValueError, match=r"should have the shape \(n, 8\), not \(120, 7\)"):
        script.probabilities(vectors[:, :7])
    with pytest.raises(raycal.InputError, match="vectors of 8 values are needed, not of 7"):
        loaded.predict(vectors[:, :7])
    with pytest.raises(raycal.InputError, match="should be vectors"):
        loaded.predict(vectors[0])
