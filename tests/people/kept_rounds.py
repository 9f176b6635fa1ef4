"""Writes what the rounds of a project leave behind that its progress is computed from."""

import json
from collections.abc import Sequence

from raycal.storage.folder import Folder
from raycal.storage.predictions import HoldoutPredictions, predictions_name, to_parquet


def keep_rounds(
    run: Folder, rounds: Sequence[HoldoutPredictions], accuracies: Sequence[float], *, left: int = 400
) -> None:
    """Write the results of rounds of 50 answers and four minutes each, and what the model of each predicts.

    Args:
        accuracies: The accuracy of each model; NaN if it is not known.
        left: The number of samples of the pool without a label.
    """
    lines = []
    for iteration, (one, accuracy) in enumerate(zip(rounds, accuracies, strict=True)):
        run.folder("people/predictions").write(predictions_name(iteration), to_parquet(one))
        line = {
            "iteration": iteration,
            "interactions": 50 * (iteration + 1),
            "test_accuracy": accuracy,
            "annotated": 100,
            "unlabeled": left,
            "cluster_labeled": 0,
            "human_seconds": 240.0 * (iteration + 1),
        }
        lines.append(json.dumps(line) + "\n")
    run.write("results.jsonl", "".join(lines).encode())
