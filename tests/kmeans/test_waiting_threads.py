"""Checks how long the threads of Faiss wait with a busy core, as GNU's OpenMP reports it."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from raycal.kmeans import SPIN_COUNT

CLUSTER = """
import numpy as np
from raycal.algorithm.clustering import kmeans
print(kmeans(np.eye(6, dtype=np.float32), 2, 0).shape)
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({SPIN_COUNT: "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_faiss_waits_as_the_user_says_and_otherwise_shortly(given: Mapping[str, str], expected: str) -> None:
    unset = (SPIN_COUNT, "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {**given, "OMP_DISPLAY_ENV": "verbose"}

    done = subprocess.run([sys.executable, "-c", CLUSTER], env=environment, capture_output=True, text=True, check=True)

    if f"{SPIN_COUNT} =" not in done.stderr:
        pytest.skip("Faiss does not use GNU's OpenMP here")
    assert done.stdout == "(6,)\n"
    assert set(re.findall(rf"{SPIN_COUNT} = '(\d+)'", done.stderr)) == {expected}
