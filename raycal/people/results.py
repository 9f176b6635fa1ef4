"""The results of the rounds for the people who label: the accuracy with its interval, and the time that people
spent."""

import json
import math
from collections.abc import Callable
from typing import Any

from raycal.storage.folder import Folder

RESULTS = "results.jsonl"
# The quantile of the normal distribution for a 95 % interval.
Z = 1.959963984540054


def wilson_interval(share: float, number: float) -> tuple[float, float] | None:
    """The 95 % Wilson interval of a share among `number` observations, which may be an effective number. None without
    an observation.
    """
    if number <= 0:
        return None
    center = share + Z**2 / (2 * number)
    spread = Z * math.sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    scale = 1 + Z**2 / number
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def read_results(run_folder: Folder, num_test: Callable[[int], int]) -> list[dict[str, Any]]:
    """The rounds that are finished, one after another.

    Args:
        num_test: The number of test images with a known label in a round.
    """
    results = []
    for line in (run_folder.read(RESULTS) or b"").splitlines():
        record = json.loads(line)
        # Without a labeled test image the accuracy is NaN, which JSON cannot hold.
        accuracy = record["test_accuracy"] if math.isfinite(record["test_accuracy"]) else None
        number = num_test(record["iteration"])
        interval = None if accuracy is None else wilson_interval(accuracy, number)
        low, high = interval or (None, None)
        results.append(
            {
                "iteration": record["iteration"],
                "accuracy": accuracy,
                "low": low,
                "high": high,
                "num_test": number,
                "annotated": record["annotated"],
                "human_minutes": record["human_seconds"] / 60,
            }
        )
    return results
