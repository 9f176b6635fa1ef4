"""The problems of a sweep file, one line each: `file:line: path: problem (did you mean ...?)`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from raycal.config.component import ComponentConfig
from raycal.config.experiment import PLUGINS, WORKERS
from raycal.config.setting import ConfigOverride, origin
from raycal.config.strict import did_you_mean
from raycal.config.yaml_file import AND_MORE, MAX_PROBLEMS, Where
from raycal.errors import printable
from raycal.registry import Registry


class Problems:
    """Collects the problems of a sweep file, each of them once.

    Args:
        path: The path of the sweep file.
        lines: The line number of each place in the file. Empty for a sweep that is not read from a file.
        registries: The extensions that a sweep may name, by kind.

    Attributes:
        lines: The problems as the user reads them, one line each.
    """

    def __init__(self, path: str, lines: Mapping[Where, int], registries: Mapping[str, Registry[Any]]) -> None:
        self._path, self._lines, self._registries = path, lines, registries
        self._overrides: dict[Where, str] = {}
        self.lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.lines)

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached, so that no more problems are collected."""
        return len(self.lines) > MAX_PROBLEMS

    def overridden(self, where: Where, name: str) -> None:
        """Attribute later problems at `where` to the override with this name, such as `--set training.epochs`."""
        self._overrides[where] = name

    def is_overridden(self, where: Where) -> bool:
        """Whether the value at `where` comes from an override."""
        return where in self._overrides

    def say(self, where: Where, problem: str) -> None:
        """Add one problem, attributed to the override or the line of the file that is nearest to `where`."""
        dotted = ".".join(map(str, where))
        source = next((where[:end] for end in range(len(where), 0, -1) if where[:end] in self._overrides), None)
        if source is None:
            places = (where[:end] for end in range(len(where), -1, -1))
            number = next((self._lines[place] for place in places if place in self._lines), None)
            at = "" if number is None else f"{self._path}:{number}: "
            self.say_line(f"{at}{dotted}: {problem}")
        elif source == where:
            self.say_line(f"{self._overrides[source]}: {problem}")
        else:
            self.say_line(f"{self._overrides[source]}: {dotted}: {problem}")

    def say_line(self, line: str) -> None:
        """Add a complete line. After the first hundred lines, one last line says that there are more problems."""
        line = printable(line)
        if self.is_full or line in self.lines:
            return
        if len(self.lines) == MAX_PROBLEMS:
            line = f"{self._path}: {AND_MORE}" if self._lines else AND_MORE
        self.lines.append(line)

    def add(
        self,
        error: ValidationError,
        model: type[BaseModel],
        prefix: Where,
        *,
        settings: Sequence[ConfigOverride] = (),
        asked_at: Where | None = None,
    ) -> None:
        """Add the problems that pydantic found in `model`, whose place in the sweep file is `prefix`.

        Args:
            settings: The settings that were put into the model, in this order.
            asked_at: The place at which a missing key is reported, because the user can add it there. None means
                `prefix`.
        """
        for detail in error.errors(include_url=False):
            if self.is_full:
                return
            loc = detail["loc"]
            missing = detail["type"] == "missing" and len(loc) == 1
            place = asked_at if asked_at is not None and missing else prefix
            at = origin(place, loc, settings, whole_key=detail["type"] == "extra_forbidden")
            words = self._words(detail, model, loc)
            if detail["input"] is None:  # `root` may come from a line `root:` in a file or from `--set dataset.root=`
                words = re.sub("^(should .*), not None$", r"the value is empty; it \1", words)
            self.say(at, words)

    def _words(self, detail: ErrorDetails, model: type[BaseModel], loc: Where) -> str:
        value = detail["input"]
        match detail["type"]:
            case "missing":
                return "missing"
            case "extra_forbidden" if owners := self._owners(loc):
                return f"unknown key here, an option of {', '.join(owners)}"
            case "extra_forbidden":
                return f"unknown key {did_you_mean(str(loc[-1]), self._known_keys(model, loc[:-1], value))}"
            case "string_pattern_mismatch":
                rule = "should be 1 to 64 characters of a-z 0-9 . _ + - and begin with a letter or digit"
                return f"{rule}, not {short(value)}"
            case "shares" | "share" | "taken_name" | "scenario" | "unfit" | "domain":
                return detail["msg"]
            case "model_type" | "model_attributes_type" | "dict_type":
                return f"should be a group of 'key: value', not {short(value)}"
            case "too_short" if isinstance(value, Mapping):
                return "should have at least one key"
            case "too_long":
                return f"should be a list of at most {detail['ctx']['max_length']} values, not {short(value)}"
            case "tuple_type":
                return f"should be a list, not {short(value)}"
            case "predicate_failed":  # the name of the function that checks the value says what the value should be
                predicate = re.sub(r"^Predicate '?(\w+)'? failed$", r"\1", detail["msg"])
                return f"should be {predicate}, not {short(value)}"
            case "too_short":
                return "should be a list with at least one value"
            case "unknown_name":
                name = value.get("name") if isinstance(value, Mapping) else value
                return f"{short(name)}: {detail['msg']}"
            case _:
                words = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
                return f"{words}, not {short(value)}"

    def _owners(self, where: Where) -> list[str]:
        """The extensions that have the option at this place. The key that contains the option determines their kind."""
        *parents, option = where
        kind = next((str(key) for key in parents[::-1] if key in self._registries), "")
        registry = self._registries.get(kind)
        return [] if registry is None else [name for name in registry if option in registry.options(name)]

    def _known_keys(self, model: type[BaseModel], where: Where, value: Any) -> list[str]:
        """The keys that are accepted at a place of `model`."""
        kind = ""
        for key in where:
            if isinstance(key, int):  # the number is a position in a list
                continue
            field = model.model_fields.get(str(key))
            if field is None:
                break
            kind = str(key)
            types = _types_in(field.annotation)
            model = next((t for t in types if isinstance(t, type) and issubclass(t, BaseModel)), model)
        known = [key for key in model.model_fields if key not in (WORKERS, PLUGINS)]
        if issubclass(model, ComponentConfig) and kind in self._registries:
            registry = self._registries[kind]
            known += sorted({option for name in registry for option in registry.options(name)})
        return known


def _types_in(annotation: Any) -> Iterator[Any]:
    """The types that an annotation consists of, such as those of the values of a list."""
    yield annotation
    for argument in get_args(annotation):
        yield from _types_in(argument)


def short(value: Any) -> str:
    """A value as text for a message, cut after 60 characters."""
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
