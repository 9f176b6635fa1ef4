"""The search of a sweep: which keys of an experiment are drawn, and from which distributions."""

from collections.abc import Sequence
from math import exp, isclose, log
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt, MinLen
from numpy.random import Generator
from pydantic import model_serializer, model_validator
from pydantic_core import PydanticCustomError

from raycal.algorithm.randomness import stream
from raycal.config.strict import Strict, did_you_mean

SIGNIFICANT_DIGITS = 6
MAX_BOUND, MAX_STEPS = 1e18, 1e9
MAX_SAMPLES = 10_000
_BOUNDS = {
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
    "quniform": ("low", "high", "step"),
    "randint": ("low", "high"),
    "lograndint": ("low", "high"),
    "qrandint": ("low", "high", "step"),
}
DOMAINS = (*_BOUNDS, "choice")


class Domain(Strict):
    """The distribution of a key. Its name and arguments are those of Ray Tune's search space.

    Attributes:
        name: The name of the distribution, one of `DOMAINS`.
        arguments: The values of `choice`. For all other distributions low, high and, if values are rounded, the step.
            The upper end is exclusive for `randint` and `lograndint`, and inclusive for the others.
    """

    name: str
    arguments: tuple[Any, ...]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, dict) or len(value) != 1:
            raise _problem("should be one of {} with its bounds, as in {{uniform: [0.1, 0.9]}}", ", ".join(DOMAINS))
        ((name, arguments),) = value.items()
        if name not in DOMAINS:
            raise _problem("no such distribution '{}' {}", name, did_you_mean(str(name), DOMAINS))
        if name == "choice":
            if not isinstance(arguments, list) or not arguments:
                raise _problem("choice should be a list with at least one value")
        else:
            _check_bounds(name, arguments)
        return {"name": name, "arguments": tuple(arguments)}

    @model_serializer
    def _write(self) -> dict[str, list[Any]]:
        return {self.name: list(self.arguments)}

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.arguments))}]"

    @property
    def is_integer(self) -> bool:
        """Whether all values are integers."""
        return "randint" in self.name

    def ends(self) -> Sequence[Any]:
        """The smallest and the largest value, or all values of a choice."""
        if self.name == "choice":
            return self.arguments
        low, high = self.arguments[:2]
        if self.is_integer:
            return low, high if self.name == "qrandint" else high - 1
        return float(low), float(high)

    def draw(self, rng: Generator) -> Any:
        """Draw one value. A float is rounded to six significant digits, so that it can be read and typed."""
        if self.name == "choice":
            return self.arguments[int(rng.integers(len(self.arguments)))]
        low, high = self.arguments[:2]
        if self.name == "randint":
            return int(rng.integers(low, high))
        if len(self.arguments) == 3:
            step = self.arguments[2]
            value = low + step * int(rng.integers(round((high - low) / step) + 1))
        elif "log" in self.name:
            value = exp(rng.uniform(log(low), log(high)))
        else:
            value = rng.uniform(low, high)
        if self.is_integer:
            return min(max(int(value), low), self.ends()[1])
        return float(min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), low), high))


class SearchConfig(Strict):
    """Values drawn at random when the sweep is planned, or chosen by Optuna trial by trial while it runs."""

    algorithm: Literal["random", "optuna"] = "random"
    num_samples: Annotated[int, Ge(1), Le(MAX_SAMPLES)]
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    space: Annotated[dict[str, Domain], MinLen(1)]

    def samples(self) -> list[dict[str, Any]]:
        """Draw `num_samples` samples, each with a value for every key.

        A value depends on the seed, the number of the sample and the key alone. So a larger `num_samples` keeps the
        first samples, and an additional key does not change the values of the others.
        """
        return [
            {key: domain.draw(stream(self.seed, number, f"search {key}")) for key, domain in self.space.items()}
            for number in range(self.num_samples)
        ]


def _check_bounds(name: str, arguments: Any) -> None:
    integer, log_scale = "randint" in name, "log" in name
    words = ", ".join(_BOUNDS[name])
    if not isinstance(arguments, list) or len(arguments) != len(_BOUNDS[name]):
        raise _problem("{} should be [{}]", name, words)
    if not all(_is_number(bound, integer=integer) for bound in arguments):
        raise _problem("{} should be [{}], all {}", name, words, "integers" if integer else "numbers")
    low, high, *steps = arguments
    if not low < high:
        raise _problem("{}: low should be less than high, not {} and {}", name, low, high)
    if log_scale and low <= 0:
        raise _problem("{}: low should be greater than 0, not {}", name, low)
    for step in steps:
        if step <= 0 or (high - low) / step > MAX_STEPS:
            raise _problem("{}: step should be greater than 0 and not tiny, not {}", name, step)
        if not all(isclose(bound / step, round(bound / step), abs_tol=1e-9) for bound in (low, high)):
            raise _problem("{}: low and high should be multiples of the step {}", name, step)


def _is_number(bound: Any, *, integer: bool) -> bool:
    types = (int,) if integer else (int, float)
    return isinstance(bound, types) and not isinstance(bound, bool) and abs(bound) <= MAX_BOUND


def _problem(words: str, *values: Any) -> PydanticCustomError:
    return PydanticCustomError("domain", "{problem}", {"problem": words.format(*values)})
