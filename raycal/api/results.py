"""Reads the results in the folder of a sweep into pandas DataFrames."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import pandas as pd

from raycal.api.wording import in_python_words
from raycal.config.dataset_names import dataset_labels
from raycal.config.labels import setting_values, trial_labels, varied_settings
from raycal.config.strict import did_you_mean
from raycal.errors import InputError, counted
from raycal.report.runs import Runs, Trial, read_runs
from raycal.report.stats.comparison import by_dataset
from raycal.report.tables.groups import summary_table
from raycal.storage.folder import Folder
from raycal.storage.ledger import SCHEMA, to_table
from raycal.storage.results import KEYS
from raycal.storage.run_dir import Outcome, RunDir


class ExperimentResults:
    """One experiment: its settings, and the results that were in its folder when it was read.

    `run_experiment` and `SweepResults.experiment` return such an object.

    Attributes:
        id: The experiment id, such as `digits-random-s0-1a2b3c4d`.
        label: The scenario, the varied settings and the seed in words.
        state: `finished`, `stopped` (early, by a scheduler), `failed` or `unfinished`.
        reason: Why the experiment failed or was stopped; empty otherwise.
        settings: Every setting by its dotted key, such as `training.epochs`.
        folder: The path or URI of the experiment's folder.
    """

    def __init__(self, trial: Trial, label: str, folder: Folder) -> None:
        self.id, self.label, self.state, self.reason = trial.experiment_id, label, trial.status, trial.reason
        self.settings: dict[str, Any] = trial.config.flat()
        self.folder = folder.place
        self._run_dir, self._lines = RunDir(folder), trial.lines

    def __repr__(self) -> str:
        return f"<ExperimentResults {self.id}: {self.label}, {self.state}, {len(self._lines)} iterations>"

    @property
    def results(self) -> pd.DataFrame:
        """One row per finished iteration, with the columns of `results.jsonl`.

        Some of these columns are `iteration` (from 0), `interactions` (spent up to this iteration), `test_accuracy` (0
        to 1), `test_loss` (nats), `annotated` (images with a label), `cluster_label_error` (0 to 1), `human_seconds`,
        and the seconds of each phase: `predict_seconds`, `cluster_seconds`, `train_seconds` and `evaluate_seconds`. NaN
        stands for an undefined value, such as the label error of an iteration in which no cluster was accepted.

        Example:
            >>> run = raycal.read_sweep("runs/digits").experiment("random s0")
            >>> run.results["interactions"].tolist()
            [10, 20]
        """
        return _numbers(pd.DataFrame(list(self._lines), columns=_keys(self._lines)))

    def ledger(self) -> pd.DataFrame:
        """Return one row per human interaction, in the order in which the expert was asked.

        The columns are the same as in the ledger files: `iteration`, `step`, `interaction` (from 1), `kind` (`sample`
        or `cluster`), `answer` (`labelled` or `refused`), `label` (the class id, <NA> when refused), `num_samples`
        (images shown), `purity` (0 to 1, NaN for a sample), `wrong` (images that got a wrong label, <NA> when refused
        or unknown), `seconds` (cost of the answer) and `indices` (the images shown, an int64 array of length
        `num_samples`).

        Raises:
            InputError: A file of the ledger is damaged.
            StorageError: The remote storage does not answer.

        Example:
            >>> run = raycal.read_sweep("runs/digits").experiment("random s0")
            >>> run.ledger()["kind"].value_counts().to_dict()
            {'sample': 20}
        """
        table = to_table(self._run_dir.ledger())
        return pd.DataFrame(table.to_pandas()).astype({"label": "Int32", "wrong": "Int32"})


class SweepResults:
    """All trials of a sweep, as they were when the folder of the sweep was read.

    `read_sweep` and `run_sweep` return such an object. It does not change while the sweep continues; read the folder
    again to see new results. All DataFrames except `summary` have the column `id`, the experiment id, by which they can
    be merged.

    Attributes:
        name: The name of the sweep.
        folder: The path or URI of the sweep's folder.
    """

    def __init__(self, runs: Runs, folder: Folder) -> None:
        self.name, self.folder = runs.name, folder.place
        self._runs, self._place = runs, folder
        self._configs = {trial.experiment_id: trial.config for trial in runs.trials}
        self._labels = trial_labels(self._configs)

    def __repr__(self) -> str:
        count = Counter(trial.status for trial in self._runs.trials)
        states = ", ".join(f"{count[state]} {state}" for state in get_args(Outcome) if count[state])
        return f"<SweepResults {self.name}: {counted(len(self._runs.trials), 'trial')} ({states}) in {self.folder}>"

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, in the order of the sweep.

        The columns are `id`, `label`, `scenario`, `dataset`, `seed`, one for each setting that the sweep varies (by its
        dotted key; NaN or None if the setting cannot change the trial's result), `condition` (the scenario and the
        varied settings in words, the same for all seeds), `full_supervision` (whether all images are labeled at once),
        `upper_bound` (whether the settings use true labels in a way that no person could), `state`, `reason` (of a
        failure or an early stop) and `in_sweep_file` (False for a trial that is no longer in the sweep file).

        Example:
            >>> raycal.read_sweep("runs/digits").trials[["scenario", "seed", "state"]].values.tolist()
            [['random', 0, 'finished'], ['random', 1, 'finished']]
        """
        return pd.DataFrame(self._rows(), columns=self._columns)

    @property
    def results(self) -> pd.DataFrame:
        """One row per trial and finished iteration: the columns of `trials`, then the columns of `results.jsonl`.

        `ExperimentResults.results` describes the columns of `results.jsonl`. A trial without a finished iteration has
        no row.

        Example:
            >>> results = raycal.read_sweep("runs/digits").results
            >>> results.groupby("interactions")["test_accuracy"].count().to_dict()
            {10: 2, 20: 2}
        """
        rows = self._rows()
        joined = [row | dict(line) for row, trial in zip(rows, self._runs.trials, strict=True) for line in trial.lines]
        measured = _keys(line for trial in self._runs.trials for line in trial.lines)
        return _numbers(pd.DataFrame(joined, columns=[*self._columns, *measured]), measured)

    @property
    def settings(self) -> pd.DataFrame:
        """One row per trial with every setting, varied or not: `id`, then a column for each dotted key.

        Example:
            >>> raycal.read_sweep("runs/digits").settings["training.epochs"].tolist()
            [1, 1]
        """
        return pd.DataFrame([{"id": key, **config.flat()} for key, config in self._configs.items()])

    def experiment(self, name: str) -> ExperimentResults:
        """Return one trial.

        Args:
            name: The experiment id or the label.

        Raises:
            InputError: There is no such trial.

        Example:
            >>> raycal.read_sweep("runs/digits").experiment("random s1").state
            'finished'
        """
        for trial in self._runs.trials:
            if name in (trial.experiment_id, self._labels[trial.experiment_id]):
                folder = self._place.folder(trial.experiment_id)
                return ExperimentResults(trial, self._labels[trial.experiment_id], folder)
        known = [*self._labels.values(), *self._labels]
        raise InputError(f"{self.name}: no trial has the id or the label {name!r} {did_you_mean(str(name), known)}")

    def ledger(self, experiment_id: str | None = None) -> pd.DataFrame:
        """Return one row per human interaction: `id`, then the columns of `ExperimentResults.ledger`.

        Args:
            experiment_id: The id or the label of one trial. None means all trials, one after another.

        Raises:
            InputError: There is no such trial, or a file of the ledger is damaged.
            StorageError: The remote storage does not answer.

        Example:
            >>> ledger = raycal.read_sweep("runs/digits").ledger()
            >>> ledger.groupby("id")["seconds"].count().tolist()
            [20, 20]
        """
        names = list(self._configs) if experiment_id is None else [experiment_id]
        experiments = [self.experiment(name) for name in names]
        frames = [one.ledger().assign(id=one.id) for one in experiments]
        columns = ["id", *SCHEMA.names]
        return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)

    def summary(self) -> pd.DataFrame:
        """Return one row per dataset and condition, with means over the finished seeds.

        These are the values of the report's table `summary.csv`. The columns are `dataset`, `condition`, the number of
        trials in each state, `aubc` (area under the budget curve: the mean accuracy over the interactions spent) and
        `final_accuracy`, each with the ends of its 95 % interval (`_low`, `_high`), and `interactions`, `annotated`,
        `human_hours` and `cluster_label_error` at the end of the trials. NaN stands for an undefined value, such as the
        interval of a single seed.

        Example:
            >>> raycal.read_sweep("runs/digits").summary()[["condition", "finished"]].values.tolist()
            [['random', 2]]
        """
        table = summary_table(by_dataset(self._runs))
        names = {name: str(name).lower().replace(" ", "_") for name in table} | {"group": "condition"}
        return _numbers(table.rename(columns=names))

    @property
    def _columns(self) -> list[str]:
        return [
            *("id", "label", "scenario", "dataset", "seed"),
            *self._varied,
            *("condition", "full_supervision", "upper_bound", "state", "reason", "in_sweep_file"),
        ]

    @property
    def _varied(self) -> Sequence[str]:
        return varied_settings(list(self._configs.values()))

    def _rows(self) -> list[dict[str, Any]]:
        conditions = {trial.experiment_id: group for group in self._runs.groups for trial in group.trials}
        datasets, varied = dataset_labels(list(self._configs.values())), self._varied
        rows = []
        for trial, dataset in zip(self._runs.trials, datasets, strict=True):
            group = conditions[trial.experiment_id]
            values = setting_values(trial.config, varied)
            rows.append(
                {
                    "id": trial.experiment_id,
                    "label": self._labels[trial.experiment_id],
                    "scenario": trial.scenario,
                    "dataset": f"{dataset} {trial.data}".rstrip(),
                    "seed": trial.config.seed,
                    **{key: values.get(key) for key in varied},
                    "condition": group.label,
                    "full_supervision": trial.config.resolved_scenario.whole_pool,
                    "upper_bound": group.is_bound,
                    "state": trial.status,
                    "reason": trial.reason,
                    "in_sweep_file": not trial.is_removed,
                }
            )
        return rows


