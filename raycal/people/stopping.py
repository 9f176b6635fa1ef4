"""The rules by which a project suggests to stop.

A rule only makes a suggestion. The project ends by itself only if the project file says `automatically: true`.

The rules are kept in the folder `people` of the run, so that the server, the worker and the report follow the same
rules. They belong to no experiment id, and may change at every start of the server.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from raycal.people.log import PEOPLE
from raycal.storage.folder import Folder

RULES = f"{PEOPLE}/stop.json"
# Before the name of a rule, in the recorded reason why an experiment has ended.
_BY_RULE = "stopping rule: "


class Rule(StrEnum):
    """What a suggestion to stop follows.

    Attributes:
        TARGET: The lower end of the interval of the accuracy has reached the target.
        WORTH: The last two rounds have not changed the accuracy by more than what is worth a round.
        STABLE: The models of the last four rounds predict the same.
        MINUTES: The planned minutes of work are used up.
        POOL: No sample is left to ask about.
    """

    TARGET = "target"
    WORTH = "worth"
    STABLE = "stable"
    MINUTES = "minutes"
    POOL = "pool"

    @property
    def reason(self) -> str:
        """The reason to record if an experiment ends by this rule."""
        return f"{_BY_RULE}{self.value}"


def rule_of(reason: str | None) -> Rule | None:
    """The rule by which an experiment has ended. None if it has ended for another reason.

    Args:
        reason: The recorded reason.
    """
    name = (reason or "").removeprefix(_BY_RULE)
    return Rule(name) if reason != name and name in {*Rule} else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRules:
    """The settings of the rules.

    Attributes:
        target: The accuracy to reach, as a share. None means that there is no target.
        worth: The smallest gain of accuracy that is worth a round, as a share; 0.01 is one point.
        stable: The mean kappa of successive models from which on their predictions are stable. None means that the rule
            is not in force, as in the kept rules of earlier versions.
        minutes: The minutes of work that are planned. None means that there is no plan.
        automatically: Whether the project ends by itself after a round when a rule holds.
    """

    target: float | None = None
    worth: float = 0.01
    stable: float | None = None
    minutes: float | None = None
    automatically: bool = False


def write_rules(run_folder: Folder, rules: StopRules) -> None:
    """Keep the rules of a project."""
    content = json.dumps(asdict(rules)).encode()
    if run_folder.read(RULES) != content:
        run_folder.write(RULES, content)


def read_rules(run_folder: Folder) -> StopRules:
    """The rules of a project; those without settings if they were not kept, or if the file is damaged."""
    try:
        return StopRules(**json.loads(run_folder.read(RULES) or b"{}"))
    except (ValueError, TypeError):
        return StopRules()
