"""Cuts, empties, changes, exchanges or removes files of a sweep. The outcome must stay the same, or one error line must
name the file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_iterations import CONFIG, model, result

from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan

ITERATIONS = 4
SAVED = 3
# The files of an unfinished experiment after three iterations.
GOING_ON = [
    "config.yaml",
    "results.jsonl",
    "started.json",
    *(f"ledger/iteration-00{i}.parquet" for i in range(SAVED)),
    *(f"state/iteration-00{i}.{end}" for i in (1, 2) for end in ("json", "model.pt", "pool.npz")),
]
OVER = ["config.yaml", "results.jsonl", *(f"ledger/iteration-00{i}.parquet" for i in range(ITERATIONS))]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose(path: Path) -> None:
    path.unlink()


def mix_up(path: Path) -> None:
    """Replace the file with the file of the previous iteration, if there is one."""
    stem, _, end = path.name.partition(".")
    before = path.with_name(f"iteration-{int(stem[-3:]) - 1:03d}.{end}") if stem.startswith("iteration-") else path
    if before.exists():
        path.write_bytes(before.read_bytes())


DAMAGES = [cut, empty, flip, lose, mix_up]


def go_on(run_dir: RunWriter, until: int = ITERATIONS) -> None:
    """Continue the experiment to its end or to an earlier iteration."""
    saved = run_dir.begin(CONFIG)
    for iteration in range(0 if saved is None else saved.iteration + 1, until):
        run_dir.commit(result(iteration), model(iteration))
    if until == ITERATIONS:
        run_dir.finish("iterations")


def content(folder: Folder) -> dict[str, bytes | None]:
    """The content of all files except the start time."""
    return {name: folder.read(name) for name in folder.all_names() if name != "started.json"}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes | None]:
    run_dir = RunWriter(Folder.at(str(tmp_path / "whole")))
    go_on(run_dir)
    return content(run_dir.folder)


@pytest.mark.parametrize("name", GOING_ON)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_of_an_experiment_that_goes_on_is_mended(
    tmp_path: Path, whole: dict[str, bytes | None], damage: Callable[[Path], None], name: str
) -> None:
    folder = Folder.at(str(tmp_path / "run"))
    go_on(RunWriter(folder), until=SAVED)
    assert folder.all_names() == sorted(GOING_ON)
    damage(Path(folder.path, name))
    go_on(RunWriter(folder))

    assert content(folder) == whole
    assert RunWriter(folder).damage() == []


@pytest.mark.parametrize("damage", [cut, empty, flip, lose])
def test_all_states_damaged_begins_again(
    tmp_path: Path, whole: dict[str, bytes | None], damage: Callable[[Path], None]
) -> None:
    folder = Folder.at(str(tmp_path / "run"))
    go_on(RunWriter(folder), until=SAVED)
    for name in folder.folder("state").names():
        damage(Path(folder.path, "state", name))

    assert RunWriter(folder).begin(CONFIG) is None
    assert folder.folder("state").names() == []
    assert folder.folder("ledger").names() == []
    go_on(RunWriter(folder))
    assert content(folder) == whole


@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_of_an_experiment_that_is_over_is_named(
    tmp_path: Path, damage: Callable[[Path], None], name: str
) -> None:
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    go_on(run_dir)
    before = content(run_dir.folder)
    damage(tmp_path / name)

    after = content(run_dir.folder)
    expected = [] if after == before else [f"{tmp_path}/{name}"]
    assert [line.partition(":")[0] for line in RunWriter(run_dir.folder).damage()] == expected
    assert content(run_dir.folder) == after


@pytest.mark.parametrize("end", ["finished", "stopped"])
@pytest.mark.parametrize("damage", [cut, empty, flip])
def test_damaged_record_of_the_end_is_named(tmp_path: Path, damage: Callable[[Path], None], end: str) -> None:
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    go_on(run_dir, until=SAVED)
    if end == "finished":
        run_dir.finish("iterations")
    else:
        run_dir.stop("asha")
    damage(tmp_path / "state" / f"{end}.json")

    (line,) = RunWriter(run_dir.folder).damage()
    assert line.startswith(f"{tmp_path}/state/{end}.json: ")
    assert run_dir.state().is_complete
    with pytest.raises(InputError, match=end):
        run_dir.reason()


def test_lost_record_of_the_end_does_the_experiment_again(tmp_path: Path, whole: dict[str, bytes | None]) -> None:
    folder = Folder.at(str(tmp_path / "run"))
    go_on(RunWriter(folder))
    lose(Path(folder.path, "state/finished.json"))
    go_on(RunWriter(folder))

    assert content(folder) == whole


def test_end_that_an_earlier_version_recorded_is_read(tmp_path: Path) -> None:
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    go_on(run_dir)
    run_dir.folder.write("state/finished.json", b'{"reason": "pool exhausted"}')

    assert (run_dir.reason(), run_dir.damage()) == ("pool exhausted", [])


def test_ledger_damaged_while_the_experiment_runs_is_noticed_at_the_next_start(tmp_path: Path) -> None:
    run_dir = RunWriter(Folder.at(str(tmp_path)))
    go_on(run_dir, until=SAVED)
    flip(tmp_path / "ledger/iteration-000.parquet")
    run_dir.commit(result(SAVED), model(SAVED))
    run_dir.finish("iterations")

    (line,) = run_dir.damage()
    assert line.startswith(f"{tmp_path}/ledger/iteration-000.parquet: not as the experiment left it; put it back, or ")


@pytest.mark.parametrize("damage", [cut, empty, flip])
def test_damaged_plan_is_refused_in_a_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    sweep_dir = planned(tmp_path)
    damage(tmp_path / "plan.json")
    with pytest.raises(InputError) as refused:
        sweep_dir.read_plan()

    (problem,) = refused.value.problems
    assert problem.startswith(f"{tmp_path}/plan.json: ")
    assert "\n" not in problem


def test_every_changed_number_in_the_plan_is_noticed(tmp_path: Path) -> None:
    sweep_dir = planned(tmp_path)
    content = (tmp_path / "plan.json").read_text()
    head, _, _ = content.partition('"sha256"')
    for place, character in enumerate(head):
        if character.isdigit():
            changed = content[:place] + str((int(character) + 1) % 10) + content[place + 1 :]
            (tmp_path / "plan.json").write_text(changed)
            with pytest.raises(InputError, match=r"plan\.json: "):
                sweep_dir.read_plan()


def planned(folder: Path) -> SweepDir:
    sweep_dir = SweepDir(Folder.at(str(folder)))
    experiments: dict[str, ExperimentConfig] = {CONFIG.experiment_id: CONFIG}
    sweep_dir.write_plan(SweepPlan(sweep="small", threads=1, experiments=experiments))
    return sweep_dir
