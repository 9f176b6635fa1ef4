"""Tests that a resumed sweep reads the inputs with which it was started, or says which images and weights differ."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raycal.errors import InputError
from raycal.learner.network import new_network
from raycal.learner.weights import load_weights
from raycal.storage.folder import Folder
from raycal.storage.inputs import ExpectedInputs, InputRecord
from raycal.sweep.__main__ import main

SWEEP = """\
name: birds
experiment:
  dataset: {{name: image_folder, root: {root}, test_fraction: 0.25}}
  model: {{name: mobilenet_v3_small, weights: {weights}}}
  scenario: random
  iterations: 1
  interactions_per_iteration: 8
  training: {{epochs: 1, batch_size: 8, image_size: 32}}
grid:
  seed: [0, 1]
"""


def write_images(root: Path) -> Path:
    for number in range(24):
        folder = root / ("crow" if number < 12 else "jay")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(folder / f"{number:02}.png")
    return root


def write_weights(path: Path, seed: int) -> Path:
    torch.save(new_network("mobilenet_v3_small", 2, np.random.default_rng(seed)).state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def write_no_figures(runs: object, folder: Folder, answers: object) -> None:
    """Take the place of the report at the end of a sweep: drawing its figures took most of the time of these tests."""
    folder.write("report.html", b"a report")


@pytest.fixture
def sweep(tmp_path: Path, uri: str) -> Callable[..., int]:
    """A function that runs a sweep of two trials in this process, always with the same storage."""
    write_images(tmp_path / "birds")

    def run(*options: str, root: str = "birds", weights: str = "none") -> int:
        Path("birds.yaml").write_text(SWEEP.format(root=root, weights=weights))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("raycal.report.write.write_report", write_no_figures)
            return main(["birds.yaml", "--local", "--storage", "storage", "--set", f"tracking.uri={uri}", *options])

    return run


def first_only(run: Callable[..., int], **settings: str) -> None:
    assert run("--only", "*-s0-*", **settings) == 0


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_sweep_goes_on_with_the_same_data(sweep: Callable[..., int], tmp_path: Path) -> None:
    first_only(sweep)
    record = (tmp_path / "storage/birds/inputs.json").read_bytes()

    assert sweep("--resume") == 0
    # The split of the other seed was added to the record.
    assert (tmp_path / "storage/birds/inputs.json").read_bytes() != record
    # There is one list of images, because both splits have the same images.
    assert len(list((tmp_path / "storage/birds/inputs").iterdir())) == 1


@pytest.mark.parametrize("settings", [{}, {"seed 1": "after the change"}], ids=["same seed", "other seed"])
def test_changed_image_is_named_and_nothing_is_written(
    settings: dict[str, str], sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first_only(sweep)
    if not settings:  # The trial of the first seed must run again.
        for path in (tmp_path / "storage/birds").glob("image_folder-random-s0-*/state/finished.json"):
            path.unlink()
    Image.new("RGB", (8, 8), (1, 2, 3)).save("birds/jay/20.png")
    before = content(tmp_path / "storage" / "birds")
    capsys.readouterr()

    assert sweep("--resume") == 2
    assert capsys.readouterr().err.splitlines() == [
        "birds: the data changed since the sweep was started: other content: 1 image (jay/20.png); "
        "put back the earlier inputs, or give the sweep another name or --storage"
    ]
    assert content(tmp_path / "storage" / "birds") == before


ADVICE = "put back the earlier inputs, or give the sweep another name or --storage"


def exchange(first: str, second: str) -> None:
    """Exchange the names of two files."""
    Path(first).rename("exchanged")
    Path(second).rename(first)
    Path("exchanged").rename(second)


CHANGES: dict[str, tuple[Callable[[], object], str]] = {
    "relabeled": (
        lambda: Path("birds/crow/03.png").rename("birds/jay/03.png"),
        "moved: 1 image (crow/03.png is jay/03.png now)",
    ),
    "exchanged": (
        lambda: exchange("birds/crow/03.png", "birds/jay/20.png"),
        "other content: 2 images (crow/03.png, jay/20.png)",
    ),
    "added": (
        lambda: Image.new("RGB", (8, 8), (9, 9, 9)).save("birds/crow/new.png"),
        "added: 1 image (crow/new.png)",
    ),
    "removed": (lambda: Path("birds/crow/03.png").unlink(), "removed: 1 image (crow/03.png)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_finished", [True, False], ids=["nothing left to run", "one trial left"])
def test_resume_and_dry_run_refuse_changed_images_with_the_same_lines(
    change: str, is_finished: bool, sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep() == 0 if is_finished else sweep("--only", "*-s0-*") == 0
    act, words = CHANGES[change]
    act()
    before = content(tmp_path / "storage" / "birds")

    for options in (["--resume"], ["--resume", "--dry-run"], ["--dry-run"]):
        capsys.readouterr()
        assert sweep(*options) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"birds: the data changed since the sweep was started: {words}; {ADVICE}"
        ]
    assert content(tmp_path / "storage" / "birds") == before


@pytest.mark.slow
def test_finished_sweep_refuses_other_weights(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(write_weights(tmp_path / "weights.pth", seed=1))
    assert sweep(weights=weights) == 0
    assert sweep("--resume", weights=weights) == 0
    write_weights(tmp_path / "weights.pth", seed=2)

    for options in (["--resume"], ["--dry-run"]):
        capsys.readouterr()
        assert sweep(*options, weights=weights) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"mobilenet_v3_small {weights}: these weights changed since the sweep was started; {ADVICE}"
        ]


@pytest.mark.slow
def test_data_of_finished_trials_are_compared_beside_those_that_are_left(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "others")
    both = ("--set", "grid.dataset.root=[birds,others]", "--set", "grid.seed=[0]")
    assert sweep(*both) == 0
    for path in (tmp_path / "storage/birds").glob("*/state/finished.json"):
        if "root: others" in (path.parents[1] / "config.yaml").read_text():
            path.unlink()
    (tmp_path / "birds/crow/03.png").unlink()
    capsys.readouterr()

    assert sweep(*both, "--resume") == 2
    assert capsys.readouterr().err.splitlines() == [
        f"birds: the data changed since the sweep was started: removed: 1 image (crow/03.png); {ADVICE}"
    ]


def test_comparing_a_finished_sweep_decodes_nothing_and_reads_every_file_once(
    sweep: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from raycal.data import content as content_of_files
    from raycal.data import decode

    assert sweep() == 0
    read: list[str] = []
    real = content_of_files._read

    def counting(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    def refuse(path: Path, *, side: int) -> object:
        raise AssertionError(f"{path} was decoded")

    content_of_files._read_digests.cache_clear()  # The cache is emptied, as in a new process.
    monkeypatch.setattr(content_of_files, "_read", counting)
    monkeypatch.setattr(decode, "decode_image", refuse)

    assert sweep("--resume") == 0
    assert sorted(read) == [f"{number:02}.png" for number in range(24)]


def test_dry_run_of_a_sweep_that_was_not_started_reads_no_image(
    sweep: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from raycal.data import content as content_of_files

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} was read")

    content_of_files._read_digests.cache_clear()
    monkeypatch.setattr(content_of_files, "_read", refuse)

    assert sweep("--dry-run") == 0


@pytest.mark.slow
def test_without_its_images_a_sweep_can_be_reported_and_not_resumed(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from raycal.report.__main__ import main as report
    from raycal.track import main as track

    assert sweep() == 0
    (tmp_path / "birds").rename(tmp_path / "elsewhere")

    for options in (["--resume"], ["--dry-run"]):
        capsys.readouterr()
        assert sweep(*options) == 2
        folder = tmp_path / "storage/birds"
        assert capsys.readouterr().err.splitlines() == [
            f"{tmp_path}/birds: No such file or directory; give an existing folder of images",
            "this sweep was started before and continues only with the images and weights it was started with; "
            f"python -m raycal.report {folder} and python -m raycal.track {folder} need neither",
        ]
    (tmp_path / "storage/birds/report/report.html").unlink()
    assert report(["storage/birds"]) == 0
    assert (tmp_path / "storage/birds/report/report.html").is_file()
    assert track(["storage/birds"]) == 0


def test_missing_images_of_a_new_trial_are_no_loss_of_what_was_there(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep() == 0
    capsys.readouterr()

    assert sweep("--resume", "--set", "grid.dataset.root=[birds,nowhere]") == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/nowhere: No such file or directory; give an existing folder of images"
    ]


def test_same_relative_root_elsewhere_is_refused(
    sweep: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first_only(sweep)
    other = tmp_path / "elsewhere"
    write_images(other / "birds")
    (other / "birds/jay/12.png").rename(other / "birds/crow/12.png")
    (other / "storage").symlink_to(tmp_path / "storage")
    monkeypatch.chdir(other)
    capsys.readouterr()

    assert sweep("--resume") == 2
    assert "moved: 1 image (jay/12.png is crow/12.png now)" in capsys.readouterr().err


def test_other_weights_in_the_same_file_are_refused(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(write_weights(tmp_path / "weights.pth", seed=1))
    first_only(sweep, weights=weights)
    write_weights(tmp_path / "weights.pth", seed=2)
    capsys.readouterr()

    assert sweep("--resume", weights=weights) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"mobilenet_v3_small {weights}: these weights changed since the sweep was started; "
        "put back the earlier inputs, or give the sweep another name or --storage"
    ]


@pytest.mark.slow
def test_same_weights_saved_in_another_way_go_on(sweep: Callable[..., int], tmp_path: Path) -> None:
    weights = str(write_weights(tmp_path / "weights.pth", seed=1))
    first_only(sweep, weights=weights)
    state = load_weights(weights, "mobilenet_v3_small")
    torch.save({"state_dict": state, "epoch": 3}, weights)

    assert sweep("--resume", weights=weights) == 0


def test_trial_on_a_node_with_other_data_fails_with_a_line(
    sweep: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raycal.config import WorkerSettings, load_sweep
    from raycal.experiment import build
    from raycal.experiment.run import run_experiment
    from raycal.storage.run_writer import RunWriter

    Path("birds.yaml").write_text(SWEEP.format(root="birds", weights="none"))
    experiments = load_sweep("birds.yaml", build.REGISTRIES).experiments
    expected = build.expected_inputs(build.prepare(experiments), experiments)
    key, config = next(iter(experiments.items()))

    def fails_with(where: str, expected: ExpectedInputs, words: str) -> None:
        run_dir = RunWriter(Folder.at(where))
        assert not run_experiment(config, run_dir, WorkerSettings(threads=1), expected=expected)
        assert words in (run_dir.error() or "")
        assert run_dir.results() == []

    Image.new("RGB", (8, 8), (1, 2, 3)).save("birds/jay/20.png")
    # The images that the driver has decoded are in this node's cache; the cache of another node is empty.
    assert run_experiment(config, RunWriter(Folder.at("good")), WorkerSettings(threads=1), expected=expected[key])
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "another node"))
    fails_with("files", expected[key], "the files on this node differ from those that the sweep was started with")
    unread = replace(expected[key], content=None)  # The digest is None for a dataset without one file per image.
    fails_with(
        "images", unread, "the images or their labels on this node differ from those that the sweep was started with"
    )
    fails_with(
        "weights", replace(unread, weights="0" * 64), "the weights on this node differ from those that the sweep"
    )


def test_damaged_record_is_one_line(tmp_path: Path) -> None:
    from raycal.storage.inputs import Inputs

    (tmp_path / "inputs.json").write_text('{"datasets": {}, "weights": {"a": "b"}, "sha256": "00"}')

    with pytest.raises(InputError, match=r"inputs\.json: damaged: its content does not match its recorded digest"):
        InputRecord(Folder.at(str(tmp_path))).check(Inputs())


def test_weights_that_are_not_expected_are_refused(sweep: Callable[..., int]) -> None:
    from raycal.data import datasets
    from raycal.data.manifest import manifest_of

    manifest = manifest_of(datasets["image_folder"](seed=0, image_size=16, root="birds").load())
    expected = ExpectedInputs(content=None, train=manifest.digest.train, test=manifest.digest.test, weights=None)
    expected.check(manifest, None)

    with pytest.raises(InputError) as refused:
        replace(expected, test="").check(manifest, "0" * 64)
    assert len(refused.value.problems) == 2