def read_sweep(folder: str | os.PathLike[str]) -> SweepResults:
    """Read the folder of a sweep that has finished, is still running, or was interrupted.

    Args:
        folder: `<storage>/<sweep name>`: a local path, or a URI such as `s3://bucket/runs/birds`.

    Raises:
        InputError: The folder is not the folder of a sweep, or a file in it is damaged.
        StorageError: The remote storage does not answer.

    Example:
        >>> raycal.read_sweep("runs/digits").name
        'digits'
    """
    with in_python_words():
        if not isinstance(folder, str | os.PathLike):
            raise InputError(f"folder: should be a path or a URI, not of type {type(folder).__name__}")
        return read_folder(Folder.at(os.fspath(folder)))


def read_folder(folder: Folder) -> SweepResults:
    """Read the folder of a sweep from an open `Folder`."""
    return SweepResults(read_runs(folder), folder)


def _keys(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """All keys of the lines of results.jsonl; if there are no lines, the keys that every line would have."""
    return list(dict.fromkeys([*KEYS, *(key for line in lines for key in line)]))


def _numbers(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Make each column numeric if it holds only numbers and None, with NaN for None, and return the frame."""
    for name in frame.columns if columns is None else columns:
        values = frame[name]
        if values.dtype == object and all(value is None or type(value) in (int, float) for value in values):
            frame[name] = pd.to_numeric(values)
    return frame
