"""The scenario of an experiment: the name of a built-in one, or the user's own steps."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import BeforeValidator, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from raycal.algorithm.scenario import SCENARIOS, Ask, PseudoLabelsBy, Scenario, Step
from raycal.config.component import ComponentConfig, component
from raycal.config.strict import Strict, did_you_mean
from raycal.registry import NAME_PATTERN

_SHARE = re.compile(r"\d{1,9}(\.\d{1,18})?|\d{1,9}/\d{1,9}")


def _share(value: Any) -> str:
    """A number or a fraction `a/b` as an exact fraction. Long numbers are refused, because computing with them takes
    hours."""
    if not isinstance(value, bool) and _SHARE.fullmatch(str(value)):
        try:
            return str(Fraction(str(value)))
        except ZeroDivisionError:
            pass
    raise PydanticCustomError("share", "should be a number such as 0.5 or a fraction such as 1/3")


class StepConfig(Strict):
    """One annotation step: what it asks about, and its share of the iteration's interactions. The share is a number or
    a fraction such as `1/3`."""

    ask: Literal["uncertain", "random", "clusters", "representatives"]
    share: Annotated[str, BeforeValidator(_share)]

    @property
    def step(self) -> Step:
        """The step as a record of the algorithm."""
        return Step(Ask(self.ask), Fraction(self.share))


class OwnScenario(Strict):
    """A scenario of the user, defined by its steps and optionally a pseudo-labeling method."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    steps: Annotated[list[StepConfig], MinLen(1)]
    pseudo_labels: Annotated[ComponentConfig | None, component("pseudo_labels", None)] = None

    @property
    def scenario(self) -> Scenario:
        """The scenario as a record of `raycal.algorithm`.

        Raises:
            ValueError: The shares of the steps do not add up to one.
        """
        config = self.pseudo_labels
        return Scenario(
            name=self.name,
            steps=tuple(step.step for step in self.steps),
            pseudo_labels=PseudoLabelsBy(config.name, config.options) if config else None,
        )


def known_scenario(value: Any, info: ValidationInfo) -> Any:
    """Check a scenario: the name must be that of a built-in one, and the user's own steps must fit together."""
    if isinstance(value, str) and value not in SCENARIOS:
        raise PydanticCustomError("unknown_name", "no such scenario {hint}", {"hint": did_you_mean(value, SCENARIOS)})
    if isinstance(value, Mapping):
        config = OwnScenario.model_validate(value, context=info.context)
        if config.name in SCENARIOS:
            raise PydanticCustomError("taken_name", "'{name}' is a scenario already", {"name": config.name})
        try:
            _ = config.scenario
        except ValueError as error:
            raise PydanticCustomError("shares", "{problem}", {"problem": str(error)}) from error
        return config
    if not isinstance(value, str | OwnScenario):
        raise PydanticCustomError("scenario", "should be a name or {name, steps}")
    return value
