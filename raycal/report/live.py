"""The report of a sweep while it runs: one page in memory, made again when the sweep has changed.

Nothing is written, neither into the sweep folder nor elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from posixpath import dirname
from threading import Lock
from typing import Any

from jinja2 import Environment, PackageLoader

from raycal import __version__
from raycal.errors import InputError, StorageError, counted, one_line
from raycal.monitor.sweep_view import SweepView, TrialView
from raycal.monitor.trial_lines import COLUMNS, by_urgency, cells, summary
from raycal.report.figures.plates import plates
from raycal.report.page import page
from raycal.report.people.project import is_labeled_by_people
from raycal.report.runs import read_runs
from raycal.report.write import PAGE, people_files, report_files
from raycal.storage.folder import Folder
from raycal.storage.seal import digest_of
from raycal.storage.sweep_dir import SweepDir

SCRIPT = "live.js"
CLOSE_SECONDS = 30.0  # The longest wait for a thread that reads, and also the longest wait for a thread that draws.
UNREADABLE = (InputError, StorageError, OSError)


@dataclass(frozen=True, slots=True)
class SweepState:
    """What one look at the sweeps has found.

    Attributes:
        trials: The trials of all sweeps.
        problem: Why the sweeps cannot be read, in one line; empty if they can be read. If they cannot be read, the
            other attributes keep the values of the last look that could read the sweeps.
    """

    trials: tuple[TrialView, ...]
    problem: str = ""

    @property
    def version(self) -> str:
        """A text that differs from the version of every other state, even if the server was started again."""
        what = (__version__, self.trials, self.problem)
        return digest_of(repr(what).encode())[:16]

    @property
    def kind(self) -> str:
        """One word: `lost`, `ended`, `interrupted`, `waiting` (for the first iteration) or `running`."""
        if self.problem:
            return "lost"
        if all(trial.state.has_ended for trial in self.trials):
            return "ended"
        if any(trial.is_interrupted for trial in self.trials):
            return "interrupted"
        return "running" if any(trial.records for trial in self.trials) else "waiting"


class LiveReport:
    """The live page of one sweep or several, and the files that it links to.

    All methods may be called from several threads.

    Args:
        places: The folders of the sweeps.

    Raises:
        InputError: A place is not the folder of a sweep, or its runs are damaged.
    """

    def __init__(self, places: Sequence[str]) -> None:
        self._places = places
        self._views = [SweepView(SweepDir(Folder.at(place))) for place in places]
        self._looking, self._drawing = Lock(), Lock()
        self._runs = read_runs(*places)
        self._state = self._read_state()
        self._problem_of_runs = ""
        self._drawn_version = ""
        self._files: Mapping[str, Callable[[], bytes]] = {}
        self._contents: dict[str, bytes] = {}

    def look(self) -> SweepState:
        """Look at the sweep folders, and return the state that they show; this draws nothing."""
        with self._looking:
            try:
                state = self._read_state()
                if self._problem_of_runs:  # The state may be the same as before when the files become readable again.
                    read_runs(*self._places)
                    self._problem_of_runs = ""
                self._state = state
            except UNREADABLE as error:
                self._state = replace(self._state, problem=one_line(error))
            return self._state

    def page(self) -> bytes:
        """The page of the state that the sweep folders show now; it is drawn only if this state is new."""
        return self._content(PAGE, self.look()) or b""

    def file(self, name: str) -> bytes | None:
        """A file that the newest page links to, drawn when it is first asked for; None if there is no such file."""
        return self._content(name, self._state)

    def close(self) -> None:
        """Wait until nothing is read or drawn any more, and stop reading and drawing for good. Later calls of `look`,
        `page` and `file` never return.

        A thread that draws while the interpreter ends would abort the process.
        """
        for lock in (self._looking, self._drawing):
            lock.acquire(timeout=CLOSE_SECONDS)

    def _content(self, name: str, state: SweepState) -> bytes | None:
        with self._drawing:
            if state.version != self._drawn_version:
                self._start(state)
            if name in self._files and name not in self._contents:
                self._contents[name] = self._files[name]()
            return self._contents.get(name)

    def _start(self, state: SweepState) -> None:
        """Read the runs for a new state; the files are made later, when somebody asks for them."""
        if not state.problem:
            try:
                self._runs = read_runs(*self._places)
            except UNREADABLE as error:
                self._problem_of_runs = one_line(error)
        more: dict[str, Any] = {
            "live": self._live(replace(state, problem=state.problem or self._problem_of_runs), state.version)
        }
        if is_labeled_by_people(self._runs):
            more["base"] = "people.html"
            self._files = dict(people_files(self._runs, template="live.html", more=more))
        else:
            render_page = partial(page, template="live.html", more=more)
            drawn = plates(self._runs, with_unfinished=_is_partly(state))
            self._files = dict(report_files(self._runs, drawn, render_page=render_page))
        self._contents = {}
        self._drawn_version = state.version

    def _read_state(self) -> SweepState:
        trials: list[TrialView] = []
        for view in self._views:
            own = view.trials()
            if len(self._views) > 1:
                own = [replace(trial, label=f"{view.name}: {trial.label}") for trial in own]
            trials += own
        return SweepState(tuple(trials))

    def _live(self, state: SweepState, version: str) -> dict[str, Any]:
        """What the template shows of a state, and the version by which the script of the page notices a change."""
        title, words = _words(state, "project" if is_labeled_by_people(self._runs) else "sweep")
        rows = [_row(trial) for trial in by_urgency(state.trials)]
        has_times = any(row["time_left"] for row in rows)
        place = self._views[0].place if len(self._views) == 1 else ""
        return {
            "version": version,
            "state": state.kind,
            "title": title,
            "words": words,
            "summary": summary(state.trials),
            "columns": COLUMNS if has_times else COLUMNS[:-1],
            "trials": rows,
            "has_times": has_times,
            "is_partly": _is_partly(state),
            "folder": place,
            "storage": dirname(place),
        }


@cache
def script() -> bytes:
    """The script of the live page, which contains the script of the report."""
    environment = Environment(loader=PackageLoader("raycal.report"))
    return environment.get_template(SCRIPT).render().encode()


def _is_partly(state: SweepState) -> bool:
    """Whether some trials have saved iterations but have not ended, so that the figures show unfinished trials."""
    return any(trial.records and not trial.state.has_ended for trial in state.trials)


def _row(trial: TrialView) -> dict[str, str]:
    """What the table says about a trial; the reason why the trial ended stands below its name."""
    label, state, iterations, accuracy, end = cells(trial)
    return {
        "label": label,
        "state": state,
        "iterations": iterations,
        "accuracy": accuracy,
        "time_left": "" if trial.reason else end,
        "reason": trial.reason,
    }


def _words(state: SweepState, what: str) -> tuple[str, str]:
    """The state of the sweep or the project in a few words, and what that means for the page.

    Args:
        state: The state.
        what: `sweep` or, if people label, `project`.
    """
    again = "--resume continues it." if what == "sweep" else "python -m raycal.annotate continues it."
    unit = "an iteration" if what == "sweep" else "a round"
    match state.kind:
        case "lost":
            return (
                f"The {what} cannot be read.",
                f"The page shows what was read last, and keeps looking. {state.problem}",
            )
        case "ended":
            return f"The {what} has ended.", f"The page changes only if the {what} is resumed."
        case "interrupted" if what == "project":
            return "The project is not finished.", f"Nobody can label now. {again}"
        case "interrupted":
            number = sum(trial.is_interrupted for trial in state.trials)
            are = "is" if number == 1 else "are"
            words = f"{counted(number, 'trial')} {are} not complete, and the process that ran the sweep is gone."
            return "The sweep was interrupted.", f"{words} {again}"
        case "waiting":
            first = "No iteration has been saved yet." if what == "sweep" else "No round is finished yet."
            return f"The {what} has begun.", f"{first} The page shows the first one as soon as it is."
        case _:
            running = f"The {what} is running."
            return running, f"The page changes by itself whenever {unit} has been saved."
