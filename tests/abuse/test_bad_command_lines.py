"""Refuses options without a meaning or with excessive values, and requests for resources that no machine has."""

import os
from pathlib import Path

import pytest
from refusal import Refuse, expect

HUGE = "1" + "0" * 30
SETTINGS = {
    "": "--set : should be KEY=VALUE",
    "seed": "--set seed: should be KEY=VALUE",
    "..=3": "--set ..=3: should be KEY=VALUE",
    "x" * 5000: "should be KEY=VALUE",
    "seed=[": "--set seed: not a YAML value: '['",
    f"seed={'[' * 5000}": "--set seed: not a YAML value: '[[[",
    f"seed={'9' * 100_000}": "--set seed: should be a valid integer, not '999",
    f"seed=0x{'f' * 100_000}": "--set seed: should be a valid integer, not '0xfff",
    "seed=!!python/object/apply:os.abort []": "--set seed: should be a valid integer, not '!!python",
    "seed=[!!python/object/apply:os.abort []]": "--set seed: not a YAML value: ",
    "seed=[&a 1, *a]": "--set seed: not a YAML value: ",
    "training={epochs: 1, epochs: 2}": "--set training: epochs: given twice",
    "training.epoch=1": "--set training.epoch: unknown key (did you mean 'epochs'?)",
    "name=../evil": "--set name: should be 1 to 64 characters of a-z 0-9 . _ + -",
    f"training.epochs={HUGE}": "--set training.epochs: should be less than or equal to 1000000000, not 1000",
    f"iterations=1{'0' * 90}": "--set iterations: should be less than or equal to 1000000000",
    f"interactions_per_iteration={HUGE}": "--set interactions_per_iteration: should be less than or equal to",
    f"training.batch_size={HUGE}": "--set training.batch_size: should be less than or equal to 1000000000",
    f"clustering.num_clusters={HUGE}": "--set clustering.num_clusters: should be less than or equal to 1000000000",
    f"clustering.iterations={HUGE}": "--set clustering.iterations: should be less than or equal to 1000000",
    "expert.seconds_per_sample=1e308": "--set expert.seconds_per_sample: should be less than or equal to 1000000000",
    f"dataset.train_size={HUGE}": "digits: train_size: 1000000000000000000000000000000 is more than the 1437 images",
    "resources.gpus_per_worker=.nan": "--set resources.gpus_per_worker: should be a finite number, not nan",
    "resources.gpus_per_worker=-1": "--set resources.gpus_per_worker: should be greater than or equal to 0, not -1",
    "resources.gpus_per_worker=1e30": "--set resources.gpus_per_worker: should be less than or equal to 1000000000",
    "resources.cpus_per_worker=0": "--set resources.cpus_per_worker: should be greater than or equal to 1, not 0",
    "resources.cpus_per_worker=.inf": "--set resources.cpus_per_worker: should be a valid integer",
    "resources.cpus_per_worker=1000000": "resources: a worker needs 1e+06 CPUs on one node; the largest of",
    f"resources.max_concurrent_trials={HUGE}": "--set resources.max_concurrent_trials: should be less than or equal to",
    "resources.workers_per_trial=0": "--set resources.workers_per_trial: should be greater than or equal to 1, not 0",
    "tracking.uri=foo://bar": "tracking.uri: foo://bar: MLflow knows no foo://; give one of databricks, ",
    "tracking.uri='http://'": "tracking.uri: http://: should be http://host:port",
    "tracking.uri='http://host:99999999'": "tracking.uri: http://host:99999999: should be http://host:port",
}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting[:40])
def test_setting_is_refused(refuse: Refuse, setting: str) -> None:
    expect(refuse("--set", setting), SETTINGS[setting])


@pytest.mark.parametrize(
    ("options", "part"),
    {
        "pattern of nothing": (["--only", ""], "--only : does not match the only trial; --dry-run lists them"),
        "pattern of other trials": (["--only", "["], "--only [: does not match the only trial"),
        "pattern with colors": (["--only", "\0\x1b[31m"], "--only \\x00\\x1b[31m: does not match the only trial"),
        "slow pattern": (["--only", "*a" * 100], "does not match the only trial"),
        "storage of no name": (["--storage", ""], "--storage '': should be a folder or a URI"),
        "storage with a zero byte": (["--storage", "a\0b"], "--storage 'a\\x00b': should be a folder or a URI"),
        "storage of nobody": (["--storage", "~nobody-here/x"], "--storage ~nobody-here/x: no such home folder"),
        "storage on no file system": (["--storage", "foo://x"], "--storage foo://x: "),
        "storage is a file": (["--storage", "sweep.yaml"], "--storage: FILE is a file"),
        "storage below a file": (["--storage", "sweep.yaml/x"], "--storage: FILE is a file"),
        "storage that nobody can write": (["--storage", "/proc"], "/proc"),
    }.values(),
)  # fmt: skip
def test_option_is_refused(refuse: Refuse, options: list[str], part: str) -> None:
    expect(refuse(*options), part)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_storage_without_permission_is_refused(place: Path, refuse: Refuse) -> None:
    (place / "locked").mkdir(mode=0o500)

    expect(refuse("--storage", str(place / "locked")), "--storage: no permission to write in PLACE/locked")


@pytest.mark.parametrize("option", ["--nonsense", "--storage", "--set", "--loc=3"])
def test_unknown_or_unfinished_option_shows_the_usage(refuse: Refuse, option: str) -> None:
    lines = refuse("--storage", "storage", option)

    assert lines[0].startswith("usage: python -m raycal.sweep")
    assert "error: " in lines[-1]
