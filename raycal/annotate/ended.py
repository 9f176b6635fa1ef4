"""Says in the terminal how far a project is: that it is finished, and how to go on, or how much of its round is
answered."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from raycal.annotate.reporting import PAGE, REPORT
from raycal.errors import counted, printable
from raycal.people.memory import FINISHED
from raycal.people.stopping import rule_of
from raycal.storage.folder import Folder
from raycal.storage.run_dir import POOL_EXHAUSTED, RunDir


def lines_of_the_end(
    run_dir: RunDir,
    folder: Folder,
    *,
    file: str,
    overrides: Iterable[str],
    noun: str,
    stops_automatically: bool = False,
) -> Iterator[str]:
    """Say that a project is finished, and what can be done now. Nothing is said of a project that is not finished.

    Args:
        run_dir: The folder of the run.
        folder: The folder of the project.
        file: The project file.
        overrides: The values of `--set`.
        noun: The word for one sample.
        stops_automatically: Whether the project ends by itself when a stopping rule holds.
    """
    if not run_dir.state().is_complete:
        return
    yield f"nothing is left to label, because {_end_in_words(run_dir, noun)}"
    if run_dir.reason() != POOL_EXHAUSTED and not run_dir.config().resolved_scenario.whole_pool:
        rule = rule_of(run_dir.reason())
        more = _more_iterations(run_dir, file, overrides)
        if rule is not None and stops_automatically:
            more += ", set `automatically: false` in its block `stop`,"
        yield f"to go on: {more} and start this command again"
    yield "to get the labels and the model: add --export DIR to this command"
    if folder.folder(REPORT).exists(PAGE):
        yield f"to see what was reached: {folder.place}/{REPORT}/{PAGE}"


def farewell(run_dir: RunDir, place: str, state: Mapping[str, Any]) -> str:
    """The line after Ctrl-C: what is done, and how to go on.

    Args:
        run_dir: The folder of the run.
        place: Where the project is stored.
        state: The state of the project.
    """
    if run_dir.state().is_complete:
        return f"{_end_in_words(run_dir, state['noun'])}; all answers are in {place}; --export DIR writes the labels"
    if state["phase"] == FINISHED:
        return f"all {state['rounds']} rounds are done; all answers are in {place}; --export DIR writes the labels"
    return (
        f"round {state['iteration'] + 1}: {state['round_answered']} of {state['budget']} answered; all answers are in "
        f"{place}; the same command continues the project"
    )


def _end_in_words(run_dir: RunDir, noun: str) -> str:
    """Why a project that has ended has no further question."""
    rounds = counted(len(run_dir.results()), "round")
    rule = rule_of(run_dir.reason())
    if rule is not None:
        return f"the project has ended after {rounds} by the stopping rule {rule}"
    if run_dir.reason() == POOL_EXHAUSTED:
        return f"no {noun} is left to ask about after {rounds}"
    return "all rounds are finished"


def _more_iterations(run_dir: RunDir, file: str, overrides: Iterable[str]) -> str:
    """What to change so that the project gets more rounds."""
    now = run_dir.config().iterations
    if any(one.partition("=")[0].strip() == "iterations" for one in overrides):
        return f"give a number above {now:,} in --set iterations={now}"
    return f"raise `iterations` in {printable(file)} above {now:,}"
