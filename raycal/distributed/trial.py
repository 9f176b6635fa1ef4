"""Defines the Tune trial: an experiment on a worker group that Tune's trials use one after another."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from ray import tune

from raycal.distributed.group import WorkerGroup
from raycal.distributed.sweep_context import SweepContext


class ExperimentTrial(tune.Trainable):
    """Runs the experiment named in the trial's settings. It returns one result per iteration, and a last result with
    `done`.

    Tune keeps the process, and with it the worker group, for the next trial (`reuse_actors`). A failure of the
    experiment is recorded in its run folder and does not fail the trial: this class raises only Ray's failures.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], context: SweepContext, experiments: Mapping[str, dict[str, Any]]
    ) -> None:
        """Start the worker group.

        Args:
            config: The settings of the trial, with the `experiment_id`.
            context: The data that all trials of the sweep share.
            experiments: The settings of each experiment, by id.
        """
        self._experiments = experiments
        self._waits = context.wait_for_scheduler
        # Train resumes a run that it finds under a known name, but this group must be a new one.
        self._group = WorkerGroup(context, name=f"train-{uuid4().hex[:8]}")
        self._iterations = 0
        self._started: float | None = None
        self._last: dict[str, Any] = {}
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next experiment."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """The results line of the next iteration, or `done` with the error, if any, that ended the experiment."""
        if self._waits:
            self._group.allow(self._iterations)
        while True:
            event = self._group.next_event()
            match event.kind:
                case "started":
                    self._started = event.content["time"]
                case "iteration":
                    self._iterations = event.content["iteration"] + 1
                    self._last = event.content | {
                        "training_iteration": self._iterations,
                        "started": self._started,
                    }
                    return self._last
                case "ended":
                    # The last results line is included, because a scheduler looks for its values in every result.
                    return self._last | event.content | {"started": self._started, "done": True, "ended": True}

    def cleanup(self) -> None:
        """End the worker group."""
        self._group.close()

    def _begin(self, config: dict[str, Any]) -> None:
        """Give the group the experiment. The settings of the experiment come with the call if a search made them;
        otherwise the group has had them from the start."""
        self._iterations, self._started, self._last = 0, None, {}
        experiment_id = config["experiment_id"]
        settings = config.get("settings") or self._experiments[experiment_id]
        self._group.begin(experiment_id, settings)
