"""Registries of extensions: the names that a YAML file may use, and the options that each extension takes.

A registry does not know what its entries do. The options of an entry are its keyword-only parameters. Their annotations
(with `annotated_types` limits) and defaults are all that the configuration needs to check a YAML file. An option
declares with `Affects` which experiments it can change.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, get_type_hints

T = TypeVar("T", bound=Callable[..., Any])

# The kinds of samples, as plurals. A dataset and the network that is trained on it must be of the same kind.
Kind = Literal["images", "vectors", "texts"]

REQUIRED = inspect.Parameter.empty
MAX_NAME = 64
# This limit exists because names become parts of folder names.
NAME_PATTERN = rf"^[a-z0-9][a-z0-9._+-]{{0,{MAX_NAME - 1}}}$"


@dataclass(frozen=True, slots=True)
class Nested:
    """Marks the annotation of an option whose value is an entry of the same registry.

    The value is a name, or `{name: ..., option: ...}`.

    Attributes:
        default: The name of the entry if only options are given.
    """

    default: str


class Affects:
    """Marks the annotation of a setting with the uses for which the setting can change the result of an experiment.

    If an experiment has none of these uses, the value of the setting changes neither its result nor its id. A
    setting can change every experiment if its mark has no uses, or if it has no mark.

    Args:
        uses: Values of `algorithm.scenario.Use`.
    """

    def __init__(self, *uses: str) -> None:
        self.uses = frozenset(uses)

    def __repr__(self) -> str:
        return f"Affects({', '.join(sorted(self.uses))})"

    def concerns(self, uses: Collection[str]) -> bool:
        """Whether the setting can change the result of an experiment that has these uses."""
        return not self.uses or not self.uses.isdisjoint(uses)


EVERYTHING = Affects()


class Option(NamedTuple):
    """One option of an extension: its annotation and its default. The default is `REQUIRED` for an option that must be
    set."""

    annotation: Any
    default: Any

    @property
    def nested(self) -> Nested | None:
        """The mark of an option whose value is an entry of the registry; None for any other option."""
        return next((mark for mark in self._marks if isinstance(mark, Nested)), None)

    @property
    def affects(self) -> Affects | None:
        """The mark that says what the option affects; None if the option has no such mark."""
        return declared(self._marks)

    @property
    def _marks(self) -> Collection[Any]:
        marks: Collection[Any] = getattr(self.annotation, "__metadata__", ())
        return marks


def module_of(entry: Callable[..., Any]) -> str:
    """The name of the module in which an entry was defined."""
    function: Any = entry
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__module__", ""))


def check_name(kind: str, name: object, taken: Mapping[str, Callable[..., Any]]) -> None:
    """Refuse a name under which nothing can be registered.

    Args:
        kind: What is registered, for the message.
        name: The name.
        taken: What has been registered before, by name.

    Raises:
        ValueError: The name has other characters than a name may have, or it is taken.
    """
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"the {kind} {name!r} should be named with 1 to 64 characters of a-z 0-9 . _ + -")
    if name in taken:
        other = module_of(taken[name])
        raise ValueError(f"the {kind} name {name!r} is taken, by one in {other}; use another name")


def _namespace(entry: Callable[..., Any]) -> dict[str, Any]:
    """The global names of the module in which an entry was defined, in which its annotations are evaluated."""
    function: Any = entry
    while isinstance(function, partial):
        function = function.func
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    namespace: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    return namespace


def declared(marks: Collection[Any]) -> Affects | None:
    """The `Affects` in the metadata of an annotation. None if the metadata has no `Affects`."""
    return next((mark for mark in marks if isinstance(mark, Affects)), None)


class Registry(Generic[T]):
    """The extensions of one kind, by name.

    Args:
        kind: The kind of the entries, for messages, such as "dataset" or "expert".
        provided: Keyword-only parameters that raycal itself fills in and a YAML file may not set.
    """

    def __init__(self, kind: str, *, provided: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.provided = provided
        self._entries: dict[str, T] = {}
        self._described: dict[str, Mapping[str, Option]] = {}

    def __call__(self, name: str) -> Callable[[T], T]:
        """Decorator that registers an extension as `name`."""

        def register(entry: T) -> T:
            check_name(self.kind, name, self._entries)
            self._entries[name] = entry
            return entry

        return register

    def forget(self, name: str) -> None:
        """Remove an entry, for example an entry of a plug-in whose import failed half-way."""
        del self._entries[name]

    def registered(self) -> Iterator[str]:
        """The keys of everything that was registered, which `forget` and `definition` take."""
        return iter(self)

    def definition(self, key: str) -> Callable[..., Any]:
        """The function or class that was registered under a key."""
        return self._entries[key]

    def refusal(self, name: str) -> str | None:
        """Why there is no entry of this name, in words. None if nothing more is known than that it is not
        registered."""
        return None

    def description(self, name: str) -> dict[str, list[str] | None]:
        """The uses that each option of an entry affects, as JSON values. None for an option whose value is itself an
        entry with options, such as a wrapped expert."""
        options = self.options(name)
        return {
            key: sorted((option.affects or EVERYTHING).uses) if option.nested is None or option.affects else None
            for key, option in options.items()
        }

    def describe(self, name: str, description: Mapping[str, Collection[str] | None]) -> None:
        """Describe the options of an entry to the methods `chain` and `relevant`, so that the entry's plug-in need not
        be loaded here."""
        self._described[name] = {
            key: Option(Annotated[Any, Nested("") if uses is None else Affects(*uses)], REQUIRED)
            for key, uses in description.items()
        }

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def options(self, name: str) -> Mapping[str, Option]:
        """The options of one entry by keyword."""
        entry = self[name]
        parameters = [
            parameter
            for parameter in inspect.signature(entry).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in self.provided
        ]
        if inspect.isclass(entry) and is_dataclass(entry):
            # Python lists the fields of base classes first. Here the options of the entry itself come first.
            fields = list(dict.fromkeys(name for base in entry.__mro__ for name in inspect.get_annotations(base)))
            parameters.sort(key=lambda parameter: fields.index(parameter.name) if parameter.name in fields else -1)
        # Only the annotations of options are evaluated. Other annotations, such as the return type, may name types that
        # are imported for type checkers only.
        annotated = {
            parameter.name: parameter.annotation
            for parameter in parameters
            if parameter.annotation is not inspect.Parameter.empty
        }
        hints = get_type_hints(SimpleNamespace(__annotations__=annotated), _namespace(entry), include_extras=True)
        return {parameter.name: Option(hints.get(parameter.name, Any), parameter.default) for parameter in parameters}

    def chain(self, entry: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
        """The settings of an entry and of all entries nested in it, the outermost first, each with the keys that lead
        to it.

        Args:
            entry: The `name` and the options of the entry. If an entry is neither registered nor described, entries
                nested in it are not found.
        """
        yield (), entry
        for key, option in self._known_options(entry["name"]).items():
            if option.nested is not None and key in entry:
                for path, inner in self.chain(entry[key]):
                    yield (key, *path), inner

    def relevant(self, entry: Mapping[str, Any], uses: Collection[str]) -> dict[str, Any]:
        """The settings of an entry that can change an experiment with these uses.

        The marks on the options of a nested entry decide which of them are relevant, unless the option that holds the
        entry has a mark. Settings that are unknown to the registry are kept, so that no difference between two
        experiments is lost.
        """
        options = self._known_options(entry["name"])
        kept: dict[str, Any] = {}
        for key, value in entry.items():
            option = options.get(key)
            affects = None if option is None else option.affects
            if option is not None and option.nested is not None and affects is None:
                kept[key] = self.relevant(value, uses)
            elif (affects or EVERYTHING).concerns(uses):
                kept[key] = value
        return kept

    def _known_options(self, name: str) -> Mapping[str, Option]:
        """The options of an entry that is registered or was described; empty for any other entry."""
        return self.options(name) if name in self else self._described.get(name, {})
