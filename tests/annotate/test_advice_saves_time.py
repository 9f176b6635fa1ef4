"""Measures on several data sets whether the advised policy reaches an accuracy in less time than the default one.

Simulated people with hidden prices and errors label two rounds of a project with the default scenario. From these
labels and times alone, the advice is made. Then the default policy and the advised one label the whole data set anew,
with the hidden prices and errors, and with seeds that nobody has seen.

Measured on 2026-11-28 (one run, five seeds, a shared machine with two cores):

| data set | advice | time to the accuracy that the default reaches, advised policy / default |
|---|---|---|
| made_up | `uncertain-only` | 0.40 |
| 4,000 aerial photos of AID, features of a MobileNetV2 | `uncertain-only` | 0.29 |
| 4,000 images of CIFAR-10, features of a MobileNetV2 | to stay | 1.00 |
| digits | to stay | 1.00 |
| breast_cancer | to stay | 1.00 |

The goal of 0.85 is reached on two data sets of five. On CIFAR-10 the advice misses a policy that would need 0.40 of the
time (three seeds), clusters labeled from 70 % alike. A likely reason is that most labels so far come from clusters that
were pure enough: the simulated pool has no images of refused clusters, so its images are easier than those of the
project.

`RAYCAL_ADVICE_FILES` names a folder of `.npz` files with the arrays `vectors` and `label`, each of which is one more
data set, such as the features of real images.
"""

import os
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import raycal
from raycal.algorithm.records import Answer, Kind
from raycal.annotate.advice.command import Where, compare, run_trials
from raycal.annotate.advice.labels_so_far import LabelsSoFar
from raycal.annotate.advice.outcome import PolicyTrials, accuracy_at, period_of
from raycal.annotate.advice.policies import policy_of
from raycal.annotate.advice.simulation import Simulation, Team
from raycal.annotate.advice.words import name_of
from raycal.config import load_sweep
from raycal.experiment.build import REGISTRIES
from raycal.people.prices import TimedAnswer, fit_prices, oracle_options
from raycal.people.shown import FEW
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

DEFAULT = "cluster+uncertain"  # the scenario of the project file that is written for a folder
HIDDEN = Team(
    prices={
        "seconds_per_sample": 2.0,
        "seconds_per_cluster": 3.4,
        "seconds_per_image_shown": 0.11,
        "seconds_per_refused_cluster": 2.6,
    },
    error_rate=0.03,
)
SEEDS = (20, 21, 22, 23, 24)
GOAL, MOST = 0.85, 1.05
ROUNDS = 4
FILES = "RAYCAL_ADVICE_FILES"  # the folder of further data sets

Samples = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def digits() -> Samples:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data.astype(np.float32) / 4, found.target


def breast_cancer() -> Samples:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return ((found.data - found.data.mean(0)) / found.data.std(0)).astype(np.float32), found.target


def made_up() -> Samples:
    """Twenty-four classes, some of which are ten times as frequent as others."""
    rng = np.random.default_rng(0)
    groups = rng.choice(24, size=1500, p=(weights := np.linspace(1, 10, 24)) / weights.sum())
    centers = rng.normal(size=(24, 16)) * 1.3
    return (centers[groups] + rng.normal(size=(1500, 16))).astype(np.float32), groups


def write(file: Path, samples: Samples) -> LabelsSoFar:
    """Write a data set with a random test split of a quarter, and return its true labels."""
    vectors, labels = samples
    order = np.random.default_rng(1).permutation(len(labels))
    num_pool = len(labels) * 3 // 4
    whole = LabelsSoFar(rows=np.arange(len(labels)), labels=labels[order], num_pool=num_pool, share_of_pool=1.0)
    file.write_bytes(whole.npz(vectors[order]))
    return whole


def experiment(file: Path, interactions: int) -> dict[str, Any]:
    return {
        "dataset": {"name": "embeddings", "file": str(file), "split": "split"},
        "model": {"name": "linear", "frozen": True},
        "scenario": DEFAULT,
        "iterations": 2,
        "interactions_per_iteration": interactions,
        "training": {"stop": "steps", "steps": 80, "learning_rate": 0.02},
    }


def answers(run_dir: RunDir) -> list[TimedAnswer]:
    """The answers of the simulated people, which take up to a fifth more or less than their price."""
    rng = np.random.default_rng(2)
    rows = [row for iteration in (0, 1) for row in run_dir.ledger_of(iteration)]
    return [
        TimedAnswer(
            is_cluster=row.kind is Kind.CLUSTER,
            is_refused=row.answer is Answer.REFUSED,
            shown=min(FEW, row.num_samples),
            marked=0,
            seconds=row.seconds * rng.uniform(0.8, 1.2),
        )
        for row in rows
    ]


