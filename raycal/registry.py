"""Names that a YAML may use for an extension, and the options each extension takes.

A registry knows nothing of what its entries do. An entry's options are its keyword-only parameters: their
annotations (with `annotated_types` limits) and defaults are all that the configuration needs to check a YAML.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

T = TypeVar("T", bound=Callable[..., Any])

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Nested:
    """Marks the annotation of an option that is an entry of the same registry: a name, or `{name: ..., option: ...}`.

    Attributes:
        default: The entry's name where only options are given.
    """

    default: str


class Option(NamedTuple):
    """One keyword of an extension: its annotation and its default (`REQUIRED` when there is none)."""

    annotation: Any
    default: Any


class Registry(Generic[T]):
    """Extensions of one kind by name.

    Args:
        kind: What the entries are, for messages: "dataset", "expert".
        provided: Keyword-only parameters that raycal fills in itself and a YAML may not set.
    """

    def __init__(self, kind: str, *, provided: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.provided = provided
        self._entries: dict[str, T] = {}

    def __call__(self, name: str) -> Callable[[T], T]:
        """Decorator that makes an extension known as `name`."""

        def register(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._entries[name] = entry
            return entry

        return register

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def options(self, name: str) -> Mapping[str, Option]:
        """The options of one entry by keyword."""
        entry = self._entries[name]
        hints = get_type_hints(entry.__init__ if inspect.isclass(entry) else entry, include_extras=True)
        return {
            parameter.name: Option(hints.get(parameter.name, Any), parameter.default)
            for parameter in inspect.signature(entry).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in self.provided
        }
