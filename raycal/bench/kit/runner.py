"""Runs the steps of the kit one after another, each within its time limit, and prints their figures."""

from collections.abc import Iterable, Mapping
from time import monotonic

from raycal.bench.figure import Figure, Goal
from raycal.bench.kit.plan import PLANNED_MINUTES, SWEEP, Step, Wanted, measuring_command, steps, trials
from raycal.bench.kit.process import GRACE_SECONDS, Outcome, run_step
from raycal.bench.kit.record import STEP, append, append_figure, read, write_whole
from raycal.bench.kit.trials import pack_runs
from raycal.bench.table import lines

LEAST_SECONDS = 1.0
MACHINE_SECONDS = 60.0


class Runner:
    """Runs the wanted steps in order.

    Args:
        wanted: The options of the command line.
        environment: The environment variables of every step.
        begin: The start of the kit, by the clock `monotonic`.
        minutes: The time for all steps together.
    """

    def __init__(self, wanted: Wanted, environment: Mapping[str, str], begin: float, minutes: float) -> None:
        self._wanted, self._environment, self._begin = wanted, environment, begin
        self._end = begin + 60 * minutes - GRACE_SECONDS
        self._scale = minutes / PLANNED_MINUTES
        self._shown = 0

    def run(self) -> int:
        """Run all steps and return how many failed."""
        machine = Step(
            part="machine",
            name="machine",
            command=lambda: measuring_command("machine", self._wanted),
            seconds=MACHINE_SECONDS,
        )
        todo = [machine, *steps(self._wanted)]
        failed = 0
        for position, step in enumerate(todo):
            outcome = self._run(step, self._limit(todo[position:]))
            failed += outcome.status.startswith("failed")
        return failed

    def say(self, line: str) -> None:
        """Print a line with the seconds since the beginning."""
        print(f"[{monotonic() - self._begin:5.0f} s] {line}", flush=True)

    def _limit(self, todo: list[Step]) -> float:
        """The seconds that the first of these steps may take; later steps share the time that the first one leaves."""
        left = self._end - monotonic()
        if todo[0].seconds is None:
            return left / len(todo)
        return min(left, todo[0].seconds * self._scale)

    def _run(self, step: Step, limit: float) -> Outcome:
        name = step.name if step.name == step.part else f"{step.part}, {step.name}"
        out = self._wanted.out
        if limit < LEAST_SECONDS:
            outcome = Outcome(status="cut after 0 s", seconds=0.0)
        else:
            self.say(f"{name}: at most {limit:.0f} s")
            outcome = self._in_time(step, limit)
        record = {"part": step.part, "step": step.name, "status": outcome.status, "seconds": round(outcome.seconds, 1)}
        append(out, STEP, record | {"last_lines": outcome.last_lines})
        write_whole(out)
        self.say(f"{name}: {outcome.status}" + (f" in {outcome.seconds:.0f} s" if outcome.status == "finished" else ""))
        for line in outcome.last_lines if outcome.status.startswith("failed") else ():
            print(f"          | {line}", flush=True)
        return outcome

    def _in_time(self, step: Step, limit: float) -> Outcome:
        """Run a step and record its figures, even if this process is ended while the step runs."""
        out = self._wanted.out
        log = out / "kit.log"
        before = log.stat().st_size if log.exists() else 0
        try:
            try:
                command = step.command()
            except OSError as error:
                return Outcome(status="failed before its start", seconds=0.0, last_lines=(str(error),))
            return run_step(
                command,
                limit,
                log=log,
                folder=self._wanted.root,
                environment=self._environment,
                look=lambda: self._keep(step, step.new_figures()),
            )
        finally:
            output = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
            self._keep(step, step.new_figures())
            self._keep(step, step.last_figures(output))
            if step.part == SWEEP:
                pack_runs(trials(self._wanted), out / "runs.tar.gz")
            write_whole(out)

    def _keep(self, step: Step, figures: Iterable[Figure]) -> None:
        """Append these figures to the file, and print every figure in it that was not printed before."""
        for figure in figures:
            append_figure(self._wanted.out, figure, step.name)
        written = read(self._wanted.out)["figures"]
        for record in written[self._shown :]:
            self.say(f"  {_line(record)}")
        if len(written) > self._shown:
            self._shown = len(written)
            write_whole(self._wanted.out)


def _line(record: Mapping[str, object]) -> str:
    """A recorded figure as a line of the table."""
    known = {name: record[name] for name in ("benchmark", "name", "value", "unit")}
    goal = record["goal"]
    figure = Figure(goal=Goal(**goal) if isinstance(goal, dict) else None, **known)  # type: ignore[arg-type]
    return " ".join(lines([figure])[1].split())
