"""Tests that bots that answer like the oracle, through the real page and the real command, reproduce the simulated run.

The ledgers differ only in what people cannot know: the purity of a cluster, its wrong labels, and the seconds.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from comparison import columns, comparable, ledger, pools
from real import Annotator, Command, label_until, run_command

import raycal
from raycal.algorithm.expert import Cluster, Oracle
from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir

FIVE = ("Ana", "Ben", "Cleo", "Dan", "Eva")
NUM_SAMPLES = 80
# With this threshold the oracle labels some clusters of these runs, and refuses others.
PURITY_THRESHOLD = 0.6
SETTINGS: Mapping[str, Any] = {
    "dataset": {"name": "digits", "train_size": NUM_SAMPLES, "test_size": 40},
    "model": {"weights": "none"},
    "iterations": 2,
    "interactions_per_iteration": 10,
    "training": {"epochs": 1, "batch_size": 16, "learning_rate": 0.005, "image_size": 32},
}


def project_file(scenario: str, expert: Any) -> dict[str, Any]:
    """A sweep file; the expert is the only line in which a simulation and a project of people differ."""
    return {
        "name": "digits",
        "experiment": {**SETTINGS, "scenario": scenario, "expert": expert},
        "resources": {"cpus_per_worker": 1},  # The results of training depend on the number of threads.
    }


def run_in(folder: Path) -> RunDir:
    (config,) = folder.glob("digits/*/config.yaml")
    return RunDir(Folder.at(str(config.parent)))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunDir]:
    """The simulation of a scenario, which runs once."""
    folder = tmp_path_factory.mktemp("simulated")

    def run(scenario: str) -> RunDir:
        if not (folder / scenario).exists():
            file = project_file(scenario, {"name": "oracle", "purity_threshold": PURITY_THRESHOLD})
            options = {"local": True, "track": False, "report": False, "verbose": False}
            raycal.run_sweep(file, storage=folder / scenario, **options)
        return run_in(folder / scenario)

    return run


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    """Knows the true label of each row."""
    experiment = {**SETTINGS, "scenario": "random", "expert": "oracle"}
    config = ExperimentConfig.model_validate(experiment, context=build.REGISTRIES)
    return Oracle(build.dataset(config).load().labels, purity_threshold=PURITY_THRESHOLD)


def answer_as(oracle: Oracle) -> Callable[[Annotator, dict[str, Any]], None]:
    rng = np.random.default_rng(0)

    def answer(person: Annotator, question: dict[str, Any]) -> None:
        rows = np.array(person.rows(question))
        assert len(rows) == question["size"]
        if question["kind"] == "sample":
            label: int | None = int(oracle.label_samples(rows, rng).labels[0])
        else:
            label = oracle.label_cluster(Cluster(indices=rows, embeddings=_no_embeddings), rng).label
        if label is None:
            person.press("x")
        else:
            person.label(label)

    return answer


def _no_embeddings() -> Any:
    raise AssertionError("the oracle looks at the labels alone")


def invited(folder: Path, command: Command, name: str) -> str:
    """The link of a person who is invited while the server runs."""
    done = run_command(folder, "digits.yaml", "--invite", name, "--port", command.port)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().rpartition(" ")[2]


@pytest.mark.long
@pytest.mark.timeout(500)
@pytest.mark.parametrize("scenario", ["cluster+uncertain", "uncertain+cluster"])
@pytest.mark.parametrize("names", [(), FIVE], ids=["one person", "five people"])
def test_bots_at_the_page_give_the_simulated_run(
    scenario: str,
    names: tuple[str, ...],
    simulated: Callable[[str], RunDir],
    oracle: Oracle,
    contexts: Callable[[], Any],
    tmp_path: Path,
) -> None:
    expected = simulated(scenario)
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(project_file(scenario, "people")))

    with Command(tmp_path, "digits.yaml", "--port", "0") as command:
        links = [invited(tmp_path, command, name) for name in names] or [command.link]
        people = [Annotator(contexts(), link) for link in links]
        label_until(people, answer_as(oracle), lambda state: state["phase"] == "finished", seed=1)
        for person in people:
            person.all_sent()
            assert person.errors == []
        assert command.interrupt() == 130

    run_dir = run_in(tmp_path / "runs")
    assert ledger(run_dir) == ledger(expected)
    assert pools(run_dir, NUM_SAMPLES) == pools(expected, NUM_SAMPLES)
    assert comparable(run_dir) == comparable(expected)
    rows = columns(run_dir)
    assert set(rows["answer"]) == {"labelled", "refused"}
    assert rows["purity"] == rows["wrong"] == [None] * 2 * SETTINGS["interactions_per_iteration"]
    assert all(0 < seconds < 60 for seconds in rows["seconds"])