def mean_time_to(trials: PolicyTrials, target: float, guessing: float) -> float:
    """The first time at which the mean accuracy over the seeds reaches a target; infinite if it never does."""
    end = max(lines[-1]["human_seconds"] for lines in trials.lines.values())
    for seconds in np.linspace(0, end, 2001).tolist():
        if fmean(accuracy_at(lines, seconds, guessing) for lines in trials.lines.values()) >= target:
            return seconds
    return float("inf")


def from_file(file: Path) -> Samples:
    """At most 4,000 samples of a file with the arrays `vectors` and `label`, such as features of real images."""
    with np.load(file) as arrays:
        vectors, labels = arrays["vectors"], arrays["label"]
    chosen = np.random.default_rng(0).permutation(len(labels))[:4000]
    vectors = vectors[chosen].astype(np.float32)
    return (vectors - vectors.mean(0)) / np.maximum(vectors.std(0), 1e-6), labels[chosen].astype(np.int64)


SOURCES: dict[str, Any] = {"digits": (digits, 30), "breast_cancer": (breast_cancer, 24), "made_up": (made_up, 40)}
for one in sorted(Path(os.environ.get(FILES, "/nonexistent")).glob("*.npz")):
    SOURCES[one.stem] = (partial(from_file, one), 100)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SOURCES)
def test_advised_policy_needs_less_time(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, interactions = SOURCES[name]
    file, so_far = tmp_path / "whole.npz", tmp_path / "so_far.npz"
    whole = write(file, source())
    settings = experiment(file, interactions)
    # The project is to have more rounds than people have labeled.
    planned = {"name": name, "experiment": settings | {"iterations": ROUNDS}}
    (config,) = load_sweep(planned, REGISTRIES).experiments.values()
    current = policy_of(config)

    labeled = raycal.run_experiment(settings | {"expert": HIDDEN.expert(current)}, storage=tmp_path / "project")
    rows = raycal.load(labeled.folder).labels
    pool = rows[rows["split"] == "train"].sort_values("row")
    kept = np.array([*pool["row"], *range(whole.num_pool, len(whole.rows))])
    with np.load(file) as arrays:
        vectors = arrays["vectors"][kept]
    labels = LabelsSoFar(
        rows=kept,
        labels=np.array([*map(int, pool["label"]), *whole.labels[whole.num_pool :]]),
        num_pool=len(pool),
        share_of_pool=len(pool) / whole.num_pool,
    )
    so_far.write_bytes(labels.npz(vectors))
    prices = oracle_options(fit_prices(answers(RunDir(Folder.at(str(labeled.folder))))))
    simulation = Simulation(
        config=config,
        current=current,
        team=Team(prices=prices, error_rate=HIDDEN.error_rate),
        file=str(so_far),
        pool=labels.num_pool,
        share_of_pool=labels.share_of_pool,
    )
    where = Where(storage=str(tmp_path), local=True)
    found, _ = compare(simulation, Folder.at(str(tmp_path / "advice")), where, labels.guessing)
    better = [one.policy for one in found[1:] if one.is_better]
    advised = better[0] if better else current

    real = Simulation(
        config=config,
        current=current,
        team=HIDDEN,
        file=str(file),
        pool=whole.num_pool,
        share_of_pool=1.0,
    )
    policies = [current, advised] if better else [current]
    trials = run_trials(real, policies, SEEDS, name="real", folder=Folder.at(str(tmp_path / "real")), where=where)
    end = period_of(trials[0], whole.guessing).end
    target = fmean(accuracy_at(lines, end, whole.guessing) for lines in trials[0].lines.values())
    times = [mean_time_to(one, target, whole.guessing) for one in trials]
    ratio = times[-1] / times[0]
    with capsys.disabled():
        print(
            f"\n{name}: {labels.num_pool} labels of {whole.num_pool}; {name_of(advised, current)} reaches {target:.3f} "
            f"in {times[-1]:.0f} s, {DEFAULT} in {times[0]:.0f} s: ratio {ratio:.2f}, goal {GOAL}; prices {prices}"
        )
    for option, price in prices.items():
        if option != "seconds_per_cluster":
            assert price == pytest.approx(HIDDEN.prices[option], rel=0.15), option
    # The goal is missed where the advice is to stay. Advice that costs time is an error.
    assert ratio <= MOST
