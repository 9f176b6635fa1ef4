"""The result of a labeling project in sentences, and what to do next."""

from raycal.errors import counted
from raycal.report.next_steps import Step
from raycal.report.people.project import LabelingProject, noun_of, read_projects
from raycal.report.runs import Runs
from raycal.storage.results import is_at_chance


def annotate_command(name: str, *options: str) -> str:
    """The command that continues a labeling project."""
    return " ".join([f"python -m raycal.annotate {name}.yaml --storage runs", *options])


def result_words(project: LabelingProject) -> str:
    """How good the model is after the newest finished round, and how much time people have spent until then."""
    if not project.rounds:
        return "No round is finished yet, so no model was trained."
    last = project.rounds[-1]
    answers = counted(last.answers, "answer")
    work = f"After {counted(last.number, 'round')} with {answers}, which took {_minutes(last.minutes)},"
    if last.accuracy is None:
        return f"{work} the accuracy is not known, because no test {project.noun} has a label."
    interval = "" if last.low is None else f" (95 % interval {last.low:.3f} to {last.high:.3f})"
    tested = f"test {project.noun}"
    samples = f"the {tested}s" if last.num_test is None else counted(last.num_test, tested)
    words = f"{work} the accuracy on {samples} is {last.accuracy:.3f}{interval}."
    line = project.trial.lines[-1]
    if is_at_chance(line):
        words += (
            f" That is no better than guessing, which reaches up to {line.get('chance_accuracy') or 0:.3f}: label more "
            f"{project.noun}s, of all classes, also of the hold-out."
        )
    return words


def progress_words(project: LabelingProject) -> str:
    """What the newest round gained, what another round probably gains, and whether to stop. Empty before the end of the
    first round."""
    if project.progress is None:
        return ""
    sentences = project.progress.sentences()
    if project.ended_by is not None:
        sentences.append(f"The project has ended by itself by the stopping rule `{project.ended_by}`.")
    return " ".join(sentences)


def result_of_people(runs: Runs) -> str:
    """The result of each project, one paragraph per line."""
    projects = read_projects(runs)
    if len(projects) == 1:
        return result_words(projects[0])
    return "\n".join(f"{project.trial.dataset_name}: {result_words(project)}" for project in projects)


def steps_of_people(runs: Runs) -> list[Step]:
    """What to do next with a labeling project, the most urgent first."""
    steps = []
    if any(trial.status == "failed" for trial in runs.trials):
        words = "The model could not be trained. Remove the reason, which is named below, and start the project again."
        steps.append(Step(words=words, command=annotate_command(runs.name)))
    elif runs.incomplete:
        words = "Go on labeling. The command goes on where the project stopped."
        steps.append(Step(words=words, command=annotate_command(runs.name)))
    elif rounds := _finished_rounds(runs):
        words = f"All rounds are finished. To go on, raise `iterations` in the project file above {rounds:,}."
        steps.append(Step(words=words, command=annotate_command(runs.name)))
    noun = noun_of(*runs.trials)
    samples = "images in class folders" if noun == "image" else f"{noun}s"
    words = f"Export the labels, the {samples}, and the model. You can do this at any time."
    steps.append(Step(words=words, command=annotate_command(runs.name, "--export", f"{runs.name}-labeled")))
    words = "Look at the rounds in MLflow. The command sends MLflow what it does not have yet, and prints the address."
    steps.append(Step(words=words, command=f"python -m raycal.track runs/{runs.name}"))
    return steps


def _finished_rounds(runs: Runs) -> int | None:
    """The number of rounds of a project that has ended because all of them are finished, and that may get more. None if
    it has not ended, or has ended for another reason."""
    if len(runs.trials) != 1:
        return None
    (trial,) = runs.trials
    all_finished = trial.status == "finished" and len(trial.lines) == trial.config.iterations
    return len(trial.lines) if all_finished and not trial.config.resolved_scenario.whole_pool else None


def _minutes(minutes: float) -> str:
    text = f"{minutes:,.1f}" if minutes < 100 else f"{minutes:,.0f}"
    return f"{text} minute{'' if text == '1.0' else 's'} of human time"
